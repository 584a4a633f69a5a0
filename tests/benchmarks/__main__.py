"""The command: ``python -m tests.benchmarks``, from the root of the repository."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

# isort: off  -- the order of the table
from tests.benchmarks import raw_sqlite, report
from tests.benchmarks.harness import REGISTER, Benchmark, Lab, Result, run, workspace

# In the order of the table.
_THEMES = (
    "sqlite_single",
    "sqlite_bulk",
    "sqlite_large",
    "transactions",
    "history",
    "concurrency",
    "loops",
    "files",
    "zips",
    "buckets",
    "services",
    "hashdir",
    "memory",
    "layers",
    "events",
    "streams",
    "codecs",
    "copying",
    "imports",
)


def main(arguments: list[str] | None = None) -> int:
    """Run benchmarks; the exit status is 1 if one of them could not be run."""
    options = _parser().parse_args(arguments)
    for theme in _THEMES:
        import_module(f"tests.benchmarks.{theme}")
    wanted = [known for known in REGISTER if _is_wanted(known.name, options.only)]
    if options.list:
        print("\n".join(known.name for known in wanted))
        return 0
    if not wanted:
        print(f"no benchmark is called {options.only}", file=sys.stderr)
        return 2
    began = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left behind
    with ExitStack() as stack:
        places = {"memory": stack.enter_context(workspace(options.tmpfs))}
        places["tmpfs"] = places["memory"]
        places["disk"] = stack.enter_context(workspace(options.disk))
        tmpfs = places["tmpfs"]
        places = {name: root for name, root in places.items() if options.place in (None, name)}
        with Lab("tmpfs", tmpfs, quick=True).scratch() as directory:
            difference = raw_sqlite.find_difference(directory)
        results = _run_all(wanted, places, quick=options.quick)
        if options.json:
            report.write_json(results, options.json)
        if options.markdown:
            Path(options.markdown).write_text(report.markdown(results))
        print(report.text_table(line for result in results for line in report.rows(result)))
        print(report.problems(results))
        if difference:
            print(f"R is no limit any more: SqliteStore has other {difference} than raw_sqlite")
        print(_summary(results, time.monotonic() - began, quick=options.quick))
    return 1 if difference or any(result.problem for result in results) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller and fewer, in two minutes")
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="names that contain this; may be repeated"
    )
    parser.add_argument(
        "--place", choices=("memory", "tmpfs", "disk"), help="only what runs in this place"
    )
    parser.add_argument("--list", action="store_true", help="list the names and end")
    parser.add_argument("--json", metavar="FILE", help="write every figure there")
    parser.add_argument("--markdown", metavar="FILE", help="write the table there")
    parser.add_argument("--disk", metavar="DIR", default=tempfile.gettempdir(), help="on a disk")
    tmpfs = "/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir()
    parser.add_argument("--tmpfs", metavar="DIR", default=tmpfs, help="in memory")
    return parser


def _is_wanted(name: str, only: list[str] | None) -> bool:
    return not only or any(part in name for part in only)


def _run_all(wanted: list[Benchmark], places: dict[str, Path], *, quick: bool) -> list[Result]:
    results = []
    for known in wanted:
        for place in known.places:
            if place not in places:
                continue
            if quick and not (known.quick and place in known.judged):
                print(f"{known.name} ({place}): skipped by --quick", file=sys.stderr)
                continue
            began = time.monotonic()
            result = run(known, place, places[place], quick=quick)
            results.append(result)
            seconds = time.monotonic() - began
            print(f"{report.brief(result)} [{seconds:.1f} s]", file=sys.stderr, flush=True)
    return results


def _summary(results: list[Result], seconds: float, *, quick: bool) -> str:
    left_out = " --quick left out the disk, stores of a million keys, and most of each GiB."
    reached = missed = 0
    for result in results:
        for goal in result.goals if result.judged else ():
            value = result.value_of(goal)
            if value is not None:
                reached += goal.is_reached(value)
                missed += not goal.is_reached(value)
    return (
        f"{reached} goals reached, {missed} missed; {seconds:.0f} s. ± is the distance of the "
        "quartiles; a ratio is the median of the ratios of all rounds. Figures 'beside' are not "
        "judged." + (left_out if quick else "")
    )


if __name__ == "__main__":
    sys.exit(main())
