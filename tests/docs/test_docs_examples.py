"""Everything that the documentation shows is run, and so are the examples in docstrings."""

from __future__ import annotations

import doctest
import pkgutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from docs_pages import PAGES, ROOT, Block, Runner, blocks_of, load, name_of

import encore
from encore.events.api import EventManager, set_event_manager

RUNNING = [page for page in PAGES if any(block.runs for block in blocks_of(page))]
MODULES = sorted(
    module.name for module in pkgutil.walk_packages(encore.__path__, f"{encore.__name__}.")
)


@pytest.fixture(autouse=True)
def _fresh_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty directory that modules are found in, and an event manager without listeners."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    set_event_manager(EventManager())
    yield
    set_event_manager(None)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", RUNNING, ids=name_of)
def test_page_runs(page: Path) -> None:
    blocks = [block for block in blocks_of(page) if block.runs]
    if page.parent == ROOT:  # README shows commands for photographs that nobody has here
        blocks = [block for block in blocks if block.kind == "python"]
    with closing(Runner(page)) as runner:
        for block in blocks:
            runner.run(block)


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run(name: str) -> None:
    module = load(name)
    complaints: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module):
        runner.run(test, out=complaints.append)
    assert not complaints, "".join(complaints)


def test_a_wrong_example_fails(tmp_path: Path) -> None:
    """The runner itself: each kind of block notices what is not so."""
    page = ROOT / "README.md"
    for kind, right, wrong in (
        ("python", "print(1)  # prints 1\n", "print(1)  # prints 2\n"),
        ("pycon", ">>> 1 + 1\n2\n", ">>> 1 + 1\n3\n"),
        ("console", "$ echo yes\nyes\n", "$ echo yes\nno\n"),
    ):
        Runner(page).run(Block(kind, right, 1, True))
        with pytest.raises(AssertionError):
            Runner(page).run(Block(kind, wrong, 1, True))
