"""The steps of all ledgers of a history as one line.

Most histories have one store, and one ledger. Where a step changed several stores, each ledger has
its part under the same id. ``history`` and ``recorder`` import this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from encore.history.ledger import Ledger
from encore.history.steps import LOST, State, Summary

_END = 1 << 62


class Timeline:
    """The steps of several ledgers, in order.

    Parameters
    ----------
    ledgers : sequence of Ledger
    limit : int or None
        How many steps there are to be. A ledger may have a few more, since it is cheaper to drop
        several old ones at once; nobody is shown them, then or when others have gone.
    """

    def __init__(self, ledgers: Sequence[Ledger], limit: int | None) -> None:
        self.ledgers = ledgers
        self._limit = limit

    def refresh(self) -> None:
        """Take notice of what other processes have done."""
        for ledger in self.ledgers:
            ledger.refresh()

    @property
    def state(self) -> State:
        """Where the history stands."""
        state = self._state()
        hidden = self._hidden(self.all(), state.base)
        if not hidden:
            return state
        base = max(hidden[-1].id, state.base)
        is_lost = state.saved is not None and state.saved < base
        return state._replace(base=base, saved=LOST if is_lost else state.saved)

    def _hidden(self, steps: list[Summary], base: int) -> list[Summary]:
        """The oldest steps, of which nobody is to know."""
        count = 0 if self._limit is None else max(len(steps) - self._limit, 0)
        while count < len(steps) and steps[count].id <= base:
            count += 1
        return steps[:count]

    def _state(self) -> State:
        if len(self.ledgers) == 1:
            return self.ledgers[0].state
        states = [ledger.state for ledger in self.ledgers]
        saved = {state.saved for state in states}
        last = self._last_done()
        undone = (step for ledger in self.ledgers for step in ledger.steps if step > last)
        return State(
            undone=min(undone, default=0),
            base=max(state.base for state in states),
            saved=saved.pop() if len(saved) == 1 else LOST,
            fence=max(state.fence for state in states),
            last=max(state.last for state in states),
        )

    def summaries(self) -> list[Summary]:
        """All steps, oldest first."""
        steps = self.all()
        return steps[len(self._hidden(steps, self._state().base)) :]

    def all(self) -> list[Summary]:
        """All steps that the ledgers have."""
        if len(self.ledgers) == 1:
            return list(self.ledgers[0].steps.values())
        parts = sorted(
            (summary for ledger in self.ledgers for summary in self._valid(ledger)),
            key=lambda summary: summary.id,
        )
        return [_joined(list(group)) for _, group in groupby(parts, key=lambda part: part.id)]

    def _valid(self, ledger: Ledger) -> list[Summary]:
        stale = self.stale(ledger)
        return [summary for summary in ledger.steps.values() if summary.id not in stale]

    def _last_done(self) -> int:
        """The id of the last step that is done in a store."""
        done = (step for ledger in self.ledgers for step in ledger.steps if ledger.is_done(step))
        return max(done, default=0)

    def stale(self, ledger: Ledger) -> list[int]:
        """The steps that are undone in one store while a later one is done in another.

        Those of a redo tail whose store was not written to when the tail went.
        """
        last = self._last_done()
        return [step for step in ledger.steps if step < last and not ledger.is_done(step)]

    def done(self) -> list[Summary]:
        """The steps that are done."""
        undone = self.state.undone or _END
        return [summary for summary in self.summaries() if summary.id < undone]

    def undone(self) -> list[Summary]:
        """The steps that are undone, the one to be redone first at the beginning."""
        undone = self.state.undone or _END
        return [summary for summary in self.summaries() if summary.id >= undone]

    def position(self) -> int:
        """The id of the last step that is done, or of the last that was dropped."""
        done = self.done()
        return done[-1].id if done else self.state.base

    def last_id(self) -> int:
        """The greatest id that a step has had."""
        return max(
            max(next(reversed(ledger.steps), 0), ledger.state.base, ledger.state.last)
            for ledger in self.ledgers
        )


def _joined(parts: list[Summary]) -> Summary:
    count, size = sum(part.key_count for part in parts), sum(part.size for part in parts)
    # A part that was not written to when the step was made larger does not know of it.
    return max(parts, key=lambda part: part.time)._replace(key_count=count, size=size)
