"""What ``import encore`` costs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Generator

from tests.benchmarks.harness import Contender, Lab, Trial, Work, at_most, benchmark


@benchmark("import encore", unit="ms", goals=[at_most(60)])
def import_encore(lab: Lab) -> Trial:
    """``python -c "import encore"`` beyond ``python -c pass``, run one after the other."""
    return _trial(lab, {"encore": "import encore"})


@benchmark("import SqliteStore", unit="ms", goals=[at_most(60)])
def import_store(lab: Lab) -> Trial:
    """As "import encore", and a store that is used. Beside: what of that is `sqlite3`."""
    statement = "import encore; from encore.storage.api import SqliteStore"
    return _trial(
        lab,
        {
            "encore": statement,
            "DictStore": "from encore.storage.api import DictStore",
            "import sqlite3": "import sqlite3",
            "import blinker": "import blinker",
        },
    )


def _trial(lab: Lab, statements: dict[str, str]) -> Trial:
    """Each statement beyond ``pass``, with a cache of bytecode that a first run has filled."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(lab.enter(lab.scratch()))}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def milliseconds(statement: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", statement], env=environment, check=True)
        return (time.perf_counter() - began) * 1000

    def contender(statement: str) -> Contender:
        def run() -> Generator[Work, None, None]:
            yield lambda: milliseconds(statement) - milliseconds("pass")

        milliseconds(statement)
        return run

    repeats = lab.pick(15, 5)
    return Trial({name: contender(text) for name, text in statements.items()}, repeats=repeats)
