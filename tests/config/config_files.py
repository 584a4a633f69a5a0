"""Writing configurations for tests, in each of the formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FORMATS = ("json", "toml", "yaml")


def write(folder: Path, content: Any, suffix: str = "json", name: str = "stores") -> Path:
    """Write a configuration; what is text already is written as it stands."""
    path = folder / f"{name}.{suffix}"
    if isinstance(content, str):
        text = content
    elif suffix == "toml":
        text = toml_text(content)
    elif suffix == "yaml":
        import yaml

        text = yaml.safe_dump(content, sort_keys=False)
    else:
        text = json.dumps(content)
    path.write_text(text, encoding="utf-8")
    return path


def toml_text(content: dict[str, Any]) -> str:
    """TOML on as many lines as there are names at the top; JSON texts are TOML texts."""
    return "".join(f"{json.dumps(name)} = {_toml(value)}\n" for name, value in content.items())


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        pairs = ", ".join(f"{json.dumps(name)} = {_toml(part)}" for name, part in value.items())
        return f"{{{pairs}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value)


def one(kind: str, /, **config: Any) -> dict[str, Any]:
    """A configuration of one store."""
    return {"main": "s", "stores": {"s": {"type": kind, "config": config}}}


def over(kind: str, /, **config: Any) -> dict[str, Any]:
    """A configuration of a store over one in memory."""
    return {
        "main": "top",
        "stores": {
            "data": {"type": "DictStore"},
            "top": {"type": kind, "base": "data", "config": config},
        },
    }
