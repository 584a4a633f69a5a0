"""Stores from addresses: ``s3://BUCKET/PREFIX``, and the same for ``gs`` and ``az``.

Credentials never stand in an address, because addresses are shown, kept in shells and in files:
they come from the environment, as obstore reads it, or as options.

``config`` reaches these functions by their names.
"""

from __future__ import annotations

from typing import Any

from encore.errors import ConfigError
from encore.events.abstract_event_manager import BaseEventManager
from encore.storage.backends.bucket.engine import PART
from encore.storage.backends.bucket.opening import from_address
from encore.storage.backends.bucket.store import BucketStore

__all__ = ["open_az", "open_gs", "open_s3"]


def open_s3(
    address: str,
    *,
    endpoint_url: str | None = None,
    s3_access_key: str | None = None,
    s3_secret_key: str | None = None,
    region: str | None = None,
    readonly: bool = False,
    part_size: int = PART,
    request_timeout: float = 30.0,
    retries: int = 3,
    event_manager: BaseEventManager | None = None,
    timeout: float = 5.0,
) -> BucketStore:
    """Return the store at ``s3:`` and what follows."""
    bucket, prefix = _split("s3", address)
    return BucketStore(
        bucket,
        endpoint_url,
        s3_access_key,
        s3_secret_key,
        region,
        prefix,
        readonly=readonly,
        part_size=part_size,
        request_timeout=request_timeout,
        retries=retries,
        event_manager=event_manager,
        timeout=timeout,
    )


def open_gs(
    address: str,
    *,
    readonly: bool = False,
    part_size: int = PART,
    request_timeout: float = 30.0,
    retries: int = 3,
    event_manager: BaseEventManager | None = None,
    timeout: float = 5.0,
) -> BucketStore:
    """Return the store at ``gs:`` and what follows, in Google Cloud Storage."""
    bucket, prefix = _split("gs", address)
    client = from_address(f"gs://{bucket}", request_timeout=request_timeout, retries=retries)
    return _over(client, bucket, prefix, readonly, part_size, event_manager, timeout)


def open_az(
    address: str,
    *,
    readonly: bool = False,
    part_size: int = PART,
    request_timeout: float = 30.0,
    retries: int = 3,
    event_manager: BaseEventManager | None = None,
    timeout: float = 5.0,
) -> BucketStore:
    """Return the store at ``az:`` and what follows, in Azure Blob Storage."""
    container, prefix = _split("az", address)
    client = from_address(f"az://{container}", request_timeout=request_timeout, retries=retries)
    return _over(client, container, prefix, readonly, part_size, event_manager, timeout)


def _over(
    client: Any,
    bucket: str,
    prefix: str,
    readonly: bool,
    part_size: int,
    event_manager: BaseEventManager | None,
    timeout: float,
) -> BucketStore:
    return BucketStore(
        bucket,
        prefix=prefix,
        client=client,
        readonly=readonly,
        part_size=part_size,
        event_manager=event_manager,
        timeout=timeout,
    )


def _split(scheme: str, address: str) -> tuple[str, str]:
    """Return bucket and prefix of what stands behind the colon."""
    form = f"{scheme}://BUCKET/PREFIX"
    if any(mark in address for mark in "@?#"):
        # It may be a password: it is not repeated.
        raise ConfigError(
            f"an address {form} has neither credentials nor a query: they come from the "
            "environment or as options"
        )
    bucket, _, prefix = address[2:].partition("/")
    if not address.startswith("//") or not bucket:
        raise ConfigError(f"the address of a bucket is {form}, not '{scheme}:{address}'")
    return bucket, prefix
