"""Immutable files under hashed directories, and their records in an SQLite index.

``store``     the store: opening, and what its options mean
``plain``     files of other programs: read at once, adopted on request
``files``     data in files, on its way in, and what goes with a transaction
``reading``   from a record to its file; everything else is ``sqlite``'s
``versions``  what a transaction holds of files
``writing``   data on its way in, and the list by which the files of the dead are found
``tree``      where the file of a key is: system calls below one open directory
``index``     the format of the index
``checking``  whether the index and the files agree
"""

from encore.storage.backends.hashdir.store import HashdirStore

__all__ = ["HashdirStore"]
