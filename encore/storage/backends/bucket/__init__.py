"""A bucket of objects as a store.

``store``     the store, and what it offers beyond the contract
``changing``  its writing half: what a change is, and in which step it is made
``finding``   its reading half
``engine``    what of it is not about keys: opening, closing, taking turns
``changes``   what a commit does, key by key
``writing``   from a batch to the bucket, object by object
``placing``   one value to its place
``reading``   values as they are in the bucket
``listing``   listings in the order of the keys, whatever the order of the server
``probing``   what a service can do
``records``   what is kept of a value beside its bytes
``contents``  the data of values
``names``     a key <-> the name of its object
``addresses`` stores from addresses
``opening``   making obstore's client, and naming a bucket
``client``    obstore, and nobody else knows it
``failures``  what its errors mean here
"""

from encore.storage.backends.bucket.store import BucketStore

__all__ = ["BucketStore"]
