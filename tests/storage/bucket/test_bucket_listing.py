"""Laws of listings: in the order of keys on every server, asked for no more than is needed."""

# ruff: noqa: E501  the width of these strings is not what it seems

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bucket_tools import fresh_prefix, names, open_bucket
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from obstore.store import LocalStore, MemoryStore
from servers import BUCKET, BucketServer

from encore.storage.backends.bucket import BucketStore, listing
from encore.testing.keys import NASTY_KEYS

#: From the Big List of Naughty Strings (Max Woolf, MIT), as far as they are legal keys.
NAUGHTY = (
    "undefined", "None", "1E+02", "0x0", "Infinity", "--help", ",./;'[]\\-=", "<>?:\"{}|_+",
    "!@#$%^&*()`~", "\x01\x02\x03\x1f\x7f", "\x80\x81\x9f", "\ufeff", "\ufffe", "Ω≈ç√∫˜µ≤≥÷",
    "¡™£¢∞§¶•ªº–≠", "⁰⁴⁵₀₁₂", "ด้้้้้็็็็็้้้้้็็็็็", "'\"'", "<foo val=`bar' />", "田中さんにあげて下さい",
    "𠜎𠜱𠝹𠱓𠱸", "Ⱥ", "ヽ༼ຈل͜ຈ༽ﾉ", "👩🏽", "👨‍👩‍👧‍👦", "🇺🇸🇷🇺🇸", "１２３", "١٢٣", "مُنَاقَشَةُ سُبُلِ", "﷽", "\u202btest\u202b", "Ṱ̺̺̕o͞ ̷i̲̬͇̪͙n",
    "˙ɐnbᴉlɐ ɐuƃɐɯ", "𝕿𝖍𝖊", "<script>alert(0)</script>", "&lt;script&gt;", "<a href=\"\\x0Bjavascript:1\">",
    "1;DROP TABLE users", "1' OR 1=1", "%", "--version; cp /etc/passwd", "$(touch /tmp/blns.fail)",
    "@{[system \"ls\"]}", "eval(\"puts 1\")", "../../../etc/passwd%00", "() { 0; }; touch x",
    "CON", "LPT1", "DCC SEND STARTKEYLOGGER 0 0 0", "Scunthorpe", "\x1b[0;31mred", "Powerلُلُصّبُلُلصّبُررً", "`\"'>", "http://a/%%30%30",
)  # fmt: skip

#: Where folders and names that go on after a blank, a hyphen or a dot are mixed up first.
MIXED = ["b", "b/x", "b/y/z", "b-x", "b.x", "b x/y", "b/", "b//x", "b0", "b!/a", "a\\b", "a/b"]


def fill(store: BucketStore, keys: list[str]) -> list[str]:
    store.multiset(dict.fromkeys(keys, b""))
    return sorted(keys)


def check_cuts(store: BucketStore, ordered: list[str]) -> None:
    """Every cut of the keys is what it says."""
    assert [*store.keys()] == ordered
    for prefix in {key[:size] for key in ordered for size in (1, 2, 3, 210)}:
        wanted = [key for key in ordered if key.startswith(prefix)]
        assert [*store.keys(prefix)] == wanted, prefix
    for after in ordered:
        wanted = [key for key in ordered if key > after]
        assert [*store.keys(start_after=after)] == wanted, after
        assert [*store.keys("b", after)] == [key for key in wanted if key.startswith("b")]


@pytest.mark.parametrize("most_sorted", [listing.MOST_SORTED, 3])
@pytest.mark.parametrize("kind", ["server", "memory", "files"])
def test_keys_come_in_order_whatever_the_order_of_the_server(
    kind: str,
    most_sorted: int,
    bucket_server: BucketServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listing, "MOST_SORTED", most_sorted)
    long = ["b" * 900 + end for end in ("", "x", "/", "-")]
    keys = [*MIXED, *long, "b" * 900 + "x" * 50]
    client: Any = bucket_server.client
    if kind == "memory":
        client = MemoryStore()
    elif kind == "files":  # where b cannot be a file and a folder
        client = LocalStore(tmp_path)
        keys = [key for key in keys if key != "b"]
    with open_bucket(bucket_server, fresh_prefix(), client=client) as store:
        check_cuts(store, fill(store, keys))
        assert len(store) == len(keys)


def test_a_server_that_lists_folder_by_folder_is_found_out(bucket_server: BucketServer) -> None:
    with open_bucket(bucket_server, fresh_prefix()) as store:
        assert store._ready().abilities.is_ordered is False
    with open_bucket(bucket_server, "", client=MemoryStore()) as store:
        assert store._ready().abilities.is_ordered is True


segments = st.sampled_from(
    ["a", "b", "a-", "a.", "a b", "é", "", ".", "\n", "\U0010ffff", "c" * 260]
)
paths = st.lists(segments, min_size=1, max_size=4).map("/".join).filter(bool)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    keys=st.lists(paths, min_size=1, max_size=12, unique=True),
    prefix=st.sampled_from(["", "a", "a/", "a-", "/", "a//", ".", "../", "a/./", "c" * 250]),
    after=st.none() | paths,
    is_ordered=st.booleans(),
    most_sorted=st.sampled_from([1, 2, 5000]),
)
@example(keys=["/b", "\n/a", "c" * 260], prefix="", after="/", is_ordered=True, most_sorted=1)
def test_a_listing_is_what_sorting_would_give(
    keys: list[str],
    prefix: str,
    after: str | None,
    is_ordered: bool,
    most_sorted: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listing, "MOST_SORTED", most_sorted)
    with BucketStore("memory", client=MemoryStore()) as store:
        fill(store, keys)
        store._ready().listing.is_ordered = is_ordered
        wanted = [
            key for key in sorted(keys) if key.startswith(prefix) and (after is None or key > after)
        ]
        assert [*store.keys(prefix, after)] == wanted


def test_naughty_keys_arrive_and_leave(bucket_server: BucketServer) -> None:
    prefix = fresh_prefix()
    keys = [*dict.fromkeys([*NAUGHTY, *NASTY_KEYS])]
    with open_bucket(bucket_server, prefix) as store:
        for number, key in enumerate(keys):
            store.put(key, str(number).encode(), {"key": key})
        assert [*store.keys()] == sorted(keys)
        for number, key in enumerate(keys):
            assert store.read(key) == str(number).encode()
            assert store.get_metadata(key) == {"key": key}
        store.clear()
    assert names(bucket_server, prefix) == []


def test_ordinary_keys_are_the_names_of_their_objects(bucket_server: BucketServer) -> None:
    prefix = fresh_prefix()
    ordinary = ["a", "a/b.txt", "100%.txt", "my file", "é", "日本/語", "..x", "a+b=c&d?e#f"]
    with open_bucket(bucket_server, prefix) as store:
        fill(store, ordinary)
        assert names(bucket_server, prefix) == sorted(ordinary)
        store.put("a//b", b"")
        assert ".encore/keys/a-2f-2fb" in names(bucket_server, prefix)


def test_objects_of_other_programs_are_keys(bucket_server: BucketServer) -> None:
    prefix = fresh_prefix()
    bucket_server.client.put(f"{prefix}/photos/1.jpg", b"data", attributes={"Camera": "x"})
    bucket_server.client.put(f"{prefix}/.encore/private", b"")
    with open_bucket(bucket_server, prefix) as store:
        assert [*store.keys()] == ["photos/1.jpg"]
        value = store.get("photos/1.jpg")
        assert value.read() == b"data"
        assert value.metadata == {}
        assert value.modified == value.created
        assert value.modified is not None
        assert value.token
        bucket_server.client.put(f"{prefix}/photos/1.jpg", b"other")
        assert store.read("photos/1.jpg") == b"other"
        assert store.get("photos/1.jpg").token != value.token
        store.update_metadata("photos/1.jpg", {"stars": 5})
        assert store.read("photos/1.jpg") == b"other"
        assert store.get_metadata("photos/1.jpg") == {"stars": 5}
        assert bytes(bucket_server.client.get(f"{prefix}/photos/1.jpg").bytes()) == b"other"


def test_two_prefixes_are_two_stores(bucket_server: BucketServer) -> None:
    prefix = fresh_prefix()
    with (
        open_bucket(bucket_server, f"{prefix}/a") as one,
        open_bucket(bucket_server, f"{prefix}/ab/") as other,
        open_bucket(bucket_server, prefix) as both,
    ):
        one.put("x", b"1")
        other.put("x", b"2")
        assert [*one.keys()] == [*other.keys()] == ["x"]
        assert [*both.keys()] == ["a/x", "ab/x"]


def test_a_prefix_that_cannot_be_is_refused() -> None:
    for prefix in ("a//b", "../a", ".encore", "a\nb", "x" * 300):
        with pytest.raises(ValueError, match="prefix"):
            BucketStore(BUCKET, prefix=prefix, client=MemoryStore())
