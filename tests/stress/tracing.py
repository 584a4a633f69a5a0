"""A process under strace, which makes chosen system calls fail, or kills it at one of them.

The process is a fork of the caller. It waits until strace is attached, so that calls are counted
from where its work begins. It is spoken to through a pair of sockets, whose calls are not among
those that are counted. Only the harnesses of this folder import this module.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

#: The calls by which a process changes what others can see of files.
CHANGING = (
    *("open", "openat", "creat", "write", "pwrite64", "writev", "pwritev", "fsync", "fdatasync"),
    *("rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir"),
    *("link", "linkat", "symlink", "symlinkat", "truncate", "ftruncate", "fallocate", "flock"),
    *("chmod", "fchmod", "fchmodat", "utimensat", "copy_file_range", "sendfile", "close"),
)

_PR_SET_PTRACER = 0x59616D61
_ANYBODY = ctypes.c_ulong(-1)


def can_trace() -> bool:
    """Whether strace is here and may attach to our own processes."""
    if not sys.platform.startswith("linux") or shutil.which("strace") is None:
        return False
    try:
        with Traced(lambda: None, None, ["openat"]) as traced:
            traced.play()
    except OSError:
        return False
    return traced.said == "done"


class Traced:
    """A forked process that does something once it is watched.

    Parameters
    ----------
    work : callable
        What is done under faults.
    fault : str, optional
        For strace: ``"inject=write:error=EIO:when=3"``.
    calls : iterable of str
        What is counted.
    afterwards : callable, optional
        What is done when strace has let go; it returns what is to be told.
    prepare : callable, optional
        What is done before strace is there.
    more : iterable of str, optional
        Further arguments for strace.

    Attributes
    ----------
    said : str
        After `play`: "done", or the classes of an error and its message, or "" if it was killed.
    told : object
        What ``afterwards`` returned.
    calls : list of str
        The names of the calls that were made, in order.
    was_killed : bool
    """

    def __init__(
        self,
        work: Callable[[], Any],
        fault: str | None,
        calls: Iterable[str],
        afterwards: Callable[[], Any] | None = None,
        prepare: Callable[[], Any] = lambda: None,
        more: Iterable[str] = (),
    ) -> None:
        self._work = work
        self._prepare = prepare
        self._afterwards = afterwards
        self._arguments = ["-e", f"trace={','.join(calls)}"]
        if fault is not None:
            self._arguments += ["-e", fault]
        self._arguments += more
        self.said = ""
        self.told: Any = None
        self.calls: list[str] = []
        self.was_killed = False

    def __enter__(self) -> Self:
        self._mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._child = os.fork()
        if self._child == 0:
            self._mine.close()
            self._be_the_child(theirs)
        theirs.close()
        if self._hear() != "ready":
            raise OSError("the process has not come as far as to be watched")
        descriptor, self._log = tempfile.mkstemp(prefix="encore-strace-")
        os.close(descriptor)
        self._strace = subprocess.Popen(
            ["strace", "-f", "-p", str(self._child), *self._arguments, "-o", self._log],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._strace.stderr is not None
        line = self._strace.stderr.readline()
        if "attached" not in line:
            self.__exit__(None, None, None)
            raise OSError(f"strace cannot attach: {line.strip()}")
        return self

    def play(self) -> None:
        """Have the work done."""
        self._mine.send(b"begin")
        self.said = self._hear()
        self._strace.terminate()
        self._strace.wait()
        with open(self._log, errors="replace") as log:
            found = (re.match(r"(?:\d+ +)?(\w+)\(", line) for line in log)
            self.calls = [match[1] for match in found if match]
        if self.said and self._afterwards is not None:
            self._mine.send(b"go on")
            answer = self._hear()
            self.told = json.loads(answer) if answer else None

    def _hear(self) -> str:
        try:
            return self._mine.recv(1 << 17).decode()
        except ConnectionError:
            return ""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._strace.terminate()
        self._strace.wait()
        if self._strace.stderr is not None:
            self._strace.stderr.close()
        os.unlink(self._log)
        self._mine.close()
        try:
            if kind is not None:
                os.kill(self._child, signal.SIGKILL)
        finally:
            _, status = os.waitpid(self._child, 0)
        self.was_killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL

    def _be_the_child(self, theirs: socket.socket) -> None:
        try:
            libc = ctypes.CDLL(None)
            libc.prctl(_PR_SET_PTRACER, _ANYBODY, 0, 0, 0)  # strace is no ancestor of ours
            self._prepare()
            theirs.send(b"ready")
            if theirs.recv(64):
                try:
                    self._work()
                    said = "done"
                except Exception as error:
                    said = f"{'/'.join(c.__name__ for c in type(error).__mro__)}: {error}"
                theirs.send(said.encode()[:100_000])
            if self._afterwards is not None and theirs.recv(64):
                theirs.send(json.dumps(self._afterwards()).encode())
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(0)
