"""Every public name and every command has its place in the reference, and every link its target."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest
from docs_pages import DOCS, PAGES, ROOT, load, name_of

from encore.cli.main import COMMANDS

REFERENCE = {page: page.read_text(encoding="utf-8") for page in (DOCS / "reference").glob("*.md")}

#: Modules whose public names are promised to be importable from there.
FACES = (
    "encore",
    "encore.adapters.qt",
    "encore.aio",
    "encore.config",
    "encore.errors",
    "encore.events.api",
    "encore.history.actions",
    "encore.keys",
    "encore.service",
    "encore.storage.api",
    "encore.storage.events",
    "encore.storage.utils",
    "encore.streams",
    "encore.terminal",
    "encore.testing.readonly",
    "encore.testing.suite",
)

_DIRECTIVE = re.compile(
    r"^\.\. (?:py:)?(?:auto)?(?:class|function|exception|data):: (\S+?)(?:\(.*)?$", re.M
)
_CURRENT = re.compile(r"^\.\. (?:py:)?currentmodule:: (\S+)$", re.M)
_IS_ELSEWHERE = re.compile(r"^\| `(encore\.\S+)` \| `(encore\.\S+)` \|$", re.M)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?!https?://)([^)#\s]*)(?:#([^)\s]+))?\)")
_HEADING = re.compile(r"^#+ (.+)$", re.M)
_LABEL = re.compile(r"^\(([\w-]+)\)=$", re.M)
_CODE = re.compile(r"^(`{3,}).*?^\1$", re.M | re.S)


def public_names(module_name: str) -> list[str]:
    """What a module offers: ``__all__``, or without one what it defines itself."""
    module = load(module_name)
    names = getattr(module, "__all__", None)
    if names is None:
        names = [
            name
            for name, value in vars(module).items()
            if not name.startswith("_")
            and inspect.isclass(value)
            and value.__module__ == module_name
        ]
    return [f"{module_name}.{name}" for name in names]


def documented_names() -> set[str]:
    """What the directives of the reference describe, by full name."""
    found: set[str] = set()
    for text in REFERENCE.values():
        for match in _DIRECTIVE.finditer(text):
            name = match[1]
            if not name.startswith("encore."):
                modules = _CURRENT.findall(text, 0, match.start())
                name = f"{modules[-1]}.{name}"
            found.add(name)
    return found


@pytest.mark.parametrize("face", FACES)
def test_every_public_name_is_in_the_reference(face: str) -> None:
    found = documented_names()
    for text in REFERENCE.values():
        found |= {name for name, real in _IS_ELSEWHERE.findall(text) if real in found}
    assert [name for name in public_names(face) if name not in found] == []


@pytest.mark.parametrize("module", sorted({n.rpartition(".")[0] for n in documented_names()}))
def test_everything_in_the_reference_exists(module: str) -> None:
    loaded = load(module)
    for name in documented_names():
        where, _, attribute = name.rpartition(".")
        assert where != module or hasattr(loaded, attribute), name


def test_names_that_are_elsewhere_are_the_same_objects() -> None:
    def find(path: str) -> object:
        module, _, name = path.rpartition(".")
        return getattr(importlib.import_module(module), name)

    for text in REFERENCE.values():
        for name, real in _IS_ELSEWHERE.findall(text):
            assert find(name) is find(real)


def test_every_command_is_in_the_reference() -> None:
    page = REFERENCE[DOCS / "reference" / "cli.md"]
    assert set(re.findall(r"^```\{command-help\} (\w+)$", page, re.M)) == set(COMMANDS)


def test_every_verb_has_a_docstring() -> None:
    from encore.storage.api import AbstractStore

    undocumented = {"__contains__"}  # said with `exists`
    for name in AbstractStore.__abstractmethods__ - undocumented:
        assert inspect.getdoc(vars(AbstractStore)[name]), name


def _anchors(page: Path) -> set[str]:
    text = _CODE.sub("", page.read_text(encoding="utf-8"))
    slugs = {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in _HEADING.findall(text)
    }
    return slugs | set(_LABEL.findall(text))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_between_pages_has_its_target(page: Path) -> None:
    for path, anchor in _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8"))):
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), f"{path} from {name_of(page)}"
        assert target.is_relative_to(ROOT)
        if anchor:
            assert anchor in _anchors(target), f"{path}#{anchor} from {name_of(page)}"


def test_every_page_is_reached_from_the_index() -> None:
    listed = {DOCS / "index.md"}
    for page in PAGES[1:]:
        for tree in re.findall(r"^```\{toctree\}\n(.*?)^```", page.read_text(), re.M | re.S):
            for line in tree.splitlines():
                if line and not line.startswith(":"):
                    listed.add(page.parent / f"{line}.md")
    included = {page for page in PAGES if page.name.startswith("_")}
    assert set(PAGES[1:]) - included == listed
