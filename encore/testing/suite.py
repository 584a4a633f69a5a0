"""The conformance suite: everything that every store promises, as one class of tests.

::

    from encore.testing.suite import StoreConformance

    class TestMyStore(StoreConformance):
        @pytest.fixture
        def store(self, tmp_path):
            store = MyStore(tmp_path / "data")
            yield store
            store.close()

        def reopen(self, store):
            return MyStore(store.path)

What a store says in ``info()`` that it cannot do is skipped, with a reason. Nothing else is: a
store that claims transactions is held to all of them.
"""

from __future__ import annotations

from encore.testing.answers import AnswerLaws
from encore.testing.checking import CheckingLaws
from encore.testing.closing import ClosingLaws
from encore.testing.data import DataLaws
from encore.testing.events import EventLaws
from encore.testing.failures import CancelLaws, FailingSourceLaws
from encore.testing.hooks import HookLaws
from encore.testing.keys import KeyLaws
from encore.testing.listing import ListingLaws
from encore.testing.metadata import MetadataLaws
from encore.testing.reading import ReadingLaws
from encore.testing.searching import QueryLaws
from encore.testing.several import SeveralLaws
from encore.testing.tasks import TaskLaws
from encore.testing.threads import ThreadLaws
from encore.testing.transaction_events import TransactionEventLaws
from encore.testing.transactions import TransactionLaws
from encore.testing.values import ValueLaws
from encore.testing.writing import WritingLaws

__all__ = ["StoreConformance"]


class StoreConformance(
    KeyLaws,
    ReadingLaws,
    DataLaws,
    WritingLaws,
    SeveralLaws,
    MetadataLaws,
    ListingLaws,
    QueryLaws,
    ValueLaws,
    FailingSourceLaws,
    CancelLaws,
    TransactionLaws,
    HookLaws,
    ThreadLaws,
    TaskLaws,
    EventLaws,
    TransactionEventLaws,
    AnswerLaws,
    CheckingLaws,
    ClosingLaws,
):
    """Subclass it, supply the fixture ``store``, and where there is one `reopen`."""
