"""Addresses: which are taken, how a key becomes a path, and how much of one may be shown.

Pure text: no module here opens a connection. The one idea: what a message shows of an address is
its scheme, host and path, because user, password and query are where secrets live. The other
modules of this package import it, and ``config`` does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urljoin, urlsplit

__all__ = ["Url", "key_path", "parse_url", "redirect_target", "shown_url"]

_PORTS = {"http": 80, "https": 443}
# urlsplit drops tabs and line ends without a word, and some servers take \ for /.
_NEVER = re.compile(r"[\x00-\x20\x7f\\]")
# What may stand in a path or query as it is; % because it has been encoded by whoever wrote it.
_AS_IT_IS = "/%:@!$&'()*+,;=-._~?[]"
_SEPARATORS = re.compile(r"[/\\]")


@dataclass(frozen=True, slots=True)
class Url:
    """A checked address.

    Attributes
    ----------
    origin : str
        Scheme, host and port: ``"https://example.org:8443"``. Whom credentials are meant for.
    target : str
        Path and query, encoded, as they go to the server.
    """

    origin: str
    target: str

    def __str__(self) -> str:
        return self.origin + self.target.partition("?")[0]

    def __repr__(self) -> str:
        return f"Url({str(self)!r})"

    def below(self, path: str, query: str = "") -> Url:
        """The address of an encoded path below this one, which ends in ``/``."""
        return Url(self.origin, self.target + path + (query and f"?{query}"))

    def without_slash(self) -> Url:
        """The same address without a slash at its end."""
        return Url(self.origin, self.target.rstrip("/") or "/")


def parse_url(text: str) -> tuple[Url, tuple[str, str] | None]:
    """Check an address, and take user and password out of it.

    Parameters
    ----------
    text : str
        ``http://`` or ``https://``, a host, and a path, with anything but ASCII encoded or not.

    Returns
    -------
    Url, (str, str) or None
        The address, and user and password if there are some.

    Raises
    ------
    ValueError
        It is no such address. The message does not repeat it.
    """
    if not isinstance(text, str):
        raise TypeError(f"an address is a str, not {type(text).__name__}")
    if _NEVER.search(text):
        raise ValueError("the address has a blank, a control character or a backslash in it")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("the address has no legal host or port") from None
    scheme, host = parts.scheme.lower(), parts.hostname
    if scheme not in _PORTS:
        raise ValueError("the address does not begin with http:// or https://")
    if not host:
        raise ValueError("the address names no host")
    name = f"[{host}]" if ":" in host else host
    origin = f"{scheme}://{name}" + ("" if port in (None, _PORTS[scheme]) else f":{port}")
    target = quote(parts.path or "/", safe=_AS_IT_IS.replace("?", "%3F"))
    if parts.query:
        target += "?" + quote(parts.query, safe=_AS_IT_IS)
    user = None
    if parts.username is not None:
        user = unquote(parts.username), unquote(parts.password or "")
    return Url(origin, target), user


def redirect_target(url: Url, location: str) -> Url:
    """Where a redirect leads.

    Raises
    ------
    ValueError
        To no address that is taken, or from https to http.
    """
    # Whatever is no Latin text arrives as Latin-1; most servers mean UTF-8.
    with_text = location.encode("latin-1", "replace").decode("utf-8", "replace").strip()
    goal, _ = parse_url(urljoin(url.origin + url.target, with_text.replace(" ", "%20")))
    if url.origin.startswith("https:") and not goal.origin.startswith("https:"):
        raise ValueError("the address to go on to is not encrypted, this one is")
    return goal


def key_path(key: str) -> str | None:
    """Return the path of a key below its base: encoded once, segment by segment.

    Parameters
    ----------
    key : str
        A legal key.

    Returns
    -------
    str or None
        None for a key with a segment ``.`` or ``..``: encoded or not, servers and what stands
        before them take it for a step up, so no address below the base could mean it.
    """
    if not {".", ".."}.isdisjoint(_SEPARATORS.split(key)):
        return None
    return quote(key, safe="/")


def shown_url(text: str) -> str:
    """Return an address without user, password, query and fragment: fit for a message."""
    try:
        parts = urlsplit(text)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "..."
    path = parts.path if parts.scheme or parts.netloc else "..."
    return f"{parts.scheme}://{host}{path}" + ("?..." if parts.query else "")
