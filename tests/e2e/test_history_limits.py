"""Files that are made to take all memory or time are refused, and the process that asked lives."""

from __future__ import annotations

import io
import json
import os
import re
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import xlwt

from weighbridge_history.errors import FileUnusable
from weighbridge_history.limits import MEMORY_BYTES, SECONDS
from weighbridge_history.read import read

#: Reads a file as a caller does; then shows what the answer was, and the memory of the process that read.
CALLER = """
import json, resource, sys, time
from pathlib import Path
from weighbridge_history.errors import FileUnusable
from weighbridge_history.read import read
start, said, rows = time.monotonic(), "", 0
try:
    rows = len(read(Path(sys.argv[1]).read_bytes()).rows)
except FileUnusable as e:
    said = str(e)
took_s = time.monotonic() - start
again = len(read(b'{"time": "2022-11-22T06:31:00Z", "weight": 81.4}').rows)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"said": said, "rows": rows, "took_s": took_s, "again": again, "peak": peak, "own": own}))
"""
RECORD = (
    '<Record type="HKQuantityTypeIdentifierBodyMass" sourceName="S" unit="kg" value="{}" '
    'startDate="2022-11-22 07:3{}:00 +0100"/>\n'
)


def archive(parts: dict[str, Callable[[Any], None]]) -> bytes:
    """A ZIP whose parts are written piece by piece."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as written:
        for name, write in parts.items():
            with written.open(name, "w", force_zip64=True) as part:
                write(part)
    return out.getvalue()


def xlsx(*cells: str, more: Callable[[Any], None] = lambda _: None) -> bytes:
    """A workbook of one sheet with these cells, each written as XML."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"

    def text(content: str) -> Callable[[Any], None]:
        return lambda part: part.write(content.encode())

    def sheet(part: Any) -> None:
        part.write(f'<worksheet xmlns="{main}"><sheetData>{"".join(cells)}'.encode())
        more(part)
        part.write(b"</sheetData></worksheet>")

    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
    return archive(
        {
            "[Content_Types].xml": text(
                f'<Types xmlns="{package}/content-types"><Override PartName="/xl/workbook.xml" ContentType="{kind}"/>'
                "</Types>"
            ),
            "_rels/.rels": text(
                f'<Relationships xmlns="{package}/relationships"><Relationship Id="r" Type="{office}/officeDocument" '
                'Target="xl/workbook.xml"/></Relationships>'
            ),
            "xl/workbook.xml": text(
                f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets>'
                "</workbook>"
            ),
            "xl/_rels/workbook.xml.rels": text(
                f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{office}/worksheet" '
                'Target="worksheets/sheet1.xml"/></Relationships>'
            ),
            "xl/worksheets/sheet1.xml": sheet,
        }
    )


def one_far_cell() -> bytes:
    return xlsx('<row r="1"><c r="A1"><v>1</v></c></row>', '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')


def only_one_far_cell() -> bytes:
    """The list of a reader starts with the first row and column, not with the first cell."""
    return xlsx('<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')


def inflating_sheet() -> bytes:
    def zeros(part: Any) -> None:
        for _ in range(1024):
            part.write(b" " * (1 << 20))

    return xlsx(more=zeros)


def health(*rows: str, head: str = "") -> bytes:
    return f'<?xml version="1.0"?>\n{head}<HealthData>\n{"".join(rows)}</HealthData>\n'.encode()


def endless_attribute() -> bytes:
    def write(part: Any) -> None:
        part.write(b'<HealthData><Record type="')
        for _ in range(1536):
            part.write(b"a" * (1 << 20))

    return archive({"apple_health_export/export.xml": write})


def endless_attribute_of_random_letters() -> bytes:
    """No ratio shows it."""
    return b'<HealthData>\n<Record type="' + os.urandom(40 << 20).hex().encode()


def laughs() -> bytes:
    entities = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10 if i else "ha"}">' for i in range(10))
    return health('<Record type="&l9;"/>\n', head=f"<!DOCTYPE HealthData [{entities}]>\n")


def xls(*cells: tuple[int, int, str | float]) -> bytes:
    """An old workbook of one sheet: row and column from 0, and the value."""
    book = xlwt.Workbook()
    sheet = book.add_sheet("S")
    for row, column, value in cells:
        sheet.write(row, column, value)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def large_old_spreadsheet() -> bytes:
    return xls((0, 0, "date"), (65_535, 255, 1))


def old_spreadsheet_of_stated_size() -> bytes:
    """A reader reserves memory for what DIMENSIONS states: here 4,294,967,295 rows, of a sheet with two cells."""
    data = xls((0, 0, "date"), (1, 1, 81.4))
    stated = struct.pack("<HHIIHH", 0x0200, 14, 0, 2, 0, 2)
    assert data.count(stated) == 1
    return data.replace(stated, struct.pack("<HHIIHH", 0x0200, 14, 0, 0xFFFFFFFF, 0, 0xFFFF))


def xlsb(*cells: tuple[int, int, str | float], stated: tuple[int, int, int, int] = (0, 1, 0, 1)) -> bytes:
    """A binary workbook of one sheet: row and column from 0, and the value."""

    def record(kind: int, content: bytes = b"") -> bytes:
        size = len(content)
        type_ = bytes([kind]) if kind < 0x80 else bytes([kind & 0x7F | 0x80, kind >> 7])
        return type_ + (bytes([size]) if size < 0x80 else bytes([size & 0x7F | 0x80, size >> 7])) + content

    def wide(text: str) -> bytes:
        return struct.pack("<I", len(text)) + text.encode("utf-16-le")

    book = record(131) + record(143) + record(156, struct.pack("<II", 0, 1) + wide("r1") + wide("S"))
    sheet = record(129) + record(148, struct.pack("<4I", *stated)) + record(145)
    for row, column, value in cells:
        place = struct.pack("<II", column, 0)
        sheet += record(0, struct.pack("<I", row) + bytes(13))
        sheet += (
            record(6, place + wide(value)) if isinstance(value, str) else record(5, place + struct.pack("<d", value))
        )
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    relations = (
        f'<Relationships xmlns="{package}"><Relationship Id="r1" Type="{office}/worksheet" '
        'Target="worksheets/sheet1.bin"/></Relationships>'
    )
    parts = {
        "xl/workbook.bin": book + record(144) + record(132),
        "xl/_rels/workbook.bin.rels": relations.encode(),
        "xl/worksheets/sheet1.bin": sheet + record(146) + record(130),
    }
    return archive({name: partial(_write, content) for name, content in parts.items()})


def _write(content: bytes, part: Any) -> None:
    part.write(content)


def ods(rows: str) -> bytes:
    """An OpenDocument spreadsheet of one sheet."""
    of = "urn:oasis:names:tc:opendocument:xmlns"
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    content = (
        f'<office:document-content xmlns:office="{of}:office:1.0" xmlns:table="{of}:table:1.0" '
        f'xmlns:text="{of}:text:1.0"><office:body><office:spreadsheet><table:table table:name="S">{rows}'
        "</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    entry = f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{kind}"/>'
    manifest = f'<manifest:manifest xmlns:manifest="{of}:manifest:1.0">{entry}</manifest:manifest>'
    parts = {"mimetype": kind, "content.xml": content, "META-INF/manifest.xml": manifest}
    return archive({name: partial(_write, text.encode()) for name, text in parts.items()})


def ods_row(*cells: str | float, row: str = "", cell: str = "") -> str:
    """A row of an .ods. `row`, `cell`: more attributes of the row, and of each cell."""

    def one(value: str | float) -> str:
        if isinstance(value, str):
            return f'<table:table-cell office:value-type="string"{cell}><text:p>{value}</text:p></table:table-cell>'
        return f'<table:table-cell office:value-type="float" office:value="{value}"{cell}/>'

    return f"<table:table-row{row}>{''.join(map(one, cells))}</table:table-row>"


def repeated_rows() -> bytes:
    return ods(ods_row(1.0, row=' table:number-rows-repeated="1048576"', cell=' table:number-columns-repeated="16384"'))


def row_after_repeated_ones() -> bytes:
    empty = '<table:table-row table:number-rows-repeated="1048570"><table:table-cell/></table:table-row>'
    far = '<table:table-cell table:number-columns-repeated="16000"/>'
    return ods(f"{ods_row('date')}{empty}<table:table-row>{far}{ods_row(1.0).removeprefix('<table:table-row>')}")


def many_lines() -> bytes:
    return b"date,weight (kg)\n" + b"2022-11-22 07:31:00,81.4\n" * 3_800_000


def nested_lists() -> bytes:
    return b"[" * (50 << 20)


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "far cell": (one_far_cell, "1048576 rows and 16384 columns"),
    "far cell alone": (only_one_far_cell, "1048576 rows and 16384 columns"),
    "inflating sheet": (inflating_sheet, "far more than its size"),
    "endless attribute, compressed": (endless_attribute, "a tag is longer than"),
    "endless attribute": (endless_attribute_of_random_letters, "a tag is longer than"),
    "entities": (laughs, "defines entities"),
    "large .xls": (large_old_spreadsheet, "65536 rows and 256 columns"),
    ".xls of stated size": (old_spreadsheet_of_stated_size, "4294967295 rows and 65535 columns"),
    "large .xlsb": (lambda: xlsb((0, 0, "date"), (1_048_575, 16_383, 1.0)), "1048576 rows and 16384 columns"),
    ".xlsb of stated size": (
        lambda: xlsb((0, 0, "date"), stated=(0, 1_048_575, 0, 16_383)),
        "1048576 rows and 16384 columns",
    ),
    "repeated rows of an .ods": (repeated_rows, "1048576 rows and 16384 columns"),
    "far row of an .ods": (row_after_repeated_ones, "1048572 rows and 16001 columns"),
    "many lines": (many_lines, "damaged, or needs more than"),
    "nested lists": (nested_lists, "JSON"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory, see process.py")
@pytest.mark.parametrize("bomb", BOMBS)
def test_bomb_is_refused_and_the_caller_lives(bomb: str, tmp_path: Path) -> None:
    """A bomb is refused with a sentence, within the limits, and the caller reads the next file."""
    make, words = BOMBS[bomb]
    file = tmp_path / "bomb.bin"
    file.write_bytes(make())
    done = subprocess.run(
        [sys.executable, "-c", CALLER, str(file)],
        capture_output=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    seen = json.loads(done.stdout)
    assert words in seen["said"], seen
    assert seen["again"] == 1
    # Between fork and exec, a child counts with the memory of its caller, which holds the file.
    assert seen["peak"] <= max(MEMORY_BYTES, seen["own"])
    assert seen["took_s"] < SECONDS + 5


def test_half_a_surrogate_pair_costs_no_file() -> None:
    """Half of a surrogate pair, which is not text, goes to the function as it is, and the other rows are read."""
    rows = read(
        rb'[{"time": "2022-11-22 07:31:00", "weight": "\ud83c"}, {"time": "2022-11-22 07:32:00", "weight": 81}]'
    ).rows
    assert [json.loads(row.line)["weight"] for row in rows] == ["\ud83c", "81"]


def test_empty_cells_far_away_do_not_count() -> None:
    """A cell with a format and no value does not make a sheet too large."""
    cell = '<c r="{}" t="inlineStr"><is><t>{}</t></is></c>'.format
    head = f'<row r="1">{cell("A1", "date")}{cell("B1", "weight")}</row>'
    row = f'<row r="2">{cell("A2", "2022-11-22 07:31:00")}<c r="B2"><v>81.4</v></c></row>'
    (only,) = read(xlsx(head, row, '<row r="1048576"><c r="XFD1048576" s="1"/></row>'), units={"weight": "kg"}).rows
    assert json.loads(only.line)["weight"] == "81.4 kg"


SHEETS = {
    ".xls": lambda: xls((0, 0, "date"), (0, 1, "weight"), (2, 0, "2022-11-22 07:31:00"), (2, 1, 81.4)),
    ".xlsb": lambda: xlsb((0, 0, "date"), (0, 1, "weight"), (2, 0, "2022-11-22 07:31:00"), (2, 1, 81.4)),
    ".ods": lambda: ods(
        ods_row("date", "weight")
        + '<table:table-row table:number-rows-repeated="1"><table:table-cell/></table:table-row>'
        + ods_row("2022-11-22 07:31:00", 81.4)
        # As a spreadsheet program ends a sheet.
        + '<table:table-row table:number-rows-repeated="1048573"><table:table-cell '
        'table:number-columns-repeated="16384"/></table:table-row>'
    ),
}


@pytest.mark.parametrize("kind", SHEETS)
def test_each_kind_of_spreadsheet_is_read(kind: str) -> None:
    """A spreadsheet is read whatever its format is, and a row has the number that a person sees."""
    (only,) = read(SHEETS[kind](), units={"weight": "kg"}).rows
    assert (only.number, json.loads(only.line)) == (3, {"date": "2022-11-22 07:31:00", "weight": "81.4 kg"})


@pytest.mark.parametrize("kind", SHEETS)
def test_cut_spreadsheet_is_refused(kind: str) -> None:
    """A spreadsheet that ends early is refused with a sentence, wherever it ends."""
    whole = SHEETS[kind]()
    for part in (1, 2, 3):
        with pytest.raises(FileUnusable, match="cannot be read"):
            read(whole[: len(whole) * part // 4])


def test_damaged_record_is_named_others_are_read() -> None:
    """Damage in one record of Apple Health costs that record alone, and its line is named."""
    rows = [RECORD.format(80 + i, i) for i in range(6)]
    rows[2] = rows[2].replace('value="82"', 'value="82" value="82"')
    rows[4] = rows[4].replace("<Record", "<Rec & ord")
    history = read(health(*rows))
    weights = [json.loads(row.line)["weight"] for row in history.readings]
    assert weights == ["80 kg", "81 kg", "83 kg", "85 kg"]
    assert [row.fault for row in history.rows if row.fault] == [
        "line 5 of the XML is damaged",
        "line 7 of the XML is damaged",
    ]


def test_damage_anywhere_costs_its_line_alone() -> None:
    """Where the pieces of the file are cut does not matter."""
    clocks = [f"{i // 3600:02}:{i // 60 % 60:02}:{i % 60:02}" for i in range(3000)]
    rows = [RECORD.format(80, 1).replace("07:31:00", clock) for clock in clocks]
    for place in (400, 401, 1500, 2999):
        damaged = [*rows]
        damaged[place] = damaged[place].replace('unit="kg"', 'unit="kg" <')
        history = read(health(*damaged))
        assert len(history.readings) == len(rows) - 1
        assert [row.fault for row in history.rows if row.fault] == [f"line {place + 3} of the XML is damaged"]


def test_damage_above_the_records_is_named() -> None:
    """A document type that is not valid, as iOS 16 wrote it, is named, and all records are read."""
    head = "<!DOCTYPE HealthData [\n<!ELEMENT >\n<!ATTLIST Record unit CDATA #IMPLIED>\n]>\n"
    history = read(health(*map(RECORD.format, (80, 81), (0, 1)), head=head))
    assert len(history.readings) == 2
    assert [row.fault for row in history.rows if row.fault] == ["line 3 of the XML is damaged"]


def test_other_xml_is_refused() -> None:
    """XML that is not an Apple Health export is refused, damaged or not."""
    for xml in (b"<gpx></gpx>", b"<gpx><&</gpx>", b"<?xml version='1.0'?>\n<!DOCTYPE gpx [<!ELEMENT >]>\n<gpx/>\n"):
        with pytest.raises(FileUnusable, match=r"HealthData|damaged"):
            read(xml)


@pytest.mark.parametrize("mark", ["&", "A & B", "\x01", "\x0b\x0c", "&nbsp;", "&amp;", "&#38;"])
def test_name_of_an_app_damages_nothing(mark: str) -> None:
    """What an app writes into its name costs no record, wherever the pieces of the file are cut."""
    rows = [
        RECORD.format(80, 0).replace('"S"', f'"{mark}"').replace("07:30", f"{n // 60:02}:{n % 60:02}")
        for n in range(1200)
    ]
    history = read(health(*rows))
    assert len(history.readings) == 1200
    assert not any(row.fault for row in history.rows)


def test_file_without_lines_is_read_after_damage() -> None:
    """Damage costs one record, even if all of them are in one line."""
    rows = [RECORD.format(80 + i, i).strip() for i in range(5)]
    rows[2] = rows[2].replace('unit="kg"', "unit=kg")
    history = read(health(*rows))
    assert [json.loads(row.line)["weight"] for row in history.readings] == ["80 kg", "81 kg", "83 kg", "84 kg"]
    assert [row.fault for row in history.rows if row.fault] == ["line 3 of the XML is damaged"]


@pytest.mark.parametrize("left_out", [1, 14, 20, 60])
def test_end_of_a_cut_file_is_named(left_out: int) -> None:
    """A file that ends early is read up to there, and the line at which it ends is named."""
    history = read(health(*(RECORD.format(80 + i, i) for i in range(5))).rstrip()[:-left_out])
    assert len(history.readings) == (5 if left_out < 20 else 4)
    (why,) = (row.fault for row in history.rows if row.fault)
    assert re.fullmatch(r"the XML ends early, in line [78]: what followed is missing", why)


@pytest.mark.parametrize("value", ["1e999999", "-1e999999", "1e-999999", "NaN", "Infinity", "1e400"])
def test_number_out_of_range_is_sent_as_it_is(value: str) -> None:
    """A number that cannot be a percentage goes to the function unchanged, which names it."""
    fat = RECORD.format(value, 0).replace("BodyMass", "BodyFatPercentage").replace('"kg"', '"%"')
    (row,) = read(health(RECORD.format(80, 0), fat)).rows
    assert json.loads(row.line)["body fat"] == f"{value} %"
