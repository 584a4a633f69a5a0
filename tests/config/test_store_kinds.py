"""Laws of `register_store` and of entry points: who decides what a file can make."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union

import pytest
from config_files import one, write

from encore.config import StoreFactory, kinds, register_store
from encore.errors import ConfigError
from encore.storage.api import DictStore
from encore.storage.template import Store


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = dict(kinds._registered)
    yield
    kinds._registered.clear()
    kinds._registered.update(before)


def test_a_class_is_registered_by_its_name() -> None:
    @register_store
    class Mine(DictStore):
        def __init__(self, label: str, *, colour: str = "red") -> None:
            super().__init__()
            self.label, self.colour = label, colour

    store: Any = StoreFactory(one("Mine", label="x", colour="blue")).build()
    assert isinstance(store, Mine)
    assert (store.label, store.colour) == ("x", "blue")
    with pytest.raises(ConfigError, match="did you mean 'colour'"):
        StoreFactory(one("Mine", label="x", color="blue")).build()
    with pytest.raises(ConfigError, match=r"'Min': .*did you mean 'Mine'"):
        StoreFactory(one("Min")).build()


def test_a_function_is_registered_by_another_name() -> None:
    @register_store(name="my-store")
    def make(size: int = 1) -> Store:
        store: Any = DictStore()
        store.size = size
        return store  # type: ignore[no-any-return]

    assert make(2).size == 2  # type: ignore[attr-defined]
    assert StoreFactory(one("my-store", size=3)).build().size == 3  # type: ignore[attr-defined]
    register_store(lambda: DictStore(), "by.position")
    StoreFactory(one("by.position")).build()


def test_a_name_is_taken_once() -> None:
    register_store(DictStore, "Mine")
    register_store(DictStore, "Mine")
    with pytest.raises(ValueError, match="another store is registered as 'Mine'"):
        register_store(lambda: DictStore(), "Mine")
    for name in ("SqliteStore", "Store", "StagedStore"):
        with pytest.raises(ValueError, match=f"encore has a store '{name}' itself"):
            register_store(DictStore, name)


@pytest.mark.parametrize("maker", [3, "DictStore", DictStore()])
def test_what_makes_nothing_is_refused(maker: Any) -> None:
    with pytest.raises(TypeError, match="makes no stores"):
        register_store(maker, "Mine")


@pytest.mark.parametrize("name", ["", "a b", "a:b", "1a", 3])
def test_a_kind_has_a_name(name: Any) -> None:
    with pytest.raises(TypeError, match="has a name"):
        register_store(DictStore, name)
    with pytest.raises(TypeError, match="has a name"):
        register_store(lambda: DictStore())


def test_what_makes_no_store_is_an_error() -> None:
    register_store(lambda: {"a": 1}, "Mine")
    with pytest.raises(ConfigError, match=r"stores\.s: Mine made a dict, which is no store"):
        StoreFactory(one("Mine")).build()
    register_store(print, "Odd")
    with pytest.raises(ConfigError, match="Odd made a NoneType"):
        StoreFactory(one("Odd")).build()
    register_store(dict.get, "Silent")
    with pytest.raises(ConfigError, match=r"stores\.s"):
        StoreFactory(one("Silent")).build()


def over_two(kind: str, base: Any, **config: Any) -> dict[str, Any]:
    stores = {"a": "memory:", "b": "memory:", "s": {"type": kind, "base": base, "config": config}}
    return {"main": "s", "stores": stores}


def test_stores_beneath_are_found_by_name_or_annotation() -> None:
    def noting(**given: Any) -> Any:
        store: Any = DictStore()
        store.given = given
        return store

    @register_store
    def ByName(base, label=""):  # type: ignore[no-untyped-def]  # noqa: N802
        return noting(base=base, label=label)

    @register_store
    def Annotated(label: str, inner: DictStore, /) -> Store:  # noqa: N802
        return noting(inner=inner, label=label)  # type: ignore[no-any-return]

    @register_store
    def Optional(label: str = "", inner: "Union[Store, None]" = None) -> Store:  # noqa: N802, UP007, UP037
        return noting(inner=inner, label=label)  # type: ignore[no-any-return]

    @register_store
    def Several(children: list[Store], *, label: str = "") -> Store:  # noqa: N802
        return noting(children=children, label=label)  # type: ignore[no-any-return]

    @register_store
    def Star(*children: Store, label: str = "") -> Store:  # noqa: N802
        return noting(children=[*children], label=label)  # type: ignore[no-any-return]

    @register_store
    def Alone(base: int = 3) -> Store:  # noqa: N802
        return noting(base=base)  # type: ignore[no-any-return]

    for kind, name in (("ByName", "base"), ("Annotated", "inner"), ("Optional", "inner")):
        store: Any = StoreFactory(over_two(kind, "a", label="x")).build()
        assert isinstance(store.given[name], DictStore)
        assert store.given["label"] == "x"
    assert StoreFactory(one("Optional")).build().given["inner"] is None  # type: ignore[attr-defined]
    for kind in ("Several", "Star"):
        store = StoreFactory(over_two(kind, ["a", "b"], label="x")).build()
        assert len(store.given["children"]) == 2
        assert store.given["label"] == "x"
    assert StoreFactory(one("Alone", base=4)).build().given == {"base": 4}  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="Alone is over no other store"):
        StoreFactory(over_two("Alone", "a")).build()


def test_paths_of_other_stores_begin_at_the_folder_too(tmp_path: Path) -> None:
    @register_store
    class Kept(DictStore):
        def __init__(self, where: Path, name: str) -> None:
            super().__init__()
            self.where, self.name = where, name

    store: Any = StoreFactory(write(tmp_path, one("Kept", where="x", name="x"))).build()
    assert Path(store.where) == tmp_path / "x"
    assert store.name == "x"


# -- entry points ----------------------------------------------------------------------------------

PLUGIN = """
from encore.storage.api import DictStore

class PluginStore(DictStore):
    def __init__(self, colour: str = "red") -> None:
        super().__init__()
        self.colour = colour

not_callable = 3
"""


def install(folder: Path, name: str, *entries: str, module: str = PLUGIN) -> None:
    """Put an installed distribution, as pip leaves it, into a folder."""
    (folder / f"{name}.py").write_text(module)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "RECORD").write_text(f"{name}.py,,\n")
    (info / "entry_points.txt").write_text("\n".join(["[encore.stores]", *entries, ""]))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name in ("encore_plugin", "encore_other"):
        sys.modules.pop(name, None)


def test_an_installed_package_offers_stores(site: Path) -> None:
    install(site, "encore_plugin", "PluginStore = encore_plugin:PluginStore")
    store: Any = StoreFactory(one("PluginStore", colour="blue")).build()
    assert type(store).__module__ == "encore_plugin"
    assert store.colour == "blue"
    with pytest.raises(ConfigError, match="did you mean 'PluginStore'"):
        StoreFactory(one("PlugingStore")).build()


def test_a_package_is_loaded_only_when_it_is_needed(site: Path) -> None:
    install(
        site,
        "encore_plugin",
        "PluginStore = encore_plugin:PluginStore",
        "DictStore = encore_plugin:PluginStore",
        "Mine = encore_plugin:PluginStore",
    )
    register_store(DictStore, "Mine")
    for kind in ("DictStore", "Mine"):
        assert type(StoreFactory(one(kind)).build()) is DictStore
    with pytest.raises(ConfigError):
        StoreFactory(one("Nonsense")).build()
    assert "encore_plugin" not in sys.modules
    StoreFactory(one("PluginStore")).build()
    assert "encore_plugin" in sys.modules


def test_an_entry_point_that_cannot_be_loaded_is_an_error(site: Path) -> None:
    install(
        site,
        "encore_plugin",
        "Gone = encore_plugin:Gone",
        "Nowhere = encore_nowhere:Store",
        "Number = encore_plugin:not_callable",
    )
    for kind, says in (
        ("Gone", "entry point 'encore_plugin:Gone' cannot be loaded: AttributeError"),
        ("Nowhere", "entry point 'encore_nowhere:Store' cannot be loaded: ModuleNotFoundError"),
        ("Number", "entry point 'encore_plugin:not_callable' makes no stores"),
    ):
        with pytest.raises(ConfigError) as caught:
            StoreFactory(one(kind)).build()
        assert str(caught.value).startswith(f"stores.s.type: '{kind}': ")
        assert says in str(caught.value)


def test_two_packages_that_offer_the_same_are_an_error(site: Path) -> None:
    install(site, "encore_plugin", "Twice = encore_plugin:PluginStore")
    install(site, "encore_other", "Twice = encore_other:PluginStore")
    with pytest.raises(ConfigError, match="encore_other:PluginStore and encore_plugin:PluginStore"):
        StoreFactory(one("Twice")).build()
