"""Who may do what with a key: three sets of tags.

A tag stands for a user or for a group of them. Immutable, and ignorant of stores; ``authorizing``
imports this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

_NAMES = ("owned", "read", "write")

Tags = frozenset[str]


@dataclass(frozen=True, slots=True)
class Permissions:
    """Who owns a key, and who else may read and write it."""

    owned: Tags = frozenset()
    read: Tags = frozenset()
    write: Tags = frozenset()

    @classmethod
    def of(cls, permissions: Mapping[str, Iterable[str]]) -> Permissions:
        """Take what a caller gave.

        Raises
        ------
        ValueError
            A permission that there is not.
        TypeError
            Tags that are no strings, or a string in place of several.
        """
        for name in permissions:
            if name not in _NAMES:
                raise ValueError(f"a permission is one of {', '.join(_NAMES)}, not {name!r}")
        return cls(**{name: _tags(name, tags) for name, tags in permissions.items()})

    @classmethod
    def from_json(cls, kept: Any) -> Permissions:
        """What `as_json` gave; for anything else nobody may do anything."""
        try:
            return cls.of(kept)
        except (TypeError, ValueError, AttributeError):
            return cls()

    def as_json(self) -> dict[str, list[str]]:
        """The form in which it is kept."""
        return {name: sorted(tags) for name, tags in self.as_dict().items() if tags}

    def as_dict(self) -> dict[str, set[str]]:
        """A dictionary that belongs to the caller."""
        return {name: set(getattr(self, name)) for name in _NAMES}

    def __or__(self, other: Permissions) -> Permissions:
        return Permissions(
            self.owned | other.owned, self.read | other.read, self.write | other.write
        )

    def can_own(self, tags: AbstractSet[str]) -> bool:
        """Whether one of the tags owns the key."""
        return not self.owned.isdisjoint(tags)

    def can_read(self, tags: AbstractSet[str]) -> bool:
        """Whether one of the tags reads, or owns."""
        return self.can_own(tags) or not self.read.isdisjoint(tags)

    def can_write(self, tags: AbstractSet[str]) -> bool:
        """Whether one of the tags writes, or owns."""
        return self.can_own(tags) or not self.write.isdisjoint(tags)


def _tags(name: str, tags: Iterable[str]) -> Tags:
    found = None if isinstance(tags, (str, bytes)) else frozenset(tags)
    if found is None or not all(isinstance(tag, str) for tag in found):
        raise TypeError(f"{name!r} is granted to a set of tags, each a str")
    return found
