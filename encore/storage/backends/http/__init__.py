"""Stores behind HTTP.

`HttpStore` and `StaticURLStore` read what any web server offers; `DynamicURLStore` reads and
writes, over a protocol of its own. Each is a thin layer over the same careful client:

==============  ================================================================================
``urls``        which addresses are taken, how a key becomes a path, what may be shown
``policy``      time limits, repetitions
``headers``     versions, parts, metadata
``decoding``    compressed bodies, undone within limits
``failures``    errors that give no secret away
``transport``   one request, one response; the only module that touches `requests`
``answers``     bodies, checked while they are read
``client``      redirects, repetitions, credentials
``contents``    the data of values, in parts of one version
``spooling``    data in temporary files
``documents``   JSON from a server, judged
``serving``     what the read-only stores share
``keyed``       `HttpStore`
``index``       the index of a static site
``polling``     a thread that looks again from time to time
``static``      `StaticURLStore`
``records``     keys, versions and records on the wire
``protocol``    requests and answers of the protocol
``committing``  a batch, key by key
``granting``    the verbs of permissions
``dynamic``     `DynamicURLStore`
==============  ================================================================================
"""

from __future__ import annotations

from encore.storage.backends.http.dynamic import DynamicURLStore
from encore.storage.backends.http.keyed import HttpStore
from encore.storage.backends.http.policy import Retries
from encore.storage.backends.http.static import StaticURLStore

__all__ = ["DynamicURLStore", "HttpStore", "Retries", "StaticURLStore"]
