"""YAML says what JSON and TOML say, and nothing else."""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from config_files import write

from encore.config import StoreFactory
from encore.config.documents import read_document
from encore.config.yaml_documents import parse_yaml
from encore.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("FALSE", False),
        # Words that are something else to YAML 1.1, and text here.
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("12:30:00", "12:30:00"),
        ("2020-01-01", "2020-01-01"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("<<", "<<"),
        ("=", "="),
        # Numbers.
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("-12", -12),
        ("+12", 12),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("-.inf", -math.inf),
        ("+.INF", math.inf),
        # Texts.
        ("'010'", "010"),
        ('"true"', "true"),
        ("~/a", "~/a"),
        ("1.2.3", "1.2.3"),
        ("-", [None]),
        ("!!str 12", "12"),
        ("!!int '12'", 12),
        ("[a, {b: 1}]", ["a", {"b": 1}]),
    ],
)
def test_words_mean_what_the_core_schema_says(text: str, value: Any) -> None:
    found, _ = parse_yaml("f.yaml", f"a: {text}" if text != "-" else "a:\n -")
    assert found == {"a": value}
    assert type(found["a"]) is type(value)


def test_what_is_no_number_is_none() -> None:
    found, _ = parse_yaml("f.yaml", "a: .nan")
    assert math.isnan(found["a"])


@pytest.mark.parametrize(
    "tagged",
    [
        "!!python/object/apply:os.system ['touch hacked']",
        "!!python/object/new:pathlib.Path [hacked]",
        "!!python/name:os.system",
        "!!python/module:os",
        "!!binary aGFja2Vk",
        "!!timestamp 2020-01-01",
        "!!set {a, b}",
        "!!omap [a: 1]",
        "!custom {a: 1}",
        "!<tag:example.org,2000:x> 1",
        "!!float abc",
        "!!bool maybe",
        "!!map [1]",
        "!!seq {a: 1}",
        "!!str [1]",
        "!!int {a: 1}",
    ],
)
def test_a_tag_makes_nothing(tagged: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, f"main: s\nstores:\n  s: {{type: DictStore, config: {tagged}}}", "yaml")
    with pytest.raises(ConfigError) as caught:
        StoreFactory(path)
    assert f"{path}, line 3" in str(caught.value)
    assert not (tmp_path / "hacked").exists()


def test_aliases_are_copies() -> None:
    text = "a: &x {n: 1}\nb: *x\nc: [*x, *x]"
    found, lines = parse_yaml("f.yaml", text)
    assert found == {"a": {"n": 1}, "b": {"n": 1}, "c": [{"n": 1}, {"n": 1}]}
    found["a"]["n"] = 2
    assert found["b"] == {"n": 1}
    assert lines["b",] == 2


def bomb(levels: int) -> str:
    names = "abcdefghijklmnop"
    rows = ["main: s", "a: &a [x, x, x, x, x, x, x, x, x]"]
    for below, name in pairwise(names[:levels]):
        rows.append(f"{name}: &{name} [{', '.join([f'*{below}'] * 9)}]")
    return "\n".join(rows)


def test_aliases_cannot_be_blown_up(tmp_path: Path) -> None:
    path = write(tmp_path, bomb(9), "yaml")
    assert path.stat().st_size < 500
    with pytest.raises(ConfigError, match="5,000 values, an alias being a copy"):
        StoreFactory(path)
    with pytest.raises(ConfigError, match="a value contains itself"):
        StoreFactory(write(tmp_path, "main: s\nstores: &s {s: *s}", "yaml"))
    with pytest.raises(ConfigError, match="there is no 'a' here"):  # a small one is just a copy
        StoreFactory(write(tmp_path, bomb(3), "yaml"))


def test_lines_are_those_of_the_names() -> None:
    text = "# first\nmain: s\n\nstores:\n  s:\n    type: DictStore\n    config:\n      a: 1\n"
    _, lines = parse_yaml("f.yaml", text)
    assert lines["stores", "s", "type"] == 6
    assert lines["stores", "s", "config", "a"] == 8


def test_a_complaint_about_yaml_shows_none_of_it(tmp_path: Path) -> None:
    for text in (
        "main: s\npassword: 'hunter2\n",
        'main: s\npassword: "hunter2\\q"',
        "main: s\nhunter2: hunter2: hunter2",
        "password: !!int hunter2",
    ):
        with pytest.raises(ConfigError) as caught:
            read_document(write(tmp_path, text, "yaml"))
        assert "hunter2" not in str(caught.value)
        assert "line" in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


def test_without_pyyaml_the_extra_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "main: 'memory:'", "yaml")
    code = (
        "import sys; sys.modules['yaml'] = None\n"  # what a missing module looks like to import
        "from encore.config import StoreFactory\n"
        f"StoreFactory({{'main': 'memory:'}}).build()\n"
        f"StoreFactory({str(path)!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert 'pip install "encore[yaml]"' in last
    assert "TOML and JSON need nothing" in last


def test_pyyaml_is_loaded_for_yaml_only(tmp_path: Path) -> None:
    path = write(tmp_path, {"main": "memory:"}, "toml")
    code = (
        "import sys\nfrom encore.config import open_store\nopen_store('memory:')\n"
        "assert 'encore.config.factory' not in sys.modules\n"
        f"from encore.config import StoreFactory\nStoreFactory({str(path)!r}).build()\n"
        "assert 'yaml' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
