"""The application on a socket, with uvicorn, until somebody asks it to stop.

The only module that imports uvicorn, which comes with the extra ``server``. A server that others
can reach is refused unless it asks for tokens.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import queue
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from encore.errors import StoreError, UnsupportedError

try:
    import uvicorn
except ImportError as error:
    raise UnsupportedError(
        "the server needs starlette and uvicorn, which are not installed: "
        'pip install "encore[server]"'
    ) from error

__all__ = ["check_reachable", "run", "served"]

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
_GRACE_SECONDS = 30
_KEPT_SECONDS = 75


def check_reachable(host: str, has_authority: bool) -> None:
    """Refuse an address that other machines can reach, if everybody may do everything.

    Raises
    ------
    StoreError
    """
    if has_authority or _is_loopback(host):
        return
    raise StoreError(
        f"serve: {host} can be reached from other machines, and no tokens are asked for; name "
        "tokens or keys in a configuration (--config), or listen on 127.0.0.1"
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def run(
    app: Any,
    host: str = "127.0.0.1",
    port: int = 8888,
    *,
    on_start: Callable[[str], object] | None = None,
) -> None:
    """Serve an application until SIGINT or SIGTERM; then finish what is under way.

    Parameters
    ----------
    app : starlette.applications.Starlette
        What `create_app` returned.
    host : str, optional
    port : int, optional
        0: any that is free.
    on_start : callable, optional
        Called with the address, once it can be reached.

    Raises
    ------
    StoreError
        The address cannot be had, or is not to be had without tokens.
    """
    check_reachable(host, app.state.service.authority is not None)
    listener = _listener(host, port)
    try:
        asyncio.run(_Server(app, on_start).serve(sockets=[listener]))
    finally:
        listener.close()


@contextmanager
def served(app: Any, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve an application from a thread, for as long as the block.

    Parameters
    ----------
    app : starlette.applications.Starlette
        What `create_app` returned.
    host : str, optional
    port : int, optional
        Default: any that is free.

    Yields
    ------
    str
        The address, once it can be reached.

    Raises
    ------
    StoreError
        The address cannot be had, or is not to be had without tokens.
    """
    check_reachable(host, app.state.service.authority is not None)
    listener = _listener(host, port)
    urls: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    server = _Server(app, urls.put)

    def serve() -> None:
        try:
            asyncio.run(server.serve(sockets=[listener]))
        finally:
            urls.put(None)

    thread = threading.Thread(target=serve, name="encore-serve")
    thread.start()
    try:
        url = urls.get()
        if url is None:
            raise StoreError("serve: the server has ended before it began; its log says why")
        yield url
    finally:
        app.state.endpoint.stop()
        server.should_exit = True
        thread.join()
        listener.close()


class _Server(uvicorn.Server):
    """A server that says when it can be reached, and ends quietly."""

    def __init__(self, app: Any, on_start: Callable[[str], object] | None) -> None:
        config = uvicorn.Config(
            app,
            access_log=False,  # paths may hold tokens
            log_config=None,
            log_level=logging.WARNING,
            lifespan="on",
            server_header=False,
            # Longer than clients keep a connection that they do not use, who otherwise might send
            # a request just when it is closed.
            timeout_keep_alive=_KEPT_SECONDS,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            proxy_headers=False,
        )
        super().__init__(config)
        self._app = app
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._on_start is not None and self.started and sockets:
            name, port, *_ = sockets[0].getsockname()
            shown = f"[{name}]" if ":" in name else name
            self._on_start(f"http://{shown}:{port}")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._app.state.endpoint.stop()
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Like that of uvicorn, but the signal is not raised again at the end: whoever asks a
        # server to stop gets what they asked for, and that is no failure.
        before = {}
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        for number in (getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)):
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, self.handle_exit)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio turns off delays of small packets only where it is.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.strip("[]"), port))
    except OSError as error:
        listener.close()
        raise StoreError(
            f"serve: {host}:{port} cannot be had: {error.strerror}; choose another --port"
        ) from error
    listener.set_inheritable(True)
    return listener
