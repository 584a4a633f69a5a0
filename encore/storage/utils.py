"""The documented door to what accompanies stores; it defines nothing."""

from __future__ import annotations

from encore.storage.progress import StoreProgressManager
from encore.storage.transactions.contexts import DummyTransactionContext, SimpleTransactionContext
from encore.streams import BufferIteratorIO, buffer_iterator, tee

__all__ = [
    "BufferIteratorIO",
    "DummyTransactionContext",
    "SimpleTransactionContext",
    "StoreProgressManager",
    "buffer_iterator",
    "tee",
]
