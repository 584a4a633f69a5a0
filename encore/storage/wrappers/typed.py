"""Wrappers that take and give something else than bytes: text, JSON values, buffers.

Only ``put``, ``set``, ``set_data`` and ``read`` speak of these; values, streams and copies are of
bytes, as everywhere. ``storage.api`` shows what is public here.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from typing import Any

from encore.errors import CorruptValueError
from encore.storage.composites import pairs
from encore.storage.template import Store
from encore.storage.values import BUFFER_SIZE, Value
from encore.storage.wrappers.base import WrapperStore
from encore.storage.wrappers.codecs import MAX_BYTES, CodecStore
from encore.streams.encodings import TextEncoding


class _TypedStore(WrapperStore):
    """Converts what the verbs take and give."""

    def _to_data(self, thing: Any) -> Any:
        """Data for what the caller gave; raises TypeError or ValueError if there is none."""
        raise NotImplementedError

    def _from_data(self, key: str, data: bytes) -> Any:
        """What the caller gets for data."""
        raise NotImplementedError

    def put(
        self,
        key: str,
        data: Any,
        metadata: Mapping[str, Any] | None = None,
        *,
        buffer_size: int = BUFFER_SIZE,
        if_absent: bool = False,
        if_token: str | None = None,
    ) -> None:
        super().put(
            key,
            self._to_data(data),
            metadata,
            buffer_size=buffer_size,
            if_absent=if_absent,
            if_token=if_token,
        )

    def set(self, key: str, value: Any, buffer_size: int = BUFFER_SIZE) -> None:
        if isinstance(value, tuple) and len(value) == 2:
            value = (self._to_data(value[0]), value[1])
        elif not isinstance(value, Value):
            value = self._to_data(value)
        super().set(key, value, buffer_size)

    def multiset(
        self,
        keys: Iterable[str] | Mapping[str, Any],
        values: Iterable[Any] | None = None,
        buffer_size: int = BUFFER_SIZE,
    ) -> None:
        with self.transaction():
            for key, value in pairs(keys, values):
                self.set(key, value, buffer_size)

    def set_data(self, key: str, data: Any, buffer_size: int = BUFFER_SIZE) -> None:
        super().set_data(key, self._to_data(data), buffer_size)

    def read(self, key: str) -> Any:
        return self._from_data(key, super().read(key))

    def to_bytes(self, key: str) -> bytes:
        return super().read(key)


class TextEncodingStore(_TypedStore, CodecStore):
    """Text: ``put`` takes and ``read`` returns ``str``.

    Parameters
    ----------
    base : Store
    encoding : str, optional
        How the base holds the text. Values and streams show it in UTF-8, whatever this is.
    max_bytes : int, optional
        See `CodecStore`.

    Raises
    ------
    ValueError
        From writing: the encoding has no such character. Nothing is written.
    CorruptValueError
        From reading: what the base holds is not text in this encoding.
    """

    def __init__(self, base: Store, encoding: str = "utf-8", *, max_bytes: int = MAX_BYTES) -> None:
        CodecStore.__init__(self, base, TextEncoding(encoding), max_bytes=max_bytes)

    def _to_data(self, thing: Any) -> Any:
        return thing.encode() if isinstance(thing, str) else thing

    def _from_data(self, key: str, data: bytes) -> str:
        return data.decode()


class JsonStore(_TypedStore):
    """JSON values: ``put`` takes and ``read`` returns what JSON can hold.

    The base holds compact UTF-8. Numbers that JSON has no word for (NaN, infinity) are refused.

    Parameters
    ----------
    base : Store

    Raises
    ------
    TypeError, ValueError
        From writing: JSON cannot hold the value. Nothing is written.
    CorruptValueError
        From ``read``: what the base holds is not JSON.
    """

    def _to_data(self, thing: Any) -> bytes:
        text = json.dumps(thing, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode()

    def _from_data(self, key: str, data: bytes) -> Any:
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            raise CorruptValueError(
                f"{key!r} in {self!r} is not JSON: {error}", key=key, store=self, operation="read"
            ) from error


class BufferStore(_TypedStore):
    """Buffers: ``read`` returns a fresh ``io.BytesIO``, and ``put`` takes anything with ``read()``.

    Parameters
    ----------
    base : Store
    """

    def _to_data(self, thing: Any) -> Any:
        return thing

    def _from_data(self, key: str, data: bytes) -> io.BytesIO:
        return io.BytesIO(data)
