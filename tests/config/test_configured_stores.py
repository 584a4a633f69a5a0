"""Laws of `StoreFactory`: what a configuration builds."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest
from config_files import FORMATS, one, over, write

import encore
from encore.config import StoreFactory
from encore.errors import ConfigError, InvalidKeyError, ReadOnlyError, StoreError
from encore.storage.api import DictStore, FilesystemStore, SqliteStore
from encore.storage.template import Store

DIAMOND = {
    "main": "top",
    "stores": {
        "data": {"type": "SqliteStore", "config": {"path": "d.db"}},
        "left": {"type": "PrefixStore", "base": "data", "config": {"prefix": "l/"}},
        "right": {"type": "PrefixStore", "base": "data", "config": {"prefix": "r/"}},
        "top": {"type": "JoinedStore", "base": ["left", "right"]},
    },
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory that is not the one of the configuration."""
    place = tmp_path / "elsewhere"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


@pytest.mark.parametrize("suffix", FORMATS)
def test_all_formats_say_the_same(suffix: str, tmp_path: Path) -> None:
    content = one("SqliteStore", path='é " \\ $$x.db', index=["a", "b"], timeout=1.5)
    content["stores"]["s"]["config"]["readonly"] = False
    store = StoreFactory(write(tmp_path, content, suffix)).build()
    assert isinstance(store, SqliteStore)
    assert Path(store.path) == tmp_path / 'é " \\ $x.db'
    assert store.timeout == 1.5


def test_a_mapping_is_a_configuration_too() -> None:
    content = one("DictStore", timeout=2)
    factory = StoreFactory(content)
    content["stores"]["s"]["config"]["timeout"] = 3
    store = factory.build()
    assert isinstance(store, DictStore)
    assert store.timeout == 2


def test_paths_begin_at_the_folder_of_the_file(tmp_path: Path, elsewhere: Path) -> None:
    for name, content in {
        "kind": one("FilesystemStore", path="here"),
        "address": {"main": "s", "stores": {"s": "dir:here"}},
        "main": {"main": "dir:here"},
        "variable": one("FilesystemStore", path="${WHERE}"),
    }.items():
        path = write(tmp_path, content, name=name)
        store: Any = StoreFactory(path, environ={"WHERE": "here"}).build()
        assert Path(store.path) == tmp_path / "here"
    absolute: Any = StoreFactory(write(tmp_path, one("SqliteStore", path=str(elsewhere / "a.db"))))
    assert Path(absolute.build().path) == elsewhere / "a.db"


def test_the_home_directory_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    for content in (one("SqliteStore", path="~/a.db"), {"main": "sqlite:~/a.db"}):
        store: Any = StoreFactory(write(tmp_path, content)).build()
        assert Path(store.path) == tmp_path / "home" / "a.db"


def test_paths_of_a_mapping_begin_in_the_current_directory(elsewhere: Path) -> None:
    with StoreFactory(one("SqliteStore", path="a.db")).build() as store:
        store.put("a", b"1")
    assert (elsewhere / "a.db").exists()


def test_a_store_in_memory_is_no_path(tmp_path: Path) -> None:
    with StoreFactory(write(tmp_path, one("SqliteStore", path=":memory:"))).build() as store:
        store.put("a", b"1")
    assert [path.name for path in tmp_path.glob("*memory*")] == []


def test_a_shared_base_is_one_store() -> None:
    top: Any = StoreFactory(DIAMOND).build()
    left, right = top.stores
    assert left.base is right.base
    with top:
        left.put("a", b"left")
        right.put("b", b"right")
        assert [*left.base] == ["l/a", "r/b"]
        assert [*top] == ["a", "b"]


def test_building_twice_gives_graphs_that_share_nothing() -> None:
    factory = StoreFactory(DIAMOND)
    one, other = factory.build("left"), factory.build("left")
    assert one is not other
    assert one.base is not other.base  # type: ignore[attr-defined]


def test_a_graph_is_opened_and_closed_from_its_top() -> None:
    top: Any = StoreFactory(DIAMOND).build()
    base = top.stores[0].base
    assert not base.is_connected()
    with top:
        top.put("a", b"1")
        assert base.is_connected()
    assert not base.is_connected()


def test_another_store_than_the_main_one_is_built_by_name() -> None:
    factory = StoreFactory(DIAMOND)
    assert factory.names == ("data", "left", "right", "top")
    assert isinstance(factory.build("data"), SqliteStore)


def test_only_what_is_built_has_to_be_possible() -> None:
    content = one("DictStore")
    content["stores"]["broken"] = {"type": "Nonsense", "config": {"a": "${MISSING}"}}
    factory = StoreFactory(content, environ={})
    factory.build().put("a", b"1")
    with pytest.raises(ConfigError):
        factory.build("broken")


def test_addresses_are_stores(elsewhere: Path) -> None:
    content = {
        "main": "zipped",
        "stores": {
            "data": "sqlite:a.db",
            "zipped": {"type": "GzipStore", "base": "data"},
            "direct": {"type": "GzipStore", "base": "sqlite:a.db"},
            "packed": "gzip+sqlite:a.db",
        },
    }
    factory = StoreFactory(content)
    with factory.build() as store:
        store.put("a", b"1")
    for name in ("direct", "packed"):
        with factory.build(name) as store:
            assert store.read("a") == b"1"


def test_the_same_address_twice_is_two_stores() -> None:
    top: Any = StoreFactory(
        {"main": "m", "stores": {"m": {"type": "MirroringStore", "base": ["memory:", "memory:"]}}}
    ).build()
    assert top.stores[0] is not top.stores[1]


def test_roles_are_named_by_a_mapping() -> None:
    content = {
        "main": "top",
        "stores": {
            "top": {
                "type": "MountedStore",
                "base": {"backing_store": "a", "mount_store": "b"},
                "config": {"mount_point": "m/"},
            },
            "a": "memory:",
            "b": "memory:",
        },
    }
    top: Any = StoreFactory(content).build()
    top.put("m/x", b"1")
    top.put("x", b"2")
    assert [*top.mount_store] == ["x"]
    assert [*top.backing_store] == ["x"]


@pytest.mark.parametrize(
    "base",
    [
        {"raw/": "a", "": "b"},
        [{"prefix": "raw/", "store": "a"}, {"prefix": "", "store": "b"}],
        [{"pattern": r"raw/.*", "store": "${A}"}, {"pattern": ".+", "store": "b"}],
    ],
)
def test_routes_are_a_mapping_or_a_list(base: Any, tmp_path: Path) -> None:
    stores = {"top": {"type": "RoutingStore", "base": base}, "a": "memory:", "b": "memory:"}
    for suffix in FORMATS:
        path = write(tmp_path, {"main": "top", "stores": stores}, suffix)
        top: Any = StoreFactory(path, environ={"A": "a"}).build()
        top.put("raw/1", b"1")
        top.put("x", b"2")
        (_, first), (_, second) = top.routes
        assert ([*first], [*second]) == (["raw/1"], ["x"])


def test_objects_that_a_file_can_ask_for() -> None:
    keys = StoreFactory(over("KeyValidatingStore", validator={"matches": "[a-z]+"})).build()
    keys.put("abc", b"")
    with pytest.raises(InvalidKeyError):
        keys.put("ABC", b"")
    urls = StoreFactory(over("KeyValidatingStore", validator="http_url")).build()
    urls.put("http://example.org/", b"")
    with pytest.raises(InvalidKeyError):
        urls.put("abc", b"")
    from encore.storage.wrappers.lifetimes import TimeToIdle, TimeToLive

    for said, meant in (({"ttl": 60}, TimeToLive(60)), ({"tti": 1.5}, TimeToIdle(1.5))):
        expiring: Any = StoreFactory(over("ExpiringStore", default=said)).build()
        assert expiring.default == meant


def test_a_program_can_give_objects_in_a_mapping() -> None:
    def check(key: str) -> None:
        if key != "a":
            raise ValueError("not a")

    store = StoreFactory(over("KeyValidatingStore", validator=check)).build()
    store.put("a", b"")
    with pytest.raises(InvalidKeyError):
        store.put("b", b"")
    pattern = StoreFactory(over("RegexValidatingStore", pattern=re.compile("[0-9]+"))).build()
    pattern.put("12", b"")


def test_read_only_reaches_what_holds_the_data(tmp_path: Path) -> None:
    path = write(tmp_path, over("GzipStore") | {"main": "top"})
    content = {
        "main": "top",
        "stores": {"data": "sqlite:a.db", "top": {"type": "GzipStore", "base": "data"}},
    }
    factory = StoreFactory(write(tmp_path, content))
    with pytest.raises(StoreError):
        factory.build(readonly=True).exists("a")
    assert not (tmp_path / "a.db").exists()
    with factory.build() as store:
        store.put("a", b"1")
    with factory.build(readonly=True) as store:
        assert store.read("a") == b"1"
        with pytest.raises(ReadOnlyError):
            store.put("a", b"2")
    # What has no such option is guarded from above.
    with (
        StoreFactory(over("GzipStore")).build(readonly=True) as store,
        pytest.raises(ReadOnlyError),
    ):
        store.put("a", b"1")
    assert path.exists()


def test_a_cache_is_written_when_the_rest_is_read_only(tmp_path: Path) -> None:
    from encore.config import kinds, register_store

    def pair(main_store: Store, cache_store: Store) -> Store:
        made.extend((main_store, cache_store))
        return main_store

    made: list[Any] = []
    register_store(pair, "PairForReading")
    try:
        content = {
            "main": "s",
            "stores": {
                "s": {"type": "PairForReading", "base": {"main_store": "m", "cache_store": "c"}},
                "m": {"type": "SqliteStore", "config": {"path": "m.db"}},
                "c": "sqlite:c.db",
            },
        }
        StoreFactory(write(tmp_path, content)).build(readonly=True)
    finally:
        del kinds._registered["PairForReading"]
    main, cache = made
    cache.put("a", b"1")
    cache.close()
    with pytest.raises(StoreError):
        main.exists("a")
    assert [path.name for path in tmp_path.glob("*.db")] == ["c.db"]


def test_configured_stores_have_addresses(tmp_path: Path) -> None:
    path = write(tmp_path, {**DIAMOND, "stores": {**DIAMOND["stores"], "files": "dir:f"}}, "yaml")  # type: ignore[dict-item]
    with encore.open_store(f"config:{path}") as store:
        assert type(store).__name__ == "JoinedStore"
    with encore.open_store(f"config:{path}#files") as store:
        assert isinstance(store, FilesystemStore)
    with encore.open_store(f"gzip+config:{path}#files") as store:
        store.put("a", b"1")
    assert (tmp_path / "f" / "a").read_bytes()[:2] == b"\x1f\x8b"
    odd = write(tmp_path, {"main": "dir:g"}, name="a#b")
    assert isinstance(encore.open_store(f"config:{odd}"), FilesystemStore)
    for wrong, says in (
        (f"config:{path}#", "config:FILE#NAME"),
        ("config:#a", "config:FILE#NAME"),
        (f"config:{path}#fils", "did you mean 'files'"),
        ("config:none.toml", "cannot be read"),
        ("config:none", "ends in .yaml"),
    ):
        with pytest.raises(ConfigError, match=re.escape(says)):
            encore.open_store(wrong)
    with pytest.raises(ConfigError, match="config:FILE has no option 'index'"):
        encore.open_store(f"config:{path}", index=["a"])


def test_a_store_may_be_deep_but_not_endless() -> None:
    def chain(length: int) -> dict[str, Any]:
        stores: dict[str, Any] = {"s0": "memory:"}
        for n in range(1, length):
            stores[f"s{n}"] = {
                "type": "PrefixStore",
                "base": f"s{n - 1}",
                "config": {"prefix": "p"},
            }
        return {"main": f"s{length - 1}", "stores": stores}

    store = StoreFactory(chain(100)).build()
    store.put("a", b"1")
    assert [*store] == ["a"]
    with pytest.raises(ConfigError, match="more than 100 stores stand on each other"):
        StoreFactory(chain(102)).build()


def test_a_graph_that_multiplies_is_refused() -> None:
    stores: dict[str, Any] = {"s0": "memory:"}
    for n in range(1, 40):
        stores[f"s{n}"] = {"type": "JoinedStore", "base": [f"s{n - 1}", f"s{n - 1}"]}
    with pytest.raises(ConfigError, match="more than 1,000 ways"):
        StoreFactory({"main": "s39", "stores": stores}).build()


def test_what_was_made_is_closed_when_the_rest_fails() -> None:
    from encore.config import kinds, register_store

    made: list[Store] = []

    class Noted(DictStore):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    register_store(Noted, "NotedForClosing")
    try:
        content = over("PrefixStore")
        content["stores"]["data"]["type"] = "NotedForClosing"
        with pytest.raises(ConfigError, match="wants a value for 'prefix'"):
            StoreFactory(content).build()
    finally:
        del kinds._registered["NotedForClosing"]
    (store,) = made
    with pytest.raises(StoreError, match="closed"):
        store.exists("a")


def test_a_factory_shows_names_only(tmp_path: Path) -> None:
    content = one("SqliteStore", path="secret-place.db")
    assert repr(StoreFactory(content)) == "<StoreFactory of a mapping: s>"
    path = write(tmp_path, content)
    assert repr(StoreFactory(path)) == f"<StoreFactory {str(path)!r}: s>"
    assert repr(StoreFactory({"main": "memory:"})) == "<StoreFactory of a mapping: an address>"


def test_a_logger_is_named() -> None:
    from encore.config.parameters import signature_of
    from encore.config.values import fit

    def make(logger: logging.Logger | None = None) -> None: ...

    parameter = signature_of(make).parameters["logger"]
    assert fit(parameter, "my.stores", None) is logging.getLogger("my.stores")
    assert fit(parameter, None, None) is None
