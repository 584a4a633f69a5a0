"""Probing the real file system under the temporary directory, and telling links apart."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from encore.keys.filenames import decode_path
from encore.keys.probe import folds_names, folds_names_by_writing


@pytest.fixture
def folds(tmp_path: Path) -> bool:
    """Whether the temporary directory merges names, found out the blunt way."""
    (tmp_path / "blunt").mkdir()
    for one, other in (("a", "A"), ("\u00e9", "e\u0301")):
        (tmp_path / "blunt" / one).touch()
        if (tmp_path / "blunt" / other).exists():
            return True
    return False


@pytest.fixture
def directory(tmp_path: Path, folds: bool) -> Path:
    (tmp_path / "probed").mkdir()
    return tmp_path / "probed"


def test_writing_finds_out_and_leaves_nothing(directory: Path, folds: bool) -> None:
    assert folds_names_by_writing(directory) is folds
    assert os.listdir(directory) == []


def test_writing_into_nowhere_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        folds_names_by_writing(tmp_path / "missing")


def test_one_accented_name_tells(directory: Path, folds: bool) -> None:
    (directory / "plate-\u00e9").touch()
    assert folds_names(directory) is folds


def test_two_names_tell_together(directory: Path, folds: bool) -> None:
    (directory / "plate").mkdir()
    (directory / "\u0301").mkdir()
    (directory / "1-\u00e9").touch()
    assert folds_names(directory) is folds


@pytest.mark.parametrize("names", [[], ["1", "2-3"], ["_"]])
def test_names_that_have_one_spelling_do_not_tell(directory: Path, names: list[str]) -> None:
    for name in names:
        (directory / name).touch()
    assert folds_names(directory) is None


def test_case_alone_does_not_tell_that_names_are_kept_apart(directory: Path, folds: bool) -> None:
    (directory / "plate").touch()
    assert folds_names(directory) is (True if folds else None)


def test_hard_links_are_not_mistaken_for_folding(directory: Path, folds: bool) -> None:
    if folds:
        pytest.skip("two spellings cannot be two links here")
    (directory / "a").touch()
    os.link(directory / "a", directory / "A")
    assert folds_names(directory) is None


def test_different_files_under_two_spellings_are_kept_apart(directory: Path, folds: bool) -> None:
    if folds:
        pytest.skip("two spellings cannot be two files here")
    for name in ("\u00e9", "e\u0301", "\u00c9", "E\u0301"):
        (directory / name).touch()
    assert folds_names(directory) is False


def test_what_cannot_be_listed_does_not_tell(tmp_path: Path) -> None:
    assert folds_names(tmp_path / "missing") is None


def test_probing_writes_nothing(directory: Path) -> None:
    (directory / "plate-\u00e9").touch()
    before = directory.stat().st_mtime_ns
    folds_names(directory)
    assert directory.stat().st_mtime_ns == before
    assert os.listdir(directory) == ["plate-\u00e9"]


def test_the_probe_is_never_a_key() -> None:
    assert decode_path("%=Probe-\u00e9-0123456789abcdef0123456789abcdef") is None
