"""``get`` and ``cat``: data out of a store, byte for byte."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import IO

from encore.cli.arguments import add_quiet, add_store
from encore.cli.output import is_terminal, stdout
from encore.cli.stores import opened_source
from encore.config import parse_address
from encore.errors import KeyNotFoundError
from encore.storage.abstract_store import AbstractStore
from encore.storage.progress import watched
from encore.storage.values import BUFFER_SIZE
from encore.terminal import ProgressDisplay


def add_get(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Write the data of a key to standard output, or to a file, which is replaced only when "
        "all of the data is there."
    )
    add_store(parser)
    parser.add_argument("key", metavar="KEY", help="the key to read")
    parser.add_argument(
        "-o", "--output", metavar="FILE", default="-", help="write to this file; - for the default"
    )
    add_quiet(parser)
    parser.set_defaults(run=get)


def get(args: argparse.Namespace) -> None:
    path = args.output
    # Between the lines of a terminal that shows the data itself a bar would be lost.
    silent = args.quiet or (path == "-" and is_terminal())
    with (
        opened_source(parse_address(args.store)) as store,
        ProgressDisplay(mode="off" if silent else None),
    ):
        if path == "-":
            _send(store, args.key, stdout())
        elif os.path.exists(path) and not os.path.isfile(path):
            store.get(args.key).close()
            with open(path, "wb", buffering=0) as device:  # /dev/null is not to be replaced
                _send(store, args.key, device)
        else:
            store.to_file(args.key, os.path.realpath(path))


def add_cat(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Write the data of keys to standard output, one after the other. If one of the keys is "
        "missing, nothing is written."
    )
    add_store(parser)
    parser.add_argument("keys", metavar="KEY", nargs="+", help="the keys to read, in this order")
    parser.set_defaults(run=cat)


def cat(args: argparse.Namespace) -> None:
    with opened_source(parse_address(args.store)) as store:
        print_values(store, args.keys, args.store)


def print_values(store: AbstractStore, keys: Sequence[str], name: str) -> None:
    """Write the data of keys to standard output; of none if one is missing in ``name``."""
    for key in keys:
        if not store.exists(key):
            raise KeyNotFoundError(f"there is no key {key!r} in {name}", key=key)
    for key in keys:
        _send(store, key, stdout())


def _send(store: AbstractStore, key: str, sink: IO[bytes]) -> None:
    value = store.get(key)
    try:
        chunks = value.iterdata()
        if (value.size or 0) > BUFFER_SIZE:
            chunks = watched(store, key, chunks, value.size, "Reading")
        for chunk in chunks:
            _write_all(sink, chunk)
    finally:
        value.close()


def _write_all(sink: IO[bytes], chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[sink.write(view) :]
