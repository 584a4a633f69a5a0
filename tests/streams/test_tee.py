"""Laws of `tee`: what each reader gets, what is kept meanwhile, and where."""

from __future__ import annotations

import gc
import io
import os
import random
import tempfile
import threading
import warnings
from collections.abc import Callable
from typing import IO, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_sources import Broken, Generated, Trickle, peak_bytes
from test_buffer_iterator_io import check_step

from encore.streams import TeeReader, tee

MIB = 1 << 20
STEPS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(["read", "read1", "readinto", "readline", "peek", "close", "forget"]),
        st.integers(-1, 40),
    ),
    max_size=40,
)


@pytest.fixture
def spilled(monkeypatch: pytest.MonkeyPatch) -> list[IO[bytes]]:
    """The temporary files made so far."""
    files: list[IO[bytes]] = []
    make = tempfile.TemporaryFile

    def making(*args: Any, **kwargs: Any) -> IO[bytes]:
        files.append(make(*args, **kwargs))
        return files[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", making)
    return files


@settings(deadline=None, max_examples=300)
@given(
    st.text("ab\n", max_size=150).map(str.encode),
    st.lists(st.integers(1, 9), max_size=4),
    st.integers(1, 40),
    st.sampled_from([0, 300, 600, 10000]),
    STEPS,
)
def test_any_interleaving_of_readers_gives_each_the_whole_source(
    data: bytes,
    sizes: list[int],
    buffer_size: int,
    max_memory: int,
    steps: list[tuple[int, str, int]],
) -> None:
    source = Trickle(data, sizes)
    readers: list[TeeReader | None] = list(tee(source, 4, buffer_size, max_memory))
    for index, verb, size in steps:
        reader = readers[index]
        if reader is None:
            continue
        if verb == "close":
            reader.close()
        if verb in ("close", "forget"):
            readers[index] = reader = None
        else:
            check_step(reader, verb, size, data)
    for reader in readers:
        if reader is not None:
            start = reader.tell()
            assert reader.read() == data[start:]
            assert reader.read(1) == b""
            reader.close()
    assert not source.closed


def test_readers_are_real_streams() -> None:
    for reader in tee(io.BytesIO("é\nb".encode())):
        assert isinstance(reader, io.BufferedIOBase)
        assert not reader.seekable()
        assert list(io.TextIOWrapper(reader, "utf-8")) == ["é\n", "b"]


def test_the_source_is_read_once_and_no_further_than_needed() -> None:
    source = Generated(10)
    first, second = tee(source, buffer_size=100)
    assert source.reads == 0
    first.read(150)
    second.read(150)
    assert source.reads == 2


def test_the_end_is_the_end_for_every_reader_even_if_the_source_grows() -> None:
    source = Trickle(b"abc")
    first, second = tee(source)
    assert first.read() == b"abc"
    source.data += b"def"
    assert first.read() == b""
    assert second.read() == b"abc"


def test_two_readers_are_the_default() -> None:
    assert len(tee(io.BytesIO())) == 2


@pytest.mark.parametrize("arguments", [{"n": 0}, {"buffer_size": 0}, {"max_memory": -1}])
def test_sizes_out_of_range_are_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be at least"):
        tee(io.BytesIO(), **arguments)


def test_what_is_no_file_is_refused_at_once_and_text_when_read() -> None:
    with pytest.raises(TypeError, match="got bytes"):
        tee(b"abc")  # type: ignore[arg-type]
    for reader in tee(io.StringIO("abc")):  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="text where bytes belong"):
            reader.read(1)


def test_a_closed_reader_refuses_any_size() -> None:
    reader = tee(io.BytesIO(b"abc"), 1)[0]
    reader.close()
    for size in (1, 10 * MIB):
        with pytest.raises(ValueError, match="closed"):
            reader.read(size)


# Errors


@pytest.mark.parametrize("max_memory", [0, MIB])
def test_what_the_source_raises_reaches_every_reader_at_its_place(max_memory: int) -> None:
    readers = tee(Trickle(b"abcdefgh", broken=True), 3, 3, max_memory)
    for reader in readers:
        assert reader.read(8) == b"abcdefgh"
        for _ in range(2):
            with pytest.raises(Broken):
                reader.read(1)


def test_an_interrupt_ends_the_stream_for_all_rather_than_leave_a_gap() -> None:
    class Interrupted(Trickle):
        def read(self, size: int) -> bytes:
            if self.reads == 1:
                self.reads += 1
                self.position += size  # these bytes are lost
                raise KeyboardInterrupt
            return super().read(size)

    readers = tee(Interrupted(b"abcdefgh"), 2, 2)
    for reader in readers:
        assert reader.read(2) == b"ab"
        with pytest.raises(KeyboardInterrupt):
            reader.read(2)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_stops_only_the_reader_that_ran_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(**options: object) -> IO[bytes]:
        return open("/dev/full", "r+b", buffering=0)

    monkeypatch.setattr(tempfile, "TemporaryFile", make)
    fast, slow = tee(Generated(5), 2, 1000, max_memory=2500)
    assert len(fast.read(2000)) == 2000
    with pytest.raises(OSError, match="space"):
        fast.read(1)
    fast.close()
    assert slow.read() == b"".join(bytes([i]) * 1000 for i in range(1, 6))


# Memory and disk


def in_step(readers: tuple[TeeReader, ...], size: int) -> Callable[[], None]:
    def read() -> None:
        parts = [reader.read(size) for reader in readers]
        while parts[0]:
            assert parts.count(parts[0]) == len(parts)
            parts = [reader.read(size) for reader in readers]

    return read


@pytest.mark.parametrize("size", [1000, 65536, MIB])
def test_three_readers_in_step_take_four_chunks_of_memory(
    size: int, spilled: list[IO[bytes]]
) -> None:
    assert peak_bytes(lambda: in_step(tee(Generated(64), 3), size)()) < 4 * MIB
    assert spilled == []


def test_readers_in_step_take_four_chunks_of_memory_when_chunks_are_small() -> None:
    def read() -> None:
        in_step(tee(Generated(64), 3, 32768), 100)()

    assert peak_bytes(read) < 4 * 32768


def test_a_reader_that_is_alone_keeps_nothing(spilled: list[IO[bytes]]) -> None:
    alone, gone = tee(Generated(10), 2, 1000, max_memory=0)
    gone.close()
    assert len(alone.read()) == 10_000
    assert spilled == []


def test_readers_in_step_share_whole_chunks() -> None:
    first, second = tee(Generated(2))
    assert first.read(MIB) is second.read(MIB)


def exhaust(reader: TeeReader) -> None:
    while reader.read(MIB):
        pass


def test_one_reader_after_the_other_stays_within_max_memory(spilled: list[IO[bytes]]) -> None:
    def read() -> None:
        for reader in tee(Generated(64), 3, max_memory=8 * MIB):
            exhaust(reader)

    assert peak_bytes(read) < (8 + 3) * MIB
    assert len(spilled) == 1


def test_a_source_that_trickles_stays_within_max_memory() -> None:
    data = bytes(200_000)
    readers = tee(Trickle(data, [10]), 2, max_memory=100_000)

    def read() -> None:
        while readers[0].read1(100):
            pass

    # 20000 chunks of 10 bytes would take 3 MB, or as much again as entries of what is on disk.
    assert peak_bytes(read) < 300_000
    assert readers[1].read() == data


def test_nothing_is_spilled_below_max_memory(spilled: list[IO[bytes]]) -> None:
    fast, slow = tee(Generated(15))
    exhaust(fast)
    exhaust(slow)
    assert spilled == []


def test_the_spill_file_goes_when_all_readers_are_done(spilled: list[IO[bytes]]) -> None:
    readers = tee(Generated(10), 3, 1000, max_memory=0)
    for reader in readers:
        assert not any(file.closed for file in spilled)
        reader.read()
    assert [file.closed for file in spilled] == [True]


@pytest.mark.parametrize("leave", ["close", "forget"])
def test_the_spill_file_goes_with_the_readers(leave: str, spilled: list[IO[bytes]]) -> None:
    readers = list(tee(Generated(10), 3, 1000, max_memory=0))
    readers[0].read(5000)
    if leave == "close":
        for reader in readers:
            reader.close()
    else:
        readers.clear()
        gc.collect()
    assert [file.closed for file in spilled] == [True]


def test_the_collector_finds_no_open_file() -> None:
    # Nothing but the cycle may hold the file, and its warning would be an error.
    for _ in range(20):
        readers: list[Any] = list(tee(Generated(10), 2, 1000, max_memory=0))
        readers[0].read(5000)
        readers.append(readers)
        del readers
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            gc.collect()
        assert caught == []


def test_the_space_of_the_spill_file_is_used_again(spilled: list[IO[bytes]]) -> None:
    fast, slow = tee(Generated(500), 2, 1000, max_memory=0)
    fast.read(10_000)
    for i in range(400):
        fast.read(1000)
        assert slow.read(1000) == bytes([(i + 1) % 251]) * 1000
    assert len(spilled) == 1
    assert os.fstat(spilled[0].fileno()).st_size <= 12_000


@pytest.mark.parametrize("leave", ["close", "forget"])
def test_a_reader_that_leaves_releases_what_only_it_needed(leave: str) -> None:
    def read() -> None:
        readers: list[TeeReader | None] = list(tee(Generated(64), 2, max_memory=100 * MIB))
        if leave == "close":
            readers[1].close()  # type: ignore[union-attr]
        else:
            readers[1] = None
        exhaust(readers[0])  # type: ignore[arg-type]

    assert peak_bytes(read) < 4 * MIB


def test_a_reader_that_leaves_late_releases_what_was_kept() -> None:
    fast, slow = tee(Generated(64), 2, max_memory=100 * MIB)

    def read() -> None:
        nonlocal slow
        fast.read(1)
        for _ in range(5):
            fast.read(MIB)
        del slow
        exhaust(fast)

    assert peak_bytes(read) < 10 * MIB


# Threads


@pytest.mark.parametrize("max_memory", [0, 20_000, MIB])
def test_each_reader_in_its_own_thread_gets_the_whole_source(max_memory: int) -> None:
    data = random.Random(1).randbytes(300_000)
    results: dict[int, bytes] = {}

    def read(index: int, reader: TeeReader) -> None:
        sizes = random.Random(index)
        parts = []
        with reader:
            while part := reader.read(sizes.randint(1, 5000)):
                parts.append(part)
        results[index] = b"".join(parts)

    readers = tee(Trickle(data, [999, 1000]), 6, 1000, max_memory)
    threads = [threading.Thread(target=read, args=pair) for pair in enumerate(readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == dict.fromkeys(range(6), data)


def test_closing_does_not_wait_for_a_read_of_the_source(spilled: list[IO[bytes]]) -> None:
    reading, go_on = threading.Event(), threading.Event()

    class Slow(Trickle):
        def read(self, size: int) -> bytes:
            if self.reads == 5:
                reading.set()
                go_on.wait()
            return super().read(size)

    fast, slow = tee(Slow(bytes(10)), 2, 1, max_memory=0)
    fast.read(5)
    thread = threading.Thread(target=fast.read, args=(1,))
    thread.start()
    reading.wait()
    slow.close()  # would hang
    go_on.set()
    thread.join()
    assert spilled[0].closed  # the thread that had the lock has tidied up


def test_a_reader_may_be_collected_in_the_middle_of_a_read() -> None:
    readers: list[TeeReader] = []

    class Collecting(Trickle):
        def read(self, size: int) -> bytes:
            del readers[1:]
            gc.collect()
            return super().read(size)

    source = Collecting(b"abc")
    readers.extend(tee(source))
    assert readers[0].read() == b"abc"
