"""Who may do what: static tokens, signed tokens, signed addresses, and where none is needed."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from two_clients import Ours, Theirs

from encore.errors import ConfigError, StoreError
from encore.service import PublicKey, SecretKey, SignedTokens, create_app, served
from encore.service.places import Place
from encore.service.server.files import read_settings
from encore.service.server.permissions import READ, Authority, Grant
from encore.service.server.running import check_reachable
from encore.service.server.tokens import StaticTokens

_CANARY = "CANARY-a-token-nobody-may-see"
_READER = "CANARY-a-token-for-reading"


def _pair() -> tuple[str, str]:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()


_PRIVATE, _PUBLIC = _pair()
_OTHER_PRIVATE, _ = _pair()
_READING = frozenset((READ,))


@pytest.fixture(scope="module")
def guarded_url() -> Iterator[str]:
    """A server that asks for tokens."""
    from encore.storage.api import DictStore

    everything = frozenset(("object.read", "object.write", "object.delete"))
    static = StaticTokens(
        [
            (_CANARY, Grant("lab", "lab", (("org", "1"), ("project", "2")), everything)),
            (_READER, Grant("reader", "*", None, _READING)),
        ]
    )
    signed = SignedTokens({"key": PublicKey([_PUBLIC]), "weak": PublicKey([_PUBLIC], _READING)})
    with (
        DictStore() as store,
        served(create_app(store, authority=Authority([static, signed]))) as url,
    ):
        yield url


@pytest.fixture(params=[Ours, Theirs], ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


def _refused(kind: Any, act: Any) -> int:
    with pytest.raises(kind.RequestError) as failure:
        act()
    status: int = failure.value.status
    assert _CANARY not in str(failure.value)
    return status


def test_without_a_token_nothing_is_done(guarded_url: str, kind: Any) -> None:
    client = kind(guarded_url, "lab", org=1, project=2)
    assert _refused(kind, lambda: client.put(b"x", "k")) == 401
    assert _refused(kind, lambda: client.get("k")) == 401
    client.close()
    client = kind(guarded_url, "lab", "not-a-token-that-is-known", org=1, project=2)
    assert _refused(kind, lambda: client.put(b"x" * 2_000_000, "k", "none")) == 401
    client.close()


def test_a_static_token_opens_its_scopes_and_no_others(guarded_url: str, kind: Any) -> None:
    client = kind(guarded_url, "lab", _CANARY, org=1, project=2)
    assert client.put(b"x", "k") == "k"
    client.close()
    for scopes in ({"org": 1}, {}, {"org": 1, "project": 3}, {"org": 1, "project": 2, "x": 1}):
        other = kind(guarded_url, "lab", _CANARY, **scopes)
        assert _refused(kind, lambda other=other: other.put(b"x", "k")) == 403, scopes
        other.close()
    reader = kind(guarded_url, "lab", _READER, org=1, project=2)
    assert reader.get("k").data == b"x"
    assert _refused(kind, lambda: reader.put(b"x", "k")) == 403
    assert _refused(kind, lambda: reader.session.delete("k")) == 403
    assert _refused(kind, lambda: reader.begin()) == 403
    reader.close()


def test_a_signed_token_opens_its_scopes_and_no_others(guarded_url: str, kind: Any) -> None:
    client = kind(guarded_url, "lab", kind.secret_key("key", _PRIVATE), org=1, project=7)
    key = client.put(b"x")
    assert client.get(key).data == b"x"
    client.session.delete(key)
    client.close()
    # A token for one project opens neither its organisation nor another one.
    token = SecretKey("key", _PRIVATE).token(Place("lab", (("org", "1"), ("project", "7"))))
    for scopes in ({"org": 1}, {}, {"org": 1, "project": 8}):
        other = kind(guarded_url, "lab", token, **scopes)
        assert _refused(kind, lambda other=other: other.put(b"x")) == 403, scopes
        other.close()


def test_permissions_are_those_of_token_and_key(guarded_url: str, kind: Any) -> None:
    reading = kind.secret_key("key", _PRIVATE, ["object.read"])
    for token in (reading, kind.secret_key("weak", _PRIVATE)):
        client = kind(guarded_url, "lab", token)
        assert client.get("missing") is None
        assert _refused(kind, lambda client=client: client.put(b"x")) == 403
        assert _refused(kind, lambda client=client: client.session.delete("k")) == 403
        client.close()


@pytest.mark.parametrize("wrong", ["unknown", "other", "expired", "damaged", "none"])
def test_tokens_that_are_not_valid_open_nothing(guarded_url: str, wrong: str) -> None:
    place = Place("lab")
    token = SecretKey("key", _PRIVATE, expiry_seconds=60).token(place)
    if wrong == "unknown":
        token = SecretKey("nobody", _PRIVATE).token(place)
    elif wrong == "other":
        token = SecretKey("key", _OTHER_PRIVATE).token(place)
    elif wrong == "expired":
        token = SecretKey("key", _PRIVATE, expiry_seconds=-120).token(place)
    elif wrong == "damaged":
        head, body, signature = token.split(".")
        token = f"{head}.{body[:-2]}AA.{signature}"
    else:  # an algorithm that signs nothing
        import jwt

        claims = {"exp": 9e9, "permissions": ["object.read"], "res": {"os:usecase": "lab"}}
        token = jwt.encode(claims, None, algorithm="none", headers={"kid": "key"})
    for headers in ({"x-os-auth": f"Bearer {token}"}, {"authorization": f"bearer {token}"}):
        answer = requests.get(f"{guarded_url}/v1/objects/lab/_/k", headers=headers, timeout=20)
        assert answer.status_code == 401
        assert token not in answer.text
    assert (
        requests.get(f"{guarded_url}/v1/objects/lab/_/k?os_auth={token}", timeout=20).status_code
        == 401
    )


def test_a_signed_address_opens_one_object_for_a_while(guarded_url: str, kind: Any) -> None:
    client = kind(guarded_url, "lab", kind.secret_key("key", _PRIVATE), org=1)
    for key in ("k", "a/ü %2F?b#c"):
        client.put(b"signed", key, "none")
        if kind is Ours:
            url = client.session.presigned_object_url(key, timedelta(hours=1))
        else:
            url = client.session.presigned_object_url("GET", key, timedelta(hours=1))
        assert requests.get(url, timeout=20).content == b"signed"
        assert requests.head(url, timeout=20).status_code == 200
        assert requests.put(url, b"x", timeout=20).status_code == 403
        assert requests.delete(url, timeout=20).status_code == 403
        assert requests.get(url.replace("lab/", "lad/"), timeout=20).status_code == 401
        assert requests.get(url.replace("=3600", "=3601"), timeout=20).status_code == 401
        assert requests.get(url.replace("=3600", "=9999999"), timeout=20).status_code == 400
    client.close()


def test_a_signed_address_ends() -> None:
    from encore.service.server.exchange import Refused, Request

    key = SecretKey("key", _PRIVATE)
    query = key.signed("/v1/objects/lab/_/k", 60)
    request = Request("GET", "", query, [], wire_path="/v1/objects/lab/_/k")
    now = time.time()
    for later, status in ((0, None), (59, None), (70, 401), (-100, 401)):
        keys = SignedTokens({"key": PublicKey([_PUBLIC])}, clock=lambda later=later: now + later)
        if status is None:
            assert keys.grant_of_signature(request) is not None
        else:
            with pytest.raises(Refused) as refused:
                keys.grant_of_signature(request)
            assert refused.value.status == status


# -- where tokens are not asked for ---------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.9.10"])
def test_on_loopback_no_tokens_are_needed(host: str) -> None:
    check_reachable(host, False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_off_loopback_the_server_does_not_start_without_tokens(host: str) -> None:
    with pytest.raises(StoreError, match="tokens"):
        check_reachable(host, False)
    check_reachable(host, True)


# -- settings -------------------------------------------------------------------------------------

_SETTINGS = """
only_named = true
[limits]
object_bytes = 1000
rate = 7.5
[[tokens]]
name = "lab"
token = "${LAB_TOKEN}"
usecase = "lab"
scopes = {org = "1"}
permissions = ["read"]
[[keys]]
kid = "key"
public_key_file = "key.pem"
[usecases.lab]
policies = ["ttl"]
longest = "30d"
"""


def test_settings_are_read(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text(_PUBLIC)
    path = tmp_path / "server.toml"
    path.write_text(_SETTINGS)
    found = read_settings(str(path), {"LAB_TOKEN": _CANARY})
    assert found.limits is not None
    assert (found.limits.object_bytes, found.limits.rate) == (1000, 7.5)
    assert found.usecases is not None
    assert found.usecases["lab"].longest_seconds == 30 * 86400
    assert found.only_named
    assert found.authority is not None
    assert _CANARY not in repr(found)
    with pytest.raises(ConfigError, match="LAB_TOKEN"):
        read_settings(str(path), {})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rate = 7.5", "rate = 0"), ("rate = 7.5", "rote = 1"), ('usecase = "lab"', ""),
        ('["read"]', '["all"]'), ('scopes = {org = "1"}', 'scopes = {org = ""}'),
        ("key.pem", "missing.pem"), ('longest = "30d"', 'longest = "long"'),
        ("[[tokens]]", "[[token]]"), ('"${LAB_TOKEN}"', '"short"'),
    ],
)  # fmt: skip
def test_settings_that_are_wrong_are_named(tmp_path: Path, old: str, new: str) -> None:
    (tmp_path / "key.pem").write_text(_PUBLIC)
    path = tmp_path / "server.toml"
    path.write_text(_SETTINGS.replace(old, new))
    with pytest.raises(ConfigError) as failure:
        read_settings(str(path), {"LAB_TOKEN": _CANARY})
    assert _CANARY not in str(failure.value)


def test_no_log_shows_a_token(guarded_url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = Ours(guarded_url, "lab", _CANARY, org=1, project=2)
    client.put(b"x", "k")
    requests.get(f"{guarded_url}/v1/objects/lab/_/k?os_auth={_CANARY}x", timeout=20)
    client.close()
    ours = [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith(("encore", "uvicorn"))
    ]
    assert not [text for text in ours if _CANARY in text]
    assert _CANARY not in repr(client.client)
    assert _CANARY not in repr(client.session)
