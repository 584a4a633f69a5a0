"""Laws of `DynamicURLStore` beyond the contract: the protocol, other clients, and lost answers."""

from __future__ import annotations

import json
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from faulty_server import FaultyServer, Step, chunked, cut, hang_up, redirect, status
from rest_server import RestServer
from stores import SERVERS

from encore.errors import (
    AuthorizationError,
    CommitUnknownError,
    ConflictError,
    CorruptValueError,
    KeyNotFoundError,
    RequestError,
    StoreError,
    UnsupportedError,
)
from encore.events.api import EventManager
from encore.storage.backends.http import DynamicURLStore, Retries
from encore.storage.events import StoreModificationEvent
from encore.testing.laws import seen, told
from encore.testing.sources import MIB, Generated, pattern

_LARGE = pattern(200_000)


@pytest.fixture
def rest(request: pytest.FixtureRequest) -> Iterator[RestServer]:
    """A server of the protocol in this process, so that tests can look inside."""
    with RestServer(getattr(request, "param", None)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
    thread.join()


def opened(rest: RestServer, **options: Any) -> DynamicURLStore:
    options.setdefault("event_manager", EventManager())
    return DynamicURLStore(f"{rest.address}/s/values", f"{rest.address}/s/query", **options)


@pytest.fixture
def store(rest: RestServer, retries: Retries) -> Iterator[DynamicURLStore]:
    with opened(rest, retries=retries) as store:
        yield store


@pytest.fixture
def other(rest: RestServer) -> Iterator[DynamicURLStore]:
    with opened(rest) as store:
        yield store


def listen(store: DynamicURLStore) -> list[Any]:
    """Have somebody listen, so that writes take the general way; what they hear."""
    events: list[Any] = []
    store.event_manager.connect(StoreModificationEvent, events.append)
    return events


# -- the protocol ----------------------------------------------------------------------------------


def test_programs_without_encore_read_and_write_the_same_values(
    rest: RestServer, store: DynamicURLStore
) -> None:
    url = f"{rest.address}/s/values"
    assert requests.put(f"{url}/a/b/data", data=b"from curl").status_code == 201
    assert requests.post(f"{url}/a/b/metadata", json={"x": 1, "y": 1}).ok
    assert requests.post(f"{url}/a/b/metadata", json={"y": 2}).ok
    assert seen(store) == {"a/b": (b"from curl", {"x": 1, "y": 2})}
    assert requests.put(f"{url}/a/b/metadata", json={"z": 3}).ok
    assert requests.put(f"{url}/a/b/data", data=b"again").status_code == 200
    assert seen(store) == {"a/b": (b"again", {"z": 3})}
    store.put("../é ~/", _LARGE, {"k": "é"})
    strange = f"{url}/~../%C3%A9%20~/~"
    assert requests.get(f"{strange}/data").content == _LARGE
    assert requests.get(f"{strange}/metadata").json() == {"k": "é"}
    part = requests.get(f"{strange}/data", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, _LARGE[10:20])
    assert requests.delete(f"{strange}/value").status_code == 204
    assert "../é ~/" not in store
    assert requests.get(f"{strange}/data").status_code == 404


def test_a_value_is_written_by_one_request(rest: RestServer, store: DynamicURLStore) -> None:
    store.put("a", b"1", {"x": 1})
    assert rest.requests == ["PUT /s/values/a/value 201"]
    listen(store)
    rest.requests.clear()
    store.put("a", b"2")
    assert rest.requests == ["GET /s/values/a/value 200", "PUT /s/values/a/value 200"]


def test_data_stays_where_it_is_when_only_its_metadata_or_key_changes(
    rest: RestServer, store: DynamicURLStore
) -> None:
    store.put("a", _LARGE, {"x": 1})
    store.update_metadata("a", {"y": 2})
    store.copy("a", "b")
    store.move("b", "c")
    assert not [line for line in rest.requests if "/data" in line]
    whole = (_LARGE, {"x": 1, "y": 2})
    assert seen(store) == {"a": whole, "c": whole}


def test_listings_come_in_pages(rest: RestServer, store: DynamicURLStore) -> None:
    keys = [f"{number:05}" for number in range(2500)]
    space = rest.space("s")
    space.store.multiset({key: (b"x" * 3, {"n": int(key) % 7}) for key in keys})
    assert [*store.keys()] == keys
    assert [*store.keys("01", "01005", 3)] == ["01006", "01007", "01008"]
    assert store.totals() == (2500, 7500)
    assert [*store.query_keys(n=3)] == [key for key in keys if int(key) % 7 == 3]
    assert len(store) == 2500
    rest.requests.clear()
    space.store.multiset({key: (b"", {"long": "x" * 50_000}) for key in keys[:100]})
    assert len([*store.query()]) == 2500
    assert len(rest.requests) > 5, "the server ends a page where it likes"


def test_a_question_that_is_too_long_for_an_address_is_asked_all_the_same(
    rest: RestServer, store: DynamicURLStore
) -> None:
    store.put("a", b"1", {"text": "é" * 5000})
    store.put("b", b"1", {"text": "e" * 5000})
    assert [*store.query_keys(text="é" * 5000)] == ["a"]
    assert any(line.startswith("POST") for line in rest.requests)


def test_a_long_stream_is_never_in_memory(rest_server: None, retries: Retries) -> None:
    address = f"{SERVERS['rest_server']}/memory"
    with DynamicURLStore(f"{address}/values", f"{address}/query", retries=retries) as store:
        store.put("warm", b"up")
        tracemalloc.start()
        try:
            store.put("a", Generated(48 * MIB))
            done = sum(map(len, store.get("a").iterdata()))
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        store.delete("a")
    assert done == 48 * MIB
    assert most < 8 * MIB


# -- other clients ---------------------------------------------------------------------------------


@pytest.mark.parametrize("listening", [False, True])
def test_of_two_lone_puts_the_last_one_wins(
    rest: RestServer, store: DynamicURLStore, other: DynamicURLStore, listening: bool
) -> None:
    if listening:
        listen(store)
    for number in range(5):
        other.put("a", b"other")
        store.put("a", str(number).encode())
        other.put("b", b"other")
        store.set("b", (b"", {"n": number}))
    assert seen(other) == {"a": (b"4", {}), "b": (b"", {"n": 4})}
    other.put("a", b"changed")
    store.delete("a")
    assert "a" not in other


@pytest.mark.parametrize(
    "act",
    [
        lambda s: s.put("a", b"mine", if_token=s.get("a").token),
        lambda s: s.update_metadata("a", {"mine": 1}),
        lambda s: s.set_data("a", b"mine"),
        lambda s: s.copy("b", "a"),
    ],
    ids=["if_token", "update_metadata", "set_data", "copy"],
)
def test_a_write_that_builds_on_what_another_client_has_changed_is_a_conflict(
    rest: RestServer,
    store: DynamicURLStore,
    other: DynamicURLStore,
    act: Callable[[DynamicURLStore], object],
) -> None:
    store.put("a", b"old", {"old": 1})
    store.put("b", b"source")
    real, rested = store._rest.put, threading.Event()

    def overtaken(*arguments: Any, **options: Any) -> None:
        if not rested.is_set():
            rested.set()
            other.put("a", b"theirs", {"theirs": 1})
        real(*arguments, **options)

    store._rest.put = overtaken  # type: ignore[method-assign]
    with pytest.raises(ConflictError):
        act(store)
    assert other.read("a") == b"theirs"
    act(store)
    assert other.read("a") != b"theirs" or other.get_metadata("a") == {"theirs": 1, "mine": 1}


def test_if_absent_holds_among_clients(rest: RestServer) -> None:
    stores = [opened(rest) for _ in range(4)]
    winners: list[int] = []

    def write(number: int) -> None:
        for turn in range(20):
            try:
                stores[number].put(f"k{turn}", str(number).encode(), if_absent=True)
            except ConflictError:
                continue
            winners.append(turn)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()
    assert sorted(winners) == [*range(20)]


def test_counting_in_transactions_of_several_clients_loses_no_update(rest: RestServer) -> None:
    stores = [opened(rest) for _ in range(3)]
    stores[0].put("count", b"0")

    def count(store: DynamicURLStore) -> None:
        done = 0
        while done < 10:
            try:
                with store.transaction():
                    store.put("count", str(int(store.read("count")) + 1).encode())
            except ConflictError:
                continue
            done += 1

    threads = [threading.Thread(target=count, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stores[0].read("count") == b"30"
    for store in stores:
        store.close()


def test_a_commit_that_is_refused_at_once_changes_nothing(
    store: DynamicURLStore, other: DynamicURLStore
) -> None:
    store.put("a", b"old")
    events = listen(store)
    with pytest.raises(ConflictError), store.transaction():  # noqa: PT012
        store.put("a", store.read("a") + b" mine")
        store.put("b", b"mine")
        other.put("a", b"theirs")
    assert seen(other) == {"a": (b"theirs", {})}
    assert events == []
    store.put("a", b"usable")


def test_a_commit_that_ends_on_the_way_says_what_has_changed_and_tells_it(
    store: DynamicURLStore, other: DynamicURLStore
) -> None:
    store.multiset({"a": b"old", "b": b"old", "c": b"old", "d": b"old"})
    events = listen(store)
    txn = store.transaction()
    txn.begin()
    store.put("a", b"mine")
    store.put("new", b"mine", {"n": 1})
    store.put("b", b"mine")
    store.delete("d")
    other.put("b", b"theirs")
    with pytest.raises(CommitUnknownError, match=r"after 2 of 4 keys.*'a', 'new'") as caught:
        txn.commit()
    assert isinstance(caught.value.__cause__, ConflictError)
    assert {key: data for key, (data, _) in seen(other).items()} == {
        "a": b"mine", "b": b"theirs", "c": b"old", "d": b"old", "new": b"mine",
    }  # fmt: skip
    assert told(events) == [("update", "a"), ("set", "new")]
    assert store.info()["atomic"] == "key"
    store.put("b", b"usable")


def test_a_commit_that_is_interrupted_on_the_way_tells_what_has_changed(
    store: DynamicURLStore, other: DynamicURLStore
) -> None:
    events = listen(store)
    real, done = store._rest.put, list[str]()

    def interrupted(key: str, *arguments: Any, **options: Any) -> None:
        if done:
            raise KeyboardInterrupt
        real(key, *arguments, **options)
        done.append(key)

    store._rest.put = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        store.multiset({"a": b"1", "b": b"2"})
    assert [*other.keys()] == ["a"]
    assert told(events) == [("set", "a")]


@pytest.mark.parametrize("forgets", [False, True], ids=["keeps versions", "forgets them"])
def test_values_change_places_in_a_transaction(
    rest: RestServer, store: DynamicURLStore, other: DynamicURLStore, forgets: bool
) -> None:
    if forgets:
        rest.space("s").keep = lambda *_: None  # type: ignore[method-assign]
    one, two = pattern(150_000, 1), pattern(160_000, 2)
    store.multiset({"a": (one, {"n": 1}), "b": (two, {"n": 2})})
    with store.transaction():
        store.move("a", "c")
        store.move("b", "a")
        store.move("c", "b")
    assert seen(other) == {"a": (two, {"n": 2}), "b": (one, {"n": 1})}


def test_a_value_of_a_server_that_keeps_no_versions_is_whole_or_refused(
    rest: RestServer, store: DynamicURLStore, other: DynamicURLStore
) -> None:
    rest.space("s").keep = lambda *_: None  # type: ignore[method-assign]
    store.put("a", _LARGE)
    held = store.get("a")
    assert held.range(5, 10).read() == _LARGE[5:10]
    other.put("a", pattern(200_000, 2))
    with pytest.raises(ConflictError, match="get the value again"):
        held.read()
    store.put("b", b"small")
    small = store.get("b")
    other.delete("b")
    assert small.read() == b"small"


# -- lost answers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("listening", [False, True])
@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_change_whose_answer_was_lost_is_made_once_and_no_failure(
    rest: RestServer, store: DynamicURLStore, listening: bool, lost: int
) -> None:
    events = listen(store) if listening else []
    acts: list[Callable[[], object]] = [
        lambda: store.put("a", b"1", if_absent=True),
        lambda: store.put("a", b"2", {"x": 1}, if_token=store.get("a").token),
        lambda: store.update_metadata("a", {"y": 1}),
        lambda: store.put("b", _LARGE),
        lambda: store.move("b", "c"),
        lambda: store.delete("c"),
    ]
    for act in acts:
        rest.lose_replies = lost
        act()
        rest.lose_replies = 0
    assert seen(store) == {"a": (b"2", {"x": 1, "y": 1})}
    if listening:
        assert told(events) == [
            ("set", "a"), ("update", "a"), ("update", "a"), ("set", "b"),
            ("set", "c"), ("delete", "b"), ("delete", "c"),
        ]  # fmt: skip


def test_an_outcome_that_nobody_knows_is_told_as_such(
    server: FaultyServer, retries: Retries
) -> None:
    with DynamicURLStore(f"{server.url}/v", f"{server.url}/q", retries=retries) as store:
        server.script = [hang_up] * 20
        with pytest.raises(CommitUnknownError, match="not known"):
            store.put("a", b"1")
        assert {method for method, _ in server.asked} == {"PUT", "GET"}
        server.script = [*[status(500)] * 3, status(404)]
        with pytest.raises(RequestError) as caught:
            store.put("a", b"1")
        assert caught.value.status == 500


def test_what_was_never_sent_is_known_to_have_failed(retries: Retries) -> None:
    with DynamicURLStore("http://127.0.0.1:1/v", "http://127.0.0.1:1/q", retries=retries) as store:
        for act in (lambda: store.put("a", b"1"), lambda: store.read("a"), lambda: [*store.keys()]):
            with pytest.raises(RequestError, match="refused"):
                act()


def test_a_change_does_not_follow_a_redirect(
    server: FaultyServer, other_server: FaultyServer, retries: Retries
) -> None:
    with DynamicURLStore(f"{server.url}/v", f"{server.url}/q", retries=retries) as store:
        for number in (301, 302, 303, 307, 308):
            server.script = [redirect(f"{other_server.url}/x", number)]
            with pytest.raises(RequestError, match="does not follow"):
                store.put("a", b"1")
    assert other_server.seen == []


# -- users -----------------------------------------------------------------------------------------

_USERS = {"token-of-ann": "ann", "token-of-bob": "bob"}


def as_user(rest: RestServer, name: str) -> DynamicURLStore:
    return opened(rest, headers={"Authorization": f"Bearer token-of-{name}"})


@pytest.mark.parametrize("rest", [_USERS], indirect=True)
def test_permissions_say_who_may_do_what(rest: RestServer) -> None:
    with as_user(rest, "ann") as ann, as_user(rest, "bob") as bob:
        assert (ann.user_tag(), bob.user_tag()) == ("ann", "bob")
        ann.put("a/b", b"1", {"x": 1})
        assert ann.get_permissions("a/b") == {"owned": {"ann"}}
        assert "a/b" not in bob
        assert [*bob.keys()] == []
        with pytest.raises(KeyNotFoundError):
            bob.read("a/b")
        ann.update_permissions("a/b", {"read": {"bob"}})
        assert ann.get_permissions("a/b") == {"owned": {"ann"}, "read": {"bob"}}
        assert seen(bob) == {"a/b": (b"1", {"x": 1})}
        acts: list[Callable[[], object]] = [
            lambda: bob.put("a/b", b"2"),
            lambda: bob.update_metadata("a/b", {"y": 1}),
            lambda: bob.delete("a/b"),
            lambda: bob.get_permissions("a/b"),
            lambda: bob.set_permissions("a/b", {"owned": ["bob"]}),
        ]
        for act in acts:
            with pytest.raises(AuthorizationError):
                act()
        ann.set_permissions("a/b", {"owned": ["bob"]})
        assert "a/b" not in ann
        bob.put("a/b", b"2")
        assert bob.get_permissions("a/b") == {"owned": {"bob"}}
        for verb in (bob.get_permissions, lambda key: bob.update_permissions(key, {})):
            with pytest.raises(KeyNotFoundError):
                verb("gone")


@pytest.mark.parametrize("rest", [_USERS], indirect=True)
def test_credentials_that_are_not_taken_are_an_authorization_error(rest: RestServer) -> None:
    with opened(rest, headers={"Authorization": "Bearer c4n4ry"}) as store:
        acts: list[Callable[[], object]] = [
            lambda: store.put("a", b"1"), lambda: store.read("a"), lambda: [*store.keys()],
            lambda: store.user_tag(), lambda: store.exists("a"),
        ]  # fmt: skip
        for act in acts:
            with pytest.raises(AuthorizationError) as caught:
                act()
            assert "c4n4ry" not in str(caught.value)


def test_credentials_can_be_given_when_connecting(
    server: FaultyServer, store: DynamicURLStore
) -> None:
    with DynamicURLStore(f"{server.url}/v", f"{server.url}/q") as late:
        late.connect(("ann", "secret"))
        server.script = [status(404)]
        assert "a" not in late
    assert server.seen[0].headers["Authorization"].startswith("Basic ")
    with pytest.raises(UnsupportedError, match="tell users apart"):
        store.user_tag()
    with DynamicURLStore("http://h/", "http://h/q", user_tag="me") as known:
        assert known.user_tag() == "me"


# -- servers that lie ------------------------------------------------------------------------------

_RECORD = {"metadata": {}, "size": 3, "created": 1.0, "modified": 2.0, "token": "t"}


def value(record: Any, data: bytes = b"abc") -> Step:
    return status(200, json.dumps(record).encode() + b"\n" + data)


@pytest.mark.parametrize(
    "step",
    [
        value([]),
        value({**_RECORD, "size": 4}),
        value({**_RECORD, "size": 2}),
        value({**_RECORD, "size": -1}),
        value({**_RECORD, "size": "3"}),
        value({**_RECORD, "metadata": []}),
        value({**_RECORD, "metadata": None}),
        value({**_RECORD, "token": None}),
        value({**_RECORD, "created": "1"}),
        value({**_RECORD, "modified": True}),
        value({}),
        status(200, b""),
        status(200, b"abc"),
        status(200, b'{"size": NaN}\n'),
        status(200, b"[" * 100_000 + b"\n"),
        status(200, b'{"a":1,"a":2}\n'),
        status(200, b"\xff\n"),
    ],
    ids=range(17),
)
def test_a_record_that_makes_no_sense_is_refused(
    server: FaultyServer, retries: Retries, step: Step
) -> None:
    with DynamicURLStore(f"{server.url}/v", f"{server.url}/q", retries=retries) as store:
        server.script = [step]
        with pytest.raises(CorruptValueError):
            store.get("a")
        server.script = [value(_RECORD)]
        assert store.read("a") == b"abc"


@pytest.mark.parametrize("text", [b"[]", b'{"own": "ann"}', b'{"own": [1]}', b"", b"{"])
def test_permissions_that_make_no_sense_are_refused(
    server: FaultyServer, retries: Retries, text: bytes
) -> None:
    with DynamicURLStore(f"{server.url}/v", f"{server.url}/q", retries=retries) as store:
        server.script = [status(200, text)]
        with pytest.raises(CorruptValueError):
            store.get_permissions("a")


def lines(*items: Any) -> Step:
    return chunked(*[json.dumps(item).encode() + b"\n" for item in items])


_MORE, _END = {"more": True}, {"more": False}


@pytest.mark.parametrize(
    "step",
    [
        lines({"key": "a"}),
        lines({"key": "b"}, {"key": "a"}, _END),
        lines({"key": "a"}, {"key": "a"}, _END),
        lines({"key": ""}, _END),
        lines({"key": 1}, _END),
        lines("a", _END),
        lines(_END, {"key": "a"}),
        lines(_END, _END),
        lines({"key": "x"}, _MORE),
        lines(_MORE),
        status(200, b"nonsense"),
        status(200, b""),
        status(404),
        cut(b'{"key": "a"}\n', 100),
    ],
    ids=range(14),
)
def test_a_listing_that_makes_no_sense_is_refused(
    server: FaultyServer, retries: Retries, step: Step
) -> None:
    with DynamicURLStore(f"{server.url}/v", f"{server.url}/q", retries=retries) as store:
        server.script = [step] * 3
        with pytest.raises(StoreError):
            print([*store.keys()])
        server.script = [lines({"key": "p1"}, _MORE), lines({"key": "p2"}, _END)]
        assert [*store.keys("p")] == ["p1", "p2"]


def test_a_listing_of_other_keys_than_asked_is_refused(
    server: FaultyServer, retries: Retries
) -> None:
    with DynamicURLStore(f"{server.url}/v", f"{server.url}/q", retries=retries) as store:
        for ask in (lambda: store.keys("p"), lambda: store.keys(start_after="b")):
            server.script = [lines({"key": "a"}, _END)]
            with pytest.raises(CorruptValueError):
                print([*ask()])
