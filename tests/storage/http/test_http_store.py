"""Laws of `HttpStore`: what a web server offers, as a store."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
from faulty_server import FaultyServer, Handler, Page, chunked, cut, status

from encore.errors import (
    ConflictError,
    CorruptValueError,
    InvalidKeyError,
    KeyNotFoundError,
    StoreError,
    UnsupportedError,
)
from encore.storage.api import DictStore
from encore.storage.backends.http import HttpStore, Retries
from encore.testing import verbs
from encore.testing.keys import ILLEGAL_KEYS
from encore.testing.laws import Contents
from encore.testing.readonly import ReadOnlyConformance
from encore.testing.sources import pattern

_LARGE = pattern(300_000)
_TIME = 1_700_000_000.0
_DATE = "Tue, 14 Nov 2023 22:13:20 GMT"


@pytest.fixture
def store(server: FaultyServer, retries: Retries) -> Iterator[HttpStore]:
    server.pages["/base/small"] = Page(b"small", '"s1"', _TIME, "text/plain")
    server.pages["/base/large"] = Page(_LARGE, '"l1"')
    server.pages["/outside"] = Page(b"secret")
    with HttpStore(f"{server.url}/base", retries=retries) as store:
        yield store


class TestReadOnlyHttp(ReadOnlyConformance):
    content: ClassVar[Contents] = {
        key: (data, {"content_type": "application/x-test", "etag": f'"{key}"'})
        for key, (data, _) in ReadOnlyConformance.content.items()
    }

    @pytest.fixture
    def store(self, server: FaultyServer) -> Iterator[HttpStore]:
        for key, (data, metadata) in self.content.items():
            server.pages[f"/base/{key}"] = Page(data, metadata["etag"], None, "application/x-test")
        with HttpStore(f"{server.url}/base") as store:
            yield store


# -- values ----------------------------------------------------------------------------------------


def test_a_value_is_what_the_headers_say_and_the_data(store: HttpStore) -> None:
    value = store.get("small")
    assert value.metadata == {"content_type": "text/plain", "etag": '"s1"', "last_modified": _DATE}
    assert (value.size, value.modified, value.created) == (5, _TIME, _TIME)
    assert value.token == '"s1"'
    assert value.read() == b"small"
    assert store.get_metadata("small", ["etag"]) == {"etag": '"s1"'}


def test_the_token_without_an_entity_tag_is_time_and_size(
    store: HttpStore, server: FaultyServer
) -> None:
    server.pages["/base/a"] = Page(b"12345", None, _TIME)
    server.pages["/base/b"] = Page(b"12345")
    assert store.get("a").token == f"{_DATE}, 5 bytes"
    assert store.get("b").token == ""
    assert store.get("b").modified is None
    assert store.read("b") == b"12345"


def test_data_of_every_size_reads_the_same_through_every_verb(
    store: HttpStore, server: FaultyServer, tmp_path: Path
) -> None:
    for size in (0, 1, 65535, 65536, 65537, 3 << 20):
        data = pattern(size)
        server.pages["/base/a"] = Page(data, f'"{size}"')
        with store.get("a") as stream:
            assert stream.read() == data
        value = store.get("a")
        assert b"".join(value.iterdata(4096)) == value.read() == store.read("a") == data
        store.to_file("a", tmp_path / "file")
        assert (tmp_path / "file").read_bytes() == data
        with value.range() as stream:
            assert b"".join(iter(partial(stream.read, 1999), b"")) == data


@pytest.mark.parametrize("ignores", [False, True], ids=["ranges", "no ranges"])
def test_ranges_are_slices_also_where_the_server_ignores_them(
    store: HttpStore, server: FaultyServer, ignores: bool
) -> None:
    server.ignores_ranges = ignores
    value = store.get("large")
    marks = [0, 1, 65536, 70_000, 299_999, 300_000, 400_000]
    for start in marks:
        for end in marks:
            wanted = _LARGE[start:end]
            assert store.get_data_range("large", start, end).read() == wanted, (start, end)
            assert value.range(start, end).read() == wanted, (start, end)
    for missing in (0, 5):
        with pytest.raises(KeyNotFoundError):
            store.get_data_range("gone", 0, missing)


def test_a_short_range_is_one_request_for_these_bytes(
    store: HttpStore, server: FaultyServer
) -> None:
    assert store.get_data_range("large", 100, 200).read() == _LARGE[100:200]
    (seen,) = server.seen
    assert (seen.method, seen.headers["Range"]) == ("GET", "bytes=100-199")
    assert seen.headers["Accept-Encoding"] == "identity"


def test_small_reads_in_a_row_are_few_requests(store: HttpStore, server: FaultyServer) -> None:
    server.pages["/base/a"] = Page(pattern(3 << 20), '"1"')
    with store.get_data("a") as stream:
        server.seen.clear()
        while stream.read(10_000):
            pass
    assert len(server.seen) <= 8


def test_whether_a_key_is_there_is_asked_by_head(store: HttpStore, server: FaultyServer) -> None:
    assert "small" in store
    assert "gone" not in store
    assert server.asked == [("HEAD", "/base/small"), ("HEAD", "/base/gone")]
    for number in (404, 410):
        server.script = [status(number)] * 3
        assert "small" not in store
        with pytest.raises(KeyNotFoundError) as caught:
            store.read("small")
        assert caught.value.key == "small"


@pytest.mark.parametrize("number", [405, 501])
def test_a_server_without_head_is_asked_by_get_from_then_on(
    store: HttpStore, server: FaultyServer, number: int
) -> None:
    server.script = [status(number)]
    assert "large" in store
    assert "gone" not in store
    value = store.get("large")
    assert (value.size, value.token) == (300_000, '"l1"')
    assert value.read() == _LARGE
    assert [method for method, _ in server.asked].count("HEAD") == 1


@pytest.mark.parametrize("verb", (verbs.READING | verbs.TO_FILE).values())
def test_a_missing_key_is_a_key_error(store: HttpStore, verb: verbs.Verb) -> None:
    with pytest.raises(KeyNotFoundError):
        verb(store, "gone")


@pytest.mark.parametrize("verb", (verbs.READING | verbs.TO_FILE | verbs.ASKING).values())
def test_an_illegal_key_is_refused_without_asking(
    store: HttpStore, server: FaultyServer, verb: verbs.Verb
) -> None:
    for bad in ILLEGAL_KEYS.values():
        with pytest.raises(InvalidKeyError):
            verb(store, bad)
    assert server.seen == []


def test_a_closed_store_refuses(store: HttpStore) -> None:
    store.close()
    acts: list[Callable[[Any], object]] = [
        lambda s: s.read("small"), lambda s: s.exists("small"), lambda s: [*s.keys()],
        lambda s: s.put("a", b""), lambda s: s.get_data_range("small", 0, 1),
    ]  # fmt: skip
    for act in acts:
        with pytest.raises(StoreError, match="closed"):
            act(store)
    store.connect()
    assert store.read("small") == b"small"


# -- keys ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("a b", "/base/a%20b"),
        ("é/日本", "/base/%C3%A9/%E6%97%A5%E6%9C%AC"),
        ("100%", "/base/100%25"),
        ("%2F", "/base/%252F"),
        ("a?b#c", "/base/a%3Fb%23c"),
        ("a//b", "/base/a//b"),
        ("/a", "/base//a"),
        ("a/", "/base/a/"),
        ("a;b&c=d+e", "/base/a%3Bb%26c%3Dd%2Be"),
        ("http://h/x", "/base/http%3A//h/x"),
        ("\r\nX: y", "/base/%0D%0AX%3A%20y"),
        ("...", "/base/..."),
    ],
)
def test_a_key_is_encoded_once_and_segment_by_segment(
    store: HttpStore, server: FaultyServer, key: str, path: str
) -> None:
    server.pages[path] = Page(key.encode())
    assert store.read(key) == key.encode()
    assert server.asked == [("GET", path)]


@pytest.mark.parametrize("key", ["../outside", "..", ".", "a/../../outside", "..\\outside", "a/.."])
def test_no_key_leaves_the_base(store: HttpStore, server: FaultyServer, key: str) -> None:
    assert key not in store
    with pytest.raises(KeyNotFoundError):
        store.read(key)
    with pytest.raises(KeyNotFoundError):
        store.get(key)
    assert server.seen == [], "such a key is not even asked for"


def test_keys_are_whole_addresses_without_a_base(server: FaultyServer) -> None:
    server.pages["/a"] = Page(b"1")
    server.pages["/b c"] = Page(b"2")
    with HttpStore() as store:
        assert store.read(f"{server.url}/a?x=1#part") == b"1"
        assert f"{server.url}/gone" not in store
        assert "url" not in store.info()
        for key in ("gone", "file:///etc/passwd", "ftp://127.0.0.1/a", f"{server.url}/a b"):
            assert key not in store
            with pytest.raises(KeyNotFoundError):
                store.get(key)
    assert [path for _, path in server.asked] == ["/a?x=1", "/gone"]


def test_an_address_with_a_password_is_no_key(server: FaultyServer) -> None:
    with HttpStore() as store, pytest.raises(InvalidKeyError) as caught:
        store.read(f"http://me:secret@127.0.0.1:{server.server_port}/a")
    assert "secret" not in str(caught.value)
    assert server.seen == []


@pytest.mark.parametrize("base", ["ftp://h/", "h/x", "", "http://h/?sig=1", "http://h/a b"])
def test_a_base_is_an_address_without_a_query(base: str) -> None:
    with pytest.raises(ValueError):
        HttpStore(base)


# -- versions --------------------------------------------------------------------------------------


@pytest.mark.parametrize("ignores", [False, True], ids=["conditions", "no conditions"])
@pytest.mark.parametrize(
    "pages",
    [
        (Page(_LARGE, '"1"'), Page(pattern(300_000, 2), '"2"')),
        (Page(_LARGE, 'W/"1"'), Page(pattern(300_000, 2), 'W/"2"')),
        (Page(_LARGE, None, _TIME), Page(pattern(300_000, 2), None, _TIME + 1)),
        (Page(_LARGE), Page(pattern(300_001))),
    ],
    ids=["tag", "weak tag", "time", "size"],
)
def test_parts_of_two_versions_never_mix(
    store: HttpStore, server: FaultyServer, pages: tuple[Page, Page], ignores: bool
) -> None:
    server.ignores_conditions = ignores
    before, after = pages
    server.pages["/base/a"] = before
    value = store.get("a")
    with value.range() as stream:
        head = stream.read(70_000)
        server.pages["/base/a"] = after
        with pytest.raises(ConflictError, match="get the value again"):
            head += stream.read()
    with pytest.raises(ConflictError):
        value.read()
    with pytest.raises(ConflictError):
        [*value.iterdata()]
    assert store.get("a").read() == after.data


def test_a_value_that_was_removed_before_it_was_read_is_a_conflict(
    store: HttpStore, server: FaultyServer
) -> None:
    value = store.get("large")
    del server.pages["/base/large"]
    with pytest.raises(ConflictError, match="no more"):
        value.read()


def test_a_value_says_which_version_it_wants(store: HttpStore, server: FaultyServer) -> None:
    value = store.get("large")
    value.range(10, 20).read()
    assert server.seen[-1].headers["If-Match"] == '"l1"'
    server.pages["/base/t"] = Page(_LARGE, None, _TIME)
    store.get("t").read()
    assert server.seen[-1].headers["If-Unmodified-Since"] == _DATE


# -- bodies ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 10, 200_000])
def test_a_body_in_chunks_has_a_size_once_it_is_there(
    store: HttpStore, server: FaultyServer, size: int
) -> None:
    data = pattern(size)
    pieces = [data[at : at + 7000] for at in range(0, size, 7000)]
    step = chunked(*pieces, ETag='"c"')
    server.script = [step, step]
    value = store.get("large")
    assert (value.size, value.token) == (size, '"c"')
    assert value.read() == data
    assert value.range(5, 9).read() == data[5:9]
    server.script = [step, step, step]
    assert store.read("large") == data
    assert store.get_data_range("large", 3, 9).read() == data[3:9]


def test_a_body_that_ends_with_its_connection_is_taken(
    store: HttpStore, server: FaultyServer
) -> None:
    server.script = [cut(b"all of it", None)]
    assert store.read("small") == b"all of it"
    server.script = [cut(b"", None), cut(b"all of it", None)]
    assert store.get("small").read() == b"all of it"


def test_a_stream_that_is_left_gives_its_connection_back(
    store: HttpStore, server: FaultyServer
) -> None:
    chunks = store.get("large").iterdata(1000)
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]
    with store.get_data("large") as stream:
        stream.read(10)
    assert store.read("small") == b"small"


def test_copying_from_it_keeps_data_metadata_and_time(store: HttpStore) -> None:
    target = DictStore()
    target.import_values((key, store.get(key)) for key in ("small", "large"))
    assert target.read("large") == _LARGE
    assert target.get("small").modified == _TIME
    assert target.get_metadata("small")["content_type"] == "text/plain"


# -- what it is ------------------------------------------------------------------------------------


def test_listings_are_refused_with_the_reason(store: HttpStore) -> None:
    for name, verb in verbs.LISTING.items():
        with pytest.raises(UnsupportedError, match="HTTP has no listings"):
            print(name, verb(store))


def test_info_says_what_it_is(store: HttpStore, server: FaultyServer) -> None:
    info = store.info()
    assert info["type"] == "HttpStore"
    assert info["transactions"] == "none"
    assert info["readonly"] is True
    assert info["listing"] is False
    assert info["url"] == f"{server.url}/base/"
    assert repr(store) == f"<HttpStore '{server.url}/base/'>"


def test_nothing_of_requests_is_loaded_before_the_first_use() -> None:
    import subprocess

    code = (
        "import sys\n"
        "from encore.storage.backends.http import HttpStore, StaticURLStore, DynamicURLStore\n"
        "HttpStore('http://h/'), StaticURLStore('http://h', 'd', 'q')\n"
        "DynamicURLStore('http://h', 'http://h/q')\n"
        "print([name for name in ('requests', 'urllib3', 'http.client') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")
def test_a_forked_child_has_connections_of_its_own(store: HttpStore) -> None:
    assert store.read("small") == b"small"
    child = os.fork()
    if child == 0:
        code = 1
        with suppress(BaseException):
            assert all(store.read("large") == _LARGE for _ in range(5))
            code = 0
        os._exit(code)
    assert all(store.read("large") == _LARGE for _ in range(5))
    assert os.waitpid(child, 0)[1] == 0


def test_a_range_that_was_not_asked_for_is_refused(store: HttpStore, server: FaultyServer) -> None:
    def wrong(place: str | None, body: bytes = b"0123456789") -> Callable[[Handler], None]:
        headers = {} if place is None else {"Content-Range": place}
        return lambda handler: handler.send(206, body, headers)

    for place in (
        "bytes 11-20/300000", "bytes 0-9/300000", None, "bytes 10-12/300000", "bytes 19-10/300000",
        "bytes */300000", "bytes 10-19/5", "lines 10-19/300000", "bytes 10-19/-1",
    ):  # fmt: skip
        value = store.get("large")
        for read in (value.range(10, 20).read, lambda: store.get_data_range("large", 10, 20)):
            server.script = [wrong(place)]
            with pytest.raises((CorruptValueError, ConflictError)):
                print(place, read())
