"""Laws of secrets: who gets them, and where they never show."""

from __future__ import annotations

import base64
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from faulty_server import FaultyServer, Page, Step, cut, hang_up, redirect, status

from encore.errors import RequestError, StoreError
from encore.storage.backends.http import HttpStore, Retries

_SECRET = "c4n4ry"
_HEADERS = {"Authorization": f"Bearer {_SECRET}", "X-Api-Key": _SECRET}


@pytest.fixture
def store(server: FaultyServer, retries: Retries) -> Iterator[HttpStore]:
    server.pages["/a"] = server.pages["/b"] = Page(b"data", '"1"')
    with HttpStore(server.url, headers=_HEADERS, retries=retries) as store:
        yield store


# -- redirects -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [301, 302, 303, 307, 308])
def test_a_redirect_on_the_same_server_keeps_the_credentials(
    store: HttpStore, server: FaultyServer, number: int
) -> None:
    server.script = [redirect("/b", number)]
    assert store.read("a") == b"data"
    assert server.asked == [("GET", "/a"), ("GET", "/b")]
    assert all(seen.headers["X-Api-Key"] == _SECRET for seen in server.seen)


def test_a_redirect_to_another_server_takes_no_credentials_along(
    store: HttpStore, server: FaultyServer, other_server: FaultyServer
) -> None:
    other_server.pages["/x"] = Page(b"elsewhere")
    server.script = [redirect(f"{other_server.url}/x")]
    assert store.read("a") == b"elsewhere"
    (seen,) = other_server.seen
    assert _SECRET not in str(seen.headers)
    assert "Authorization" not in seen.headers


def test_credentials_that_were_left_behind_do_not_come_back(
    store: HttpStore, server: FaultyServer, other_server: FaultyServer
) -> None:
    server.script = [redirect(f"{other_server.url}/x")]
    other_server.script = [redirect(f"{server.url}/b")]
    assert store.read("a") == b"data"
    assert _SECRET in str(server.seen[0].headers)
    assert _SECRET not in str(server.seen[1].headers)


def test_a_password_in_the_base_is_sent_and_kept_from_others(
    server: FaultyServer, other_server: FaultyServer
) -> None:
    other_server.pages["/x"] = Page(b"elsewhere")
    base = f"http://me:{_SECRET}@127.0.0.1:{server.server_port}/"
    with HttpStore(base) as store:
        assert _SECRET not in repr(store)
        assert _SECRET not in str(store.info())
        server.script = [redirect(f"{other_server.url}/x")]
        assert store.read("a") == b"elsewhere"
    sent = base64.b64encode(f"me:{_SECRET}".encode()).decode()
    assert server.seen[0].headers["Authorization"] == f"Basic {sent}"
    assert "Authorization" not in other_server.seen[0].headers


def test_a_value_of_another_server_is_read_without_credentials(
    store: HttpStore, server: FaultyServer, other_server: FaultyServer
) -> None:
    other_server.pages["/x"] = Page(b"e" * 100_000, '"e"')
    server.script = [redirect(f"{other_server.url}/x")] * 4
    value = store.get("a")
    assert value.range(10, 20).read() == b"e" * 10
    assert value.read() == b"e" * 100_000
    assert _SECRET not in str([seen.headers for seen in other_server.seen])


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/a",
        "https://",
        "javascript:alert(1)",
        "http://\\x/",
        "",
    ],
)
def test_a_redirect_to_what_is_no_address_is_refused(
    store: HttpStore, server: FaultyServer, location: str
) -> None:
    server.script = [redirect(location)] * (1 if location else 9)
    with pytest.raises(RequestError, match="redirected") as caught:
        store.read("a")
    assert caught.value.status == 302


def test_a_redirect_without_a_goal_is_refused(store: HttpStore, server: FaultyServer) -> None:
    server.script = [status(302)]
    with pytest.raises(RequestError, match="does not say where"):
        store.read("a")


def test_redirects_end(store: HttpStore, server: FaultyServer) -> None:
    server.script = [redirect("/b"), redirect("/a")] * 20
    with pytest.raises(RequestError, match="more than 5 times"):
        store.read("a")
    assert len(server.seen) == 6


def test_redirects_can_be_refused_altogether(server: FaultyServer) -> None:
    server.script = [redirect("/b")]
    with HttpStore(server.url, max_redirects=0) as store, pytest.raises(RequestError):
        store.read("a")
    assert len(server.seen) == 1


# -- the environment -------------------------------------------------------------------------------


def test_the_environment_has_no_say(
    server: FaultyServer,
    other_server: FaultyServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, other_server.url)
        monkeypatch.setenv(name.upper(), other_server.url)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login me password {_SECRET}\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    server.pages["/a"] = Page(b"data")
    with HttpStore(server.url) as store:
        assert store.read("a") == b"data"
    assert other_server.seen == []
    assert "Authorization" not in server.seen[0].headers


def test_cookies_are_not_kept(store: HttpStore, server: FaultyServer) -> None:
    server.script = [status(200, b"x", Set_Cookie="a=b"), redirect("/b")]
    store.read("a")
    store.read("a")
    assert all("Cookie" not in seen.headers for seen in server.seen)


# -- what is shown ---------------------------------------------------------------------------------

_FAULTS: dict[str, Step] = {
    "hang up": hang_up,
    "cut": cut(b"x", 10),
    "500": status(500, Location=f"/?{_SECRET}", Set_Cookie=f"s={_SECRET}"),
    "403": status(403),
    "404": status(404),
    "409": status(409),
    "loop": redirect(f"/a?{_SECRET}"),
    "redirect": redirect(f"file:///{_SECRET}"),
    "away": redirect(f"http://me:{_SECRET}@127.0.0.1:1/?{_SECRET}"),
    "bomb": status(200, b"x", Content_Encoding="gzip"),
    "length": status(200, b"x", Content_Length="?"),
    "part": status(206, b"x"),
}


def everything_shown(error: BaseException) -> str:
    """Whatever a program or a logger would print of an error and what led to it."""
    text = "".join(traceback.format_exception(error))
    seen: BaseException | None = error
    while seen is not None:
        text += f"{seen!r} {seen} {seen.args} {getattr(seen, 'response', '')!r}"
        text += str(getattr(getattr(seen, "response", None), "headers", ""))
        text += repr(getattr(seen, "__notes__", ""))
        seen = seen.__cause__ or seen.__context__
    return text


@pytest.mark.parametrize("fault", _FAULTS.values(), ids=_FAULTS)
@pytest.mark.parametrize("whole", [False, True], ids=["base", "addresses"])
def test_no_error_shows_a_secret(
    server: FaultyServer,
    retries: Retries,
    fault: Step,
    whole: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    host = f"127.0.0.1:{server.server_port}"
    base = None if whole else f"http://me:{_SECRET}@{host}/"
    key = f"http://{host}/a?X-Amz-Signature={_SECRET}" if whole else "a"
    auth = None if base else ("me", _SECRET)
    acts: list[Callable[[HttpStore], Any]] = [
        lambda s: s.read(key),
        lambda s: s.get(key).read(),
        lambda s: s.get_data_range(key, 0, 5),
        lambda s: s.to_file(key, "/nowhere"),
        lambda s: s.put(key, b"x"),
        lambda s: [*s.keys()],
    ]
    with (
        caplog.at_level(logging.DEBUG, logger="encore"),
        HttpStore(base, headers={"X-Key": _SECRET}, auth=auth, retries=retries) as store,
    ):
        for act in acts:
            server.script = [fault] * 30
            with pytest.raises((StoreError, OSError)) as caught:
                act(store)
            shown = everything_shown(caught.value)
            # The key is the caller's own, and an error carries it; it is not printed.
            assert _SECRET not in shown, shown
            assert _SECRET not in repr(store)
            if isinstance(caught.value, RequestError):
                again = pickle.loads(pickle.dumps(caught.value))
                assert (str(again), again.status) == (str(caught.value), caught.value.status)
    assert not [record for record in caplog.records if _SECRET in record.getMessage()]


@pytest.mark.parametrize(
    "headers", [{"A": "b\r\nC: d"}, {"A\n": "b"}, {"A": "b\0"}, {"A": "é"}, {"": "b"}]
)
def test_a_header_that_would_be_two_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="header"):
        HttpStore("http://h/", headers=headers)


def test_credentials_may_be_what_requests_takes(server: FaultyServer) -> None:
    from requests.auth import AuthBase, HTTPDigestAuth

    class Token(AuthBase):
        def __call__(self, request: Any) -> Any:
            request.headers["X-Token"] = _SECRET + request.path_url
            return request

    server.pages["/a b"] = server.pages["/a%20b"] = Page(b"data")
    with HttpStore(server.url, auth=Token()) as store:
        assert store.read("a b") == b"data"
    assert server.seen[0].headers["X-Token"] == _SECRET + "/a%20b"
    challenge = 'Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256'
    server.script = [status(401, b"who?", WWW_Authenticate=challenge)]
    with HttpStore(server.url, auth=HTTPDigestAuth("me", _SECRET)) as store:
        assert store.read("a b") == b"data"
    assert server.seen[-1].headers["Authorization"].startswith('Digest username="me"')
