"""Laws of reading: every door shows the same bytes, and all of them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from encore.errors import KeyNotFoundError, OperationCancelled
from encore.storage.abstract_store import AbstractStore
from encore.storage.events import StoreProgressEvent
from encore.testing import verbs
from encore.testing.laws import Laws, told_size
from encore.testing.sources import MIB, SIZES, pattern

_MISSING = verbs.READING | verbs.TO_FILE | verbs.REMOVING
_RANGE_SIZES = (0, 1, 1024, 1025, 65536, 65537, 200000)


class ReadingLaws(Laws):
    """One key at a time."""

    @pytest.mark.parametrize("verb", _MISSING.values(), ids=_MISSING)
    def test_a_missing_key_is_a_key_error_that_names_it(
        self, store: AbstractStore, verb: verbs.Verb
    ) -> None:
        store.put("there", b"")
        with pytest.raises(KeyNotFoundError) as caught:
            verb(store, "gone")
        assert isinstance(caught.value, KeyError)
        assert caught.value.key == "gone"
        assert "gone" in str(caught.value)
        assert [*store.keys()] == ["there"]

    @pytest.mark.parametrize("size", SIZES)
    def test_data_reads_the_same_through_every_verb(
        self, store: AbstractStore, tmp_path: Path, size: int
    ) -> None:
        data = pattern(size)
        store.put("a", data, {"size": size})
        with store.get("a") as stream:
            assert stream.read() == data
        with store.get_data("a") as stream:
            assert stream.read() == data
        with store.get_data_range("a") as stream:
            assert stream.read() == data
        value = store.get("a")
        assert value.size == told_size(store, size)
        assert value.read() == b"".join(value.iterdata(4096)) == data
        value.close()
        assert store.read("a") == store.to_bytes("a") == store.mapping()["a"] == data
        store.to_file("a", tmp_path / "file")
        assert (tmp_path / "file").read_bytes() == data
        assert self.contents(store) == {"a": (data, {"size": size})}

    @pytest.mark.parametrize("size", _RANGE_SIZES)
    def test_ranges_are_slices(self, store: AbstractStore, size: int) -> None:
        data = pattern(size)
        store.put("a", data)
        value = store.get("a")
        marks = [None, 0, 1, 1023, 65535, 65536, 65537, size - 1, size, size + 1, 2 * size + 5]
        for start in marks:
            for end in marks:
                if (start or 0) < 0 or (end is not None and end < 0):
                    continue
                wanted = data[start:end] if end is None or (start or 0) <= end else b""
                with store.get_data_range("a", start, end) as stream:
                    assert stream.read() == wanted, (start, end)
                with value.range(start, end) as stream:
                    assert stream.read() == wanted, (start, end)
        value.close()

    @pytest.mark.parametrize("bounds", [(-1, None), (0, -1), (-2, -1)])
    @pytest.mark.parametrize("size", [10, 100000])
    def test_a_negative_offset_is_a_value_error(
        self, store: AbstractStore, bounds: tuple[int, int | None], size: int
    ) -> None:
        store.put("a", pattern(size))
        with pytest.raises(ValueError):
            store.get_data_range("a", *bounds)
        value = store.get("a")
        with pytest.raises(ValueError):
            value.range(*bounds)
        value.close()

    @pytest.mark.parametrize("size", [0, 100, 200000])
    def test_a_stream_can_be_sought_in_and_read_in_pieces(
        self, store: AbstractStore, size: int
    ) -> None:
        data = pattern(size)
        store.put("a", data)
        with store.get_data("a") as stream:
            assert stream.readable()
            assert stream.seekable()
            assert stream.seek(0, io.SEEK_END) == size
            assert stream.read() == b""
            for place in (0, size // 2, size // 3, size):
                assert stream.seek(place) == place
                assert stream.read(10) == data[place : place + 10]
            stream.seek(0)
            pieces = iter(lambda: stream.read(1999), b"")
            assert b"".join(pieces) == data

    @pytest.mark.parametrize("size", [100, 200000])
    def test_two_streams_of_a_key_do_not_move_each_other(
        self, store: AbstractStore, size: int
    ) -> None:
        data = pattern(size)
        store.put("a", data)
        with store.get_data("a") as one, store.get_data("a") as two:
            assert one.read(60) == two.read(60) == data[:60]
            assert one.read() == two.read() == data[60:]

    @pytest.mark.parametrize("buffer_size", [1, 1000, 65536, MIB])
    def test_chunks_are_no_larger_than_asked_for(
        self, store: AbstractStore, buffer_size: int
    ) -> None:
        data = pattern(3000 if buffer_size == 1 else 300001)
        store.put("a", data)
        value = store.get("a")
        chunks = [*value.iterdata(buffer_size)]
        value.close()
        assert b"".join(chunks) == data
        assert all(0 < len(chunk) <= buffer_size for chunk in chunks)

    def test_iterdata_reports_the_bytes_so_far(self, store: AbstractStore) -> None:
        store.put("a", pattern(300001))
        steps: list[int] = []

        def progress(step: int) -> None:
            steps.append(step)

        value = store.get("a")
        assert sum(map(len, value.iterdata(65536, progress))) == steps[-1] == 300001
        value.close()
        assert steps == sorted(steps)
        assert len(steps) > 1

    def test_metadata_can_be_read_by_field(self, store: AbstractStore) -> None:
        store.put("a", b"", {"x": 1, "y": [2], "z": None})
        assert store.get_metadata("a", ["x", "z", "none"]) == {"x": 1, "z": None}
        assert store.get_metadata("a", iter(["y"])) == {"y": [2]}
        assert store.get_metadata("a", []) == {}

    def test_asking_for_a_key_agrees_with_reading_it(self, store: AbstractStore) -> None:
        store.put("a", b"")
        for verb in verbs.ASKING.values():
            assert verb(store, "a") is True
            assert verb(store, "b") is False

    def test_an_empty_store_is_true_and_has_length_zero(self, store: AbstractStore) -> None:
        assert len(store) == 0
        assert store
        assert [*store.keys()] == []
        assert [*store.query()] == []
        assert [*store.list()] == []

    def test_the_mapping_is_a_view_in_both_directions(self, store: AbstractStore) -> None:
        view = store.mapping()
        store.put("a", b"1", {"kept": True})
        assert dict(view) == {"a": b"1"}
        view["a"] = b"2"
        view.update({"b": b"3"})
        assert store.get_metadata("a") == {"kept": True}
        assert view.pop("b") == b"3"
        assert view.setdefault("c", b"4") == b"4"
        assert len(view) == 2
        del view["c"]
        assert view.get("c") is None
        assert self.contents(store) == {"a": (b"2", {"kept": True})}

    @pytest.mark.parametrize("size", [10, 100000])
    def test_to_file_replaces_a_file_only_when_all_of_it_is_there(
        self, store: AbstractStore, tmp_path: Path, size: int
    ) -> None:
        target = tmp_path / "file"
        target.write_bytes(b"old")
        store.put("a", pattern(size))

        def cancel(event: Any) -> None:
            event.cancel()

        manager = store.event_manager
        with (
            manager.listening(StoreProgressEvent, cancel, filter={"source": store}),
            pytest.raises(OperationCancelled),
        ):
            store.to_file("a", target, buffer_size=max(1, size // 5))
        with pytest.raises(KeyNotFoundError):
            store.to_file("gone", target)
        assert target.read_bytes() == b"old"
        assert [*tmp_path.glob("*file*")] == [target]
        store.to_file("a", str(target))
        assert target.read_bytes() == pattern(size)

    def test_several_are_read_in_the_order_asked_for(self, store: AbstractStore) -> None:
        datas = {f"k{number}": pattern(number * 20000, number) for number in range(8)}
        for number, (key, data) in enumerate(datas.items()):
            store.put(key, data, {"number": number})
        wanted = ["k3", "k0", "k7", "k3"]
        values = [*store.multiget(iter(wanted))]
        assert [value.read() for value in values] == [datas[key] for key in wanted]
        streams = [*store.multiget_data(wanted)]
        assert [stream.read() for stream in streams] == [datas[key] for key in wanted]
        for value in values:
            value.close()
        for stream in streams:
            stream.close()
        assert [*store.multiget_metadata(wanted, ["number"])] == [
            {"number": int(key[1:])} for key in wanted
        ]
        assert [*store.multiget([])] == []

    def test_a_missing_one_among_several_is_reported_when_its_turn_comes(
        self, store: AbstractStore
    ) -> None:
        store.put("a", b"1", {"x": 1})
        found = store.multiget_metadata(["a", "gone", "a"])
        assert next(found) == {"x": 1}
        with pytest.raises(KeyNotFoundError):
            next(found)
