"""``ls``, ``info`` and ``query``: what there is, without reading data."""

from __future__ import annotations

import argparse

from encore.cli.arguments import add_json, add_store
from encore.cli.fields import parse_fields
from encore.cli.output import (
    count_text,
    printable,
    size_text,
    time_text,
    write_json,
    write_key,
    write_line,
)
from encore.cli.stores import opened_source
from encore.config import parse_address
from encore.storage.abstract_store import AbstractStore
from encore.storage.metadata import encode_metadata


def add_ls(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "List the keys of a store, one per line, in code-point order. On a terminal and with "
        "--long what does not print is escaped; into a pipe keys go as they are; for keys that may "
        "contain line breaks use --json."
    )
    add_store(parser)
    parser.add_argument(
        "prefix", metavar="PREFIX", nargs="?", default="", help="only keys that begin with this"
    )
    add_ls_options(parser)
    parser.set_defaults(run=ls)


def add_ls_options(parser: argparse.ArgumentParser) -> None:
    """Add what `list_keys` looks at."""
    parser.add_argument(
        "-l", "--long", action="store_true", help="sizes in bytes and times of change, too"
    )
    add_json(parser, "a JSON object for each key: key, size, modified (seconds, UTC), token")


def ls(args: argparse.Namespace) -> None:
    with opened_source(parse_address(args.store)) as store:
        list_keys(store, args.prefix, args)


def list_keys(store: AbstractStore, prefix: str, args: argparse.Namespace) -> None:
    """Print the keys of a store that begin with ``prefix``, as the options say."""
    if args.json:
        for entry in store.entries(prefix):
            write_json(entry._asdict())
    elif args.long:
        for key, size, modified, _token in store.entries(prefix):
            shown = "?" if size is None else f"{size:,}"
            write_line(f"{shown:>15}  {time_text(modified)}  {printable(key)}")
    else:
        for key in store.keys(prefix):
            write_key(key)


def add_info(parser: argparse.ArgumentParser) -> None:
    parser.description = "Say what a store is, what it promises, and how much it holds."
    add_store(parser)
    add_json(parser, "as a JSON object")
    parser.set_defaults(run=info)


def info(args: argparse.Namespace) -> None:
    address = parse_address(args.store)
    with opened_source(address) as store:
        keys, size = store.totals()
        # Commands open what they read for reading only: that says nothing of the store.
        known = {name: value for name, value in store.info().items() if name != "readonly"}
    if args.json:
        write_json({"address": str(address), **known, "keys": keys, "bytes": size})
        return
    shown = {"address": address, **known, "keys": f"{keys:,}", "size": _size(size)}
    width = max(map(len, shown))
    for name, value in shown.items():
        write_line(f"{name + ':':<{width + 1}} {printable(str(value))}")


def _size(size: int | None) -> str:
    if size is None:
        return "not known without reading it"
    exact = count_text(size, "byte")
    return exact if size < 1000 else f"{size_text(size)} ({exact})"


def add_query(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "List the keys whose metadata has all of these values, each with its metadata. A VALUE is "
        "JSON if it reads as JSON, and text otherwise."
    )
    add_store(parser)
    parser.add_argument(
        "fields",
        metavar="NAME=VALUE",
        nargs="*",
        help="a field and the value it must have; without any, every key is listed",
    )
    parser.add_argument("--keys", action="store_true", help="only the keys")
    add_json(parser, "a JSON object for each key: key, metadata")
    parser.set_defaults(run=query)


def query(args: argparse.Namespace) -> None:
    where = parse_fields(args.fields)
    with opened_source(parse_address(args.store)) as store:
        if args.keys:
            for key in store.query_keys(where):
                if args.json:
                    write_json({"key": key})
                else:
                    write_key(key)
            return
        for key, metadata in store.query(where=where):
            if args.json:
                write_json({"key": key, "metadata": metadata})
            else:
                write_line(f"{printable(key)}  {printable(encode_metadata(metadata))}")
