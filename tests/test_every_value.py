"""Every weight and every percentage that a scale can show is read back exactly, by all three decoders."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import cache

import pytest

from tests.golden import INSTANT
from tests.outside import WeighIn, by_fitdecode, by_garmin_javascript, by_garmin_python
from tests.values import Values
from weighbridge.fit.encode import encode
from weighbridge.fit.patch import READINGS_PER_FILE, patch
from weighbridge.fit.template import read_template
from weighbridge.resources import TEMPLATES

TEMPLATE = read_template((TEMPLATES / "weight_scale.fit").read_bytes())
WEIGHTS = range(200, 30_001)  # hundredths of a kilogram
PERCENTAGES = range(10_001)  # hundredths


@cache
def weight_files() -> list[bytes]:
    return files([{"weight_kg": Decimal(n) / 100} for n in WEIGHTS])


@cache
def percentage_files() -> list[bytes]:
    return files(
        [
            {"weight_kg": Decimal(80), "body_fat_percent": Decimal(n) / 100, "body_water_percent": Decimal(n) / 100}
            for n in PERCENTAGES
        ]
    )


def files(values: list[dict[str, Decimal]]) -> list[bytes]:
    rows = [encode(Values(measured_at=INSTANT, **each)) for each in values]
    parcels = [rows[start : start + READINGS_PER_FILE] for start in range(0, len(rows), READINGS_PER_FILE)]
    return [patch(TEMPLATE, parcel) for parcel in parcels]


Decode = Callable[[list[bytes]], list[list[WeighIn]]]
DECODERS: dict[str, Decode] = {
    "fitdecode": lambda contents: [by_fitdecode(content) for content in contents],
    "garmin-fit-sdk": lambda contents: [by_garmin_python(content) for content in contents],
    "@garmin/fitsdk": by_garmin_javascript,
}
each_decoder = pytest.mark.parametrize("decode", DECODERS.values(), ids=DECODERS)


def read_back(decode: Decode, contents: list[bytes], name: str) -> list[float]:
    return [weigh_in.value[name] for file in decode(contents) for weigh_in in file]


@each_decoder
def test_every_weight(decode: Decode) -> None:
    """Each weight from 2 to 300 kg, in steps of 0.01 kg, is read back exactly."""
    assert read_back(decode, weight_files(), "weight") == [n / 100 for n in WEIGHTS]


@each_decoder
def test_every_percentage(decode: Decode) -> None:
    """Each percentage from 0 to 100, in steps of 0.01, is read back exactly."""
    decoded = decode(percentage_files())
    for name in ("percent_fat", "percent_hydration"):
        assert [weigh_in.value[name] for file in decoded for weigh_in in file] == [n / 100 for n in PERCENTAGES]
