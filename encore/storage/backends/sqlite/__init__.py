"""One file, one document: the embedded default.

``store``        reading and writing, a thin layer over constant SQL texts
``engine``       the file, the connections and the transactions it stands on
``statements``   those texts, and the format of the file
``connections``  how a connection is opened, and kept one per thread
``document``     creating and checking the file
``chunks``       the rows of values too large for one, and snapshots
``large``        reading and writing such values
``bulk``         many small values with few calls
``searching``    metadata queries
``failures``     what the engine's errors mean here
"""

from encore.storage.backends.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
