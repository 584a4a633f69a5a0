"""Results as a table for people and as JSON for machines."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import statistics
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from tests.benchmarks.harness import Goal, Result

HEADER = (
    "benchmark", "place", "unit", "encore", "±", "R", "ratio", "goal", "reached",
    "beside", "figure", "ratio", "goal", "reached",
)  # fmt: skip
_PEERS = ("blinker", "diskcache", "minimalkv", "psygnal")


def rows(result: Result) -> list[tuple[str, ...]]:
    """The lines of one result: encore beside R, then a line for each other contender."""
    lead = (result.name, result.place, result.unit)
    if not result.figures:
        return [(*lead, "failed", *[""] * 10)]
    goals = {goal.against: goal for goal in result.goals}
    encore = (_number(result.median("encore")), f"{_spread(result.figures['encore']):.0%}")
    limit = _against(result, "R", goals) if "R" in result.figures else ("", "", "", "")
    if None in goals:
        limit = (limit[0], limit[1], *_verdict(result, goals[None]))
    others = [
        (name, *_against(result, name, goals))
        for name in result.figures
        if name not in ("encore", "R")
    ]
    others += [(name, "not installed", "", "", "") for name in result.missing]
    first, *rest = others or [("", "", "", "", "")]
    return [(*lead, *encore, *limit, *first)] + [
        (*[""] * (len(lead) + len(encore) + len(limit)), *other) for other in rest
    ]


def brief(result: Result) -> str:
    """One line while others are still running."""
    medians = ", ".join(
        f"{name} {_number(statistics.median(figures))}" for name, figures in result.figures.items()
    )
    return f"{result.name} ({result.place}): {medians or 'failed'}"


def _against(result: Result, name: str, goals: dict[str | None, Goal]) -> tuple[str, ...]:
    verdict = _verdict(result, goals[name]) if name in goals else ("", "")
    return (_number(result.median(name)), f"{result.ratio(name):.2f}", *verdict)


def _verdict(result: Result, goal: Goal) -> tuple[str, str]:
    value = result.value_of(goal)
    wanted = f"{'≤' if goal.upper else '≥'} {_number(goal.bound)}"
    if value is None or not result.judged:
        return wanted, "beside"
    return wanted, "yes" if goal.is_reached(value) else "NO"


def problems(results: list[Result]) -> str:
    """What could not be run, and why; one line each."""
    return "\n".join(
        f"{result.name} ({result.place}): {result.problem}" for result in results if result.problem
    )


def _number(value: float) -> str:
    if abs(value) >= 999_500:
        return f"{value / 1e6:.2f}M"
    if abs(value) >= 9_995:
        return f"{value / 1e3:.0f}k"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"


def _spread(figures: list[float]) -> float:
    """The distance of the quartiles, as a part of the median."""
    if len(figures) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(figures, n=4, method="inclusive")
    return abs((high - low) / middle) if middle else 0.0


def text_table(lines: Iterable[tuple[str, ...]]) -> str:
    """Columns lined up for a terminal."""
    table = [HEADER, *lines]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in table
    )


def markdown(results: list[Result]) -> str:
    """A page: the machine, then the table."""
    about = "\n".join(f"- {name}: {value}" for name, value in machine().items())
    lines = [line for result in results for line in rows(result)]
    table = [HEADER, ("---",) * len(HEADER), *lines]
    body = "\n".join(
        "| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in table
    )
    return f"# Benchmarks\n\n{about}\n\n{body}\n\n{problems(results)}\n".rstrip() + "\n"


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": sys.version.split()[0],
        "sqlite": sqlite3.sqlite_version,
        "encore": _version("encore"),
        **{name: _version(name) for name in _PEERS},
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def write_json(results: list[Result], path: str) -> None:
    """Every figure of every round."""
    document = {"machine": machine(), "results": [_as_json(result) for result in results]}
    Path(path).write_text(json.dumps(document, indent=1) + "\n")


def _as_json(result: Result) -> dict[str, Any]:
    return {
        "name": result.name,
        "place": result.place,
        "unit": result.unit,
        "judged": result.judged,
        "problem": result.problem,
        "missing": list(result.missing),
        "figures": {
            name: {
                "median": statistics.median(figures),
                "iqr_of_median": _spread(figures),
                "rounds": figures,
            }
            for name, figures in result.figures.items()
        },
        "goals": [
            {
                "against": goal.against,
                "bound": goal.bound,
                "upper": goal.upper,
                "value": value,
                "reached": None if value is None else goal.is_reached(value),
            }
            for goal in result.goals
            for value in [result.value_of(goal)]
        ],
    }
