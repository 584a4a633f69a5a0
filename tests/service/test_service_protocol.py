"""What goes over the wire, request by request, through a socket and nothing in between."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from encore.service import Limits, UsecaseRules, create_app, served

_DURATION = re.compile(r"(ttl|tti):(\d+[dhms])( \d+[dhms])*")


class Wire:
    """Requests as they are written here."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.place = parts.hostname or "", parts.port or 0
        self.connection = http.client.HTTPConnection(*self.place, timeout=20)

    def __call__(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> http.client.HTTPResponse:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, body, names)
        answer = self.connection.getresponse()
        answer.data = answer.read()  # type: ignore[attr-defined]
        return answer

    def raw(self, data: bytes) -> bytes:
        """The beginning of the answer to bytes that need not be a request."""
        with socket.create_connection(self.place, timeout=20) as connection:
            connection.sendall(data)
            return connection.recv(65536)


@pytest.fixture
def wire(service_url: str) -> Iterator[Any]:
    found = Wire(service_url)
    yield found
    found.connection.close()


@pytest.fixture
def at(usecase: str) -> str:
    return f"/v1/objects/{usecase}/org=1;project=2"


def test_new_and_replaced_objects_have_their_statuses(wire: Any, at: str) -> None:
    answer = wire("POST", at + "/", b"x")
    assert answer.status == 201
    key = json.loads(answer.data)["key"]
    assert re.fullmatch(r"[0-9a-f-]{36}", key)
    assert wire("POST", at, b"x").status == 201
    assert wire("PUT", f"{at}/k", b"x").status == 200
    assert json.loads(wire("PUT", f"{at}/k", b"x").data) == {"key": "k"}
    assert wire("DELETE", f"{at}/k").status == 204
    assert wire("DELETE", f"{at}/k").status == 204
    for method in ("GET", "HEAD"):
        answer = wire(method, f"{at}/k")
        assert (answer.status, answer.data) == (404, b"")


def test_names_of_headers_are_in_lower_case(wire: Any, at: str) -> None:
    wire("PUT", f"{at}/k", b"x", x_sn_expiration="ttl:1day 90s", X_SnMe_A="b")
    answer = wire("GET", f"{at}/k")
    names = [name for name, _ in answer.getheaders()]
    assert names == [name.lower() for name in names]
    assert _DURATION.fullmatch(answer.getheader("x-sn-expiration"))
    assert answer.getheader("x-sn-expiration") == "ttl:1d 1m 30s"
    assert answer.getheader("x-snme-a") == "b"
    assert answer.getheader("x-sn-size") == "1"
    assert answer.getheader("content-disposition") == "attachment"


def test_bodies_may_be_chunked(wire: Any, at: str) -> None:
    wire("PUT", f"{at}/k", iter([b"a" * 70_000, b"b" * 300_000]))
    assert wire("GET", f"{at}/k").data == b"a" * 70_000 + b"b" * 300_000


def test_what_is_compressed_is_never_compressed_again(wire: Any, at: str) -> None:
    wire("PUT", f"{at}/k", b"as it is", content_encoding="zstd")
    answer = wire("GET", f"{at}/k", accept_encoding="gzip, br")
    assert (answer.data, answer.getheader("content-encoding")) == (b"as it is", "zstd")
    wire("PUT", f"{at}/k", b"a" * 100_000)
    answer = wire("GET", f"{at}/k", accept_encoding="gzip, br")
    assert (len(answer.data), answer.getheader("content-encoding")) == (100_000, None)


@pytest.mark.parametrize("size", [10, 600_000])
@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-3", 0, 4), ("bytes=4-", 4, None), ("bytes=-3", -3, None), ("BYTES=2-2", 2, 3),
        ("bytes=5-99999999", 5, None), ("bytes=-99999999", 0, None),
    ],
)  # fmt: skip
def test_a_range_is_answered_with_that_part(
    wire: Any, at: str, size: int, asked: str, start: int, end: int | None
) -> None:
    data = bytes(i % 251 for i in range(size))
    wire("PUT", f"{at}/k", data)
    answer = wire("GET", f"{at}/k", range=asked)
    assert answer.status == 206
    assert answer.data == data[start:end]
    first = range(size)[start]
    last = first + len(answer.data) - 1
    assert answer.getheader("content-range") == f"bytes {first}-{last}/{size}"
    assert answer.getheader("content-length") == str(len(answer.data))


def test_ranges_that_are_not_there_and_ranges_that_are_none(wire: Any, at: str) -> None:
    wire("PUT", f"{at}/k", b"0123456789")
    wire("PUT", f"{at}/empty", b"")
    answer = wire("GET", f"{at}/k", range="bytes=10-")
    assert (answer.status, answer.getheader("content-range")) == (416, "bytes */10")
    assert wire("GET", f"{at}/empty", range="bytes=0-").status == 416
    assert wire("GET", f"{at}/empty", range="bytes=-5").status == 416
    for wrong in ("bytes=a-b", "lines=1-2", "bytes=", "bytes=-", "bytes=3-2", "bytes"):
        assert wire("GET", f"{at}/k", range=wrong).status == 400, wrong
    answer = wire("GET", f"{at}/k", range="bytes=0-1,3-4")
    assert (answer.status, answer.data) == (200, b"0123456789")


def test_what_is_known_of_an_object_is_checked(wire: Any, at: str) -> None:
    for name, value in {
        "content_type": "no type",
        "content_encoding": "gzip",
        "x_sn_expiration": "ttl:-1d",
        "x_snme_a": "%FF",
    }.items():
        answer = wire("PUT", f"{at}/k", b"x", **{name: value})
        assert answer.status == 400, name
        assert "detail" in json.loads(answer.data)
    assert wire("PUT", f"{at}/k", b"x", x_sn_expiration="manual").status == 200
    wire("PUT", f"{at}/k", b"x", x_sn_time_created="nonsense", x_sn_size="99")
    assert wire("HEAD", f"{at}/k").getheader("x-sn-size") == "1"
    assert wire("PUT", f"{at}/k", b"x", **{"x_snme_encore.expires": "1"}).status == 400
    assert wire("PUT", f"{at}/k", b"x", **{"x_snme_encore.object": "1"}).status == 400


def test_data_that_is_not_what_it_says_is_refused(wire: Any, at: str) -> None:
    right = base64.b64encode(hashlib.sha256(b"right").digest()).decode()
    assert wire("PUT", f"{at}/k", b"right", content_digest=f"sha-256=:{right}:").status == 200
    assert wire("PUT", f"{at}/k", b"wrong", content_digest=f"sha-256=:{right}:").status == 400
    assert wire("PUT", f"{at}/k", b"wrong", content_md5="AAAA").status == 400
    answer = wire("GET", f"{at}/k")
    assert answer.data == b"right"
    assert answer.getheader("repr-digest") == f"sha-256=:{right}:"


def test_conditions_hold_or_nothing_is_written(wire: Any, at: str) -> None:
    assert wire("PUT", f"{at}/k", b"1", if_match='"x"').status == 412
    first = wire("PUT", f"{at}/k", b"1", if_none_match="*").getheader("etag")
    assert wire("PUT", f"{at}/k", b"2", if_none_match="*").status == 412
    assert wire("GET", f"{at}/k", if_none_match=first).status == 304
    assert wire("PUT", f"{at}/k", b"2", if_match=first).status == 200
    assert wire("PUT", f"{at}/k", b"3", if_match=first).status == 412
    assert wire("GET", f"{at}/k").data == b"2"


def test_a_body_that_is_cut_off_leaves_what_was_there(wire: Any, at: str) -> None:
    wire("PUT", f"{at}/k", b"before")
    for size in (100, 1_000_000):
        with socket.create_connection(wire.place, timeout=20) as connection:
            head = f"PUT {at}/k HTTP/1.1\r\nhost: x\r\ncontent-length: {size}\r\n\r\n"
            connection.sendall(head.encode() + b"x" * (size - 1))
    assert wire("GET", f"{at}/k").data == b"before"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/objects/ab/_/k", "/v1/objects/a%2Fb/_/k", "/v1/objects/usecase/a=b=c;/k",
        "/v1/objects/usecase/a/k", "/v1/objects/usecase/a=/k", "/v1/objects/usecase/a=1;a=2/k",
        "/v1/objects/usecase/a=%2F../k", "/v1/objects/../_/k", "/v1/objects/%2e%2e/_/k",
        "/v1/objects/usecase/_/%00", "/v1/objects/usecase/_/%FF", "/v1/objects/usecase/../k",
        "/v1/objects/usecase/_/" + "x" * 1024,
    ],
)  # fmt: skip
def test_paths_that_are_none_are_refused(wire: Any, path: str) -> None:
    assert wire("PUT", path, b"x").status == 400


def test_no_key_reaches_out_of_its_scope(wire: Any, usecase: str) -> None:
    wire("PUT", f"/v1/objects/{usecase}/a=1/secret", b"x")
    for key in ("../a=1/secret", "..%2Fa=1%2Fsecret", f"../../{usecase}/a=1/secret"):
        assert wire("GET", f"/v1/objects/{usecase}/a=2/{key}").status == 404


def test_what_is_not_there_and_what_cannot_be_done(wire: Any, at: str) -> None:
    for path in ("/v1", "/v1/", "/v1/nothing/usecase/_/k", "/v2/objects/usecase/_/k"):
        assert wire("GET", path).status == 404, path
    for method, path in (("PUT", at), ("POST", f"{at}/k"), ("TRACE", f"{at}/k")):
        assert wire(method, path).status == 405, method
    assert wire("POST", f"{at}?upload_type=resumable").status == 501
    assert wire("PUT", f"{at}/k?upload_type=resumable").status == 501
    assert wire("PUT", f"{at}/k?upload_type=other").status == 400


def test_extensions_are_judged(wire: Any, at: str) -> None:
    wire("PUT", f"{at}/k", b"x", x_sn_expiration="ttl:1d")
    kind = "application/json"

    def patch(document: Any, status: int, key: str = "k", kind: str = kind) -> None:
        body = document if isinstance(document, str) else json.dumps(document)
        answer = wire("PATCH", f"{at}/{key}", body, content_type=kind)
        assert answer.status == status, document

    patch({"extend_expiry": {"after": "30d", "from": "now"}}, 204)
    patch({"extend_expiry": {"at": "2030-01-01T00:00:00+02:00"}}, 204)
    patch({"extend_expiry": {"after": "30d", "from": "now"}}, 404, "missing")
    patch({"extend_expiry": {"after": "30d", "from": "now"}}, 415, kind="text/plain")
    patch("{", 400)
    for wrong in (
        {"after": "-1d", "from": "now"}, {"after": "1d", "from": "then"}, {"after": "1d"},
        {"at": "tomorrow"}, {"at": 1}, {}, {"at": "2030-01-01T00:00:00Z", "after": "1d"},
    ):  # fmt: skip
        patch({"extend_expiry": wrong}, 422)


def test_parts_are_judged(wire: Any, usecase: str) -> None:
    place = f"{usecase}/_/k"
    begun = json.loads(wire("PUT", f"/v1/objects:multipart/{place}").data)
    upload = begun["upload_id"]
    parts = f"/v1/objects:multipart:parts/{place}?upload_id={upload}"
    assert wire("PUT", f"{parts}&part_number=0", b"x").status == 400
    assert wire("PUT", f"{parts}&part_number=1", iter([b"x"])).status == 400
    assert wire("PUT", f"{parts}&part_number=1", b"x", content_md5="AAAA").status == 400
    for number in (1, 2, 3):
        assert wire("PUT", f"{parts}&part_number={number}", b"x").status == 200
    page = json.loads(wire("GET", f"{parts}&max_parts=2").data)
    assert (page["is_truncated"], page["next_part_number_marker"]) == (True, 2)
    page = json.loads(wire("GET", f"{parts}&part_number_marker=2").data)
    assert ([part["part_number"] for part in page["parts"]], page["is_truncated"]) == ([3], False)
    complete = f"/v1/objects:multipart:complete/{place}?upload_id={upload}"
    assert wire("POST", complete, '{"parts":[{"part_number":0,"etag":"x"}]}').status == 422
    answer = wire("POST", complete, '{"parts":[{"part_number":1,"etag":"x"}]}')
    assert (answer.status, json.loads(answer.data)["error"]["code"]) == (200, "InvalidPart")
    for wrong in ("", "?upload_id=../x"):
        assert wire("GET", f"/v1/objects:multipart:parts/{place}{wrong}").status == 400
    missing = f"?upload_id={'0' * 32}"
    assert wire("GET", f"/v1/objects:multipart:parts/{place}{missing}").status == 404
    other = f"/v1/objects:multipart:parts/{usecase}/_/other?upload_id={upload}"
    assert wire("GET", other).status == 404


def test_rubbish_is_no_request(wire: Any) -> None:
    assert wire.raw(b"\x16\x03\x01 nonsense\r\n\r\n").startswith(b"HTTP/1.1 400")


# -- limits ---------------------------------------------------------------------------------------


def test_objects_are_no_larger_than_is_taken(plain_store: Any) -> None:
    app = create_app(plain_store, limits=Limits(object_bytes=400_000))
    with served(app) as url:
        wire = Wire(url)
        at = "/v1/objects/usecase/_/k"
        assert wire("PUT", at, b"x" * 400_000).status == 200
        assert wire("PUT", at, b"x" * 400_001).status == 413
        assert wire("PUT", at, iter([b"x" * 100_000] * 5)).status == 413
        assert len(wire("GET", at).data) == 400_000
        wire.connection.close()


def test_a_client_has_so_many_requests_a_second(plain_store: Any) -> None:
    with served(create_app(plain_store, limits=Limits(rate=5))) as url:
        wire = Wire(url)
        answers = [wire("GET", "/v1/objects/usecase/_/k") for _ in range(12)]
        assert [answer.status for answer in answers[:5]] == [404] * 5
        refused = [answer for answer in answers if answer.status == 429]
        assert refused
        assert int(refused[0].getheader("retry-after")) >= 1
        wire.connection.close()


def test_usecases_have_their_rules(plain_store: Any) -> None:
    rules = UsecaseRules(policies=("ttl",), longest_seconds=3600)
    app = create_app(plain_store, usecases={"limited": rules}, only_named=True)
    with served(app) as url:
        wire = Wire(url)
        at = "/v1/objects/limited/_/k"
        assert wire("PUT", at, b"x").status == 400
        assert wire("PUT", at, b"x", x_sn_expiration="tti:1h").status == 400
        assert wire("PUT", at, b"x", x_sn_expiration="ttl:2h").status == 400
        assert wire("PUT", at, b"x", x_sn_expiration="ttl:1h").status == 200
        body = '{"extend_expiry":{"after":"2h","from":"creation"}}'
        assert wire("PATCH", at, body, content_type="application/json").status == 400
        assert wire("PUT", "/v1/objects/other/_/k", b"x").status == 404
        wire.connection.close()


def test_a_store_that_was_there_before_is_served(plain_store: Any) -> None:
    plain_store.put("plates/1", b"data", {"kind": "plate", "wells": 96, "ö": 1})
    app = create_app(plain_store, usecases={"project": UsecaseRules(prefix="")})
    with served(app) as url:
        wire = Wire(url)
        answer = wire("GET", "/v1/objects/project/_/plates/1")
        assert answer.data == b"data"
        assert answer.getheader("x-snme-kind") == "plate"
        assert answer.getheader("x-snme-wells") == "96"
        assert wire("PUT", "/v1/objects/project/_/plates/2", b"new").status == 200
        assert plain_store.read("plates/2") == b"new"
        assert wire("PUT", "/v1/objects/project/_/.uploads/x", b"new").status == 400
        wire.connection.close()
