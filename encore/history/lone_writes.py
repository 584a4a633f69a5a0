"""Ledgers that follow single writes on the shortest way that a store has for them.

Most writes of most programs are single writes of small values, each of which becomes a step of its
own and changes nothing else of the history. A store with a shorter way for them than a transaction
asks its ledger whether that is so, and takes the general way if not. ``ledgers`` imports this
module.
"""

from __future__ import annotations

import threading
from collections import deque
from itertools import islice
from typing import Any

from encore.history.images import Image, contents
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
        return self.may_append() and (self.follows is None or self.follows(key) is not None)

    def _summary(self, step: int, key: str, now: float, held: int) -> Summary:
        name = key if self.follows is None else self.follows(key)
        return Summary(step, now, f"Set {name}", "Set", None, {}, None, 1, held)


class MemoryLedger(LoneLedger):
    """The ledger of a `DictStore`.

    Lone writes only take their place in a queue. They become steps when somebody looks at the
    steps, which for most of them is never: they are dropped before.

    The parameters are those of `StagedLedger`.
    """

    def __init__(self, *args: Any) -> None:
        self._queue: deque[tuple[str, Record | None, int, float]] = deque()
        self._taking = threading.Lock()
        super().__init__(*args)

    @property
    def steps(self) -> dict[int, Summary]:
        if self._queue:
            self._take()
        return self._steps

    @steps.setter
    def steps(self, steps: dict[int, Summary]) -> None:
        self._steps = steps

    @property
    def count(self) -> int:
        return len(self._steps) + len(self._queue)

    def _take(self) -> None:
        """Make steps of the writes in the queue."""
        with self._taking:
            step, steps = self._last(), dict(self._steps)  # others may look through the old
            while self._queue:
                key, old, number, now = self._queue.popleft()
                step, held = step + 1, 0 if old is None else old[2]
                record = None if old is None else with_token(old)
                self._images[step] = {key: Image(token_text(number), record, held)}
                steps[step] = self._summary(step, key, now, held)
            self._steps = steps

    def _last(self) -> int:
        """The id of the last step, but for those in the queue."""
        return max(next(reversed(self._steps), 0), self.state.base, self.state.last)

    def _drop(self, count: int) -> None:
        """Let go of the oldest steps, without making steps of those in the queue."""
        with self._taking:
            known = [*islice(self._steps, count)]
            queued = count - len(known)
            step = known[-1] if not queued else self._last() + queued
            for _ in range(queued):
                self._queue.popleft()
            gone = [kept for number in known for kept in contents(self._images.pop(number))]
            self._steps = {key: self._steps[key] for key in islice(self._steps, count, None)}
            self.state = self.state.without(step)
        self._let_go(gone)

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
        if old is not None and old[0] == data and old[1] == text:
            return False  # nothing is changed but the token
        superfluous = self.superfluous(self.count)
        if superfluous:
            self._drop(superfluous)
        self._queue.append((key, old, number, self.clock()))
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

    def is_ready(self, key: str) -> bool:
        journal = self._journal
        if self.superfluous(self.count) or not (journal is None or journal.is_current()):
            return False
        return super().is_ready(key)

    def begin(self, write: LoneWrite, old: Fields | None, new: Fields) -> None:
        files: Any = self._kept
        there, held, record = write.old, 0, None
        if there is not None and old is not None:
            held = there.st_size
            is_like = (held, old.text) == (len(write.data), new.text)
            if is_like and held <= COMPARED_BYTES and write.is_same():
                raise Unusual  # nothing is changed but the token
            record = (files.keep_at(write.folder, write.name, there), old.text, held, *old[1:])
        step = self._summary(self.next_id(None), write.key, self.clock(), held)
        self._begun = (step, write.key, Image(new.token, record, held))
        if self._journal is not None:
            self._journal.append_one(*self._begun, self)
        files.flush()

    def done(self) -> None:
        begun, self._begun = self._begun, None
        if begun is not None:
            step, key, image = begun
            self._images[step.id] = {key: image}
            self.steps[step.id] = step
            if self._journal is not None:
                self._journal.passed(self._told())

    def failed(self) -> None:
        begun, self._begun = self._begun, None
        if begun is not None and begun[2].record is not None:
            self._let_go([begun[2].record[0]])
