"""Laws of servers that fail: nothing short, nothing endless, and no waiting in vain."""

from __future__ import annotations

import gzip
import socket
import zlib
from collections.abc import Callable, Iterator

import pytest
from faulty_server import (
    FaultyServer,
    Handler,
    Page,
    Step,
    chunked,
    cut,
    hang_up,
    silence,
    slow_body,
    status,
)

from encore.errors import (
    AuthorizationError,
    ConflictError,
    CorruptValueError,
    KeyNotFoundError,
    RequestError,
    StoreError,
    StoreFullError,
)
from encore.storage.backends.http import HttpStore, Retries
from encore.storage.backends.http.answers import Answer
from encore.storage.backends.http.failures import About
from encore.storage.backends.http.urls import Url
from encore.testing.sources import pattern

_DATA = pattern(300_000)
_SHORT_SECONDS = 0.2

#: Everything that asks for the data of ``a``.
READS: dict[str, Callable[[HttpStore], bytes]] = {
    "read": lambda s: s.read("a"),
    "value": lambda s: s.get("a").read(),
    "stream": lambda s: s.get_data("a").read(),
    "pieces": lambda s: b"".join(s.get("a").iterdata(5000)),
    "range": lambda s: s.get_data_range("a", 0, 300_000).read(),
}
_READ = pytest.mark.parametrize("read", READS.values(), ids=READS)


@pytest.fixture
def store(server: FaultyServer, retries: Retries) -> Iterator[HttpStore]:
    server.pages["/a"] = Page(_DATA, '"1"')
    with HttpStore(server.url, retries=retries, timeout=5, spool_limit=1_000_000) as store:
        yield store


def always(server: FaultyServer, step: Step) -> None:
    """Have every GET answered by a step, and every HEAD as it should be."""

    def one(handler: Handler) -> None:
        (handler.serve if handler.command == "HEAD" else lambda: step(handler))()

    server.script = [one] * 20


# -- bodies ----------------------------------------------------------------------------------------


@_READ
@pytest.mark.parametrize("sent", [0, 1, 100_000, 299_999])
def test_a_body_that_is_cut_off_is_never_a_short_read(
    store: HttpStore, server: FaultyServer, read: Callable[[HttpStore], bytes], sent: int
) -> None:
    always(server, cut(_DATA[:sent], 300_000, ETag='"1"'))
    with pytest.raises(RequestError) as caught:
        read(store)
    assert caught.value.status is None
    assert caught.value.__cause__ is None or isinstance(caught.value.__cause__, OSError)


@_READ
def test_chunks_without_an_end_are_never_a_short_read(
    store: HttpStore, server: FaultyServer, read: Callable[[HttpStore], bytes]
) -> None:
    always(server, chunked(_DATA[:9000], _DATA[9000:], ends=False))
    with pytest.raises(RequestError):
        read(store)


def test_a_body_that_broke_off_is_fetched_again_where_all_of_it_is_read(
    store: HttpStore, server: FaultyServer, waits: list[float]
) -> None:
    server.script = [cut(_DATA[:1000], 300_000)] * 2
    assert store.read("a") == _DATA
    assert len(server.seen) == 3
    assert len(waits) == 2


@pytest.mark.parametrize("announced", [10, 299_999, 300_001])
def test_a_length_that_is_not_that_of_the_data_is_an_error(
    store: HttpStore, server: FaultyServer, announced: int
) -> None:
    always(server, cut(_DATA, announced, ETag='"1"'))
    for name in ("value", "stream", "pieces"):
        with pytest.raises(StoreError):
            READS[name](store)
    if announced > 300_000:
        with pytest.raises(RequestError):
            store.read("a")


def test_a_transport_that_takes_a_cut_for_the_end_is_not_believed() -> None:
    class OldResponse:  # what older versions of the transport do
        status, reason, headers = 200, "", {"Content-Length": "10"}

        def chunks(self, size: int) -> Iterator[bytes]:
            yield b"12345"

        def close(self) -> None: ...

    url = Url("http://h", "/a")
    answer = Answer(OldResponse(), "GET", url, About(None, "read"), spool_limit=99)  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="5 of 10 bytes"):
        answer.read()


def test_what_follows_a_body_is_not_taken_for_the_next_answer(
    store: HttpStore, server: FaultyServer
) -> None:
    extra = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"

    def longer(handler: Handler) -> None:
        handler.begin(200, {"Content-Length": "5"})
        handler.wfile.write(b"small" + extra)

    server.script = [longer]
    assert store.read("a") == b"small"
    assert store.read("a") == _DATA


@pytest.mark.parametrize(
    "lengths", [("5", "6"), ("five",), ("-5",), ("5, 6",), ("0x5",), ("5" * 30,)]
)
def test_a_length_that_makes_no_sense_is_an_error(
    store: HttpStore, server: FaultyServer, lengths: tuple[str, ...]
) -> None:
    def step(handler: Handler) -> None:
        handler.send_response_only(200)
        for length in lengths:
            handler.send_header("Content-Length", length)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(b"small")
        handler.hang_up()

    server.script = [step] * 20
    for read in (READS["read"], READS["value"]):
        with pytest.raises(StoreError):
            read(store)


@pytest.mark.parametrize("step", [cut(b"x" * 1_100_000, None), chunked(b"x" * 1_100_000)])
def test_a_body_of_unknown_length_ends_at_the_limit(
    store: HttpStore, server: FaultyServer, step: Step
) -> None:
    for read in (READS["read"], READS["value"]):
        server.script = [step, step]
        with pytest.raises(CorruptValueError, match="1000000 bytes"):
            read(store)


def test_an_endless_body_is_left_at_the_limit(store: HttpStore, server: FaultyServer) -> None:
    def endless(handler: Handler) -> None:
        handler.begin(200, {"Connection": "close"})
        while not handler.server.ended.is_set():
            handler.wfile.write(b"x" * 65536)  # until the client hangs up

    server.script = [endless]
    with pytest.raises(CorruptValueError):
        store.read("a")
    assert store.read("a") == _DATA


# -- compressed bodies -----------------------------------------------------------------------------


@_READ
@pytest.mark.parametrize("name", ["gzip", "deflate"])
def test_what_a_server_compresses_unasked_is_undone(
    store: HttpStore, server: FaultyServer, read: Callable[[HttpStore], bytes], name: str
) -> None:
    body = gzip.compress(_DATA) if name == "gzip" else zlib.compress(_DATA)
    server.ignores_ranges = True
    server.pages["/a"] = Page(body, '"1"', headers={"Content-Encoding": name})
    assert read(store) == _DATA


@_READ
def test_a_bomb_is_an_error(
    store: HttpStore, server: FaultyServer, read: Callable[[HttpStore], bytes]
) -> None:
    bomb = gzip.compress(bytes(50 << 20))
    server.pages["/a"] = Page(bomb, '"1"', headers={"Content-Encoding": "gzip"})
    server.ignores_ranges = True
    with pytest.raises(CorruptValueError, match="more than 1000000 bytes"):
        # The first bytes of a bomb can be had; the rest is never made.
        print(len(read(store)) if read is not READS["range"] else store.read("a"))


@pytest.mark.parametrize(
    "page",
    [
        Page(gzip.compress(_DATA)[:-1], headers={"Content-Encoding": "gzip"}),
        Page(gzip.compress(_DATA)[:-5] + b"wrong", headers={"Content-Encoding": "gzip"}),
        Page(b"not at all", headers={"Content-Encoding": "gzip"}),
        Page(_DATA, headers={"Content-Encoding": "br"}),
    ],
    ids=["cut", "changed", "garbage", "unknown"],
)
def test_damage_of_a_compressed_body_is_an_error(
    store: HttpStore, server: FaultyServer, page: Page
) -> None:
    server.pages["/a"] = page
    for read in (READS["read"], READS["value"]):
        with pytest.raises(CorruptValueError):
            read(store)


def test_a_part_of_compressed_data_is_refused(store: HttpStore, server: FaultyServer) -> None:
    page = Page(gzip.compress(_DATA), headers={"Content-Encoding": "gzip"})
    server.pages["/a"] = page
    with pytest.raises(CorruptValueError):
        store.get_data_range("a", 10, 20)


# -- no answer -------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [silence, slow_body(b"x" * 150_000)], ids=["silent", "slow"])
def test_a_server_that_says_nothing_is_not_waited_for(server: FaultyServer, step: Step) -> None:
    server.script = [step] * 4
    with (
        HttpStore(server.url, timeout=(5, _SHORT_SECONDS), retries=0) as store,
        pytest.raises(RequestError, match="within the time allowed"),
    ):
        store.read("a")


def test_a_server_that_is_not_there_is_an_error_that_says_so(
    retries: Retries, waits: list[float]
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with HttpStore(address, retries=retries) as store:
            for act in (lambda: store.read("a"), lambda: "a" in store, lambda: store.get("a")):
                with pytest.raises(RequestError, match="refused") as caught:
                    act()
                assert isinstance(caught.value.__cause__, ConnectionRefusedError)
                assert address in str(caught.value)
    assert len(waits) == 6


def test_a_name_that_nobody_has_is_an_error(retries: Retries) -> None:
    with HttpStore("http://nobody.invalid/", retries=retries) as store, pytest.raises(RequestError):
        store.read("a")


def test_a_connection_that_ends_without_an_answer_is_tried_again(
    store: HttpStore, server: FaultyServer, waits: list[float]
) -> None:
    server.script = [hang_up, hang_up]
    assert store.read("a") == _DATA
    assert len(waits) == 2
    server.script = [hang_up] * 3
    with pytest.raises(RequestError):
        store.read("a")


def test_what_is_no_http_is_an_error(store: HttpStore, server: FaultyServer) -> None:
    def babble(handler: Handler) -> None:
        handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n" * 10)
        handler.hang_up()

    server.script = [babble] * 3
    with pytest.raises(RequestError):
        store.read("a")


def test_headers_without_an_end_are_an_error(store: HttpStore, server: FaultyServer) -> None:
    def headers(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(5000):
            handler.wfile.write(b"X-%d: y\r\n" % number)
        handler.hang_up()

    server.script = [headers] * 3
    with pytest.raises(RequestError):
        store.read("a")


# -- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [429, 500, 502, 503, 504])
def test_a_passing_problem_is_waited_out(
    store: HttpStore, server: FaultyServer, waits: list[float], number: int
) -> None:
    server.script = [status(number, b"sorry")] * 2
    assert store.read("a") == _DATA
    assert len(server.seen) == 3
    assert 0.1 <= waits[0] <= 0.2 <= waits[1] <= 0.4


def test_a_lasting_problem_is_an_error_with_the_answer(
    store: HttpStore, server: FaultyServer
) -> None:
    server.script = [status(500, b"out of order " * 1000, X_Why="moths")] * 3
    with pytest.raises(RequestError, match="500") as caught:
        store.read("a")
    assert caught.value.status == 500
    assert caught.value.response.headers["X-Why"] == "moths"
    assert caught.value.response.body.startswith(b"out of order")
    assert len(caught.value.response.body) <= 4096
    assert len(server.seen) == 3
    assert store.read("a") == _DATA


def test_the_server_may_ask_for_a_longer_wait_but_not_for_any(
    store: HttpStore, server: FaultyServer, waits: list[float]
) -> None:
    server.script = [status(503, Retry_After="2"), status(503, Retry_After="86400")]
    assert store.read("a") == _DATA
    assert waits == [2.0, 5.0]


@pytest.mark.parametrize(
    ("number", "cls"),
    [
        (401, AuthorizationError), (403, AuthorizationError), (407, AuthorizationError),
        (409, ConflictError), (412, ConflictError), (507, StoreFullError),
        (202, RequestError), (206, RequestError), (304, RequestError), (400, RequestError),
        (413, RequestError), (418, RequestError), (511, RequestError),
        (404, KeyNotFoundError), (410, KeyNotFoundError),
    ],
)  # fmt: skip
def test_a_refusal_is_the_error_of_its_meaning_and_not_repeated(
    store: HttpStore, server: FaultyServer, number: int, cls: type[Exception]
) -> None:
    for act in (lambda: store.read("a"), lambda: store.get("a")):
        server.seen.clear()
        server.script = [status(number)]
        with pytest.raises(cls) as caught:
            act()
        assert isinstance(caught.value, StoreError)
        assert len(server.seen) == 1
        if isinstance(caught.value, RequestError):
            assert caught.value.status == number


def test_existence_is_never_denied_because_of_a_problem(
    store: HttpStore, server: FaultyServer
) -> None:
    for number in (500, 403, 400):
        server.script = [status(number)] * 3
        with pytest.raises(StoreError):
            store.exists("a")
        server.script.clear()


def test_no_retries_means_one_attempt(server: FaultyServer) -> None:
    server.script = [status(500)]
    with HttpStore(server.url, retries=0) as store, pytest.raises(RequestError):
        store.read("a")
    assert len(server.seen) == 1
    with pytest.raises(ValueError):
        HttpStore(server.url, retries=-1)


def test_connections_are_used_again(store: HttpStore, server: FaultyServer) -> None:
    for _ in range(10):
        store.read("a")
        assert "a" in store
        assert "gone" not in store
    assert len(server._sockets) == 1
