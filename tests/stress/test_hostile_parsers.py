"""Whatever stands in a file, it is understood or refused: short runs of every fuzzing target.

``python tests/stress/fuzz.py`` lets atheris look for what breaks them, by what code an input
reaches; here examples are changed at random, with a seed that is printed and can be given in
``ENCORE_SEED``.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from fuzz_targets import TARGETS

SEED = int(os.environ.get("ENCORE_SEED", "1"))
RUNS = 1500
LONG_RUNS = 100_000
_ODD = (b"\0", b"\xff", b"/", b"..", b"[", b"{", b'"', b"\n", b"-1", b"1e999", b"\xed\xa0\x80")


def changed(noise: random.Random, data: bytes, other: bytes) -> bytes:
    """A few small changes of an input."""
    found = bytearray(data)
    for _ in range(noise.randint(1, 4)):
        at = noise.randrange(len(found) + 1)
        match noise.randrange(6):
            case 0:
                found[at:at] = noise.choice(_ODD)
            case 1:
                del found[at : at + noise.randint(1, 8)]
            case 2 if found:
                found[min(at, len(found) - 1)] ^= 1 << noise.randrange(8)
            case 3:
                found[at : at + 4] = noise.randbytes(4)
            case 4:
                cut = noise.randrange(len(other) + 1)
                found[at:] = other[cut:]
            case _:
                found[at:at] = found[at : at + 40] * noise.randint(1, 3)
    return bytes(found[:4096])


def play(name: str, runs: int) -> None:
    target = TARGETS[name]
    noise = random.Random(f"{name} {SEED}")
    print(f"ENCORE_SEED={SEED}")
    for seed in (b"", b"+", *target.seeds):
        target.run(seed)
    for _ in range(runs):
        data = changed(noise, noise.choice(target.seeds), noise.choice(target.seeds))
        try:
            target.run(data)
        except BaseException:
            print(f"{name}: {data!r}")
            raise


@pytest.mark.parametrize("name", TARGETS)
def test_any_input_is_understood_or_refused(name: str) -> None:
    play(name, RUNS)


@pytest.mark.stress
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", TARGETS)
def test_many_inputs_are_understood_or_refused(name: str) -> None:
    play(name, LONG_RUNS)


def test_every_parser_of_outside_bytes_has_a_target() -> None:
    """What is read from files and decoded as JSON, by module; one that is new wants a target."""
    package = Path(__file__).parents[2] / "encore"
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if path.parts[-2] != "testing"
        if "json.loads(" in path.read_text() or "JSONDecoder" in path.read_text()
    }
    assert found <= {
        "config/documents.py",  # configuration
        "history/logged.py",  # history_log
        "service/client/asking.py",  # what a service answers: tests/service
        "service/client/following.py",
        "service/server/batches.py",  # what a client asks: tests/service
        "service/server/exchange.py",
        "service/server/listing.py",
        "storage/backends/bucket/reading.py",  # what a server answers: tests/storage/bucket
        "storage/backends/bucket/records.py",
        "storage/backends/filesystem/journal.py",  # commit_list
        "storage/backends/filesystem/locking.py",  # who holds a lock: a message
        "storage/backends/filesystem/formats.py",  # format_file
        "storage/backends/filesystem/records.py",  # sidecar
        "storage/backends/http/documents.py",  # what a server answers: tests/storage/http
        "storage/backends/zip/changes.py",  # archive_changes
        "storage/metadata.py",  # metadata
        "storage/wrappers/hidden.py",  # after metadata
        "storage/wrappers/typed.py",  # tests/storage/wrappers/test_typed.py
        "cli/fields.py",  # the command line
    }, found
