"""Usecases: which objects they are, and what is usual for them. ``session`` imports this module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from encore.service.durations import Policy, format_policy
from encore.service.places import check_usecase

__all__ = ["Compression", "Usecase", "check_compression"]

Compression = Literal["zstd", "none"]


@dataclass(frozen=True, slots=True)
class Usecase:
    """A kind of objects.

    Parameters
    ----------
    name : str
        3 to 64 of ``A-Za-z0-9_-``.
    compression : ``"zstd"`` or ``"none"``, optional
        How objects are compressed if `Session.put` is not told.
    expiration_policy : TimeToLive or TimeToIdle, optional
        How long they live if `Session.put` is not told.

    Raises
    ------
    ValueError
        One of these is not what it says.
    """

    name: str
    compression: Compression = "zstd"
    expiration_policy: Policy | None = None

    def __post_init__(self) -> None:
        check_usecase(self.name)
        check_compression(self.compression)
        format_policy(self.expiration_policy)


def check_compression(name: str) -> bool:
    """Return whether this compresses; ValueError for what is not known."""
    if name not in ("zstd", "none"):
        raise ValueError(f"objects are compressed with zstd or none, not {name!r}")
    return name == "zstd"
