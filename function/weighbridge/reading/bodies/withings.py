"""Withings: a group of measurements, or the answer of the interface.

Facts (developer.withings.com, measure-getmeas): a number is value × 10^unit. Category 2 is a goal. Attribution 1 means
that the scale does not know which of its users it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...reasons import Why
from .items import (
    TIME,
    WEIGHT,
    Document,
    Field,
    Item,
    Values,
    amount,
    nothing,
    number_in,
    object_in,
    put,
    refused,
    rows_in,
    spread,
)
from .samples import APART

_FIELDS: Mapping[object, Field] = {
    1: Field(WEIGHT, "kg"),
    4: Field("height_cm", "m"),
    5: Field("fat_free_mass_kg", "kg"),
    6: Field("body_fat_percent", "%"),
    8: Field("fat_mass_kg", "kg"),
    76: Field("muscle_mass_kg", "kg"),
    77: Field("body_water_kg", "kg"),
    88: Field("bone_mass_kg", "kg"),
    170: Field("visceral_fat_rating"),
    226: Field("basal_metabolic_rate_kcal", "kcal"),
    227: Field("metabolic_age_years", "years"),
}
_OTHERS: Mapping[object, str] = {
    9: "diastolic blood pressure",
    10: "systolic blood pressure",
    11: "heart rate",
    12: "temperature",
    54: "oxygen saturation",
    71: "body temperature",
    73: "skin temperature",
    91: "pulse wave velocity",
    123: "VO2 max",
    155: "vascular age",
    168: "extracellular water",
    169: "intracellular water",
    173: "fat-free mass of a segment",
    174: "fat mass of a segment",
    175: "muscle mass of a segment",
}
_GOAL = 2
_OF_A_WEIGH_IN = frozenset(field.name for field in _FIELDS.values()) - APART
#: About the answer, not about a person.
_ANSWER = ("status", "body", "measuregrps", "updatetime", "more", "offset", "timezone")


def fits(document: Document) -> bool:
    if isinstance(document.get("measures"), list) and "date" in document:
        return True
    return "measuregrps" in document or "measuregrps" in object_in(document, "body")


def unpack(document: Document) -> Iterator[Item]:
    if document.get("status", 0) != 0:
        raise refused("status", document.get("status"), Why.ANSWER_OF_WITHINGS())
    inner = document if "measuregrps" in document else object_in(document, "body")
    groups = [document] if "measures" in document else rows_in(inner, "measuregrps")
    around = {} if "measures" in document else document
    measured = [_group(group) for group in groups if group.get("category") != _GOAL]
    weigh_ins = [payload for payload in measured if payload.keys() & _OF_A_WEIGH_IN]
    counts = {"goals": len(groups) - len(measured), "groups without a weight": len(measured) - len(weigh_ins)}
    others = {key: count for key, count in counts.items() if count}
    if weigh_ins:
        yield from spread(weigh_ins, around, _ANSWER, others)
    else:
        only = f", only {' and '.join(others)}" if others else ""
        yield nothing(document, f"There is no weigh-in in it{only}. Nothing was sent.")


def _group(group: Document) -> Values:
    payload: Values = {key: value for key, value in group.items() if key not in ("date", "measures", "category")}
    payload[TIME] = group.get("date", "no date")
    if payload.pop("attrib", 0) == 1:
        payload["problem"] = "The weight may belong to another person of this scale (attrib 1)."
    for measure in rows_in(group, "measures"):
        kind = measure.get("type")
        kind = kind if isinstance(kind, int) else None
        if field := _FIELDS.get(kind):
            put(payload, field.name, amount(_scaled(measure), field.unit))
        else:
            put(payload, _OTHERS.get(kind, f"Withings type {kind}"), measure.get("value"))
    return payload


def _scaled(measure: Document) -> object:
    number, exponent = number_in(measure.get("value")), measure.get("unit", 0)
    if number is None or isinstance(exponent, bool) or not isinstance(exponent, int) or abs(exponent) > 12:
        return "a number with an exponent was expected"
    return number.scaleb(exponent)
