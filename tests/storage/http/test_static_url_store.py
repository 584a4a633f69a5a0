"""Laws of `StaticURLStore`: a site and its index, looked at again and again."""

from __future__ import annotations

import gc
import json
import logging
import os
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from faulty_server import PATIENCE_SECONDS, FaultyServer, Page, cut, silence, status

from encore.errors import (
    ConflictError,
    CorruptValueError,
    KeyNotFoundError,
    ReadOnlyError,
    RequestError,
    StoreError,
)
from encore.events.api import EventManager
from encore.storage.api import DictStore, copy_store, sync_stores
from encore.storage.backends.http import Retries, StaticURLStore
from encore.storage.backends.http.documents import BadDocument
from encore.storage.backends.http.index import SiteIndex
from encore.storage.events import StoreEvent, StoreModificationEvent
from encore.testing.laws import heard, told
from encore.testing.readonly import ReadOnlyConformance
from encore.testing.sources import pattern

_LARGE = pattern(300_000)


def publish(server: FaultyServer, index: Any, etag: str | None = None) -> None:
    server.pages["/site/index.json"] = Page(json.dumps(index).encode(), etag)


def long_form(**values: Any) -> dict[str, Any]:
    return {"encore": 1, "values": values}


@pytest.fixture
def store(server: FaultyServer, retries: Retries) -> Iterator[StaticURLStore]:
    server.pages["/site/data/a"] = Page(b"1")
    server.pages["/site/data/b"] = Page(_LARGE, '"b1"')
    publish(
        server,
        long_form(
            a={"metadata": {"kind": "x"}, "size": 1, "modified": 5.5, "created": 4, "token": "t1"},
            b={"metadata": {"kind": "y"}, "size": 300_000},
        ),
    )
    with StaticURLStore(
        f"{server.url}/site", "data", "index.json", 0, retries=retries, event_manager=EventManager()
    ) as store:
        yield store


class TestReadOnlyStatic(ReadOnlyConformance):
    @pytest.fixture(params=["short", "long"])
    def store(
        self, server: FaultyServer, request: pytest.FixtureRequest
    ) -> Iterator[StaticURLStore]:
        for key, (data, _) in self.content.items():
            server.pages[f"/site/data/{key}"] = Page(data)
        if request.param == "short":
            publish(server, {key: metadata for key, (_, metadata) in self.content.items()})
        else:
            entries = {
                key: {"metadata": metadata, "size": len(data)}
                for key, (data, metadata) in self.content.items()
            }
            publish(server, long_form(**entries))
        with StaticURLStore(f"{server.url}/site", "data", "index.json", 0) as store:
            if request.param == "short":
                store.totals = lambda *_: (2, 200_004)  # type: ignore[method-assign]
            yield store


# -- reading ---------------------------------------------------------------------------------------


def test_values_are_what_the_index_says_and_the_data_of_the_site(store: StaticURLStore) -> None:
    value = store.get("a")
    assert (value.metadata, value.size, value.token) == ({"kind": "x"}, 1, "t1")
    assert (value.created, value.modified) == (4.0, 5.5)
    assert store.read("a") == b"1"
    assert store.get("b").read() == _LARGE
    assert store.get_data_range("b", 1000, 2000).read() == _LARGE[1000:2000]
    assert store.get("b").token == store.get("b").token != store.get("a").token


def test_listings_and_searches_ask_the_server_nothing(
    store: StaticURLStore, server: FaultyServer
) -> None:
    server.seen.clear()
    assert [*store.keys()] == [*store] == ["a", "b"]
    assert [*store.keys("b")] == [*store.keys(start_after="a")] == [*store.glob("b*")] == ["b"]
    assert [*store.query(kind="x")] == [("a", {"kind": "x"})]
    assert store.totals() == (2, 300_001)
    assert [entry[:2] for entry in store.entries()] == [("a", 1), ("b", 300_000)]
    assert len(store) == 2
    assert "a" in store
    assert "c" not in store
    with pytest.raises(KeyNotFoundError):
        store.read("c")
    assert server.seen == []


def test_a_site_can_be_copied_and_synced(store: StaticURLStore, server: FaultyServer) -> None:
    target = DictStore()
    assert copy_store(store, target).keys == 2
    assert target.read("b") == _LARGE
    assert target.get("a").modified == 5.5
    assert sync_stores(store, target).skipped == 2
    publish(server, long_form(a={"token": "t2"}))
    server.pages["/site/data/a"] = Page(b"2")
    store.refresh()
    assert sync_stores(store, target, delete=True).deleted == 1
    assert target.read("a") == b"2"


def test_data_that_is_not_of_the_size_in_the_index_is_a_conflict(
    store: StaticURLStore, server: FaultyServer
) -> None:
    server.pages["/site/data/b"] = Page(_LARGE + b"more")
    for read in (lambda: store.read("b"), lambda: store.get("b").read()):
        with pytest.raises(ConflictError):
            read()


def test_data_that_the_site_does_not_have_is_a_conflict_that_says_so(
    store: StaticURLStore, server: FaultyServer
) -> None:
    server.pages.clear()
    for read in (lambda: store.read("a"), lambda: store.get_data_range("a", 0, 1)):
        with pytest.raises(ConflictError):
            read()


def test_parts_of_two_versions_never_mix(store: StaticURLStore, server: FaultyServer) -> None:
    value = store.get("b")
    assert value.range(0, 10).read() == _LARGE[:10]
    server.pages["/site/data/b"] = Page(pattern(300_000, 2), '"b2"')
    with pytest.raises(ConflictError):
        value.range(200_000, 200_010).read()


def test_nasty_keys_have_their_place_below_the_data(
    server: FaultyServer, retries: Retries, caplog: pytest.LogCaptureFixture
) -> None:
    server.pages["/data/%C3%A9%20%25/x%3F"] = Page(b"1")
    publish(server, {})
    server.pages["/q/i"] = Page(json.dumps({"é %/x?": {}, "../up": {}, "a/./b": {}}).encode())
    with StaticURLStore(server.url, "/data/", "q/i", 0, retries=retries) as store:
        assert [*store] == ["é %/x?"]
        assert store.read("é %/x?") == b"1"
        assert "../up" not in store
    assert "leaves out 2 keys" in caplog.text


def test_an_index_may_be_anywhere_below_the_root_but_not_outside(server: FaultyServer) -> None:
    for paths in (("..", "i"), ("d", "../i"), ("d", "a/../../i")):
        with pytest.raises(ValueError, match="leads out"):
            StaticURLStore(server.url, *paths)
    server.pages["/d"] = Page(b"{}")
    server.pages["/x"] = Page(b"1")
    with StaticURLStore(server.url, "", "d", 0) as store:
        assert len(store) == 0


# -- looking again ---------------------------------------------------------------------------------


def test_what_a_look_reveals_is_told_in_order(store: StaticURLStore, server: FaultyServer) -> None:
    publish(
        server,
        long_form(
            c={"metadata": {"new": 1}},
            b={"metadata": {"kind": "y"}, "size": 5},
            A={},
        ),
    )
    with heard(store, StoreEvent) as events:
        assert store.refresh() is True
        assert [*store] == ["A", "b", "c"]
        assert store.refresh() is False
    assert told(events) == [("set", "A"), ("delete", "a"), ("update", "b"), ("set", "c")]
    assert [event.metadata for event in events] == [{}, {"kind": "x"}, {"kind": "y"}, {"new": 1}]


def test_an_index_that_has_not_changed_is_not_sent_again(
    store: StaticURLStore, server: FaultyServer
) -> None:
    publish(server, {"a": {}}, '"1"')
    assert store.refresh()
    with heard(store) as events:
        assert not store.refresh()
    assert server.seen[-1].headers["If-None-Match"] == '"1"'
    assert events == []
    publish(server, {"z": {}}, '"2"')
    assert store.refresh()
    assert [*store] == ["z"]


def test_a_store_that_is_opened_again_reads_the_whole_index(
    store: StaticURLStore, server: FaultyServer
) -> None:
    publish(server, {"a": {}}, '"1"')
    store.refresh()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.read("a")
    with pytest.raises(StoreError, match="closed"):
        store.refresh()
    store.connect()
    assert [*store] == ["a"]


@pytest.mark.parametrize(
    "step",
    [status(500), status(404), cut(b"{", 100), status(200, b"[1]"), status(200, b'{"a":1}')],
    ids=["500", "404", "cut", "list", "no metadata"],
)
def test_a_look_that_fails_leaves_what_is_known(
    store: StaticURLStore, server: FaultyServer, step: Any
) -> None:
    server.script = [step] * 3
    with heard(store) as events, pytest.raises(StoreError):
        store.refresh()
    server.script.clear()
    assert [*store] == ["a", "b"]
    assert store.read("a") == b"1"
    assert events == []
    publish(server, {"z": {}})
    assert store.refresh()


def test_a_listener_may_look_again_and_read(store: StaticURLStore, server: FaultyServer) -> None:
    found: list[Any] = []

    def answer(event: Any) -> None:
        found.append((event.key, event.key in store, store.refresh()))

    publish(server, {"z": {}})
    with store.event_manager.listening(StoreModificationEvent, answer):
        store.refresh()
    assert found == [("a", False, False), ("b", False, False), ("z", True, False)]


def test_a_listing_that_has_begun_shows_one_index(
    store: StaticURLStore, server: FaultyServer
) -> None:
    keys = store.keys()
    assert next(keys) == "a"
    publish(server, {"z": {}})
    store.refresh()
    assert [*keys] == ["b"]


# -- polling ---------------------------------------------------------------------------------------


def polled(server: FaultyServer, **options: Any) -> StaticURLStore:
    return StaticURLStore(
        server.url, "data", "index", 0.01, event_manager=EventManager(), **options
    )


def poll_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "encore-poll"]


def wait_for_end(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()


def test_a_change_of_the_site_is_told_by_itself(server: FaultyServer) -> None:
    server.pages["/index"] = Page(b'{"a": {}}', '"1"')
    heard_of = threading.Event()
    with polled(server) as store:
        assert "a" in store
        store.event_manager.connect(StoreModificationEvent, lambda event: heard_of.set())
        server.pages["/index"] = Page(b'{"a": {}, "b": {}}', '"2"')
        assert heard_of.wait(PATIENCE_SECONDS)
        assert "b" in store
        threads = poll_threads()
        assert len(threads) == 1
    wait_for_end(threads)


def test_a_failing_poll_is_logged_once_until_it_works_again(
    server: FaultyServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.pages["/index"] = Page(b'{"a": {}}')
    answered = threading.Event()
    count = 0

    def fail(handler: Any) -> None:
        nonlocal count
        count += 1
        handler.send(500)
        if count >= 3:
            answered.set()

    with caplog.at_level(logging.WARNING), polled(server, retries=0) as store:
        for _ in range(2):
            count = 0
            answered.clear()
            recovered = threading.Event()
            server.script = [fail] * 3
            store.event_manager.connect(
                StoreModificationEvent, lambda event, done=recovered: done.set()
            )
            assert [*store]
            assert answered.wait(PATIENCE_SECONDS)
            server.pages["/index"] = Page(json.dumps({"a": {}, os.urandom(4).hex(): {}}).encode())
            assert recovered.wait(PATIENCE_SECONDS)
        threads = poll_threads()
    wait_for_end(threads)
    assert caplog.text.count("goes on with the index it has") == 2


def test_closing_does_not_wait_for_a_server_that_says_nothing(server: FaultyServer) -> None:
    server.pages["/index"] = Page(b'{"a": {}}')
    asked = threading.Event()

    def hang(handler: Any) -> None:
        asked.set()
        silence(handler)

    store = polled(server, retries=0)
    with heard(store) as events:
        assert "a" in store
        server.script = [hang]
        assert asked.wait(PATIENCE_SECONDS)
        threads = poll_threads()
        store.close()
        server.ended.set()
        wait_for_end(threads)
    assert events == []
    assert not store.is_connected()


def test_a_store_that_is_let_go_ends_its_thread(server: FaultyServer) -> None:
    server.pages["/index"] = Page(b'{"a": {}}')
    store = polled(server)
    assert "a" in store
    threads, gone = poll_threads(), weakref.ref(store)
    del store
    gc.collect()
    wait_for_end(threads)
    assert gone() is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")
def test_a_forked_child_looks_for_itself(server: FaultyServer) -> None:
    server.pages["/index"] = Page(b'{"a": {}}')
    store = polled(server)
    assert "a" in store
    child = os.fork()
    if child == 0:
        code = 1
        with suppress(BaseException):
            assert [*store] == ["a"]
            assert len([t for t in threading.enumerate() if t.name == "encore-poll"]) == 1
            code = 0
        os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    threads = poll_threads()
    store.close()
    wait_for_end(threads)


def test_poll_is_a_number_of_seconds() -> None:
    with pytest.raises(ValueError):
        StaticURLStore("http://h/", "d", "q", -1)


# -- the index -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b"[]", b'"x"', b"null", b'{"a": 1}', b'{"a": []}', b'{"": {}}',
        b'{"a\\u0000": {}}', b'{"\\ud800": {}}', b'{"a": {}, "a": {}}', b'{"a": {"x": NaN}}',
        b'{"a": {"x": 1, "x": 2}}', b'{"encore": 2, "values": {}}', b'{"encore": 1}',
        b'{"encore": 1, "values": []}', b'{"encore": 1, "values": {"a": 1}}',
        b'{"encore": 1, "values": {"a": {"size": -1}}}',
        b'{"encore": 1, "values": {"a": {"size": true}}}',
        b'{"encore": 1, "values": {"a": {"size": 1.5}}}',
        b'{"encore": 1, "values": {"a": {"modified": "now"}}}',
        b'{"encore": 1, "values": {"a": {"modified": 1e999}}}',
        b'{"encore": 1, "values": {"a": {"token": 5}}}',
        b'{"encore": 1, "values": {"a": {"metadata": 5}}}',
        b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe", b'{"a": {"x": ' + b"9" * 5000 + b"}}",
    ],
    ids=lambda text: text[:50].decode("latin-1"),
)  # fmt: skip
def test_what_is_no_index_is_refused(text: bytes) -> None:
    with pytest.raises(BadDocument):
        SiteIndex.parse(text)


def test_an_index_that_cannot_be_read_at_first_is_an_error(
    server: FaultyServer, retries: Retries
) -> None:
    store = StaticURLStore(server.url, "data", "index", 0, retries=retries)
    with pytest.raises(RequestError):
        store.keys()
    server.pages["/index"] = Page(b"nonsense")
    with pytest.raises(CorruptValueError):
        store.connect()
    server.pages["/index"] = Page(b'{"encore": {"a": 1}}')
    assert [*store.query()] == [("encore", {"a": 1})]
    store.close()


def test_it_cannot_be_written(store: StaticURLStore) -> None:
    with pytest.raises(ReadOnlyError):
        store.put("a", b"2")
    assert store.info()["readonly"] is True
