"""Which rows of one scale are one weigh-in. Pure.

Rule: only rows without a time of their own are joined, and only before one of them was sent. Rows that differ by more
than `is_one_weighing` allows, or that name different people, stay apart. What cannot be understood is sent alone: the
function says why.

Strategy: a group has a head, the first row with a weight, and settles some seconds after the receipt of the head. Then
the head carries the values of all its rows. A row without a weight, such as a value that came on a topic of its own,
is a part: it belongs to the weight that is nearest in time. If that weight was sent before, the part is sent with the
values of that weight and at its instant, and the function completes the weigh-in.

Facts: scales repeat a message for seconds, and many send the weight first and the rest later. ESPHome publishes one
topic for each value, in any order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from weighbridge.errors import WeighbridgeError
from weighbridge.fit.encode import RawFields, encode
from weighbridge.reading.dialects import VOCABULARY, Quantity, Role, Unused, is_missing, normal
from weighbridge.reading.interpret import Interpreted, has_time, interpret
from weighbridge.reading.weighing import is_one_weighing

Payload = Mapping[str, Any]

#: The function knows the time zone of times without an offset. Here they are only compared with each other, and one
#: that is ahead of UTC must not count as a time in the future.
_ZONE = ZoneInfo("UTC")
_AHEAD = timedelta(days=1)


class Row(NamedTuple):
    """A row of `readings`."""

    id: int
    received_at: datetime
    #: As it is sent.
    payload: object
    #: weigh_in, replace or take_back.
    action: str = "weigh_in"


class Decision(NamedTuple):
    """What happens with a row: it is sent, it is carried by another row, it waits, or no weight came with it."""

    row_id: int
    #: When the weigh-in took place, if the row shows it.
    instant: datetime | None = None
    #: The payload to send; None: as it is.
    payload: Payload | None = None
    #: The row that carries these values.
    joined_to: int | None = None
    #: Not before this moment.
    wait_until: datetime | None = None
    #: Nothing to send: no weight came.
    without_weight: bool = False


class Values(NamedTuple):
    """A payload that was understood."""

    payload: Payload
    interpreted: Interpreted
    raws: RawFields

    @property
    def person(self) -> str | None:
        return self.interpreted.reading.person

    @property
    def measures(self) -> dict[str, Decimal]:
        fields = self.interpreted.reading.__dict__
        return {name: value for name, value in fields.items() if isinstance(value, Decimal)}


def understand(payload: object, now: datetime) -> Values | None:
    """The values of a payload; None if it is not one reading, or the function will refuse it."""
    try:
        interpreted = interpret(payload, now=now + _AHEAD, timezone=_ZONE)
        return Values(payload, interpreted, encode(interpreted.reading)) if isinstance(payload, dict) else None
    except WeighbridgeError:
        return None


@dataclass
class _Group:
    """Rows that are one weigh-in. `late`: the weight was sent before, with another row."""

    values: Values
    instant: datetime
    first_at: datetime
    head: int | None
    late: bool = False
    members: list[int] = field(default_factory=list)
    changed: bool = False

    def take(self, other: Values, row: Row, join_s: float) -> bool:
        """Add a row with a weight, if it is the same weigh-in."""
        mine = self.values
        if mine.person != other.person or not is_one_weighing(mine.raws, other.raws, join_s):
            return False
        if not other.measures.keys() <= mine.measures.keys():
            fuller, less = (other, mine) if len(other.measures) > len(mine.measures) else (mine, other)
            if (union := _together(fuller, less, mine)) is None or not is_one_weighing(mine.raws, union.raws, join_s):
                return False
            self.values, self.changed = union, True
        self.members.append(row.id)
        return True

    def take_part(self, row: Row, payload: Payload, join_s: float) -> bool:
        """Add a row without a weight, if it is within the window and contradicts nothing."""
        if not join_s or abs((row.received_at - self.instant).total_seconds()) > join_s:
            return False
        mine = self.values.payload
        more = {
            key: value for key, value in payload.items() if _role(key) is not Role.RECEIPT and not is_missing(value)
        }
        if any(key in mine and mine[key] != value for key, value in more.items()):
            return False
        if new := {key: value for key, value in more.items() if key not in mine}:
            union = understand({**mine, **new}, self.instant)
            if union is None or union.person != self.values.person:
                return False
            if not is_one_weighing(self.values.raws, union.raws, join_s):
                return False
            self.values, self.changed = union, True
        if self.head is None:
            self.head, self.first_at = row.id, row.received_at
        else:
            self.members.append(row.id)
        return True

    def decisions(self, now: datetime, settle_s: float) -> list[Decision]:
        if self.head is None:
            return []
        due = self.first_at + timedelta(seconds=settle_s)
        if now < due:
            return [Decision(row_id, wait_until=due) for row_id in (self.head, *self.members)]
        payload = self.values.payload if self.changed or self.late else None
        carrier = Decision(self.head, self.instant, payload)
        return [carrier, *(Decision(row_id, joined_to=self.head) for row_id in self.members)]


def not_before(row: Row, *, now: datetime, settle_s: float, join_s: float) -> datetime | None:
    """The moment before which there is nothing to decide on this row, whatever else came; None if there is none.

    `settle` may join it to an earlier row before that. So in a flood of messages, each is looked at once.
    """
    payload = row.payload
    if not join_s or row.action != "weigh_in" or not isinstance(payload, dict) or has_time(payload):
        return None
    if understand(payload, now) is None and not is_part(payload):
        return None
    return row.received_at + timedelta(seconds=settle_s)


def settle(
    rows: Sequence[Row], sent: Sequence[Row], *, now: datetime, settle_s: float, join_s: float
) -> list[Decision]:
    """A decision on each row of one scale that has not settled yet, given in the order of receipt.

    `sent`: rows of the same scale, without a time of their own, that have settled and are about as old, latest last.
    """
    if not join_s:
        settle_s = 0
    found: list[Decision] = []
    groups: list[_Group] = []
    parts: list[tuple[Row, Payload]] = []
    for row in rows:
        values = understand(row.payload, now)
        if isinstance(row.payload, dict) and row.action == "weigh_in" and not has_time(row.payload):
            if values is None and is_part(row.payload):
                parts.append((row, row.payload))
                continue
            if values is not None:
                if not any(group.take(values, row, join_s) for group in groups):
                    groups.append(_Group(values, instant_of(values), row.received_at, row.id))
                continue
        found.append(Decision(row.id, instant_of(values) if values else None))
    if parts:
        groups += _earlier(sent, now)
    for row, payload in parts:
        nearest = sorted(groups, key=lambda group, at=row.received_at: abs(group.instant - at))  # type: ignore[misc]
        if not any(group.take_part(row, payload, join_s) for group in nearest):
            until = row.received_at + timedelta(seconds=max(join_s, settle_s))
            found.append(Decision(row.id, wait_until=until) if now < until else Decision(row.id, without_weight=True))
    return [decision for group in groups for decision in group.decisions(now, settle_s)] + found


def _earlier(sent: Sequence[Row], now: datetime) -> list[_Group]:
    """A group for each weight that has settled. Of several rows of one instant, the latest has the most values."""
    groups: dict[datetime, _Group] = {}
    for row in sent:
        if (values := understand(row.payload, now)) is not None:
            instant = instant_of(values)
            groups[instant] = _Group(values, instant, instant, None, late=True)
    return list(groups.values())


def could_be_one(one: object, other: object, join_s: float) -> bool:
    """Whether the function may find that two payloads are one weigh-in."""
    now = datetime(9999, 1, 1, tzinfo=UTC)
    first, second = understand(one, now), understand(other, now)
    if first is None or second is None:
        return False
    apart = first.person is not None and second.person is not None and first.person != second.person
    return not apart and is_one_weighing(first.raws, second.raws, join_s)


def instant_of(values: Values) -> datetime:
    return values.interpreted.reading.measured_at.astimezone(UTC)


def is_part(payload: Payload) -> bool:
    """Whether this has values of a weigh-in, and no weight."""
    meanings = [VOCABULARY.get(normal(key)) for key, value in payload.items() if not is_missing(value)]
    if any(isinstance(meaning, Quantity) and meaning.name == "weight_kg" for meaning in meanings):
        return False
    # In a body of another program, the weight is further inside.
    flat = not any(isinstance(value, dict | list) for value in payload.values())
    known = [VOCABULARY.get(normal(key)) for key in payload]
    return flat and any(isinstance(meaning, Quantity | Unused) for meaning in known)


def _together(fuller: Values, less: Values, first: Values) -> Values | None:
    """The values of both, at the instant of the first; None if they contradict each other.

    Where both have a value, the fuller one's is taken. If that one has all values, its words stay as they are.
    """
    receipt = {key: value for key, value in first.payload.items() if _role(key) is Role.RECEIPT}
    if less.measures.keys() <= fuller.measures.keys():
        words = {key: value for key, value in fuller.payload.items() if _role(key) is not Role.RECEIPT}
        return understand({**words, **receipt}, instant_of(first))
    wanted = less.measures.keys() | fuller.measures.keys()
    others: dict[str, Any] = {} if fuller.person is None else {"person": fuller.person}
    for values in (less, fuller):
        others |= {key: values.payload[key] for key in values.interpreted.unknown if key in values.payload}
    # Derived values follow from the others, unless they came from a percentage that only this row had.
    for which in (_given, lambda values: values.measures):
        measures = {name: _number(value) for name, value in {**which(less), **which(fuller)}.items()}
        union = understand({**others, **measures, **receipt}, instant_of(first))
        if union is not None and wanted <= union.measures.keys():
            return union
    return None


def _given(values: Values) -> dict[str, Decimal]:
    return {name: value for name, value in values.measures.items() if name not in values.interpreted.derived}


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def _role(key: str) -> object:
    return VOCABULARY.get(normal(key))
