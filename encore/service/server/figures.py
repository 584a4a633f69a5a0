"""Whether the server is well, and how much it has done, for whoever watches over it.

``/health`` says that it runs, ``/ready`` that its store can be read. ``/metrics`` (or ``/keda``)
has figures in the text format of Prometheus: no names of objects, and no secrets.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from typing import Any

from encore.service.server.exchange import Reply

__all__ = ["PATHS", "Figures", "is_alive", "is_ready"]

_log = logging.getLogger("encore.service")

PATHS = ("/health", "/ready", "/metrics", "/keda")
_TEXT = [("content-type", "text/plain; charset=utf-8")]


class Figures:
    """Counts requests.

    *Threads*: one, that of the event loop.
    """

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, int]] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self.busy = 0
        self.bytes_sent = 0

    def note(self, method: str, status: int, seconds: float, size: int) -> None:
        """A request has been answered."""
        known = method if method in _METHODS else "OTHER"  # a client must not make up labels
        self._requests[known, status] += 1
        self._seconds[known] += seconds
        self.bytes_sent += size

    def text(self) -> str:
        """The figures, in lines."""
        lines = ["# TYPE encore_requests_total counter"]
        for (method, status), count in sorted(self._requests.items()):
            lines.append(f'encore_requests_total{{method="{method}",status="{status}"}} {count}')
        lines.append("# TYPE encore_request_seconds_total counter")
        for method, seconds in sorted(self._seconds.items()):
            lines.append(f'encore_request_seconds_total{{method="{method}"}} {seconds:.6f}')
        lines.append("# TYPE encore_sent_bytes_total counter")
        lines.append(f"encore_sent_bytes_total {self.bytes_sent}")
        lines.append("# TYPE encore_requests_in_progress gauge")
        lines.append(f"encore_requests_in_progress {self.busy}")
        return "\n".join(lines) + "\n"

    def reply(self) -> Reply:
        """The figures, as an answer."""
        return Reply(200, [("content-type", "text/plain; version=0.0.4")], self.text().encode())


_METHODS = frozenset(("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"))


def is_ready(store: Any) -> Reply:
    """Whether the store can be read."""
    try:
        store.exists("ready")
    except Exception:
        _log.exception("the store cannot be read")
        return Reply(503, [*_TEXT], b"the store cannot be read")
    return Reply(200, [*_TEXT], b"OK")


def is_alive() -> Reply:
    """That the server runs."""
    return Reply(200, [*_TEXT], b"OK")
