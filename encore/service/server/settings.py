"""What whoever runs a server decides: limits, and what a usecase may do.

Immutable values that are passed in. The modules of this package import this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from encore.service.durations import Policy
from encore.storage.wrappers.lifetimes import TimeToIdle

__all__ = ["Limits", "UsecaseRules"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a server takes.

    Parameters
    ----------
    object_bytes : int, optional
        The largest object; a larger one is answered with 413. None: whatever the store takes.
    requests : int, optional
        How many requests are answered at a time; one more is answered with 503.
    uploads : int, optional
        How many bodies arrive at a time that are too large to be held in memory.
    rate : float, optional
        Requests a second from one address; more are answered with 429. None: as many as come.
    batch_changes : int, optional
        Changes in one transaction.
    subscribers : int, optional
        Who follow the changes at a time.
    """

    object_bytes: int | None = None
    requests: int = 1000
    uploads: int = 64
    rate: float | None = None
    batch_changes: int = 10_000
    subscribers: int = 200

    def __post_init__(self) -> None:
        for name in ("object_bytes", "requests", "uploads", "rate", "batch_changes", "subscribers"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} is more than 0, not {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class UsecaseRules:
    """What a usecase may do.

    Parameters
    ----------
    policies : tuple of str, optional
        The expirations that are taken: of ``"manual"``, ``"ttl"``, ``"tti"``.
    longest_seconds : float, optional
        The longest life that may be asked for.
    prefix : str, optional
        What the keys of the usecase begin with in the store, in place of its name and the scopes;
        ``""`` serves a store that was there before. Such a usecase has no scopes.
    """

    policies: tuple[str, ...] = ("manual", "ttl", "tti")
    longest_seconds: float | None = None
    prefix: str | None = None

    def problem(self, policy: Policy | None) -> str | None:
        """Say what is wrong with a policy; None if nothing is."""
        kind = "manual" if policy is None else "tti" if isinstance(policy, TimeToIdle) else "ttl"
        if kind not in self.policies:
            return f"this usecase takes the expirations {', '.join(self.policies)}, not {kind}"
        if policy is not None and self.is_too_long(policy.seconds):
            return f"objects of this usecase live for {self.longest_seconds:g} seconds at most"
        return None

    def is_too_long(self, seconds: float) -> bool:
        """Whether nothing may live for so long."""
        return self.longest_seconds is not None and seconds > self.longest_seconds


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of usecases by name; those that are not named have the ordinary ones."""

    named: Mapping[str, UsecaseRules] = field(default_factory=lambda: MappingProxyType({}))
    is_closed: bool = False  # whether only usecases that are named are served

    def of(self, usecase: str) -> UsecaseRules | None:
        """The rules of a usecase; None if it is not served."""
        found = self.named.get(usecase)
        return found if found is not None or self.is_closed else _ORDINARY


_ORDINARY = UsecaseRules()
