"""weighbridge template: make a template from your own scale's file, or show which values the current one takes.

Strategy: two parts of the scale's file remain: the messages that identify the device, and one weigh-in with the most
fields, emptied. Everything else may be personal, and is removed. The template counts only if a reading is proven in it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import click
from fastcrc.crc16 import arc as crc16

from ..compose import usable_template
from ..errors import FolderUnusable, TemplateUnusable, WeighbridgeError
from ..fit import profile
from ..fit.template import Record, read_header, read_template, walk
from ..pipeline import rehearse
from ..settings import read_settings
from .surroundings import Surroundings

#: Messages that identify the device, or that the weigh-in's fields need. All others may be personal, and are removed.
DEVICE_INFO = 23
KEPT = {
    profile.FILE_ID: "file_id",
    49: "file_creator",
    DEVICE_INFO: "device_info",
    profile.DEVELOPER_DATA_ID: "developer_data_id",
    profile.FIELD_DESCRIPTION: "field_description",
}

#: The fields that a weigh-in must have: timestamp and weight.
NEEDED = {profile.TIMESTAMP_FIELD, 0}

#: Base types whose invalid value is zero: string, and those with a z (FIT protocol, "Base Types").
ZERO_IS_INVALID = {0x07, 0x0A, 0x8B, 0x8C, 0x90}


def from_scale(content: bytes) -> bytes:
    """A scale's own file, of any size -> a template with its identity and one empty weigh-in.

    Raises `TemplateUnusable` if the file has no usable weigh-in.
    """
    header_size, data_end = read_header(content)
    records = walk(content, header_size, data_end)
    weigh_in_records = [
        record
        for record in records
        if record.definition.message == profile.WEIGHT_SCALE_MESSAGE and not record.compressed_timestamp
    ]
    if not weigh_in_records:
        raise TemplateUnusable("The file holds no weigh-in (weight_scale record with a timestamp of its own).")
    # A calibration or an incomplete weigh-in may lack fields that the others have.
    weigh_in = max(weigh_in_records, key=lambda record: (_numbers(record) >= NEEDED, len(record.definition.fields)))
    data = b"".join(_kept(content, records))
    data += _defined(weigh_in, 1) + b"\1" + _emptied(weigh_in)
    (profile_version,) = struct.unpack_from("<H", content, 2)
    header = struct.pack("<BBHI4s", 14, content[1], profile_version, len(data), b".FIT")
    made = header + crc16(header).to_bytes(2, "little") + data
    return made + crc16(made).to_bytes(2, "little")


def _numbers(record: Record) -> set[int]:
    return {place.number for place in record.definition.fields if place.developer_index is None}


def _kept(content: bytes, records: Sequence[Record]) -> list[bytes]:
    """The messages of `KEPT` with their definitions, without duplicates and without times."""
    found: dict[bytes, None] = {}
    devices = 0
    for record in records:
        message = record.definition.message
        if message not in KEPT or record.compressed_timestamp:
            continue
        # A scale repeats its device (and its battery's state) with each weigh-in. The first one is the creator.
        devices += message == DEVICE_INFO
        if message == DEVICE_INFO and devices > 1:
            continue
        values = bytearray(content[record.start : record.end])
        values[0] = 0
        for place in record.definition.fields:
            if (place.number, place.developer_index) == (profile.TIMESTAMP_FIELD, None):
                values[place.start : place.start + place.size] = b"\xff" * place.size
        found[_defined(record, 0) + bytes(values)] = None
    return list(found)


def _defined(record: Record, local: int) -> bytes:
    """The definition of a record, as bytes."""
    definition = record.definition
    native = [place for place in definition.fields if place.developer_index is None]
    developer = [place for place in definition.fields if place.developer_index is not None]
    flag, architecture = (0x20 if developer else 0), "<>".index(definition.byte_order)
    head = struct.pack("BBB", 0x40 | flag | local, 0, architecture)
    head += struct.pack(definition.byte_order + "HB", definition.message, len(native))
    head += b"".join(bytes((place.number, place.size, place.base_type)) for place in native)
    if developer:
        head += bytes([len(developer)])
        head += b"".join(bytes((place.number, place.size, place.developer_index or 0)) for place in developer)
    return head


def _emptied(record: Record) -> bytes:
    """A weigh-in with the same fields and no values."""
    return b"".join(
        (b"\0" if place.base_type in ZERO_IS_INVALID else b"\xff") * place.size for place in record.definition.fields
    )


def prove_usable(content: bytes) -> None:
    """Patch readings into a template and prove them. Raises `TemplateUnusable`."""
    rehearse(read_template(content))


@click.command("template")
@click.option(
    "--from", "source", metavar="FIT", type=click.Path(path_type=Path), help="A weight file of your own scale."
)
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Where to write it. Default: template_FIT."
)
@click.pass_obj
def command(around: Surroundings, source: Path | None, output: Path | None) -> None:
    """Make a template from your own scale's file, with its identity and without measurements.

    Without --from, show which values the template in use takes.
    """
    if source is None:
        if output is not None:
            raise click.UsageError("-o needs --from, the file to make the template from.")
        path = read_settings(around.environment).template
        usable_template(read_settings(around.environment))
        print(describe(path, path.read_bytes()))
        return
    output = output or Path(f"template_{source.name}")
    if output.exists() and source.exists() and output.samefile(source):
        raise FolderUnusable(f"{output} is the scale's own file and would be overwritten. Choose another output.")
    write(output, _made_of(source))
    print(f"Use it with WEIGHBRIDGE_TEMPLATE={output}")


def _made_of(source: Path) -> bytes:
    try:
        return from_scale(source.read_bytes())
    except OSError as e:
        raise TemplateUnusable(f"{source} cannot be read: {e.strerror}.") from None
    except TemplateUnusable as e:
        raise TemplateUnusable(f"{source}: {e}") from None


def write(path: Path, content: bytes) -> None:
    """Write a usable template, and print which values it takes. Raises `TemplateUnusable` or `FolderUnusable`."""
    try:
        prove_usable(content)
    except WeighbridgeError as e:
        raise TemplateUnusable(f"{path.name} would be unusable: {e}") from None
    try:
        path.write_bytes(content)
    except OSError as e:
        raise FolderUnusable(f"{path} cannot be written: {e.strerror}.") from None
    print(describe(path, content))


def describe(path: Path, content: bytes) -> str:
    slots = ", ".join(slot.name for slot in read_template(content).slots)
    return f"{path}: {len(content)} bytes, proven with a reading. It takes:\n  {slots}"
