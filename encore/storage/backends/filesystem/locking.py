"""One writer at a time, across processes: a kernel lock on a held descriptor.

The kernel gives the lock back when its holder dies, however it dies. What stands in the file is not
the lock: whoever writes in a transaction writes there who they are, for the message to those who
wait, and empties it when done. A text that is found by whoever takes the lock was therefore left
by somebody who died in the middle, and there is something to recover.

The lock belongs to the open file, not to the process: a forked child has to open its own, and only
closes what it inherited.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from contextlib import suppress

from encore.errors import LockTimeoutError
from encore.storage.backends.filesystem.system import Folder, open_at
from encore.storage.transactions.locks import held_message

try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

    def _lock(descriptor: int) -> None:
        # Far behind the text, which has to stay readable.
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined]

else:

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


_OPEN = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_FIRST_WAIT_SECONDS = 0.001
_LONGEST_WAIT_SECONDS = 0.05


def try_lock(descriptor: int) -> bool:
    """Lock an open file; False if somebody else has locked it."""
    try:
        _lock(descriptor)
    except (BlockingIOError, PermissionError):  # the latter is how Windows says it
        return False
    return True


class FileLock:
    """A lock file that is held open.

    *Threads*: used by the one thread that holds the writer lock of its store.
    """

    def __init__(self, folder: Folder, name: str, flags: int = _OPEN) -> None:
        self.descriptor = open_at(folder, name, flags)

    def take(self) -> bool:
        """Take the lock if it is free."""
        return try_lock(self.descriptor)

    def give_back(self) -> None:
        _unlock(self.descriptor)

    def wait(self, timeout: float, what: str) -> None:
        """Take the lock within ``timeout`` seconds.

        Raises
        ------
        LockTimeoutError
            It names the holder, as far as it is known.
        """
        if self.take():
            return
        begin = time.monotonic()
        pause = threading.Event()
        delay = _FIRST_WAIT_SECONDS
        while (left := begin + timeout - time.monotonic()) > 0:
            pause.wait(min(delay, left))
            if self.take():
                return
            delay = min(delay * 2, _LONGEST_WAIT_SECONDS)
        holder, since = self._holder()
        held = time.time() - since if since else time.monotonic() - begin
        raise LockTimeoutError(held_message(what, holder, max(held, 0.0), timeout))

    # -- who holds it -----------------------------------------------------------------------------

    def announce(self) -> None:
        """Write down who holds the lock."""
        text = json.dumps(
            {
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "thread": threading.current_thread().name,
                "since": time.time(),
            }
        )
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        os.write(self.descriptor, text.encode())

    def is_announced(self) -> bool:
        """Whether there is a text: of the holder, or if we are that, of one who died."""
        return os.fstat(self.descriptor).st_size != 0

    def withdraw(self) -> None:
        """Say that nothing is left to be recovered."""
        os.ftruncate(self.descriptor, 0)

    def _holder(self) -> tuple[str, float]:
        holder, since = "another process, in a single write", 0.0
        with suppress(OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            os.lseek(self.descriptor, 0, os.SEEK_SET)
            told = json.loads(os.read(self.descriptor, 4096))
            holder = f"process {int(told['pid'])} on {told['host']} (thread {told['thread']!r})"
            since = float(told["since"])
        return holder, since

    def close(self) -> None:
        os.close(self.descriptor)
