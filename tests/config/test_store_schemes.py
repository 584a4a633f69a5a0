"""Laws of the registry of schemes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from encore.config import Scheme, known_schemes, open_store, register_scheme, schemes
from encore.errors import ConfigError
from encore.storage.api import DictStore


@pytest.fixture
def restored() -> Iterator[None]:
    before = dict(schemes._schemes)
    yield
    schemes._schemes.clear()
    schemes._schemes.update(before)


class Labelled(DictStore):
    def __init__(self, label: str, *, colour: str = "red", **options: Any) -> None:
        super().__init__(**options)
        self.label, self.colour = label, colour


def labelled(name: str = "label") -> Scheme:
    return Scheme(name, f"{name}:LABEL", "a store with a label", lambda: Labelled)


def test_the_built_in_schemes_are_known_by_name_with_a_sentence() -> None:
    found = known_schemes()
    assert [scheme.name for scheme in found] == sorted(scheme.name for scheme in found)
    assert {"dir", "memory", "sqlite"} <= {scheme.name for scheme in found}
    for scheme in found:
        assert scheme.form.startswith(f"{scheme.name}:")
        assert scheme.description


@pytest.mark.usefixtures("restored")
def test_a_registered_scheme_opens_as_the_built_in_ones_do() -> None:
    register_scheme(labelled())
    store = open_store("label:~x//y", colour="blue")
    assert isinstance(store, Labelled)
    assert (store.label, store.colour) == ("~x//y", "blue")
    with pytest.raises(ConfigError, match=r"label:LABEL has no option 'color'.*'colour'"):
        open_store("label:x", color="blue")
    with pytest.raises(ConfigError, match="did you mean 'label'"):
        open_store("labels:x")


@pytest.mark.usefixtures("restored")
def test_a_name_is_taken_once() -> None:
    scheme = labelled()
    register_scheme(scheme)
    register_scheme(scheme)
    with pytest.raises(ValueError, match="there is a scheme 'label' already"):
        register_scheme(labelled())


@pytest.mark.parametrize("name", ["c", "", "SQL", "größe"])
def test_a_name_that_no_address_could_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="two or more ASCII"):
        labelled(name)


def test_a_place_is_a_file_or_a_directory() -> None:
    with pytest.raises(ValueError, match="place"):
        Scheme("label", "label:X", "", lambda: Labelled, "drawer")
