"""What a staged ledger writes down, so that it is there after a restart.

The log has one record for each commit, which says what becomes different: steps, state, images. It
is written *before* the store applies its batch, under the lock of the writer, so a crash can leave
a last record of which nothing came to be. A record therefore says the tokens that its keys have
before and after it, and whoever opens the log next compares them with the store, which commits all
or nothing: if a key is as it was before, there was no commit, and the record is *called off* by one
more record. So the log only grows, and nobody has to wonder about what was read::

    {"put": [[7, ...]], "images": {"7": {"a": [...]}}, "changed": {"a": ["t1", "t2"]}}
    {"called_off": true}                   after a crash, or a rollback
    {"state": [0, 0, 7, 0]}                says nothing of keys, and counts

A log that has become long is replaced by one that says what there is. Who reads without the lock
leaves a last record alone that may be under way. Only ``staged_ledger`` imports this module.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from encore.errors import UnsupportedError
from encore.history.images import Image, KeyImages
from encore.history.ledger import Edit
from encore.history.logged import decoded
from encore.history.steps import State, Summary
from encore.storage.transactions.recording import VersionLog

_log = logging.getLogger("encore.history")

# For each key that a transaction changes its token before and after; None: not there.
Changed = Mapping[str, tuple[str | None, str | None]]

_FORMAT = 1
_SHORT = 1 << 18  # a log up to this size, in bytes, is left as it is
_GROWTH = 4  # and one that is up to this many times as long as what it says


class Told(NamedTuple):
    """What a log says, when all of it has been read."""

    steps: dict[int, Summary]
    images: dict[int, KeyImages]
    state: State


class Journal:
    """The log of a ledger.

    Parameters
    ----------
    log : VersionLog
    happened : callable
        Whether a transaction that made these changes was committed, by what the store has.

    Notes
    -----
    *Threads*: `read` without a transaction any, the rest whoever has the lock of the store.
    """

    def __init__(self, log: VersionLog, happened: Callable[[Changed], bool]) -> None:
        self._log = log
        self._happened = happened
        self._turn = threading.RLock()
        self._writing: Any = None  # the transaction whose record is the last one
        self._longest = _SHORT

    # -- reading ----------------------------------------------------------------------------------

    def read(self, known: Told, context: Any) -> Told | None:
        """Return what the log says by now; None if that is known.

        Parameters
        ----------
        known : Told
            What it said the last time; not changed.
        context : context or None
            The transaction that is open, which keeps others from writing.
        """
        if self._writing is None and self._log.is_current():
            return None
        with self._turn:
            if self._writing is not None:
                if context is None or context is self._writing:
                    return None  # it will be known when it has been committed
                self._call_off()
            return None if self._log.is_current() else self._read(known, context is not None)

    def _call_off(self) -> None:
        """The last transaction of this process ended without a commit."""
        self._writing = None
        if self._log.is_current():
            self._append({"called_off": True})
        else:
            self._log.start_over()  # others have come between, and decided what it was

    def _read(self, known: Told, is_locked: bool) -> Told:
        is_new, found = self._log.read(mend=is_locked)
        records = [decoded(record) for record in found]
        if records and not is_new and "called_off" in records[0]:
            self._log.start_over()  # that is known already
            return self._read(known, is_locked)
        told: list[dict[str, Any]] = []
        for record in records:
            if "called_off" in record:
                del told[-1:]
            else:
                told.append(record)
        if told and told[-1] is records[-1] and self._is_idle(told[-1]):
            told.pop()
            if is_locked:
                self._append({"called_off": True})
            else:
                self._log.step_back()
        if is_new:
            known = Told({}, {}, State())
        result = _replayed(known, told)
        if is_new:
            self._longest = max(_SHORT, int(self._log.size * _share(result, told)) * _GROWTH)
        return result

    def _is_idle(self, record: dict[str, Any]) -> bool:
        """Whether nothing came of a record."""
        changed: Changed = record.get("changed", {})
        return bool(changed) and not self._happened(changed)

    def is_current(self) -> bool:
        """Whether there is nothing to read, and nothing to be called off."""
        return self._writing is None and self._log.is_current()

    # -- writing ----------------------------------------------------------------------------------

    def append(
        self,
        known: Told,
        edit: Edit,
        images: Mapping[int, KeyImages],
        changed: Changed,
        context: Any,
    ) -> None:
        """Write down what a transaction is about to do."""
        record: dict[str, Any] = {}
        if edit.put:
            record["put"] = list(edit.put.values())
        if edit.drop:
            record["drop"] = edit.drop
        if edit.state != known.state:
            record["state"] = edit.state
        differences = _differences(known.images, images)
        if differences:
            record["images"] = differences
        if not record:
            return
        if changed:
            record["changed"] = changed
        self._write(record, context)

    def append_one(self, step: Summary, key: str, image: Image, context: Any) -> None:
        """Write down that a step is about to be which changes one key, and nothing else."""
        before = None if image.record is None else image.record[5]
        record = {
            "put": [step],
            "images": {step.id: {key: image.to_json()}},
            "changed": {key: (before, image.expect)},
        }
        self._write(record, context)

    def _write(self, record: dict[str, Any], context: Any) -> None:
        with self._turn:
            if not self._log.size:
                self._append({"format": _FORMAT})
            self._append(record)
            self._writing = context

    def _append(self, record: dict[str, Any]) -> None:
        self._log.append(_encoded(record))

    def passed(self, told: Told) -> None:
        """What was written down has been committed; this is what there is now. Never fails."""
        with self._turn:
            self._writing = None
            if self._log.size > self._longest:
                try:
                    self.shorten(told)
                except Exception:
                    _log.warning("the log of a history could not be shortened", exc_info=True)
                    self._longest = self._log.size * 2

    def shorten(self, told: Told) -> None:
        """Have the log say what there is, and nothing of how it came to be."""
        with self._turn:
            self._log.replace(map(_encoded, _records(told)))
            self._longest = max(_SHORT, self._log.size * _GROWTH)


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _encoded(record: dict[str, Any]) -> bytes:
    return _encode(record).encode(errors="surrogatepass")


def _differences(known: Mapping[int, KeyImages], images: Mapping[int, KeyImages]) -> dict[int, Any]:
    """What becomes different of images: for each step and key the new one, or None."""
    found = {}
    for step, new in images.items():
        old = known.get(step, {})
        changed: dict[str, Any] = {
            key: image.to_json() for key, image in new.items() if old.get(key) is not image
        }
        changed.update(dict.fromkeys(old.keys() - new.keys()))
        if changed:
            found[step] = changed
    return found


def _replayed(known: Told, records: list[dict[str, Any]]) -> Told:
    steps, images, state = dict(known.steps), dict(known.images), known.state
    for record in records:
        if record.get("format", _FORMAT) > _FORMAT:
            raise UnsupportedError("a newer encore has written the history; update encore")
        for number, changed in record.get("images", {}).items():
            mine = dict(images.get(int(number), {}))
            for key, image in changed.items():
                if image is None:
                    mine.pop(key, None)
                else:
                    mine[key] = Image.from_json(image)
            images[int(number)] = mine
        for summary in record.get("put", ()):
            steps[summary[0]] = Summary(*summary)
        for step in record.get("drop", ()):
            steps.pop(step, None)
            images.pop(step, None)
        if "state" in record:
            state = State(*record["state"])
    return Told(dict(sorted(steps.items())), images, state)


def _records(told: Told) -> Iterator[dict[str, Any]]:
    """The records of a log that says this."""
    yield {"format": _FORMAT, "state": told.state}
    for step, summary in told.steps.items():
        images = told.images.get(step, {})
        yield {
            "put": [summary],
            "images": {step: {key: image.to_json() for key, image in images.items()}},
        }


def _share(told: Told, records: list[dict[str, Any]]) -> float:
    """How much of what was read still counts."""
    read = sum(len(keys) for record in records for keys in record.get("images", {}).values())
    return sum(map(len, told.images.values())) / read if read else 1.0
