"""What an app reads from the store of a phone, Apple Health or Health Connect, and sends."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from ..dialects import normal
from .items import (
    Document,
    Field,
    Item,
    amount,
    aside,
    nothing,
    object_in,
    objects_in,
    spread,
    text_in,
)
from .samples import WEIGHT, Joined, Sample, join

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
    others: dict[str, object] = {key: value for key, value in inner.items() if key != "metrics"}
    for metric in objects_in(inner, "metrics"):
        name = text_in(metric.get("name"))
        rows = objects_in(metric, "data")
        if (ours := _APPLE.get(name.casefold())) is None:
            others[aside(name)] = len(rows)
            continue
        unit = text_in(metric.get("units"))
        unit = "" if unit.casefold() in _NO_UNIT else unit
        for row in rows:
            time = row.get("date")
            if isinstance(time, str):
                time = _APPLE_TIME.sub(r"\1T\2\3", time)
            samples.append(Sample(ours, amount(row.get("qty"), unit), time, text_in(row.get("source"))))
    around = document if inner is not document else {}
    yield from _phone(document, {**around, **others}, ("data", "metrics"), join(samples))


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
    "value": Field(""),
}
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
    others: dict[str, object] = {}
    for kind, rows in kinds.items():
        if not isinstance(rows, list):
            others[kind] = rows
        elif (ours := _ANDROID.get(normal(kind))) is None:
            others[aside(kind)] = len(rows)
        else:
            samples += [_android_sample(ours, row) for row in rows if isinstance(row, dict)]
    yield from _phone(document, others, (), join(samples))


def _android_sample(ours: str, row: Document) -> Sample:
    metadata = object_in(row, "metadata")
    source = text_in(metadata.get("data_origin", metadata.get("dataOrigin")))
    for key, field in _ANDROID_VALUES.items():
        if key in row:
            return Sample(ours, amount(row[key], field.unit, field.factor), row.get("time"), source)
    return Sample(ours, dict(row), row.get("time"), source)


def _phone(document: Document, beside: Document, known: Iterable[str], joined: Joined) -> Iterator[Item]:
    """The items of samples. `beside`: what came next to them."""
    if joined.weigh_ins or joined.without_weight:
        beside = {**beside, **{f"{name} alone": "no weight at its time" for name in joined.aside}}
        yield from spread(beside, known, [*joined.weigh_ins, *joined.without_weight])
    else:
        names = ", ".join([*joined.aside, *(key for key in beside if key not in known)][:20])
        yield nothing(document, f"There is no weight in it{f', only: {names}' if names else ''}. Nothing was sent.")
