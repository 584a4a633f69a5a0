"""`encore copy` between every two kinds of store, on a real tree of files."""

from __future__ import annotations

import shutil
import sysconfig
from itertools import permutations
from pathlib import Path

import pytest
from command_runs import Run
from servers import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, BucketServer

from encore.config import open_store

_KINDS = ("dir", "sqlite", "hashdir", "zip", "s3")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A few dozen files of the standard library, an empty one and a large one."""
    tree = tmp_path / "tree"
    shutil.copytree(
        Path(sysconfig.get_path("stdlib"), "json"), tree, ignore=shutil.ignore_patterns("*.pyc")
    )
    shutil.copytree(Path(sysconfig.get_path("stdlib"), "email"), tree / "email")
    (tree / "empty").touch()
    (tree / "large.bin").write_bytes(bytes(range(256)) * 40000)
    (tree / "Größe é.txt").write_text("a name that is not ASCII")
    return tree


@pytest.fixture
def addresses(
    tmp_path: Path, bucket_server: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """Where a store of each kind is, in this test."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket_server.url)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_REGION", REGION)
    return {
        "dir": f"dir:{tmp_path / 'directory'}",
        "sqlite": f"sqlite:{tmp_path / 'store.db'}",
        "hashdir": f"hashdir:{tmp_path / 'hashed'}",
        "zip": f"zip:{tmp_path / 'store.zip'}",
        "s3": f"s3://{BUCKET}/{tmp_path.name}",
    }


@pytest.mark.parametrize(("source", "target"), [*permutations(_KINDS, 2)], ids=str)
def test_a_tree_goes_from_any_store_to_any_other(
    source: str, target: str, tree: Path, addresses: dict[str, str], tmp_path: Path, run: Run
) -> None:
    run("copy", f"dir:{tree}", addresses[source], "--verify")
    run("copy", addresses[source], addresses[target], "--verify")
    back = tmp_path / "back"
    run("copy", addresses[target], f"dir:{back}", "--verify")
    assert _files(back) == _files(tree)
    with open_store(addresses[source]) as first, open_store(addresses[target]) as second:
        assert [*first.keys()] == [*second.keys()]


def _files(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".encore" not in path.parts
    }
