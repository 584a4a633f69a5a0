"""What is signed of a request for an object, the same for whoever signs and whoever verifies.

``GET``, a newline, the path as it goes over the wire, a newline, and the query without the
signature: names in lower case, pairs in order. HEAD is signed as GET. Pure.
"""

from __future__ import annotations

__all__ = ["LONGEST_SECONDS", "SIGNATURE", "canonical"]

SIGNATURE = "os_sig"
LONGEST_SECONDS = 7 * 86400


def canonical(path: str, query: str) -> bytes:
    """Return the bytes that are signed.

    Parameters
    ----------
    path, query : str
        As they go over the wire.
    """
    pairs = []
    for pair in filter(None, query.split("&")):
        name, equals, value = pair.partition("=")
        if name.lower() != SIGNATURE:
            pairs.append(f"{name.lower()}{equals}{value}")
    return "\n".join(("GET", path, "&".join(sorted(pairs)))).encode("latin-1")
