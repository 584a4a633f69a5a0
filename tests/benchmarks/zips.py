"""ZipStore, beside `zipfile`. Neither waits for the disk."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Generator
from pathlib import Path

from tests.benchmarks.harness import (
    MIB,
    Contender,
    Lab,
    Pattern,
    Trial,
    Work,
    at_least,
    benchmark,
    fresh_keys,
)

_BOTH = ("tmpfs", "disk")
_WORDS = b"zero one two three four five six seven eight nine ten eleven twelve "


def texts(count: int) -> list[bytes]:
    """Values of 1 KiB that compress to about a quarter, as text does."""
    return [
        (b"%07d " % (number * 7919) + _WORDS[number % 64 :] * 16)[:1024] for number in range(count)
    ]


def write_with_zipfile(path: Path, keys: list[str], values: list[bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, value in zip(keys, values, strict=True):
            archive.writestr(key, value)


def _writing(lab: Lab, *, at_once: bool) -> Trial:
    from encore.storage.api import ZipStore

    count = lab.pick(10_000, 3_000)
    keys, values = fresh_keys(count), texts(count)

    def encore() -> Generator[Work, None, None]:
        with lab.scratch() as directory:

            def work() -> None:
                with ZipStore(directory / "a.zip") as store:
                    if at_once:
                        store.multiset(keys, values)
                        return
                    for key, value in zip(keys, values, strict=True):
                        store.put(key, value)

            yield work
            with zipfile.ZipFile(directory / "a.zip") as archive:
                assert len(archive.namelist()) == count

    def peer() -> Generator[Work, None, None]:
        with lab.scratch() as directory:
            yield lambda: write_with_zipfile(directory / "a.zip", keys, values)

    return Trial({"encore": encore, "zipfile": peer}, count, repeats=5)


@benchmark("zip write and close", goals=[at_least(1.0, "zipfile")], places=_BOTH)
def write(lab: Lab) -> Trial:
    """1 KiB of text under new keys, in one transaction, up to the finished archive."""
    return _writing(lab, at_once=True)


@benchmark("zip put and close", goals=[at_least(0.5, "zipfile")], places=_BOTH)
def put(lab: Lab) -> Trial:
    """The same one by one: each is committed before the next, and all are folded at the end."""
    return _writing(lab, at_once=False)


def _archive(lab: Lab, count: int) -> tuple[Path, list[str]]:
    directory: Path = lab.enter(lab.scratch())
    keys = fresh_keys(count)
    write_with_zipfile(directory / "a.zip", keys, texts(count))
    return directory / "a.zip", keys


@benchmark("zip read all", goals=[at_least(1.0, "zipfile")], places=_BOTH)
def read(lab: Lab) -> Trial:
    """1 KiB of text by key, from an archive that zipfile has made; it is open already."""
    from encore.storage.api import ZipStore

    count = lab.pick(20_000, 5_000)
    path, keys = _archive(lab, count)
    store = lab.enter(ZipStore(path, readonly=True))
    archive = lab.enter(zipfile.ZipFile(path))

    def encore() -> Generator[Work, None, None]:
        def work() -> None:
            read = store.read
            for key in keys:
                read(key)

        yield work

    def peer() -> Generator[Work, None, None]:
        def work() -> None:
            read = archive.read
            for key in keys:
                read(key)

        yield work

    return Trial({"encore": encore, "zipfile": peer}, count)


@benchmark("zip open", unit="entries/s", goals=[at_least(2.0, "zipfile")], places=_BOTH)
def open_many(lab: Lab) -> Trial:
    """Opening an archive of many entries, and reading one of them."""
    from encore.storage.api import ZipStore

    count = lab.pick(100_000, 20_000)
    path, keys = _archive(lab, count)

    def encore() -> Generator[Work, None, None]:
        def work() -> None:
            with ZipStore(path, readonly=True) as store:
                store.read(keys[0])

        yield work

    def peer() -> Generator[Work, None, None]:
        def work() -> None:
            with zipfile.ZipFile(path) as archive:
                archive.read(keys[0])

        yield work

    return Trial({"encore": encore, "zipfile": peer}, count, repeats=5)


def _large_in(lab: Lab, compression: str, size: int) -> Trial:
    from encore.storage.api import ZipStore

    method = zipfile.ZIP_DEFLATED if compression == "deflated" else zipfile.ZIP_STORED
    lab.warm(3 * size)

    def encore() -> Generator[Work, None, None]:
        source = Pattern(size)
        with lab.scratch() as directory:

            def work() -> None:
                with ZipStore(directory / "a.zip", compression) as store:
                    store.put("large", source)

            yield work

    def peer() -> Generator[Work, None, None]:
        source = Pattern(size)
        with lab.scratch() as directory:

            def work() -> None:
                with (
                    zipfile.ZipFile(directory / "a.zip", "w", method) as archive,
                    archive.open("large", "w", force_zip64=True) as entry,
                ):
                    shutil.copyfileobj(source, entry, MIB)

            yield work

    return Trial({"encore": encore, "zipfile": peer}, size // MIB, repeats=5)


@benchmark("zip deflated in", unit="MiB/s", goals=[at_least(0.85, "zipfile")], places=_BOTH)
def deflated_in(lab: Lab) -> Trial:
    """One value from a stream, packed once, and copied into the archive at the end."""
    return _large_in(lab, "deflated", lab.pick(64, 32) * MIB)


@benchmark("zip stored in", unit="MiB/s", goals=[at_least(0.45, "zipfile")], places=_BOTH)
def stored_in(lab: Lab) -> Trial:
    """The same without packing: written beside the archive, and copied into it, so twice."""
    return _large_in(lab, "stored", lab.pick(512, 128) * MIB)


def _large_out(lab: Lab, method: int, size: int) -> Trial:
    from encore.storage.api import ZipStore

    directory: Path = lab.enter(lab.scratch())
    path = directory / "a.zip"
    block = b"".join(texts(16 * 1024))
    with (
        zipfile.ZipFile(path, "w", method) as archive,
        archive.open("large", "w", force_zip64=True) as entry,
    ):
        for _ in range(size // len(block)):
            entry.write(block)
    store = lab.enter(ZipStore(path, readonly=True))
    archive = lab.enter(zipfile.ZipFile(path))

    def encore() -> Generator[Work, None, None]:
        yield lambda: sum(len(chunk) for chunk in store.get("large").iterdata())

    def peer() -> Generator[Work, None, None]:
        def work() -> None:
            with archive.open("large") as entry:
                while entry.read(MIB):
                    pass

        yield work

    return Trial({"encore": encore, "zipfile": peer}, size // MIB, repeats=5)


@benchmark("zip deflated out", unit="MiB/s", goals=[at_least(1.0, "zipfile")], places=_BOTH)
def deflated_out(lab: Lab) -> Trial:
    """All of one value, in pieces of 1 MiB."""
    return _large_out(lab, zipfile.ZIP_DEFLATED, lab.pick(512, 128) * MIB)


@benchmark("zip stored out", unit="MiB/s", goals=[at_least(0.9, "zipfile")], places=_BOTH)
def stored_out(lab: Lab) -> Trial:
    """The same from an entry that is not packed."""
    return _large_out(lab, zipfile.ZIP_STORED, lab.pick(1024, 256) * MIB)


@benchmark("zip change one", unit="changes/s", goals=[at_least(5.0, "zipfile")], places=_BOTH)
def change_one(lab: Lab) -> Trial:
    """Replace one of many entries, up to the finished archive.

    `zipfile` cannot: beside it is what its users do, a new archive of what they read from the old
    one.
    """
    from encore.storage.api import ZipStore

    count = lab.pick(20_000, 5_000)
    path, keys = _archive(lab, count)

    def encore() -> Generator[Work, None, None]:
        def work() -> None:
            with ZipStore(path) as store:
                store.put(keys[count // 2], b"changed")

        yield work

    def peer() -> Generator[Work, None, None]:
        with lab.scratch() as directory:

            def work() -> None:
                with (
                    zipfile.ZipFile(path) as old,
                    zipfile.ZipFile(directory / "new.zip", "w", zipfile.ZIP_DEFLATED) as new,
                ):
                    for info in old.infolist():
                        changed = info.filename == keys[count // 2]
                        new.writestr(info, b"changed" if changed else old.read(info))

            yield work

    return Trial({"encore": encore, "zipfile": peer}, 1, repeats=3)


@benchmark("zip range", unit="ranges/s", goals=[at_least(3.0, "zipfile")], places=_BOTH)
def ranges(lab: Lab) -> Trial:
    """100 B from the middle of a stored entry of 64 MiB."""
    from encore.storage.api import ZipStore

    count, size = 200, 64 * MIB
    directory: Path = lab.enter(lab.scratch())
    path = directory / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("large", Pattern(size).read())
    store = lab.enter(ZipStore(path, readonly=True))
    archive = lab.enter(zipfile.ZipFile(path))
    places = [(number * 7919 * 4099) % (size - 100) for number in range(count)]

    def encore() -> Generator[Work, None, None]:
        def work() -> None:
            for place in places:
                with store.get_data_range("large", place, place + 100) as part:
                    part.read()

        yield work

    def peer() -> Generator[Work, None, None]:
        def work() -> None:
            with archive.open("large") as entry:
                for place in places:
                    entry.seek(place, io.SEEK_SET)
                    entry.read(100)

        yield work

    contenders: dict[str, Contender | None] = {"encore": encore, "zipfile": peer}
    return Trial(contenders, count, repeats=3)
