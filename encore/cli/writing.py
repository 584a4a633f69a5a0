"""``put``, ``rm`` and ``meta``: changes to single keys."""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from itertools import chain

from encore.cli.arguments import (
    UsageError,
    add_dry_run,
    add_durability,
    add_json,
    add_quiet,
    add_store,
)
from encore.cli.fields import format_field, parse_fields
from encore.cli.output import count_text, stdin, write_json, write_key, write_line
from encore.cli.recording import add_history, label_of, recorded
from encore.cli.stores import opened_source, opened_target
from encore.config import parse_address
from encore.errors import KeyNotFoundError, StoreError
from encore.storage.abstract_store import AbstractStore
from encore.terminal import ProgressDisplay


def add_put(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Store data under a key, and replace the data and metadata that are there. The store is "
        "made if it is missing."
    )
    add_store(parser)
    parser.add_argument("key", metavar="KEY", help="the key to write")
    parser.add_argument(
        "file", metavar="FILE", nargs="?", default="-", help="the data; - or nothing: what comes in"
    )
    parser.add_argument(
        "--meta",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a field of metadata, once for each; VALUE is JSON if it reads as JSON, or text",
    )
    add_durability(parser)
    add_history(parser)
    add_quiet(parser)
    parser.set_defaults(run=put)


def put(args: argparse.Namespace) -> None:
    metadata = parse_fields(args.meta)
    address = parse_address(args.store)
    # Before the store, which a wrong file name should not make.
    data = nullcontext(stdin()) if args.file == "-" else open(args.file, "rb", buffering=0)  # noqa: SIM115
    with (
        data as stream,
        opened_target(address, durability=args.durability) as target,
        recorded(args, target.store, f"put {args.key}"),
        ProgressDisplay(mode="off" if args.quiet else None),
    ):
        before = _token(target.store, args.key)
        try:
            target.store.put(args.key, stream, metadata)
        except BaseException:
            if _token(target.store, args.key) != before:
                target.left = "was complete already"
            raise


def _token(store: AbstractStore, key: str) -> str | None:
    if not store.exists(key):
        return None
    value = store.get(key)
    value.close()
    return value.token


def add_rm(parser: argparse.ArgumentParser) -> None:
    parser.description = "Remove keys, all of them or, if one is missing, none."
    add_store(parser)
    parser.add_argument("keys", metavar="KEY", nargs="*", help="the keys to remove")
    parser.add_argument("--prefix", help="remove every key that begins with this")
    parser.add_argument("--all", action="store_true", help="remove every key")
    parser.add_argument("--missing-ok", action="store_true", help="keys may be missing")
    add_dry_run(parser)
    add_durability(parser)
    add_history(parser)
    add_json(parser, "print the number of removed keys as a JSON object")
    add_quiet(parser, "print nothing")
    parser.set_defaults(run=rm)


def rm(args: argparse.Namespace) -> None:
    if not args.keys and args.prefix is None and not args.all:
        raise UsageError("rm wants a KEY, or --prefix, or --all (see 'encore rm --help')")
    if args.prefix == "":
        raise UsageError("every key begins with an empty --prefix; to remove them all say --all")
    prefix = "" if args.all else args.prefix
    address = parse_address(args.store)
    if args.dry_run:
        with opened_source(address) as store:
            _preview(args, store, prefix)
        return
    where = " --all" if args.all else "" if prefix is None else f" --prefix {prefix}"
    label = label_of(f"rm{where}", args.keys)
    with (
        opened_target(address, create=False, durability=args.durability) as target,
        recorded(args, target.store, label),
        target.store.transaction(label),
    ):
        store = target.store
        count = 0
        for key in dict.fromkeys(args.keys):
            count += store.exists(key)
            store.delete(key, missing_ok=args.missing_ok)
        if prefix is not None:
            count += store.totals(prefix)[0]
            store.clear(prefix)
    if args.json:
        write_json({"removed": count})
    elif not args.quiet:
        write_line(f"removed {count_text(count, 'key')}")


def _preview(args: argparse.Namespace, store: AbstractStore, prefix: str | None) -> None:
    named = dict.fromkeys(args.keys)
    missing = [key for key in named if not store.exists(key)]
    if missing and not args.missing_ok:
        raise KeyNotFoundError(f"there is no key {missing[0]!r} in {args.store}", key=missing[0])
    more = () if prefix is None else (key for key in store.keys(prefix) if key not in named)
    for key in chain((key for key in named if key not in missing), more):
        if args.json:
            write_json({"key": key})
        else:
            write_key(key)


def add_meta(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Show the metadata of a key as NAME=VALUE lines, or change it. A VALUE is JSON if it reads "
        "as JSON, and text otherwise."
    )
    add_store(parser)
    parser.add_argument("key", metavar="KEY", help="the key; it must exist")
    parser.add_argument(
        "fields", metavar="NAME=VALUE", nargs="*", help="a field to set; the others are kept"
    )
    parser.add_argument(
        "--replace", action="store_true", help="drop the fields that are not given here"
    )
    parser.add_argument(
        "--delete",
        metavar="NAME",
        action="append",
        default=[],
        help="drop this field; once for each",
    )
    add_durability(parser)
    add_history(parser)
    add_json(parser, "show the metadata as a JSON object")
    parser.set_defaults(run=meta)


def meta(args: argparse.Namespace) -> None:
    if args.replace and args.delete:
        raise UsageError("--replace drops every other field: --delete has no place beside it")
    fields = parse_fields(args.fields)
    address = parse_address(args.store)
    if not fields and not args.replace and not args.delete:
        with opened_source(address) as store:
            metadata = store.get_metadata(args.key)
        if args.json:
            write_json(metadata)
        else:
            for name, value in metadata.items():
                write_line(format_field(name, value))
        return
    # Names only: a value may be a secret, and a label is read by more eyes than metadata.
    label = label_of("meta", [args.key, *args.delete, *fields])
    with (
        opened_target(address, create=False, durability=args.durability) as target,
        recorded(args, target.store, label),
        target.store.transaction(label),
    ):
        metadata = target.store.get_metadata(args.key)
        for name in args.delete:
            if name not in metadata:
                raise StoreError(f"{args.key!r} has no field {name!r} in its metadata")
        kept = {} if args.replace else {k: v for k, v in metadata.items() if k not in args.delete}
        target.store.set_metadata(args.key, {**kept, **fields})
