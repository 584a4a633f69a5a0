"""Whether what transactions have read and written can have happened one after the other.

Each version that is written names the one that it replaces, so the order of the versions of a key
is known. From it come the edges of a graph of transactions: whoever wrote a version comes before
those who read it and before whoever replaced it, and who read it before who replaced it. One that
ended before another began comes before that one too. The history is strictly serializable if, and
only if, nothing comes before itself. (A. Adya, *Weak Consistency*, MIT 1999; the graph of K.
Kingsbury and P. Alvaro, *Elle*, VLDB 2020, with versions that say what they replace.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

#: What is there before anybody writes.
FIRST = "first"


@dataclass
class Transaction:
    """What somebody did at once.

    Attributes
    ----------
    name : str
    begin, end : int
        Nanoseconds, of a clock that all share.
    reads : list of (key, version)
        Of versions that are not its own.
    writes : list of (key, version, replaced)
    """

    name: str
    begin: int
    end: int
    reads: list[tuple[str, str]] = field(default_factory=list)
    writes: list[tuple[str, str, str]] = field(default_factory=list)


def faults(history: list[Transaction], *, only_values: Iterable[str] = ()) -> list[str]:
    """Say what is wrong with a history; nothing if it is strictly serializable.

    Parameters
    ----------
    history : list of Transaction
        Those that were committed.
    only_values : iterable of str
        Transactions, by name, of which only the values that they saw count, not their order.
    """
    found: list[str] = []
    writer: dict[tuple[str, str], int] = {}
    following: dict[tuple[str, str], str] = {}
    for index, one in enumerate(history):
        for key, version, replaced in one.writes:
            writer[key, version] = index
            if (key, replaced) in following:
                other = history[writer[key, following[key, replaced]]].name
                found.append(f"lost update of {key!r}: {other} and {one.name} replace {replaced}")
            following[key, replaced] = version
    edges: dict[int, set[int]] = defaultdict(set)
    left_out = set(only_values)

    def add(before: int | None, after: int | None) -> None:
        if before is not None and after is not None and before != after:
            edges[before].add(after)

    for index, one in enumerate(history):
        seen = [*one.reads, *((key, replaced) for key, _, replaced in one.writes)]
        for key, version in seen:
            if version != FIRST and (key, version) not in writer:
                found.append(f"{one.name} saw {version} of {key!r}, which was never committed")
            if one.name in left_out:
                continue
            add(writer.get((key, version)), index)
            after = following.get((key, version))
            add(index, None if after is None else writer[key, after])
    _add_time(history, left_out, edges)
    found += [
        "a cycle of " + ", ".join(sorted(history[index].name for index in cycle)[:8])
        for cycle in _cycles(edges, len(history))
    ]
    return found


def _add_time(history: list[Transaction], left_out: set[str], edges: dict[int, set[int]]) -> None:
    """Who ended comes before who begins later, by way of a chain of moments."""
    moments = []
    for index, one in enumerate(history):
        if one.name not in left_out:
            moments += [(one.begin, 0, index), (one.end, 1, index)]
    moment = -1
    for number, (_, is_end, index) in enumerate(sorted(moments)):
        if is_end:
            new = len(history) + number  # a node of its own, and no transaction
            edges[index].add(new)
            if moment >= 0:
                edges[moment].add(new)
            moment = new
        elif moment >= 0:
            edges[moment].add(index)


def _cycles(edges: dict[int, set[int]], count: int) -> list[list[int]]:
    """The strongly connected components of more than one node (Tarjan), without recursion."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    on_stack: set[int] = set()
    stack: list[int] = []
    found = []
    for root in list(edges):
        if root in index:
            continue
        work = [(root, iter(edges.get(root, ())))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, following = work[-1]
            for after in following:
                if after not in index:
                    index[after] = low[after] = len(index)
                    stack.append(after)
                    on_stack.add(after)
                    work.append((after, iter(edges.get(after, ()))))
                    break
                if after in on_stack:
                    low[node] = min(low[node], index[after])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    component = []
                    while True:
                        member = stack.pop()
                        on_stack.discard(member)
                        component.append(member)
                        if member == node:
                            break
                    members = [member for member in component if member < count]
                    if len(members) > 1:
                        found.append(members)
    return found
