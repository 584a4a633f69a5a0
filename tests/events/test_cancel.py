"""Tokens that ask an operation to stop."""

from __future__ import annotations

import gc
import threading

import pytest

from encore.errors import OperationCancelled, StoreError
from encore.events.api import CancelToken


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_token_is_quiet_until_cancelled():
    token = CancelToken()
    token.raise_if_cancelled()
    assert not token.cancelled
    token.cancel("enough")
    assert token.cancelled
    with pytest.raises(OperationCancelled, match="enough") as caught:
        token.raise_if_cancelled()
    assert not isinstance(caught.value, StoreError)


def test_first_reason_is_kept():
    token = CancelToken()
    token.cancel("first")
    token.cancel("second")
    assert token.reason == "first"


def test_cancelling_goes_down_and_not_up():
    top, side = CancelToken(), CancelToken()
    middle = CancelToken(parent=(top, side))
    bottom = CancelToken(parent=middle)
    bottom.cancel()
    assert [t.cancelled for t in (top, side, middle, bottom)] == [False, False, False, True]
    sibling = CancelToken(parent=middle)
    side.cancel("why")
    assert [t.cancelled for t in (top, side, middle, sibling)] == [False, True, True, True]
    assert sibling.reason == "why"


def test_child_of_a_cancelled_token_is_cancelled():
    top = CancelToken()
    top.cancel("early")
    assert CancelToken(parent=top).reason == "early"


def test_chain_holds_though_only_its_ends_are_kept():
    top = CancelToken()
    bottom = CancelToken(parent=CancelToken(parent=top))
    gc.collect()
    top.cancel()
    assert bottom.cancelled


def test_token_counts_as_cancelled_when_its_time_is_up():
    clock = Clock()
    token = CancelToken(timeout=5, clock=clock)
    child = CancelToken(parent=token)
    short = CancelToken(parent=token, timeout=1, clock=clock)
    clock.now = 2.0
    assert [t.cancelled for t in (token, child, short)] == [False, False, True]
    clock.now = 5.0
    assert child.cancelled
    assert token.cancelled
    with pytest.raises(OperationCancelled, match="time is up"):
        token.raise_if_cancelled()


def test_wait_tells_whether_it_was_ended_by_a_cancel():
    token = CancelToken()
    assert token.wait(timeout=0) is False
    waiting = threading.Event()
    results = []

    def wait():
        waiting.set()
        results.append(token.wait())

    thread = threading.Thread(target=wait)
    thread.start()
    waiting.wait()
    token.cancel()
    thread.join()
    assert results == [True]
    assert token.wait() is True


def test_wait_ends_when_the_time_is_up():
    assert CancelToken(timeout=0.001).wait() is True
    assert CancelToken(parent=CancelToken(timeout=0.001)).wait(60) is True


def test_many_threads_cancel_once():
    token, child_count = CancelToken(), 50
    children = [CancelToken(parent=token) for _ in range(child_count)]
    barrier = threading.Barrier(4)

    def cancel(number):
        barrier.wait()
        token.cancel(str(number))

    threads = [threading.Thread(target=cancel, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {child.reason for child in children} == {token.reason}
