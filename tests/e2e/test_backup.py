"""Backup and restore into an empty house, and what prune deletes: with a real Postgres and a real Garmin stand-in."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.commands import WEIGHBRIDGE
from tests.e2e.parts import wait_until
from tests.e2e.parts.outbox import COMMAND, ROOT, Outbox
from tests.e2e.parts.postgres import Postgres
from tests.garmin.server import GarminStandIn
from tests.test_kept import keep, reading
from weighbridge.delivery.kept import put_away, read_kept

READING = {"weight": 81.40, "measured_at": "2026-11-22T06:31:00Z"}
EARLIER = "2026-11-{:02}T06:31:00Z"


class House:
    """Folders and a database, and the commands that use them."""

    def __init__(self, folder: Path, box: Outbox, database: str) -> None:
        self.folder, self.box = folder, box
        self.environment = box.environment | {
            "DATABASE_URL": database,
            "WEIGHBRIDGE_TOKENS": str(folder / "tokens"),
            "WEIGHBRIDGE_FOLDER": str(folder / "weigh-ins"),
            "WEIGHBRIDGE_PEOPLE": str(folder / "people.toml"),
        }

    def run(self, *words: object, said: bytes = b"", code: int = 0) -> tuple[bytes, str]:
        done = subprocess.run(
            [*WEIGHBRIDGE, *map(str, words)],
            env=self.environment,
            cwd=ROOT,
            input=said,
            capture_output=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout, done.stderr.decode()

    def files(self) -> dict[str, tuple[bytes, int, int]]:
        paths = [path for path in self.folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
        found = {str(path.relative_to(self.folder)): path for path in paths}
        return {
            name: (path.read_bytes(), path.stat().st_mode & 0o777, int(path.stat().st_mtime))
            for name, path in found.items()
        }

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.run("outbox", "dump")[0].splitlines()]


@pytest.fixture
def old(box: Outbox, garmin: GarminStandIn, tmp_path: Path) -> House:
    """A house with a token, kept and delivered files, people, and readings in several states."""
    folder = tmp_path / "old"
    garmin.write_token(folder / "tokens")
    keep(folder / "weigh-ins", reading(0))
    keep(folder / "weigh-ins" / "anna", reading(1))
    put_away(read_kept(keep(folder / "weigh-ins", reading(2))))
    shutil.copy(ROOT / "examples" / "people.toml", folder / "people.toml")
    (folder / "people.toml").chmod(0o600)
    box.insert(
        *(json.dumps(READING | {"measured_at": EARLIER.format(day)}) for day in range(1, 7)), source="mqtt:scale/anna"
    )
    for number, state in enumerate(("confirmed", "joined", "parked", "accepted", "kept"), 1):
        box.query("UPDATE readings SET state = %s, attempts = 3, settled = true WHERE id = %s", state, number)
    # As joined values leave it: what is sent is not what its key was computed from.
    box.query("UPDATE readings SET joined_to = 1, payload = payload || '{\"body fat\": 18.20}' WHERE id = 2")
    return House(folder, box, box.database)


@pytest.fixture
def new(box: Outbox, database_server: Postgres, tmp_path: Path) -> House:
    """An empty house."""
    (tmp_path / "new").mkdir()
    house = House(tmp_path / "new", box, database_server.new_database())
    house.run("outbox", "migrate")
    return house


def test_restore_into_an_empty_house(old: House, new: House, garmin: GarminStandIn, tmp_path: Path) -> None:
    """Everything is there again: each file with its bytes, each row with its key; and what waits is sent, once."""
    backup = tmp_path / "house.tar"
    assert old.run("backup", backup)[1] == "6 file(s) are in the backup.\n"
    assert backup.stat().st_mode & 0o777 == 0o600
    new.run("restore", backup)
    assert new.files() == old.files()
    assert len(new.files()) == 5
    folders = [path for path in (new.folder / "tokens", *(new.folder / "weigh-ins").rglob("*")) if path.is_dir()]
    assert [path for path in folders if path.stat().st_mode & 0o077] == []
    before, after = old.rows(), new.rows()
    assert [row["state"] for row in after] == ["confirmed", "joined", "parked", "waiting", "waiting", "waiting"]
    for row in (*before, *after):
        del row["state"], row["next_attempt_at"]
    assert after == before
    # The next reading gets the next number, and what had not arrived is sent.
    new.box.database = new.environment["DATABASE_URL"]
    new.box.environment |= {"DATABASE_URL": new.box.database}
    new.box.insert(json.dumps(READING))
    assert new.rows()[-1]["id"] == 7
    new.box.function(
        {
            "WEIGHBRIDGE_DELIVERY": "garth",
            "WEIGHBRIDGE_TOKENS": new.folder / "tokens",
            "GARMIN_DOMAIN": garmin.domain,
            "GARMIN_CA_BUNDLE": garmin.ca_bundle,
        }
    ).start()
    new.box.run("worker")
    wait_until("what waited has arrived", lambda: new.box.delivered() == 5)
    assert len(garmin.weigh_ins()) == 4


def test_backup_through_a_pipe(old: House, new: House) -> None:
    """With "-", a backup goes to standard output and comes from standard input, as a container needs."""
    content, _ = old.run("backup", "-")
    new.run("restore", "-", said=content)
    assert new.files() == old.files()


def test_restore_is_whole_or_nothing(old: House, new: House, tmp_path: Path) -> None:
    """A part of a backup, something else, or a house that is not empty is refused, and nothing is written."""
    backup = tmp_path / "house.tar"
    old.run("backup", backup)
    whole = backup.read_bytes()
    for part in (b"", b"something else", whole[:512], whole[: len(whole) // 2], whole[:-10240]):
        assert "Nothing was restored" in new.run("restore", "-", said=part, code=1)[1]
    for name, kind in (
        ("tokens/../../out", tarfile.REGTYPE),
        ("/tokens/x", tarfile.REGTYPE),
        ("tokens/x", tarfile.SYMTYPE),
    ):
        assert "is not from Weighbridge" in new.run("restore", "-", said=archive(name, kind), code=1)[1]
    assert new.files() == {}
    assert new.rows() == []
    assert "File exists" in old.run("backup", backup, code=1)[1]
    for used in ("tokens", "weigh-ins"):
        (new.folder / used).mkdir()
        (new.folder / used / "mine").touch()
        assert "is not empty" in new.run("restore", backup, code=1)[1]
        (new.folder / used / "mine").unlink()
    new.box.database = new.environment["DATABASE_URL"]
    new.box.insert(json.dumps(READING))
    assert "The outbox is not empty" in new.run("restore", backup, code=1)[1]
    assert new.files() == {}


def test_rows_of_an_earlier_release_are_loaded(box: Outbox) -> None:
    """A column that a dump does not have gets its default; a line that is not of a dump is refused, with its number."""
    box.insert(json.dumps(READING))
    row = json.loads(box.ask("dump"))
    box.query("DELETE FROM readings")
    for column in ("part", "action", "admitted"):
        del row[column]

    def load(*lines: str) -> str:
        said = "\n".join(lines).encode()
        command = [*COMMAND, "load"]
        done = subprocess.run(command, env=box.environment, cwd=ROOT, input=said, capture_output=True, check=False)
        return (done.stdout + done.stderr).decode()

    for wrong in ("{}", "[1]", "nothing", '{"id": 1, "other": 2}'):
        assert load(json.dumps(row), wrong) == "Line 2 is not a reading that `weighbridge outbox dump` wrote.\n"
    assert box.states() == {}
    assert load(json.dumps(row)) == "1 reading(s) restored.\n"
    assert box.query("SELECT id, part, action, admitted FROM readings") == [(1, 0, "weigh_in", False)]


def archive(name: str, kind: bytes) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for each, of in ((name, kind), ("end", tarfile.REGTYPE)):
            member = tarfile.TarInfo(each)
            member.type = of
            tar.addfile(member)
    return target.getvalue()


def test_prune_deletes_what_is_done_and_old(box: Outbox) -> None:
    """Prune counts, and with --yes deletes, old readings that need nothing more, but never the last of a source."""
    box.insert(*(json.dumps({"weight": 80 + n}) for n in range(7)), source="a")
    box.insert('{"weight": 81}', source="b")
    done = ("confirmed", "present", "joined", "waiting", "parked", "confirmed", "confirmed", "confirmed")
    for number, state in enumerate(done, 1):
        box.query("UPDATE readings SET state = %s WHERE id = %s", state, number)
    # The third is carried by one that waits; the sixth is young; the seventh and the eighth are the last of a source.
    box.query("UPDATE readings SET joined_to = 4 WHERE id = 3")
    box.query("UPDATE readings SET received_at = now() - interval '366 days' WHERE id <> 6")
    assert "would be deleted. Pass --yes" in (said := box.ask("prune", "--older-than", "365d"))
    assert said.startswith("2 ")
    assert box.query("SELECT count(*) FROM readings") == [(8,)]
    assert box.ask("prune", "--older-than", "365d", "--yes") == "2 reading(s) deleted.\n"
    assert box.query("SELECT id FROM readings ORDER BY id") == [(n,) for n in range(3, 9)]
    for wrong in ("365", "0d", "-1d", "a year"):
        assert "expected a number of days, such as 365d" in box.ask("prune", "--older-than", wrong, fails=True)


def test_prune_needs_the_owner(box: Outbox) -> None:
    """For a role that may not delete, the message names the owner."""
    box.query("DROP ROLE IF EXISTS looks_only")
    box.query("CREATE ROLE looks_only LOGIN")
    box.query("GRANT SELECT ON readings TO looks_only")
    box.environment["DATABASE_URL"] = box.database.replace("postgres@", "looks_only@")
    assert "Use the owner of the tables" in box.ask("prune", "--older-than", "1d", "--yes", fails=True)
