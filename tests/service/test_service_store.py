"""`ServiceStore`: transactions in one request, conflicts, and what others change."""

from __future__ import annotations

import io
import json
import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from encore.errors import ConflictError, InvalidKeyError, StoreError
from encore.events.event_manager import EventManager
from encore.service import Client, Limits, ServiceStore, TimeToLive, create_app, served
from encore.storage.api import DictStore
from encore.storage.events import StoreModificationEvent

_SECONDS = 20.0


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with DictStore(event_manager=EventManager()) as store, served(create_app(store)) as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as client:
        yield client


@pytest.fixture
def store(client: Client, usecase: str) -> Iterator[ServiceStore]:
    session = client.session(usecase, a=1)
    with ServiceStore(session, follow=False, event_manager=EventManager()) as store:
        yield store


@pytest.fixture
def other(client: Client, usecase: str) -> Iterator[ServiceStore]:
    """Another program's door to the same objects, which follows what is changed."""
    session = client.session(usecase, a=1)
    with ServiceStore(session, event_manager=EventManager()) as store:
        yield store


def _heard(store: ServiceStore) -> queue.Queue[tuple[str, str, dict[str, Any], str | None]]:
    found: queue.Queue[Any] = queue.Queue()

    def note(event: Any) -> None:
        found.put((event.action, event.key, event.metadata, event.origin))

    store.event_manager.connect(StoreModificationEvent, note, filter={"source": store})
    return found


def test_a_transaction_is_all_or_nothing(store: ServiceStore, other: ServiceStore) -> None:
    store.put("a", b"1")
    with store.transaction("Both"):
        store.put("b", b"2", {"n": 2})
        store.put("large", io.BytesIO(bytes(3_000_000)))
        store.delete("a")
        assert [*other] == ["a"]
    assert [*other] == ["b", "large"]
    assert other.get_metadata("b") == {"n": 2}
    assert other.get("large").size == 3_000_000
    with pytest.raises(KeyError), store.transaction():  # noqa: PT012
        store.put("c", b"3")
        store.delete("missing")
    assert [*other] == ["b", "large"]


def test_a_transaction_that_has_read_what_others_changed_since_changes_nothing(
    store: ServiceStore, other: ServiceStore
) -> None:
    store.put("count", b"1")
    with pytest.raises(ConflictError), store.transaction():  # noqa: PT012
        number = int(store.read("count"))
        other.put("count", b"5")
        store.put("sum", b"x")
        store.put("count", str(number + 1).encode())
    assert [*store] == ["count"]
    assert store.read("count") == b"5"
    with pytest.raises(ConflictError), store.transaction():  # noqa: PT012
        store.exists("flag")
        other.put("flag", b"")
        store.put("sum", b"x")


def test_counting_from_many_threads_loses_nothing(url: str, usecase: str) -> None:
    def count() -> None:
        with Client(url) as client:
            mine = ServiceStore(client.session(usecase), follow=False, event_manager=EventManager())
            with mine:
                done = 0
                while done < 5:
                    try:
                        with mine.transaction():
                            number = int(mine.read("n")) if "n" in mine else 0
                            mine.put("n", str(number + 1).encode())
                        done += 1
                    except ConflictError:
                        continue

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Client(url) as client, ServiceStore(client.session(usecase), follow=False) as store:
        assert store.read("n") == b"20"


def test_a_value_stays_whole_while_it_is_replaced(store: ServiceStore, other: ServiceStore) -> None:
    store.put("k", bytes(1_000_000))
    value = other.get("k")
    store.put("k", b"\x01" * 1_000_000)
    with value as data:
        assert data.read() == bytes(1_000_000)


def test_keys_leave_room_for_usecase_and_scopes(store: ServiceStore) -> None:
    most = store.info()["key_bytes"]
    store.put("x" * most, b"")
    assert [*store] == ["x" * most]
    with pytest.raises(InvalidKeyError):
        store.put("x" * (most + 1), b"")
    with pytest.raises(InvalidKeyError):
        store.exists("x" * (most + 1))


def test_objects_and_keys_are_the_same(client: Client, usecase: str, store: ServiceStore) -> None:
    session = client.session(usecase, a=1)
    session.put(b"from a session", "k", compression="none", metadata={"kind": "plate"})
    assert store.read("k") == b"from a session"
    assert store.get_metadata("k")["kind"] == "plate"
    assert [*store.query_keys(kind="plate")] == ["k"]
    store.update_metadata("k", {"wells": 96})
    assert session.head("k").custom == {"kind": "plate", "wells": "96"}
    store.put("other", b"1", {"ö": 1, "deep": {"a": [None, 1.5]}})
    assert session.get("other").payload.read() == b"1"


def test_expired_objects_are_no_keys(plain_store: DictStore) -> None:
    now = [1e9]
    with served(create_app(plain_store, clock=lambda: now[0])) as url, Client(url) as client:
        session = client.session("usecase")
        session.put(b"x", "gone", expiration_policy=TimeToLive(60))
        session.put(b"x", "stays")
        with ServiceStore(session, follow=False) as store:
            assert [*store] == ["gone", "stays"]
            now[0] += 61
            assert [*store] == ["stays"]
            assert "gone" not in store
            store.put("gone", b"again", if_absent=True)
            assert store.read("gone") == b"again"


# -- what others change ---------------------------------------------------------------------------


def test_changes_of_others_are_announced(store: ServiceStore, other: ServiceStore) -> None:
    heard = _heard(other)
    store.put("a", b"1", {"n": 1})
    assert heard.get(timeout=_SECONDS) == ("set", "a", {"n": 1}, None)
    store.update_metadata("a", {"m": 2})
    assert heard.get(timeout=_SECONDS) == ("update", "a", {"n": 1, "m": 2}, None)
    with store.transaction("Undo", origin="undo"):
        store.put("ü/b", b"2")
        store.delete("a")
    assert heard.get(timeout=_SECONDS) == ("set", "ü/b", {}, "undo")
    assert heard.get(timeout=_SECONDS) == ("delete", "a", {"n": 1, "m": 2}, "undo")


def test_own_changes_are_announced_once(store: ServiceStore, other: ServiceStore) -> None:
    heard = _heard(other)
    other.put("mine", b"1")
    store.put("theirs", b"2")
    assert [heard.get(timeout=_SECONDS)[1] for _ in range(2)] == ["mine", "theirs"]
    assert heard.empty()


def test_other_places_are_not_heard(client: Client, usecase: str, other: ServiceStore) -> None:
    heard = _heard(other)
    client.session(usecase, a=2).put(b"x", "elsewhere")
    client.session(usecase, a=1).put(b"x", "here")
    assert heard.get(timeout=_SECONDS)[1] == "here"


def test_what_was_missed_is_told_when_the_connection_is_back(
    store: ServiceStore, other: ServiceStore
) -> None:
    from encore.service.client import following

    heard = _heard(other)
    store.put("a", b"1")
    assert heard.get(timeout=_SECONDS)[1] == "a"
    follower = other._follower
    assert follower is not None
    assert follower._answer is not None
    following._cut(follower._answer)
    for key in "bcd":
        store.put(key, b"1")
    assert [heard.get(timeout=_SECONDS)[1] for _ in range(3)] == ["b", "c", "d"]


def _first_events(url: str, path: str, count: int, **headers: str) -> list[str]:
    with requests.get(
        url + path,
        headers={k.replace("_", "-"): v for k, v in headers.items()},
        stream=True,
        timeout=20,
    ) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        found = []
        for line in answer.iter_lines(1, decode_unicode=True):
            if line.startswith(("event:", "data:", "id:")):
                found.append(line)
            if len(found) == 3 * count:
                break
        return found


def test_a_feed_goes_on_where_it_was_or_says_that_it_cannot(url: str, usecase: str) -> None:
    path = f"/v1/objects:events/{usecase}/_/"
    identifier, kind, _ = _first_events(url, path, 1)
    assert kind == "event: hello"
    last = identifier.removeprefix("id: ")
    with Client(url) as client:
        client.session(usecase).put(b"x", "k")
    lines = _first_events(url, path, 2, last_event_id=last)
    assert lines[1] == "event: hello"
    assert lines[4] == "event: change"
    assert json.loads(lines[5].removeprefix("data: "))["key"] == "k"
    for gone in ("other-1", f"{last}999", "nonsense"):
        assert _first_events(url, path, 1, last_event_id=gone)[1] == "event: reset"


# -- requests -------------------------------------------------------------------------------------


def test_pages_are_in_order_and_lead_to_the_next(url: str, usecase: str) -> None:
    at = f"{url}/v1/objects/{usecase}/_"
    for key in ("b", "a/1", "a/2", "c", "ü"):
        requests.put(
            f"{at}/{key}", b"x", headers={"x-snme-kind": "b" if key == "b" else "other"}, timeout=20
        )
    page = requests.get(f"{at}/?list&limit=2", timeout=20).json()
    assert [item["key"] for item in page["objects"]] == ["a/1", "a/2"]
    assert page["more"]
    page = requests.get(f"{at}?list&start_after={page['start_after']}", timeout=20).json()
    assert [item["key"] for item in page["objects"]] == ["b", "c", "ü"]
    assert not page["more"]
    page = requests.get(f"{at}?list&prefix=a/&keys_only", timeout=20).json()
    assert page["objects"] == [{"key": "a/1"}, {"key": "a/2"}]
    page = requests.get(f"{at}?list&where=" + '{"kind":"b"}', timeout=20).json()
    assert [item["key"] for item in page["objects"]] == ["b"]
    assert requests.get(f"{at}?list&where=[", timeout=20).status_code == 400
    assert requests.get(f"{at}?list&limit=x", timeout=20).status_code == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"set":"a","size":1}\nx{"delete":"b"}\n{"end":2}\n', 200),
        (b'{"set":"a","size":1}\nx{"delete":"b"}\n', 400),
        (b'{"set":"a","size":1}\nx{"end":2}\n', 400),
        (b'{"set":"a","size":1}\nx{"end":1}\nmore', 400),
        (b'{"set":"a","size":5}\nx', 400),
        (b'{"set":"a","size":-1}\n{"end":1}\n', 400),
        (b'{"set":"","size":0}\n{"end":1}\n', 400),
        (b'{"set":"a","size":1,"metadata":3}\nx{"end":1}\n', 400),
        (b'{"set":"a","size":1,"if_token":"t"}\nx{"end":1}\n', 409),
        (b'{"set":"a","data_of":{"key":"b","token":"t"}}\n{"end":1}\n', 409),
        (b'{"check":"a","if_token":"t"}\n{"set":"a","size":0}\n{"end":2}\n', 409),
        (b'{"jump":"a"}\n{"end":1}\n', 400),
        (b"nonsense\n", 400),
        (b"", 400),
    ],
)
def test_batches_are_judged(url: str, usecase: str, body: bytes, status: int) -> None:
    at = f"{url}/v1/objects:transaction/{usecase}/_/"
    assert requests.post(at, body, timeout=20).status_code == status
    keys = requests.get(f"{url}/v1/objects/{usecase}/_?list&keys_only", timeout=20).json()
    assert keys["objects"] == ([{"key": "a"}] if status == 200 else [])


def test_a_batch_is_no_larger_than_is_taken(plain_store: DictStore) -> None:
    limits = Limits(batch_changes=3)
    with served(create_app(plain_store, limits=limits)) as url, Client(url) as client:
        store = ServiceStore(client.session("usecase"), follow=False)
        with store:
            store.multiset(dict.fromkeys("abc", b""))
            with pytest.raises(StoreError):
                store.multiset(dict.fromkeys("defg", b""))
            assert [*store] == ["a", "b", "c"]
