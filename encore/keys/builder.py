"""`KeyBuilder`: keys made of parts under a common beginning.

The one idea: what a builder builds is exactly what a store lists. An empty prefix therefore
contributes nothing, not even a separator, and a part that would read as two (or as none) is
refused rather than joined.

Anybody may import this module.
"""

from __future__ import annotations

from dataclasses import dataclass

from encore.errors import InvalidKeyError
from encore.keys.rules import check_key, check_prefix

__all__ = ["KeyBuilder"]


@dataclass(frozen=True, slots=True)
class KeyBuilder:
    """Joins parts to keys, and tells its own keys from others.

    Parameters
    ----------
    split_char : str
        What stands between the parts; not empty.
    prefix : str
        The first part of every key, which may itself contain `split_char`; ``""`` for none.

    Examples
    --------
    >>> KeyBuilder(prefix="plates").build("p7", "a01.tif")
    'plates/p7/a01.tif'
    >>> KeyBuilder(prefix="").build("a", "b")
    'a/b'
    """

    split_char: str = "/"
    prefix: str = "encore"

    def __post_init__(self) -> None:
        check_prefix(self.split_char)
        check_prefix(self.prefix)
        if not self.split_char:
            raise ValueError("split_char must not be empty: parts could not be told apart")

    def build(self, *parts: str) -> str:
        """Return the key made of `parts`, or the prefix alone if there are none.

        Parameters
        ----------
        *parts : str
            What follows the prefix.

        Returns
        -------
        str
            A legal key; no other parts lead to it.

        Raises
        ------
        TypeError
            If a part is not a ``str``.
        InvalidKeyError
            If a part is empty or contains the separator, or if the result is no legal key.
        """
        for part in parts:
            if not isinstance(part, str):
                raise TypeError(f"a part of a key is a str, not {type(part).__name__}: {part!r}")
            if not part or self.split_char in part:
                raise InvalidKeyError(
                    f"cannot build a key from the part {part!r}: a part is not empty and does not "
                    f"contain {self.split_char!r}; pass the pieces as separate parts",
                )
        key = self.split_char.join((self.prefix, *parts) if self.prefix else parts)
        check_key(key)
        return key

    def validate(self, key: str) -> bool:
        """Return whether `key` is a legal key under the prefix.

        Parameters
        ----------
        key : str
            Any key; with an empty prefix every legal one is valid. The bare prefix is not.
        """
        try:
            check_key(key)
        except InvalidKeyError:
            return False
        return not self.prefix or key.startswith(self.prefix + self.split_char)
