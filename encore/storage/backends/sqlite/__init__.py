"""One file, one document: the embedded default.

``store``        the store
``large``        large data in the same file: reading, writing, publishing
``records``      the store without large data; ``hashdir`` puts it elsewhere
``transacting``  the transactions it stands on
``engine``       the file and the connections those stand on
``statements``   constant SQL texts, and the formats of files
``connections``  how a connection is opened, and kept one per thread
``document``     creating and checking the file
``chunks``       the rows of large data, and snapshots
``checking``     what is wrong with a file
``staging``      which of them no key points at yet, and who writes them
``bulk``         many small values with few calls
``searching``    metadata queries
``failures``     what the engine's errors mean here
"""

from encore.storage.backends.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
