"""The ledger of a staged store: images in memory, contents where the medium keeps them best.

Staged stores collect what a transaction writes, so all of it is known when the transaction is about
to commit, and the versions that are replaced are still in place. What is to stay after a restart is
written to a `Journal` first. ``ledgers`` imports this module.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from typing import Any

from encore.history.images import Image, KeyImages, captured, contents
from encore.history.journal import Changed, Journal, Told
from encore.history.ledger import COMPARED_BYTES, Edit, Ledger
from encore.history.staged_images import StagedImages
from encore.history.steps import NOTHING, Captured
from encore.storage.template import Record
from encore.storage.transactions.recording import KeptVersions, LastingVersions

_log = logging.getLogger("encore.history")


class StagedLedger(StagedImages, Ledger):
    """The part of a history of a staged store.

    Parameters
    ----------
    store, follows
        See `Images`.
    kept : KeptVersions
    lasting : LastingVersions, optional
        The same, if what is kept is to be there after a restart.
    """

    def __init__(
        self,
        store: Any,
        follows: Callable[[str], str | None] | None,
        kept: KeptVersions,
        lasting: LastingVersions | None = None,
    ) -> None:
        super().__init__(store, follows, kept)
        self._lasting = lasting
        self._journal = None if lasting is None else Journal(lasting.log, self._happened)
        self.is_persistent = lasting is not None

    # -- life -------------------------------------------------------------------------------------

    def attach(self) -> None:
        self.store.connect()
        if self._lasting is None or not self._lasting.log.exists():
            return
        if self.store.info()["readonly"]:
            self.refresh()
            return
        with self.store._new_context(quiet=True):
            self.refresh()
            self._lasting.sweep(self._needed())

    def detach(self) -> None:
        if self._lasting is None:
            self._let_go([*self._needed()])
        self._kept.close()

    def _needed(self) -> set[Any]:
        """What stands for the contents of all images."""
        return {kept for images in self._images.values() for kept in contents(images)}

    def refresh(self) -> None:
        if self._journal is not None:
            told = self._journal.read(self._told(), self.store._context())
            if told is not None:
                self._images, self.steps, self.state = told.images, told.steps, told.state

    def _told(self) -> Told:
        return Told(self.steps, self._images, self.state)

    def _happened(self, changed: Changed) -> bool:
        """Whether a transaction was committed, by what the store has now."""
        tokens = {}
        for key in changed:
            record = self.store._peek(key)
            tokens[key] = None if record is None else record[5]
        if any(tokens[key] == after for key, (_, after) in changed.items()):
            return True
        return all(tokens[key] != before for key, (before, _) in changed.items())

    def pack(self) -> None:
        if self._lasting is None or self._journal is None or not self._lasting.log.exists():
            return
        with self.store._new_context(quiet=True):
            self.refresh()
            self._journal.shorten(self._told())
            self._lasting.sweep(self._needed())

    # -- in a transaction -------------------------------------------------------------------------

    def _keep(self, key: str, record: Record | None) -> Record | None:
        """A record that is about to be replaced, its content kept."""
        if record is None:
            return None
        kept = self._kept.keep(key, record[0])
        self._open.made.append(kept)
        return (kept, *record[1:])

    def capture(self, context: Any, step: int) -> Captured:
        images: KeyImages = {}
        for key, new in self.store._changed().items():
            if self.follows is not None and not self.follows(key):
                continue
            old = self.store._peek(key)
            if old is None and new is None:
                continue
            self._open.before[key] = None if old is None else old[5]
            if old is not None and new is not None and self._is_same(old, new):
                self._retarget(key, old[5], new[5], step)
                continue
            kept = self._keep(key, old)
            expect = None if new is None else new[5]
            images[key] = Image(expect, kept, self._held(kept, new))
        if not images:
            return NOTHING
        self._open.images[step] = images
        return captured(images)

    def _is_same(self, old: Record, new: Record) -> bool:
        """Whether two versions have the same metadata and the same data."""
        if old[1] != new[1] or old[2] != new[2]:
            return False
        if old[0] is new[0] or self._kept.is_same(old[0], new[0]):
            return True
        return old[2] <= COMPARED_BYTES and _data(old) == _data(new)

    def _held(self, kept: Record | None, live: Record | None) -> int:
        if kept is None or (live is not None and self._kept.is_same(kept[0], live[0])):
            return 0
        return kept[2]

    def _retarget(self, key: str, old: str, new: str, end: int) -> None:
        """A key is what it was, but for its token: the steps are to expect the new one.

        Those on both sides: one token may be what steps further away lead to, too.
        """
        known = [step for step in self.steps if step < end and key in self._now(step)]
        done = [step for step in known if self.is_done(step)]
        for step in (*done[-1:], *known[len(done) :][:1]):
            image = self._now(step)[key]
            if image.expect == old:
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
                self._retarget(key, first.record[5], live[5], into)
                self._release(first.record)
            else:
                held = self._held(first.record, live)
                images[key] = Image(image.expect, first.record, held)
        self._open.images[into] = images
        return captured(images)

    def _is_back(self, first: Record | None, live: Record | None) -> bool:
        """Whether a key has become what it was before the step."""
        if first is None or live is None or first[1:3] != live[1:3]:
            return False
        if self._kept.is_same(first[0], live[0]):
            return True
        content = self._kept.open(first[0], first[2])
        return self._is_same((content, *first[1:]), live)

    def _release(self, record: Record | None) -> None:
        if record is not None:
            self._open.unneeded.append(record[0])

    def exchange(self, context: Any, step: int, skip: Collection[str]) -> int:
        images: KeyImages = {}
        for key, image in self._now(step).items():
            if image.skipped or key in skip:
                images[key] = image._replace(skipped=key in skip)
            else:
                images[key] = self._exchange_one(context, key, image)
        self._open.images[step] = images
        return captured(images).size

    def _exchange_one(self, context: Any, key: str, image: Image) -> Image:
        back, record = self._open.back, image.record
        # What an exchange in this transaction has put there is kept as it was.
        if key in back:
            old = back[key]
        else:
            current = self._current(key)
            self._open.before.setdefault(key, None if current is None else current[5])
            old = self._keep(key, current)
        if record is not None:
            content = self._kept.content(record[0], key)
            self.store._replace(key, None, (content, *record[1:]))
        elif old is not None:
            self.store._remove(key, None)
        back[key] = record
        context.note(key, old and old[1], record and record[1])
        expect = None if record is None else record[5]
        return Image(expect, old, self._held(old, record))

    def settle(self, step: int, keys: Iterable[str]) -> None:
        images = dict(self._open.images[step])
        for key in keys:
            self._release(self._open.back.pop(key, None))
            images[key] = images[key]._replace(expect=self._token(key))
        self._open.images[step] = images

    def forget(self, context: Any, key: str) -> dict[int, Captured]:
        found = {}
        for step in self.steps:
            images = self._now(step)
            if key in images:
                self._release(images[key].record)
                rest = {name: images[name] for name in images if name != key}
                self._open.images[step] = rest
                found[step] = captured(rest)
        return found

    # -- the end of it ----------------------------------------------------------------------------

    def write(self, edit: Edit) -> None:
        mine = self._open
        for step in edit.drop:
            mine.unneeded += contents(self._now(step))
            mine.images.pop(step, None)
        mine.edit = edit
        if self._journal is not None:
            context = self.store._context()
            self._journal.append(self._told(), edit, mine.images, self._changes(), context)
        self._kept.flush()

    def _changes(self) -> Changed:
        """The tokens of the keys that the transaction changes, before and after it."""
        batch = self.store._changed()
        changes = {}
        for key, before in self._open.before.items():
            record = batch.get(key)
            after = None if record is None else record[5]
            if key in batch and after != before:
                changes[key] = (before, after)
        return changes

    def passed(self) -> None:
        edit = self._open.edit
        if edit is None:
            return
        self._images.update(self._open.images)
        self.apply(edit)
        for step in edit.drop:
            self._images.pop(step, None)
        for record in self._open.back.values():
            self._release(record)
        unneeded = self._open.unneeded
        self._open.clear()
        if self._journal is not None:
            self._journal.passed(self._told())
        self._let_go(unneeded)

    def rolled_back(self) -> None:
        made = self._open.made
        self._open.clear()
        self._let_go(made)

    def _let_go(self, kept: list[Any]) -> None:
        """Let go of contents; those that stay for a fault are swept another time."""
        try:
            self._kept.release(kept)
        except Exception:
            _log.warning("earlier versions could not be removed yet", exc_info=True)


def _data(record: Record) -> bytes:
    content: Any = record[0]
    if isinstance(content, bytes):
        return content
    if not hasattr(content, "load"):
        return content.read(0, record[2])  # type: ignore[no-any-return]
    opened = content.load()
    try:
        return opened.read(0, record[2])  # type: ignore[no-any-return]
    finally:
        opened.close()
