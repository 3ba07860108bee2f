"""Receipt: what happened to a reading, value by value.

Rule: every value of the reading is named once, with its value in the file or the reason why it has none. Values in a
receipt belong to the caller. They go into the response and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, NotRequired

from typing_extensions import TypedDict

from .delivery.port import Delivered
from .fit.encode import RawFields
from .fit.profile import DEVELOPER, WEIGHT_SCALE, Field, value_of
from .fit.template import Template
from .fit.verify import VerifiedFit
from .notes import Code, Note
from .reading.interpret import Interpreted
from .reading.measures import MEASURES
from .reasons import shown_parameters

#: Where each value of a reading goes in a weight_scale message (timestamp apart).
NATIVE = {field.source: field for field in WEIGHT_SCALE if field.source and field.name != "timestamp"}
DEVELOPER_FIELDS = {field.source: field for field in DEVELOPER if field.source}

#: Why a value has no native field of its own.
NOT_STORED = {
    "fat_mass_kg": "Garmin has no field for fat mass; it shows body fat in %.",
    "fat_free_mass_kg": "Garmin has no field for fat-free mass.",
    "body_water_kg": "Garmin takes body water in %, so it is sent as percent_hydration.",
    "subcutaneous_fat_percent": "Garmin has no field for subcutaneous fat.",
    "skeletal_muscle_mass_kg": "Garmin has one field for muscle, and muscle_mass_kg is in it.",
    "height_cm": "Used for the body mass index; a weigh-in has no field for it.",
    "person": "Garmin knows the person from the account.",
}

#: Where a file is imported by hand.
IMPORT_PAGE = "https://connect.garmin.com/app/import-data"

PROOF = "decoded by fitdecode; every value and every other byte is as expected"

WORDS = {
    "checked": "would be sent; nothing was",
    "kept": "kept as a file for import by hand",
    "present": "was in Garmin Connect already",
    "accepted": "taken by Garmin Connect, not visible there yet",
    "confirmed": "confirmed in Garmin Connect",
    "taken_back": "deleted, as its source asked",
    "nothing": "no weigh-in, such as a test; nothing was done",
}


class ReceiptField(TypedDict):
    name: str
    value: float | str
    fit_field: str | None
    sent: NotRequired[float]
    derived: NotRequired[str]
    note: NotRequired[str]


class ReceiptFit(TypedDict):
    sha256: str
    size_bytes: int
    proof: str
    file_name: NotRequired[str]


class ReceiptNote(TypedDict):
    #: For programs.
    code: str
    #: For people.
    text: str
    #: The numbers and names in the text, for a translation.
    params: dict[str, object]


class Receipt(TypedDict):
    """The answer to one reading."""

    status: str
    #: Whether the reading is taken care of and does not need to be sent again.
    final: bool
    summary: str
    #: None: the message was about no weigh-in.
    measured_at: str | None
    fields: list[ReceiptField]
    unknown: list[str]
    notes: list[ReceiptNote]
    warnings: list[ReceiptNote]
    #: None: there was nothing to send.
    fit: ReceiptFit | None
    garmin: dict[str, object] | None
    import_page: NotRequired[str]


def make_receipt(
    interpreted: Interpreted, raws: RawFields, template: Template, outcome: Delivered | VerifiedFit
) -> Receipt:
    """The receipt of a delivered reading; given only the file (a dry run), of a checked one."""
    delivered = outcome if isinstance(outcome, Delivered) else None
    status = delivered.status if delivered else "checked"
    warnings = delivered.warnings if delivered else ()
    reading = interpreted.reading
    receipt: Receipt = {
        "status": status,
        "final": _is_final(status, warnings),
        "summary": _summary(interpreted, status),
        "measured_at": _iso(reading.measured_at),
        "fields": _fields(interpreted, raws, template),
        "unknown": list(interpreted.unknown),
        "notes": _note_dicts((*interpreted.notes, *(delivered.notes if delivered else ()))),
        "warnings": _note_dicts((*interpreted.warnings, *warnings)),
        "fit": _fit(outcome),
        "garmin": delivered.garmin.shown() if delivered and delivered.garmin else None,
    }
    if status == "kept":
        receipt["import_page"] = IMPORT_PAGE
    return receipt


def taken_back(measured_at: datetime, status: str) -> Receipt:
    """The receipt of a weigh-in that was deleted (`taken_back`), or would be (`checked`)."""
    done = "would be deleted; nothing was" if status == "checked" else WORDS[status]
    return _without_values(status, f"The weigh-in of {_iso(measured_at)}: {done}.", measured_at)


def nothing_done(text: str) -> Receipt:
    """The receipt of a message that is about no weigh-in. `text`: a sentence that answers it."""
    return _without_values("nothing", text, None)


def _without_values(status: str, summary: str, measured_at: datetime | None) -> Receipt:
    return {
        "status": status,
        "final": True,
        "summary": summary,
        "measured_at": _iso(measured_at) if measured_at else None,
        "fields": [],
        "unknown": [],
        "notes": [],
        "warnings": [],
        "fit": None,
        "garmin": None,
    }


def _is_final(status: str, warnings: Sequence[Note]) -> bool:
    # Sent again, what is `accepted` becomes `present` or `confirmed`, and what is left of an older entry is deleted.
    return status != "accepted" and Code.REPLACED_ENTRY_REMAINS not in {warning.why for warning in warnings}


def _iso(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def _note_dicts(notes: Sequence[Note]) -> list[ReceiptNote]:
    return [note_on_the_wire(note) for note in notes]


def note_on_the_wire(note: Note) -> ReceiptNote:
    """As it is in a receipt."""
    return {"code": note.why.code, "text": str(note), "params": shown_parameters(note.parameters)}


def _fit(outcome: Delivered | VerifiedFit) -> ReceiptFit:
    file = outcome.fit if isinstance(outcome, Delivered) else outcome
    fit: ReceiptFit = {"sha256": file.sha256, "size_bytes": len(file.content), "proof": PROOF}
    if isinstance(outcome, Delivered) and outcome.file_name:
        fit["file_name"] = outcome.file_name
    return fit


def _summary(interpreted: Interpreted, status: str) -> str:
    reading = interpreted.reading
    parts = [f"{reading.weight_kg:.2f}".rstrip("0").rstrip(".") + " kg"]
    if reading.body_fat_percent is not None:
        parts.append(f"{reading.body_fat_percent:.1f} % fat")
    return " ".join([f"{', '.join(parts)}: {WORDS[status]}.", *map(str, interpreted.warnings)])


class _Place(NamedTuple):
    """What a receipt says about each value of one name."""

    fit_field: Field | None
    is_native: bool
    note: str | None


#: Each attribute of a reading but the time.
_PLACES = {
    name: _Place(NATIVE.get(name) or DEVELOPER_FIELDS.get(name), name in NATIVE, NOT_STORED.get(name))
    for name in (*MEASURES, "person")
}


def _fields(interpreted: Interpreted, raws: RawFields, template: Template) -> list[ReceiptField]:
    fields: list[ReceiptField] = []
    derived, in_template = interpreted.derived, template.fields
    for name, value in interpreted.reading.__dict__.items():
        if value is None or name == "measured_at":
            continue
        fit_field, is_native, note = _PLACES[name]
        field: ReceiptField = {
            "name": name,
            "value": _plain(value) if isinstance(value, Decimal) else value,
            "fit_field": None,
        }
        if fit_field and (in_fit := fit_field.name) in raws and in_fit in in_template:
            field["fit_field"] = in_fit
            field["sent"] = value_of(fit_field, raws[in_fit])
        elif is_native:
            field["note"] = "The template has no such field."
        if note:
            field["note"] = note
        if name in derived:
            field["derived"] = derived[name]
        fields.append(field)
    return fields


def _plain(value: Decimal) -> float:
    # Derived values have many decimals; four are more than any scale shows.
    number = round(float(value), 4)
    return int(number) if number.is_integer() else number
