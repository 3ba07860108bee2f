"""The tables of docs/scale.md: what was measured (scripts/scale.toml), and what follows for many people.

Rule: every figure of the document is one that `scripts.scale` measured, one that is named as an assumption, or one that
is calculated here from both.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from math import ceil
from pathlib import Path
from typing import Any

FIGURES = Path(__file__).with_name("scale.toml")
DAYS = 365


def figures() -> Mapping[str, Any]:
    return tomllib.loads(FIGURES.read_text(encoding="utf-8"))


def measured() -> str:
    """The runs, side by side."""
    found = figures()
    runs = [found[name] for name in ("morning", "hour", "one_by_one", "outbox")]

    def row(what: str, name: str, unit: str) -> tuple[str, ...]:
        return (what, *(f"{run[name]:,} {unit}".strip() if name in run else "–" for run in runs))

    rows = [
        row("processor time of a reading: functions", "function_ms", "ms"),
        row("… Postgres", "postgres_ms", "ms"),
        row("… worker", "worker_ms", "ms"),
        row("… nginx", "balancer_ms", "ms"),
        row("requests to Garmin for a reading", "garmin_requests", ""),
        row("memory of a function", "resident_mb", "MB"),
        row("connections to Postgres at most", "connections", ""),
        row("a reading in Postgres, with its indexes", "row_bytes", "bytes"),
        row("log of changes (WAL) for a reading", "wal_bytes", "bytes"),
        row("answer within, p50", "p50_ms", "ms"),
        row("answer within, p99", "p99_ms", "ms"),
    ]
    head = ("", "each reading renews a token", "10,000 an hour", "the same, outbox", "10,000 at once, outbox")
    return f"{_table(head, rows)}\n\nMeasured on {found['measured']['day']}: {found['measured']['machine']}."


def assumed() -> str:
    given = figures()["assumed"]
    return _table(
        ("assumption", "value"),
        [
            ("people, with one weigh-in a morning each", f"{given['people']:,}"),
            ("of them in the busiest hour", f"{given['peak_share']:.0%}"),
            ("a delivery waits for Garmin", f"{given['seconds_at_garmin']:g} s"),
            ("`WEIGHBRIDGE_DELIVERIES_AT_ONCE`", str(given["deliveries_at_once"])),
            ("people in the file of one function", f"{given['people_in_a_function']:,}"),
            ("an hour of one vCPU", f"{given['vcpu_hour']:.2f}"),
            ("a GB in a managed Postgres, for a month", f"{given['gb_month']:.2f}"),
        ],
    )


def reckoning() -> str:
    found = figures()
    given, morning, outbox = found["assumed"], found["morning"], found["outbox"]
    people = given["people"]
    # Each reading renews a token, and comes one by one: the dearest of what was measured.
    worker_ms, postgres_ms = found["one_by_one"]["worker_ms"], found["one_by_one"]["postgres_ms"]
    function_ms = morning["function_ms"] + morning["balancer_ms"]
    cpu_h = people * (function_ms + worker_ms + postgres_ms) / 3.6e6
    a_second = people * given["peak_share"] / 3600
    cores = a_second * (function_ms + worker_ms + postgres_ms) / 1000
    waiting = a_second * given["seconds_at_garmin"]
    by_threads = ceil(waiting / given["deliveries_at_once"])
    by_people = ceil(people / given["people_in_a_function"])
    year_gb = people * DAYS * outbox["row_bytes"] / 1e9
    asked = a_second * morning["garmin_requests"]
    processors, storage = cpu_h * DAYS * given["vcpu_hour"], year_gb / 2 * 12 * given["gb_month"]
    return _table(
        ("what", "how", "for these assumptions"),
        [
            ("processor time a day", "people × (functions + worker + Postgres)", f"{cpu_h:.1f} hours"),
            ("in the busiest hour", "people × share ÷ 3,600 s", f"{a_second:.0f} readings a second"),
            ("… cores", "readings a second × processor time of each", f"{cores:.1f}"),
            ("… requests to Garmin", "readings a second × requests of each", f"{asked:,.0f} a second"),
            ("… deliveries that wait", "readings a second × seconds at Garmin", f"{waiting:,.0f}"),
            ("functions, for what waits", "deliveries that wait ÷ at once", f"{by_threads:,}"),
            ("functions, for the people", "people ÷ people in a function", f"{by_people:,}"),
            ("… their memory", "functions × memory of one", f"{by_people * morning['resident_mb'] / 1000:,.0f} GB"),
            ("rows of the outbox a year", "people × 365", f"{people * DAYS:,}"),
            ("… in Postgres", "rows × bytes of each", f"{year_gb:,.0f} GB"),
            ("processors a year", "hours a day × 365 × price", f"{processors:,.0f}"),
            ("storage of the first year", "half of it on average × 12 × price", f"{storage:,.0f}"),
        ],
    )  # fmt: skip


def commands() -> str:
    found = figures()
    lines = [f"$ {found[name]['command']}" for name in ("morning", "hour", "one_by_one", "outbox")]
    return "\n".join(["```console", *lines, "```"])


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(line)} |" for line in (head, *rows)]
    return "\n".join([lines[0], f"|{'---|' * len(head)}", *lines[1:]])
