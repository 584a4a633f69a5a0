"""The rules of the house, enforced from the imports and the sources themselves."""

from __future__ import annotations

import ast
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "encore"
MODULES = sorted(PACKAGE.rglob("*.py"))

# Floors from the ground up. A room may import rooms on lower floors only, never its neighbours.
FLOORS = (
    {"errors"},
    {"events", "streams", "keys"},
    {"storage"},
    {"aio"},
    {"config", "terminal", "testing", "history"},
    {"adapters", "service"},
    {"cli", "examples"},
    {"__main__"},
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

# What comes with an extra of the installation, and the one module that imports it.
EXTRAS = {
    "adapters/qt.py": {"PySide6"},
    "config/yaml_documents.py": {"yaml"},
    "service/ed25519.py": {"jwt"},
    "service/server/application.py": {"starlette"},
    "service/server/running.py": {"uvicorn"},
    "storage/backends/bucket/client.py": {"obstore"},
    "streams/engines.py": {"isal", "backports", "compression"},
}

# Inside storage: the contract and what it is made of, transactions, template, backends, copying.
# The contract and the template are long because they say everything once.
LONG_MODULES = {
    "storage/abstract_store.py": 525,
    "storage/template.py": 640,
    "storage/transactions/contexts.py": 440,
}
BIG_CLASSES = {"AbstractStore", "Store", "CompositeVerbs", "SimpleTransactionContext"}
MODULE_LINES = 300
MEDIAN_LINES = 150
FUNCTION_LINES = 40
CLASS_METHODS = 15


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports_of(path: Path) -> list[tuple[str, bool]]:
    """Every module of encore that a file imports, and whether it does so when it is loaded."""
    found = []
    tree = ast.parse(path.read_text())
    at_load = set()

    def visit(node: ast.AST, loading: bool) -> None:
        for child in ast.iter_child_nodes(node):
            inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
            if loading and isinstance(child, (ast.Import, ast.ImportFrom)):
                at_load.add(child)
            visit(child, loading and not inside and not typing_only)

    visit(tree, True)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)} imports relatively"
            names = [_module(node.module or "", alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found += [(name, node in at_load) for name in names if name.split(".")[0] == "encore"]
    return found


def _module(package: str, name: str) -> str:
    """``from package import name``: the module that is meant, be it ``package`` or inside it."""
    inside = ROOT.joinpath(*package.split("."), name)
    is_module = inside.with_suffix(".py").exists() or (inside / "__init__.py").exists()
    return f"{package}.{name}" if is_module else package


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_down_and_never_to_a_neighbour(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if room == "__init__":
        pytest.skip("the door of the house opens rooms on first use")
    for module, _ in imports_of(path):
        other = room_of(module)
        if other in (room, "__init__", "__version__"):
            continue
        assert FLOOR_OF[other] < FLOOR_OF[room], f"{name_of(path)} imports {module}"


def test_every_room_has_a_floor() -> None:
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES}
    assert rooms - {"__init__"} == set(FLOOR_OF)


def test_no_module_imports_itself_in_a_circle() -> None:
    by_name = {}
    for path in MODULES:
        name = "encore." + name_of(path).removesuffix(".py").replace("/", ".")
        by_name[name.removesuffix(".__init__")] = path
    graph = {
        name: {other for other, loading in imports_of(path) if loading and other in by_name}
        for name, path in by_name.items()
    }
    done: set[str] = set()

    def walk(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in done:
            for other in graph[name]:
                walk(other, (*trail, name))
            done.add(name)

    for name in graph:
        walk(name, ())


def test_the_plain_install_imports_nothing_but_its_dependencies() -> None:
    allowed = {"blinker", "requests", "tqdm", "encore", *sys.stdlib_module_names}
    shipped_for_tests = {"testing"}  # for authors of stores, who have pytest and hypothesis
    for path in MODULES:
        if path.relative_to(PACKAGE).parts[0] in shipped_for_tests:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                continue
            for name in names:
                here = allowed | EXTRAS.get(name_of(path), set())
                assert name.split(".")[0] in here, f"{name_of(path)} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_are_small(path: Path) -> None:
    limit = LONG_MODULES.get(name_of(path), MODULE_LINES)
    assert len(path.read_text().splitlines()) <= limit


def test_the_median_module_is_smaller() -> None:
    lengths = [len(path.read_text().splitlines()) for path in MODULES]
    assert median(lengths) <= MEDIAN_LINES


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_classes_and_functions_are_small(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef) and node.name not in BIG_CLASSES:
            methods = [child for child in node.body if isinstance(child, ast.FunctionDef)]
            public = [child for child in methods if not child.name.startswith("_")]
            if not node.name.startswith("Test") and "testing" not in name_of(path):
                assert len(public) <= CLASS_METHODS, f"{node.name} in {name_of(path)}"
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body
            if ast.get_docstring(node) is not None:
                body = body[1:]
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert lines <= FUNCTION_LINES, f"{node.name} in {name_of(path)} has {lines} lines"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_open_by_saying_what_lives_in_them(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), name_of(path)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_module_is_called_after_nothing(path: Path) -> None:
    assert path.stem not in {"helpers", "common", "misc"}
    if path.stem == "utils":
        tree = ast.parse(path.read_text())
        assert not [n for n in tree.body if isinstance(n, (ast.ClassDef, ast.FunctionDef))]


def test_nothing_is_ever_unpickled() -> None:
    for path in MODULES:
        for name in ("pickle", "marshal", "shelve"):
            assert f"import {name}" not in path.read_text(), name_of(path)


def test_the_rooms_named_in_the_front_door_are_in_the_order_of_their_floors() -> None:
    text = (PACKAGE / "__init__.py").read_text()
    places = [min(text.index(f"# {room} ") for room in rooms) for rooms in FLOORS[:-1]]
    assert all(a < b for a, b in pairwise(places))


def test_importing_encore_loads_neither_requests_nor_tqdm() -> None:
    code = (
        "import sys, encore, encore.storage.api, encore.events.api\n"
        "print([m for m in ('requests', 'tqdm', 'sqlite3', 'asyncio.events') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.strip()
    assert "requests" not in loaded
    assert "tqdm" not in loaded
    assert "sqlite3" not in loaded
