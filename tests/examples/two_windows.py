"""People in front of windows of their own, each in a process of its own, on one served project.

Run as a program this module is such a process: it opens a lab notebook, and does and says what is
asked for, one line of JSON at a time. `Seat` is the other end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from time import monotonic
from typing import Any

_SECONDS = 30


@contextmanager
def served_file(path: Any, port: str = "0") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``encore serve`` on a file, in a process of its own; the process, and its address."""
    command = [sys.executable, "-m", "encore", "serve", f"sqlite:{path}", "--port", port]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().rpartition(" ")[2].strip()
        finally:
            process.kill()


class Seat:
    """A window in another process, and what can be done and seen there.

    Parameters
    ----------
    address : str
        Of the project.
    display : str
    """

    def __init__(self, address: str, display: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, address],
            env={**os.environ, "DISPLAY": display},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.answer() == "ready"

    def ask(self, act: str, *words: Any) -> None:
        """Have something done, without waiting for it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([act, *words]) + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        """Wait until it is done."""
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def do(self, act: str, *words: Any) -> Any:
        """Have something done, and wait for it."""
        self.ask(act, *words)
        return self.answer()

    def look(self) -> dict[str, Any]:
        """What is to be seen."""
        found: dict[str, Any] = self.do("look")
        return found

    def sees(self, condition: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """Look until something is so, and touch nothing."""
        end = monotonic() + _SECONDS
        while not condition(seen := self.look()):
            assert monotonic() < end, seen
        return seen

    def leave(self) -> int:
        """Close the window; return how the process has ended."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            return self._process.wait(_SECONDS)
        finally:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()


class _Person:
    """Does with a `Desk` what lines of JSON say."""

    def __init__(self, address: str) -> None:
        from conftest import Desk

        self.desk: Any = Desk(address)  # type: ignore[arg-type]
        self._lines: SimpleQueue[str] = SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            self._lines.put(line)
        self._lines.put("")

    def work(self) -> None:
        """Do what is asked for until nobody asks any more."""
        desk = self.desk
        self._say("ready")
        while True:
            while self._lines.empty():
                desk.root.tk.dooneevent(0)
            line = self._lines.get()
            if not line:
                desk.leave()
                return
            act, *words = json.loads(line)
            self._say(getattr(self, f"_{act}")(*words))

    def _say(self, found: Any) -> None:
        print(json.dumps(found), flush=True)

    def _press(self, *keys: str) -> None:
        self.desk.root.focus_force()  # somebody else's window may have it
        self.desk.until(self.desk.root.focus_get)
        self.desk.press(*keys)

    def _select(self, name: str) -> None:
        self.desk.click(self.desk.window.table.tree, name)

    def _type(self, text: str, field: str) -> None:
        editor = self.desk.window.editor
        into = editor.notes if field == "notes" else editor.entries[field]
        self.desk.type(text, into)

    def _choose(self, label: str) -> None:
        menu = self.desk.window.edit_menu
        menu.invoke(menu.index(label))
        self.desk.settle()

    def _place(self, geometry: str) -> None:
        self.desk.root.geometry(geometry)
        self.desk.settle()

    def _import(self, directory: str) -> None:
        window = self.desk.window
        window.import_directory(directory)
        self.desk.until(lambda: window._import is None)
        self.desk.settle()

    def _look(self) -> dict[str, Any]:
        desk, table = self.desk, self.desk.window.table
        return {
            "rows": {name: table.tree.set(name) for name in desk.rows},
            "selected": table.selected,
            "notes": desk.notes,
            "operator": desk.window.editor.entries["operator"].get(),
            "status": desk.status,
            "title": desk.title,
            "undo": desk.undo_entry,
            "steps": desk.steps,
        }


if __name__ == "__main__":
    _Person(sys.argv[1]).work()
