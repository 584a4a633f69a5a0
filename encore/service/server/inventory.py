"""What there is: the places that hold objects, and how much each of them holds, over time.

People look at this, and look again every few seconds. So neither answer reads everything: the walk
over places skips what is in them, and a count that took long is not made again soon. Handlers,
which ``routes`` knows; ``service`` keeps the counts.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, NamedTuple

from encore.service.places import Place, check_usecase, parse_scopes
from encore.service.server.exchange import Reply, Request, json_reply
from encore.service.server.listing import values_of
from encore.service.server.permissions import READ, Grant
from encore.service.server.service import Located, Service

__all__ = ["Inventory", "count_objects", "list_places"]

_MOST_PLACES = 1000
_MOST_LOOKED_AT = 20_000
_MOST_COUNTED = 100_000
_MOST_SAMPLES = 512
_MOST_KNOWN = 256
_REST = 20  # a count is made again after so many times as long as it took
_LEAST_REST_SECONDS = 0.5


# -- places ---------------------------------------------------------------------------------------


def list_places(service: Service, request: Request) -> Reply:
    """Return the places that hold objects, of those that whoever asks may read."""
    grant = None if service.authority is None else service.authority.grant(request)
    after = request.parameters.get("start_after")
    found = [] if after is not None else _fixed_places(service, grant)
    more = False
    for count, step in enumerate(_walked(service, grant, after)):
        after, place = step
        if place is not None and _may_read(grant, place) and place not in found:
            found.append(place)
        if len(found) >= _MOST_PLACES or count >= _MOST_LOOKED_AT:
            more = True
            break
    document: dict[str, Any] = {
        "places": [{"usecase": place.usecase, "scopes": place.scopes_text} for place in found],
        "more": more,
    }
    if more:
        document["start_after"] = after
    return json_reply(200, document)


def _may_read(grant: Grant | None, place: Place) -> bool:
    return grant is None or grant.covers(place, READ)


def _fixed_places(service: Service, grant: Grant | None) -> list[Place]:
    """Places that are there without an object: those with a prefix, and what a token is for."""
    named = service.rules.named
    found = [Place(name) for name, rules in named.items() if rules.prefix is not None]
    if grant is not None and grant.scopes is not None:
        own = Place(grant.usecase, grant.scopes)
        rules = service.rules.of(own.usecase)
        if "*" not in (own.usecase, *dict(own.scopes).values()) and rules is not None:
            found.append(own)
    return [place for place in dict.fromkeys(found) if _may_read(grant, place)]


def _walked(
    service: Service, grant: Grant | None, after: str | None
) -> Iterator[tuple[str, Place | None]]:
    """The places that keys are in, and for each step after what the walk goes on.

    ``"0"`` is the character after ``"/"``: behind ``"a/b0"`` nothing begins with ``"a/b/"``.
    """
    prefix = "" if grant is None or grant.usecase == "*" else f"{grant.usecase}/"
    while True:
        for key in service.store.every_key(prefix, after):
            usecase, has_scopes, rest = key.partition("/")
            scopes, has_key, _ = rest.partition("/")
            if has_scopes and not _is_served(service, usecase):
                after, place = f"{usecase}0", None
            elif has_key:
                after, place = f"{usecase}/{scopes}0", _place(usecase, scopes)
            else:
                yield key, None  # too short for an object
                continue
            yield after, place
            break
        else:
            return


def _is_served(service: Service, usecase: str) -> bool:
    """Whether keys that begin so are objects of a usecase of this name."""
    try:
        rules = service.rules.of(check_usecase(usecase))
    except ValueError:
        return False
    return rules is not None and rules.prefix is None


def _place(usecase: str, scopes: str) -> Place | None:
    try:
        return Place(usecase, parse_scopes(scopes))
    except ValueError:
        return None


# -- how much there is ----------------------------------------------------------------------------


class _Sample(NamedTuple):
    """How much a place held at a moment."""

    at: float  # seconds since the epoch
    objects: int
    size: int
    is_whole: bool  # False: there is more, which has not been counted


class _Counts:
    """What is known of one place."""

    def __init__(self) -> None:
        self.counting = threading.Lock()
        self.samples: list[_Sample] = []
        self.again_at = 0.0

    def add(self, sample: _Sample) -> None:
        """Note a sample; where nothing changes two of them are enough, the first and the last."""
        samples = self.samples
        if len(samples) > 1 and samples[-1][1:] == samples[-2][1:] == sample[1:]:
            samples[-1] = sample
            return
        samples.append(sample)
        if len(samples) > _MOST_SAMPLES:
            del samples[1 : _MOST_SAMPLES // 2 : 2]  # what is long ago is kept more coarsely


class Inventory:
    """How much places hold, and held when somebody asked before.

    Notes
    -----
    *Threads*: any. Who asks while a place is being counted is told what was known before.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[str, _Counts] = OrderedDict()
        self._lock = threading.Lock()

    def samples(self, service: Service, at: Located) -> list[_Sample]:
        """Return what is known of a place, counting if that is due; at least one sample."""
        counts = self._counts(at.prefix)
        if counts.samples and time.monotonic() < counts.again_at:
            return [*counts.samples]
        if counts.counting.acquire(blocking=not counts.samples):
            try:
                if time.monotonic() >= counts.again_at:
                    began = time.monotonic()
                    counts.add(_counted(service, at))
                    ended = time.monotonic()
                    rest = max(_LEAST_REST_SECONDS, _REST * (ended - began))
                    counts.again_at = ended + rest
            finally:
                counts.counting.release()
        return [*counts.samples]

    def _counts(self, prefix: str) -> _Counts:
        with self._lock:
            found = self._known.setdefault(prefix, _Counts())
            self._known.move_to_end(prefix)
            if len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
            return found


def _counted(service: Service, at: Located) -> _Sample:
    objects = size = 0
    is_whole = True
    for count, (_, value) in enumerate(values_of(service, at)):
        if count >= _MOST_COUNTED:
            is_whole = False
            break
        if value is not None:
            objects += 1
            size += value.size or 0
    return _Sample(service.store.clock(), objects, size, is_whole)


def count_objects(service: Service, request: Request, at: Located) -> Reply:
    """Return how much a place holds, and held at the moments when somebody asked before."""
    samples = service.inventory.samples(service, at)
    last = samples[-1]
    return json_reply(
        200,
        {
            "objects": last.objects,
            "bytes": last.size,
            "whole": last.is_whole,
            "history": [[round(one.at, 3), one.objects, one.size] for one in samples],
        },
    )
