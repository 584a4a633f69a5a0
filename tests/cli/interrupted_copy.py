"""A copy that stands still in the middle, for tests that interrupt it.

Run with the arguments of the command. The address ``blocking:HOW`` is a store whose listing, after
two keys, says ``ready`` on standard error and waits for standard input to end; if HOW is ``deaf``
the exception of a signal is lost there. ``once:PATH``, ``twice:PATH`` and ``thrice:PATH`` are
SQLite files whose rollback meets no, one and two further signals.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

from encore.cli.main import main
from encore.config import Scheme, register_scheme
from encore.storage.api import DictStore, SqliteStore, Value


class Blocking(DictStore):
    def __init__(self, how: str, *, timeout: float = 5.0) -> None:
        super().__init__(timeout=timeout)
        self._how = how

    def items(self, prefix: str = "") -> Iterator[tuple[str, Any]]:
        yield "a", Value(b"from the source")
        yield "b", Value(b"x" * 3000000)
        try:
            sys.stderr.write("ready\n")
            sys.stderr.flush()
            os.read(0, 1)
        except KeyboardInterrupt:
            if self._how != "deaf":
                raise
        yield "c", Value(b"too late")
        yield "d", Value(b"far too late")


class Disturbed(SqliteStore):
    signals = 0

    def _rollback_transaction(self, context: Any) -> None:
        while self.signals:
            self.signals -= 1
            signal.raise_signal(signal.SIGINT)
        super()._rollback_transaction(context)


class Twice(Disturbed):
    signals = 1


class Thrice(Disturbed):
    signals = 2


register_scheme(Scheme("blocking", "blocking:HOW", "a store for tests", lambda: Blocking))
register_scheme(Scheme("once", "once:PATH", "a store for tests", lambda: Disturbed, "file"))
register_scheme(Scheme("twice", "twice:PATH", "a store for tests", lambda: Twice, "file"))
register_scheme(Scheme("thrice", "thrice:PATH", "a store for tests", lambda: Thrice, "file"))
sys.exit(main())
