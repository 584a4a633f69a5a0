"""``${NAME}``: what becomes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from config_files import FORMATS, one, over, write

from encore.config import StoreFactory
from encore.config.documents import Document
from encore.config.variables import plain, substitute
from encore.errors import ConfigError

ENVIRON = {"A": "one", "EMPTY": "", "NESTED": "${A}", "MANY": "a\nb", "_x9": "under"}


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("", ""),
        ("plain", "plain"),
        ("${A}", "one"),
        ("<${A}>", "<one>"),
        ("${A}${A}/${_x9}", "oneone/under"),
        ("${A:-x}", "one"),
        ("${NONE:-x}", "x"),
        ("${NONE:-}", ""),
        ("${NONE:-a b:-c/$d}", "a b:-c/$d"),
        ("a${NONE:-x}b", "axb"),
        # Set is set, also to nothing.
        ("${EMPTY}", ""),
        ("${EMPTY:-x}", ""),
        # What a variable holds is not looked at again.
        ("${NESTED}", "${A}"),
        ("${MANY}", "a\nb"),
        # A dollar.
        ("$$", "$"),
        ("$${A}", "${A}"),
        ("$$${A}", "$one"),
        ("$A", "$A"),
        ("^[a-z]+$", "^[a-z]+$"),
        ("a$", "a$"),
        ("$scrypt$ln=14", "$scrypt$ln=14"),
        ("$(A)", "$(A)"),
    ],
)
def test_variables_in_texts(text: str, becomes: str) -> None:
    for wrapped, unwrapped in ((text, becomes), ([text], [becomes]), ({"k": text}, {"k": becomes})):
        assert plain(substitute(wrapped, Document({}), (), ENVIRON)) == unwrapped


@pytest.mark.parametrize(
    "text", ["${}", "${", "${A", "${1A}", "${A-x}", "${A:?x}", "${ A }", "${A.B}"]
)
def test_what_looks_like_a_variable_and_is_none_is_an_error(text: str) -> None:
    with pytest.raises(ConfigError, match=r"'\$\$\{' is how the characters themselves"):
        substitute(text, Document({}), (), ENVIRON)


def test_a_missing_variable_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"'NONE' is not set.*\$\{NONE:-default\}"):
        substitute("${NONE}", Document({}), (), ENVIRON)


def test_names_are_left_alone() -> None:
    assert substitute({"${A}": 1}, Document({}), (), ENVIRON) == {"${A}": 1}


@pytest.mark.parametrize("suffix", FORMATS)
def test_variables_may_stand_everywhere(suffix: str, tmp_path: Path) -> None:
    content = {
        "main": "${MAIN}",
        "stores": {
            "data": "sqlite:${DIR}/${NAME:-a}.db",
            "top": {
                "type": "${KIND}Store",
                "base": "${BASE}",
                "config": {"prefix": "${PREFIX}/"},
            },
            "list": {"type": "JoinedStore", "base": ["${BASE}", "data"]},
        },
    }
    environ = {"MAIN": "top", "KIND": "Prefix", "BASE": "data", "PREFIX": "p", "DIR": "d"}
    factory = StoreFactory(write(tmp_path, content, suffix), environ=environ)
    with factory.build() as store:
        store.put("a", b"1")
    assert (tmp_path / "d" / "a.db").exists()
    with factory.build("list") as store:
        assert [*store] == ["p/a"]


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    factory = StoreFactory(over("PrefixStore", prefix="${ENCORE_TEST_PREFIX}"))
    for prefix in ("a/", "b/"):  # looked up at each build
        monkeypatch.setenv("ENCORE_TEST_PREFIX", prefix)
        store: Any = factory.build()
        store.put("x", b"")
        assert [*store.base] == [f"{prefix}x"]


def typed(
    path: str = "",
    number: int = 0,
    ratio: float = 0.0,
    flag: bool = False,
    optional: int | None = None,
    either: int | str = 0,
    text: str = "",
    pairs: dict[str, str] | None = None,
    silent=None,  # type: ignore[no-untyped-def]
) -> Any:
    from encore.storage.api import DictStore

    store: Any = DictStore()
    store.given = dict(locals())
    return store


@pytest.fixture
def kind() -> Any:
    from encore.config import kinds, register_store

    register_store(typed, "Typed")
    yield "Typed"
    del kinds._registered["Typed"]


@pytest.mark.parametrize(
    ("parameter", "text", "value"),
    [
        ("number", "12", 12),
        ("number", " 12 ", 12),
        ("number", "-3", -3),
        ("ratio", "1.5", 1.5),
        ("ratio", "2", 2.0),
        ("ratio", "1e-3", 0.001),
        ("flag", "true", True),
        ("flag", "TRUE", True),
        ("flag", "yes", True),
        ("flag", "1", True),
        ("flag", "off", False),
        ("flag", "0", False),
        ("optional", "5", 5),
        ("either", "5", 5),
        ("either", "five", "five"),
        ("text", "12", "12"),
        ("text", "true", "true"),
        ("silent", "12", "12"),
    ],
)
def test_a_text_from_a_variable_becomes_what_the_parameter_is(
    parameter: str, text: str, value: Any, kind: str
) -> None:
    store: Any = StoreFactory(one(kind, **{parameter: "${V}"}), environ={"V": text}).build()
    assert store.given[parameter] == value
    assert type(store.given[parameter]) is type(value)


def test_defaults_and_parts_become_numbers_too(kind: str) -> None:
    content = one(kind, number="${V:-7}", ratio="${V:-0}.5", pairs={"a": "${V:-8}"})
    store: Any = StoreFactory(content, environ={}).build()
    assert (store.given["number"], store.given["ratio"]) == (7, 0.5)
    assert store.given["pairs"] == {"a": "8"}


@pytest.mark.parametrize(
    ("parameter", "text", "wants"),
    [
        ("number", "many", "a whole number"),
        ("number", "1.5", "a whole number"),
        ("number", "", "a whole number"),
        ("ratio", "half", "a number"),
        ("flag", "maybe", "true or false"),
        ("flag", "2", "true or false"),
        ("optional", "none", "a whole number"),
    ],
)
def test_a_text_that_does_not_become_it_is_an_error(
    parameter: str, text: str, wants: str, kind: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        StoreFactory(one(kind, **{parameter: "${V}"}), environ={"V": text}).build()
    assert str(caught.value) == (
        f"stores.s.config.{parameter}: {parameter!r} of Typed takes {wants}, and '${{V}}' does not "
        "stand for one"
    )


def test_texts_of_the_file_itself_are_what_they_are(kind: str) -> None:
    with pytest.raises(ConfigError, match="takes a whole number, and this is a text"):
        StoreFactory(one(kind, number="12")).build()
