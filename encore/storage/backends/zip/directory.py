"""The central directory of an archive, and what keys it has.

The directory is kept as it stands in the file, and for each key the place of its record in it: a
record becomes an object when somebody asks for that key. Of several entries under one name the last
counts, as it does for most programs.

Only this subpackage imports this module.
"""

from __future__ import annotations

import struct

from encore.errors import CorruptValueError, InvalidKeyError
from encore.keys.rules import MAX_KEY_BYTES, check_key
from encore.storage.backends.zip.headers import (
    CENTRAL,
    CENTRAL_MAGIC,
    MOST16,
    UNIX_SYSTEMS,
    decode_name,
)
from encore.storage.backends.zip.marks import HAS_KEY, KIND, NO_KEY, field_of, read_mark

#: Magic, flags, size, lengths of name, extra and comment: all that the index needs.
_BRIEF = struct.Struct("<4s4xH14xI3H")
# In the second byte of a mark: the name is not the key.
_UNUSUAL = HAS_KEY | NO_KEY


class Directory:
    """A central directory.

    Attributes
    ----------
    data : bytes
        As it stands in the file.
    places : dict of str to int
        Key to where its record begins in ``data``.
    others : dict of bytes to int
        Name to record, for what is no key: directories, names that cannot be keys.
    apart : dict of bytes to int
        Name to record, for metadata that is kept in an entry of its own.
    is_tidy : bool
        Whether no record was left out.
    """

    def __init__(self, data: bytes, count: int) -> None:
        self.data = data
        self.places: dict[str, int] = {}
        self.others: dict[bytes, int] = {}
        self.apart: dict[bytes, int] = {}
        found = self._index()
        if found & MOST16 != count & MOST16:
            raise CorruptValueError(f"its directory has {found} entries, and its end says {count}")
        self.is_tidy = found == len(self.places) + len(self.others) + len(self.apart)
        self._sorted: list[str] | None = None

    def _index(self) -> int:
        data, places = self.data, self.places
        unpack, fixed = _BRIEF.unpack_from, CENTRAL.size
        at = found = 0
        end = len(data)
        try:
            while at < end:
                magic, flags, size, name_length, extra_length, comment_length = unpack(data, at)
                if magic != CENTRAL_MAGIC:
                    raise CorruptValueError("its directory is damaged")
                start = at + fixed
                middle = start + name_length
                name = data[start:middle]
                if (
                    extra_length
                    and (data[middle : middle + 2] != KIND or data[middle + 5] & _UNUSUAL)
                    and KIND in data[middle : middle + extra_length]
                ):
                    self._marked(at, name, flags, data[middle : middle + extra_length], size)
                elif name.isascii() and 0 < name_length <= MAX_KEY_BYTES and b"\0" not in name:
                    if size == 0 and name[-1] == 0x2F:
                        self.others[name] = at
                    else:
                        places[name.decode()] = at
                else:
                    self._unusual(at, name, flags, data[middle : middle + extra_length], size)
                found += 1
                at = middle + extra_length + comment_length
        except (struct.error, IndexError):
            at = -1
        if at != end:
            raise CorruptValueError("its directory is damaged")
        return found

    def _marked(self, at: int, name: bytes, flags: int, extra: bytes, size: int) -> None:
        field = field_of(extra)
        if field is None or len(field) < 2 or not field[1] & _UNUSUAL:
            self._unusual(at, name, flags, extra, size)
        elif field[1] & NO_KEY:
            self.apart[name] = at
        else:
            key = None
            try:
                mark = read_mark(extra)
                key = None if mark is None else mark.key
            except (CorruptValueError, NotImplementedError):
                pass  # whoever reads it will hear of it
            if key is None:
                self._unusual(at, name, flags, extra, size)
            else:
                self.places[key] = at

    def _unusual(self, at: int, name: bytes, flags: int, extra: bytes, size: int) -> None:
        """An entry whose name takes a closer look."""
        key = decode_name(name, flags, extra, unix=self.data[at + 5] in UNIX_SYSTEMS)
        try:
            check_key(key)
        except InvalidKeyError:
            key = None
        if key is None or (size == 0 and key.endswith("/")):
            self.others[name] = at
        else:
            self.places[key] = at

    @property
    def keys(self) -> list[str]:
        """All keys in order; not to be changed."""
        keys = self._sorted
        if keys is None:
            keys = self._sorted = sorted(self.places)
        return keys

    def end_of(self, at: int) -> int:
        """Where the record that begins at ``at`` ends."""
        *_, name_length, extra_length, comment_length = _BRIEF.unpack_from(self.data, at)
        return int(at + CENTRAL.size + name_length + extra_length + comment_length)
