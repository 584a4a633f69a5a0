"""Asynchronous names of the stores that hold bytes: each takes what its store takes.

Anybody may import what is public here from the face of the room.
"""

from __future__ import annotations

from encore.aio.making import face_of
from encore.storage.backends.filesystem import FilesystemStore
from encore.storage.backends.hashdir import HashdirStore
from encore.storage.backends.http import DynamicURLStore, HttpStore, StaticURLStore
from encore.storage.backends.memory import DictStore
from encore.storage.backends.null import NullStore
from encore.storage.backends.sqlite import SqliteStore
from encore.storage.backends.zip import ZipStore

AsyncDictStore = face_of(DictStore)
AsyncDynamicURLStore = face_of(DynamicURLStore)
AsyncFilesystemStore = face_of(FilesystemStore)
AsyncHashdirStore = face_of(HashdirStore)
AsyncHttpStore = face_of(HttpStore)
AsyncNullStore = face_of(NullStore)
AsyncSqliteStore = face_of(SqliteStore)
AsyncStaticURLStore = face_of(StaticURLStore)
AsyncZipStore = face_of(ZipStore)
