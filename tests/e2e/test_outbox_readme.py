"""The outbox's README cannot lie: its output, its settings and its states are held against the program."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.e2e.parts import wait_until
from tests.e2e.parts.outbox import Outbox
from tests.garmin.server import GarminStandIn
from weighbridge_outbox.commands import STATES
from weighbridge_outbox.settings import VARIABLES

PAGE = Path(__file__).parents[2] / "integrations" / "postgres" / "README.md"
README = PAGE.read_text(encoding="utf-8")


def plain(text: str) -> str:
    """Without what is new at every run: times, pauses, and the widths that follow from them."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "TIME", text)
    text = re.sub(r"http://127.0.0.1:\d+", "ADDRESS", text)
    text = re.sub(r"(?<= )(\d+ (s|min|h|d)|now)(?=  )", "PAUSE", text)
    return "\n".join(re.sub(r" {2,}", "  ", line) for line in text.strip().splitlines())


def test_the_status_shown_is_a_real_one(box: Outbox, garmin: GarminStandIn, tmp_path: Path) -> None:
    garmin.write_token(tmp_path / "tokens")
    function = box.function(
        {
            "WEIGHBRIDGE_DELIVERY": "garth,folder",
            "WEIGHBRIDGE_TOKENS": tmp_path / "tokens",
            "WEIGHBRIDGE_FOLDER": tmp_path / "kept",
            "GARMIN_DOMAIN": garmin.domain,
            "GARMIN_CA_BUNDLE": garmin.ca_bundle,
        }
    )
    function.start()
    box.run("worker", OUTBOX_LONGEST_PAUSE_SECONDS="86400")

    def weigh(weight: float, day: int) -> None:
        payload = json.dumps({"weight": weight, "timestamp": f"2026-11-{day}T06:31:00Z"})
        box.insert(payload, source="mqtt:scale/anna")

    for day in range(10, 18):
        weigh(81.4, day)
    wait_until("they have arrived", lambda: box.delivered() == 8)
    weigh(814, 18)
    wait_until("it is parked", lambda: box.state(9) == "parked")
    garmin.revoke()
    garmin.expire_access_tokens()
    weigh(81.2, 19)
    wait_until("it is kept", lambda: box.state(10) == "kept")
    function.kill()
    weigh(81.3, 20)
    wait_until("it was tried", lambda: box.query("SELECT attempts FROM readings WHERE id = 11") == [(1,)])

    shown = re.search(r"<!-- output: status -->\n```text\n\$ weighbridge outbox status\n(.*?)```", README, re.DOTALL)
    assert shown
    assert plain(box.ask("status")) == plain(shown.group(1))


def test_the_settings_are_those_of_the_program() -> None:
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    lines += [f"| `{v.name}` | {f'`{v.default}`' if v.default else ''} | {v.meaning} |" for v in VARIABLES]
    assert "\n".join(lines) + "\n" in README


def test_every_state_and_every_command_is_explained(box: Outbox) -> None:
    for state in STATES:
        assert f"| `{state}` |" in README
    commands = re.findall(r"^  (\w+) ", box.ask("--help").partition("Commands:")[2], re.MULTILINE)
    assert len(commands) == 7
    for command in commands:
        assert f"weighbridge outbox {command}" in README


def test_every_link_into_the_repository_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)", README)
    assert links
    assert [link for link in links if not (PAGE.parent / link).exists()] == []
