"""``copy`` and ``sync``: from store to store, in one transaction."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from encore.cli.arguments import (
    add_dry_run,
    add_durability,
    add_json,
    add_quiet,
    add_store,
    positive,
)
from encore.cli.output import (
    count_text,
    duration_text,
    rate_text,
    size_text,
    write_json,
    write_line,
)
from encore.cli.recording import add_history, recorded, typed
from encore.cli.stores import (
    Target,
    check_apart,
    check_not_overwritten,
    opened_source,
    opened_target,
)
from encore.config import parse_address
from encore.storage.abstract_store import AbstractStore
from encore.storage.api import CopyResult, DictStore, copy_store, sync_stores
from encore.terminal import ProgressDisplay

_DIRECTORIES = (
    "A directory is copied as its files: their contents, names and times. Empty directories and "
    "file permissions are not kept, and links are not followed. A directory that is written gets "
    "a folder .encore for what no file can hold; no copy contains it."
)


def add_copy(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Copy every key of one store into another, with metadata and times. The copy is one "
        "transaction: if it fails or is cancelled, the target is as it was. " + _DIRECTORIES
    )
    _add_pair(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--overwrite",
        action="store_true",
        help="replace keys that the target has already (the default)",
    )
    which.add_argument(
        "--skip", action="store_true", help="leave keys alone that the target has already"
    )
    _add_common(parser)
    parser.set_defaults(run=copy)


def add_sync(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Make a store hold what another one does, copying only what is missing or differs, in one "
        "transaction. " + _DIRECTORIES
    )
    _add_pair(parser)
    parser.add_argument(
        "--delete", action="store_true", help="remove keys that the source does not have"
    )
    parser.add_argument(
        "--compare",
        choices=("token", "size", "digest"),
        default="token",
        help="what makes two values the same: one is an unchanged copy of the other (token, the "
        "default), they have the same size, or the same SHA-256, which reads everything (digest)",
    )
    _add_common(parser)
    parser.set_defaults(run=sync)


def _add_pair(parser: argparse.ArgumentParser) -> None:
    add_store(parser, "source", "the address of the store to read; it must exist")
    add_store(parser, "target", "the address of the store to write; it is made if it is missing")


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prefix", default="", help="only keys that begin with this")
    parser.add_argument(
        "--verify",
        action="store_true",
        help="read every value back and compare its SHA-256 before the commit",
    )
    parser.add_argument(
        "--batch",
        type=positive,
        metavar="N",
        help="a transaction for every N keys instead of one for all of them",
    )
    add_durability(parser)
    add_history(parser)
    add_dry_run(parser)
    add_json(parser, "print the result as a JSON object")
    add_quiet(parser, "print nothing, and draw no progress bars")


def copy(args: argparse.Namespace) -> None:
    result, seconds = _run(args, "copy", copy_store, overwrite=not args.skip)
    _report(args, "copied", result, seconds)


def sync(args: argparse.Namespace) -> None:
    options = {"delete": args.delete, "compare": args.compare}
    result, seconds = _run(args, "sync", sync_stores, **options)
    _report(args, "synced", result, seconds)


def _run(
    args: argparse.Namespace, command: str, work: Callable[..., CopyResult], **options: Any
) -> tuple[CopyResult, float]:
    began = time.monotonic()
    label = f"{command} {typed(args.source)} -> {typed(args.target)}"
    with (
        _opened_pair(args, label, deleting=options.get("delete", False)) as (source, target),
        ProgressDisplay(mode="off" if args.quiet else None),
    ):
        arguments = {
            "prefix": args.prefix,
            "verify": args.verify,
            "dry_run": args.dry_run,
            "cancel": args.cancel,
            **options,
        }
        if args.dry_run:
            result = work(source, target.store, **arguments)
        elif args.batch:
            target.left = "keeps the batches that were complete"
            result = work(source, target.store, transaction=args.batch, **arguments)
        else:
            result = _at_once(target, label, lambda: work(source, target.store, **arguments))
    return result, time.monotonic() - began


@contextmanager
def _opened_pair(
    args: argparse.Namespace, label: str, *, deleting: bool
) -> Iterator[tuple[AbstractStore, Target]]:
    """The two stores; for a dry run a target that is only read, or stands in for a missing one."""
    source_at, target_at = parse_address(args.source), parse_address(args.target)
    check_apart(source_at, target_at, deleting=deleting)
    with opened_source(source_at) as source:
        check_not_overwritten(source, source_at, target_at)
        if not args.dry_run:
            with (
                opened_target(target_at, durability=args.durability) as target,
                recorded(args, target.store, label, is_copy=True),
            ):
                yield source, target
        elif target_at.exists():
            with opened_source(target_at) as store:
                yield source, Target(store, target_at)
        else:
            with DictStore() as store:
                yield source, Target(store, target_at)


def _at_once(target: Target, label: str, work: Callable[[], CopyResult]) -> CopyResult:
    """Work in a transaction, and know afterwards whether it was committed."""
    context = target.store.transaction(label)
    try:
        with context:
            return work()
    finally:
        if context.state == "done":
            target.left = "was complete already"


def _report(args: argparse.Namespace, verb: str, result: CopyResult, seconds: float) -> None:
    if args.json:
        numbers = {name: getattr(result, name) for name in ("keys", "bytes", "skipped", "deleted")}
        write_json({**numbers, "seconds": round(seconds, 3), "dry_run": args.dry_run})
        return
    if args.quiet:
        return
    done = ("would have " if args.dry_run else "") + verb
    parts = [f"{done} {count_text(result.keys, 'key')}", size_text(result.bytes)]
    if result.skipped:
        parts.append(f"{'skipped' if verb == 'copied' else 'unchanged'} {result.skipped:,}")
    if result.deleted:
        parts.append(f"deleted {result.deleted:,}")
    if not args.dry_run:
        rate = f" ({rate_text(result.bytes, seconds)})" if result.bytes and seconds > 0 else ""
        parts.append(f"in {duration_text(seconds)}{rate}")
    write_line(", ".join(parts))
