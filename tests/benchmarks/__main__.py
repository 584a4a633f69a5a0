"""The command: ``python -m tests.benchmarks``, from the root of the repository."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks import report
from tests.benchmarks.harness import REGISTER, Benchmark, Result, run, workspace

# isort: off  -- the order of the table
from tests.benchmarks import sqlite_single  # noqa: F401
from tests.benchmarks import sqlite_bulk  # noqa: F401
from tests.benchmarks import sqlite_large  # noqa: F401
from tests.benchmarks import transactions  # noqa: F401
from tests.benchmarks import concurrency  # noqa: F401
from tests.benchmarks import files  # noqa: F401
from tests.benchmarks import memory  # noqa: F401
from tests.benchmarks import events  # noqa: F401
from tests.benchmarks import streams  # noqa: F401
from tests.benchmarks import copying  # noqa: F401
from tests.benchmarks import imports  # noqa: F401
# isort: on


def main(arguments: list[str] | None = None) -> int:
    """Run benchmarks; the exit status is 1 if one of them could not be run."""
    options = _parser().parse_args(arguments)
    wanted = [known for known in REGISTER if _is_wanted(known.name, options.only)]
    if options.list:
        print("\n".join(known.name for known in wanted))
        return 0
    if not wanted:
        print(f"no benchmark is called {options.only}", file=sys.stderr)
        return 2
    began = time.monotonic()
    with ExitStack() as stack:
        places = {"memory": stack.enter_context(workspace(options.tmpfs))}
        places["tmpfs"] = places["memory"]
        places["disk"] = stack.enter_context(workspace(options.disk))
        results = _run_all(wanted, places, quick=options.quick, only=bool(options.only))
        if options.json:
            report.write_json(results, options.json)
        if options.markdown:
            Path(options.markdown).write_text(report.markdown(results))
        print(report.text_table(line for result in results for line in report.rows(result)))
        print(_summary(results, time.monotonic() - began))
    return 1 if any(result.problem.startswith("skipped") is False and result.problem
                    for result in results) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller and fewer, in two minutes")
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="names that contain this; may be repeated"
    )
    parser.add_argument("--list", action="store_true", help="list the names and end")
    parser.add_argument("--json", metavar="FILE", help="write every figure there")
    parser.add_argument("--markdown", metavar="FILE", help="write the table there")
    parser.add_argument("--disk", metavar="DIR", default=tempfile.gettempdir(), help="on a disk")
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir()
    parser.add_argument("--tmpfs", metavar="DIR", default=memory, help="in memory")
    return parser


def _is_wanted(name: str, only: list[str] | None) -> bool:
    return not only or any(part in name for part in only)


def _run_all(
    wanted: list[Benchmark], places: dict[str, Path], *, quick: bool, only: bool
) -> list[Result]:
    results = []
    for known in wanted:
        for place in known.places:
            if quick and not (known.quick and (place in known.judged or only)):
                reason = "skipped by --quick"
                results.append(
                    Result(known.name, place, known.unit, known.goals, False, problem=reason)
                )
                continue
            began = time.monotonic()
            results.append(run(known, place, places[place], quick=quick))
            seconds = time.monotonic() - began
            print(f"{known.name} ({place}): {seconds:.1f} s", file=sys.stderr, flush=True)
    return results


def _summary(results: list[Result], seconds: float) -> str:
    reached = missed = 0
    for result in results:
        for goal in result.goals if result.judged else ():
            value = result.value_of(goal)
            if value is not None:
                reached += goal.is_reached(value)
                missed += not goal.is_reached(value)
    return (
        f"\n{reached} goals reached, {missed} missed; {seconds:.0f} s. ± is the distance of the "
        "quartiles; a ratio is the median of the ratios of all rounds. Figures 'beside' are not "
        "judged."
    )


if __name__ == "__main__":
    sys.exit(main())
