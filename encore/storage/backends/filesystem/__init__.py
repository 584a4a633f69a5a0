"""A directory of files as a store.

``store``       the store: hooks of the template in terms of a directory
``engine``      what of it is not about keys: opening, closing, taking turns, errors
``opening``     what is held while it is open, and how writers take turns
``own``         its own folder ``.encore``
``formats``     which format a directory has
``reading``     which version is there, without a lock
``writing``     data on its way in
``committing``  from a batch to the tree
``journal``     several keys as one act
``publishing``  one key as one act
``sidecars``    metadata beside the data, and why it never belongs to another version
``records``     what a sidecar says, on one line for each version
``alone``       the short way for a single write
``checking``    what is wrong with a directory
``keeping``     versions that a history keeps
``lasting``     and those that are there after a restart
``logfile``     a file of records that only grows
``session``     temporary files
``layout``      where the file of a key is
``folders``     places in open directories
``placing``     room for a file that is to come
``locking``     one writer at a time
``contents``    the data of values
``failures``    what the system's errors mean here
``system``      system calls relative to an open directory
"""

from encore.storage.backends.filesystem.store import FilesystemStore

__all__ = ["FilesystemStore"]
