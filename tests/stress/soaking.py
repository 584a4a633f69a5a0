"""Fill a store with very many keys, and see what listing, counting and looking them up takes.

    python soaking.py STORE --keys 1000000

The memory is that of the process, without mapped files; what is told is by how much it has grown at
its most. A file system lists a directory at once, so there the keys are spread over directories of
a thousand. The last line that is printed is the result, as JSON.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stressed import BY_NAME

_BATCH = 10_000
_MOST_BYTES = 32 << 20
_LOOKED_UP = 2_000


class TooMuchError(AssertionError):
    """It takes more memory than it may, or finds something else than was put there."""


def key_of(number: int) -> str:
    return f"{number // 1000:04}/{number % 1000:03}"


def memory() -> int:
    """Bytes that are the process's own."""
    (kilobytes,) = re.findall(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kilobytes) << 10


def measured(store: Any, work: Callable[[Any], None]) -> dict[str, float]:
    gc.collect()
    before, begin = memory(), time.monotonic()
    work(store)
    grown, seconds = memory() - before, time.monotonic() - begin
    if grown > _MOST_BYTES:
        raise TooMuchError(f"{work.__name__} takes {grown:,} bytes")
    return {"bytes": grown, "seconds": round(seconds, 1)}


class Soak:
    """What is done to a store of so many keys."""

    def __init__(self, keys: int, seed: int) -> None:
        self.keys = keys
        self.noise = random.Random(seed)

    def fill(self, store: Any) -> None:
        for begin in range(0, self.keys, _BATCH):
            end = min(begin + _BATCH, self.keys)
            store.multiset(
                {key_of(number): (b"x", {"n": number % 7}) for number in range(begin, end)}
            )

    def count(self, store: Any) -> None:
        self._expect(len(store), self.keys)

    def list_keys(self, store: Any) -> None:
        number = -1
        for number, key in enumerate(store.keys()):
            if key != key_of(number):
                raise TooMuchError(f"key {number} is {key!r}")
        self._expect(number + 1, self.keys)

    def list_pages(self, store: Any) -> None:
        self._expect(sum(len(page) for page in store.list(page_size=500)), self.keys)

    def query(self, store: Any) -> None:
        found = sum(1 for _ in store.query_keys(n=3))
        self._expect(found, len(range(3, self.keys, 7)))

    def look_up(self, store: Any) -> None:
        for _ in range(_LOOKED_UP):
            number = self.noise.randrange(self.keys)
            self._expect(store.get_metadata(key_of(number)), {"n": number % 7})

    def _expect(self, found: object, expected: object) -> None:
        if found != expected:
            raise TooMuchError(f"found {found}, expected {expected}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", choices=BY_NAME)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if not sys.platform.startswith("linux"):
        print(json.dumps({"skipped": "looks at /proc"}))
        return
    fast = "/dev/shm" if os.path.isdir("/dev/shm") else None
    base = Path(tempfile.mkdtemp(prefix="encore-soak-", dir=fast))
    told: dict[str, Any] = {}
    try:
        soak = Soak(options.keys, options.seed)
        with BY_NAME[options.store].open(base) as store:
            for work in (soak.fill, soak.count, soak.list_keys, soak.list_pages, soak.query):
                told[work.__name__] = measured(store, work)
            told["look_up"] = measured(store, soak.look_up)
    finally:
        shutil.rmtree(base)
    print(json.dumps({**vars(options), **told}))


if __name__ == "__main__":
    main()
