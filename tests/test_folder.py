"""The folder keeps a file once, whole or not at all, and says so if it cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.delivery.folder import Folder
from weighbridge.delivery.kept import kept_files, read_kept
from weighbridge.delivery.port import Delivered
from weighbridge.errors import FolderUnusable, NotFound
from weighbridge.fit.encode import RawFields, encode
from weighbridge.fit.template import read_template
from weighbridge.notes import Code
from weighbridge.pipeline import Prover
from weighbridge.reading.reading import Reading
from weighbridge.reasons import Sentences
from weighbridge.resources import TEMPLATES

TEMPLATE = read_template((TEMPLATES / "weight_scale.fit").read_bytes())
READING = Reading(measured_at=datetime(2026, 11, 23, 6, 31, tzinfo=UTC), weight_kg=Decimal("81.4"))


proven = Prover(TEMPLATE)


def test_keeps_exactly_the_proven_file(tmp_path: Path) -> None:
    """The folder holds exactly the proven bytes, under the reported name, readable only by their owner."""
    outcome = Folder(tmp_path / "new" / "folder").deliver([READING], proven, replace=False)[READING]
    (file,) = files(tmp_path / "new" / "folder")
    assert file == tmp_path / "new" / "folder" / str(outcome.file_name)
    assert file.read_bytes() == outcome.fit.content
    assert file.stat().st_mode & 0o077 == 0, "only its owner may read a weigh-in"


def test_name_holds_no_measurement(tmp_path: Path) -> None:
    """The name of a kept file contains no measurement."""
    outcome = Folder(tmp_path).deliver([READING], proven, replace=False)[READING]
    assert "81" not in (outcome.file_name or "").replace(outcome.fit.sha256[:12], "")


def files(folder: Path) -> list[Path]:
    """Every file in the folder, hidden ones too."""
    return [path for path in folder.rglob("*") if not path.is_dir()]


FULL = """
    import resource, sys
    from tests.test_folder import READING, proven
    from weighbridge.delivery.folder import Folder
    from weighbridge.errors import FolderUnusable
    from pathlib import Path
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))
    try:
        Folder(Path(sys.argv[1])).deliver([READING], proven, replace=False)
    except FolderUnusable as fault:
        print(fault)
"""


def test_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    """A write that the kernel refuses in the middle (RLIMIT_FSIZE), as on a full disk, leaves nothing behind."""
    done = subprocess.run(
        [sys.executable, "-B", "-c", textwrap.dedent(FULL), tmp_path / "kept"],
        check=True, capture_output=True, text=True, cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    assert "cannot take a file" in done.stdout
    assert files(tmp_path / "kept") == []


def test_path_is_a_file(tmp_path: Path) -> None:
    """A path that is not a folder is named in the fault, and health is not ready."""
    (tmp_path / "occupied").touch()
    folder = Folder(tmp_path / "occupied")
    with pytest.raises(FolderUnusable, match="occupied"):
        folder.deliver([READING], proven, replace=False)
    assert folder.health()["ready"] is False


def test_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    """The folder and its files can be read by their owner alone, whatever the umask."""
    before = os.umask(0)
    try:
        Folder(tmp_path / "kept").deliver([READING], proven, replace=False)
    finally:
        os.umask(before)
    paths = [tmp_path / "kept", *(tmp_path / "kept").rglob("*")]
    assert len(paths) > 1
    assert [path for path in paths if path.stat().st_mode & 0o077] == []


def test_health_writes_nothing(tmp_path: Path) -> None:
    """Health looks at a folder, or at the one that it will be created in, and leaves both as they are."""
    before = tmp_path.stat()
    assert Folder(tmp_path / "not" / "yet").health()["ready"] is True
    assert tmp_path.stat() == before
    (tmp_path / "file").touch()
    assert Folder(tmp_path / "file" / "kept").health()["ready"] is False


def test_health_sees_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without room for a file, health is not ready, and says why."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=1000))
    health = Folder(tmp_path).health()
    assert health["ready"] is False
    assert "No space left" in str(health["detail"])


# -- messages of one weigh-in ----------------------------------------------------------------------------


def message(after_s: int = 0, weight_kg: str = "81.4", **values: str) -> Reading:
    numbers = {name: Decimal(text) for name, text in values.items()}
    at = READING.measured_at + timedelta(seconds=after_s)
    return Reading(measured_at=at, weight_kg=Decimal(weight_kg), **numbers)


def keep(folder: Folder, *readings: Reading, replace: bool = False) -> list[Delivered]:
    outcomes = folder.deliver(readings, proven, replace=replace)
    return [outcomes[reading] for reading in readings]


def rows(folder: Path) -> list[RawFields]:
    """What is kept, in order of time."""
    kept = [raws for path in kept_files(folder) for raws in read_kept(path).rows.values()]
    return sorted(kept, key=lambda raws: raws["timestamp"])


def codes(outcome: Delivered) -> list[Sentences]:
    return [note.why for note in (*outcome.notes, *outcome.warnings)]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path, join_s=60)


def test_same_again(folder: Folder, tmp_path: Path) -> None:
    """A message that adds nothing is answered with the file that is there."""
    (first,) = keep(folder, message(body_fat_percent="18.2"))
    for after_s in (0, 3, 60):
        (again,) = keep(folder, message(after_s))
        assert (again.status, again.file_name, again.fit) == ("kept", first.file_name, first.fit)
        assert codes(again) == ([Code.SAME_WEIGHING] if after_s else [])
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize("after_s", [0, 6])
def test_completed(folder: Folder, tmp_path: Path, after_s: int) -> None:
    """A message that only adds becomes one file with the first, also at the same instant."""
    keep(folder, message(basal_metabolic_rate_kcal="1700"))
    (outcome,) = keep(folder, message(after_s, body_fat_percent="18.2"))
    assert codes(outcome) == [Code.COMPLETES_WEIGH_IN]
    assert rows(tmp_path) == [encode(message(basal_metabolic_rate_kcal="1700", body_fat_percent="18.2"))]
    assert files(tmp_path) == [tmp_path / str(outcome.file_name)]


def test_within_a_file_of_many(folder: Folder, tmp_path: Path) -> None:
    """A weigh-in of a file with others is completed too; the others stay, in a file without it."""
    several = [message(hours * 3600) for hours in range(3)]
    keep(folder, *several)
    completed = message(3600, body_fat_percent="18.2")
    (outcome, again) = keep(folder, message(3605, body_fat_percent="18.2"), several[2])
    assert rows(tmp_path) == [encode(each) for each in (several[0], completed, several[2])]
    assert set(files(tmp_path)) == {tmp_path / str(each.file_name) for each in (outcome, again)}


@pytest.mark.parametrize(
    "other",
    [
        message(61),
        message(6, "81.71"),
        message(6, body_fat_percent="18.3"),
        message(6, basal_metabolic_rate_kcal="1701"),
    ],
    ids=["a minute", "heavier", "contradiction", "not shown"],
)
def test_two_weigh_ins(folder: Folder, tmp_path: Path, other: Reading) -> None:
    """Whatever contradicts, also in a value that only the file holds, is another weigh-in."""
    first = message(body_fat_percent="18.2", basal_metabolic_rate_kcal="1700")
    keep(folder, first)
    assert codes(keep(folder, other)[0]) == []
    assert rows(tmp_path) == [encode(first), encode(other)]


def test_other_value_at_the_same_instant(folder: Folder, tmp_path: Path) -> None:
    """Another value at the same instant is kept beside the first, with a warning; `replace` removes all others."""
    keep(folder, message(body_fat_percent="18.2", bone_mass_kg="3.2"))
    corrected = message(body_fat_percent="18.1")
    for _ in range(2):
        assert codes(keep(folder, corrected)[0]) == [Code.OTHER_FILES_KEPT]
    assert len(rows(tmp_path)) == 2
    assert codes(keep(folder, corrected, replace=True)[0]) == []
    assert rows(tmp_path) == [encode(corrected)]


def test_off(tmp_path: Path) -> None:
    """With 0 seconds nothing is joined, but the same reading stays one file."""
    folder = Folder(tmp_path)
    for reading in (message(), message(1), message(), message(1)):
        keep(folder, reading)
    assert len(rows(tmp_path)) == 2


def test_damaged_files_stay(folder: Folder, tmp_path: Path) -> None:
    """A damaged file, or another program's, is neither read nor removed."""
    keep(folder, message())
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    (tmp_path / "weigh-in_mine_1.fit").touch()
    keep(folder, message(5, body_fat_percent="18.2"))
    assert len(files(tmp_path)) == 3


def test_only_names_of_its_month(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many files wait, only the names of the months around a reading are listed."""
    days = (0, 31, 365)
    for day in days:
        keep(folder, message(day * 86_400))
    listed: list[str] = []
    listdir = os.listdir

    def spy(path: Path) -> list[str]:
        names = listdir(path)
        listed.extend(name for name in names if name.endswith(".fit"))
        return names

    monkeypatch.setattr("os.listdir", spy)
    (outcome,) = keep(folder, message(31 * 86_400 + 5))
    assert codes(outcome) == [Code.SAME_WEIGHING]
    assert [f"2026.12/{name}" for name in listed] == [outcome.file_name]
    assert len(files(tmp_path)) == len(days)


def test_turn_of_the_month(folder: Folder, tmp_path: Path) -> None:
    """Two messages of one weigh-in are joined across the end of a month."""
    end = datetime(2026, 11, 30, 23, 59, 58, tzinfo=UTC)
    after_s = int((end - READING.measured_at).total_seconds())
    keep(folder, message(after_s))
    (outcome,) = keep(folder, message(after_s + 4, body_fat_percent="18.2"))
    assert codes(outcome) == [Code.COMPLETES_WEIGH_IN]
    assert files(tmp_path) == [tmp_path / "2026.11" / Path(str(outcome.file_name)).name]


def test_file_of_an_older_version(folder: Folder, tmp_path: Path) -> None:
    """A file that an older version has kept in the folder itself is found there, joined, and listed."""
    (first,) = keep(folder, message(body_fat_percent="18.2"))
    flat = (tmp_path / str(first.file_name)).rename(tmp_path / Path(str(first.file_name)).name)
    (again,) = keep(folder, message(3))
    assert (again.file_name, codes(again)) == (flat.name, [Code.SAME_WEIGHING])
    assert kept_files(tmp_path) == [flat]
    (completed,) = keep(folder, message(3, bone_mass_kg="3.2"))
    assert files(tmp_path) == [tmp_path / str(completed.file_name)]
    assert rows(tmp_path) == [encode(message(body_fat_percent="18.2", bone_mass_kg="3.2"))]


def test_nothing_removed_before_the_new_file_is_there(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the new file cannot be written, the old one stays."""
    keep(folder, message())

    def refuse(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(FolderUnusable, match="No space"):
        keep(folder, message(6, body_fat_percent="18.2"))
    monkeypatch.undo()
    assert rows(tmp_path) == [encode(message())]


def test_threads(folder: Folder, tmp_path: Path) -> None:
    """Equal messages that come at once are one file."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda after_s: keep(folder, message(after_s)), [0, 1, 2, 3, 4, 5] * 4))
    assert len(rows(tmp_path)) == 1


def test_take_back(folder: Folder, tmp_path: Path) -> None:
    """What is kept at exactly this instant is removed; the others of its file stay."""
    several = [message(), message(3600)]
    keep(folder, *several)
    assert folder.take_back(several[0].measured_at, None)
    assert not folder.take_back(several[0].measured_at + timedelta(seconds=1), None)
    assert rows(tmp_path) == [encode(several[1])]
    assert folder.take_back(several[1].measured_at, None)
    assert files(tmp_path) == []


VALUES = {"body_fat_percent": "18.2", "bone_mass_kg": "3.2", "visceral_fat_rating": "7", "bmi": "24.7"}
MESSAGES = st.builds(
    lambda names, after_s: message(after_s, **{name: VALUES[name] for name in names}),
    st.frozensets(st.sampled_from([*VALUES])),
    st.integers(0, 60),
)


@given(st.lists(st.lists(MESSAGES, min_size=1, max_size=3), min_size=1, max_size=4))
def test_any_order(requests: list[list[Reading]]) -> None:
    """Messages of one weigh-in are one file with all values, in any order and in any requests."""
    with TemporaryDirectory() as path:
        for request in requests:
            keep(Folder(Path(path), join_s=60), *request)
        (raws,) = rows(Path(path))
        expected = {name: raw for request in requests for each in request for name, raw in encode(each).items()}
        assert {**raws, "timestamp": 0} == {**expected, "timestamp": 0}


# -- what is kept, as a list -------------------------------------------------------------------------------


def at(hour: int, kg: str, day: int = 23) -> Reading:
    return Reading(measured_at=datetime(2026, 11, day, hour, 30, tzinfo=UTC), weight_kg=Decimal(kg))


def test_lists_local_days(tmp_path: Path) -> None:
    """Weigh-ins of one file or of several are listed by the days of the time zone, oldest first, with their values."""
    folder = Folder(tmp_path, timezone=ZoneInfo("Asia/Tokyo"))
    assert folder.list_weigh_ins(date(2026, 11, 23), date(2026, 11, 23)) == []
    for batch in ([at(15, "82"), at(14, "81.5")], [at(20, "80.25", day=22)], [at(6, "80")]):
        folder.deliver(batch, proven, replace=False)
    listed = folder.list_weigh_ins(date(2026, 11, 23), date(2026, 11, 23))
    assert [each.values for each in listed] == [{"weight_kg": Decimal(kg)} for kg in ("80.25", "80", "81.5")]
    assert {each.calendar_date for each in listed} == {date(2026, 11, 23)}
    assert listed[0].measured_at == at(20, "80.25", day=22).measured_at


def test_id_survives_its_file(tmp_path: Path) -> None:
    """A weigh-in of a file is deleted alone; the others keep their ids, and a deleted one is not found."""
    folder, day = Folder(tmp_path), date(2026, 11, 23)
    folder.deliver([at(6, "80"), at(7, "81")], proven, replace=False)
    first, second = folder.list_weigh_ins(day, day)
    folder.delete_weigh_in(first.id)
    assert folder.list_weigh_ins(day, day) == [second]
    for unknown in (first.id, "2026-11-23.", "../x", ""):
        with pytest.raises(NotFound):
            folder.delete_weigh_in(unknown)


def test_damaged_file_is_not_listed(tmp_path: Path) -> None:
    """A file that was changed is left out of the list, and stays where it is."""
    folder = Folder(tmp_path)
    folder.deliver([READING], proven, replace=False)
    (path,) = kept_files(tmp_path)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert folder.list_weigh_ins(date(2026, 11, 1), date(2026, 11, 30)) == []
    assert kept_files(tmp_path) == [path]
