"""The page at ``/``, for people: three files of the package, the same for everybody.

The page holds nothing of the store. What it shows it asks for as any client does, with the token
that a person gives it. ``routes`` knows this module.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from encore.service.server.exchange import Headers, Refused, Reply, Request

__all__ = ["page_reply"]

_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}

# Keys and metadata are somebody's text, and should they ever become markup, it must do nothing.
# 'self' alone is not enough: an object can be a script, and is served from here, too. So scripts
# cannot be made from text at all.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
_HEADERS = [
    ("content-security-policy", _POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-cache"),
]


def page_reply(request: Request) -> Reply | None:
    """Return a file of the page; None if the path is that of no file.

    Raises
    ------
    Refused
        It is there, and something else than reading it is asked for (405).
    """
    known = _FILES.get(request.path)
    if known is None:
        return None
    if request.method not in ("GET", "HEAD"):
        raise Refused(405, "this cannot be done here")
    name, kind = known
    headers: Headers = [("content-type", kind), *_HEADERS]
    return Reply(200, headers, _content(name))


@cache
def _content(name: str) -> bytes:
    return files("encore.service.page").joinpath(name).read_bytes()
