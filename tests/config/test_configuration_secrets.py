"""Neither secrets nor what variables held is shown anywhere."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from config_files import FORMATS, one, write

from encore.config import StoreFactory, kinds, register_store
from encore.config.secrecy import hide_login, is_secret_name, repeats
from encore.errors import ConfigError
from encore.storage.api import DictStore

CANARY = "Xy7-canary-secret"


@pytest.mark.parametrize(
    "name",
    [
        "secret", "password", "Password", "passwd", "passphrase", "token", "access_token",
        "api_key", "apikey", "s3_secret_key", "s3_access_key", "x-api-key", "private_key",
        "credentials", "authorization", "auth", "headers", "users", "cookie", "client_secret",
        "key", "pwd", "signing_key", "encryption_key",
    ],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    ["path", "prefix", "key_bytes", "keys", "max_bytes", "level", "base_url", "index", "users_url"],
)
def test_other_names(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://ada:secret@host/a?sig=secret", "http://***@host/a?***"),
        ("https://host/a", "https://host/a"),
        ("s3://token@host/bucket", "s3://***@host/bucket"),
        ("s3:bucket?secret=1", "s3:bucket?***"),
        ("sqlite:a@b.db", "sqlite:a@b.db"),
        ("plain?", "plain?"),
    ],
)
def test_logins_are_cut_out_of_addresses(text: str, shown: str) -> None:
    assert hide_login(text) == shown


@pytest.mark.parametrize(
    ("message", "secret", "found"),
    [
        ("cannot open 'Xy7-canary-secret'", CANARY, True),
        ("cannot open 'XY7-CANARY-SECRET'", CANARY, True),
        ("cannot open 'Xy7%2Dcanary'", CANARY, True),
        ("cannot open", CANARY, False),
        ("not 7, but 8", "7", True),
        ("not 77", "7", False),
        ("anything", "", False),
        ("two words", "  ", False),
    ],
)
def test_a_message_that_repeats_a_secret_is_noticed(message: str, secret: str, found: bool) -> None:
    assert repeats(ValueError(message), [secret]) is found
    outer = ValueError("outer")
    outer.__cause__ = KeyError(message)
    assert repeats(outer, [secret]) is found


class Talkative(DictStore):
    """Says whatever it is given."""

    def __init__(
        self, *, token: str = "", note: str = "", number: int = 0, url: str = "", **options: Any
    ) -> None:
        super().__init__(timeout=1.0)
        if note != "fine":
            try:
                int(f"{token}{note}{url}{options.get('other')}{options.get('headers')}")
            except ValueError as error:
                raise RuntimeError(f"refused {number}") from error


@pytest.fixture
def talkative() -> Iterator[str]:
    register_store(Talkative)
    yield "Talkative"
    del kinds._registered["Talkative"]


def everything_said(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + str(error.__dict__)


@pytest.mark.parametrize(
    "config",
    [
        {"token": CANARY},
        {"note": "${SECRET}"},
        {"note": "a${SECRET}b"},
        {"token": "${SECRET}"},
        {"url": f"http://ada:{CANARY}@host/"},
        {"url": f"http://host/?sig={CANARY}"},
        {"other": {"password": CANARY}},
        {"other": [{"x": "${SECRET}"}]},
        {"headers": {"X-Anything": CANARY}},
        {"number": "${NUMBER}"},
    ],
)
def test_a_store_that_tells_its_secrets_is_not_quoted(
    config: dict[str, Any], talkative: str
) -> None:
    environ = {"SECRET": CANARY, "NUMBER": "4711"}
    with pytest.raises(ConfigError) as caught:
        StoreFactory(one(talkative, **config), environ=environ).build()
    said = everything_said(caught.value)
    assert CANARY not in said
    assert "4711" not in said
    assert "RuntimeError, whose text is left out" in str(caught.value)
    assert str(caught.value).startswith("stores.s: Talkative cannot be made as asked: ")


def test_what_is_no_secret_is_quoted(talkative: str) -> None:
    with pytest.raises(ConfigError, match="cannot be made as asked: refused 5") as caught:
        StoreFactory(one(talkative, number=5, note="loud", pin=CANARY)).build()
    assert "RuntimeError" not in str(caught.value)
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_errors_do_not_show_what_variables_held(tmp_path: Path) -> None:
    environ = {"V": CANARY, "A": f"nonsense:{CANARY}", "P": f"sqlite://{CANARY}"}
    wrong: list[dict[str, Any]] = [
        one("${V}"),
        {"main": "${V}", "stores": {"s": "memory:"}},
        {"main": "s", "stores": {"s": "${V}"}},
        {"main": "s", "stores": {"s": "${A}"}},
        {"main": "s", "stores": {"s": "${P}"}},
        {"main": "s", "stores": {"s": {"type": "GzipStore", "base": "${V}"}}},
        {"main": "s", "stores": {"s": {"type": "JoinedStore", "base": ["${A}"]}}},
        {
            "main": "s",
            "stores": {
                "s": {"type": "RoutingStore", "base": [{"pattern": "(${V}", "store": "${V}"}]}
            },
        },
        one("SqliteStore", path="a.db", durability="${V}"),
        one("SqliteStore", path="a.db", page_size="${V}"),
        one("HttpStore", base_url="${V}"),
        one("HttpStore", base_url="http://[${V}/"),
    ]
    for content in wrong:
        with pytest.raises(ConfigError) as caught:
            StoreFactory(write(tmp_path, content), environ=environ).build()
        assert CANARY not in everything_said(caught.value)


@pytest.mark.parametrize("suffix", FORMATS)
def test_descriptions_show_no_secrets(suffix: str, tmp_path: Path, talkative: str) -> None:
    content = one(
        talkative,
        token=CANARY,
        note="${NOTE}",
        url=f"http://ada:{CANARY}@host/x?sig={CANARY}",
        deep={"password": CANARY, "list": [{"api_key": CANARY}], "shown": "yes", "none": None},
        headers={"X": CANARY},
        pin=4711,
        password="${SECRET}",
    )
    factory = StoreFactory(write(tmp_path, content, suffix) if suffix != "toml" else content,
                           environ={"NOTE": "fine", "SECRET": CANARY})  # fmt: skip
    described = factory.describe()
    text = json.dumps(described)
    assert CANARY not in text
    assert "fine" not in text
    assert described["config"] == {
        "token": "***",
        "note": "${NOTE}",
        "url": "http://***@host/x?***",
        "deep": {"password": "***", "list": [{"api_key": "***"}], "shown": "yes", "none": None},
        "headers": "***",
        "pin": "***",
        "password": "***",
    }
    assert CANARY not in repr(factory)
