"""What a service can do, found out by doing it once in a place of its own.

Some servers answer a conditional write with success and ignore the condition; some list in another
order than S3; some keep no user metadata. None of that is announced anywhere, so a store that may
write tries it on objects of its own, and removes them again. What was found out is kept for the
process. A store that is only read tries nothing, and takes what is certain.

Only this subpackage imports this module.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import NamedTuple

from encore.errors import StoreError, UnsupportedError
from encore.storage.backends.bucket.client import Client
from encore.storage.backends.bucket.failures import ConditionFailed
from encore.storage.backends.bucket.names import HIDDEN
from encore.storage.transactions.owners import new_token

__all__ = ["Abilities", "probe"]

PROBES = f"{HIDDEN}probe/"

# Folder by folder, or by chance, they would come in another order.
_IN_ORDER = ("a-b", "a.b", "a/b", "a/c", "a0", "b")

_known: dict[str, Abilities] = {}
_probing = threading.Lock()


class Abilities(NamedTuple):
    """What a service does.

    Attributes
    ----------
    conditions : bool
        Whether a conditional write is refused when it should be.
    is_ordered : bool
        Whether listings are in the order of bytes.
    attributes : bool
        Whether objects have user metadata.
    """

    conditions: bool
    is_ordered: bool
    attributes: bool


def probe(client: Client, where: str | None) -> Abilities:
    """Find out what a service does.

    Parameters
    ----------
    client : Client
    where : str or None
        What identifies the service and bucket; None if nothing does, and nothing is remembered.

    Raises
    ------
    StoreError
        Nothing can be written there.
    """
    if where is None:
        return _try_out(client)
    with _probing:
        if where not in _known:
            _known[where] = _try_out(client)
        return _known[where]


def _try_out(client: Client) -> Abilities:
    folder = f"{PROBES}{new_token()}/"
    condition = f"{folder}condition"
    names = [f"{folder}{name}" for name in _IN_ORDER]
    try:
        attributes = _keeps_attributes(client, names[0])
        list(client.pool.map(lambda name: client.put(name, b"", {}), names[1:]))
        is_ordered = [found.name for found in client.objects(folder, "")] == names
        return Abilities(_keeps_conditions(client, condition), is_ordered, attributes)
    finally:
        with suppress(StoreError):
            client.delete([*names, condition])


def _keeps_attributes(client: Client, name: str) -> bool:
    try:
        client.put(name, b"", {"encoretoken": "probe"})
    except UnsupportedError:
        client.put(name, b"", {})
    found = client.head(name)
    return found is not None and found.attributes.get("encoretoken") == "probe"


def _keeps_conditions(client: Client, name: str) -> bool:
    """Whether all of it holds: create only what is not there, replace only what was seen."""
    try:
        client.put(name, b"1", {}, "create")
        seen = client.head(name)
        if seen is None or not _is_refused(client, name, "create"):
            return False
        client.put(name, b"2", {}, seen.condition)
        return _is_refused(client, name, seen.condition)
    except StoreError:  # not offered, or refused although the condition holds
        return False


def _is_refused(client: Client, name: str, mode: object) -> bool:
    try:
        client.put(name, b"no", {}, mode)
    except ConditionFailed:
        return True
    return False
