"""Wrappers that refuse: writing, reading, or keys that do not fit.

``storage.api`` shows what is public here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Unpack

from encore.errors import ReadOnlyError, UnsupportedError
from encore.keys.maps import Valid
from encore.keys.validators import Validator, is_http_url, matches
from encore.storage.template import Staged, Store
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.transactions.recording import StepOptions
from encore.storage.wrappers.intercepting import Intent, InterceptingStore
from encore.storage.wrappers.keymaps import KeyMapStore

_ALLOWED: AbstractContextManager[None] = nullcontext()


class ReadonlyStore(InterceptingStore):
    """What ``base`` holds, for reading only.

    Parameters
    ----------
    base : Store

    Raises
    ------
    ReadOnlyError
        From every verb that writes, and from ``transaction``.
    """

    def info(self) -> dict[str, Any]:
        return {**super().info(), "readonly": True}

    def _operation(self, verb: str, key: str, intent: Intent) -> AbstractContextManager[None]:
        if intent is Intent.WRITE:
            raise self._refusal(verb, key)
        return _ALLOWED

    def _take_stream(self, key: str, chunks: Iterator[bytes]) -> Staged:
        raise self._refusal("put", key)

    def transaction(
        self, notes: str = "", *, timeout: float | None = None, **options: Unpack[StepOptions]
    ) -> SimpleTransactionContext:
        raise self._refusal("transaction")

    def _refusal(self, verb: str, key: str | None = None) -> ReadOnlyError:
        what = verb if key is None else f"{verb} {key!r}"
        return ReadOnlyError(f"{what}: {self!r} is read-only", key=key, store=self, operation=verb)


class WriteonlyStore(InterceptingStore):
    """A store to put things into, without seeing what is there.

    Writing, deleting, copying, moving and clearing are allowed; conditional writes are not, since
    they tell whether a key is there.

    Parameters
    ----------
    base : Store

    Raises
    ------
    UnsupportedError
        From every verb that reads.
    """

    def _operation(self, verb: str, key: str, intent: Intent) -> AbstractContextManager[None]:
        if intent is Intent.READ and verb != "copy":
            what = f"{verb} {key!r}" if key else verb
            raise UnsupportedError(
                f"{what}: {self!r} is write-only", key=key, store=self, operation=verb
            )
        return _ALLOWED

    def _remove_all(self, prefix: str) -> bool:
        self._inner.clear(prefix)  # the base may look for the keys; the caller sees none of them
        return True


class KeyValidatingStore(KeyMapStore):
    """The keys of ``base`` that a validator accepts; others are refused, and invisible.

    Parameters
    ----------
    base : Store
    validator : callable
        ``validator(key)`` raises `InvalidKeyError` (or any ``KeyError`` or ``ValueError``) for a
        key it does not accept.
    """

    def __init__(self, base: Store, validator: Validator) -> None:
        super().__init__(base, Valid(validator))


class RegexValidatingStore(KeyValidatingStore):
    """The keys of ``base`` that match a regular expression from beginning to end.

    Parameters
    ----------
    base : Store
    pattern : str or re.Pattern
    """

    def __init__(self, base: Store, pattern: str | re.Pattern[str]) -> None:
        super().__init__(base, matches(pattern))


class UrlValidatingStore(KeyValidatingStore):
    """The keys of ``base`` that are absolute http or https URLs.

    Parameters
    ----------
    base : Store
    """

    def __init__(self, base: Store) -> None:
        super().__init__(base, is_http_url)
