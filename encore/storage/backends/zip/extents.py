"""Where the entries of an archive begin and end in the file, and which of them stay.

Only ``folding`` imports this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from encore.errors import CorruptValueError
from encore.storage.backends.zip.archives import Archive
from encore.storage.backends.zip.headers import (
    DESCRIBED,
    DESCRIPTOR_MAGIC,
    LOCAL,
    LOCAL_MAGIC,
    Entry,
)
from encore.storage.backends.zip.marks import Mark, read_mark
from encore.storage.backends.zip.views import View


class Kept(NamedTuple):
    """An entry that stays: where it begins and ends in the file, and its record's place."""

    start: int
    end: int
    at: int


def what_stays(view: View) -> list[Kept]:
    """The entries that stay, in the order of the file."""
    archive, changes = view.archive, view.changes
    directory = archive.directory
    places = directory.places
    going = {places[key] for key in changes if key in places}
    if directory.apart:
        going |= _abandoned(archive, going)
    every = [*places.values(), *directory.others.values(), *directory.apart.values()]
    data, shift = directory.data, archive.end.shift
    found = []
    for at in every:
        offset = int.from_bytes(data[at + 42 : at + 46], "little")
        if offset == 0xFFFFFFFF:
            offset = archive.entry(at).offset - shift
        found.append((offset + shift, at))
    found.sort()
    kept = []
    limits = [start for start, _ in found[1:]] + [archive.end.offset]
    for (start, at), limit in zip(found, limits, strict=False):
        if at not in going:
            kept.append(Kept(start, _end_of(archive, start, at, limit), at))
    return kept


def _abandoned(archive: Archive, going: set[int]) -> set[int]:
    """Metadata of its own whose entry goes or has gone."""
    wanted = set()
    for at in archive.directory.places.values():
        if at not in going:
            mark = _mark_or_none(archive.entry(at))
            if mark is not None and mark.elsewhere is not None:
                wanted.add(mark.elsewhere)
    return {at for name, at in archive.directory.apart.items() if name not in wanted}


def _end_of(archive: Archive, start: int, at: int, limit: int) -> int:
    """Where an entry ends in the file, which is at ``limit`` or before."""
    data = archive.directory.data
    name_length = data[at + 28] | data[at + 29] << 8
    extra_length = data[at + 30] | data[at + 31] << 8
    packed_size = int.from_bytes(data[at + 20 : at + 24], "little")
    if start + LOCAL.size + name_length + extra_length + packed_size == limit:
        return limit  # what we write fits without a gap: no need to look at the header
    entry = archive.entry(at)
    handle = archive.handle
    header = handle.read_at(start, LOCAL.size)
    if len(header) < LOCAL.size or header[:4] != LOCAL_MAGIC:
        return limit  # damaged: it stays what it is
    lengths = (header[26] | header[27] << 8) + (header[28] | header[29] << 8)
    end = start + LOCAL.size + lengths + entry.packed_size
    if entry.flags & DESCRIBED and end < limit:
        end += _descriptor_length(handle.read_at(end, 24), entry)
    if end > limit:
        raise CorruptValueError(
            f"the archive cannot be rewritten: its entry {entry.name!r} runs into the next; "
            "ZipStore.recover saves what is still good"
        )
    return end


def _mark_or_none(entry: Entry) -> Mark | None:
    try:
        return read_mark(entry.extra)
    except (CorruptValueError, NotImplementedError):
        return None


def runs(kept: list[Kept]) -> Iterator[list[Kept]]:
    """Entries that follow each other without a gap."""
    run: list[Kept] = []
    for entry in kept:
        if run and run[-1].end != entry.start:
            yield run
            run = []
        run.append(entry)
    if run:
        yield run


def _descriptor_length(data: bytes, entry: Entry) -> int:
    """How long the sizes are that some programs write once more behind the data."""
    crc = entry.crc.to_bytes(4, "little")
    for magic in (DESCRIPTOR_MAGIC, b""):
        for width in (4, 8):
            try:
                sizes = entry.packed_size.to_bytes(width, "little")
                sizes += entry.size.to_bytes(width, "little")
            except OverflowError:
                continue
            descriptor = magic + crc + sizes
            if data.startswith(descriptor):
                return len(descriptor)
    return 0
