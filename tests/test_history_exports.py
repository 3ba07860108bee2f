"""Exports as they really are: each is read right, or asked about, or refused. All values are made up."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from datetime import time as clock_time
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
import xlwt
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.commands import weighbridge
from tests.e2e.parts import histories
from weighbridge.errors import ReadingRejected
from weighbridge.reading.interpret import Interpreted, interpret
from weighbridge_history import times
from weighbridge_history.errors import (
    FileUnusable,
    MappingInvalid,
    OrderUnclear,
    SeveralPeople,
    TimeOfDayMissing,
    UnitUnclear,
)
from weighbridge_history.questions import read_or_ask
from weighbridge_history.read import Choices, History, WeighInLine, check_people, columns_of, read, reader_of
from weighbridge_history.send import by_time

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def interpreted(history: History) -> list[Interpreted]:
    assert [row.fault for row in history.rows if row.fault] == []
    return [interpret(json.loads(row.line), now=NOW, timezone=BERLIN) for row in history.rows]


class Export(NamedTuple):
    """A file, what the user says, and the first weigh-in: the local time and some values."""

    text: str
    at: str
    values: Mapping[str, float]
    said: Mapping[str, Any] = {}


EXPORTS = {
    "openScale 3": Export(
        "BODY_FAT,BONE,DATE,MUSCLE,TIME,WATER,WEIGHT\n22.1,3.4,2026-04-23,66.7,07:30:13.974,56.0,90.0\n",
        "2026-04-23 07:30:13",
        # fat-free 70.11: muscle and bone make it, both in kg.
        {"weight_kg": 90.0, "body_fat_percent": 22.1, "muscle_mass_kg": 66.7, "bone_mass_kg": 3.4},
        {"units": {"weight": "kg"}},
    ),
    "openScale 3, unit said": Export(
        "DATE,MUSCLE,TIME,WEIGHT\n2026-04-23,61.2,07:30:13.974,90.0\n",
        "2026-04-23 07:30:13",
        {"weight_kg": 90.0, "muscle_mass_kg": 61.2},
        {"units": {"muscle": "kg", "WEIGHT": "kg"}},
    ),
    "Withings-like": Export(
        "Date,Weight (kg),Fat mass (kg),Muscle (kg),Hydration (%)\n2026-04-23 07:30:00,74.2,10.2,60.1,55.0\n",
        "2026-04-23 07:30:00",
        {"weight_kg": 74.2, "muscle_mass_kg": 60.1, "body_water_percent": 55.0},
    ),
    "Renpho": Export(
        "Time of Measurement,Weight(lb),BMI,Body Fat(%),Fat-free Body Weight(lb),Subcutaneous Fat(%),Visceral Fat,"
        "Body Water(%),Skeletal Muscle(%),Muscle Mass(lb),Bone Mass(lb),Protein(%),BMR(kcal),Metabolic Age\n"
        '"July 4, 2022 9:34:26 AM",180.0,24.4,20.0,144.0,17.8,8,57.8,51.6,136.8,7.2,18.3,1780,35\n',
        "2022-07-04 09:34:26",
        {"weight_kg": 81.647, "body_fat_percent": 20.0, "muscle_mass_kg": 62.051, "metabolic_age_years": 35},
    ),
    "Renpho, newer": Export(
        "Date, Time, Weight(kg),Body Fat(%),Remarks\n8/24/25,11:52:37 AM,81.4,18.2,--\n",
        "2025-08-24 11:52:37",
        {"weight_kg": 81.4, "body_fat_percent": 18.2},
    ),
    "Zepp Life": Export(
        "time,weight,height,bmi,fatRate,bodyWaterRate,boneMass,metabolism,muscleRate,visceralFat\n"
        "2026-01-15 06:09:29+0000,61.6,170.0,21.3,35.5,44.2,2.4,1287.0,37.29,8.0\n",
        "2026-01-15 07:09:29",
        {"body_fat_percent": 35.5, "body_water_percent": 44.2, "muscle_mass_kg": 37.29},
    ),
    "Samsung Health": Export(
        "com.samsung.health.weight,6305010,2\n"
        "start_time,weight,height,body_fat,muscle_mass,create_time,update_time,time_offset,deviceuuid,pkg_name\n"
        "2026-04-23 05:30:13.974,81.4,182.0,18.2,62.9,2026-04-23 05:31:00.000,2026-04-23 05:31:00.000,UTC+0200,a,b,\n",
        "2026-04-23 07:30:13",
        {"weight_kg": 81.4, "body_fat_percent": 18.2, "muscle_mass_kg": 62.9},
    ),
    "tabs and decimal commas": Export(
        "Date\tWeight (kg)\tBody Fat (%)\n23.04.2026 07:30\t81,4\t18,2\n",
        "2026-04-23 07:30:00",
        {"weight_kg": 81.4, "body_fat_percent": 18.2},
    ),
    "Fitbit": Export(
        '[{"logId": 1, "weight": 180.0, "bmi": 24.4, "fat": 20.0, "date": "11/26/25", "time": "07:12:33"}]',
        "2025-11-26 07:12:33",
        {"weight_kg": 81.647, "body_fat_percent": 20.0},
        {"units": {"weight": "lb"}},
    ),
    "dates alone, with a time": Export(
        "date,weight (kg)\n2026-04-23,90.0\n", "2026-04-23 07:00:00", {"weight_kg": 90}, {"time_of_day": "07:00"}
    ),
    "Portuguese, newer": Export(
        "Hora/Data;Peso;Gordura corporal\n07:31 22/11/2022;81,4kg;18,2%\n",
        "2022-11-22 07:31:00",
        {"weight_kg": 81.4, "body_fat_percent": 18.2},
    ),
    "a unit after a comma": Export(
        "Datetime;Weight, lb\n2026-04-23 07:30;180,0\n", "2026-04-23 07:30:00", {"weight_kg": 81.647}
    ),
}


@pytest.mark.parametrize("name", EXPORTS)
def test_each_shape_is_read(name: str) -> None:
    """Each export comes out with the instant and the values that its file has."""
    text, at, values, said = EXPORTS[name]
    (found,) = interpreted(read(text.encode(), timezone=BERLIN, **said))
    assert f"{found.reading.measured_at.astimezone(BERLIN):%Y-%m-%d %H:%M:%S}" == at
    shown = {name: float(str(getattr(found.reading, name))) for name in values}
    assert shown == pytest.approx(dict(values), abs=0.001)


@pytest.mark.parametrize(
    ("text", "fault", "words"),
    [
        ("date,weight\n2026-04-23,90.0\n2026-04-24,90.1\n", TimeOfDayMissing, "--time-of-day 07:00"),
        ("date,weight\n26/11/25 07:12,90.0\n", OrderUnclear, "year or the day first in '26/11/25 07:12'"),
        ("date,weight\n03-04-2026 07:12,90.0\n", OrderUnclear, "day or the month first in '03-04-2026 07:12'"),
        ("date,weight\n13/04/2022 07:12,90\n04/13/2022 07:12,90\n", OrderUnclear, "contradict each other"),
        ('[{"logId": 1, "weight": 180.0, "date": "11/26/25", "time": "07:12:33"}]', UnitUnclear, "--unit weight=lb"),
        (
            "date,weight\n2026-04-23 07:30,90.0\n",
            UnitUnclear,
            "column 'weight' is neither in its header nor .*weight=lb",
        ),
        ("Datum;Gewicht\n2026-04-23 07:30;90,0\n", UnitUnclear, "column 'Gewicht' .* Pass --unit weight=kg"),
        ("DATE,TIME,WEIGHT\n2026-04-23,07:30:13,90.0\n", UnitUnclear, "column 'WEIGHT' is neither"),
        ("2026-04-23 07:30\t90,5\t22,1\n2026-04-24 07:30\t90,5\t22,1\n", FileUnusable, "has no header"),
        ("2026-04-23,90.5\n", FileUnusable, "has no header"),
    ],
)
def test_what_the_file_does_not_say_is_asked(text: str, fault: type[Exception], words: str) -> None:
    """What a file does not say is asked for, and a file without a header is refused."""
    with pytest.raises(fault, match=words):
        read(text.encode(), timezone=BERLIN)


def test_date_alone_among_times_is_left_out() -> None:
    """A row with a date alone is left out by name if other rows have times, unless a time of day is given."""
    data = b"date,weight (kg)\n2026-04-23,90.0\n2026-04-24 07:30,90.1\n"
    assert "the time of day is missing" in read(data).rows[0].fault
    history = read(data, time_of_day="06:15:00")
    assert [f"{i.reading.measured_at.astimezone(BERLIN):%H:%M}" for i in interpreted(history)] == ["06:15", "07:30"]
    assert history.at_time_of_day == 1


def test_number_of_unknown_unit_is_left_out() -> None:
    """A bare number that may be in kg or in % is left out with a warning, not guessed."""
    (found,) = interpreted(read(b"date,weight (kg),Muscle,Hydration\n2026-04-23 07:30,74.2,60.1,55.0\n"))
    assert found.reading.muscle_mass_kg is found.reading.body_water_percent is None
    assert [str(warning) for warning in found.warnings] == [
        f"Left out as doubtful: {key}. It could be in kg or in %, and the other values do not decide. "
        "Send it with its unit."
        for key in ("'Muscle'", "'Hydration'")
    ]


@pytest.mark.parametrize(
    ("units", "words"),
    [
        ({"fat": "kg"}, "A unit is given for 'fat', but the columns are: date, weight"),
        ({"weight": "%"}, "cannot be in"),
    ],
)
def test_unit_that_fits_no_column_is_refused(units: dict[str, str], words: str) -> None:
    """A unit for a column that is not there, or that cannot have it, is refused."""
    with pytest.raises(MappingInvalid, match=words):
        read(b"date,weight\n2026-04-23 07:30,74.2\n", units=units)


TWO = (
    b"Date,Weight (kg),BodyFat,User,Source\n"
    b"2026-04-23 07:30:00,81.4,18.2,Anna,scale\n2026-04-23 07:40:00,62.4,28.2,Ben,scale\n"
)


def test_people_by_column() -> None:
    """Rows name their people; with one account, the user says whose weigh-ins to send."""
    history = read(TWO, timezone=BERLIN)
    assert [found.reading.person for found in interpreted(history)] == ["Anna", "Ben"]
    check_people(history, served=True)
    with pytest.raises(SeveralPeople, match="weigh-ins of Anna and Ben, and the function serves one account"):
        check_people(history, served=False)
    of_anna = read(TWO, timezone=BERLIN, person="anna")
    check_people(of_anna, served=False)
    assert [row.fault for row in of_anna.rows] == ["", "this is a weigh-in of Ben"]


def test_unknown_header_that_could_matter_is_sent() -> None:
    """An unknown header that could change the meaning goes to the function, which refuses the row by its name."""
    (row,) = read(b"date,weight (kg),weigh-in is removed\n2026-04-23 07:30,81.4,yes\n").rows
    with pytest.raises(ReadingRejected):
        interpret(json.loads(row.line), now=NOW, timezone=BERLIN)


def test_zone_of_the_file_counts() -> None:
    """A column with the zone counts, and not the user's zone."""
    data = b"date,time,timezone,weight (kg)\n2026-04-23,07:30,America/New_York,81.4\n"
    (found,) = interpreted(read(data, timezone=BERLIN))
    assert f"{found.reading.measured_at:%H:%M}" == "11:30"


def test_lines_of_json_get_the_zone() -> None:
    """The user's zone counts for JSON lines without an offset, too."""
    (found,) = interpreted(read(b'{"time": "2026-04-23 07:30", "weight": 81.4}', timezone=ZoneInfo("Asia/Tokyo")))
    assert f"{found.reading.measured_at:%m-%d %H:%M}" == "04-22 22:30"


def test_columns_of_lists_and_of_garmin() -> None:
    """The columns of a JSON list and of Garmin's export are found without reading their rows."""
    found = columns_of(b'[{"logId": 1, "weight": 180.0, "date": "11/26/25"}]', {})
    assert [column.word for column in found] == ["", "weight", "time"]
    words = {column.header: column.word for column in columns_of(histories.garmin(), {})}
    assert words["Skeletal Muscle Mass"] == "muscle mass"


def test_rows_are_sorted() -> None:
    """Rows are sent in the order of their times, whatever the order of the file."""
    stamps = ["2026-04-23T07:30:00+02:00", "2025-04-23T07:30:00+02:00", "nonsense", "2026-01-02T07:30:00+01:00"]
    rows = [WeighInLine(n, json.dumps({"time": at, "weight": 80}).encode()) for n, at in enumerate(stamps)]
    assert [row.number for row in by_time(rows)] == [1, 3, 0, 2]


def spreadsheet(rows: list[list[object]]) -> bytes:
    book = xlwt.Workbook()
    sheet = book.add_sheet("data")
    for y, row in enumerate(rows):
        for x, value in enumerate(row):
            style = xlwt.XFStyle()
            style.num_format_str = "YYYY-MM-DD HH:MM" if isinstance(value, datetime) else "YYYY-MM-DD"
            style.num_format_str = "HH:MM" if isinstance(value, clock_time) else style.num_format_str
            sheet.write(y, x, value, style if isinstance(value, datetime | date | clock_time) else xlwt.XFStyle())
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def test_dates_of_a_spreadsheet() -> None:
    """In a spreadsheet, a date and a time in two cells are one time, and dates alone are asked about."""
    day = date(2026, 4, 23)
    header: list[object] = ["My export"]
    (found,) = interpreted(
        read(spreadsheet([header, ["Date", "Time", "Weight (kg)"], [day, clock_time(7, 30), 81.4]]), timezone=BERLIN)
    )
    assert f"{found.reading.measured_at:%Y-%m-%d %H:%M}" == "2026-04-23 05:30"
    with pytest.raises(TimeOfDayMissing):
        read(spreadsheet([["Date", "Weight"], [day, 81.4]]))


def fitdays_43(headers: list[str], heart_rate: str) -> bytes:
    """The layout of 43 columns: two values more after the fifth, one after the twentieth, six before the segments."""
    rows: list[list[object]] = [[*headers]]
    for weigh_in in histories.WEIGH_INS:
        cells = histories.fitdays_cells(weigh_in)
        more = ["8.2kg/m²", "85", "78.0kg", "-2.0kg", "-2.0kg", "0.0kg"]
        rows.append([*cells[:5], heart_rate, "3.4", *cells[5:18], "12.3%", cells[18], *more, *cells[19:]])
    return spreadsheet(rows)


@pytest.mark.parametrize("heart_rate", ["72bpm", "- -"])
def test_43_columns_of_fitdays(heart_rate: str) -> None:
    """The layout of a real export, in an unknown language: heart rate and index at 6 and 7, obesity at 21."""
    history = read(fitdays_43([f"xy{i}" for i in range(43)], heart_rate), timezone=BERLIN)
    for found, weigh_in in zip(interpreted(history), histories.WEIGH_INS, strict=True):
        reading = found.reading
        assert reading.measured_at == weigh_in.at.replace(tzinfo=BERLIN)
        values = (reading.weight_kg, reading.body_fat_percent, reading.muscle_mass_kg, reading.bone_mass_kg)
        right = (weigh_in.weight_kg, weigh_in.fat_percent, weigh_in.muscle_kg, weigh_in.bone_kg)
        assert [float(str(value)) for value in values] == pytest.approx(list(right))
        assert reading.visceral_fat_rating == weigh_in.visceral
        assert float(str(reading.body_water_percent)) == pytest.approx(
            weigh_in.water_kg / weigh_in.weight_kg * 100, 0.01
        )
    assert {column.recognized_by for column in history.columns if column.key} == {"its position"}


def test_43_columns_in_another_order() -> None:
    """If the order is neither of the app's, the arithmetic finds what adds up, and nothing else is sent."""
    data = histories.fitdays("unknown", order=[0, *range(18, 0, -1)])
    history = read(data, timezone=BERLIN)
    for found, weigh_in in zip(interpreted(history), histories.WEIGH_INS, strict=True):
        assert found.reading.measured_at == weigh_in.at.replace(tzinfo=BERLIN)
        assert float(str(found.reading.weight_kg)) == weigh_in.weight_kg
        assert float(str(found.reading.bone_mass_kg)) == weigh_in.bone_kg
        assert found.reading.visceral_fat_rating is found.reading.bmi is None


def test_two_columns_for_one_number() -> None:
    """A number in two columns is taken from the first, or from the one that the mapping names."""
    data = b"date,Weight (kg),Weight (lb),Other (kg)\n2026-04-23 07:30,81.4,179.5,81.5\n"
    (found,) = interpreted(read(data))
    assert str(found.reading.weight_kg) == "81.4"
    (found,) = interpreted(read(data, mapping={"Other (kg)": "weight"}))
    assert str(found.reading.weight_kg) == "81.5"
    with pytest.raises(MappingInvalid, match=r"two columns the meaning 'weight': 'Weight .kg.' and 'Other .kg.'"):
        read(data, mapping={"Other (kg)": "weight", "Weight (kg)": "weight"})


@pytest.mark.parametrize(("fraction", "second"), [("0.184", 0), ("18.4", 0), ("0.184", 1), ("0.184", 59)])
def test_values_of_apple_health(fraction: str, second: int) -> None:
    """Fat as a fraction or in percent, at the second of the weight or within its minute, belongs to the weight."""
    record = '<Record type="HKQuantityTypeIdentifier%s" sourceName="Scale" unit="%s" startDate="%s +0200" value="%s"/>'
    at = "2026-04-23 07:30:%02d"
    records = record % ("BodyMass", "kg", at % 0, "81.4") + record % ("BodyFatPercentage", "%", at % second, fraction)
    (found,) = interpreted(read(f"<HealthData>{records}</HealthData>".encode()))
    assert (str(found.reading.weight_kg), float(str(found.reading.body_fat_percent))) == ("81.4", 18.4)


def person(*answers: str) -> tuple[Callable[[str], str], list[str]]:
    left, asked = list(answers), list[str]()

    def ask(question: str) -> str:
        asked.append(question)
        return left.pop(0)

    return ask, asked


def test_each_question_is_asked_once() -> None:
    """At a terminal each question is asked once, for the whole file; an answer of no use is asked for again."""
    data = b"date,weight (kg)\n03/04/2026,81.4\n04/05/2026,81.6\n"
    around, asked = person("middle first", "dmy", "6:15 AM")
    history, choices = read_or_ask(reader_of(data), Choices(timezone=BERLIN), around)
    assert [f"{i.reading.measured_at.astimezone(BERLIN):%m-%d %H:%M}" for i in interpreted(history)] == [
        "04-03 06:15",
        "05-04 06:15",
    ]
    assert len(asked) == 3
    assert choices == Choices({}, times.DAY_FIRST, BERLIN, time_of_day="06:15:00")
    around, _ = person("dmy", "in the morning", "")
    with pytest.raises(TimeOfDayMissing):
        read_or_ask(reader_of(data), Choices(timezone=BERLIN), around)
    fitbit = b'[{"logId": 1, "weight": 180.0, "date": "11/26/25", "time": "07:12:33"}]'
    around, _ = person("lb")
    (found,) = interpreted(read_or_ask(reader_of(fitbit), Choices(timezone=BERLIN), around)[0])
    assert str(found.reading.weight_kg).startswith("81.646")


def test_options_answer_the_questions(tmp_path: Path) -> None:
    """The options answer what the file does not say, and the preview shows it."""
    (tmp_path / "a.csv").write_text("date,weight,muscle\n03/04/2026,180,61.2\n", encoding="utf-8")
    words = ["import", tmp_path / "a.csv", "--preview", "--timezone", "Europe/Berlin"]
    for said, sentence in (
        ([], "--date-order dmy, mdy or ymd"),
        (["--date-order", "dmy"], "--time-of-day 07:00"),
        (["--date-order", "dmy", "--time-of-day", "7:00"], "The unit of the column 'weight' is neither in its header"),
        (["--time-of-day", "25:00"], "expected a time of day such as 07:00, got '25:00'"),
        (["--unit", "weight=stones of gold"], "expected COLUMN=UNIT such as muscle=kg"),
    ):
        refused = weighbridge(*words, *said, folder=tmp_path)
        assert refused.returncode != 0
        assert sentence in " ".join(refused.stderr.decode().split())
    answers = ["--date-order", "dmy", "--time-of-day", "7:00", "--unit", "weight=lb", "--unit", "muscle=kg"]
    shown = " ".join(weighbridge(*words, *answers, folder=tmp_path, COLUMNS="120").stdout.decode().split())
    for part in (
        "1 of them have a date and no time",
        "2 2026-04-03 05:00:00 81.6 61.2",
        "weight, lb",
        "muscle mass, kg",
    ):
        assert part in shown, shown
    undecided = " ".join(weighbridge(*words, *answers[:6], folder=tmp_path, COLUMNS="120").stdout.decode().split())
    assert "row 2: Left out as doubtful: 'muscle'. It could be in kg or in %" in undecided, undecided


DATES = ("%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%m/%d/%y", "%Y%m%d", "%b %d, %Y", "%d-%m-%Y", "%Y/%m/%d")
CLOCKS = ("", "%H:%M", "%H:%M:%S", "%I:%M:%S %p")


@settings(max_examples=300, deadline=None)
@given(
    moments=st.lists(st.datetimes(datetime(2015, 1, 1), datetime(2026, 1, 1)), min_size=1, max_size=6),  # noqa: DTZ001
    written=st.sampled_from(DATES),
    clock=st.sampled_from(CLOCKS),
    joined=st.sampled_from([" ", ",", "\t", "T"]),
    order=st.sampled_from(["", times.DAY_FIRST, times.MONTH_FIRST, times.YEAR_FIRST]),
    zone=st.sampled_from([None, BERLIN, ZoneInfo("Asia/Tokyo")]),
)
def test_midnight_is_never_invented(
    moments: list[datetime], written: str, clock: str, joined: str, order: str, zone: ZoneInfo | None
) -> None:
    """No instant at midnight of the zone is sent that is not in the file."""
    two_columns = bool(clock) and joined in (",", "\t")
    mark = joined if two_columns else ";"
    lines = [mark.join(["date", *["time"] * two_columns, "weight"])]
    for moment in moments:
        at = moment.replace(hour=max(moment.hour, 1))
        day, hours = at.strftime(written), at.strftime(clock)
        when = [f'"{day}"', hours] if two_columns else [f'"{day}{joined if clock else ""}{hours}"']
        lines.append(mark.join([*when, "80"]))
    try:
        history = read("\n".join(lines).encode(), order=order, timezone=zone)
    except MappingInvalid:
        return
    for row in history.readings:
        try:
            found = interpret(json.loads(row.line), now=NOW, timezone=BERLIN).reading.measured_at
        except ReadingRejected:
            continue
        local = found.astimezone(zone or BERLIN)
        assert clock, row.line
        assert local.hour > 0, row.line
