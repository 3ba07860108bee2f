"""The outbox's README is compared with the program: its SQL, outputs, settings, states and commands."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

import psycopg

from tests.e2e.parts import wait_until
from tests.e2e.parts.outbox import Outbox
from tests.e2e.parts.postgres import Postgres, query
from tests.garmin.server import GarminStandIn
from weighbridge_outbox.commands import STATES
from weighbridge_outbox.settings import VARIABLES

PAGE = Path(__file__).parents[2] / "integrations" / "postgres" / "README.md"
README = PAGE.read_text(encoding="utf-8")


def plain(text: str) -> str:
    """The text without what changes with every run: times, pauses and column widths."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "TIME", text)
    text = re.sub(r"http://127.0.0.1:\d+", "ADDRESS", text)
    text = re.sub(r"(?<= )(\d+ (s|min|h|d)|now)(?=  )", "PAUSE", text)
    return "\n".join(re.sub(r" {2,}", "  ", line) for line in text.strip().splitlines())


def test_status_is_real(box: Outbox, garmin: GarminStandIn, tmp_path: Path) -> None:
    """The output of `status` on the page is what the program prints."""
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


def test_create_lines_and_refusals_are_real(box: Outbox, database_server: Postgres) -> None:
    """The CREATE lines of the page are enough to migrate; until then, each command shows what Postgres says."""
    sql = re.search(r"<!-- sql: create -->\n```sql\n(.*?)```", README, re.DOTALL)
    address = re.search(r"DATABASE_URL=(\S+)", README)
    refused = re.search(
        r"<!-- output: refused -->\n```text\n\$ weighbridge outbox migrate\n(.*?)```", README, re.DOTALL
    )
    assert sql
    assert address
    assert refused
    create_role, *create_others, create_database = sql[1].strip().splitlines()
    url = address[1].replace("localhost", f"127.0.0.1:{database_server.port}")
    box.environment["DATABASE_URL"] = url
    says = "Postgres refused the connection: {}. Check DATABASE_URL.\n".format
    assert box.ask("migrate", fails=True) == says('role "weighbridge" does not exist')
    query(database_server.url(), create_role)
    assert box.ask("migrate", fails=True) == refused[1]
    query(database_server.url(), create_database)
    database_server.require_password("weighbridge")
    box.environment["DATABASE_URL"] = url.replace("choose-one", "planted-wrong-password")
    assert box.ask("status", fails=True) == says('password authentication failed for user "weighbridge"')
    box.environment["DATABASE_URL"] = url
    for create_other in create_others:
        with contextlib.suppress(psycopg.errors.DuplicateObject):  # another test's; a role is of the whole server
            query(database_server.url(), create_other)
    assert box.ask("migrate") == "The outbox is ready.\n"
    granted = "SELECT has_table_privilege('weighbridge_relay', 'readings', 'INSERT'), "
    granted += "has_table_privilege('weighbridge_worker', 'readings', 'UPDATE')"
    assert query(url.replace("weighbridge:choose-one@", "postgres@"), granted) == [(True, True)]
    query(database_server.url(), "DROP DATABASE weighbridge")
    query(database_server.url(), "DROP ROLE weighbridge")


def test_settings_are_listed() -> None:
    """The page lists every setting with its default and its meaning."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    lines += [f"| `{v.name}` | {f'`{v.default}`' if v.default else ''} | {v.meaning} |" for v in VARIABLES]
    assert "\n".join(lines) + "\n" in README


def test_states_and_commands_are_explained(box: Outbox) -> None:
    """The page explains every state and every command."""
    for state in STATES:
        assert f"| `{state}` |" in README
    commands = re.findall(r"^  (\w+) ", box.ask("--help").partition("Commands:")[2], re.MULTILINE)
    assert len(commands) == 12
    for command in commands:
        assert f"weighbridge outbox {command}" in README


def test_links_into_the_repository_exist() -> None:
    """Every link to a file of the repository has a target."""
    links = re.findall(r"\]\((?!https?://)([^)#]+)", README)
    assert links
    assert [link for link in links if not (PAGE.parent / link).exists()] == []
