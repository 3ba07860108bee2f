"""Histories: every export is read to the same weigh-ins, and an import recovers from every interruption."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.commands import WEIGHBRIDGE, clean, weighbridge, with_sources
from tests.e2e.parts import histories
from tests.e2e.parts.form import function
from tests.e2e.parts.histories import LANGUAGES, WEIGH_INS
from tests.e2e.test_outbox_chaos import third_of_answers_lost
from tests.function_client import ROOT, process
from tests.garmin.server import GarminStandIn
from tests.ports import free_port
from weighbridge.client import Client, read_target
from weighbridge.errors import ReadingRejected
from weighbridge.reading.interpret import interpret
from weighbridge.receipt import WORDS
from weighbridge_history.columns import FITDAYS_ORDER
from weighbridge_history.errors import FileUnusable, MappingInvalid
from weighbridge_history.read import History, WeighInLine, read
from weighbridge_history.send import STATUS_TEXTS, ImportReport, Stopped, reason_of, send

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 22, tzinfo=ZoneInfo("UTC"))


def as_the_function_reads(history: History) -> list[dict[str, object]]:
    """The values that the function reads from each row, by its own names."""
    assert [row.fault for row in history.rows if row.fault] == []
    found = []
    for row in history.rows:
        reading = interpret(json.loads(row.line), now=NOW, timezone=BERLIN).reading
        found.append({name: value for name, value in vars(reading).items() if value is not None})
    return found


FILES: dict[str, tuple[bytes, set[str]]] = {
    **{
        f"Fitdays, {language}": (histories.fitdays(language), {"muscle", "bone", "water", "visceral"})
        for language in LANGUAGES
    },
    "Garmin Connect": (histories.garmin(), {"muscle", "bone", "water"}),
    "Garmin Connect, 24-hour clock": (histories.garmin("%H:%M", "%d %b %Y"), {"muscle", "bone", "water"}),
    "openScale": (histories.openscale(), {"muscle", "bone", "water", "visceral"}),
    "Withings": (histories.withings(), {"muscle", "bone", "water"}),
    "Apple Health": (histories.apple_health(), set()),
    "Apple Health's archive": (histories.apple_health(archive=True), set()),
    "JSON lines": (histories.json_lines(), set()),
}


@pytest.mark.parametrize("name", FILES)
def test_each_export_gives_the_same_weigh_ins(name: str) -> None:
    """Every kind of export is read to the same weigh-ins."""
    data, has = FILES[name]
    found = as_the_function_reads(read(data, timezone=BERLIN))
    assert [reading["measured_at"] for reading in found] == [w.at.replace(tzinfo=BERLIN) for w in WEIGH_INS]
    expected: dict[str, Callable[[histories.WeighIn], float]] = {
        "weight_kg": lambda w: w.weight_kg,
        "body_fat_percent": lambda w: w.fat_percent,
    }
    expected |= {"muscle_mass_kg": lambda w: w.muscle_kg} if "muscle" in has else {}
    expected |= {"bone_mass_kg": lambda w: w.bone_kg} if "bone" in has else {}
    expected |= {"body_water_percent": lambda w: w.water_kg / w.weight_kg * 100} if "water" in has else {}
    expected |= {"visceral_fat_rating": lambda w: w.visceral} if "visceral" in has else {}
    for attribute, value in expected.items():
        shown = [float(str(reading[attribute])) for reading in found]
        assert shown == pytest.approx([value(w) for w in WEIGH_INS], abs=0.07), attribute


def test_columns_found_by_arithmetic_alone() -> None:
    """Columns in another order and an unknown language are recognized by arithmetic, and the time by its cells."""
    first = list(range(19))
    random.Random(4).shuffle(first)
    data = histories.fitdays("unknown", order=[0, *[i for i in first if i]])
    known = {column.word: column for column in read(data).columns}
    assert (known["time"].header, known["time"].recognized_by) == ("xy0", "its cells")
    for word in ("weight", "body fat", "fat mass", "fat free body weight", "muscle mass", "bone mass", "water weight"):
        assert (known[word].header, known[word].recognized_by) == (f"xy{FITDAYS_ORDER.index(word)}", "the arithmetic")


def test_mapping_names_unknown_columns() -> None:
    """Columns that are not recognized are shown, and a mapping gives them their meaning."""
    data = b"Zeit;Masse;Fettanteil;Notiz\n2022-11-22 07:31;81,4 kg;18,2;gut\n"
    with pytest.raises(MappingInvalid, match=r"recognized as the weight\. The columns are: Zeit, Masse"):
        read(data)
    history = read(data, mapping={"Zeit": "time", "Masse": "weight", "Fettanteil": "body fat"}, timezone=BERLIN)
    assert [(c.header, c.word, c.recognized_by) for c in history.columns] == [
        ("Zeit", "time", "your mapping"),
        ("Masse", "weight", "your mapping"),
        ("Fettanteil", "body fat", "your mapping"),
        ("Notiz", "", "not stored by Garmin"),
    ]
    (reading,) = as_the_function_reads(history)
    assert (str(reading["weight_kg"]), str(reading["body_fat_percent"])) == ("81.4", "18.2")
    with pytest.raises(MappingInvalid, match="The mapping names a column 'Gewicht', but the columns are: Zeit, Masse"):
        read(data, mapping={"Gewicht": "weight"})
    with pytest.raises(MappingInvalid, match="gives the column 'Masse' the meaning 'masse'"):
        read(data, mapping={"Masse": "masse"})


@pytest.mark.parametrize(
    ("days", "order", "expected"),
    [
        (("03/04/2022 07:31", "13/04/2022 07:31"), "", "2022-04-03"),
        (("03/04/2022 7:31 AM", "03/14/2022 7:31 PM"), "", "2022-03-04"),
        (("03/04/2022 07:31",), "day first", "2022-04-03"),
        (("03/04/2022 07:31",), "month first", "2022-03-04"),
        (("03.04.2022 07:31:05",), "", "2022-04-03"),
    ],
)
def test_whole_file_decides_the_date_order(days: tuple[str, ...], order: str, expected: str) -> None:
    """The file as a whole decides whether the day or the month comes first."""
    data = "date,weight (kg)\n" + "".join(f"{day},81.4\n" for day in days)
    (first, *_) = as_the_function_reads(read(data.encode(), order=order))
    assert str(first["measured_at"]).startswith(expected)


def test_unclear_date_order_is_asked_for() -> None:
    """If no row shows whether the day or the month comes first, it is asked for and not guessed."""
    with pytest.raises(MappingInvalid, match="Is the day or the month first in '03/04/2022 07:31'"):
        read(b"date,weight (kg)\n03/04/2022 07:31,81.4\n")


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"", "The file is empty"),
        (b"date,weight (kg)\n2022-11-22 07:31,81.4\n\x00\xff\xfe\x81,2", "Row 3, byte 2: this is not text"),
        (histories.fitdays()[:3000], "The spreadsheet cannot be read"),
        (histories.apple_health(archive=True)[:-60], "cannot be read|is damaged"),
        (b"<html><body/></html>", "Expected an Apple Health export"),
        (b'[{"weight": 81.4},, 1]', "Row 1, column 19: "),
    ],
)
def test_damaged_file_names_the_place(data: bytes, place: str) -> None:
    """A file that cannot be read at all ends with a message that names the place."""
    with pytest.raises(FileUnusable, match=place):
        read(data)


@pytest.mark.parametrize(
    ("data", "number", "fault"),
    [
        (b'{"weight": 81.4, "time": 1669100000}\n{"weight": 81.4,, "fat": 2}\n', 2, "column 17: "),
        (b'{"weight": 81.4, "time": 1669100000}\n[1]\n', 2, "expected a JSON object"),
        (b'{"weight": 81.4, "time": 1669100000}\n{"weight": 81.4, "date": null}\n', 2, "the time is missing"),
        (b"date,weight (kg)\n2022-11-22 07:31,81.4\n,81.6\n", 3, "the time is missing"),
        (
            b"date,weight (kg),fat\n2022-11-22 07:31,81.4,18\n2022-11-23 07:31,81",
            3,
            "expected 3 cells as in the header, got 2",
        ),
        (
            b"date,weight (kg)\n2022-11-22 07:31,81.4\n2022-11-23 07:31,8,1,4\n",
            3,
            "expected 2 cells as in the header, got 4",
        ),
        (
            b"date,weight (kg)\n2022-11-22 07:31," + b"8" * 300 + b"\n",
            2,
            "column weight (kg): expected at most 200 characters",
        ),
        (
            histories.garmin().replace(b" Nov 12, 2022", b" Nvo 12, 2022"),
            6,
            "expected a day such as 'Jul 18, 2026', got",
        ),
        (histories.garmin().replace(b"7:31 AM", b"late", 1), 3, "column Time: expected a time of day, got 'late'"),
    ],
)
def test_damaged_row_is_named_others_go_on(data: bytes, number: int, fault: str) -> None:
    """A damaged row is named by row and column, and the other rows go on."""
    history = read(data)
    (first, *_) = [row for row in history.rows if row.fault]
    assert first.number == number
    assert fault in first.fault
    assert len(history.readings) >= 1 or len(history.rows) == 1


def test_json_line_of_a_person_stays_as_written() -> None:
    """A person is added to a line of JSON without a change to the rest, so the function sees a duplicate key."""
    (row,) = read(b' {"time": 1669100000, "weight": 81.40, "weight": 18.2} ', person="Anna").rows
    assert row.line == b'{"time": 1669100000, "weight": 81.40, "weight": 18.2, "person": "Anna"}'


@pytest.mark.parametrize("seed", range(40))
def test_damaged_spreadsheet_never_a_traceback(seed: int) -> None:
    """A spreadsheet with damaged bytes ends with a message, never with a traceback."""
    dice = random.Random(seed)
    data = bytearray(histories.fitdays())
    for _ in range(20):
        data[dice.randrange(len(data))] = dice.randrange(256)
    try:
        history = read(bytes(data))
    except (FileUnusable, MappingInvalid):
        return
    for row in history.readings:
        try:
            interpret(json.loads(row.line), now=NOW, timezone=BERLIN)
        except ReadingRejected as e:
            assert e.errors


# -- sending -----------------------------------------------------------------------------------------------

READINGS = 5_000


def write_history(path: Path, rows: int) -> None:
    """Write years of weigh-ins."""
    path.write_text(histories.years(rows))


def importing(file: Path, address: str, log: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [*WEIGHBRIDGE, "import", str(file), *more]
    environment = with_sources(clean({"WEIGHBRIDGE_URL": address, "COLUMNS": 120}))
    with log.open("wb") as output:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_progress_in_a_terminal(garmin: GarminStandIn, tmp_path: Path) -> None:
    """In a terminal, a bar shows how many rows were checked and sent; in a file there is none."""
    import pty  # not on Windows

    write_history(tmp_path / "history.csv", 30)
    ours, terminal = pty.openpty()
    command = [*WEIGHBRIDGE, "import", str(tmp_path / "history.csv"), "--yes", "--with-outliers"]
    with function(garmin, tmp_path) as address:
        environment = with_sources(clean({"WEIGHBRIDGE_URL": address, "COLUMNS": 120, "TERM": "xterm"}))
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
        )
        os.close(terminal)
        shown = b""
        with contextlib.suppress(OSError):  # EIO is the end of a terminal
            while piece := os.read(ours, 65_536):
                shown += piece
        os.close(ours)
        assert process.wait(60) == 0
        assert importing(tmp_path / "history.csv", address, tmp_path / "log", "--yes", "--with-outliers").wait(60) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    for task in ("checked", "sent"):
        assert re.search(rf"{task} ━+ +30/30", text), text
    assert "━" not in (tmp_path / "log").read_text()


def test_5000_rows_arrive_once_each(garmin: GarminStandIn, tmp_path: Path, figure: Callable[[str], None]) -> None:
    """5,000 rows arrive once each, although Garmin fails and the import is killed several times."""
    file, log = tmp_path / "history.csv", tmp_path / "log"
    write_history(file, READINGS)
    third_of_answers_lost(garmin)
    with function(garmin, tmp_path, WEIGHBRIDGE_CONFIRM_SECONDS=4) as address:
        killed = 0
        for share in (0.1, 0.3, 0.6):
            with importing(file, address, log, "--yes") as running:
                deadline = time.monotonic() + 120
                while len(garmin.weights.entries) < share * READINGS and running.poll() is None:
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
                killed += running.poll() is None
                running.kill()
        started = time.monotonic()
        before = len(garmin.weights.entries)
        running = importing(file, address, log, "--yes")
        usage = peak_kib(running)
        took_s = time.monotonic() - started
        assert running.returncode == 0, log.read_text()
    assert killed == 3
    assert len(garmin.weights.entries) == READINGS
    assert len({entry.raw["timestamp"] for entry in garmin.weights.entries}) == READINGS
    shown = log.read_text()
    assert re.search(r"5,000 of 5,000: .*already there", shown), shown
    figure(
        f"history: killed {killed} times at up to {before:,} of {READINGS:,}; the rest in {took_s:.0f} s, "
        f"{READINGS / took_s:,.0f} rows a second, peak memory {usage / 1024:.0f} MiB"
    )


def peak_kib(running: subprocess.Popen[bytes]) -> int:
    """The most memory (VmHWM) that the process used until it ended."""
    peak = 0
    while running.poll() is None:
        with contextlib.suppress(OSError, AttributeError):
            status = Path(f"/proc/{running.pid}/status").read_text()
            found = re.search(r"VmHWM:\s+(\d+) kB", status)
            peak = max(peak, int(found[1]) if found else 0)
        time.sleep(0.05)
    return peak


def test_memory_stays_flat(tmp_path: Path) -> None:
    """Ten times the rows need less than twice the memory."""
    peaks = []
    with process({"WEIGHBRIDGE_FOLDER": tmp_path / "kept"}) as (address, _):
        for rows in (1_000, 10_000):
            write_history(tmp_path / "history.csv", rows)
            running = importing(tmp_path / "history.csv", address, tmp_path / "log", "--preview")
            peaks.append(peak_kib(running))
            assert running.returncode == 0
    assert peaks[1] < 2 * peaks[0]


def test_preview_shows_rows_and_reasons(garmin: GarminStandIn, tmp_path: Path) -> None:
    """The preview shows what would be sent, and why a row is left out."""
    file, log = tmp_path / "history.csv", tmp_path / "log"
    write_history(file, 12)
    lines = file.read_text().splitlines()
    lines[3] = lines[3].replace(",3.4", ",13.4")
    lines[4] = lines[4].replace(",82.8,", ",828,")
    lines[6] = "yesterday" + lines[6][lines[6].index(",") :]
    lines[8] = lines[8].split(",")[0]
    file.write_text("\n".join(lines))
    with function(garmin, tmp_path) as address:
        running = importing(file, address, log, "--preview")
        assert running.wait(60) == 0
        shown = log.read_text()
        for words in (
            "a table: 12 weigh-ins.",
            "body fat",
            "its header",
            "Left out as doubtful: 'bone mass'.",
            "3 rows cannot be sent:",
            "  row 5: weight '828 kg': The weight must be",
            "  row 7: date 'yesterday': A time was expected",
            "  row 9: expected 7 cells as in the header, got 1",
            "Nothing was sent. Pass --yes to send 9 readings.",
        ):
            assert words in shown, shown
        assert garmin.weights.entries == []
        running = importing(file, address, log, "--yes")
        assert running.wait(60) == 0
    assert "9 of 9: 9 confirmed in Garmin Connect, 3 left out;" in log.read_text()
    assert len(garmin.weights.entries) == 9


def rows_of(count: int) -> list[WeighInLine]:
    return read(b"\n".join(b'{"time": "2022-11-%02dT06:30:00Z", "weight": 81.4}' % (n + 1) for n in range(count))).rows


def send_all(address: str, rows: list[WeighInLine], sleep: Callable[[float], None] = pytest.fail) -> ImportReport:
    outcome = ImportReport()
    with Client(read_target({"WEIGHBRIDGE_URL": address})) as client:
        send(client, rows, outcome, progress=lambda *_: None, sleep=sleep)
    return outcome


def test_line_with_several_weigh_ins(garmin: GarminStandIn, tmp_path: Path) -> None:
    """A line that holds several weigh-ins is one row. It is refused if one of them is, and the others arrive."""

    def line(day: int, *weights: float) -> bytes:
        of_line = [{"date": f"2022-11-{day + n}T06:30:00Z", "weight": kg} for n, kg in enumerate(weights)]
        received = {"event": "insert", "received_at": "2022-11-30T06:30:00Z"}
        return json.dumps(received | {"measurements": of_line}).encode()

    rows = read(b"\n".join([line(10, 81.4, 81.2), line(14, 81.1), line(20, 81.0, 8140)])).rows
    with function(garmin, tmp_path) as address:
        outcome = send_all(address, rows)
    assert outcome.counts == {"confirmed": 2}
    ((refused, problem),) = outcome.refused
    assert refused.number == 3
    assert "8140" in reason_of(problem)
    assert sorted(entry["weight"] for entry in garmin.weigh_ins()) == [81000, 81100, 81200, 81400]


def test_waits_while_the_function_is_down(garmin: GarminStandIn, tmp_path: Path) -> None:
    """If the function is down for a while, the import waits and then goes on."""
    port, pauses = free_port(), []
    with contextlib.ExitStack() as stack:

        def sleep(pause_s: float) -> None:
            pauses.append(pause_s)
            if len(pauses) == 3:
                stack.enter_context(function(garmin, tmp_path, port))

        outcome = send_all(f"http://127.0.0.1:{port}", rows_of(3), sleep)
    assert pauses == [1, 2, 4]
    assert outcome.counts == {"confirmed": 3}


def test_garmin_retry_after_is_kept(garmin: GarminStandIn, tmp_path: Path) -> None:
    """The import waits exactly as many seconds as Garmin asks for."""
    garmin.faults.add("upload", "429", retry_after=2)
    pauses: list[float] = []

    def wait(seconds: float) -> None:
        pauses.append(seconds)
        time.sleep(seconds)  # until then, the function asks Garmin nothing

    with function(garmin, tmp_path) as address:
        outcome = send_all(address, rows_of(3), wait)
    assert pauses == [2]
    assert outcome.counts == {"confirmed": 3}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"WEIGHBRIDGE_API_KEYS": "home=a-key-for-the-function"}, "not a configured key"),
        ({"WEIGHBRIDGE_TOKENS": "/nowhere"}, "login"),
    ],
)
def test_stops_when_a_person_must_act(
    garmin: GarminStandIn, tmp_path: Path, settings: dict[str, str], words: str
) -> None:
    """A problem that only a person can fix ends the import at once."""
    with function(garmin, tmp_path, **settings) as address, pytest.raises(Stopped, match=words):
        send_all(address, rows_of(3))
    assert garmin.weights.entries == []


def test_arrivals_beside_a_stop_are_counted(garmin: GarminStandIn, tmp_path: Path) -> None:
    """Rows that arrived in the same batch as the one that ends the import are counted."""
    garmin.write_token(tmp_path / "tokens", "anna")
    lines = [b'{"time": "2022-11-01T06:30:00Z", "weight": 80, "person": "%s"}' % name for name in (b"Ben", b"Anna")]
    outcome = ImportReport()
    settings = {"WEIGHBRIDGE_PEOPLE": ROOT / "examples" / "people.toml"}
    rows = read(b"\n".join(lines)).rows
    with (
        function(garmin, tmp_path, **settings) as address,
        Client(read_target({"WEIGHBRIDGE_URL": address})) as client,
        pytest.raises(Stopped, match="login"),
    ):
        send(client, rows, outcome, progress=lambda *_: None, sleep=pytest.fail)
    assert outcome.counts == {"confirmed": 1}


def test_missing_key_names_the_variable(garmin: GarminStandIn, tmp_path: Path) -> None:
    """If the key is missing, the message names the variable to set."""
    write_history(tmp_path / "history.csv", 3)
    with function(garmin, tmp_path, WEIGHBRIDGE_API_KEYS="home=a-key-for-the-function") as address:
        assert importing(tmp_path / "history.csv", address, tmp_path / "log", "--yes").wait(60) == 1
    assert "Set WEIGHBRIDGE_KEY to one of the function's WEIGHBRIDGE_API_KEYS." in (tmp_path / "log").read_text()


def test_key_may_be_in_a_file(garmin: GarminStandIn, tmp_path: Path) -> None:
    """The key may be in the file that WEIGHBRIDGE_KEY_FILE names."""
    write_history(tmp_path / "history.csv", 3)
    (tmp_path / "key").write_text("a-key-for-the-function\n")
    with function(garmin, tmp_path, WEIGHBRIDGE_API_KEYS="home=a-key-for-the-function") as address:
        done = weighbridge(
            *("import", tmp_path / "history.csv", "--yes"),
            folder=tmp_path,
            WEIGHBRIDGE_URL=address,
            WEIGHBRIDGE_KEY_FILE=tmp_path / "key",
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(garmin.weights.entries) == 3


@pytest.mark.parametrize(
    ("words", "environment", "sentence"),
    [
        (["no.csv"], {}, "no.csv cannot be read: No such file or directory."),
        (["a.csv", "--timezone", "Berlin"], {}, "expected a name such as Europe/Berlin, got 'Berlin'."),
        (["a.csv", "--mapping", "a.csv"], {}, "a.csv: This is not valid TOML"),
        (["a.csv", "--day-first", "--month-first"], {}, "Pass --day-first or --month-first, not both."),
        (["a.csv"], {}, 'Name it in a mapping file: "the header" = "weight".'),
        (["b.csv"], {"WEIGHBRIDGE_URL": "nowhere"}, "WEIGHBRIDGE_URL must be an http:// or https:// address"),
        (["b.csv"], {"WEIGHBRIDGE_URL": "http://127.0.0.1:1"}, "is this its address (WEIGHBRIDGE_URL)?\n"),
    ],
)
def test_unusable_arguments_end_with_a_sentence(
    words: list[str], environment: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    """An import that cannot start ends with one sentence and no traceback."""
    (tmp_path / "a.csv").write_text("date,masse\n2022-11-22 07:31,\n")
    (tmp_path / "b.csv").write_text("date,weight (kg)\n2022-11-22 07:31,81.4\n")
    done = weighbridge("import", *words, folder=tmp_path, **environment)
    assert done.returncode in (1, 2)
    assert sentence in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_accepted_rows_are_checked_once_more(garmin: GarminStandIn, tmp_path: Path) -> None:
    """Rows that Garmin accepted but did not show are looked up once more at the end."""
    with function(garmin, tmp_path, WEIGHBRIDGE_CONFIRM_SECONDS=0) as address:
        outcome = send_all(address, rows_of(3))
    assert outcome.counts == {"confirmed": 3}
    assert len(garmin.weights.entries) == 3


def test_conflicting_row_does_not_stop_others(garmin: GarminStandIn, tmp_path: Path) -> None:
    """A row that Garmin holds with other values is refused, and the other rows arrive."""
    rows = rows_of(3)
    with function(garmin, tmp_path) as address:
        send_all(address, [rows[1]._replace(line=rows[1].line.replace(b"81.4", b"79.9"))])
        outcome = send_all(address, rows)
    assert outcome.counts == {"confirmed": 2}
    ((row, problem),) = outcome.refused
    assert (row.number, "This reading would change weight." in reason_of(problem)) == (2, True)


#: A weigh-in as the Fitdays cloud has it, to the second, and as the app exports it: to the minute, muscle in kg.
CLOUD = '{"measured_time": "%s", "weight_g": 81400, "bfr": 18.2, "rom": 77.3, "bm": 3.4, "vwc": 57.2, "uvi": 7}'
EXPORTED = b"time,weight,body fat,muscle mass,bone mass,body water\n09:07 22/11/2022,81.4kg,18.2%,62.9kg,3.4kg,57.2%\n"


@pytest.mark.parametrize("second", [0, 1, 30, 59])
@pytest.mark.parametrize("export_first", [False, True], ids=["poller first", "export first"])
def test_minute_of_an_export_is_one_weigh_in(
    second: int, export_first: bool, garmin: GarminStandIn, tmp_path: Path
) -> None:
    """A row of an export, whose time lacks the seconds, and the poller's weigh-in of that minute are one."""
    cloud = WeighInLine(1, (CLOUD % f"2022-11-22T08:07:{second:02}Z").encode())
    (row,) = read(EXPORTED, timezone=BERLIN).rows
    with function(garmin, tmp_path) as address:
        for line in (row, cloud) if export_first else (cloud, row):
            outcome = send_all(address, [line])
        if second:
            assert outcome.counts == ({"confirmed": 1} if export_first else {"present": 1})
    assert len(garmin.weights.visible()) == 1


def test_weigh_in_of_the_same_minute_is_there(garmin: GarminStandIn, tmp_path: Path) -> None:
    """A row whose time lacks the seconds is the weigh-in of that minute in Garmin: it counts as already there."""
    (row,) = rows_of(1)
    at = json.loads(row.line)["time"]
    later = f"{datetime.fromisoformat(at) + timedelta(seconds=59):%Y-%m-%dT%H:%M:%SZ}"
    with function(garmin, tmp_path) as address:
        send_all(address, [row._replace(line=row.line.replace(at.encode(), later.encode()))])
        outcome = send_all(address, [row])
    assert outcome.counts == {"present": 1}
    assert len(garmin.weights.visible()) == 1


def test_each_status_has_words() -> None:
    """The report of an import has words for each status that a receipt may have."""
    assert set(STATUS_TEXTS) == set(WORDS) - {"checked"}


def test_readme_shows_the_real_output(tmp_path: Path) -> None:
    """The README shows exactly what the command prints, and names each kind of export."""
    page = (ROOT / "integrations" / "history" / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- output -->\n```console\n\$ weighbridge import (\S+) ([^\n]*)\n(.*?)```", page, re.S)
    assert shown
    log = tmp_path / "log"
    with process({"WEIGHBRIDGE_FOLDER": tmp_path / "kept"}) as (address, _):
        assert importing(ROOT / shown[1], address, log, *shown[2].split()).wait(60) == 0
    assert [line.rstrip() for line in log.read_text().splitlines()] == shown[3].splitlines()
    for word in ("time", "weight", *KINDS_OF_EXPORT):
        assert word in page


KINDS_OF_EXPORT = ("Fitdays", "Garmin Connect", "openScale", "Withings", "Apple Health", "JSON lines")
