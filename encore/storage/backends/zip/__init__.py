"""A zip archive as a store.

``store``       the store: hooks of the template in terms of an archive and its side-car
``writing``     what of it writes: taking turns, data on its way in, commits, folding
``engine``      what of it is not about keys: opening and closing

``archives``    one version of the archive
``directory``   its central directory
``endings``     where that is
``headers``     the structures of a zip file
``records``     the same, written
``stamps``      dates
``marks``       metadata, in an extra field of each entry
``contents``    the data of values
``cursors``     reading it, and telling damage
``unpacking``   decompressing
``packing``     compressing

``sidecars``    the directory beside the archive, where changes wait
``changes``     their log
``frames``      what stands in it
``spools``      data on its way in
``views``       the archive, and over it the changes
``watching``    which view holds now, without a lock
``committing``  from a batch to the log
``folding``     from the log into the archive
``extents``     what of the archive stays, and where that is

``checking``    what is wrong with an archive
``recovery``    what can be saved of a broken archive
``searching``   finding it
``handles``     open files
``failures``    what the system's errors mean here
"""

from encore.storage.backends.zip.recovery import Recovery
from encore.storage.backends.zip.store import ZipStore

__all__ = ["Recovery", "ZipStore"]
