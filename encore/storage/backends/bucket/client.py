"""obstore on one bucket and prefix: the only module that knows obstore.

Names go in and come out relative to the prefix; errors come out as those of `failures`. Everything
blocks, and obstore's own threads do the network. Only this subpackage imports this module.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from encore.errors import StoreError, UnsupportedError
from encore.storage.backends.bucket.failures import ObjectMissing, translate

#: Requests at once, where there are several to make.
WORKERS = 8
_PAGE = 1000
_LISTED = 1000  # of a listing that obstore hands over at once

# obstore's threads do not survive a fork, and a call without them would wait for ever.
_process: int | None = None


def load_obstore() -> Any:
    """Import obstore, or say how to get it."""
    try:
        import obstore
    except ImportError as error:
        raise StoreError(
            'buckets need obstore, which is not installed: pip install "encore[bucket]"'
        ) from error
    return obstore


class Found(NamedTuple):
    """What a server says of an object without its data.

    Attributes
    ----------
    name : str
    size : int
        Bytes.
    etag, version : str or None
        What tells one version of it from another.
    modified : float
        Seconds since the epoch, UTC; full seconds on most servers.
    attributes : dict
        User metadata by lower-case name; empty in listings.
    """

    name: str
    size: int
    etag: str | None
    version: str | None
    modified: float
    attributes: dict[str, str]

    @property
    def condition(self) -> dict[str, str]:
        """What a conditional write of this version compares."""
        parts = {"e_tag": self.etag, "version": self.version}
        return {name: value for name, value in parts.items() if value is not None}


class Client:
    """The objects of one bucket below a prefix.

    Parameters
    ----------
    store : obstore store
    prefix : str
        ``""``, or what all names begin with, up to and with a ``/``.
    where : str
        The bucket for people; no secrets.

    Notes
    -----
    *Threads*: any number.
    """

    def __init__(self, store: Any, prefix: str, where: str) -> None:
        self._obstore = load_obstore()
        self._store = store
        self._prefix = prefix
        self.where = where
        self._pool: ThreadPoolExecutor | None = None
        self._starting = threading.Lock()

    def close(self) -> None:
        """End the threads that make several requests at once."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(cancel_futures=True)

    def let_go(self) -> None:
        """Forget what a fork has left behind."""
        self._pool = None
        self._starting = threading.Lock()

    @property
    def pool(self) -> ThreadPoolExecutor:
        """Threads for several requests at once."""
        with self._starting:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(WORKERS, "encore-bucket")
            return self._pool

    # -- reading ----------------------------------------------------------------------------------

    def head(self, name: str) -> Found | None:
        """Ask for an object; None if there is none."""
        try:
            return self.get(name, head=True)[0]
        except ObjectMissing:
            return None

    def get(self, name: str, **options: Any) -> tuple[Found, Any]:
        """Open an object for reading.

        Parameters
        ----------
        name : str
        **options
            As obstore has them: ``range``, ``if_match``, ``version``, ``head``.

        Raises
        ------
        ObjectMissing, ConditionFailed
        """
        with self._translated("get", name):
            result = self._obstore.get(self._store, self._prefix + name, options=options or None)
            attributes = {key.lower(): value for key, value in result.attributes.items()}
            return _found(result.meta, name, attributes), result

    def read(self, name: str, **options: Any) -> tuple[Found, bytes]:
        """Read an object, or a range of it, in one request."""
        found, result = self.get(name, **options)
        with self._translated("get", name):
            return found, bytes(result.bytes())

    def chunks(self, result: Any, name: str, size: int) -> Iterator[bytes]:
        """The data of an opened object, in pieces of up to ``size`` bytes."""
        with self._translated("get", name):
            for piece in result.stream(min(size, 1 << 20)):
                if len(piece) <= size:
                    yield bytes(piece)
                    continue
                view = memoryview(piece)
                for at in range(0, len(view), size):
                    yield bytes(view[at : at + size])

    def objects(self, folder: str, offset: str) -> Iterator[Found]:
        """The objects in a folder and below, in the order of the server, after a name."""
        cut = len(self._prefix)
        whole = self._prefix + folder
        with self._translated("list", folder):
            pages = self._obstore.list(
                self._store,
                whole.rstrip("/") or None,
                offset=self._prefix + offset if offset else None,
                chunk_size=_LISTED,
            )
            for page in pages:
                for meta in page:
                    yield _found(meta, meta["path"][cut:], {})

    def folder(self, folder: str) -> tuple[list[Found], list[str]]:
        """The objects of one folder, and the folders in it, each ending in ``/``."""
        cut = len(self._prefix)
        with self._translated("list", folder):
            whole = (self._prefix + folder).rstrip("/")
            result = self._obstore.list_with_delimiter(self._store, whole or None)
            objects = [_found(meta, meta["path"][cut:], {}) for meta in result["objects"]]
            return objects, [f"{path.rstrip('/')[cut:]}/" for path in result["common_prefixes"]]

    # -- writing ----------------------------------------------------------------------------------

    def put(
        self, name: str, data: bytes, attributes: dict[str, str], mode: Any = "overwrite"
    ) -> dict[str, str | None]:
        """Write an object in one request, and return what tells this version of it.

        Raises
        ------
        ConditionFailed
            ``mode`` is ``"create"`` and there is one, or a `Found.condition` and it is another.
        """
        with self._translated("put", name):
            return self._obstore.put(  # type: ignore[no-any-return]
                self._store,
                self._prefix + name,
                data,
                attributes=attributes or None,
                mode=mode,
                use_multipart=False,
            )

    def begin(self, name: str, attributes: dict[str, str], part_size: int) -> Sending:
        """Begin an object that appears when all of it has been sent and is finished."""
        with self._translated("put", name):
            writer = self._obstore.open_writer(
                self._store,
                self._prefix + name,
                attributes=attributes or None,
                buffer_size=part_size,
                max_concurrency=2,
            )
            return Sending(writer, lambda operation: self._translated(operation, name))

    def copy(self, source: str, target: str) -> None:
        """Copy an object with its attributes, within the server."""
        with self._translated("copy", source):
            self._obstore.copy(self._store, self._prefix + source, self._prefix + target)

    def delete(self, names: Iterable[str]) -> None:
        """Remove objects; it is fine if some are not there."""
        paths = [self._prefix + name for name in names]
        for at in range(0, len(paths), _PAGE):
            page = paths[at : at + _PAGE]
            try:
                with self._translated("delete", page[0]):
                    self._obstore.delete(self._store, page)
            except ObjectMissing:  # some services stop at what is not there
                for path in page:
                    with self._translated("delete", path, missing_ok=True):
                        self._obstore.delete(self._store, path)

    def sign(self, method: str, name: str, expiry: float) -> str:
        """Return a URL with which anybody may do one thing for a while."""
        try:
            with self._translated("sign", name):
                lifetime = timedelta(seconds=expiry)
                url: str = self._obstore.sign(self._store, method, self._prefix + name, lifetime)
                return url
        except (ValueError, TypeError) as error:
            raise UnsupportedError(f"{self.where} has no signed URLs") from error

    @contextmanager
    def _translated(self, operation: str, name: str, *, missing_ok: bool = False) -> Iterator[None]:
        global _process
        if _process is None:
            _process = os.getpid()
        elif _process != os.getpid():
            raise UnsupportedError(
                f"{operation} in {self.where}: obstore was in use before this process was forked, "
                "and its threads do not survive that. Start processes with 'spawn', or fork first"
            )
        try:
            yield
        except (self._obstore.exceptions.BaseError, OSError, NotImplementedError) as error:
            trouble = translate(error, operation, name, self.where)
            if missing_ok and isinstance(trouble, ObjectMissing):
                return
            raise trouble from error


class Sending:
    """An object on its way: on S3 a multipart upload."""

    __slots__ = ("_translated", "_writer")

    def __init__(self, writer: Any, translated: Callable[[str], Any]) -> None:
        self._writer = writer
        self._translated = translated

    def write(self, chunk: bytes) -> None:
        """Go on with it."""
        with self._translated("put"):
            self._writer.write(chunk)

    def finish(self) -> None:
        """Make it appear."""
        with self._translated("put"):
            self._writer.close()

    def abort(self) -> None:
        """Take away what has been sent; it is not to appear."""
        with self._translated("abort"):
            self._writer.__exit__(StoreError, StoreError("aborted"), None)


def _found(meta: Any, name: str, attributes: dict[str, str]) -> Found:
    modified: datetime = meta["last_modified"]
    return Found(
        name, meta["size"], meta["e_tag"], meta["version"], modified.timestamp(), attributes
    )
