"""Making obstore's client from what a user says, and saying where it leads without a secret.

Only this subpackage imports this module.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from encore.errors import ConfigError
from encore.storage.backends.bucket.client import load_obstore
from encore.storage.backends.bucket.names import is_plain

__all__ = [
    "checked_prefix",
    "from_address",
    "identity",
    "is_surely_ordered",
    "make_s3",
    "place_of",
]

_MOST_PREFIX_BYTES = 256
_CONNECT_SECONDS = 5.0
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
#: S3 Express lists its directory buckets in no order.
_UNORDERED_SUFFIX = "--x-s3"


def make_s3(
    bucket_name: str,
    endpoint_url: str | None,
    access_key: str | None,
    secret_key: str | None,
    region: str | None,
    *,
    request_timeout: float,
    retries: int,
) -> Any:
    """Return an S3 client; what is None comes from the environment, as obstore reads it."""
    given = {
        "endpoint": endpoint_url,
        "access_key_id": access_key,
        "secret_access_key": secret_key,
        "region": region,
    }
    config = {name: value for name, value in given.items() if value is not None}
    endpoint = endpoint_url or _endpoint_in_environment()
    store = load_obstore().store
    return _made(
        lambda: store.S3Store(
            bucket_name,
            config=config,
            client_options=_client_options(endpoint, request_timeout),
            retry_config=_retry_config(request_timeout, retries),
        )
    )


def from_address(address: str, *, request_timeout: float, retries: int) -> Any:
    """Return a client for ``gs://`` or ``az://``, with credentials from the environment."""
    store = load_obstore().store
    return _made(
        lambda: store.from_url(
            address,
            client_options=_client_options(None, request_timeout),
            retry_config=_retry_config(request_timeout, retries),
        )
    )


def checked_prefix(prefix: str) -> str:
    """Return a prefix as names begin with it: ``""``, or ending in ``/``.

    Raises
    ------
    ValueError
        It is no beginning of names.
    """
    stripped = prefix.strip("/")
    if not stripped:
        return ""
    if not is_plain(stripped) or len(stripped.encode()) > _MOST_PREFIX_BYTES:
        raise ValueError(
            f"{prefix!r} is no prefix for objects: it has names between single slashes, none of "
            f"them '.', '..' or '.encore', no control characters, and at most "
            f"{_MOST_PREFIX_BYTES} bytes"
        )
    return f"{stripped}/"


def place_of(client: Any, bucket_name: str) -> str:
    """Name a bucket for people."""
    config = getattr(client, "config", None) or {}
    endpoint = config.get("endpoint") or config.get("aws_endpoint_url_s3")
    if endpoint is None and _is_s3(client):
        endpoint = _endpoint_in_environment()
    where = "" if endpoint is None else f" at {_without_secrets(endpoint)}"
    return f"bucket {bucket_name!r}{where}"


def identity(client: Any, bucket_name: str) -> str | None:
    """What tells one bucket from others in this process; None where nothing is sure to."""
    config = getattr(client, "config", None)
    return None if config is None else f"{type(client).__name__} {place_of(client, bucket_name)}"


def is_surely_ordered(client: Any, bucket_name: str) -> bool:
    """Whether the service is known to list in the order of bytes, without trying."""
    kind = type(client).__name__
    if kind == "S3Store":
        config = client.config
        elsewhere = config.get("endpoint") or _endpoint_in_environment()
        return elsewhere is None and not bucket_name.endswith(_UNORDERED_SUFFIX)
    return kind in ("GCSStore", "MemoryStore")


def _is_s3(client: Any) -> bool:
    return type(client).__name__ == "S3Store"


def _endpoint_in_environment() -> str | None:
    return next(filter(None, map(os.environ.get, _ENDPOINTS)), None)


def _without_secrets(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")


def _client_options(endpoint: str | None, request_timeout: float) -> dict[str, Any]:
    # The time limit of obstore is for all of a request, however much data it moves; what is wanted
    # is one for a server that says nothing.
    return {
        "allow_http": (endpoint or "").startswith("http://"),
        "connect_timeout": timedelta(seconds=min(_CONNECT_SECONDS, request_timeout)),
        "read_timeout": timedelta(seconds=request_timeout),
        "timeout": timedelta(days=1),
    }


def _retry_config(request_timeout: float, retries: int) -> dict[str, Any]:
    return {"max_retries": retries, "retry_timeout": timedelta(seconds=request_timeout)}


def _made(make: Any) -> Any:
    try:
        return make()
    except Exception as error:  # obstore's own classes, which only it can name
        raise ConfigError(f"no client for the bucket can be made: {error}") from error
