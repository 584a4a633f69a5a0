"""One file, one document: the embedded default.

``store``        the store, a thin layer over constant SQL texts
``statements``   those texts, and the format of the file
``connections``  how a connection is opened, and kept one per thread
``document``     creating and checking the file
``chunks``       values too large for a row
``searching``    metadata queries
``failures``     what the engine's errors mean here
"""

from encore.storage.backends.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
