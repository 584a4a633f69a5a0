"""An object service over HTTP: a client with sessions, scopes and expiry, and a server.

Objects are named by a usecase, an ordered list of scopes, and a key. The server (``server``)
publishes any store; the client (``client``) speaks to it and to other servers of the same
protocol. ``store`` makes a store of what the client sees, and ``addresses`` gives it an address.
Names are loaded on first use. The shared modules are pure:

=============  ===========================================
``places``     usecases, scopes, paths
``durations``  durations, moments, policies of expiry
``metadata``   what is known of an object, as headers
=============  ===========================================

The command line and applications import this room; it imports stores and what lies beneath.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from encore.errors import RequestError
    from encore.service.client.asking import TokenSource
    from encore.service.client.client import Client
    from encore.service.client.failures import NotAllowed, ObjectChanged, ObjectNotFound
    from encore.service.client.measuring import Measured, measure_storage_operation
    from encore.service.client.multipart import CompletePart, MultipartUpload, PartInfo
    from encore.service.client.receiving import GetResult
    from encore.service.client.session import Session
    from encore.service.client.signing import SecretKey
    from encore.service.client.usecases import Usecase
    from encore.service.metadata import Metadata
    from encore.service.places import Place
    from encore.service.server.application import create_app
    from encore.service.server.permissions import Authority, Grant, Verifier
    from encore.service.server.running import served
    from encore.service.server.settings import Limits, UsecaseRules
    from encore.service.server.signed import PublicKey, SignedTokens
    from encore.service.server.tokens import StaticTokens
    from encore.service.store import ServiceStore
    from encore.storage.wrappers.lifetimes import TimeToIdle, TimeToLive
    from encore.storage.wrappers.metrics import MetricsBackend, NoOpMetricsBackend

_HOMES = {
    "Authority": "encore.service.server.permissions",
    "Client": "encore.service.client.client",
    "CompletePart": "encore.service.client.multipart",
    "GetResult": "encore.service.client.receiving",
    "Grant": "encore.service.server.permissions",
    "Limits": "encore.service.server.settings",
    "Measured": "encore.service.client.measuring",
    "Metadata": "encore.service.metadata",
    "MetricsBackend": "encore.storage.wrappers.metrics",
    "MultipartUpload": "encore.service.client.multipart",
    "NoOpMetricsBackend": "encore.storage.wrappers.metrics",
    "NotAllowed": "encore.service.client.failures",
    "ObjectChanged": "encore.service.client.failures",
    "ObjectNotFound": "encore.service.client.failures",
    "PartInfo": "encore.service.client.multipart",
    "Place": "encore.service.places",
    "PublicKey": "encore.service.server.signed",
    "RequestError": "encore.errors",
    "SecretKey": "encore.service.client.signing",
    "ServiceStore": "encore.service.store",
    "Session": "encore.service.client.session",
    "SignedTokens": "encore.service.server.signed",
    "StaticTokens": "encore.service.server.tokens",
    "TimeToIdle": "encore.storage.wrappers.lifetimes",
    "TimeToLive": "encore.storage.wrappers.lifetimes",
    "TokenSource": "encore.service.client.asking",
    "Usecase": "encore.service.client.usecases",
    "UsecaseRules": "encore.service.server.settings",
    "Verifier": "encore.service.server.permissions",
    "create_app": "encore.service.server.application",
    "measure_storage_operation": "encore.service.client.measuring",
    "served": "encore.service.server.running",
}

__all__ = [
    "Authority",
    "Client",
    "CompletePart",
    "GetResult",
    "Grant",
    "Limits",
    "Measured",
    "Metadata",
    "MetricsBackend",
    "MultipartUpload",
    "NoOpMetricsBackend",
    "NotAllowed",
    "ObjectChanged",
    "ObjectNotFound",
    "PartInfo",
    "Place",
    "PublicKey",
    "RequestError",
    "SecretKey",
    "ServiceStore",
    "Session",
    "SignedTokens",
    "StaticTokens",
    "TimeToIdle",
    "TimeToLive",
    "TokenSource",
    "Usecase",
    "UsecaseRules",
    "Verifier",
    "create_app",
    "measure_storage_operation",
    "served",
]


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
