"""Transactional, event-driven key-value stores for desktop scientific applications."""

# How this house is laid out
# --------------------------
# errors          every exception
#   first floor: pure parts, ignorant of stores and of each other
# events          who said what to whom
# streams         bytes in motion
# keys            strings to strings
#   second floor
# storage         the stores, their transactions, copying between them
#   on its stairs
# aio             their asynchronous faces
#   third floor: built from stores; none imports another
# config          stores from addresses such as "sqlite:project.db"
# terminal        progress bars
# testing         the conformance suite, for authors of other stores
# history         undo and redo
#   fourth floor
# adapters        encore in the terms of other libraries: Qt
# service         stores over HTTP: an object service, and its client
#   roof
# cli             the `encore` command
# examples        applications to run, read and copy from
#
# Imports point down only, and never to a neighbour on the same floor.

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from encore.config import open_store
    from encore.storage.transactions.several import transaction

__all__ = ["__version__", "open_store", "transaction"]

__version__ = "1.0.0.dev0"


def __getattr__(name: str) -> Any:
    # Loaded on first use: `import encore` stays cheap for programs that use one corner of it.
    if name == "open_store":
        from encore.config import open_store

        return open_store
    if name == "transaction":
        from encore.storage.transactions.several import transaction

        return transaction
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
