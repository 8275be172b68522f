"""Reads requests whole, within limits of size and time, before any of the application's code sees them."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from mtl_cli.serving.figures import Figures
from mtl_cli.serving.limits import Limits

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class Guard:
    """Refuses requests that are too large (413) or too slow (408), and counts all answers."""

    def __init__(self, app: App, limits: Limits, figures: Figures) -> None:
        self._app, self._limits, self._figures = app, limits, figures
        self.ending: Callable[[], bool] = lambda: False
        """Whether the server ends: then clients are told to send no further request on their connection."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 500

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self.ending():
                    message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            await send(message)

        try:
            await self._guarded(scope, receive, counted)
        finally:
            self._figures.answered(status, time.perf_counter() - start)

    async def _guarded(self, scope: Message, receive: Receive, send: Send) -> None:
        limits = self._limits
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if length.isdigit() and int(length) > limits.max_bytes:
            await refuse(send, 413, f"The request has {int(length)} bytes; {limits.max_bytes} are the most.")
            return
        try:
            body = await asyncio.wait_for(self._body(receive), limits.timeout_s)
        except TimeoutError:
            await refuse(send, 408, f"The request did not arrive within {limits.timeout_s:g} seconds.")
            return
        if body is None:
            await refuse(send, 413, f"The request has more than {limits.max_bytes} bytes, which are the most.")
            return
        parts = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def replayed() -> Message:
            return next(parts, None) or await receive()

        await self._app(scope, replayed, send)

    async def _body(self, receive: Receive) -> bytes | None:
        """Return the body, or None where it is too large."""
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._limits.max_bytes:
                return None
        return bytes(body)


async def refuse(send: Send, status: int, problem: str) -> None:
    """Answer with a problem, and close the connection: the rest of the request is not read."""
    body = json.dumps({"error": problem}, ensure_ascii=False).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
