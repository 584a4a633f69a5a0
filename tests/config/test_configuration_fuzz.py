"""Whatever a file says, it is built or it is a `ConfigError`."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from config_files import FORMATS, toml_text
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from encore.config import StoreFactory
from encore.errors import ConfigError

CONTENT = {
    "main": "all",
    "stores": {
        "a": {"type": "DictStore", "config": {"timeout": "${A:-1.5}"}},
        "b": {"type": "PrefixStore", "base": "a", "config": {"prefix": "x$$"}},
        "c": "gzip+memory:",
        "all": {"type": "RoutingStore", "base": {"b/": "b", "": "c"}},
    },
}
TEXTS = {
    "json": json.dumps(CONTENT, indent=1),
    "toml": toml_text(CONTENT),
    "yaml": json.dumps(CONTENT).replace('"', "'"),
}

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
words = st.sampled_from([*"ab", "all", "main", "stores", "type", "base", "config", "DictStore"])
values = st.recursive(
    scalars | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words | st.text(max_size=4), inner),
    max_leaves=12,
)


def build(source: Any) -> None:
    with suppress(ConfigError):
        factory = StoreFactory(source, environ={})
        for name in (None, *factory.names):
            with suppress(ConfigError):
                factory.build(name).close()
            with suppress(ConfigError):
                json.dumps(factory.describe(name))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@pytest.mark.parametrize("suffix", FORMATS)
@given(data=st.data())
def test_a_damaged_file(suffix: str, data: st.DataObject, tmp_path_factory: Any) -> None:
    text = TEXTS[suffix]
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 4))
        text = text[:at] + data.draw(st.text(max_size=4)) + text[at + cut :]
    path = tmp_path_factory.getbasetemp() / f"damaged.{suffix}"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    build(path)


@given(value=values)
def test_any_mapping(value: Any) -> None:
    for content in (
        value,
        {"main": "s", "stores": value},
        {"main": "s", "stores": {"s": value}},
        {"main": "s", "stores": {"s": {"type": "JoinedStore", "base": value}, "a": "memory:"}},
        {"main": "s", "stores": {"s": {"type": "RoutingStore", "base": value}, "a": "memory:"}},
        {"main": "s", "stores": {"s": {"type": "DictStore", "config": value}}},
        {"main": "s", "stores": {"s": {"type": "ExpiringStore", "config": {"default": value}}}},
    ):
        if isinstance(content, dict):
            build(content)
