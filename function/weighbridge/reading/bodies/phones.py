"""What an app reads from the store of a phone, Apple Health or Health Connect, and sends."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from ..dialects import normal
from .items import (
    WEIGHT,
    Document,
    Field,
    Item,
    Values,
    amount,
    aside,
    nothing,
    object_in,
    objects_in,
    rows_in,
    spread,
    text_in,
)
from .samples import Sample, join

# Health Auto Export (iOS), its documentation and irvinlim/apple-health-ingester: data.metrics[], each with `name`,
# `units` and `data[]` of `date`, `qty` and `source`. Lean body mass in Apple Health is the weight without the fat.
_APPLE: Mapping[str, str] = {
    "weight_body_mass": WEIGHT,
    "body_mass": WEIGHT,
    "weight": WEIGHT,
    "body_fat_percentage": "body_fat_percent",
    "lean_body_mass": "fat_free_mass_kg",
    "body_mass_index": "bmi",
    "height": "height_cm",
}
_APPLE_TIME = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) ([+-]\d{4})", re.ASCII)
_NO_UNIT = frozenset(("count", "index", ""))


def is_health_auto_export(document: Document) -> bool:
    inner = object_in(document, "data")
    return isinstance(inner.get("metrics"), list) or isinstance(inner.get("workouts"), list) or _are_metrics(document)


def _are_metrics(document: Document) -> bool:
    metrics = document.get("metrics")
    return isinstance(metrics, list) and any(isinstance(each, dict) and "data" in each for each in metrics)


def health_auto_export(document: Document) -> Iterator[Item]:
    inner = object_in(document, "data") or document
    samples: list[Sample] = []
    named: Values = {}
    for metric in rows_in(inner, "metrics"):
        name = text_in(metric.get("name"))
        if (ours := _APPLE.get(name.casefold())) is None:
            named[aside(name)] = len(objects_in(metric, "data"))
            continue
        unit = text_in(metric.get("units"))
        unit = "" if unit.casefold() in _NO_UNIT else unit
        for row in rows_in(metric, "data"):
            time = row.get("date", "no date")
            if isinstance(time, str):
                time = _APPLE_TIME.sub(r"\1T\2\3", time)
            rest = {key: value for key, value in row.items() if key not in ("date", "qty", "source")}
            samples.append(Sample(ours, amount(row.get("qty"), unit), time, text_in(row.get("source")), rest))
    beside = {**document, **inner}
    yield from _phone(document, samples, {key: beside[key] for key in beside if key not in ("data", "metrics")}, named)


# HC Webhook (Android), mcnaveen/health-connect-webhook, MockPayloadBuilder.kt and WebhookPayloadTransformer.kt: one
# list a kind of record, in snake_case or camelCase, or all records in one list. `timestamp` is the time of the call.
_ANDROID: Mapping[str, str] = {
    "weight": WEIGHT,
    "bodyfat": "body_fat_percent",
    "leanbodymass": "fat_free_mass_kg",
    "bonemass": "bone_mass_kg",
    "bodywatermass": "body_water_kg",
    "basalmetabolicrate": "basal_metabolic_rate_kcal",
    "height": "height_cm",
    "bmi": "bmi",
}
#: 1 W = 86,400 J a day; 1 kcal = 4,184 J.
_KCAL_PER_WATT = Decimal(86_400) / Decimal(4_184)
_ANDROID_VALUES: Mapping[str, Field] = {
    "kilograms": Field("", "kg"),
    "percentage": Field("", "%"),
    "meters": Field("", "m"),
    "watts": Field("", "kcal", _KCAL_PER_WATT),
}
#: Next to the body mass index, the values of which it was made.
_OF_THE_RECORD = ("time", "metadata", "weight_kg", "weightKg", "height_meters", "heightMeters", "type")
_OF_THE_CALL = ("timestamp", "app_version", "appVersion", "test")


def is_hc_webhook(document: Document) -> bool:
    if _records(document):
        return True
    if "timestamp" in document and ("app_version" in document or "appVersion" in document):
        return True
    return any(
        normal(key) in _ANDROID and isinstance(value, list) and value and isinstance(value[0], dict)
        for key, value in document.items()
    )


def _records(document: Document) -> list[Document]:
    """The records of the form in which all are in one list."""
    return objects_in(object_in(document, "data"), "records") if document.get("type") == "health_data.synced" else []


def hc_webhook(document: Document) -> Iterator[Item]:
    if document.get("test") is True:
        yield nothing(document, "The test arrived. Nothing was sent to Garmin.")
        return
    kinds: dict[str, object] = {key: value for key, value in document.items() if key not in _OF_THE_CALL}
    if records := _records(document):
        kinds = {key: value for key, value in kinds.items() if key not in ("type", "data")}
        by_kind: dict[str, list[Document]] = {}
        for record in records:
            by_kind.setdefault(text_in(record.get("type")), []).append(record)
        kinds |= by_kind
    samples: list[Sample] = []
    beside: Values = {}
    named: Values = {}
    for kind, rows in kinds.items():
        if not isinstance(rows, list):
            beside[kind] = rows
        elif (ours := _ANDROID.get(normal(kind))) is None:
            named[aside(kind)] = len(rows)
        else:
            samples += [_android_sample(ours, row) for row in rows_in(kinds, kind)]
    yield from _phone(document, samples, beside, named)


def _android_sample(ours: str, row: Document) -> Sample:
    metadata = object_in(row, "metadata")
    source = text_in(metadata.get("data_origin", metadata.get("dataOrigin")))
    time = row.get("time", "no time")
    unit = next((key for key in _ANDROID_VALUES if key in row), "value" if ours == "bmi" else "")
    rest = {key: value for key, value in row.items() if key != unit and key not in _OF_THE_RECORD}
    if not unit:
        # Its unit is unknown: what is in it is for `interpret` to understand or to refuse.
        return Sample(ours, rest, time, source)
    field = _ANDROID_VALUES.get(unit, Field(""))
    return Sample(ours, amount(row.get(unit), field.unit, field.factor), time, source, rest)


def _phone(document: Document, samples: Iterable[Sample], beside: Document, named: Document) -> Iterator[Item]:
    """The items of samples. `beside`: what came next to them. `named`: metrics that do not belong to one."""
    joined = join(samples)
    if joined.weigh_ins or joined.without_weight:
        named = {**named, **{f"{name} alone": "no weight at its time" for name in joined.aside}}
        yield from spread([*joined.weigh_ins, *joined.without_weight], beside, named=named)
    else:
        names = ", ".join([*joined.aside, *named, *beside][:20])
        yield nothing(document, f"There is no weight in it{f', only: {names}' if names else ''}. Nothing was sent.")
