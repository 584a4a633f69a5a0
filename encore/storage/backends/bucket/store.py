"""The store, and what it offers beyond the contract.

Only the face of this subpackage imports this module.
"""

from __future__ import annotations

from encore.errors import ReadOnlyError
from encore.keys.rules import check_key
from encore.storage.backends.bucket.changing import ChangingStore
from encore.storage.backends.bucket.names import name_of

_WEEK_SECONDS = 604800.0  # how long a signed URL can be good at most


class BucketStore(ChangingStore):
    """The objects of an S3 bucket: the key ``a/b.txt`` is the object ``a/b.txt``.

    A bucket that others fill is a store as it stands. Metadata is user metadata of the objects;
    what does not fit there, and objects for keys that cannot be names, are under ``.encore/``.

    Parameters
    ----------
    bucket_name : str
    endpoint_url : str, optional
        For servers other than Amazon's: ``"http://127.0.0.1:8333"``.
    s3_access_key, s3_secret_key, region : str, optional
        Without them obstore takes those of the environment (``AWS_ACCESS_KEY_ID`` and so on) or of
        the machine.
    prefix : str, optional
        Use the objects below it only, and leave it out of the keys.
    client : obstore store, optional
        Instead of an S3 client: ``S3Store``, ``GCSStore``, ``AzureStore``, ``LocalStore``,
        ``MemoryStore``, made as obstore has it. ``bucket_name`` is then only for people.
    readonly : bool, optional
        Refuse every write.
    part_size : int, optional
        Bytes of one part of an upload; 10,000 parts are the largest value.
    request_timeout : float, optional
        Seconds for a server that says nothing, and for trying again.
    retries : int, optional
        How often to try again.
    event_manager, timeout
        See `Store`.

    Raises
    ------
    AuthorizationError
        The credentials do not allow it.
    StoreError
        There is no such bucket, or nobody answers.

    Notes
    -----
    Each key is replaced in one step, data and metadata together. A transaction of several keys is
    not: its writes are collected, and made one after the other or side by side when it commits.
    Others may see some of them new and some old, and a failure in between can leave it so;
    ``StoreError.changed`` then says which keys. Nothing keeps other programs from writing
    meanwhile: the last write counts, except with ``if_absent`` and ``if_token``.

    A value of more than 4 MiB is read when it is read. If somebody has replaced it by then, that
    is a `ConflictError`, unless the bucket keeps versions.

    *Threads*: reads never wait. One thread writes at a time. A process that is forked after the
    first use cannot use it.
    """

    def presigned_get(self, key: str, expiry: float = 3600) -> str:
        """Return a URL with which anybody can read the data of a key for a while.

        Parameters
        ----------
        key : str
            Whether it is there is not looked at.
        expiry : float, optional
            Seconds, a week at most.

        Raises
        ------
        UnsupportedError
            The service has no signed URLs.
        """
        return self._signed("GET", key, expiry)

    def presigned_put(self, key: str, expiry: float = 3600) -> str:
        """Return a URL with which anybody can write the data of a key for a while.

        What they write has no metadata, and no event tells of it. See `presigned_get`.
        """
        if self._readonly:
            raise ReadOnlyError(f"presigned_put: {self!r} was opened for reading only", store=self)
        return self._signed("PUT", key, expiry)

    def _signed(self, method: str, key: str, expiry: float) -> str:
        check_key(key)
        if not 0 < expiry <= _WEEK_SECONDS:
            raise ValueError(f"a signed URL is good for up to a week, not {expiry} seconds")
        return self._ready().client.sign(method, name_of(key), expiry)
