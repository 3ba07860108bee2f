"""Zepp Life (Mi Fit): a record, or a list of records.

Facts (AlexxIT/SmartScaleConnect, zepp.go): `muscleRate` is a mass in kg. Another `weightType` than 0 is a change or a
deletion, whose weight is wrong. Member -1 is the owner of the account.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..dialects import is_missing
from .items import (
    TIME,
    WEIGHT,
    Document,
    Field,
    Item,
    Values,
    object_in,
    objects_in,
    renamed,
    rows_in,
    spread,
)

_FIELDS: Mapping[str, Field] = {
    "weight": Field(WEIGHT, "kg"),
    "height": Field("height_cm", "cm"),
    "bmi": Field("bmi"),
    "fatRate": Field("body_fat_percent", "%"),
    "bodyWaterRate": Field("body_water_percent", "%"),
    "boneMass": Field("bone_mass_kg", "kg"),
    "metabolism": Field("basal_metabolic_rate_kcal", "kcal"),
    "muscleRate": Field("muscle_mass_kg", "kg"),
    "muscleAge": Field("metabolic_age_years", "years"),
    "visceralFat": Field("visceral_fat_rating"),
    "bodyStyle": Field("physique_rating"),
}


def fits(document: Document) -> bool:
    if "generatedTime" in document:
        return isinstance(document.get("summary"), dict)
    return any("generatedTime" in each for each in objects_in(document, "items"))


def unpack(document: Document) -> Iterator[Item]:
    if "generatedTime" in document:
        yield Item(_record(document))
    else:
        yield from spread([_record(record) for record in rows_in(document, "items")], document, ("items", "next"))


def _record(record: Document) -> Values:
    known = ("generatedTime", "summary", "weightType", "memberId", "userId")
    values = {key: value for key, value in record.items() if key not in known}
    values |= {**renamed(object_in(record, "summary"), _FIELDS), TIME: record.get("generatedTime", "no generatedTime")}
    owner = str(record.get("memberId", "-1")) == "-1"
    if not is_missing(person := record.get("userId" if owner else "memberId")):
        values["userId"] = person
    if record.get("weightType", 0) != 0:
        values["problem"] = "The weight is of a changed or deleted record (weightType is not 0)."
    return values
