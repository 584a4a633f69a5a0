"""The errors: builtins as well, and fit to travel between processes."""

from __future__ import annotations

import pickle

import pytest

from encore import errors
from encore.errors import EncoreError

ERRORS = [
    cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, EncoreError)
]


@pytest.mark.parametrize("cls", ERRORS, ids=lambda cls: cls.__name__)
def test_an_error_travels_between_processes_without_its_store(cls: type[EncoreError]) -> None:
    error = cls("what happened", key="a", store=object(), operation="put")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is cls
    assert str(again) == "what happened"
    assert (again.key, again.store, again.operation) == ("a", None, "put")
