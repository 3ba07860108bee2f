"""Garmin: what Garmin Connect shows, and what its Health API pushes.

Facts: the weight service of Garmin Connect (matin/garth, weight.py) has grams, an age in milliseconds, `date` in local
time and `timestampGMT` as the instant. Garmin's Health API names the unit in each key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from .items import (
    TIME,
    WEIGHT,
    Document,
    Field,
    Item,
    Values,
    object_in,
    renamed,
    rows_in,
    spread,
)

#: Of a year of 365.2422 days: 757366224000 is 24 years.
MS_PER_YEAR = 31_556_926_000
_GRAM = Decimal("0.001")
_FIELDS: Mapping[str, Field] = {
    "weight": Field(WEIGHT, "kg", _GRAM),
    "boneMass": Field("bone_mass_kg", "kg", _GRAM),
    "muscleMass": Field("muscle_mass_kg", "kg", _GRAM),
    "bodyFat": Field("body_fat_percent", "%"),
    "bodyWater": Field("body_water_percent", "%"),
    "visceralFat": Field("visceral_fat_rating"),
    "physiqueRating": Field("physique_rating"),
    "metabolicAge": Field("metabolic_age_years", "years", 1 / Decimal(MS_PER_YEAR)),
}
_HEALTH_API: Mapping[str, Field] = {
    "weightInGrams": Field(WEIGHT, "kg", _GRAM),
    "boneMassInGrams": Field("bone_mass_kg", "kg", _GRAM),
    "muscleMassInGrams": Field("muscle_mass_kg", "kg", _GRAM),
    "bodyFatInPercent": Field("body_fat_percent", "%"),
    "bodyWaterInPercent": Field("body_water_percent", "%"),
    "bodyMassIndex": Field("bmi"),
}
_LISTS = ("dateWeightList", "dailyWeightSummaries", "allWeightMetrics", "bodyComps")
#: Averages, ranges and neighbors of the weigh-ins in an answer.
_ANSWER = (
    *_LISTS,
    *("startDate", "endDate", "summaryDate", "totalAverage", "previousDateWeight", "nextDateWeight"),
    *("numOfWeightEntries", "minWeight", "maxWeight", "latestWeight"),
)


def fits(document: Document) -> bool:
    return any(isinstance(document.get(key), list) for key in _LISTS) or (
        ("weight" in document and ("samplePk" in document or "timestampGMT" in document)) or "weightInGrams" in document
    )


def unpack(document: Document) -> Iterator[Item]:
    if any(key in document for key in _LISTS):
        yield from spread([_entry(entry) for entry in _entries(document)], document, _ANSWER)
    else:
        yield Item(_entry(document))


def _entries(document: Document) -> Iterator[Document]:
    for key in ("dateWeightList", "allWeightMetrics", "bodyComps"):
        yield from rows_in(document, key)
    for day in rows_in(document, "dailyWeightSummaries"):
        entries = rows_in(day, "allWeightMetrics")
        yield from entries or filter(None, [object_in(day, "latestWeight")])


def _entry(entry: Document) -> Values:
    if "weightInGrams" in entry:
        values = renamed(entry, _HEALTH_API, without=("measurementTimeOffsetInSeconds",))
        values[TIME] = values.pop("measurementTimeInSeconds", "no measurementTimeInSeconds")
        return values
    values = renamed(entry, _FIELDS, without=("date", "timestampGMT", "calendarDate"))
    values[TIME] = entry.get("timestampGMT", "no timestampGMT")
    return values
