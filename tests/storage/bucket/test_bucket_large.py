"""Laws of large values: they stream, appear at once, and leave nothing when they do not."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import Any

import pytest
import requests
from bucket_tools import MIB, fresh_prefix, names, open_bucket
from servers import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, BucketServer

from encore.errors import ConflictError, OperationCancelled
from encore.storage.events import StoreProgressEvent
from encore.testing.sources import Failing, Generated, SourceBroke, Trickle, pattern

LARGE = 21 * MIB + 5  # three parts


def is_clean(server: BucketServer, prefix: str, *keys: str) -> bool:
    """Nothing is there but some keys and their records, and no upload is left over."""
    found = [name for name in names(server, prefix) if not name.startswith(".encore/records/")]
    deadline = time.monotonic() + 40
    while server.unfinished_uploads() and time.monotonic() < deadline:
        threading.Event().wait(0.05)  # the server takes an aborted upload away a moment later
    return found == sorted(keys) and server.unfinished_uploads() == 0


def test_a_large_stream_arrives_whole(bucket_server: BucketServer) -> None:
    prefix = fresh_prefix()
    with open_bucket(bucket_server, prefix) as store:
        store.put("a", Trickle(pattern(LARGE), 300_000), {"x": 1})
        value = store.get("a")
        assert value.size == LARGE
        assert value.metadata == {"x": 1}
        assert value.read() == pattern(LARGE)
        assert b"".join(value.iterdata(777_777)) == pattern(LARGE)
        assert max(map(len, value.iterdata(65536))) <= 65536
        for start, end in ((0, 1), (8 * MIB - 3, 8 * MIB + 3), (LARGE - 1, LARGE), (5, 5)):
            assert store.get_data_range("a", start, end).read() == pattern(LARGE)[start:end]
            assert value.range(start, end).read() == pattern(LARGE)[start:end]
        value.close()
        with pytest.raises(ValueError, match="closed"):
            value.read()
        assert is_clean(bucket_server, prefix, "a")


@pytest.mark.parametrize("point", [0, 5 * MIB, 20 * MIB])
def test_a_stream_that_breaks_leaves_what_was_there(
    bucket_server: BucketServer, point: int
) -> None:
    prefix = fresh_prefix()
    with open_bucket(bucket_server, prefix) as store:
        store.put("a", Generated(LARGE), {"old": 1})
        before = store.get("a").token
        for key in ("a", "new"):
            with pytest.raises(SourceBroke):
                store.put(key, Failing(pattern(point)), {"new": 1})
        with pytest.raises(KeyboardInterrupt):
            store.put("a", Failing(pattern(point), KeyboardInterrupt()))
        assert store.get("a").token == before
        assert store.get_metadata("a") == {"old": 1}
        assert is_clean(bucket_server, prefix, "a")


class Slow(Generated):
    """A source that takes long enough for its progress to be told before the end."""

    def read(self, size: int = -1) -> bytes:
        time.sleep(0.005)
        return super().read(size)


def test_a_write_that_is_cancelled_leaves_nothing(bucket_server: BucketServer) -> None:
    prefix = fresh_prefix()
    with open_bucket(bucket_server, prefix) as store:

        def cancel(event: Any) -> None:
            if getattr(event, "step", 0) > MIB:
                event.cancel()

        with (
            store.event_manager.listening(StoreProgressEvent, cancel),
            pytest.raises(OperationCancelled),
        ):
            store.put("a", Slow(LARGE))
        assert is_clean(bucket_server, prefix)


def test_a_transaction_that_is_rolled_back_leaves_nothing(bucket_server: BucketServer) -> None:
    prefix = fresh_prefix()
    with open_bucket(bucket_server, prefix) as store, open_bucket(bucket_server, prefix) as other:
        store.put("kept", Generated(LARGE), {"x": 1})
        with pytest.raises(SourceBroke), store.transaction():  # noqa: PT012
            store.put("a", Generated(LARGE))
            store.copy("kept", "b")
            store.move("kept", "c")
            assert [*store.keys()] == ["a", "b", "c"]
            assert store.read("a") == store.read("b") == pattern(MIB) * 21 + pattern(5)
            assert [*other.keys()] == ["kept"]
            raise SourceBroke
        assert is_clean(bucket_server, prefix, "kept")
        with store.transaction():
            store.put("a", Generated(LARGE), {"y": 1})
            with pytest.raises(SourceBroke), store.transaction():  # noqa: PT012
                store.put("a", b"small")
                store.put("d", Generated(LARGE))
                raise SourceBroke
            store.update_metadata("a", {"z": 1})
        assert store.get_metadata("a") == other.get_metadata("a") == {"y": 1, "z": 1}
        assert is_clean(bucket_server, prefix, "a", "kept")


def test_many_small_values_of_a_transaction_need_not_fit_in_memory(
    bucket_server: BucketServer,
) -> None:
    prefix = fresh_prefix()
    with open_bucket(bucket_server, prefix) as store:
        values = {f"{number:02}": (pattern(MIB, number), {"n": number}) for number in range(24)}
        with store.transaction():
            store.multiset(values)
            assert any(".encore/staged/" in name for name in names(bucket_server, prefix))
            held = store.get("23")
            store.delete("23")
            assert held.read() == values["23"][0]
        del values["23"]
        found = {key: (value.read(), value.metadata) for key, value in store.items()}
        assert found == values
        assert is_clean(bucket_server, prefix, *values)


def test_copies_of_large_values_are_made_by_the_server(bucket_server: BucketServer) -> None:
    prefix = fresh_prefix()
    with open_bucket(bucket_server, prefix) as store:
        store.put("a", Generated(LARGE), {"x": 1})
        store.copy("a", "b")
        store.copy("b", "b//odd")
        store.copy("b", "l" * 1000)
        store.update_metadata("b", {"y": 1})
        assert store.get_metadata("a") == store.get_metadata("b//odd") == {"x": 1}
        assert store.read("b//odd") == store.read("l" * 1000) == store.read("a")
        store.move("b", "a")
        assert store.get_metadata("a") == {"x": 1, "y": 1}
        store.delete("b//odd")
        store.delete("l" * 1000)
        assert is_clean(bucket_server, prefix, "a")
        assert len(names(bucket_server, prefix)) == 2


@pytest.mark.parametrize("how", ["replaced", "removed", "replaced meanwhile"])
def test_a_large_value_that_goes_while_it_is_read_is_never_mixed(
    bucket_server: BucketServer, how: str
) -> None:
    prefix = fresh_prefix()
    with open_bucket(bucket_server, prefix) as store, open_bucket(bucket_server, prefix) as other:
        store.put("a", Trickle(pattern(LARGE, 1), MIB))
        held = store.get("a")
        chunks = held.iterdata(65536)
        head = next(chunks) if how == "replaced meanwhile" else b""
        if how == "removed":
            other.delete("a")
        else:
            other.put("a", Trickle(pattern(LARGE, 2), MIB))
        data = pattern(LARGE, 1)  # what had been sent before is the old value
        with suppress(ConflictError):
            data = head + b"".join(chunks)
        assert data == pattern(LARGE, 1)
        with pytest.raises(ConflictError):
            held.read()
        with pytest.raises(ConflictError):
            held.range(LARGE - 10).read()


def test_a_bucket_that_keeps_versions_keeps_values_that_are_held(
    bucket_server: BucketServer,
) -> None:
    bucket_server.make_bucket("versions")
    client = bucket_server.make_client("versions")
    enable_versions(bucket_server, "versions")
    with open_bucket(bucket_server, "", client=client) as store:
        store.put("a", Trickle(pattern(LARGE, 1), MIB))
        held = store.get("a")
        store.put("a", b"new")
        assert held.read() == pattern(LARGE, 1)
        store.delete("a")
        assert held.range(LARGE - 10).read() == pattern(LARGE, 1)[-10:]
        assert [*store.keys()] == []


def enable_versions(server: BucketServer, bucket: str) -> None:
    """What obstore cannot do either: a request with a query of its own, signed by hand."""
    import hashlib
    import hmac

    body = (
        b'<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        b"<Status>Enabled</Status></VersioningConfiguration>"
    )
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    host, digest = server.url.partition("//")[2], hashlib.sha256(body).hexdigest()
    headers = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": moment}
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    request = f"PUT\n/{bucket}\nversioning=\n{lines}\n{';'.join(headers)}\n{digest}"
    scope = f"{moment[:8]}/{REGION}/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{SECRET_KEY}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, SignedHeaders={';'.join(headers)}, "
        f"Signature={signature}"
    )
    answer = requests.put(
        f"{server.url}/{bucket}?versioning=",
        data=body,
        headers={**headers, "authorization": authorization},
        timeout=5,
    )
    assert answer.status_code == 200, answer.text


def test_signed_urls_read_and_write(bucket_server: BucketServer) -> None:
    with open_bucket(bucket_server, fresh_prefix()) as store:
        for key in ("a", "a b+c%é", "odd//key"):
            store.put(key, b"data of " + key.encode())
            url = store.presigned_get(key)
            assert requests.get(url, timeout=5).content == store.read(key)
            assert SECRET_KEY not in url
            tampered = url.replace("Expires=3600", "Expires=7200")
            assert requests.get(tampered, timeout=5).status_code == 403
            assert requests.put(url, b"no", timeout=5).status_code == 403
            put = store.presigned_put(key, expiry=60)
            assert requests.put(put, b"from outside", timeout=5).status_code == 200
            assert store.read(key) == b"from outside"
            assert store.get_metadata(key) == {}
        for expiry in (0, -1, 8 * 86400):
            with pytest.raises(ValueError, match="week"):
                store.presigned_get("a", expiry)


def test_what_was_staged_long_ago_is_swept_away(
    bucket_server: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from encore.storage.backends.bucket import placing

    prefix = fresh_prefix()
    bucket_server.client.put(f"{prefix}/.encore/staged/left", b"by a crash")
    with open_bucket(bucket_server, prefix) as store:
        with store.transaction():
            store.put("a", Generated(5 * MIB))
        assert ".encore/staged/left" in names(bucket_server, prefix), "it may still be needed"
    monkeypatch.setattr(placing, "_STALE_SECONDS", -3600.0)
    with open_bucket(bucket_server, prefix) as store, store.transaction():
        store.put("b", Generated(5 * MIB))
        assert ".encore/staged/left" not in names(bucket_server, prefix)


MEMORY = """
import resource, sys
sys.path[:0] = {paths}
from obstore.store import S3Store
from encore.storage.backends.bucket import BucketStore
from encore.testing.sources import Generated
client = S3Store({bucket!r}, endpoint={url!r}, access_key_id={access!r},
                 secret_access_key={secret!r}, region={region!r},
                 client_options={{"allow_http": True}})
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
with BucketStore({bucket!r}, client=client, prefix={prefix!r}) as store:
    store.put("warm", Generated(30 << 20))
    for _ in store.get("warm").iterdata():
        pass
    before = peak()
    store.put("a", Generated(200 << 20))
    print(peak() - before)
    size = sum(len(chunk) for chunk in store.get("a").iterdata())
    assert size == 200 << 20
    with store.transaction():
        store.put("b", Generated(200 << 20))
    print(peak() - before)
"""


def test_memory_does_not_grow_with_the_value(bucket_server: BucketServer) -> None:
    program = MEMORY.format(
        paths=sys.path,
        bucket=BUCKET,
        url=bucket_server.url,
        access=ACCESS_KEY,
        secret=SECRET_KEY,
        region=REGION,
        prefix=fresh_prefix(),
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=110
    )
    growth = [float(line) for line in done.stdout.split()]
    assert max(growth) < 16, growth


def test_readers_during_many_replacements_see_whole_values(bucket_server: BucketServer) -> None:
    prefix = fresh_prefix()
    size = 5 * MIB
    whole = {pattern(size, number) for number in range(3)}
    with open_bucket(bucket_server, prefix) as store, open_bucket(bucket_server, prefix) as other:
        store.put("a", Trickle(pattern(size, 0), MIB))
        done = threading.Event()
        errors: list[BaseException] = []

        def read() -> None:
            times = 0
            while not done.is_set() or not times:
                try:
                    value = other.get("a")
                    assert value.read() in whole
                    times += 1
                except ConflictError:
                    continue
                except BaseException as error:
                    errors.append(error)
                    return

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        for number in range(6):
            store.put("a", Trickle(pattern(size, number % 3), MIB))
        done.set()
        reader.join(30)
        assert errors == []
