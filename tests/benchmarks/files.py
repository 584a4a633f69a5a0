"""FilesystemStore."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Generator
from pathlib import Path

from tests.benchmarks.child import call, peak_growth
from tests.benchmarks.harness import (
    MIB,
    Contender,
    Lab,
    Pattern,
    Trial,
    Work,
    at_least,
    at_most,
    benchmark,
    fresh_keys,
    fresh_values,
    peer,
)
from tests.benchmarks.sqlite_single import BOTH, metadata_of

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_numbers = itertools.count()


def replace_file(root: str, temporary: str, name: str, data: bytes) -> None:
    """Write a file that appears only when it is whole: the fewest system calls that do."""
    handle = os.open(temporary, _NEW, 0o666)
    os.write(handle, data)
    os.close(handle)
    os.rename(temporary, f"{root}/{name}")


@benchmark("files put with metadata", goals=[at_least(0.55, "R")], places=BOTH)
def put(lab: Lab) -> Trial:
    """100 B and five metadata fields under new keys, as one act, in 100 directories.

    R: a temporary file named by a counter, one write, one rename, into directories that are
    there; no metadata. Beside: the same for two files, and minimalkv, which writes in place and
    has no metadata.
    """
    from encore.storage.api import FilesystemStore

    count = lab.pick(10_000, 3_000)

    def encore() -> Generator[Work, None, None]:
        keys, values = fresh_keys(count), fresh_values(count)
        items = [
            (key, value, metadata_of(number))
            for number, (key, value) in enumerate(zip(keys, values, strict=True))
        ]
        with lab.scratch() as directory, FilesystemStore(directory / "store") as store:
            for group in range(100):
                store.put(f"{group:02d}/warm", b"warm", {"kind": "warm"})

            def work() -> None:
                put = store.put
                for key, value, metadata in items:
                    put(key, value, metadata)

            yield work
            assert store.get_metadata(items[0][0]) == items[0][2]
            assert len(store) == count + 100

    def raw(files: int) -> Contender:
        def contender() -> Generator[Work, None, None]:
            keys, values = fresh_keys(count), fresh_values(count)
            texts = [json.dumps(metadata_of(number)).encode() for number in range(count)]
            with lab.scratch() as directory:
                root, other, temporary = _directories(directory)

                def work() -> None:
                    for key, value, text in zip(keys, values, texts, strict=True):
                        replace_file(root, f"{temporary}/{next(_numbers)}", key, value)
                        if files == 2:
                            replace_file(other, f"{temporary}/{next(_numbers)}", key, text)

                yield work

        return contender

    return Trial(
        {
            "encore": encore,
            "R": raw(1),
            "two files": raw(2),
            "minimalkv": _minimalkv_put(lab, count),
        },
        count,
        repeats=5,
    )


def _directories(directory: Path) -> tuple[str, str, str]:
    for name in ("data", "metadata"):
        for group in range(100):
            (directory / name / f"{group:02d}").mkdir(parents=True)
    (directory / "temporary").mkdir()
    return str(directory / "data"), str(directory / "metadata"), str(directory / "temporary")


def _minimalkv_put(lab: Lab, count: int) -> Contender | None:
    minimalkv = peer("minimalkv.fs")
    if minimalkv is None:
        return None

    def contender() -> Generator[Work, None, None]:
        keys, values = fresh_keys(count), fresh_values(count)
        with lab.scratch() as directory:
            store = minimalkv.FilesystemStore(str(directory))

            def work() -> None:
                for key, value in zip(keys, values, strict=True):
                    store.put(key.replace("/", "_"), value)

            yield work

    return contender


@benchmark("files read", goals=[at_least(0.6, "R"), at_least(1.1, "minimalkv")], places=BOTH)
def read(lab: Lab) -> Trial:
    """100 B by key, in the order they were written. R: `os.open`, one `os.read`, `os.close`."""
    from encore.storage.api import FilesystemStore

    count = lab.pick(10_000, 3_000)
    keys = fresh_keys(count)
    directory: Path = lab.enter(lab.scratch())
    store = lab.enter(FilesystemStore(directory / "store"))
    store.multiset(keys, fresh_values(count))
    root, _, temporary = _directories(directory)
    for key, value in zip(keys, fresh_values(count), strict=True):
        replace_file(root, f"{temporary}/0", key, value)

    def encore() -> Generator[Work, None, None]:
        def work() -> None:
            read = store.read
            for key in keys:
                read(key)

        yield work

    def limit() -> Generator[Work, None, None]:
        def work() -> None:
            for key in keys:
                handle = os.open(f"{root}/{key}", os.O_RDONLY)
                os.read(handle, 65536)
                os.close(handle)

        yield work

    contenders: dict[str, Contender | None] = {"encore": encore, "R": limit}
    minimalkv = peer("minimalkv.fs")
    contenders["minimalkv"] = None
    if minimalkv is not None:
        (directory / "kv").mkdir()
        target = minimalkv.FilesystemStore(str(directory / "kv"))
        names = [key.replace("/", "_") for key in keys]
        for name, value in zip(names, fresh_values(count), strict=True):
            target.put(name, value)

        def other() -> Generator[Work, None, None]:
            def work() -> None:
                for name in names:
                    target.get(name)

            yield work

        contenders["minimalkv"] = other
    return Trial(contenders, count)


@benchmark("files list", unit="keys/s", goals=[at_least(0.6, "R")], places=BOTH)
def list_keys(lab: Lab) -> Trial:
    """All keys of 100 directories. R: `os.scandir` of each, sorted."""
    from encore.storage.api import FilesystemStore

    count = lab.pick(20_000, 5_000)
    directory: Path = lab.enter(lab.scratch())
    store = lab.enter(FilesystemStore(directory / "store"))
    keys = fresh_keys(count)
    store.multiset(keys, fresh_values(count))
    root, _, temporary = _directories(directory)
    for key, value in zip(keys, fresh_values(count), strict=True):
        replace_file(root, f"{temporary}/0", key, value)
    assert [*store.keys()] == sorted(keys) == _raw_list(root)

    def encore() -> Generator[Work, None, None]:
        yield lambda: [*store.keys()]

    def limit() -> Generator[Work, None, None]:
        yield lambda: _raw_list(root)

    return Trial({"encore": encore, "R": limit}, count)


def _raw_list(root: str) -> list[str]:
    found = []
    with os.scandir(root) as groups:
        for group in sorted(entry.name for entry in groups):
            with os.scandir(f"{root}/{group}") as entries:
                found += sorted(f"{group}/{entry.name}" for entry in entries if entry.is_file())
    return found


@benchmark("files 1 GiB in", unit="MiB/s", goals=[at_least(0.85, "R")], places=BOTH)
def large_in(lab: Lab) -> Trial:
    """One value of 1 GiB from a stream. R: a temporary file, writes of 1 MiB, a rename."""
    from encore.storage.api import FilesystemStore

    size = lab.pick(1024, 128) * MIB
    lab.warm(2 * size)

    def encore() -> Generator[Work, None, None]:
        source = Pattern(size)
        with lab.scratch() as directory, FilesystemStore(directory / "store") as store:
            store.put("warm", b"warm")
            yield lambda: store.put("large", source)
            assert store.get("large").size == size

    def limit() -> Generator[Work, None, None]:
        source = Pattern(size)
        with lab.scratch() as directory:

            def work() -> None:
                handle = os.open(directory / "temporary", _NEW, 0o666)
                while chunk := source.read(MIB):
                    os.write(handle, chunk)
                os.close(handle)
                os.rename(directory / "temporary", directory / "large")

            yield work

    return Trial({"encore": encore, "R": limit}, size // MIB, repeats=5)


@benchmark("files 1 GiB out", unit="MiB/s", goals=[at_least(0.8, "R")], places=BOTH)
def large_out(lab: Lab) -> Trial:
    """All of the value, in pieces of 1 MiB. R: reads of 1 MiB from an unbuffered file."""
    from encore.storage.api import FilesystemStore

    size = lab.pick(1024, 128) * MIB
    lab.warm(size)
    directory: Path = lab.enter(lab.scratch())
    store = lab.enter(FilesystemStore(directory / "store"))
    store.put("large", Pattern(size))

    def encore() -> Generator[Work, None, None]:
        yield lambda: sum(len(chunk) for chunk in store.get("large").iterdata())

    def limit() -> Generator[Work, None, None]:
        def work() -> None:
            with open(directory / "store" / "large", "rb", buffering=0) as file:
                while file.read(MIB):
                    pass

        yield work

    return Trial({"encore": encore, "R": limit}, size // MIB, repeats=5)


@benchmark("files memory of 1 GiB", unit="MiB", goals=[at_most(4)], places=("tmpfs",))
def growth(lab: Lab) -> Trial:
    """Growth of anonymous memory in a new process: the value in, and out again."""
    size = lab.pick(1024, 128) * MIB

    def encore() -> Generator[Work, None, None]:
        with lab.scratch() as directory:
            yield lambda: call(store_growth, str(directory), size)

    return Trial({"encore": encore}, repeats=3)


def store_growth(directory: str, size: int) -> float:
    """MiB; run in a child."""
    from encore.storage.api import FilesystemStore

    source = Pattern(size)
    Pattern(MIB).read()
    with FilesystemStore(Path(directory) / "store") as store:
        store.put("warm", b"warm")

        def work() -> None:
            store.put("large", source)
            for _ in store.get("large").iterdata():
                pass

        return peak_growth(work)
