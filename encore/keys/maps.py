"""Keys under other names: what a key is called in the store beneath, and whether a name is a key's.

The one idea: a map is injective and strict. No two keys have one name, and a name that the map
would not have given itself is nobody's, so what others keep beside is never mistaken for ours. A
map knows no store. Wrappers that rename keys import this module, and so may anybody who writes one.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass

from encore.errors import InvalidKeyError
from encore.keys.rules import check_prefix
from encore.keys.validators import Validator

__all__ = ["Chain", "HashPrefix", "KeyMap", "Prefix", "UrlEncoded", "Valid"]

_HASH_DIGITS = 64  # of SHA-256

_PERCENT_BYTES = 3  # of one byte, escaped
_UNRESERVED = r"A-Za-z0-9_.~\-"  # RFC 3986, section 2.3
_RESERVED = re.compile(rf"[^/{_UNRESERVED}]+")
_SPECIAL_PARTS = re.compile(r"(?<![^/])\.\.?(?![^/])")
_ESCAPED = re.compile(r"(?:%[0-9A-F]{2})+")
_IS_PLAIN = re.compile(rf"[/{_UNRESERVED}%]+")


class KeyMap(ABC):
    """A reversible way to call keys by other names; equal, hashable and printable by its parts.

    Subclasses are frozen, slotted dataclasses. For all legal keys ``k`` and ``j``, and all names
    ``n`` of the base:

    - ``from_base(to_base(k)) == k``;
    - ``from_base(n)`` is None, or a legal key with ``to_base(from_base(n)) == n``;
    - if ``k`` begins with ``p``, then ``to_base(k)`` begins with ``prefix_to_base(p)``, unless that
      is None;
    - if `keeps_order` and ``k < j``, then ``to_base(k) < to_base(j)``;
    - if ``k`` has no more than ``longest_key(limit)`` bytes, ``to_base(k)`` has no more than
      ``limit``.

    Notes
    -----
    *Threads*: a map holds no state, so any number of threads may share it.
    """

    __slots__ = ()

    @property
    def keeps_order(self) -> bool:
        """Whether names are in the same order as their keys, code point by code point."""
        return False

    @abstractmethod
    def to_base(self, key: str) -> str:
        """Return the name of a legal key in the base."""

    @abstractmethod
    def from_base(self, key: str) -> str | None:
        """Return the key that has a name in the base; None if it is nobody's, hence invisible."""

    def prefix_to_base(self, prefix: str) -> str | None:
        """Return what the names of all keys that begin with ``prefix`` begin with.

        Names of other keys may begin with it as well: whoever lists looks at the keys again. None
        if the names have nothing in common that can be told from the prefix.
        """
        return None

    @abstractmethod
    def longest_key(self, limit: int) -> int:
        """Return how many UTF-8 bytes any key may have so that its name surely fits.

        Parameters
        ----------
        limit : int
            What the base takes, in UTF-8 bytes.

        Returns
        -------
        int
            0 if not even keys of one byte are sure to fit.
        """


@dataclass(frozen=True, slots=True)
class Prefix(KeyMap):
    """Keys under a common beginning.

    Parameters
    ----------
    prefix : str
        What every name begins with; ``""`` leaves keys as they are.
    """

    prefix: str

    def __post_init__(self) -> None:
        check_prefix(self.prefix)

    @property
    def keeps_order(self) -> bool:
        return True

    def to_base(self, key: str) -> str:
        return self.prefix + key

    def from_base(self, key: str) -> str | None:
        # The bare prefix would be the empty key, which there is not.
        return key[len(self.prefix) :] or None if key.startswith(self.prefix) else None

    def prefix_to_base(self, prefix: str) -> str | None:
        return self.prefix + prefix

    def longest_key(self, limit: int) -> int:
        return max(0, limit - len(self.prefix.encode()))


@dataclass(frozen=True, slots=True)
class HashPrefix(KeyMap):
    """Keys behind the first digits of their SHA-256, which spread them evenly.

    Parameters
    ----------
    hash_length : int
        Hexadecimal digits, 1 to 64.
    separator : str
        What stands between the digits and the key.

    Raises
    ------
    ValueError
        If there are not so many digits.
    """

    hash_length: int = 8
    separator: str = "/"

    def __post_init__(self) -> None:
        if self.hash_length not in range(1, _HASH_DIGITS + 1):
            raise ValueError(f"a SHA-256 has 1 to {_HASH_DIGITS} digits, not {self.hash_length!r}")
        check_prefix(self.separator)

    def to_base(self, key: str) -> str:
        from hashlib import sha256  # loads OpenSSL; importing the room should not

        return sha256(key.encode()).hexdigest()[: self.hash_length] + self.separator + key

    def from_base(self, key: str) -> str | None:
        inner = key[self.hash_length + len(self.separator) :]
        return inner if inner and self.to_base(inner) == key else None

    def longest_key(self, limit: int) -> int:
        return max(0, limit - self.hash_length - len(self.separator.encode()))


@dataclass(frozen=True, slots=True)
class UrlEncoded(KeyMap):
    """Keys percent-encoded (RFC 3986, section 2.1), each part between slashes by itself.

    Letters, digits and ``-._~`` stay as they are; of everything else but ``/`` each UTF-8 byte is
    ``%XX``, upper-case. The dots of the parts ``.`` and ``..`` are ``%2E``, because URLs and paths
    give those parts a meaning.

    Notes
    -----
    The order is not kept: ``~`` comes before ``é``, and ``%C3%A9`` before ``~``.
    """

    def to_base(self, key: str) -> str:
        escaped = _RESERVED.sub(_percent, key)
        return _SPECIAL_PARTS.sub(_percent, escaped) if "." in escaped else escaped

    def from_base(self, key: str) -> str | None:
        if not _IS_PLAIN.fullmatch(key):
            return None
        try:
            inner = _ESCAPED.sub(_unpercent, key) if "%" in key else key
        except UnicodeDecodeError:
            return None
        return inner if "\0" not in inner and self.to_base(inner) == key else None

    def prefix_to_base(self, prefix: str) -> str | None:
        # A last part of dots may go on, to one whose dots are not escaped.
        head, slash, last = prefix.rpartition("/")
        return self.to_base(head + slash) if last in (".", "..") else self.to_base(prefix)

    def longest_key(self, limit: int) -> int:
        return max(0, limit // _PERCENT_BYTES)


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode())


def _unpercent(match: re.Match[str]) -> str:
    return bytes.fromhex(match[0].replace("%", "")).decode()


@dataclass(frozen=True, slots=True)
class Valid(KeyMap):
    """The keys that a validator takes, as they are; others are refused, and invisible.

    Parameters
    ----------
    validator : callable
        Takes a key and raises `InvalidKeyError`, another ``KeyError`` or a ``ValueError`` to refuse
        it; see ``encore.keys.validators``.
    """

    validator: Validator

    @property
    def keeps_order(self) -> bool:
        return True

    def to_base(self, key: str) -> str:
        """Return the key.

        Raises
        ------
        InvalidKeyError
            If the validator refuses it.
        """
        try:
            self.validator(key)
        except InvalidKeyError:
            raise
        except (KeyError, ValueError) as error:
            raise InvalidKeyError(
                f"the key {key!r} is not one that this store takes: {error}", key=key
            ) from error
        return key

    def from_base(self, key: str) -> str | None:
        try:
            self.validator(key)
        except (KeyError, ValueError):
            return None
        return key

    def prefix_to_base(self, prefix: str) -> str | None:
        return prefix

    def longest_key(self, limit: int) -> int:
        return max(0, limit)


@dataclass(frozen=True, slots=True, init=False)
class Chain(KeyMap):
    """Several maps, one after the other: the first is the nearest to the caller.

    Parameters
    ----------
    *maps : KeyMap
        Without any, keys stay as they are.
    """

    maps: tuple[KeyMap, ...]

    def __init__(self, *maps: KeyMap) -> None:
        object.__setattr__(self, "maps", maps)

    def __repr__(self) -> str:
        return f"Chain({', '.join(map(repr, self.maps))})"

    @property
    def keeps_order(self) -> bool:
        return all(each.keeps_order for each in self.maps)

    def to_base(self, key: str) -> str:
        for each in self.maps:
            key = each.to_base(key)
        return key

    def from_base(self, key: str) -> str | None:
        found: str | None = key
        for each in reversed(self.maps):
            if found is None:
                return None
            found = each.from_base(found)
        return found

    def prefix_to_base(self, prefix: str) -> str | None:
        found: str | None = prefix
        for each in self.maps:
            if found is None:
                return None
            found = each.prefix_to_base(found)
        return found

    def longest_key(self, limit: int) -> int:
        for each in reversed(self.maps):
            limit = each.longest_key(limit)
        return limit
