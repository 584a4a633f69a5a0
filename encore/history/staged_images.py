"""Looking at images that are in memory: the reading half of the ledger of a staged store.

``staged_ledger`` has the other half, and is the only one to import this module.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from encore.errors import CorruptValueError
from encore.history.images import KeyImages
from encore.history.ledger import Conflict, Edit, Images
from encore.storage.template import Record
from encore.storage.transactions.recording import KeptVersions
from encore.storage.values import Value


class Open(threading.local):
    """What a ledger knows of the open transaction of the calling thread.

    Attributes
    ----------
    images : dict of int to KeyImages
        Of steps that it makes or changes.
    made, unneeded : list
        Contents to be let go if it is rolled back, and if it is committed.
    back : dict of str to Record or None
        What exchanges have put under keys, with what stands for the content.
    before : dict of str to str or None
        The tokens that keys had before it.
    edit : Edit or None
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.images: dict[int, KeyImages] = {}
        self.made: list[Any] = []
        self.unneeded: list[Any] = []
        self.back: dict[str, Record | None] = {}
        self.before: dict[str, str | None] = {}
        self.edit: Edit | None = None


class StagedImages(Images):
    """The images of a ledger in memory, for reading.

    Parameters
    ----------
    store, follows
        See `Images`.
    kept : KeptVersions
        Has the contents.
    """

    def __init__(
        self, store: Any, follows: Callable[[str], str | None] | None, kept: KeptVersions
    ) -> None:
        super().__init__(store, follows)
        self._images: dict[int, KeyImages] = {}
        self._open = Open()
        self._kept = kept

    def _now(self, step: int) -> KeyImages:
        """The images of a step as the caller's transaction has them."""
        found = self._open.images.get(step)
        return self._images.get(step, {}) if found is None else found

    def refresh(self) -> None:
        """See `Ledger`."""

    # -- the store as it is -----------------------------------------------------------------------

    def _current(self, key: str) -> Record | None:
        """The record of a key as the caller's transaction has it."""
        for level in reversed(self.store._overlay() or ()):
            if key in level:
                return level[key]  # type: ignore[no-any-return]
        return self.store._peek(key)  # type: ignore[no-any-return]

    def _token(self, key: str) -> str | None:
        record = self._current(key)
        return None if record is None else record[5]

    def conflicts(self, step: int) -> list[Conflict]:
        found = []
        for key, image in sorted(self._now(step).items()):
            if not image.skipped:
                token = self._token(key)
                if token != image.expect:
                    found.append(Conflict(key, image.expect, token))
        return found

    # -- the images -------------------------------------------------------------------------------

    def keys(self, step: int) -> list[str]:
        return sorted(self._now(step))

    def image(self, key: str, step: int) -> tuple[bool, Value | None]:
        while True:
            image = self._now(step).get(key)
            if image is None or image.skipped:
                return False, None
            try:
                return True, self._value(image.record)
            except CorruptValueError:
                # Somebody else may have undone or dropped the step since it was looked up.
                self.refresh()
                if self._now(step).get(key) is image:
                    raise

    def _value(self, record: Record | None) -> Value | None:
        if record is None:
            return None
        content = self._kept.open(record[0], record[2])
        return Value.of(content, *record[1:])

    def _around(self, position: int) -> Iterator[int]:
        """The steps whose images are what was after a position, those that count first."""
        if not self.state.undone or position < self.state.undone:
            return (step for step in list(self.steps) if step > position and self.is_done(step))
        undone = [step for step in self.steps if step <= position and not self.is_done(step)]
        return reversed(undone)

    def around(self, key: str, position: int) -> tuple[bool, Value | None]:
        for step in self._around(position):
            is_known, value = self.image(key, step)
            if is_known:
                return True, value
        return False, None

    def overrides(self, position: int, prefix: str) -> Iterator[tuple[str, bool]]:
        found: dict[str, bool] = {}
        for step in self._around(position):
            for key, image in self._now(step).items():
                if key.startswith(prefix) and not image.skipped:
                    found.setdefault(key, image.record is not None)
        return iter(sorted(found.items()))

    def problems(self) -> list[str]:
        found = []
        for step, summary in list(self.steps.items()):
            images = self._images.get(step, {})
            held = sum(image.held for image in images.values())
            if (summary.key_count, summary.size) != (len(images), held):
                found.append(
                    f"step {step} has {len(images)} keys of {held} bytes, "
                    f"not {summary.key_count} of {summary.size}"
                )
            for key, image in images.items():
                record = image.record
                if record is not None and self._kept.size(record[0]) != record[2]:
                    found.append(f"step {step} has lost data of {key!r}")
        return found
