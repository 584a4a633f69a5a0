"""Blobs that no key points at yet: who writes them, and what the dead have left.

A writer is known by its host, its process number and the start time of the process. Only ``large``
imports this module.
"""

from __future__ import annotations

import os
import re
import socket
import sqlite3
import time
from pathlib import Path

from encore.storage.backends.sqlite import statements as sql

_STALE_SECONDS = 86400.0
_WRITER = re.compile(r"(.*)/([1-9][0-9]{0,8})/([0-9]*)", re.DOTALL)


def sweep(connection: sqlite3.Connection) -> None:
    """Drop the blobs that died with their writer before any key pointed at them."""
    orphans = [(blob,) for blob in classify(connection)[0]]
    if orphans:
        connection.execute(sql.BEGIN)
        try:
            connection.executemany(sql.DROP_CHUNKS, [(blob, blob) for (blob,) in orphans])
            connection.executemany(sql.UNSTAGE, orphans)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def classify(connection: sqlite3.Connection) -> tuple[list[int], list[int]]:
    """The blobs whose writer is dead, and those that encore cannot have registered."""
    dead: list[int] = []
    odd: list[int] = []
    for blob, writer, since in connection.execute(sql.STAGED).fetchall():
        found = _WRITER.fullmatch(writer) if isinstance(writer, str) else None
        if found is None or not isinstance(since, float):
            odd.append(blob)
            continue
        host, number, started = found.groups()
        if not _is_alive(host, int(number), started, since):
            is_used = connection.execute(sql.HAS_BLOB, (blob,)).fetchone() is not None
            (odd if is_used else dead).append(blob)
    return dead, odd


def writer_name() -> str:
    """This process, so that another can tell whether it is still alive."""
    pid = os.getpid()
    return f"{socket.gethostname()}/{pid}/{_start_time(pid)}"


def _is_alive(host: str, pid: int, started: str, since: float) -> bool:
    if host != socket.gethostname():
        return time.time() - since < _STALE_SECONDS
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it is there, and somebody else's
    return _start_time(pid) == started


def _start_time(pid: int) -> str:
    """When a process started, as the kernel counts; "" where that cannot be told."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
