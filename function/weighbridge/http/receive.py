"""The body of a request, within limits of size and time.

Rule: nobody holds a place by sending slowly. A pause within a body, and a whole body, have a deadline. Of a refused
body, only a little is read, so that its sender sees the answer; then the connection ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import time

from starlette.types import Receive

from .. import errors
from .body import LARGEST_BODY_BYTES

LONGEST_PAUSE_S = 10
LONGEST_BODY_S = 30
#: How much of a refused body is read and discarded, and for how long.
MOST_DISCARDED_BYTES = 1 << 16
LONGEST_DISCARD_S = 2.0


class Upload:
    """The body of one request, read at most once."""

    def __init__(self, receive: Receive, announced_bytes: int | None) -> None:
        self._receive = receive
        self._announced_bytes = announced_bytes
        #: Whether nothing of the body is left to read.
        self.done = False
        #: What `read` returned.
        self.content = b""

    async def read(self) -> bytes:
        """The whole body. Raises `TooLarge`, `TooSlow`, or `NotJson` if it ends before its announced length."""
        too_large = errors.TooLarge(f"The body is larger than {LARGEST_BODY_BYTES} bytes. Send it in parts.")
        if (self._announced_bytes or 0) > LARGEST_BODY_BYTES:
            raise too_large
        pieces: list[bytes] = []
        size, deadline = 0, time.monotonic() + LONGEST_BODY_S
        while not self.done:
            left_s = deadline - time.monotonic()
            try:
                async with asyncio.timeout(min(LONGEST_PAUSE_S, left_s)):
                    piece = await self._next()
            except TimeoutError:
                text = f"stopped for {LONGEST_PAUSE_S} s" if left_s > LONGEST_PAUSE_S else f"took {LONGEST_BODY_S} s"
                raise errors.TooSlow(f"The body {text} before its end.") from None
            size += len(piece)
            if size > LARGEST_BODY_BYTES:
                raise too_large
            pieces.append(piece)
        self.content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return self.content

    async def discard(self) -> None:
        """Read and discard what is left, within limits. `done` says whether that was all of it."""
        size = 0
        with contextlib.suppress(TimeoutError, errors.NotJson):
            async with asyncio.timeout(LONGEST_DISCARD_S):
                while not self.done and size <= MOST_DISCARDED_BYTES:
                    size += len(await self._next())

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.done = True
            raise errors.NotJson("The body ended before its announced length.")
        self.done = not message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        return piece
