"""What of a change shows through the layers of a composed store.

``composing`` imports this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from encore.errors import StoreError
from encore.storage.template import Store
from encore.storage.transactions.changes import Change


def shown(layers: Sequence[Store], key: str, by_part: Mapping[Store, Change]) -> Change | None:
    """The change of a key as it looks through its layers; None if it does not show."""
    before = after = shown_before = shown_after = None
    for part in layers:
        change = by_part.get(part)
        now = _text(part, key) if change is None else change.after
        was = now if change is None else change.before
        if before is None and was is not None:
            before, shown_before = was, part
        if after is None and now is not None:
            after, shown_after = now, part
        if before is not None and after is not None:
            break
    if shown_before is shown_after and shown_after not in by_part:
        return None
    return Change(key, before, after)


def _text(part: Store, key: str) -> str | None:
    """The metadata of a key, if it is there and the part can be read."""
    with suppress(StoreError):
        value = part._find(key)
        if value is not None:
            value.close()
            return value.metadata_text
    return None
