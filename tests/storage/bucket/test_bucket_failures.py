"""Laws of trouble: said plainly, soon, without secrets, and with nothing changed by halves."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from bucket_tools import MIB, fresh_prefix, names, open_bucket, open_through, proxy
from servers import BUCKET, SECRET_KEY, BucketServer

from encore.errors import (
    AuthorizationError,
    CommitUnknownError,
    ConfigError,
    StoreError,
)
from encore.storage.api import BucketStore
from encore.testing.sources import Generated

WRONG = "CANARY-of-a-wrong-secret"


@contextmanager
def in_seconds(limit: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < limit


def told(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error)


_READING: dict[str, Callable[[BucketStore], object]] = {
    "read": lambda store: store.read("a"),
    "get": lambda store: store.get("a"),
    "exists": lambda store: "a" in store,
    "keys": lambda store: [*store.keys()],
}
_VERBS = _READING | {
    "put": lambda store: store.put("a", b""),
    "put a stream": lambda store: store.put("a", Generated(6 * MIB)),
    "delete": lambda store: store.delete("a"),
    "multiset": lambda store: store.multiset({"a": b"", "b": b""}),
}
_CASES = [(False, verb) for verb in _VERBS.values()] + [(True, verb) for verb in _READING.values()]
_IDS = [*_VERBS, *(f"readonly {name}" for name in _READING)]


@pytest.mark.parametrize(("readonly", "verb"), _CASES, ids=_IDS)
def test_a_wrong_secret_is_an_authorization_error(
    bucket_server: BucketServer, verb: Any, readonly: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    store = open_through(bucket_server.url, fresh_prefix(), WRONG, readonly=readonly)
    with pytest.raises(AuthorizationError) as caught, in_seconds(10):
        verb(store)
    text = told(caught.value) + caplog.text + repr(store) + str(store.info())
    assert WRONG not in text
    assert BUCKET in str(caught.value)
    assert bucket_server.url in str(caught.value)
    store.close()


@pytest.mark.parametrize(("readonly", "verb"), _CASES, ids=_IDS)
def test_a_missing_bucket_is_no_missing_key(
    bucket_server: BucketServer, verb: Any, readonly: bool
) -> None:
    store = open_through(bucket_server.url, "", bucket="absent", readonly=readonly)
    with pytest.raises(StoreError, match="no such bucket") as caught, in_seconds(10):
        verb(store)
    assert not isinstance(caught.value, KeyError)
    assert SECRET_KEY not in told(caught.value)


@pytest.mark.parametrize("verb", _VERBS.values(), ids=_VERBS)
def test_a_server_that_is_not_there_is_named_soon(verb: Any) -> None:
    store = open_through("http://127.0.0.1:1", "")
    with (
        pytest.raises(StoreError, match=r"http://127\.0\.0\.1:1.*cannot be reached"),
        in_seconds(10),
    ):
        verb(store)


def test_secrets_in_an_endpoint_are_not_repeated() -> None:
    store = open_through("http://user:CANARY@127.0.0.1:1", "")
    with pytest.raises(StoreError) as caught:
        store.read("a")
    assert "CANARY" not in str(caught.value) + repr(store) + str(store.info())


def test_a_server_that_stops_meanwhile_is_an_error_and_the_store_stays_usable() -> None:
    with BucketServer() as server:
        prefix = fresh_prefix()
        store = open_through(server.url, prefix)
        store.put("a", b"1", {"x": 1})
        large = open_through(server.url, prefix)
        large.put("large", Generated(12 * MIB))
        held = large.get("large")
        txn = store.transaction()
        txn.begin()
        store.put("b", b"2")
        server.stop()
        with pytest.raises(StoreError, match="cannot be reached"), in_seconds(20):
            txn.commit()
        for verb in _VERBS.values():
            with pytest.raises(StoreError), in_seconds(20):
                verb(store)
        with pytest.raises(StoreError), in_seconds(20):
            held.read()
        assert store.transaction().depth == 0
        store.close()
        large.close()


def test_no_credentials_anywhere_is_an_authorization_error(
    bucket_server: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    store = BucketStore(BUCKET, bucket_server.url, retries=0, request_timeout=2.0)
    with pytest.raises(StoreError) as caught, in_seconds(20):
        store.read("a")
    assert BUCKET in str(caught.value)


def test_credentials_come_from_the_environment(
    bucket_server: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from servers import ACCESS_KEY, REGION

    import encore

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket_server.url)
    monkeypatch.setenv("AWS_REGION", REGION)
    prefix = fresh_prefix()
    with encore.open_store(f"s3://{BUCKET}/{prefix}") as store:
        store.put("a", b"1")
        assert bucket_server.url in repr(store)
    assert names(bucket_server, prefix) == ["a"]
    with encore.open_store(f"s3://{BUCKET}/{prefix}", readonly=True) as store:
        assert store.read("a") == b"1"


def test_addresses_of_other_services_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    import encore

    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "Q0FOQVJZ")
    for address in ("gs://bucket/some/prefix", "az://bucket/some/prefix"):
        store = encore.open_store(address)
        assert "prefix 'some/prefix/'" in repr(store)
        assert "bucket 'bucket'" in repr(store)
        assert "Q0FOQVJZ" not in repr(store) + str(store.info())
        store.close()
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME")
    with pytest.raises(ConfigError):
        encore.open_store("az://bucket")


def refuse_writes_of(*keys: str) -> Any:
    def spoil(method: str, path: str, headers: dict[str, str]) -> int | None:
        if method == "PUT" and path.partition("?")[0].rpartition("/")[2] in keys:
            return 403
        return None

    return spoil


def test_a_commit_that_fails_half_way_takes_new_keys_back_and_says_what_stays(
    bucket_server: BucketServer,
) -> None:
    prefix = fresh_prefix()
    with proxy(bucket_server, refuse_writes_of("z")) as url, open_through(url, prefix) as store:
        store.multiset({"old": b"1", "gone": b"1"})
        with pytest.raises(AuthorizationError), store.transaction():  # noqa: PT012
            store.put("new", b"2")
            store.put("newer", Generated(6 * MIB))
            store.put("z", b"2")
        assert names(bucket_server, prefix) == ["gone", "old"]
        with pytest.raises(StoreError, match=r"4 changes.*not put back \('old'\)") as caught:
            put_three_and_delete_one(store)
        assert caught.value.changed == ["old"]  # type: ignore[attr-defined]
        assert [*store.keys()] == ["gone", "old"]
        assert store.read("old") == b"2"


def put_three_and_delete_one(store: BucketStore) -> None:
    with store.transaction():
        store.put("old", b"2")
        store.put("new", b"2")
        store.put("z", b"2")
        store.delete("gone")


def lose_replies_to(key: str, losses: list[str], *, all_of_them: bool) -> Any:
    def spoil(method: str, path: str, headers: dict[str, str]) -> str | int | None:
        if not path.partition("?")[0].endswith(f"/{key}"):
            return None
        if method == "PUT" and (all_of_them or not losses):
            losses.append(path)
            return "lose"
        return 500 if losses and all_of_them else None

    return spoil


@pytest.mark.parametrize("listening", [False, True])
def test_a_lost_reply_is_made_good_by_looking(bucket_server: BucketServer, listening: bool) -> None:
    losses: list[str] = []
    spoil = lose_replies_to("a", losses, all_of_them=False)
    with (
        proxy(bucket_server, spoil) as url,
        open_through(url, fresh_prefix(), retries=2) as store,
    ):
        if listening:
            from encore.storage.events import StoreEvent

            store.event_manager.connect(StoreEvent, lambda event: None)
        store.put("a", b"1", {"x": 1})
        assert losses
        assert store.read("a") == b"1"
        store.put("b", b"1", if_absent=True)


def test_a_reply_that_stays_lost_leaves_the_outcome_unknown(bucket_server: BucketServer) -> None:
    losses: list[str] = []
    prefix = fresh_prefix()
    spoil = lose_replies_to("a", losses, all_of_them=True)
    with proxy(bucket_server, spoil) as url, open_through(url, prefix, retries=0) as store:
        with pytest.raises(CommitUnknownError, match="'a'"):
            store.put("a", b"1", {"x": 1})
        assert losses
        with open_bucket(bucket_server, prefix) as other:
            assert other.read("a") == b"1"


def test_a_forked_child_is_told_rather_than_left_waiting(bucket_server: BucketServer) -> None:
    program = f"""
import os, sys
sys.path[:0] = {sys.path}
from obstore.store import MemoryStore
from encore.storage.api import BucketStore
store = BucketStore("memory", client=MemoryStore())
store.put("a", b"1")
child = os.fork()
if not child:
    try:
        store.read("a")
    except NotImplementedError as error:
        assert "forked" in str(error), error
        os._exit(7)
    os._exit(1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), store.read("a"))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == ["7", "b'1'"]


def test_processes_write_side_by_side(bucket_server: BucketServer) -> None:
    prefix = fresh_prefix()
    program = f"""
import sys
sys.path[:0] = {sys.path}
from bucket_tools import open_through
with open_through({bucket_server.url!r}, {prefix!r}) as store:
    number = int(sys.argv[1])
    for turn in range(10):
        store.put(f"{{number}}/{{turn}}", b"%d" % turn, {{"number": number}})
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", program, str(number)]) for number in range(2)
    ]
    for process in processes:
        assert process.wait(90) == 0
    with open_bucket(bucket_server, prefix) as store:
        assert len(store) == 20
        assert {metadata["number"] for _, metadata in store.query()} == {0, 1}


def test_a_missing_obstore_is_answered_with_how_to_get_it() -> None:
    program = """
import sys
sys.modules["obstore"] = None
from encore.storage.api import BucketStore
try:
    BucketStore("photos")
except RuntimeError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert 'pip install "encore[bucket]"' in done.stdout


def test_a_store_that_is_closed_can_be_opened_again(bucket_server: BucketServer) -> None:
    store = open_through(bucket_server.url, fresh_prefix())
    store.multiset({f"{number}": b"" for number in range(20)})
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.read("1")
    store.connect()
    assert len(store) == 20
    assert len([*store.query()]) == 20
    store.close()
