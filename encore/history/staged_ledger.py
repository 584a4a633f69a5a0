"""The ledger of a staged store: images in memory, as records whose content the store keeps.

Staged stores collect what a transaction writes, so all of it is known when the transaction is about
to commit, and the versions that are replaced are still in place. What is to stay after a restart is
written to a `Journal` first; `KeptVersions` say how a medium keeps content. ``ledgers`` imports
this module.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from encore.history.ledger import COMPARED_BYTES, Conflict, Edit, Ledger
from encore.history.steps import NOTHING, Captured
from encore.storage.template import Entry, Record
from encore.storage.transactions.recording import KeptVersions
from encore.storage.values import Value


class Image(NamedTuple):
    """What a step keeps of a key.

    Attributes
    ----------
    expect : str or None
        The token that the store has to have for the exchange; None: no such key.
    record : Record or None
        The version, its content as the store keeps it; None: no such key.
    held : int
        Bytes that are kept for it alone.
    skipped : bool
        Left out when the step was undone.
    """

    expect: str | None
    record: Record | None
    held: int
    skipped: bool = False


Images = dict[str, Image]


class Journal(Protocol):
    """Where the images of a staged ledger are written down."""

    def load(self) -> tuple[Any, ...] | None:
        """Read what has been written since the last time: see `StagedLedger.refresh`."""

    def append(self, edit: Edit, images: Mapping[int, Images]) -> None:
        """Write down what the open transaction is about to do; it may still fail."""

    def take_back(self) -> None:
        """It has failed."""


class _Open(threading.local):
    """What a ledger knows of the open transaction of the calling thread.

    Attributes
    ----------
    images : dict of int to Images
        Of steps that it makes or changes.
    made, unneeded : list
        Content to be let go if it is rolled back, and if it is committed.
    back : dict of str to Record or None
        What exchanges have put under keys, the content as it was kept.
    edit : Edit or None
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.images: dict[int, Images] = {}
        self.made: list[Any] = []
        self.unneeded: list[Any] = []
        self.back: dict[str, Record | None] = {}
        self.edit: Edit | None = None


class StagedLedger(Ledger):
    """The part of a history of a staged store.

    Parameters
    ----------
    store, follows
        See `Ledger`.
    """

    def __init__(self, store: Any, follows: Callable[[str], bool] | None) -> None:
        super().__init__(store, follows)
        self._images: dict[int, Images] = {}
        self._open = _Open()
        kept = store._kept_versions()
        assert kept is not None
        self._kept: KeptVersions = kept

    def attach(self) -> None:
        self.store.connect()

    def detach(self) -> None:
        pass

    # -- in a transaction -------------------------------------------------------------------------

    def _now(self, step: int) -> Images:
        """The images of a step as the caller's transaction has them."""
        found = self._open.images.get(step)
        return self._images.get(step, {}) if found is None else found

    def _keep(self, key: str, record: Record | None) -> Record | None:
        """A committed record that is about to be replaced, its content kept."""
        if record is None:
            return None
        kept = self._kept.keep(key, record[0])
        self._open.made.append(kept)
        return (kept, *record[1:])

    def capture(self, context: Any, step: int) -> Captured:
        images: Images = {}
        for key, new in self.store._changed().items():
            if self.follows is not None and not self.follows(key):
                continue
            old = self.store._lookup(key)
            if old is None and new is None:
                continue
            if old is not None and new is not None and self._is_same(old, new):
                self._retarget(key, old[5], new[5])
                continue
            kept = self._keep(key, old)
            images[key] = _image(kept, new, self._held(kept, new))
        if not images:
            return NOTHING
        self._open.images[step] = images
        return _captured(images)

    def _is_same(self, old: Record, new: Record) -> bool:
        """Whether two versions have the same metadata and the same data."""
        if old[1] != new[1] or old[2] != new[2]:
            return False
        if old[0] is new[0]:
            return True
        return old[2] <= COMPARED_BYTES and _data(old) == _data(new)

    def _held(self, kept: Record | None, live: Record | None) -> int:
        if kept is None or (live is not None and self._kept.is_same(kept[0], live[0])):
            return 0
        return kept[2]

    def _retarget(self, key: str, old: str, new: str) -> None:
        """A key is what it was, but for its token: the steps are to expect the new one."""
        for step in self.steps.keys() | self._open.images.keys():
            image = self._now(step).get(key)
            if image is not None and image.expect == old:
                self._open.images[step] = {**self._now(step), key: image._replace(expect=new)}

    def merge(self, context: Any, into: int, step: int) -> Captured:
        images, added = dict(self._now(into)), self._open.images.pop(step)
        for key, image in added.items():
            first = images.get(key)
            if first is None:
                images[key] = image
                continue
            self._release(image.record)
            live = self.store._changed()[key]
            if first.record is None and live is None:
                del images[key]
            elif self._is_back(first.record, live):
                del images[key]
                assert first.record is not None
                assert live is not None
                self._retarget(key, first.record[5], live[5])
                self._release(first.record)
            else:
                held = self._held(first.record, live)
                images[key] = Image(image.expect, first.record, held)
        self._open.images[into] = images
        return _captured(images)

    def _is_back(self, first: Record | None, live: Record | None) -> bool:
        """Whether a key has become what it was before the step."""
        if first is None or live is None:
            return False
        content = self._kept.open(first[0], first[2])
        return self._is_same((content, *first[1:]), live)

    def _release(self, record: Record | None) -> None:
        if record is not None:
            self._open.unneeded.append(record[0])

    def conflicts(self, step: int) -> list[Conflict]:
        found = []
        for key, image in sorted(self._now(step).items()):
            if not image.skipped:
                token = self._token(key)
                if token != image.expect:
                    found.append(Conflict(key, image.expect, token))
        return found

    def _token(self, key: str) -> str | None:
        value = self.store._find(key)
        if value is None:
            return None
        value.close()
        return value.token  # type: ignore[no-any-return]

    def exchange(self, context: Any, step: int, skip: Collection[str]) -> int:
        images: Images = {}
        for key, image in self._now(step).items():
            if image.skipped or key in skip:
                images[key] = image._replace(skipped=key in skip)
            else:
                images[key] = self._exchange_one(context, key, image)
        self._open.images[step] = images
        return sum(image.held for image in images.values())

    def _exchange_one(self, context: Any, key: str, image: Image) -> Image:
        store, back, record = self.store, self._open.back, image.record
        # What an exchange in this transaction has put there is kept as it was.
        old = back[key] if key in back else self._keep(key, store._lookup(key))
        value = store._find(key)
        if record is not None:
            store._replace(key, value, (self._kept.content(record[0]), *record[1:]))
        elif value is not None:
            store._remove(key, value)
        back[key] = record
        context.note(key, old and old[1], record and record[1])
        expect = None if record is None else record[5]
        return Image(expect, old, self._held(old, record))

    def settle(self, context: Any, step: int, contents: Mapping[str, bytes]) -> None:
        images = dict(self._open.images[step])
        for key, data in contents.items():
            self.store._write_content(Entry(key, data, None), data)
            images[key] = images[key]._replace(expect=self._token(key))
        self._open.images[step] = images

    def write(self, edit: Edit) -> None:
        self._open.edit = edit
        for step in edit.drop:
            for image in self._now(step).values():
                self._release(image.record)
            self._open.images.pop(step, None)

    def passed(self) -> None:
        edit = self._open.edit
        if edit is None:
            return
        self.apply(edit)
        self._images.update(self._open.images)
        for step in edit.drop:
            self._images.pop(step, None)
        for record in self._open.back.values():
            self._release(record)
        self._settle(self._open.unneeded)

    def rolled_back(self) -> None:
        self._settle(self._open.made)

    def _settle(self, contents: list[Any]) -> None:
        self._open.clear()
        for content in contents:
            self._kept.release(content)

    def forget(self, context: Any, key: str) -> dict[int, Captured]:
        found = {}
        for step in self.steps:
            images = self._now(step)
            if key in images:
                self._release(images[key].record)
                self._open.images[step] = rest = {
                    name: images[name] for name in images if name != key
                }
                found[step] = _captured(rest)
        return found

    # -- reading ----------------------------------------------------------------------------------

    def keys(self, step: int) -> list[str]:
        return sorted(self._now(step))

    def touched_later(self, step: int) -> bool:
        mine = self._now(step).keys()
        later = (other for other in self.steps if other > step and self.is_done(other))
        return any(not mine.isdisjoint(self._now(other)) for other in later)

    def image(self, key: str, step: int) -> tuple[bool, Value | None]:
        image = self._now(step).get(key)
        if image is None or image.skipped:
            return False, None
        return True, self._value(image.record)

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
        for step, summary in self.steps.items():
            images = self._images.get(step, {})
            held = sum(image.held for image in images.values())
            if (summary.key_count, summary.size) != (len(images), held):
                found.append(
                    f"step {step} has {len(images)} keys of {held} bytes, "
                    f"not {summary.key_count} of {summary.size}"
                )
        return found


def _image(kept: Record | None, live: Record | None, held: int) -> Image:
    return Image(None if live is None else live[5], kept, held)


def _captured(images: Images) -> Captured:
    held = sum(image.held for image in images.values())
    removed = sum(image.expect is None for image in images.values())
    key = next(iter(images), "")
    return Captured(len(images), held, removed, key)


def _data(record: Record) -> bytes:
    content = record[0]
    if isinstance(content, bytes):
        return content
    assert content is not None
    return content.read(0, record[2])
