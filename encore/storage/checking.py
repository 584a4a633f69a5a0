"""What `verify` finds, and how: problems, and reading everything there is.

A store that keeps nothing but values is examined by reading them; what backends keep besides
(places where data waits, lists of what is to be done, indexes) they examine themselves, and say so
in the same words. What is wrong is told, never raised, so that one damaged value does not hide
another.

Everybody in ``storage`` may import this module.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

from encore.errors import ConflictError, CorruptValueError, InvalidKeyError, StoreError

__all__ = [
    "DAMAGE",
    "MISSING",
    "ORPHAN",
    "UNFINISHED",
    "UNKNOWN",
    "Problem",
    "read_everything",
]

DAMAGE = "damage"
MISSING = "missing"
ORPHAN = "orphan"
UNFINISHED = "unfinished"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it should be.

    Attributes
    ----------
    what : str
        ``"damage"``: data, metadata or structure are not what was written; ``"missing"``:
        something that is spoken of is not there; ``"orphan"``: left by a program that died, and of
        no use to anybody; ``"unfinished"``: decided, and not carried out yet; ``"history"``:
        undo would not bring back what was there; ``"unknown"``: encore cannot explain it.
    key : str or None
        The key concerned, if it is one that the store shows.
    explanation : str
        For people: what is wrong, where, and what can be done about it.
    can_repair : bool
        Whether ``verify(repair=True)`` mends it. That takes no value away.
    is_repaired : bool
        Whether it has.
    """

    what: str
    key: str | None
    explanation: str
    can_repair: bool = False
    is_repaired: bool = False

    def __str__(self) -> str:
        where = "" if self.key is None else f"{self.key!r}: "
        end = " (repaired)" if self.is_repaired else " (can be repaired)" if self.can_repair else ""
        return f"{self.what}: {where}{self.explanation}{end}"

    def repaired(self) -> Problem:
        """The same, mended."""
        return replace(self, is_repaired=True)

    def under(self, key: str | None) -> Problem:
        """The same as seen through a wrapper that calls the key so; None: it does not show it."""
        if key is not None or self.key is None:
            return replace(self, key=key)
        return replace(
            self, key=None, explanation=f"{self.explanation} (under {self.key!r}, which is hidden)"
        )


def read_everything(store: Any, known: Collection[str | None] = ()) -> Iterator[Problem]:
    """Read every value of a store to its end, but for keys of which something is ``known``."""
    try:
        for key in store._scan("", None):
            if key not in known:
                yield from _read(store, key)
    except CorruptValueError as error:
        yield Problem(DAMAGE, error.key, f"the keys cannot be listed any further: {error}")


def _read(store: Any, key: str) -> Iterator[Problem]:
    try:
        value = store._find(key)
        if value is None:
            return  # it has been removed meanwhile
        with value:
            size = sum(map(len, value.iterdata()))
            expected, _ = value.size, value.metadata
    except (ConflictError, InvalidKeyError):
        return  # it has been replaced meanwhile; what is no key is told where it was found
    except CorruptValueError as error:
        yield Problem(DAMAGE, key, str(error))
    except StoreError as error:
        yield Problem(UNKNOWN, key, f"it cannot be read: {error}")
    else:
        if expected is not None and size != expected:
            yield Problem(DAMAGE, key, f"there are {size:,} bytes of data, not {expected:,}")
