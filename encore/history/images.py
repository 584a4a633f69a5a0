"""What a staged ledger keeps of a key, and how it is written down.

Only ``staged_images``, ``staged_ledger`` and ``journal`` import this module.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from encore.history.steps import Captured
from encore.storage.template import Record


class Image(NamedTuple):
    """What a step keeps of a key.

    Attributes
    ----------
    expect : str or None
        The token that the store has to have for the exchange; None: no such key.
    record : Record or None
        The version, what stands for its content in the place of that; None: no such key.
    held : int
        Bytes that are kept for it alone.
    skipped : bool
        Left out when the step was undone.
    """

    expect: str | None
    record: Record | None
    held: int
    skipped: bool = False

    def to_json(self) -> list[Any]:
        """What `from_json` takes."""
        return [self.expect, self.held, self.skipped, *(self.record or ())]

    @classmethod
    def from_json(cls, found: list[Any]) -> Image:
        """An image that was written down."""
        expect, held, skipped, *record = found
        return cls(expect, tuple(record) or None, held, skipped)


KeyImages = dict[str, Image]


def captured(images: KeyImages) -> Captured:
    """What a step with these images is."""
    held = sum(image.held for image in images.values())
    removed = sum(image.expect is None for image in images.values())
    key = next(iter(images), "")
    return Captured(len(images), held, removed, key)


def contents(images: KeyImages) -> list[Any]:
    """What stands for the contents that images keep."""
    return [image.record[0] for image in images.values() if image.record is not None]
