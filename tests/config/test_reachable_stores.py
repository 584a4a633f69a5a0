"""Every store and wrapper that encore exports can be written in a configuration file."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from config_files import FORMATS, one, over, write

from encore.config import StoreFactory
from encore.config.kinds import _BASES, built_in_kinds
from encore.storage import api
from encore.storage.template import Store

_HASH = "$scrypt$ln=14,r=8,p=5$c2FsdHNhbHRzYWx0c2FsdA$" + "A" * 43


def several(kind: str, base: Any, **config: Any) -> dict[str, Any]:
    stores = {"a": {"type": "DictStore"}, "b": {"type": "DictStore"}}
    return {
        "main": "top",
        "stores": {**stores, "top": {"type": kind, "base": base, "config": config}},
    }


#: For every kind of store the least that a file says of it.
MINIMAL: dict[str, dict[str, Any]] = {
    "Base64Store": over("Base64Store"),
    "BucketStore": one(
        "BucketStore",
        bucket_name="photos",
        endpoint_url="http://127.0.0.1:9",
        s3_access_key="me",
        s3_secret_key="${SECRET:-x}",
    ),
    "BufferStore": over("BufferStore"),
    "CachingStore": several("CachingStore", {"main_store": "a", "cache_store": "b"}),
    "DictStore": one("DictStore"),
    "DynamicURLStore": one(
        "DynamicURLStore", base_url="http://127.0.0.1:9/d", query_url="http://127.0.0.1:9/q"
    ),
    "ExceptionLoggingStore": over("ExceptionLoggingStore"),
    "ExpiringStore": over("ExpiringStore", default={"ttl": 3600}),
    "FilesystemStore": one("FilesystemStore", path="data"),
    "GzipStore": over("GzipStore"),
    "HashPrefixStore": over("HashPrefixStore"),
    "HashdirStore": one("HashdirStore", path="data"),
    "HttpStore": one("HttpStore", base_url="http://127.0.0.1:9/"),
    "JoinedStore": several("JoinedStore", ["a", "b"]),
    "JsonStore": over("JsonStore"),
    "KeyValidatingStore": over("KeyValidatingStore", validator={"matches": "[a-z]+"}),
    "LoggingStore": over("LoggingStore"),
    "MeteredStore": over("MeteredStore"),
    "MirroringStore": several("MirroringStore", ["a", "b"]),
    "MountedStore": several(
        "MountedStore", {"mount_store": "a", "backing_store": "b"}, mount_point="session/"
    ),
    "NotifyingStore": over("NotifyingStore"),
    "NullStore": one("NullStore"),
    "PrefixStore": over("PrefixStore", prefix="p/"),
    "ReadonlyStore": over("ReadonlyStore"),
    "RegexValidatingStore": over("RegexValidatingStore", pattern="[a-z]+$"),
    "RoutingStore": several("RoutingStore", {"raw/": "a", "": "b"}),
    "SimpleAuthStore": over("SimpleAuthStore", users={"ada": _HASH}),
    "SqliteStore": one("SqliteStore", path="data.db"),
    "StaticURLStore": one(
        "StaticURLStore", root_url="http://127.0.0.1:9/", data_path="d", query_path="i.json"
    ),
    "TextEncodingStore": over("TextEncodingStore"),
    "UrlEncodingStore": over("UrlEncodingStore"),
    "UrlValidatingStore": over("UrlValidatingStore"),
    "WriteonlyStore": over("WriteonlyStore"),
    "ZipStore": one("ZipStore", path="data.zip"),
    "ZstdStore": over("ZstdStore"),
}

EXPORTED = [
    name
    for name in api.__all__
    if inspect.isclass(getattr(api, name)) and issubclass(getattr(api, name), Store)
]


def test_every_exported_store_is_in_the_table() -> None:
    assert [name for name in EXPORTED if name not in MINIMAL and name not in _BASES] == []
    assert set(built_in_kinds()) == set(EXPORTED) - _BASES


@pytest.mark.parametrize("name", [name for name in EXPORTED if name not in _BASES])
def test_every_store_is_made_from_every_format(name: str, tmp_path: Path) -> None:
    kinds = set()
    for suffix in FORMATS:
        factory = StoreFactory(write(tmp_path, MINIMAL[name], suffix))
        store = factory.build()
        kinds.add(type(store).__name__)
        store.close()
        described = factory.describe()
        assert described["type"] == name
        assert described["promises"]["transactions"] in ("native", "staged", "none")
    assert kinds == {name}
    # Neither building nor describing made anything.
    assert {path.suffix for path in tmp_path.iterdir()} == {f".{suffix}" for suffix in FORMATS}


@pytest.mark.parametrize("name", sorted(_BASES))
def test_classes_to_inherit_from_are_no_types(name: str) -> None:
    from encore.errors import ConfigError

    with pytest.raises(ConfigError, match="it is there to be inherited from"):
        StoreFactory(one(name)).build()
