"""Reading -> raw integers (scale, round half up, range), and back.

Rule: decimal-exact. 64.6 kg is 6460 and never 6459. A tie is rounded up, as in Garmin's Java and JavaScript SDKs. A
missing value is left out and never a zero. A value that a field cannot hold is refused and never wrapped.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from ..errors import FieldError, ReadingRejected
from ..reasons import Why
from .profile import (
    DEVELOPER,
    FIELDS,
    FIT_EPOCH_UNIX_S,
    FLOAT32,
    OLDEST_DATE_TIME,
    UINT32,
    WEIGHT_CALCULATING,
    WEIGHT_SCALE,
    value_of,
)

#: FIT field name -> raw integer. For a float32, its four bytes as an integer (see `profile.value_of`).
RawFields = Mapping[str, int]

_EPOCH = datetime.fromtimestamp(FIT_EPOCH_UNIX_S, UTC)
_SECOND = timedelta(seconds=1)
_HALF = Decimal("0.5")
_HUNDREDTH = Decimal("0.01")

#: (field, attribute of a reading, scale, largest raw value)
_INTEGERS = tuple(
    (
        field.name,
        field.source,
        Decimal(field.scale),
        (WEIGHT_CALCULATING if field.name == "weight" else field.base_type.invalid) - 1,
    )
    for field in WEIGHT_SCALE
    if field.source and field.name != "timestamp"
)
_FLOATS = tuple((field.name, field.source) for field in DEVELOPER)


def encode(reading: object) -> RawFields:
    """The raw values of a reading: any object with the attributes that `profile` names as sources.

    Raises `ReadingRejected` for a value that its field cannot hold.
    """
    timestamp = (reading.measured_at - _EPOCH) // _SECOND  # type: ignore[attr-defined]
    if not OLDEST_DATE_TIME <= timestamp <= UINT32.invalid - 1:
        raise ReadingRejected([FieldError("measured_at", reading.measured_at, Why.FIT_TIME())])  # type: ignore[attr-defined]
    raws: dict[str, int] = {"timestamp": timestamp}
    for name, source, scale, largest in _INTEGERS:
        value = getattr(reading, source)
        if value is not None:
            # For a number of 0 or more, int(value + ½) rounds half up. This is the hot path.
            raw = int(value * scale + _HALF)
            if not 0 < raw <= largest and (raw or value < 0):
                raise ReadingRejected([FieldError(source, value, Why.FIT_RANGE(maximum=Decimal(largest) / scale))])
            raws[name] = raw
    for name, source in _FLOATS:
        value = getattr(reading, source, None)
        if value is not None:
            hundredths = Decimal(value).quantize(_HUNDREDTH, ROUND_HALF_UP)
            (raws[name],) = struct.unpack("<I", struct.pack("<f", hundredths))
    return raws


def decode(raws: RawFields) -> dict[str, object]:
    """Raw values -> the attributes of a reading, from which `encode` makes the same raw values."""
    values: dict[str, object] = {"measured_at": _EPOCH + raws["timestamp"] * _SECOND}
    for name, raw in raws.items():
        field = FIELDS[name]
        if name != "timestamp":
            exact = Decimal(raw) / field.scale
            values[field.source] = Decimal(str(value_of(field, raw))) if field.base_type is FLOAT32 else exact
    return values
