"""Laws of `SpillFile`."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from encore.streams.spill import Slot, SpillFile

STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "extend", "free"]), st.integers(0, 9), st.integers(1, 2)),
    max_size=40,
)


@settings(deadline=None, max_examples=300)
@given(STEPS)
def test_what_is_parked_comes_back_whatever_else_comes_and_goes(
    steps: list[tuple[str, int, int]],
) -> None:
    spill = SpillFile()
    parked: list[tuple[Slot, bytes]] = []
    for number, (verb, which, length) in enumerate(steps):
        chunk = bytes([number]) * length
        if verb == "put":
            parked.append((spill.put(chunk), chunk))
        elif parked:
            slot, before = parked.pop(which % len(parked))
            if verb == "free":
                spill.free(slot)
            elif longer := spill.extend(slot, chunk):
                parked.append((longer, before + chunk))
            else:
                parked.append((slot, before))
        for slot, expected in parked:
            assert spill.get(slot) == expected
    spill.close()


def test_space_that_was_freed_is_given_to_one_only() -> None:
    spill = SpillFile()
    freed, _ = spill.put(b"ab"), spill.put(b"cd")
    spill.free(freed)
    first, second = spill.put(b"ef"), spill.put(b"gh")
    assert first == freed
    assert (spill.get(first), spill.get(second)) == (b"ef", b"gh")
    spill.close()


def test_the_last_slot_can_be_extended_and_no_other() -> None:
    spill = SpillFile()
    first, second = spill.put(b"ab"), spill.put(b"cd")
    assert spill.extend(first, b"x") is None
    longer = spill.extend(second, b"ef")
    assert longer is not None
    assert (spill.get(first), spill.get(longer)) == (b"ab", b"cdef")
    spill.close()
