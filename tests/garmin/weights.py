"""The weigh-ins of one account, in the shapes and units of Garmin's weight-service.

Facts (weight FIT uploads as garmin-connect-api 0.3.1 and eufy-sync's tests describe them):
- weight, boneMass and muscleMass are grams; metabolicAge is milliseconds; the basal rate is not returned.
- timestampGMT is the instant in ms; `date` is the account's wall clock written as if it were UTC, in ms.
- The identical measurement is stored once. The same instant with other values becomes a second entry.

Strategy: each request looks through all entries, but only those near its days are worked on, so that a history of
thousands costs little.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from .http_types import Request, Response, json_answer, json_error

FIT_EPOCH_S = 631_065_600
#: Garmin's year has 365.2422 days: 757366224000 is 24 years.
MS_PER_YEAR = 31_556_926_000
DAY_S = 86_400

#: Garmin's name -> (the field's name in a FIT weight_scale message, raw integer -> Garmin's number)
METRICS: Mapping[str, tuple[str, Callable[[int], float]]] = {
    "weight": ("weight", lambda raw: raw * 10.0),
    "bmi": ("bmi", lambda raw: float32(raw / 10)),
    "bodyFat": ("percent_fat", lambda raw: raw / 100),
    "bodyWater": ("percent_hydration", lambda raw: raw / 100),
    "boneMass": ("bone_mass", lambda raw: raw * 10),
    "muscleMass": ("muscle_mass", lambda raw: raw * 10),
    "physiqueRating": ("physique_rating", float),
    "visceralFat": ("visceral_fat_rating", float),
    "metabolicAge": ("metabolic_age", lambda raw: raw * MS_PER_YEAR),
}


def float32(value: float) -> float:
    """Garmin stores the BMI in single precision: 22.8 comes back as 22.799999237060547."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


@dataclass(frozen=True)
class Entry:
    sample_pk: int
    raw: Mapping[str, int]  # the weight_scale message, before scaling
    visible_at_s: float

    @property
    def instant_s(self) -> int:
        return self.raw["timestamp"] + FIT_EPOCH_S


class Placed(NamedTuple):
    """An entry, its wall clock, and the newest entry of an earlier instant."""

    entry: Entry
    local: datetime
    earlier: Entry | None


@dataclass
class WeightStore:
    clock: Callable[[], float]
    time_zone: str = "Europe/Berlin"
    #: Seconds between an upload and the moment its weigh-ins can be seen.
    show_delay_s: float = 0.0
    #: A field of a weight_scale message -> what is added to its raw integer when it is shown; None: it is not shown.
    shown_as: dict[str, int | None] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    last_sample_pk: int = 0

    def add(self, *raws: Mapping[str, int]) -> None:
        """Store weight_scale messages (raw integers), unless the same is there already."""
        held = defaultdict[int, list[Mapping[str, int]]](list)
        for entry in self.entries:
            held[entry.raw["timestamp"]].append(entry.raw)
        now_s = self.clock()
        for raw in raws:
            if raw not in (at_instant := held[raw["timestamp"]]):
                self.last_sample_pk = max(self.last_sample_pk + 1, round(now_s * 1000))
                self.entries.append(Entry(self.last_sample_pk, dict(raw), now_s + self.show_delay_s))
                at_instant.append(raw)

    def visible(self) -> list[Entry]:
        """What a client could see now, newest instant first."""
        now_s = self.clock()
        shown = [entry for entry in self.entries if entry.visible_at_s <= now_s]
        return sorted(shown, key=lambda entry: (entry.raw["timestamp"], entry.sample_pk), reverse=True)

    def shown(self, entry: Entry) -> Entry:
        """An entry with the values that are shown of it."""
        added = {name: self.shown_as.get(name, 0) for name in entry.raw}
        raw = {name: value + more for name, value in entry.raw.items() if (more := added[name]) is not None}
        return replace(entry, raw=raw)

    def local_time(self, entry: Entry) -> datetime:
        return datetime.fromtimestamp(entry.instant_s, ZoneInfo(self.time_zone))

    def as_json(self, placed: Placed) -> dict[str, object]:
        entry, local, earlier = placed
        shown = self.shown(entry)
        return {
            "samplePk": entry.sample_pk,
            "date": round(local.replace(tzinfo=UTC).timestamp() * 1000),
            "calendarDate": local.date().isoformat(),
            **{name: metric(shown, name) for name in METRICS},
            "sourceType": "INDEX_SCALE",
            "timestampGMT": entry.instant_s * 1000,
            "weightDelta": (entry.raw["weight"] - earlier.raw["weight"]) * 10.0 if earlier else None,
        }

    # -- the weight-service ------------------------------------------------------------------------------

    def dayview(self, request: Request) -> Response:
        day = parse_date(request.path_values["day"])
        if day is None:
            return json_error(400, "Not a date.")
        entries = self.between(day, day)
        shown = entries if request.query.get("includeAll") == "true" else entries[:1]
        return json_answer(
            200,
            {
                "startDate": day.isoformat(),
                "endDate": day.isoformat(),
                "dateWeightList": [self.as_json(placed) for placed in shown],
                "totalAverage": average(day, day, [placed.entry for placed in entries]),
            },
        )

    def range(self, request: Request) -> Response:
        first, last = parse_date(request.path_values["first"]), parse_date(request.path_values["last"])
        if first is None or last is None or last < first:
            return json_error(400, "Not a range of dates.")
        entries = self.between(first, last)
        days = defaultdict[date, list[Placed]](list)
        for placed in entries:
            days[placed.local.date()].append(placed)
        return json_answer(
            200,
            {
                "dailyWeightSummaries": [
                    self.day_summary(day, days[day], include_all=request.query.get("includeAll") == "true")
                    for day in sorted(days, reverse=True)
                ],
                "totalAverage": average(first, last, [placed.entry for placed in entries]),
            },
        )

    def delete(self, request: Request) -> Response:
        for entry in self.visible():
            same = str(entry.sample_pk) == request.path_values["sample_pk"]
            if same and self.local_time(entry).date().isoformat() == request.path_values["day"]:
                self.entries.remove(entry)
                return Response(204)
        return json_error(404, "No such weigh-in.")

    def between(self, first: date, last: date) -> list[Placed]:
        """The entries of these days, newest instant first."""
        visible = self.visible()
        near = range(midnight_s(first) - DAY_S, midnight_s(last) + 2 * DAY_S)
        found = []
        for place, entry in enumerate(visible):
            if entry.instant_s in near and first <= (local := self.local_time(entry)).date() <= last:
                older = (visible[i] for i in range(place + 1, len(visible)))
                found.append(Placed(entry, local, next((e for e in older if e.instant_s < entry.instant_s), None)))
        return found

    def day_summary(self, day: date, entries: Sequence[Placed], *, include_all: bool) -> dict[str, object]:
        weights = [metric(placed.entry, "weight") for placed in entries]
        shown = [self.as_json(placed) for placed in (entries if include_all else entries[:1])]
        return {
            "summaryDate": day.isoformat(),
            "numOfWeightEntries": len(entries),
            "minWeight": min(weight for weight in weights if weight is not None),
            "maxWeight": max(weight for weight in weights if weight is not None),
            "latestWeight": shown[0],
            "allWeightMetrics": shown if include_all else [],
        }


def metric(entry: Entry, name: str) -> float | None:
    fit_name, convert = METRICS[name]
    return convert(entry.raw[fit_name]) if fit_name in entry.raw else None


def average(first: date, last: date, entries: Sequence[Entry]) -> dict[str, object]:
    def mean(name: str) -> float | None:
        values = [value for entry in entries if (value := metric(entry, name)) is not None]
        return sum(values) / len(values) if values else None

    return {
        "from": midnight_s(first) * 1000,
        "until": (midnight_s(last) + DAY_S) * 1000 - 1,
        **{name: mean(name) for name in METRICS},
    }


def midnight_s(day: date) -> int:
    return round(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def parse_date(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None
