"""Kill a process at every step of a change that a history records, and look at what is left.

Run by ``test_files_history``, as the runner of ``tests/storage/filesystem``, from which the killing
comes. The last line that it prints is the number of steps that were tried.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "storage" / "filesystem"))

from crash_runner import State, die_at, opened, state_of
from history_files import copy_with_inodes, kept_names

from encore.history import History

BIG = bytes(range(256)) * 1024
Picture = tuple[State, list[tuple[str, tuple[str, ...], bool]], bool]


def put_over(store: Any, history: History) -> None:
    store.put("a", b"new a", {"new": "a"})


def put_new(store: Any, history: History) -> None:
    store.put("c", b"new c")


def put_metadata(store: Any, history: History) -> None:
    store.set_metadata("a", {"new": "a"})


def delete(store: Any, history: History) -> None:
    store.delete("d/e")


def several(store: Any, history: History) -> None:
    with store.transaction("Several"):
        store.put("a", b"new a", {"new": "a"})
        store.put("c/d", BIG, {"new": "c"})
        store.set_metadata("b", {"new": "b"})
        store.delete("d/e")


def undo(store: Any, history: History) -> None:
    history.undo()


def undo_all(store: Any, history: History) -> None:
    history.go_to(0)


def redo(store: Any, history: History) -> None:
    history.redo()


def put_over_the_redo_tail(store: Any, history: History) -> None:
    store.put("a", b"newest a")


def mark_saved(store: Any, history: History) -> None:
    history.mark_saved()


def clear(store: Any, history: History) -> None:
    history.clear()


def pack(store: Any, history: History) -> None:
    history.pack()


ACTS: dict[str, Callable[[Any, History], None]] = {
    act.__name__: act
    for act in (
        put_over,
        put_new,
        put_metadata,
        delete,
        several,
        undo,
        undo_all,
        redo,
        put_over_the_redo_tail,
        mark_saved,
        clear,
        pack,
    )
}


def make(path: str, act: str) -> None:
    """A directory with a history: foreign files, steps of all kinds, one undone if it is wanted."""
    os.mkdir(path)
    Path(path, "a").write_bytes(b"plain a")
    with opened(path) as store, History(store) as history:
        store.put("b", b"old b", {"old": "b"})
        with store.transaction("Begin"):
            store.put("a", b"old a", {"old": "a"})
            store.put("d/e", BIG)
        store.set_metadata("b", {"older": "b"})
        with store.transaction("Change"):
            store.put("a", b"middle a")
            store.put("b", b"middle b")
            store.delete("d/e")
        store.put("d/e", b"again e")
        if act in ("redo", "put_over_the_redo_tail"):
            history.undo(2)


def picture(store: Any, history: History) -> Picture:
    steps = [(step.label, step.keys, step.is_done) for step in history.steps]
    return state_of(store), steps, history.is_saved


def there_and_back(store: Any, history: History, here: Picture) -> None:
    """What is kept is whole: everything can be undone and redone, and nothing is kept besides."""
    index, count = history.index, len(history.steps)
    assert history.verify() == []
    (ledger,) = history._ledgers
    assert set(kept_names(Path(store.path))) == ledger._needed()  # type: ignore[attr-defined]
    history.go_to(0)
    if count:
        assert state_of(store)["a"] == (b"plain a", {})
    history.go_to(count)
    history.go_to(index)
    assert picture(store, history) == here
    assert history.verify() == []


def check(path: str, before: Picture, after: Picture, step: object) -> bool:
    """Open what is left, and return whether the change happened."""
    with opened(path) as store, History(store) as history:
        found = picture(store, history)
        assert found in (before, after), f"at step {step}: {found}"
        there_and_back(store, history, found)
    with opened(path) as store, History(store) as history:
        assert picture(store, history) == found
    return found == after


def run(name: str, durability: str, stride: int, mode: str) -> int:
    """Kill at every ``stride``-th step.

    With the mode ``"twice"`` whoever opens it next dies, too; with ``"beside"`` another one has it
    open all the time.
    """
    act = ACTS[name]
    base = tempfile.mkdtemp()
    path = os.path.join(base, "path")

    def in_child(where: str = path) -> None:
        store = opened(where, durability)
        act(store, History(store))

    try:
        make(path, name)
        with opened(path) as store, History(store) as history:
            before = picture(store, history)
            act(store, history)
            after = picture(store, history)
        happened = []
        step = 0
        ended = False
        while not ended:
            shutil.rmtree(path)
            make(path, name)
            if mode == "beside":
                with opened(path) as store, History(store) as history:
                    ended = die_at(step, in_child)
                    _look(store, history, before, after, step)
            else:
                ended = die_at(step, in_child)
            if not ended and mode == "twice":
                _die_once_more(path, os.path.join(base, "second"), before, after, step)
            happened.append(check(path, before, after, step))
            step += stride
        assert happened == sorted(happened), "once a change has happened it stays so"
        assert happened[-1]
        return len(happened)
    finally:
        shutil.rmtree(base)


def _look(store: Any, history: History, before: Picture, after: Picture, step: int) -> None:
    """Somebody who was there before and after the death, and took no part."""
    done = [sum(is_done for _, _, is_done in steps) for _, steps, _ in (before, after)]
    assert history.index in done, f"at step {step}"  # looked up without the lock
    store.delete("nothing", missing_ok=True)  # takes the lock, and puts right what is to be
    found = picture(store, history)
    assert found in (before, after), f"at step {step}: {found}"
    history.pack()
    there_and_back(store, history, found)


def _die_once_more(path: str, second: str, before: Picture, after: Picture, step: int) -> None:
    """Die while the history is opened that was left by the first death."""
    inner = 0
    ended = False
    while not ended:
        copy_with_inodes(path, second)
        ended = die_at(inner, lambda: History(opened(second)) and None)
        check(second, before, after, (step, inner))
        shutil.rmtree(second)
        inner += 7


if __name__ == "__main__":
    print(run(sys.argv[1], sys.argv[2], int(sys.argv[3]), "".join(sys.argv[4:])))
