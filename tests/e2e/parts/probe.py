"""Asks a function again and again while it is kept busy, and says how long its answers took.

Rule: an answer later than `ANSWER_WITHIN_S` is a failure. That is half of the shortest time for which a flood would
silence a server that it starves (a head and a pause within a body end after 10 s, a slow Garmin in these tests after
25 s), and a hundred times what an answer takes, so a busy machine does not fail a test. How fast the answers are is a
figure, which the test reports.
"""

from __future__ import annotations

import json
import statistics
import time
import urllib.request

from tests.function_client import local_headers

ANSWER_WITHIN_S = 5.0
READING = json.dumps({"weight": 81.4, "body fat": 18.2, "time": "2026-11-23T07:30:00Z"}).encode()


class Probe:
    def __init__(self, address: str) -> None:
        headers = local_headers()
        self._requests = {
            "/health": urllib.request.Request(f"{address}/health"),
            "a dry run": urllib.request.Request(f"{address}/?dry_run=true", READING, headers),
            "/fit": urllib.request.Request(f"{address}/fit", READING, headers),
        }
        self._taken_ms: dict[str, list[float]] = {name: [] for name in self._requests}

    def ask(self) -> None:
        """One of each request, on a connection of its own. Fails if one is not answered with 200 in time."""
        for name, request in self._requests.items():
            started = time.monotonic()
            with urllib.request.urlopen(request, timeout=ANSWER_WITHIN_S) as answer:
                answer.read()
                assert answer.status == 200, name
            taken_s = time.monotonic() - started
            assert taken_s < ANSWER_WITHIN_S, f"{name} took {taken_s:.1f} s"
            self._taken_ms[name].append(1000 * taken_s)

    def figure(self, during: str) -> str:
        """The median and the longest time of each answer so far."""
        each = (
            f"{name} {statistics.median(taken):.1f} ms, at most {max(taken):.0f} ms"
            for name, taken in self._taken_ms.items()
        )
        return f"{len(self._taken_ms['/health'])} of each answer during {during}: {'; '.join(each)}"
