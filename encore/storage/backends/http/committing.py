"""A batch, applied key by key: the protocol has no transactions.

Each key changes as one act, on the condition that it is what the transaction saw. The order makes
the best of it: copies within the server first, while their sources are there, then what is new,
and removals last, so that what is moved is there twice rather than not at all. ``dynamic`` imports
this module.
"""

from __future__ import annotations

from collections.abc import Mapping

from encore.errors import CommitUnknownError, EncoreError
from encore.storage.backends.http.protocol import RestProtocol
from encore.storage.backends.http.records import RemoteValue, etag_of
from encore.storage.backends.http.spooling import SpooledData
from encore.storage.transactions.staging import Batch

__all__ = ["Seen", "apply_batch"]

#: What a transaction found under keys when it first looked: token and metadata, or nothing.
Seen = dict[str, tuple[str, str] | None]

_ANYTHING: Mapping[str, str] = {}


def apply_batch(
    rest: RestProtocol, batch: Batch, seen: Seen, applied: list[str], *, anyway: bool
) -> None:
    """Apply a batch.

    Parameters
    ----------
    rest : RestProtocol
    batch : dict of str to Record or None
    seen : Seen
    applied : list of str
        Filled with the keys that have changed, which stay so whatever is raised.
    anyway : bool
        Whether what is written replaces whatever is there.

    Raises
    ------
    CommitUnknownError
        It ended on the way, or nothing is known of the first key.
    ConflictError, RequestError
        The first key was refused.
    """
    try:
        for key in _in_order(batch):
            condition = _ANYTHING if anyway or key not in seen else _condition(seen[key])
            record = batch[key]
            if record is not None:
                rest.put(key, record, condition, keep=False)
            elif key not in seen or seen[key] is not None:
                rest.delete(key, condition)
            applied.append(key)
    except EncoreError as error:
        if not applied:
            raise
        raise CommitUnknownError(
            f"the commit ended after {len(applied)} of {len(batch)} keys, which stay changed: "
            f"{', '.join(map(repr, applied[:5]))}{'...' if len(applied) > 5 else ''}; the others "
            f"are as they were, but for the one that was refused: {error}",
            store=error.store,
            key=error.key,
        ) from error


def _in_order(batch: Batch) -> list[str]:
    """The keys in the order in which they are to be changed, with all that they need at hand."""
    copies = {}
    for key, record in batch.items():
        if record is not None and isinstance(record[0], RemoteValue) and record[0].key != key:
            copies[key] = record, record[0]
    for key, (record, content) in copies.items():
        # Its source may be overwritten before its turn comes: two values that change places.
        if content.key in copies:
            batch[key] = (SpooledData(content.chunks(0, content.size, 1 << 20)), *record[1:])
    return sorted(batch, key=lambda key: 2 if batch[key] is None else int(key not in copies))


def _condition(found: tuple[str, str] | None) -> dict[str, str]:
    return {"If-None-Match": "*"} if found is None else {"If-Match": etag_of(found[0])}
