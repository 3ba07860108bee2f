"""What is repeated is the same: the integration has no package `weighbridge` to import, and a blueprint no code."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from custom_components.weighbridge.actions import VALUES
from custom_components.weighbridge.answers import read_answer
from custom_components.weighbridge.outcomes import OUTCOMES
from weighbridge.client.answers import Result, read_reply
from weighbridge.reading.measures import MEASURES

RECEIPT = {"status": "confirmed", "final": True, "summary": "81.4 kg", "notes": [], "warnings": []}
PROBLEM = {"title": "Garmin is away", "detail": "Try again", "blame": "garmin"}


def test_values() -> None:
    """The action takes exactly the values that the function knows."""
    assert tuple(MEASURES) == VALUES


def test_outcomes_of_the_blueprint() -> None:
    """The blueprint offers each outcome."""
    path = "integrations/home_assistant/blueprints/automation/weighbridge/outcome.yaml"
    _, _, options = (Path(__file__).parents[2] / path).read_text().partition("          options:\n")
    offered = [line.split() for line in options.splitlines()]
    assert [name for _, name in offered[: len(OUTCOMES)]] == list(OUTCOMES)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (201, RECEIPT),
        (202, {**RECEIPT, "status": "accepted", "final": False}),
        (502, {**PROBLEM, "type": "urn:weighbridge:garmin-refused", "again": "after_repair"}),
        (503, {**PROBLEM, "type": "urn:weighbridge:rate-limited", "again": "later", "retry_after_s": 60}),
        (422, {**PROBLEM, "type": "urn:weighbridge:person-unclear", "again": "never", "candidates": ["Anna", "Ben"]}),
        (422, {**PROBLEM, "type": "urn:weighbridge:reading-rejected", "again": "never", "errors": [{"field": "x"}]}),
        (500, {**PROBLEM, "type": "urn:weighbridge:internal", "again": "sometime"}),
        (200, ["a", "list"]),
        (502, "a proxy's page"),
    ],
)
def test_answer(status: int, body: Any) -> None:
    """An answer means the same here and to the function's own client: what it is, and whether to send again."""
    content = json.dumps(body).encode()
    here = read_answer(status, content)
    client: Result = read_reply(
        status, {}, content, expected="receipts", address="http://nas", now=datetime(2026, 11, 27, tzinfo=UTC)
    )
    for name in ("kind", "ok", "final", "again", "candidates", "retry_after_s", "errors"):
        assert getattr(here, name) == getattr(client, name), name
    assert here.outcome == client.status
