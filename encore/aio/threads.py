"""The threads of one asynchronous store: started when there is work, ended when it is closed.

A few readers share one line of calls. Workers have a line each, and are lent to whoever writes, for
one call or for a transaction. Only this room imports this module.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from encore.aio.calls import Call
from encore.aio.mailbox import Mailbox
from encore.aio.requests import Jobs

_numbers = itertools.count(1)


def _work(jobs: Jobs) -> None:
    while True:
        job = jobs.get()
        if job is None:
            return
        job.run()
        del job  # an idle thread holds on to nothing


class Worker:
    """A thread with a line of its own.

    Attributes
    ----------
    jobs : SimpleQueue
        What it is to run; None ends it.
    """

    __slots__ = ("jobs", "thread")

    def __init__(self, name: str) -> None:
        self.jobs: Jobs = SimpleQueue()
        # Threads that are left when the program ends do not keep it from ending.
        self.thread = threading.Thread(target=_work, args=(self.jobs,), name=name, daemon=True)
        self.thread.start()


class Threads:
    """The readers and workers of a store.

    Parameters
    ----------
    name : str
        For people who look at their threads.
    most_readers : int

    Notes
    -----
    *Threads*: any loop, one at a time or several.
    """

    def __init__(self, name: str, most_readers: int) -> None:
        self._name = f"encore-aio-{next(_numbers)} {name}"
        self._most_readers = most_readers
        self._jobs: Jobs = SimpleQueue()
        self._readers: list[threading.Thread] = []
        self._reading = 0
        self._idle: list[Worker] = []
        self._workers: list[Worker] = []
        self._lock = threading.Lock()
        self._mailbox: Mailbox | None = None

    def mailbox(self) -> Mailbox:
        """That of the running loop."""
        loop = asyncio.get_running_loop()
        mailbox = self._mailbox
        if mailbox is None or mailbox.loop is not loop:
            mailbox = self._mailbox = Mailbox(loop)
        return mailbox

    def read(self, call: Call[Any]) -> None:
        """Have one of the readers make a call."""
        call.then = self._has_read
        with self._lock:
            self._reading += 1
            if self._reading > len(self._readers) < self._most_readers:
                number = len(self._readers)
                name = f"{self._name} reader {number}"
                reader = threading.Thread(target=_work, args=(self._jobs,), name=name, daemon=True)
                self._readers.append(reader)
                reader.start()
        self._jobs.put(call)

    def _has_read(self) -> None:
        with self._lock:
            self._reading -= 1

    def borrow(self) -> Worker:
        """Take a worker, to be given back."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
            worker = Worker(f"{self._name} worker {len(self._workers)}")
            self._workers.append(worker)
            return worker

    def give_back(self, worker: Worker) -> None:
        """Have a worker be lent again."""
        with self._lock:
            if worker in self._workers:
                self._idle.append(worker)
            else:  # all were to end meanwhile
                worker.jobs.put(None)

    def end_readers(self) -> list[threading.Thread]:
        """Have the readers end when they have done what waits for them, and return them.

        Later calls start others.
        """
        with self._lock:
            ending, self._readers = self._readers, []
            for _ in ending:
                self._jobs.put(None)
            self._jobs = SimpleQueue()
        return ending

    def end(self) -> list[threading.Thread]:
        """Have all threads end, and return them. Workers that are lent end when they come back."""
        ending = self.end_readers()
        with self._lock:
            for worker in self._idle:
                worker.jobs.put(None)
                ending.append(worker.thread)
            self._workers, self._idle = [], []
        return ending


async def joined(threads: list[threading.Thread]) -> None:
    """Wait for threads that are about to end."""
    if not threads:
        return
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def watch() -> None:
        for thread in threads:
            thread.join()
        with suppress(RuntimeError):  # nobody waits: the loop has been closed
            loop.call_soon_threadsafe(_set, ended)

    watcher = threading.Thread(target=watch, name="encore-aio closing", daemon=True)
    watcher.start()
    try:
        await ended
    finally:
        if ended.done() and not ended.cancelled():
            watcher.join()


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
