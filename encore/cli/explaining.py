"""``explain``: what a configuration builds and promises, without opening any of it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from encore.cli.arguments import add_json
from encore.cli.output import printable, write_json, write_line
from encore.config import StoreFactory

_TRANSACTIONS = {
    "native": "native transactions",
    "staged": "staged transactions",
    "none": "no transactions",
}
_DURABILITY = {
    "process": "survives a crash",
    "power": "survives a power cut",
    "none": "gone when it is closed",
}
_LISTING = {
    "ordered": "ordered listings",
    "collected": "listings sorted in memory",
    "none": "no listings",
}


def add_explain(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Say which stores a configuration builds, and what each of them promises. Nothing is "
        "opened and no file is made. Secrets are shown as ***, and variables by their names."
    )
    parser.add_argument("file", metavar="FILE", help="the configuration: .yaml, .toml or .json")
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help="the store to explain; by default the main one"
    )
    add_json(parser, "as a JSON object")
    parser.set_defaults(run=explain)


def explain(args: argparse.Namespace) -> None:
    found = StoreFactory(args.file).describe(args.name)
    if args.json:
        write_json(found)
        return
    for line in _lines(found, "", ""):
        write_line(printable(line))


def _lines(store: dict[str, Any], first: str, rest: str) -> Iterator[str]:
    """The tree of a store: ``first`` stands before its first line, ``rest`` before the others."""
    role = f"{store['role']}: " if "role" in store else ""
    shared = " (shared)" if store["shared"] else ""
    if store.get("repeated"):
        yield f"{first}{role}{store['name']} (shared, see above)"
        return
    yield f"{first}{role}{_title(store)}{shared}"
    bases = store["bases"]
    yield f"{rest}{'|   ' if bases else '    '}{_promises(store['promises'])}"
    for place, base in enumerate(bases, 1):
        is_last = place == len(bases)
        yield from _lines(base, f"{rest}+-- ", f"{rest}{'    ' if is_last else '|   '}")


def _title(store: dict[str, Any]) -> str:
    config = store["config"]
    if config == {"address": store["name"]}:  # one that no name was given to
        return f"{store['type']} at {store['name']}"
    settings = ", ".join(f"{name}={_text(value)}" for name, value in config.items())
    return f"{store['name']}: {store['type']}({settings})"


def _text(value: Any) -> str:
    return value if value == "***" else json.dumps(value, ensure_ascii=False)


def _promises(promises: dict[str, Any]) -> str:
    key_bytes, streaming = promises["key_bytes"], promises["streaming"]
    found = [
        "read-only" if promises["readonly"] else None,
        _TRANSACTIONS.get(promises["transactions"], promises["transactions"]),
        _DURABILITY.get(promises["durability"], promises["durability"]),
        _LISTING.get(promises["listing"], promises["listing"]),
        None if key_bytes is None else f"keys up to {key_bytes:,} bytes",
        None
        if streaming is None
        else "streams large values"
        if streaming
        else "holds whole values in memory",
    ]
    known = ", ".join(text for text in found if text)
    return known or "what it promises is not known without opening it"
