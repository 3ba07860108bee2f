"""The slice of the FIT profile that a weigh-in needs.

Facts (FIT SDK 21.218, Profile.xlsx, message `weight_scale`, global number 30; all offsets are 0, there is no
field 6): field numbers, base types, scales and units. Base types and their invalid values: FIT protocol,
"Base Types". A time is seconds since 1989-12-31T00:00:00Z.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

FIT_EPOCH_UNIX_S = 631_065_600
#: A smaller date_time counts from when a device was switched on (Profile.xlsx, `date_time`): July 1998.
OLDEST_DATE_TIME = 0x10000000

FILE_ID = 0
WEIGHT_SCALE_MESSAGE = 30
FIELD_DESCRIPTION = 206
DEVELOPER_DATA_ID = 207

FILE_TYPE_WEIGHT = 9
TIMESTAMP_FIELD = 253
TIME_CREATED_FIELD = 4

#: A weight of 65534 means "calculating", 65535 means invalid.
WEIGHT_CALCULATING = 65_534


class BaseType(NamedTuple):
    """One of FIT's base types: its number in a definition, and the form of its values in a record."""

    number: int
    name: str
    struct_char: str
    size: int
    #: Means "not measured". It is also the largest number that the bytes hold.
    invalid: int
    invalid_bytes: bytes


def _integer(number: int, name: str, struct_char: str, size: int) -> BaseType:
    return BaseType(number, name, struct_char, size, (1 << 8 * size) - 1, b"\xff" * size)


ENUM = _integer(0x00, "enum", "B", 1)
UINT8 = _integer(0x02, "uint8", "B", 1)
UINT16 = _integer(0x84, "uint16", "H", 2)
UINT32 = _integer(0x86, "uint32", "I", 4)
#: A float is carried as the integer of its four bytes, so it compares bit for bit.
FLOAT32 = _integer(0x88, "float32", "I", 4)


class Field(NamedTuple):
    """One field: its place in the profile, and the attribute of a reading that it holds."""

    name: str
    number: int
    base_type: BaseType
    #: Raw value = value × scale.
    scale: int
    unit: str
    #: The attribute of `Reading`, or "" if a reading has none.
    source: str


WEIGHT_SCALE = (
    Field("timestamp", 253, UINT32, 1, "s", "measured_at"),
    Field("weight", 0, UINT16, 100, "kg", "weight_kg"),
    Field("percent_fat", 1, UINT16, 100, "%", "body_fat_percent"),
    Field("percent_hydration", 2, UINT16, 100, "%", "body_water_percent"),
    Field("visceral_fat_mass", 3, UINT16, 100, "kg", "visceral_fat_mass_kg"),
    Field("bone_mass", 4, UINT16, 100, "kg", "bone_mass_kg"),
    Field("muscle_mass", 5, UINT16, 100, "kg", "muscle_mass_kg"),
    Field("basal_met", 7, UINT16, 4, "kcal/day", "basal_metabolic_rate_kcal"),
    Field("physique_rating", 8, UINT8, 1, "", "physique_rating"),
    Field("active_met", 9, UINT16, 4, "kcal/day", "active_metabolic_rate_kcal"),
    Field("metabolic_age", 10, UINT8, 1, "years", "metabolic_age_years"),
    Field("visceral_fat_rating", 11, UINT8, 1, "", "visceral_fat_rating"),
    Field("user_profile_index", 12, UINT16, 1, "", ""),
    Field("bmi", 13, UINT16, 10, "kg/m²", "bmi"),
)

#: Our developer fields, for values that the profile has no field for. No official encoder applies the scale of a
#: developer field, so these are plain floats, rounded to a hundredth.
DEVELOPER = (
    Field("fat_mass", 0, FLOAT32, 1, "kg", "fat_mass_kg"),
    Field("fat_free_mass", 1, FLOAT32, 1, "kg", "fat_free_mass_kg"),
    Field("subcutaneous_fat", 2, FLOAT32, 1, "%", "subcutaneous_fat_percent"),
    Field("skeletal_muscle_mass", 3, FLOAT32, 1, "kg", "skeletal_muscle_mass_kg"),
)

NATIVE_BY_NUMBER = {field.number: field for field in WEIGHT_SCALE}
DEVELOPER_BY_NAME = {field.name: field for field in DEVELOPER}
FIELDS = {field.name: field for field in (*WEIGHT_SCALE, *DEVELOPER)}


def value_of(field: Field, raw: int) -> float:
    """The value of a raw integer, in the field's unit."""
    if field.base_type is FLOAT32:
        # A float32 has up to nine digits; `encode` rounded to two decimals.
        return round(float(struct.unpack("<f", struct.pack("<I", raw))[0]), 2)
    return raw / field.scale if field.scale != 1 else raw
