"""What is wrong in a configuration is a `ConfigError` that names the place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from config_files import FORMATS, one, over, write

from encore.config import StoreFactory
from encore.errors import ConfigError


def complaint(content: Any, name: str | None = None, **environ: str) -> str:
    """What building a store says; one line."""
    with pytest.raises(ConfigError) as caught:
        StoreFactory(content, environ=environ).build(name)
    text = str(caught.value)
    assert "\n" not in text
    return text


def stores(**definitions: Any) -> dict[str, Any]:
    return {"main": "s", "stores": definitions}


def circle(*names: str) -> dict[str, Any]:
    pairs = zip(names, (*names[1:], names[0]), strict=True)
    return {
        "main": names[0],
        "stores": {name: {"type": "GzipStore", "base": base} for name, base in pairs},
    }


#: A configuration, where it is wrong, and some words of what is said.
WRONG: dict[str, tuple[Any, str, str]] = {
    # the shape
    "empty mapping": ({}, "", "'stores' is a mapping"),
    "no stores": ({"main": "s"}, "main", "there is no store 's'"),
    "empty stores": ({"stores": {}}, "stores", "'stores' is a mapping"),
    "stores is null": ({"main": "s", "stores": None}, "stores", "'stores' is a mapping"),
    "stores is a list": ({"stores": ["s"]}, "stores", "'stores' is a mapping"),
    "no main": ({"stores": {"s": "memory:", "t": "memory:"}}, "", "there is no 'main', which"),
    "main is null": ({"main": None, "stores": {}}, "main", "not nothing"),
    "several mains": (
        {"main": ["s", "t"], "stores": {}},
        "main",
        "the name of one store, and not a",
    ),
    "main is a number": ({"main": 1, "stores": {}}, "main", "not a number"),
    "unknown main": (
        {**one("DictStore"), "main": "t"},
        "main",
        "there is no store 't'; there are s",
    ),
    "near main": ({"main": "dta", "stores": {"data": "memory:"}}, "main", "did you mean 'data'"),
    "unknown at the top": (
        {**one("DictStore"), "mian": "s"},
        "mian",
        "there is no 'mian' here (did you mean 'main'?)",
    ),
    "unknown in a store": (
        stores(s={"type": "DictStore", "confg": {}}),
        "stores.s.confg",
        "(did you mean 'config'?)",
    ),
    "a store is a list": (stores(s=["DictStore"]), "stores.s", "an address, and not a list"),
    "a store is null": (stores(s=None), "stores.s", "an address, and not nothing"),
    "no type": (stores(s={"config": {}}), "stores.s", "the store has no 'type'"),
    "type is a list": (stores(s={"type": ["a"]}), "stores.s.type", "not a list"),
    "config is a list": (
        stores(s={"type": "DictStore", "config": [1]}),
        "stores.s.config",
        "not a list",
    ),
    "base is null": (stores(s={"type": "GzipStore", "base": None}), "stores.s.base", "not nothing"),
    "base is empty": (
        stores(s={"type": "GzipStore", "base": []}),
        "stores.s.base",
        "an empty list",
    ),
    "base is a number": (stores(s={"type": "GzipStore", "base": 3}), "stores.s.base", "a number"),
    "odd name": ({"main": "a:b", "stores": {"a:b": "memory:"}}, "stores['a:b']", "letters, digits"),
    # types
    "unknown type": (one("SqlitStore"), "stores.s.type", "'SqlitStore': there is no such kind"),
    "near type": (one("SqlitStore"), "stores.s.type", "did you mean 'SqliteStore'"),
    "known types": (one("Nonsense"), "stores.s.type", "DictStore, "),
    "module path": (one("os.system"), "stores.s.type", "there is no such kind of store"),
    "a function": (one("copy_store"), "stores.s.type", "there is no such kind of store"),
    # bases
    "unknown base": (
        stores(s={"type": "GzipStore", "base": "dta"}, data="memory:"),
        "stores.s.base",
        "there is no store 'dta' (did you mean 'data'?); there are s, data",
    ),
    "unknown base in a list": (
        stores(s={"type": "JoinedStore", "base": ["data", "x"]}, data="memory:"),
        "stores.s.base[1]",
        "there is no store 'x'",
    ),
    "unknown base in a role": (
        stores(s={"type": "MountedStore", "base": {"mount_store": "x"}}),
        "stores.s.base.mount_store",
        "there is no store 'x'",
    ),
    "no base": (stores(s={"type": "GzipStore"}), "stores.s", "write 'base: NAME' beside 'type'"),
    "no bases": (
        stores(s={"type": "MountedStore", "base": "a"}, a="memory:"),
        "stores.s",
        "backing_store is not given: write 'base: {mount_store: NAME, backing_store: NAME}'",
    ),
    "base of a backend": (
        stores(s={"type": "DictStore", "base": "a"}, a="memory:"),
        "stores.s.base",
        "DictStore is over no other store: leave 'base' out",
    ),
    "list for one": (
        stores(s={"type": "GzipStore", "base": ["a"]}, a="memory:"),
        "stores.s.base",
        "GzipStore takes the name of one store as 'base'",
    ),
    "list for roles": (
        stores(s={"type": "MountedStore", "base": ["a", "a"]}, a="memory:"),
        "stores.s.base",
        "name each by its role: {mount_store: NAME, backing_store: NAME}",
    ),
    "one for a list": (
        stores(s={"type": "JoinedStore", "base": "a"}, a="memory:"),
        "stores.s.base",
        "JoinedStore takes a list of names as 'stores'",
    ),
    "unknown role": (
        stores(s={"type": "MountedStore", "base": {"mountstore": "a"}}, a="memory:"),
        "stores.s.base.mountstore",
        "did you mean 'mount_store'",
    ),
    "number in a list": (
        stores(s={"type": "JoinedStore", "base": ["a", 1]}, a="memory:"),
        "stores.s.base",
        "a list of names",
    ),
    "routes by name": (
        stores(s={"type": "RoutingStore", "base": "a"}, a="memory:"),
        "stores.s.base",
        "a mapping from prefixes to stores",
    ),
    "route without a store": (
        stores(s={"type": "RoutingStore", "base": [{"prefix": "a"}]}),
        "stores.s.base[0]",
        "{prefix: ..., store: ...}",
    ),
    "route to nowhere": (
        stores(s={"type": "RoutingStore", "base": {"a/": "x"}}),
        "stores.s.base['a/']",
        "there is no store 'x'",
    ),
    "route to a number": (
        stores(s={"type": "RoutingStore", "base": {"a": 1}}),
        "stores.s.base.a",
        "name of a store",
    ),
    "route by no pattern": (
        stores(s={"type": "RoutingStore", "base": [{"pattern": "(", "store": "a"}]}, a="memory:"),
        "stores.s.base[0].pattern",
        "'(' is no regular expression",
    ),
    "circle of one": (circle("a"), "stores.a.base", "over itself: a -> a"),
    "circle of two": (circle("a", "b"), "stores.b.base", "over itself: a -> b -> a"),
    "circle of three": (circle("a", "b", "c"), "stores.c.base", "over itself: a -> b -> c -> a"),
    # parameters
    "unknown parameter": (
        one("SqliteStore", path="a.db", durabilty="power"),
        "stores.s.config.durabilty",
        "SqliteStore has no parameter 'durabilty' (did you mean 'durability'?); it has path, index",
    ),
    "missing parameter": (
        one("SqliteStore"),
        "stores.s.config",
        "SqliteStore wants a value for 'path'",
    ),
    "store as parameter": (
        stores(s={"type": "GzipStore", "config": {"base": "d"}}),
        "stores.s.config.base",
        "belongs under 'base'",
    ),
    "text for a number": (
        over("GzipStore", level="high"),
        "stores.top.config.level",
        "takes a whole number, and this is",
    ),
    "truth for a number": (
        over("GzipStore", level=True),
        "stores.top.config.level",
        "and this is true or false",
    ),
    "fraction for a number": (
        over("GzipStore", level=1.5),
        "stores.top.config.level",
        "a whole number, and this is a number",
    ),
    "null for a number": (
        over("GzipStore", level=None),
        "stores.top.config.level",
        "this is nothing (null)",
    ),
    "number for a path": (
        one("SqliteStore", path=3),
        "stores.s.config.path",
        "a path or a text, and this is a whole",
    ),
    "text for a list": (
        one("SqliteStore", path="a", index="kind"),
        "stores.s.config.index",
        "takes a list, and this",
    ),
    "text for an object": (
        one("DictStore", event_manager="x"),
        "stores.s.config.event_manager",
        "leave it out",
    ),
    "text for a function": (
        over("ExpiringStore", clock="time.time"),
        "stores.top.config.clock",
        "leave it out",
    ),
    "value out of range": (
        over("GzipStore", level=10),
        "stores.top",
        "GzipStore cannot be made as asked: gzip has the",
    ),
    "unknown policy": (
        over("ExpiringStore", default={"ttx": 3}),
        "stores.top.config.default",
        "{ttl: SECONDS}",
    ),
    "policy of no time": (
        over("ExpiringStore", default={"ttl": "soon"}),
        "stores.top.config.default",
        "{ttl: SECONDS}",
    ),
    "unknown validator": (
        over("KeyValidatingStore", validator="os.remove"),
        "stores.top.config.validator",
        "'http_url'",
    ),
    "broken pattern": (
        over("KeyValidatingStore", validator={"matches": "("}),
        "stores.top.config.validator",
        "'validator' of KeyValidatingStore is not understood",
    ),
    # addresses
    "bare path": (stores(s="a.db"), "stores.s", "begins with its scheme, such as sqlite:PATH"),
    "unknown scheme": (stores(s="sqlit:a.db"), "stores.s", "did you mean 'sqlite'"),
    "unknown wrapper": (stores(s="gzp+memory:"), "stores.s", "did you mean 'gzip+'"),
    "another configuration": (
        stores(s="config:a.yaml"),
        "stores.s",
        "does not lead to another one",
    ),
    "empty address": (stores(s=""), "stores.s", "begins with its scheme"),
    # variables
    "missing variable": (
        one("SqliteStore", path="${DATA_FILE}"),
        "stores.s.config.path",
        "the environment variable 'DATA_FILE' is not set; set it, or give a default: ${DATA_FILE:-",
    ),
    "odd variable": (one("SqliteStore", path="${1}"), "stores.s.config.path", "${NAME:-default}"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_with_its_place(case: str) -> None:
    content, place, says = WRONG[case]
    text = complaint(content)
    assert text.startswith(f"{place}: " if place else "")
    assert says in text


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("case", ["unknown parameter", "circle of two", "missing variable"])
def test_a_file_is_named_and_its_line_where_that_is_known(
    case: str, suffix: str, tmp_path: Path
) -> None:
    content, place, says = WRONG[case]
    path = write(tmp_path, content, suffix)
    text = complaint(path)
    line = ""
    if suffix == "yaml":
        last = place.rpartition(".")[2]
        numbers = [
            number
            for number, row in enumerate(path.read_text().splitlines(), 1)
            if row.strip().startswith(f"{last}:")
        ]
        line = f", line {numbers[-1]}"
    assert text.startswith(f"{path}{line}, {place}: ")
    assert says in text


def test_a_name_that_is_asked_for_is_checked() -> None:
    assert "there is no store 'dat' (did you mean 'data'?)" in complaint(
        {"main": "data", "stores": {"data": "memory:"}}, "dat"
    )


def test_a_missing_variable_with_text_around_it_is_named() -> None:
    for value in ("a${NOT_SET}b", "${SET}${NOT_SET}", ["x", "${NOT_SET}"], {"a": "${NOT_SET}"}):
        assert "'NOT_SET'" in complaint(one("SqliteStore", path=value), SET="1")
    for definition in (
        {"type": "${NOT_SET}"},
        {"type": "GzipStore", "base": "${NOT_SET}"},
        "sqlite:${NOT_SET}",
    ):
        assert "'NOT_SET'" in complaint(stores(s=definition))
    assert "'NOT_SET'" in complaint({"main": "${NOT_SET}", "stores": {"s": "memory:"}})


# -- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_empty_file_is_an_error(suffix: str, tmp_path: Path) -> None:
    texts = {"yaml": ("", "# nothing\n", "---\n", "~"), "json": ("", " \n", "null"), "toml": ()}
    for text in texts[suffix]:
        assert "there is nothing in the file" in complaint(write(tmp_path, text, suffix))
    if suffix == "toml":  # an empty text is an empty table
        assert "'stores' is a mapping" in complaint(write(tmp_path, "", suffix))


@pytest.mark.parametrize(
    ("suffix", "text", "says"),
    [
        ("json", "[1]", "the file is no mapping"),
        ("json", '"a"', "the file is no mapping"),
        ("yaml", "- a", "the file is no mapping"),
        ("yaml", "a", "the file is no mapping"),
        ("json", '{"main": "s",\n "main": "t"}', "'main' is there twice"),
        (
            "yaml",
            "main: s\nstores:\n  s: 'memory:'\n  s: 'memory:'",
            ", line 4: 's' is there twice",
        ),
        ("toml", 'main = "s"\nmain = "t"\na = 1', "line 2"),
        ("json", '{"main" "s"}', ", line 1, column 9: the file is no JSON"),
        ("json", '{"main": NaN}', "NaN is no JSON"),
        ("yaml", "main: [s", "the file is no YAML"),
        ("yaml", "main: s\n\tx: 1", ", line 2, column 1: the file is no YAML"),
        ("yaml", "main: s\n---\nmain: t", "the file is no YAML"),
        ("yaml", "main: *x", "line 1, column 7: the file is no YAML: found undefined alias"),
        ("yaml", "main: a\u0007b", "line 1: the file is no YAML"),
        ("toml", "main = ", "the file is no TOML"),
        ("toml", "main = 2020-01-01", "main: a date has no place in a configuration"),
        ("yaml", "1: s", "line 1: a name is text; put it in quotes"),
        ("yaml", "main: s\nstores: {null: 'memory:'}", "line 2: a name is text"),
        ("yaml", "main: s\nstores: {[a]: 'memory:'}", "line 2: a name is text"),
    ],
)
def test_a_broken_file_is_an_error(suffix: str, text: str, says: str, tmp_path: Path) -> None:
    path = write(tmp_path, text, suffix)
    found = complaint(path)
    assert found.startswith(str(path))
    assert says in found


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in complaint(tmp_path / "none.yaml")
    (tmp_path / "folder.yaml").mkdir()
    assert "cannot be read" in complaint(tmp_path / "folder.yaml")
    assert "ends in .yaml, .yml, .toml or .json" in complaint(write(tmp_path, "", "txt"))
    path = tmp_path / "latin.toml"
    path.write_bytes(b"# one\nmain = '\xe9'")
    assert "latin.toml, line 2: the file is not UTF-8" in complaint(path)
    with pytest.raises(ConfigError, match="a path or a mapping, not bytes"):
        StoreFactory(b"stores.yaml")  # type: ignore[arg-type]


def test_a_byte_order_mark_and_capitals_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "STORES.JSON"
    path.write_bytes(b'\xef\xbb\xbf{"main": "memory:"}')
    StoreFactory(path).build().close()


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_is_beyond_any_measure_is_refused(suffix: str, tmp_path: Path) -> None:
    large = write(tmp_path, {"main": "x" * 70_000}, suffix)
    assert "larger than 65,536 bytes" in complaint(large)
    nested = "[" * 50_000
    deep = write(
        tmp_path, {"json": nested, "yaml": nested, "toml": f"a = {nested}"}[suffix], suffix
    )
    complaint(deep)
    level = "[" * 60 + "]" * 60
    texts = {"json": f'{{"main": {level}}}', "yaml": f"main: {level}", "toml": f"main = {level}"}
    assert "50 levels" in complaint(write(tmp_path, texts[suffix], suffix))
    wide = f"[{', '.join(['1'] * 12_000)}]"
    texts = {"json": f'{{"main": {wide}}}', "yaml": f"main: {wide}", "toml": f"main = {wide}"}
    assert "5,000 values" in complaint(write(tmp_path, texts[suffix], suffix))
    digits = "9" * 5000
    texts = {"json": f'{{"main": {digits}}}', "yaml": f"main: {digits}", "toml": f"main = {digits}"}
    complaint(write(tmp_path, texts[suffix], suffix))


def test_a_mapping_of_the_program_is_checked_too() -> None:
    assert "a name is text, and one here is 1" in complaint({"main": "s", "stores": {1: "memory:"}})
    endless: dict[str, Any] = {}
    endless["stores"] = endless
    assert "50 levels" in complaint(endless)
