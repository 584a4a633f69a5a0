"""The conformance suite, shipped for authors of other stores.

``suite``    ``StoreConformance``, a class of tests to subclass: everything a store promises
``readonly`` the same for stores that are opened for reading
``machine``  random programs, played against a plain dictionary

Each group of laws has a module of its own; ``laws`` is what they build on, ``verbs`` and
``sources`` are what they play with. The suite needs pytest, the machine hypothesis; nothing
is imported before it is asked for. Only tests import this package. Call
``pytest.register_assert_rewrite("encore.testing")`` before the first import of it to have failed
assertions explained.
"""
