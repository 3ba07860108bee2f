"""weighbridge fitdays: poll the Fitdays cloud."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal

import click
from fitdays import FitdaysError

from weighbridge.errors import FolderUnusable, WeighbridgeError

from .poller import State, run
from .poller import poll as poll_once
from .settings import Settings, read_settings
from .sinks import FunctionSink, Later, MqttSink, Sink


@click.group()
def command() -> None:
    """Get new weigh-ins from the Fitdays cloud."""


@command.command()
@click.option("--once", is_flag=True, help="Poll once, then exit.")
def poll(*, once: bool) -> None:
    """Hand over each new weigh-in. Runs until it is stopped."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every request
    settings = read_settings(os.environ)
    try:
        asyncio.run(_poll(settings, once=once))
    except FitdaysError as e:
        # The cloud's text may repeat the request; the class does not.
        raise WeighbridgeError(f"The Fitdays cloud did not answer as expected ({type(e).__name__}).") from None
    except Later as e:
        raise WeighbridgeError(f"Not handed over: {e}.") from None
    except OSError as e:
        raise FolderUnusable(f"The folder of FITDAYS_STATE cannot be used: {e.strerror}.") from None


async def _poll(settings: Settings, *, once: bool) -> None:
    sink: Sink = MqttSink(settings.broker, settings.topic) if settings.broker else FunctionSink(settings.function)
    async with contextlib.aclosing(sink):
        if once:
            click.echo(f"{await poll_once(settings, State(settings.state), sink)} new.")
            return
        task = asyncio.ensure_future(run(settings, sink))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await task
