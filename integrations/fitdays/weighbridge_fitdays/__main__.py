"""python -m integrations.fitdays: poll the Fitdays cloud until it is told to stop. `--once` polls once."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys

from fitdays import FitdaysError

from .poller import State, poll, run
from .settings import Settings, SettingsInvalid, read_settings
from .sinks import FunctionSink, Later, MqttSink


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m integrations.fitdays", description="Poll the Fitdays cloud.")
    parser.add_argument("--once", action="store_true", help="poll once, and end")
    once: bool = parser.parse_args().once
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        settings = read_settings(os.environ)
        return asyncio.run(_main(settings, once=once))
    except SettingsInvalid as e:
        print(e, file=sys.stderr)
    except FitdaysError as e:
        print(f"The Fitdays cloud did not answer as expected ({type(e).__name__}).", file=sys.stderr)
    except Later as e:
        print(f"Not handed over: {e}.", file=sys.stderr)
    except OSError as e:
        print(f"The folder of FITDAYS_STATE cannot be used: {e.strerror}.", file=sys.stderr)
    return 1


async def _main(settings: Settings, *, once: bool) -> int:
    sink = MqttSink(settings) if settings.mqtt_url else FunctionSink(settings)
    try:
        if once:
            print(f"{await poll(settings, State(settings.state), sink)} new.")
            return 0
        task = asyncio.ensure_future(run(settings, sink))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await task
    finally:
        if isinstance(sink, MqttSink):
            sink.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
