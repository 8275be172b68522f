"""The server's process: it starts, says where it listens, and ends once every request is answered."""

import asyncio
import contextlib
import errno
import logging
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from mtl_cli.bundles.manifest import is_bundle, read_manifest
from mtl_cli.errors import UserError, not_installed
from mtl_cli.inference.loading import load
from mtl_cli.serving.limits import Limits

try:
    import uvicorn

    from mtl_cli.serving.app import make_app
except ImportError as error:
    raise not_installed("Bundles are served by fastapi and uvicorn", error, "serve") from error

logger = logging.getLogger("mtl_cli")
CONNECTIONS = 1024
"""Connections that are open at once; further ones are told to come again."""

GRACE = 1.0
"""Seconds at the end in which an open connection may send one more request, whose answer closes it."""


class Server(uvicorn.Server):
    """Tells where it listens. SIGTERM and Ctrl-C let it answer what has come, and then end."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        for each in self.servers:
            host, port = each.sockets[0].getsockname()[:2]
            logger.warning("Serving on http://%s:%d, described at /docs. Stop it by Ctrl-C.", host, port)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop to listen, answer what clients are about to send on open connections, and end."""
        for each in self.servers:
            each.close()
        deadline = time.monotonic() + GRACE
        while self.server_state.connections and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals for a block; they are not raised again, for the server has done what they ask."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def serve(folder: Path, host: str, port: int, limits: Limits) -> None:
    """Serve a bundle until a signal asks to end.

    Raises:
        UserError: it is not a bundle, was changed, or the address is taken.
    """
    if not is_bundle(folder):
        raise UserError(f"{folder} is not a bundle. Make one: mtl-export checkpoint=RUN output=DIR format=onnx.")
    manifest = read_manifest(folder)
    predictor = load(folder)
    app = make_app(predictor, manifest, limits)
    config = uvicorn.Config(
        app, host, port, http="h11", ws="none", log_config=None, access_log=False, server_header=False,
        limit_concurrency=CONNECTIONS, timeout_keep_alive=5, timeout_graceful_shutdown=int(limits.timeout_s) + 1,
    )  # fmt: skip
    with listening(host, port) as sock:
        server = Server(config)
        app.ending = lambda: server.should_exit
        server.run([sock])


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address.

    Its protocol is named, because asyncio sends small packets at once on such sockets only: 4 ms per answer, not 50.

    Raises:
        UserError: the address is taken, or is none.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(address)
        except OSError:
            found.close()
            raise
    except OSError as error:
        elsewhere = isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL
        fix = "host=127.0.0.1" if elsewhere else "port=8001"
        raise UserError(f"Cannot listen on {host}:{port}: {error.strerror}. Give another one: {fix}.") from error
    return found
