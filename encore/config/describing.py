"""What a store would be and promise, told without opening it.

The stores of a graph that is about to be thrown away are asked for their own ``info()``; those
whose answer comes from an open file are made to answer from their settings instead. ``factory``
imports this module.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from encore.config.graphs import Node
from encore.storage.backend import BackendStore

__all__ = ["describe"]

# Stores that hold a whole value in memory where others pass it on in pieces; those that only turn
# one stream into another have a codec and pass on.
_WHOLE_VALUES = frozenset(("BufferStore", "DictStore", "JsonStore", "TextEncodingStore"))

# Backends whose `info` opens them: it asks SQLite.
_OPENED_BY_INFO = frozenset(("SqliteStore", "HashdirStore"))

_SETTINGS = ("path", "readonly", "durability")


def describe(node: Node) -> dict[str, Any]:
    """Return what `StoreFactory.describe` documents."""
    uses = Counter(id(base) for above in node.walk() for _, base in above.bases)
    for each in node.walk():
        if not each.bases:
            _answer_unopened(each)
    return _described(node, uses, set())


def _described(node: Node, uses: Counter[int], told: set[int]) -> dict[str, Any]:
    found: dict[str, Any] = {"name": node.name, "type": node.kind, "config": node.settings}
    found["shared"] = uses[id(node)] > 1
    if id(node) in told:
        return {**found, "repeated": True}
    told.add(id(node))
    found["promises"] = _promises(node)
    found["bases"] = [{"role": role, **_described(base, uses, told)} for role, base in node.bases]
    return found


def _promises(node: Node) -> dict[str, Any]:
    info = _info(node)
    return {
        "transactions": info.get("transactions"),
        "durability": _durability(node, info),
        "listing": _listing(node, info),
        "key_bytes": info.get("key_bytes"),
        "streaming": _streaming(node, info),
        "readonly": info.get("readonly"),
    }


def _info(node: Node) -> dict[str, Any]:
    # A stranger's store might open itself to answer.
    if not node.bases and not isinstance(node.store, BackendStore):
        return {}
    try:
        info: dict[str, Any] = node.store.info()
    except Exception:  # a store over a stranger's that could not answer either
        return {}
    return info


def _answer_unopened(node: Node) -> None:
    """Have a backend say of itself what its arguments say."""
    store = node.store
    ours = type(store).__module__.startswith("encore.storage.")
    if not isinstance(store, BackendStore) or (
        ours and type(store).__name__ not in _OPENED_BY_INFO
    ):
        return
    defaults = {name: one.default for name, one in node.parameters.items() if not one.is_required}
    known = {**defaults, **node.values}
    settings = {name: known[name] for name in _SETTINGS if name in known}
    # The store is ours alone, and closed as soon as it has answered.
    vars(store)["_describe"] = lambda: settings
    if "info" in vars(type(store)):
        vars(store)["info"] = lambda: {**BackendStore.info(store), **settings}


def _durability(node: Node, info: dict[str, Any]) -> str | None:
    """What a commit survives: ``"process"``, ``"power"``, or ``"none"``, nothing."""
    if "durability" in info and info.get("path") != ":memory:":
        return str(info["durability"])
    ends = [leaf for leaf in node.walk() if not leaf.bases]
    in_memory = [
        type(leaf.store).__name__ in ("DictStore", "NullStore")
        or ":memory:" in (leaf.values.get("path"), _info(leaf).get("path"))
        for leaf in ends
    ]
    if all(in_memory):
        return "none"
    known = {_durability(base, _info(base)) for _, base in node.bases}
    return known.pop() if len(known) == 1 else None


def _listing(node: Node, info: dict[str, Any]) -> str | None:
    """``"ordered"``, ``"collected"`` (in order, after all keys are in memory), or ``"none"``."""
    if not info:
        return None
    if info.get("listing") is False:
        return "none"
    keymap = getattr(node.store, "keymap", None)
    beneath = [_listing(base, _info(base)) for _, base in node.bases]
    if "collected" in beneath or (keymap is not None and not keymap.keeps_order):
        return "collected"
    return "ordered"


def _streaming(node: Node, info: dict[str, Any]) -> bool | None:
    """Whether large values take constant memory."""
    if "streaming" in info:
        return bool(info["streaming"])
    if type(node.store).__name__ in _WHOLE_VALUES and not hasattr(node.store, "codec"):
        return False
    if node.bases:
        beneath = [_streaming(base, _info(base)) for _, base in node.bases]
        return False if False in beneath else None if None in beneath else True
    return True if type(node.store).__module__.startswith("encore.storage.") else None
