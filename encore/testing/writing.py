"""Laws of writing: what is replaced, what is kept, and what a condition protects."""

from __future__ import annotations

import pytest

from encore.errors import ConflictError, KeyNotFoundError
from encore.storage.abstract_store import AbstractStore
from encore.testing import verbs
from encore.testing.laws import Laws, state_of
from encore.testing.sources import Trickle, pattern

_SMALL_LARGE = pytest.mark.parametrize("old", [b"old", pattern(100000, 1)], ids=["small", "large"])


class WritingLaws(Laws):
    """What each verb replaces and keeps."""

    @_SMALL_LARGE
    @pytest.mark.parametrize("new", [b"new", b"", pattern(100000, 2)], ids=["small", "none", "big"])
    def test_set_replaces_data_and_metadata(
        self, store: AbstractStore, old: bytes, new: bytes
    ) -> None:
        for key in ("put", "set", "pair", "many"):
            store.put(key, old, {"old": 1, "both": 1})
        store.put("put", new, {"both": 2})
        store.set("set", new)
        store.set("pair", (new, {"both": 2}))
        store.multiset({"many": (new, {"both": 2})})
        changed = (new, {"both": 2})
        assert self.contents(store) == {
            "put": changed, "set": (new, {}), "pair": changed, "many": changed,
        }  # fmt: skip

    @_SMALL_LARGE
    @pytest.mark.parametrize("new", [b"new", pattern(100000, 2)], ids=["small", "large"])
    def test_set_data_keeps_the_metadata(
        self, store: AbstractStore, old: bytes, new: bytes
    ) -> None:
        store.put("a", old, {"kept": [1]})
        store.put("b", old, {"kept": [1]})
        store.set_data("a", new)
        store.multiset_data(["b", "c"], [new, new])
        kept = (new, {"kept": [1]})
        assert self.contents(store) == {"a": kept, "b": kept, "c": (new, {})}

    @_SMALL_LARGE
    def test_metadata_verbs_keep_the_data(self, store: AbstractStore, old: bytes) -> None:
        for key in "abcd":
            store.put(key, old, {"x": 1, "y": 1})
        store.set_metadata("a", {"y": 2})
        store.update_metadata("b", {"y": 2, "z": 3})
        store.multiset_metadata({"c": {"y": 2}})
        store.multiupdate_metadata(["d"], [{"y": 2, "z": 3}])
        assert self.contents(store) == {
            "a": (old, {"y": 2}),
            "b": (old, {"x": 1, "y": 2, "z": 3}),
            "c": (old, {"y": 2}),
            "d": (old, {"x": 1, "y": 2, "z": 3}),
        }

    def test_metadata_of_a_new_key_comes_with_empty_data(self, store: AbstractStore) -> None:
        store.set_metadata("a", {"x": 1})
        store.update_metadata("b", {"x": 1})
        store.multiset_metadata({"c": {"x": 1}})
        assert self.contents(store) == dict.fromkeys("abc", (b"", {"x": 1}))

    def test_created_is_kept_and_modified_and_token_change(self, store: AbstractStore) -> None:
        writes = {**verbs.WRITING}
        del writes["put if_absent"], writes["import_values"]
        store.put("a", b"first")
        first = before = store.get("a")
        assert first.created is not None
        assert first.modified is not None
        for name, write in writes.items():
            write(store, "a")
            after = store.get("a")
            assert after.created == first.created, name
            assert after.modified is not None
            assert before.modified is not None
            assert after.modified >= before.modified, name
            assert after.token != before.token, name
            before = after
        other = self.reopen(store)
        if other is not None:
            assert state_of(other, "a") == state_of(store, "a")
            other.close()

    def test_no_two_of_many_writes_have_the_same_token(self, store: AbstractStore) -> None:
        tokens = set()
        for number in range(100):
            store.put("a", b"same")
            tokens.add(store.get("a").token)
            store.set_metadata("a", {})
            tokens.add(store.get("a").token)
            if number % 10 == 0:
                store.delete("a")
        store.multiset([f"k{number}" for number in range(100)], [b""] * 100)
        tokens |= {value.token for value in store.multiget(f"k{number}" for number in range(100))}
        assert len(tokens) == 300

    def test_if_absent_refuses_what_is_there(self, store: AbstractStore) -> None:
        store.put("a", b"1", {"x": 1}, if_absent=True)
        before = state_of(store, "a")
        source = Trickle(b"2")
        with pytest.raises(ConflictError) as caught:
            store.put("a", source, if_absent=True)
        assert caught.value.key == "a"
        assert source.position == 0, "a hopeless write does not read its source"
        assert state_of(store, "a") == before
        store.delete("a")
        store.put("a", b"3", if_absent=True)
        assert self.contents(store) == {"a": (b"3", {})}

    @pytest.mark.parametrize("size", [1, 100000])
    def test_if_token_refuses_what_has_changed(self, store: AbstractStore, size: int) -> None:
        store.put("a", b"1")
        token = store.get("a").token
        store.put("a", pattern(size), if_token=token)
        before = state_of(store, "a")
        with pytest.raises(ConflictError):
            store.put("a", b"3", if_token=token)
        store.put("b", b"")
        with pytest.raises(ConflictError):
            store.put("gone", b"3", if_token=token)
        assert state_of(store, "a") == before
        store.update_metadata("a", {"touched": True})
        with pytest.raises(ConflictError):
            store.put("a", b"4", if_token=str(before and before[-1]))
        assert self.contents(store) == {
            "a": (pattern(size), {"touched": True}),
            "b": (b"", {}),
        }

    def test_deleting_what_is_missing_is_an_error_unless_allowed(
        self, store: AbstractStore
    ) -> None:
        store.delete("a", missing_ok=True)
        store.put("a", b"1")
        store.delete("a", missing_ok=True)
        with pytest.raises(KeyNotFoundError):
            store.delete("a")
        assert self.contents(store) == {}

    @_SMALL_LARGE
    def test_copy_and_move_take_data_and_metadata_along(
        self, store: AbstractStore, old: bytes
    ) -> None:
        whole = (old, {"m": [1]})
        store.put("a", old, {"m": [1]})
        store.put("c", pattern(90000, 7), {"replaced": 1})
        store.copy("a", "b")
        store.copy("a", "c")
        assert self.contents(store) == dict.fromkeys("abc", whole)
        store.move("a", "d")
        store.move("b", "c")
        assert self.contents(store) == dict.fromkeys("cd", whole)
        store.set_data("d", b"changed")
        assert store.read("c") == old, "a copy does not follow its original"
        assert store.get("c").token != store.get("d").token

    @_SMALL_LARGE
    def test_copy_and_move_onto_itself_do_nothing(self, store: AbstractStore, old: bytes) -> None:
        store.put("a", old, {"m": 1})
        before = state_of(store, "a")
        store.copy("a", "a")
        store.move("a", "a")
        assert state_of(store, "a") == before
        for verb in (store.copy, store.move):
            with pytest.raises(KeyNotFoundError):
                verb("gone", "gone")
        assert self.contents(store) == {"a": (old, {"m": 1})}

    def test_clear_takes_the_prefix_and_nothing_else(self, store: AbstractStore) -> None:
        keys = ["a", "a/", "a/b", "a/é", "a0", "b", "A/x", "a\U0010ffff", "a\U0010ffffz"]
        for number, key in enumerate(keys):
            store.put(key, pattern(number * 30000))
        store.clear("a/")
        assert [*store.keys()] == sorted({*keys} - {"a/", "a/b", "a/é"})
        store.clear("none")
        store.clear("a\U0010ffff")
        assert [*store.keys()] == sorted(["a", "a0", "b", "A/x"])
        store.clear()
        assert self.contents(store) == {}
