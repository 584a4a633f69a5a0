"""Laws of ``service:http://HOST:PORT/USECASE/SCOPES``: what opens, and what is refused how."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

import encore
from encore.cli.main import main
from encore.config import StoreFactory, parse_address, register_store
from encore.errors import AuthorizationError, ConfigError, RequestError
from encore.service import ServiceStore, create_app, served
from encore.service.addresses import TOKEN_VARIABLE
from encore.service.server.permissions import DELETE, READ, WRITE, Authority, Grant
from encore.service.server.tokens import StaticTokens
from encore.storage.api import DictStore, SqliteStore

CANARY = "Xy7-canary-secret-token"


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)


@pytest.fixture
def url(plain_store: DictStore) -> Any:
    """A server without tokens over ``plain_store``."""
    with served(create_app(plain_store)) as found:
        yield found


@pytest.fixture
def guarded_url(plain_store: DictStore) -> Any:
    """A server that wants the token `CANARY`."""
    grant = Grant("tester", "notebook", None, frozenset((READ, WRITE, DELETE)))
    authority = Authority([StaticTokens([(CANARY, grant)])])
    with served(create_app(plain_store, authority=authority)) as found:
        yield found


# -- what opens -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "prefix"),
    [
        ("notebook/_", "notebook/_/"),
        ("notebook/lab=7", "notebook/lab=7/"),
        ("notebook/lab=7;project=x", "notebook/lab=7;project=x/"),
        ("notebook/lab%3D7%3Bproject%3Dx", "notebook/lab=7;project=x/"),
        ("notebook/usecase=1;self=2;a%21=3", "notebook/usecase=1;self=2;a!=3/"),
    ],
)
def test_an_address_names_a_usecase_and_scopes(
    url: str, plain_store: DictStore, place: str, prefix: str
) -> None:
    with encore.open_store(f"service:{url}/{place}") as store:
        assert isinstance(store, ServiceStore)
        store.put("a/b", b"1")
    assert [*plain_store] == [f"{prefix}a/b"]


def test_a_service_may_be_below_a_path() -> None:
    store = encore.open_store("service:https://example.org/some/where/lab/_")
    assert store.info()["url"] == "https://example.org/some/where/"
    store = encore.open_store("SERVICE:http://[::1]:8888/lab/_")
    assert store.info()["url"] == "http://[::1]:8888/"


def test_nothing_is_asked_before_the_first_use() -> None:
    store = encore.open_store("service:http://127.0.0.1:1/lab/_")
    assert not store.is_connected()
    assert parse_address("service:http://127.0.0.1:1/lab/_").exists()
    with pytest.raises(RequestError):
        store.exists("a")
    store.close()


def test_the_session_is_closed_with_the_store(url: str) -> None:
    before = {*threading.enumerate()}
    store = encore.open_store(f"service:{url}/notebook/_")
    store.connect()
    assert any(t.name == "encore-follow" for t in {*threading.enumerate()} - before)
    closed: list[int] = []
    connection = store._session.connection  # type: ignore[attr-defined]
    close = connection.close
    connection.close = lambda: (closed.append(1), close())
    store.close()
    assert closed == [1]
    assert not any(t.name == "encore-follow" for t in {*threading.enumerate()} - before)


def test_wrappers_and_options_go_with_it(url: str, plain_store: DictStore) -> None:
    with encore.open_store(f"gzip+service:{url}/notebook/_", follow=False) as store:
        store.put("a", b"1" * 1000)
        assert store.read("a") == b"1" * 1000
    assert plain_store.get("notebook/_/a").size < 100
    with pytest.raises(ConfigError, match="did you mean 'follow'"):
        encore.open_store(f"service:{url}/notebook/_", folow=False)


# -- what does not --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "service:",
        "service:nonsense",
        "service://127.0.0.1:8888/lab/_",
        "service:ftp://127.0.0.1/lab/_",
        "service:http://",
        "service:http:///lab/_",
        "service:http://127.0.0.1:8888",
        "service:http://127.0.0.1:8888/",
        "service:http://127.0.0.1:8888/lab",
        "service:http://127.0.0.1:8888/lab/",
        "service:http://127.0.0.1:8888/lab/_/",
        "service:http://127.0.0.1:8888/lab/_/key",
        "service:http://127.0.0.1:8888/la/_",
        "service:http://127.0.0.1:8888//_",
        "service:http://127.0.0.1:8888/../_",
        "service:http://127.0.0.1:8888/lab/a",
        "service:http://127.0.0.1:8888/lab/a=1;a=2",
        "service:http://127.0.0.1:8888/lab/a=1;",
        "service:http://127.0.0.1:8888/lab/a=%2F",
        "service:http://127.0.0.1:8888/lab/a=%FF",
        "service:http://127.0.0.1:8888/lab%00/_",
        "service:http://127.0.0.1:99999/lab/_",
        "service:http://127.0.0.1:x/lab/_",
        "service:http://127.0.0.1\r\n/lab/_",
        "service:http://[::1/lab/_",
        "service:http://hö st/lab/_",
    ],
)
def test_what_is_no_address_is_answered_with_what_would_be(address: str) -> None:
    with pytest.raises(ConfigError) as caught:
        encore.open_store(address)
    assert "service:http://HOST:PORT/USECASE/SCOPES" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        f"service:http://{CANARY}@127.0.0.1:1/lab/_",
        f"service:http://ada:{CANARY}@127.0.0.1:1/lab/_",
        f"service:http://127.0.0.1:1/lab/_?token={CANARY}",
        f"service:http://127.0.0.1:1/lab/_#{CANARY}",
    ],
)
def test_a_token_is_not_taken_from_an_address_nor_repeated(address: str) -> None:
    with pytest.raises(ConfigError, match=TOKEN_VARIABLE) as caught:
        encore.open_store(address)
    assert CANARY not in str(caught.value)
    if "#" not in address:
        assert CANARY not in f"{parse_address(address)} {parse_address(address)!r}"


# -- tokens ---------------------------------------------------------------------------------------


def test_a_token_comes_from_the_environment(
    guarded_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"service:{guarded_url}/notebook/_"
    with pytest.raises(AuthorizationError), encore.open_store(address) as store:
        store.connect()
    monkeypatch.setenv(TOKEN_VARIABLE, "")
    with pytest.raises(AuthorizationError), encore.open_store(address) as store:
        store.connect()
    monkeypatch.setenv(TOKEN_VARIABLE, CANARY)
    with encore.open_store(address) as store:
        store.put("a", b"1")
        assert CANARY not in f"{store!r} {store.info()}"


def test_a_token_comes_as_an_option(guarded_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "another token, of somebody else")
    with encore.open_store(f"service:{guarded_url}/notebook/_", token=CANARY) as store:
        store.put("a", b"1")


@pytest.mark.parametrize("token", [f"{CANARY}\r\nX-Other: 1", f"{CANARY}ö", " "])
def test_a_token_that_cannot_be_sent_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, token)
    with pytest.raises(ConfigError, match=TOKEN_VARIABLE) as caught:
        encore.open_store("service:http://127.0.0.1:1/lab/_")
    assert CANARY not in str(caught.value)


# -- configurations -------------------------------------------------------------------------------


def test_a_configuration_takes_the_address(url: str, plain_store: DictStore) -> None:
    content = {"main": "lab", "stores": {"lab": f"service:{url}/notebook/lab=7"}}
    with StoreFactory(content).build() as store:
        store.put("a", b"1")
    assert [*plain_store] == ["notebook/lab=7/a"]


def test_a_configuration_gives_the_token(guarded_url: str, tmp_path: Path) -> None:
    config = {"url": f"{guarded_url}/notebook/_", "token": "${LAB_TOKEN}", "follow": False}
    content = {"main": "lab", "stores": {"lab": {"type": "ServiceStore", "config": config}}}
    path = tmp_path / "stores.json"
    path.write_text(json.dumps(content))
    factory = StoreFactory(path, environ={"LAB_TOKEN": CANARY})
    described = factory.describe()
    assert described["type"] == "ServiceStore"
    assert described["config"]["token"] == "***"
    assert CANARY not in json.dumps(described)
    with factory.build() as store:
        store.put("a", b"1")
    with pytest.raises(ConfigError) as caught:
        StoreFactory(path, environ={"LAB_TOKEN": f"{CANARY}\n"}).build()
    assert CANARY not in str(caught.value)


def test_the_kind_is_taken() -> None:
    with pytest.raises(ValueError, match="encore has a store 'ServiceStore' itself"):
        register_store(DictStore, "ServiceStore")


# -- the command ----------------------------------------------------------------------------------


def test_commands_take_the_address(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    address = f"service:{url}/notebook/lab=7"
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"cat")
    assert main(["copy", "photos", address]) == 0
    assert main(["meta", address, "cat.jpg", "stars=5"]) == 0
    capsys.readouterr()
    assert main(["ls", address]) == 0
    assert capsys.readouterr().out == "cat.jpg\n"
    assert main(["query", address, "stars=5"]) == 0
    assert "cat.jpg" in capsys.readouterr().out
    assert main(["info", address]) == 0
    assert "ServiceStore" in capsys.readouterr().out
    assert main(["copy", address, "sqlite:back.db"]) == 0
    with SqliteStore("back.db") as store:
        assert store.read("cat.jpg") == b"cat"
    assert main(["rm", address, "cat.jpg"]) == 0
    assert main(["undo", address]) == 1
    assert "keeps no history" in capsys.readouterr().err


def test_commands_say_what_is_wrong_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", "service:http://127.0.0.1:8888/lab"]) == 2
    assert main(["ls", f"service:http://{CANARY}@127.0.0.1:8888/lab/_"]) == 2
    assert main(["ls", "service:http://127.0.0.1:1/lab/_"]) == 1
    text = capsys.readouterr().err
    assert text.count("\n") == 3
    assert CANARY not in text


def test_a_command_does_not_follow_changes(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*args: Any) -> None:
        raise AssertionError("it follows")

    monkeypatch.setattr("encore.service.store.Follower", refuse)
    assert main(["ls", f"service:{url}/notebook/_"]) == 0


def test_help_names_the_address(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "service:http://HOST:PORT/USECASE/SCOPES" in text
    assert TOKEN_VARIABLE in text
