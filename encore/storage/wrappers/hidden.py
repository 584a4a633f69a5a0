"""Wrappers that keep something of their own with every key, which nobody above them sees.

A `HiddenFieldStore` keeps one field of the metadata in the base for itself: an expiry, permissions.
It is put in front of the other fields on the way in and taken off on the way out, in values,
listings, queries and events alike. What it becomes when a key is written, and whether a key shows
at all, is up to the family. ``expiring`` and ``authorizing`` import this module; so may authors of
other wrappers.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from encore.storage.metadata import EMPTY, decode_metadata, encode_metadata
from encore.storage.template import Entry, MetadataChange, Staged, Store, check_guard
from encore.storage.transactions.changes import Change
from encore.storage.values import Value
from encore.storage.wrappers.base import WrapperStore, stores_beneath

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
_raw_decode = json.JSONDecoder().raw_decode


class HiddenFieldStore(WrapperStore):
    """The keys and values of ``base``, with a hidden field in the metadata of each.

    Parameters
    ----------
    base : Store

    Raises
    ------
    ValueError
        From every verb that writes metadata: it has a field with the reserved name.
    """

    #: The name of the field: ASCII without quotes, and unlike any that an application would choose.
    #: Where a store beneath keeps one of this name, a number follows.
    field: str

    def __init__(self, base: Store) -> None:
        super().__init__(base)
        kept = {getattr(store, "field", None) for store in stores_beneath(self)}
        numbers = itertools.count(2)
        while self.field in kept:
            self.field = f"{type(self).field}.{next(numbers)}"
        self._name = json.dumps(self.field)
        self._head = f"{{{self._name}:"

    # -- what a family says -----------------------------------------------------------------------

    def _is_visible(self, hidden: Any) -> bool:
        """Whether a key with this field shows; None: it has no such field."""
        return True

    def _counts(self, key: str, operation: str, hidden: Any, *, is_replacing: bool) -> bool:
        """Whether a key in the base counts as there for a change of it; raise to refuse the change.

        What does not count, though it is there, is removed before it is written anew
        (``is_replacing``), and else reported as missing.
        """
        return True

    def _next_hidden(self, old: Any, *, is_new: bool, is_whole: bool) -> Any:
        """What the field becomes as a key is written: JSON, or None for no such field.

        ``is_whole``: data and metadata are replaced, not only one of them.
        """
        raise NotImplementedError

    def _carried_hidden(self, source: Any, target: Any, *, is_new: bool, is_move: bool) -> Any:
        """What the field of the target becomes as a value is copied or moved onto it."""
        return source

    # -- the field and the text -------------------------------------------------------------------

    def _split(self, text: str) -> tuple[Any, str]:
        """Take metadata of the base apart: the field, and what is left."""
        start = len(self._head)  # behind which it stands as we put it there
        is_ours = text.startswith(self._head) and not text[start].isspace()
        if is_ours:
            hidden, end = _raw_decode(text, start)
            rest = text[end:]
            if rest == "}":
                return hidden, EMPTY
            if rest.startswith(',"') and not self._may_name_field(rest):
                return hidden, "{" + rest[1:]
        elif not self._may_name_field(text):
            return None, text
        fields = decode_metadata(text)
        if self.field not in fields:
            return None, text
        found = fields.pop(self.field)
        return hidden if is_ours else found, encode_metadata(fields)

    def _joined(self, text: str, hidden: Any) -> str:
        """The metadata for the base."""
        if hidden is None:
            return text
        if text != EMPTY and not text.startswith('{"'):  # some other way to write JSON
            text = encode_metadata(decode_metadata(text))
        rest = "}" if text == EMPTY else f",{text[1:]}"
        return f"{self._head}{_encode(hidden)}{rest}"

    def _may_name_field(self, text: str) -> bool:
        return self._name in text or "\\" in text  # an escape may stand for any letter

    def _check_text(self, key: str, text: str | None) -> None:
        """Refuse metadata that names the field."""
        if text is None or not self._may_name_field(text):
            return
        if self.field in decode_metadata(text):
            raise ValueError(
                f"the metadata of {key!r} names {self.field!r}, which {type(self).__name__} keeps "
                "for itself; call the field something else"
            )

    def _shown(self, text: str | None) -> str | None:
        """Metadata of the base as it looks from above; None if the key does not show."""
        if text is None:
            return None
        hidden, text = self._split(text)
        return text if self._is_visible(hidden) else None

    def _translate(self, changes: list[Change]) -> list[Change]:
        seen = map(self._seen, changes)
        return [change for change in seen if change.event_class is not None]

    def _seen(self, change: Change) -> Change:
        return Change(change.key, self._shown(change.before), self._shown(change.after))

    # -- reading ----------------------------------------------------------------------------------

    def _look(self, key: str) -> tuple[Value, Any] | None:
        """The value under a key, if it shows, and the field."""
        value = self._inner._find(key)
        return None if value is None else self._revealed(value)

    def _revealed(self, value: Value) -> tuple[Value, Any] | None:
        hidden, text = self._split(value.metadata_text)
        if self._is_visible(hidden):
            return _with_text(value, text), hidden
        value.close()
        return None

    def _find(self, key: str) -> Value | None:
        found = self._look(key)
        return None if found is None else found[0]

    _read = Store._read
    _read_range = Store._read_range

    def _has(self, key: str) -> bool:
        return _closed(HiddenFieldStore._find(self, key))

    def _find_many(self, keys: Iterable[str]) -> Iterator[tuple[str, Value | None]]:
        for key, value in self._inner._find_many(keys):
            found = None if value is None else self._revealed(value)
            yield key, None if found is None else found[0]

    # -- listing ----------------------------------------------------------------------------------

    def _scan(self, prefix: str, start_after: str | None) -> Iterator[str]:
        if not prefix and start_after is None:
            return self._search_keys({})
        keys = self._inner._scan(prefix, start_after)
        return (key for key, value in HiddenFieldStore._find_many(self, keys) if _closed(value))

    def _find_all(self, prefix: str) -> Iterator[tuple[str, Value]]:
        found = self._inner._find_all(prefix)
        return ((key, seen[0]) for key, value in found if (seen := self._revealed(value)))

    _survey = Store._survey
    _sum = Store._sum
    _count = Store._count

    def _search(self, where: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        found = self._inner._search(where)
        if self.field in where:
            return iter(())
        return ((key, seen) for key, text in found if (seen := self._shown(text)) is not None)

    _search_keys = Store._search_keys

    # -- writing ----------------------------------------------------------------------------------

    def _old(
        self, key: str, operation: str, *, is_replacing: bool = False
    ) -> tuple[Value | None, Any]:
        """What is to be changed, and the field; called in the unit that changes it."""
        value = self._inner._find(key)
        if value is None:
            return None, None
        value.close()
        hidden, text = self._split(value.metadata_text)
        if self._counts(key, operation, hidden, is_replacing=is_replacing):
            return _with_text(value, text), hidden
        if is_replacing:
            self._inner._erase(key, True)
        return None, None

    def _put_plain(self, key: str, data: bytes, text: str) -> bool:
        return False  # what the field becomes depends on what is there

    _remove_plain = Store._remove_plain

    def _receive(
        self, entry: Entry, buffer_size: int, if_absent: bool, if_token: str | None
    ) -> bytes | Staged:
        self._check_text(entry.key, entry.text)  # before a long stream
        return super()._receive(entry, buffer_size, if_absent, if_token)

    def _write_content(
        self,
        entry: Entry,
        content: bytes | Staged,
        if_absent: bool = False,
        if_token: str | None = None,
    ) -> None:
        key, text = entry.key, entry.text
        try:
            self._check_text(key, text)
            with self._unit():
                old, hidden = self._old(key, "put", is_replacing=True)
                check_guard(self, key, old, if_absent, if_token)
                hidden = self._next_hidden(hidden, is_new=old is None, is_whole=text is not None)
                if text is None:
                    text = EMPTY if old is None else old.metadata_text
                entry = entry._replace(text=self._joined(text, hidden))
                self._inner._write_content(entry, content, if_absent, if_token)
        except BaseException:
            if not isinstance(content, bytes):
                content.discard()  # once more does no harm
            raise

    _write_many = Store._write_many

    def _rewrite_metadata(self, key: str, change: MetadataChange, empty: bytes = b"") -> None:
        with self._unit():
            old, hidden = self._old(key, "set_metadata", is_replacing=True)
            text = change(EMPTY if old is None else old.metadata_text)
            self._check_text(key, text)
            hidden = self._next_hidden(hidden, is_new=old is None, is_whole=False)
            text = self._joined(text, hidden)
            self._inner._rewrite_metadata(key, lambda _: text, empty)

    def _rewrite_hidden(self, key: str, operation: str, change: Callable[[Any], Any]) -> None:
        """Change nothing but the field."""
        with self._unit():
            old, hidden = self._old(key, operation)
            if old is None:
                raise self._missing(key, operation)
            changed = change(hidden)
            if changed != hidden:
                text = self._joined(old.metadata_text, changed)
                self._inner._rewrite_metadata(key, lambda _: text)

    def _erase(self, key: str, missing_ok: bool) -> None:
        with self._unit():
            old, _ = self._old(key, "delete")
            if old is not None or (missing_ok and not self._inner._has(key)):
                self._inner._erase(key, True)  # also if there is nothing: it may be read-only
            elif not missing_ok:
                raise self._missing(key, "delete")

    def _transfer(self, source: str, target: str, *, move: bool) -> None:
        verb = "move" if move else "copy"
        with self._inner.transaction(f"{verb.capitalize()} {source} to {target}"):
            found = self._look(source)
            if found is None:
                raise self._missing(source, verb)
            found[0].close()
            if move:
                self._old(source, verb)
            old, there = self._old(target, verb, is_replacing=True)
            self._inner._transfer(source, target, move=move)
            hidden = self._carried_hidden(found[1], there, is_new=old is None, is_move=move)
            if hidden != found[1]:
                text = self._joined(found[0].metadata_text, hidden)
                self._inner._rewrite_metadata(target, lambda _: text)

    def _remove_all(self, prefix: str) -> bool:
        return False  # what does not show stays


def _closed(value: Value | None) -> bool:
    """Whether there is a value; only that was the question."""
    if value is not None:
        value.close()
    return value is not None


def _with_text(value: Value, text: str) -> Value:
    """The same value under other metadata."""
    created, modified = value.created or 0.0, value.modified or 0.0
    return Value.of(value.content, text, value.size, created, modified, value.token, value.handle)
