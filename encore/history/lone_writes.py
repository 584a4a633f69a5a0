"""Ledgers that follow single writes on the shortest way that a store has for them.

Most writes of most programs are single writes of small values, each of which becomes a step of its
own and changes nothing else of the history. A store with a shorter way for them than a transaction
asks its ledger whether that is so, and takes the general way if not. ``ledgers`` imports this
module.
"""

from __future__ import annotations

from typing import Any

from encore.history.images import Image
from encore.history.ledger import COMPARED_BYTES
from encore.history.staged_ledger import StagedLedger
from encore.history.steps import Summary
from encore.storage.backends.filesystem.alone import LoneWrite, Unusual
from encore.storage.backends.filesystem.records import Fields
from encore.storage.backends.memory import with_token
from encore.storage.template import Record
from encore.storage.transactions.owners import token_text


class LoneLedger(StagedLedger):
    """A ledger that can make a step of a single write.

    The parameters are those of `StagedLedger`.
    """

    def is_ready(self, key: str) -> bool:
        """Whether a single write of a key would be a new step, and nothing else would change."""
        if self._journal is not None and not self._journal.is_current():
            return False
        return self.may_append() and (self.follows is None or self.follows(key) is not None)

    def _summary(self, key: str, held: int) -> Summary:
        step = self.next_id(None)
        name = key if self.follows is None else self.follows(key)
        return Summary(step, self.clock(), f"Set {name}", "Set", None, {}, None, 1, held)

    def _add(self, step: Summary, key: str, image: Image) -> None:
        self._images[step.id] = {key: image}
        self.steps[step.id] = step


class MemoryLedger(LoneLedger):
    """The ledger of a `DictStore`.

    The parameters are those of `StagedLedger`.
    """

    def attach(self) -> None:
        super().attach()
        if self._journal is None:
            self.store._appending = self

    def detach(self) -> None:
        self.store._appending = None
        super().detach()

    def append(self, key: str, old: Record | None, data: bytes, text: str, number: int) -> bool:
        """Make a step of a write that replaces ``old``. False: it is to take the general way."""
        if not self.is_ready(key):
            return False
        held = 0
        if old is not None:
            if old[0] == data and old[1] == text:
                return False  # nothing is changed but the token
            old, held = with_token(old), old[2]
        image = Image(token_text(number), old, held)
        self._add(self._summary(key, held), key, image)
        return True


class FilesLedger(LoneLedger):
    """The ledger of a `FilesystemStore` that keeps versions by itself; see `LoneWrites`.

    The parameters are those of `StagedLedger`.
    """

    _begun: tuple[Summary, str, Image] | None = None

    def attach(self) -> None:
        super().attach()
        self.store._history = self

    def detach(self) -> None:
        self.store._history = None
        super().detach()

    def begin(self, write: LoneWrite, old: Fields | None, new: Fields) -> None:
        files: Any = self._kept
        there, held, record = write.old, 0, None
        if there is not None and old is not None:
            held = there.st_size
            is_like = (held, old.text) == (len(write.data), new.text)
            if is_like and held <= COMPARED_BYTES and write.is_same():
                raise Unusual  # nothing is changed but the token
            record = (files.keep_at(write.folder, write.name, there), old.text, held, *old[1:])
        step = self._summary(write.key, held)
        self._begun = (step, write.key, Image(new.token, record, held))
        if self._journal is not None:
            self._journal.append_one(*self._begun, self)
        files.flush()

    def done(self) -> None:
        begun, self._begun = self._begun, None
        if begun is not None:
            self._add(*begun)
            if self._journal is not None:
                self._journal.passed(self._told())

    def failed(self) -> None:
        begun, self._begun = self._begun, None
        if begun is not None and begun[2].record is not None:
            self._let_go([begun[2].record[0]])
