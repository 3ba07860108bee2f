"""How fast a history is previewed and imported, with the command itself.

Strategy: Garmin is the stand-in, which answers at once. The preview is of a function that the command starts itself. An
import is one command: it reads the file, checks each row with a proven dry run, and sends. The rate is that of sending,
which the command prints.
"""

from __future__ import annotations

import random
import re
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.commands import WEIGHBRIDGE, clean, with_sources
from tests.e2e.parts.form import function
from tests.e2e.parts.histories import years
from tests.garmin.server import GarminStandIn

PREVIEWED, SENT = 100_000, 5_000
ROUNDS = 3


class Histories(NamedTuple):
    preview_s: float
    #: Processor time of the command, its reader and its function.
    preview_cpu_s: float
    sent_per_second: float
    #: Of the whole command.
    sorted_s: float
    shuffled_s: float


def measure() -> Histories:
    with tempfile.TemporaryDirectory() as name, GarminStandIn() as garmin:
        folder = Path(name)
        in_order, shuffled = folder / "sorted.csv", folder / "shuffled.csv"
        in_order.write_text(years(PREVIEWED))
        before = _cpu_s()
        preview_s, _ = _run(in_order, "--preview", WEIGHBRIDGE_FOLDER=folder / "kept", WEIGHBRIDGE_TIMEZONE="UTC")
        preview_cpu_s = _cpu_s() - before
        head, *rows = years(SENT).splitlines()
        in_order.write_text("\n".join([head, *rows]))
        random.Random(SENT).shuffle(rows)  # noqa: S311  # no secret
        shuffled.write_text("\n".join([head, *rows]))
        took_s: dict[Path, list[float]] = {in_order: [], shuffled: []}
        rates = []
        with function(garmin, folder) as address:
            for _ in range(ROUNDS):
                for file, times in took_s.items():
                    garmin.reset()
                    seconds, shown = _run(file, "--yes", WEIGHBRIDGE_URL=address)
                    times.append(seconds)
                    rates += re.findall(r"confirmed in Garmin Connect; ([\d,]+) per second", shown)
                    if len(garmin.weights.entries) != SENT:
                        raise RuntimeError(f"{len(garmin.weights.entries)} of {SENT} rows arrived")
    rate = statistics.median(int(rate.replace(",", "")) for rate in rates)
    return Histories(preview_s, preview_cpu_s, rate, *(statistics.median(times) for times in took_s.values()))


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run(file: Path, option: str, **environment: object) -> tuple[float, str]:
    """Run an import: its seconds, and what it shows."""
    started = time.perf_counter()
    done = subprocess.run(
        [*WEIGHBRIDGE, "import", str(file), option],
        env=with_sources(clean({"WEIGHBRIDGE_URL": "", **environment})),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return time.perf_counter() - started, done.stdout
