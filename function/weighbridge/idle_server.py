"""uvicorn's server, which sleeps until something happens.

Facts (uvicorn 0.54): its own server looks ten times a second whether it has to end, and keeps the date for the field
`Date`. So with this one, `date_header=False`, or a field that stays at the time of the start.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from types import FrameType

import uvicorn


class IdleServer(uvicorn.Server):
    """A server without a tick. `limit_max_requests` and `callback_notify` have no effect."""

    _loop: asyncio.AbstractEventLoop | None = None

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal stops it. SIGTERM ends the process with exit code 0."""
        # uvicorn raises the signal again when everything has ended.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        with contextlib.suppress(KeyboardInterrupt):
            super().run(sockets)
        if not self.started:
            sys.exit(1)

    async def main_loop(self) -> None:
        self._ending = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        if not self.should_exit:
            await self._ending.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if self._loop is not None:
            # A signal alone does not wake the loop.
            self._loop.call_soon_threadsafe(self._ending.set)
