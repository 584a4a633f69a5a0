"""Tasks as owners: transactions side by side, turns, cancelling, and what is left afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from stores_aio import FACES, HAS_UVLOOP, run

import encore.aio
from encore.aio import AsyncDictStore, AsyncSqliteStore, AsyncStore
from encore.aio.sessions import _sessions
from encore.errors import (
    LockTimeoutError,
    OperationCancelled,
    TransactionClosedError,
    TransactionError,
    WrongOwnerError,
)
from encore.events.event_manager import EventManager
from encore.events.progress_events import CancelToken
from encore.storage.api import DictStore, FilesystemStore, SqliteStore
from encore.storage.events import StoreEvent
from encore.testing.sources import MIB, pattern

_FACE = pytest.mark.parametrize("face", FACES.values(), ids=FACES)
_SHORT_SECONDS = 0.05


class Oops(Exception):  # noqa: N818  what people say
    """What a block raises here."""


@_FACE
def test_a_transaction_belongs_to_its_task(face: Any, directory: Path) -> None:
    async def main() -> None:
        async with face(directory) as store:
            begun, looked = asyncio.Event(), asyncio.Event()

            async def write() -> None:
                async with store.transaction("Crop") as txn:
                    await store.put("a", b"new")
                    begun.set()
                    await looked.wait()
                    assert await store.read("a") == b"new"
                    assert store.transaction() is txn

            async def look() -> None:
                await begun.wait()
                assert not await store.exists("a")
                assert store.transaction().depth == 0
                with pytest.raises(LockTimeoutError, match="writer"):
                    async with store.transaction(timeout=_SHORT_SECONDS):
                        pass
                looked.set()

            async with asyncio.TaskGroup() as group:
                group.create_task(write(), name="the writer")
                group.create_task(look())
            assert await store.read("a") == b"new"
        assert not _sessions

    run(main())


def test_the_calls_of_a_transaction_are_made_on_one_thread() -> None:
    threads: list[str] = []

    class Watched(DictStore):
        def _find(self, key: str) -> Any:
            threads.append(threading.current_thread().name)
            return super()._find(key)

    async def main() -> None:
        async with AsyncStore(Watched()) as store:

            async def write(key: str) -> None:
                async with store.transaction():
                    for _ in range(5):
                        await store.put(key, b"", if_absent=True)
                        await store.get(key)
                        await asyncio.sleep(0)
                        await store.delete(key)

            threads.clear()
            await write("a")
            assert len(set(threads)) == 1
            await asyncio.gather(
                *(
                    store.get(
                        "none",
                    )
                    for _ in range(3)
                ),
                return_exceptions=True,
            )
            assert not set(threads[-3:]) & {threads[0]}

    run(main())


@_FACE
def test_blocks_inside_are_undone_one_by_one(face: Any, directory: Path) -> None:
    async def main() -> None:
        async with face(directory) as store:
            heard: list[Any] = []
            store.event_manager.connect(StoreEvent, heard.append, {"source": store.store})
            async with store.transaction("outer"):
                await store.put("a", b"1")
                with pytest.raises(Oops):  # noqa: PT012
                    async with store.transaction("inner"):
                        await store.put("b", b"2")
                        async with store.transaction():
                            await store.delete("a")
                        raise Oops
                assert [key async for key in store] == ["a"]
                async with store.transaction():
                    await store.put("c", b"3")
            assert [key async for key in store] == ["a", "c"]
            assert [getattr(event, "key", None) for event in heard] == [None, None, "a", "c"]

    run(main())


def test_a_transaction_by_hand_and_its_misuse() -> None:
    async def main() -> None:
        async with AsyncDictStore() as store:
            txn = store.transaction("Drag")
            for act in (txn.commit, txn.rollback):
                with pytest.raises(TransactionClosedError):
                    await act()
            await txn.begin()
            await store.put("a", b"1")

            async def meddle() -> None:
                for act in (txn.commit, txn.rollback, txn.begin):
                    with pytest.raises(WrongOwnerError):
                        await act()

            await asyncio.create_task(meddle())
            with pytest.raises(TransactionError, match="Drag"):
                await store.close()
            await txn.commit()
            assert txn.state == "done"
            with pytest.raises(TransactionClosedError):
                await txn.begin()
            assert await store.read("a") == b"1"

    run(main())


def test_hooks_are_called_in_the_loop_by_the_task() -> None:
    async def main() -> None:
        calls: list[Any] = []
        async with AsyncDictStore() as store:

            async def before() -> None:
                calls.append(("before", await store.read("a"), asyncio.current_task()))
                await store.put("b", b"2")

            async def after() -> None:
                calls.append(("after", threading.current_thread()))
                async with store.transaction():
                    await store.put("c", b"3")

            async with store.transaction() as txn:
                await txn.before_commit(before)
                await txn.on_commit(after)
                await txn.on_rollback(lambda: calls.append("never"))
                await store.put("a", b"1")
            assert calls == [
                ("before", b"1", asyncio.current_task()),
                ("after", threading.main_thread()),
            ]
            assert [key async for key in store] == ["a", "b", "c"]

            async def veto() -> None:
                raise Oops

            with pytest.raises(Oops):  # noqa: PT012
                async with store.transaction() as txn:
                    await txn.before_commit(veto)
                    await txn.on_rollback(lambda: calls.append("undone"))
                    await store.clear()
            assert calls[-1] == "undone"
            assert await store.count() == 3
        assert not _sessions

    run(main())


@_FACE
def test_writers_have_their_turn_in_the_order_in_which_they_came(
    face: Any, directory: Path
) -> None:
    async def main() -> None:
        async with face(directory) as store:
            order: list[int] = []

            async def write(number: int) -> None:
                if number % 2:
                    await store.put("a", b"%d" % number)
                else:
                    async with store.transaction():
                        await store.put("a", b"%d" % number)
                order.append(number)

            async with store.transaction():
                tasks = [asyncio.create_task(write(number)) for number in range(20)]
                await asyncio.sleep(0)
                await store.put("a", b"first")
            await asyncio.gather(*tasks)
            assert order == [*range(20)]
            assert threading.active_count() < 8

    run(main())


def test_two_stores_commit_together() -> None:
    async def main() -> None:
        one, two = AsyncDictStore(), AsyncDictStore()
        async with one, two:
            async with encore.aio.transaction(one, two, notes="both"):
                await one.put("a", b"1")
                async with two.transaction():
                    await two.put("b", b"2")
                assert not await asyncio.to_thread(one.store.exists, "a")
            with pytest.raises(Oops):  # noqa: PT012
                async with encore.aio.transaction(two, one):
                    await one.put("a", b"changed")
                    await two.delete("b")
                    raise Oops
            assert (await one.read("a"), await two.read("b")) == (b"1", b"2")
        assert not _sessions

    run(main())


# -- cancelling ---------------------------------------------------------------------------------


async def _work(store: AsyncStore, path: Path) -> None:
    """One of everything that waits."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(4):
            await asyncio.sleep(0)
            yield pattern(700_000)

    await store.put("lone", b"1")
    async with store.transaction() as txn:
        await txn.before_commit(lambda: asyncio.sleep(0))
        await txn.on_commit(lambda: asyncio.sleep(0))
        await store.put("x", b"2")
        await store.set("large", (chunks(), {"n": 1}))
        async with store.transaction():
            await store.put("y", await store.read("x"))
            await store.delete("x", missing_ok=True)
        [_ async for _ in store]
        value = await store.get("large")
        [_ async for _ in value.iterdata()]
        await value.close()
        await store.to_file("large", path)
    await store.set_data("after", chunks())


class _Stepper:
    """Counts the times that a coroutine waits, and cancels its task at one of them."""

    def __init__(self, work: Any, at: int) -> None:
        self._work = work
        self._at = at
        self.waits = 0

    def __await__(self) -> Any:
        iterator = self._work.__await__()
        value = None
        error: BaseException | None = None
        while True:
            try:
                waited = iterator.throw(error) if error else iterator.send(value)
            except StopIteration as done:
                return done.value
            self.waits += 1
            if self.waits == self._at:
                asyncio.current_task().cancel()  # type: ignore[union-attr]
            error = None
            try:
                value = yield waited
            except BaseException as raised:
                error = raised


@pytest.mark.parametrize("name", ["dict", "sqlite", "filesystem"])
def test_cancelling_wherever_a_task_waits_leaves_all_or_nothing(name: str, directory: Path) -> None:
    async def attempt(store: AsyncStore, at: int) -> int:
        await store.clear()
        stepper = _Stepper(_work(store, directory / "file"), at)

        async def stepped() -> None:
            await stepper

        task = asyncio.create_task(stepped())
        done, _ = await asyncio.wait([task], timeout=30)
        assert done, f"stuck after a cancel at wait {at}"
        keys = [key async for key in store]
        assert keys in ([], ["lone"], ["large", "lone", "y"], ["after", "large", "lone", "y"])
        if stepper.waits >= at:
            assert task.cancelled()
        else:
            await task
        await store.put("usable", b"")
        assert not _sessions
        return stepper.waits

    async def main() -> None:
        async with FACES[name](directory) as store:
            at = 1
            while await attempt(store, at) >= at:
                at += 1
            assert at > 25
        assert len(asyncio.all_tasks()) == 1

    run(main())


def test_a_task_that_is_cancelled_while_it_commits_tells_the_truth() -> None:
    class Slow(DictStore):
        begun, go = threading.Event(), threading.Event()

        def _apply(self, batch: Any) -> None:
            self.begun.set()
            assert self.go.wait(10)
            super()._apply(batch)

    async def main() -> None:
        async with AsyncStore(Slow()) as store:
            transactions: list[Any] = []

            async def write() -> None:
                async with store.transaction("Crop") as txn:
                    transactions.append(txn)
                    await store.put("a", b"1")

            task = asyncio.create_task(write())
            await asyncio.to_thread(Slow.begun.wait, 10)
            for _ in range(3):
                task.cancel()
                await asyncio.sleep(0.01)
            assert not task.done(), "it waits for the outcome"
            Slow.go.set()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            assert transactions[0].state == "done"
            assert await store.read("a") == b"1"
            assert any("'Crop' is done" in note for note in caught.value.__notes__)

    run(main())


def test_a_task_that_waits_for_its_turn_is_cancelled_at_once() -> None:
    async def main() -> None:
        async with AsyncDictStore() as store:
            async with store.transaction():
                tasks = [asyncio.create_task(store.put("a", b"%d" % n)) for n in range(3)]
                await asyncio.sleep(0.01)
                tasks[1].cancel()
                done, _ = await asyncio.wait([tasks[1]], timeout=5)
                assert done
            await asyncio.gather(tasks[0], tasks[2])
            assert await store.read("a") == b"2"

    run(main())


def test_a_begin_that_is_cancelled_leaves_nothing_open_even_if_the_task_goes_on() -> None:
    class Slow(DictStore):
        begun, go = threading.Event(), threading.Event()

        def _begin_transaction(self, context: Any) -> None:
            super()._begin_transaction(context)
            self.begun.set()
            self.go.wait(10)

    async def main() -> None:
        async with AsyncStore(Slow()) as store:
            other = asyncio.Event()

            async def stubborn() -> None:
                with contextlib.suppress(asyncio.CancelledError):
                    async with store.transaction():
                        await store.put("a", b"never")
                await other.wait()

            task = asyncio.create_task(stubborn())
            await asyncio.to_thread(Slow.begun.wait, 10)
            task.cancel()
            await asyncio.sleep(0)
            Slow.go.set()
            await store.put("b", b"2")
            assert [key async for key in store] == ["b"]
            other.set()
            await task

    run(main())


def test_a_task_that_ends_inside_a_transaction_is_rolled_back() -> None:
    async def main() -> None:
        async with AsyncDictStore() as store:

            async def forget() -> None:
                await store.transaction("Left open").begin()
                await store.put("a", b"1")

            await asyncio.create_task(forget())
            await store.put("b", b"2")
            assert [key async for key in store] == ["b"]
        assert not _sessions

    run(main())


def test_a_copy_is_cancelled_with_its_task_and_leaves_nothing(directory: Path) -> None:
    async def main() -> None:
        async with FACES["filesystem"](directory) as source, FACES["sqlite"](directory) as target:
            for number in range(30):
                await source.put(f"{number:02}", pattern(MIB, number))
            told: list[int] = []
            copy = encore.aio.async_copy_store(
                source, target, progress=lambda step: told.append(step)
            )
            task = asyncio.create_task(copy)
            while not told:
                await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await target.count() == 0
            result = await encore.aio.async_copy_store(source, target, prefix="0", transaction=3)
            assert (result.keys, result.bytes) == (10, 10 * MIB)
            result = await encore.aio.async_sync_stores(source, target, progress=lambda step: 0)
            assert (result.keys, result.skipped) == (20, 10)
            assert await encore.aio.async_clear_store(target, "1") == 10
            token = CancelToken()
            token.cancel()
            with pytest.raises(OperationCancelled):
                await encore.aio.async_copy_store(source, target, cancel=token)

    run(main())


# -- the loop -------------------------------------------------------------------------------------


@pytest.mark.parametrize("uvloop", [False, True], ids=["asyncio", "uvloop"])
def test_the_loop_goes_on_while_others_write_and_copy(directory: Path, uvloop: bool) -> None:
    if uvloop and not HAS_UVLOOP:
        pytest.skip("uvloop is not installed")

    async def main() -> None:
        async with FACES["sqlite"](directory) as store, FACES["zip"](directory) as target:
            await store.multiset({f"{n:03}": pattern(100_000, n) for n in range(100)})
            busy = True
            worst = 0.0

            async def beat() -> None:
                nonlocal worst
                while busy:
                    # Of its own time: on a machine that is shared, nobody's clock is reliable.
                    before, spent = time.perf_counter(), time.process_time()
                    await asyncio.sleep(0.001)
                    late = min(time.perf_counter() - before, time.process_time() - spent)
                    worst = max(worst, late)

            heart = asyncio.create_task(beat())
            await encore.aio.async_copy_store(store, target)
            await asyncio.gather(*(store.put("a", pattern(MIB, n)) for n in range(20)))
            async with store.transaction():
                await store.put("b", pattern(8 * MIB))
                [key async for key in store]
            busy = False
            await heart
            assert worst < 0.05

    run(main(), uvloop=uvloop)


@_FACE
def test_debug_mode_has_nothing_to_complain_of(
    face: Any, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(place: Path) -> None:
        place.mkdir()
        async with face(place) as store:
            await _work(store, place / "file")
            await asyncio.gather(*(store.put(f"{n}", pattern(50_000, n)) for n in range(20)))
            [await value.read() async for _, value in store.items()]

    complaints: list[str] = []
    for attempt in range(4):  # a machine that is shared may take the core away for long
        caplog.clear()
        run(main(directory / str(attempt)), debug=True)
        complaints = [record.message for record in caplog.records if record.name == "asyncio"]
        if not complaints:
            return
    assert complaints == []


@pytest.mark.parametrize("uvloop", [False, True], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize(
    ("tasks", "turns"),
    [(40, 5), pytest.param(200, 25, marks=pytest.mark.slow)],
    ids=["few", "many"],
)
def test_many_tasks_with_random_cancels_and_failures_lose_no_count(
    directory: Path, tasks: int, turns: int, uvloop: bool
) -> None:
    if uvloop and not HAS_UVLOOP:
        pytest.skip("uvloop is not installed")
    dice = random.Random(tasks)

    async def main() -> None:
        store = AsyncSqliteStore(
            directory / "count.db", event_manager=EventManager(), timeout=600.0
        )
        counted = 0

        async def add(fails: bool, inner_fails: bool) -> None:
            nonlocal counted
            txn: Any = None
            try:
                async with store.transaction() as txn:
                    total = int(await store.read("total"))
                    await store.put("total", b"%d" % (total + 1))
                    try:
                        async with store.transaction():
                            await store.put("total", b"-1")
                            await store.put("junk", b"")
                            if inner_fails:
                                raise Oops
                            await store.put("total", b"%d" % (total + 1))
                            await store.delete("junk")
                    except Oops:
                        pass
                    if fails:
                        raise Oops
            except Oops:
                pass
            finally:
                counted += txn is not None and txn.state == "done"

        async def many() -> None:
            for _ in range(turns):
                await add(dice.random() < 0.2, dice.random() < 0.3)

        async with store:
            await store.put("total", b"0")
            running = [asyncio.create_task(many()) for _ in range(tasks)]
            for task in dice.sample(running, tasks // 4):
                asyncio.get_running_loop().call_later(dice.random() * 0.5, task.cancel)
            await asyncio.gather(*running, return_exceptions=True)
            assert int(await store.read("total")) == counted > 0
            assert not await store.exists("junk")
        assert len(asyncio.all_tasks()) == 1
        assert not _sessions

    run(main(), uvloop=uvloop)


def test_a_face_that_is_forgotten_ends_its_threads() -> None:
    def forget() -> None:
        async def use() -> None:
            await AsyncDictStore().put("a", b"")

        run(use())

    forget()
    for thread in threading.enumerate():
        if thread.name.startswith("encore-aio"):
            thread.join(10)
            assert not thread.is_alive()


def test_closing_ends_what_waits(directory: Path) -> None:
    async def main() -> None:
        store: AsyncStore = FACES["sqlite"](directory)
        await store.put("a", pattern(3 * MIB))
        value = await store.get("a")
        chunks = value.iterdata(1000)
        await anext(chunks)
        reads = [asyncio.create_task(store.read("a")) for _ in range(10)]
        await asyncio.sleep(0)
        await store.close()
        assert [len(data) for data in await asyncio.gather(*reads)] == [3 * MIB] * 10
        await value.close()
        await store.close()
        assert threading.active_count() == 1

    run(main())


_COPYING = """
import asyncio, sys, threading
from encore.aio import AsyncFilesystemStore, AsyncSqliteStore, async_copy_store

async def main():
    async with AsyncFilesystemStore("source") as source, AsyncSqliteStore("target.db") as target:
        tell = lambda step: print("copying", flush=True)
        await async_copy_store(source, target, progress=tell)
        await asyncio.Event().wait()

try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted", threading.active_count())
"""


def test_a_copy_is_interrupted_from_the_keyboard(directory: Path) -> None:
    with FilesystemStore(directory / "source") as source:
        for number in range(60):
            source.put(f"{number:02}", pattern(MIB, number))
    with subprocess.Popen(
        [sys.executable, "-c", _COPYING], cwd=directory, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "copying\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.read().splitlines()[-1] == "interrupted 1"
        assert process.wait(30) == 0
    with SqliteStore(directory / "target.db") as target:
        assert [*target.keys()] in ([], [f"{number:02}" for number in range(60)])
        assert [*target.verify()] == []


def test_a_loop_that_runs_already_runs_cell_after_cell() -> None:
    loop = asyncio.new_event_loop()
    kernel = threading.Thread(target=loop.run_forever)
    kernel.start()
    store = AsyncDictStore()

    async def begin() -> None:
        await store.transaction("forgotten").begin()
        await store.put("a", b"1")

    async def read() -> list[str]:
        return [key async for key in store]

    def cell(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(10)

    try:
        cell(store.put("b", b"2"))
        cell(begin())  # a cell is a task: what it leaves open is undone
        cell(store.put("c", b"3"))
        assert cell(read()) == ["b", "c"]
        cell(store.close())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        kernel.join()
        loop.close()


def test_a_loop_that_is_closed_in_the_middle_leaves_the_store_usable() -> None:
    store = AsyncDictStore()

    async def leave(begun: list[Any]) -> None:
        txn = store.transaction()
        await txn.begin()
        await store.put("a", b"1")
        begun.append(asyncio.current_task())
        await asyncio.Event().wait()

    begun: list[Any] = []
    loop = asyncio.new_event_loop()
    task = loop.create_task(leave(begun))
    while not begun:
        loop.run_until_complete(asyncio.sleep(0))
    task.cancel()
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    loop.close()

    async def go_on() -> list[str]:
        await store.put("b", b"2")
        keys = [key async for key in store]
        await store.close()
        return keys

    assert run(go_on()) == ["b"]
    assert not _sessions
