"""The answers to an import's questions: asked at the terminal, kept in a mapping file, used again."""

from __future__ import annotations

import os
import pty
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.commands import WEIGHBRIDGE, clean, weighbridge, with_sources
from weighbridge_history import answers
from weighbridge_history.columns import KIND_OF
from weighbridge_history.errors import AnswersInvalid, MappingInvalid
from weighbridge_history.left_out import ranges
from weighbridge_history.questions import read_or_ask
from weighbridge_history.read import Choices, read, reader_of

ALL = Choices(
    mapping={"Masse": "weight", 'a "b" = c': ""},
    order="day first",
    timezone=ZoneInfo("Europe/Berlin"),
    person="Anna",
    time_of_day="07:00:00",
    units={"Muscle": "kg", "Wasser": "%"},
)
ALL_WRITTEN = r"""
# Answers to the questions of an import: weighbridge import FILE --mapping THIS
order = "dmy"
time_of_day = "07:00:00"
timezone = "Europe/Berlin"
person = "Anna"

[columns]
"Masse" = "weight"
"a \"b\" = c" = ""

[units]
"Muscle" = "kg"
"Wasser" = "%"
"""
HEADERS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def test_file_as_it_is_written() -> None:
    """All answers in one file, in this order."""
    assert answers.write(ALL).decode() == ALL_WRITTEN.lstrip()


@given(
    st.builds(
        Choices,
        mapping=st.dictionaries(HEADERS, st.sampled_from(["", *KIND_OF])),
        order=st.sampled_from(["", *answers.ORDERS.values()]),
        timezone=st.sampled_from([None, ZoneInfo("Asia/Tokyo"), ZoneInfo("UTC")]),
        person=st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(str.strip),
        time_of_day=st.sampled_from(["", "07:00:00", "23:59:59"]),
        units=st.dictionaries(HEADERS, st.sampled_from(["kg", "lb", "%", "st"])),
    )
)
def test_answers_survive_the_file(choices: Choices) -> None:
    """The answers read from a mapping file are those that were written, and writing them again gives the same bytes."""
    written = answers.write(choices)
    assert answers.parse(written) == choices
    assert answers.write(answers.parse(written)) == written


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('"Masse" = "weight"', "The key 'Masse' is unknown. Expected: order, time_of_day, timezone, person, [columns]"),
        ('"Masse" = "weight"', "The name of a column belongs below [columns]."),
        ("[column]", "The key 'column' is unknown"),
        ('order = "day first"', 'order: expected "dmy", "mdy" or "ymd", got \'day first\''),
        ("order = 1", "order: expected"),
        ("order = []", "order: expected"),
        ('time_of_day = "25:00"', 'time_of_day: expected a time of day such as "07:00"'),
        ('timezone = "Berlin"', 'timezone: expected a name such as "Europe/Berlin"'),
        ('timezone = "Europe"', "timezone: expected"),
        ('timezone = "../../etc/passwd"', "timezone: expected"),
        ('person = " "', "person: expected"),
        ("columns = 1", "columns: expected a table [columns]"),
        ("[columns]\nMasse = 1", "[columns] 'Masse': expected a word in quotation marks"),
        ('[units]\nMasse = "pints"', '[units] \'Masse\': expected a unit such as "kg", "lb" or "%", got \'pints\''),
        ("order", "This is not valid TOML"),
        ("\xff", "This is not valid TOML"),
    ],
)
def test_wrong_file_is_refused(text: str, words: str) -> None:
    """A mapping file with an unknown key or a wrong value is refused, with what was expected."""
    with pytest.raises(AnswersInvalid) as refused:
        answers.parse(text.encode("latin-1"))
    assert words in str(refused.value)


def test_time_of_day_may_be_bare() -> None:
    """A time of TOML, without quotation marks, is a time of day."""
    assert answers.parse(b"time_of_day = 07:15:00").time_of_day == "07:15:00"


def test_option_overrides_the_file() -> None:
    """Where the file and an option answer the same question, the option counts; the other answers stay."""
    said = answers.override(ALL, Choices(order="month first", units={"muscle": "lb"}))
    assert said == ALL._replace(order="month first", units={"Wasser": "%", "muscle": "lb"})
    assert answers.override(ALL, Choices()) == ALL


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (
            b"date,weight\n2026-04-23 07:30,81.4\n",
            "names a column 'Masse', but the columns are: date, weight. Is it the",
        ),
        (b'{"time": "2026-04-23T07:30:00Z", "weight": 81.4}', "a file of JSON lines has no columns"),
        (b"<HealthData></HealthData>", "a file of Apple Health has no columns"),
    ],
)
def test_mapping_of_another_file_says_so(data: bytes, words: str) -> None:
    """Answers that name columns which the file does not have are refused."""
    with pytest.raises(MappingInvalid, match=words):
        read(data, mapping={"Masse": "weight"})


def test_file_answers_as_the_options_do(tmp_path: Path) -> None:
    """What --save-mapping writes answers all questions of the next import, with --mapping."""
    (tmp_path / "a.csv").write_text("date,weight,muscle\n03/04/2026,180,61.2\n", encoding="utf-8")
    words = ["import", tmp_path / "a.csv", "--preview"]
    said = ["--date-order", "dmy", "--time-of-day", "7:00", "--unit", "weight=lb", "--unit", "muscle=kg"]
    zone = ["--timezone", "Europe/Berlin", "--save-mapping", tmp_path / "a.toml"]
    first = weighbridge(*words, *said, *zone, folder=tmp_path, COLUMNS="120")
    again = weighbridge(*words, "--mapping", tmp_path / "a.toml", folder=tmp_path, COLUMNS="120")
    for done in (first, again):
        assert done.returncode == 0, done.stderr
        assert "2 2026-04-03 05:00:00 81.6 61.2" in " ".join(done.stdout.decode().split())
    assert answers.parse((tmp_path / "a.toml").read_bytes()).units == {"weight": "lb", "muscle": "kg"}


def test_row_numbers_are_complete_and_short() -> None:
    """Neighboring rows are written as a range."""
    assert ranges([2, 3, 4, 7, 9, 10]) == ["2-4", "7", "9-10"]
    assert ranges([]) == []


def test_person_is_asked() -> None:
    """With one account and rows of two people, the person at the terminal says whose weigh-ins to send."""
    data = b"date,weight (kg),User\n2026-04-23 07:30,81.4,Anna\n2026-04-23 07:40,62.4,Ben\n"
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return ("carl", "ANNA")[len(asked) - 1]

    history, choices = read_or_ask(reader_of(data), Choices(), ask, served=False)
    assert [row.fault for row in history.rows] == ["", "this is a weigh-in of Ben"]
    assert (choices.person, "[Anna/Ben]" in asked[0]) == ("Anna", True)


def test_unit_of_the_weight_is_asked() -> None:
    """The unit of a weight that the file does not name is asked, and kept as the unit of that column."""
    fitbit = b'[{"logId": 1, "weight": 180.0, "date": "11/26/25", "time": "07:12:33"}]'
    history, choices = read_or_ask(reader_of(fitbit), Choices(), lambda _: "lb")
    assert choices.units == {"weight": "lb"}
    assert b'"180.0 lb"' in history.rows[0].line


# -- at a real terminal ------------------------------------------------------------------------------------


class Screen:
    """A command at a terminal of 120 columns."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self.process, self._terminal, self.text = process, terminal, ""

    def until(self, words: str) -> None:
        while words not in self.text:
            if not self._read():
                pytest.fail(f"expected {words!r} on the screen:\n{self.text}")

    def _read(self) -> bool:
        """Read what is there. False if nothing comes within 30 s, or the command has ended."""
        try:
            waiting, _, _ = select.select([self._terminal], [], [], 30)
            read = os.read(self._terminal, 4096) if waiting else b""
        except OSError:  # Linux: the command ended
            return False
        self.text += read.decode(errors="replace").replace("\r\n", "\n")
        return bool(read)

    def answer(self, question: str, line: str) -> None:
        self.until(question)
        os.write(self._terminal, f"{line}\n".encode())

    def end(self) -> int:
        while self._read():
            pass
        return self.process.wait(60)


@contextmanager
def at_terminal(folder: Path, *words: object, **environment: object) -> Iterator[Screen]:
    terminal, ours = pty.openpty()
    settings = {
        "WEIGHBRIDGE_DELIVERY": "folder",
        "WEIGHBRIDGE_FOLDER": folder / "kept",
        "COLUMNS": 120,
        "TERM": "xterm",
    }
    process = subprocess.Popen(
        [*WEIGHBRIDGE, "import", *map(str, words)],
        cwd=folder,
        env=with_sources(clean(settings | environment)),
        stdin=ours,
        stdout=ours,
        stderr=ours,
        start_new_session=True,
    )
    os.close(ours)
    try:
        yield Screen(process, terminal)
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def write_days(path: Path) -> None:
    """Twelve days of about 80 kg. The eighth is in pounds and the tenth of somebody else."""
    weights = [80.0 + day % 4 / 10 for day in range(12)]
    weights[7], weights[9] = 176.8, 61.2
    rows = [f"{day + 1:02}/01/2025,{kg:.1f},{kg * 0.7:.1f}" for day, kg in enumerate(weights)]
    path.write_text("\n".join(["date,weight (kg),Muscle", *rows]), encoding="utf-8")


def test_questions_at_a_terminal(tmp_path: Path) -> None:
    """Order, time of day and unit are asked at a terminal, saved on request, and outliers left out with one key."""
    write_days(tmp_path / "days.csv")
    with at_terminal(tmp_path, "days.csv", "--timezone", "Europe/Berlin") as screen:
        screen.answer("[dmy/mdy/ymd] ", "dmy")
        screen.answer("such as 07:00: ", "6:30")
        screen.answer("Is 'Muscle' (56.0, 56.1, 56.1) in kg or in %?", "kg")
        screen.until("2 weigh-ins out of line with the others:")
        screen.until("row 9: 176.8 kg among 80.2 kg: pounds read as kilograms?")
        screen.until("row 11: 61.2 kg among 80.2 kg: another person on the scale?")
        screen.answer("Save these answers to days.answers.toml? [y/N] ", "y")
        screen.answer("[N] none: ", "o")
        assert screen.end() == 0
    assert "[y] all 12 readings, [o] the 10 that are in line" in screen.text
    assert "10 of 10: 10 kept as files, 2 left out" in " ".join(screen.text.split())
    kept = answers.parse((tmp_path / "days.answers.toml").read_bytes())
    assert kept == Choices({}, "day first", ZoneInfo("Europe/Berlin"), "", "06:30:00", {"Muscle": "kg"})
    with at_terminal(tmp_path, "days.csv", "--mapping", "days.answers.toml", "--without-outliers") as screen:
        screen.answer("Send 10 readings (folder)? [y/N] ", "n")
        assert screen.end() == 0
    assert "Save these answers" not in screen.text


def test_no_answer_sends_nothing(tmp_path: Path) -> None:
    """Enter at the last question sends nothing."""
    write_days(tmp_path / "days.csv")
    said = ("--date-order", "dmy", "--time-of-day", "6:30", "--unit", "Muscle=kg")
    with at_terminal(tmp_path, "days.csv", *said, NO_COLOR=1) as screen:
        screen.answer("[N] none: ", "")
        assert screen.end() == 0
    assert not list((tmp_path / "kept").glob("*.fit"))
    assert "\x1b[1;31m" not in screen.text


@pytest.mark.parametrize(
    ("option", "code", "words"),
    [
        ((), 1, "2 of them are out of line with the others: add --without-outliers"),
        (("--without-outliers",), 0, "10 of 10: 10 kept as files, 2 left out;"),
        (("--with-outliers",), 0, "12 of 12: 12 kept as files;"),
    ],
)
def test_outliers_are_a_decision(option: tuple[str, ...], code: int, words: str, tmp_path: Path) -> None:
    """Without a terminal, outliers are sent or left out as an option says; without the option nothing is sent."""
    write_days(tmp_path / "days.csv")
    said = ("--date-order", "dmy", "--time-of-day", "6:30", "--unit", "Muscle=kg", "--yes", *option)
    settings = {"WEIGHBRIDGE_DELIVERY": "folder", "WEIGHBRIDGE_FOLDER": tmp_path / "kept", "COLUMNS": 120}
    done = weighbridge("import", tmp_path / "days.csv", *said, folder=tmp_path, **settings)
    assert (done.returncode, words in done.stdout.decode()) == (code, True), done.stdout.decode()
    assert bool(list((tmp_path / "kept").rglob("*.fit"))) == (code == 0)


def test_all_shows_each_row(tmp_path: Path) -> None:
    """A long list of what is left out ends with how to see all of it, and --all shows it."""
    rows = [f"2026-01-01 07:{minute:02},{81.4 if minute % 2 else 8140}" for minute in range(60)]
    (tmp_path / "a.csv").write_text("\n".join(["date,weight (kg)", *rows]), encoding="utf-8")
    words = ["import", tmp_path / "a.csv", "--preview"]
    short = weighbridge(*words, folder=tmp_path, COLUMNS="120").stdout.decode()
    assert "30 rows cannot be sent:" in short
    assert "… and 10 more. Pass --all to see them." in short
    full = weighbridge(*words, "--all", folder=tmp_path, COLUMNS="120").stdout.decode()
    assert [f"row {number}: " in full for number in range(2, 62, 2)] == [True] * 30
    assert "--all" not in full


def test_terminal_without_utf_8(tmp_path: Path) -> None:
    """On a terminal without UTF-8 the picture is of ASCII, and a header in another script does not end the import."""
    write_days(tmp_path / "days.csv")
    text = (tmp_path / "days.csv").read_text(encoding="utf-8").replace("Muscle", "骨格")
    (tmp_path / "days.csv").write_text(text, encoding="utf-8")
    said = ("--date-order", "dmy", "--time-of-day", "6:30", "--preview")
    done = weighbridge("import", tmp_path / "days.csv", *said, folder=tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    shown = done.stdout.decode("ascii")
    assert " kg +----" in shown
    assert "^" in shown
