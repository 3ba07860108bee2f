"""Readings and what a place already holds -> the weigh-ins that result, and what each reading has to do with them.

Rule: one act on the scale is one weigh-in. A reading that adds nothing needs nothing. One that adds something to a
weigh-in some seconds away completes it. At the same instant, anything other than what is held is a conflict: only
`replace` changes it. What is held becomes obsolete only if what takes its place has all of it, or was asked for.

Strategy: the readings are placed in order of time, each as if those before it had arrived already. Everything is found
by its instant, so the work is linear in the readings and in what is held near them.

Weakness: values that a place does not show of what it holds (Garmin: the basal rate) are lost when it is completed,
unless the new reading has them too. What the template has no field for is not completed but sent by itself.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Generic, NamedTuple, TypeVar

from ..errors import ReadingRejected
from ..fit.encode import RawFields, decode
from ..fit.profile import FIT_EPOCH_UNIX_S
from ..notes import Code, Note
from ..reading.measures import MEASURES
from ..reading.reading import Reading
from ..reading.weighing import added, changed, is_one_weighing, together

T = TypeVar("T")


class Way(Enum):
    """What a reading has to do with its weigh-in."""

    NEW = "nothing is there yet"
    SAME = "the same instant, and nothing to add or to change"
    JOINED = "another instant, and nothing to add"
    COMPLETES = "it adds something"
    REPLACES = "as asked for"
    CONFLICT = "the same instant, and something to add or to change"


@dataclass(eq=False)
class Target(Generic[T]):
    """One weigh-in: as it is held, and as it is to be."""

    timestamp: int
    #: The values that it has, or will have.
    raws: RawFields
    #: What is held of it, with its values; several only after a crash, when one has all that the others have.
    held: list[tuple[T, RawFields]] = field(default_factory=list)
    #: What is to be sent; None if it stays as it is.
    reading: Reading | None = None
    #: Whether that takes the place of what is held, and does not add to it.
    replaces: bool = False
    #: Of a reading that is not held yet: whose it is.
    person: str | None = None
    #: What else is to be removed once it has arrived.
    others: list[T] = field(default_factory=list)

    @property
    def obsolete(self) -> list[T]:
        """What is to be removed once `reading` has arrived; if there is none to send, at once."""
        return [thing for thing, _ in (self.held if self.reading else self.held[1:])] + self.others

    def has(self, raws: RawFields, fields: Collection[str]) -> bool:
        """Whether there is nothing to add or to change."""
        return any(
            not added(raws, mine, fields) and not changed(raws, mine, fields)
            for mine in (self.raws, *(() if self.replaces else (values for _, values in self.held)))
        )


class Placed(NamedTuple, Generic[T]):
    """What a reading has to do with its weigh-in."""

    way: Way
    target: Target[T]
    #: The attributes that it adds to what is held, and those that it changes.
    added: Sequence[str] = ()
    changed: Sequence[str] = ()


@dataclass(frozen=True)
class Joining(Generic[T]):
    """How readings are joined. See `place`."""

    #: The values of something that is held.
    raws_of: Callable[[T], RawFields]
    #: The fields that are compared: those that the place shows.
    fields: Collection[str]
    #: The fields that the template has.
    writable: Collection[str]
    #: 0 = readings of several instants are not joined.
    window_s: float
    replace: bool = False
    #: At the same instant, complete what is held even if nobody asked for it.
    completes: bool = False

    def place(
        self,
        readings: Mapping[Reading, RawFields],
        held: Iterable[tuple[int, T]],
        untimed: Collection[Reading] = (),
    ) -> dict[Reading, Placed[T]]:
        """Each reading with what is to be done. `held`: the timestamp (as in FIT) of each thing that is held.

        `untimed`: readings without a time of their own. Their instant says little, so at the same instant they are
        joined as at another one.
        """
        index = _Index(held, self)
        in_order = sorted(readings.items(), key=lambda item: item[1]["timestamp"])
        return {reading: self._place(reading, raws, index, reading in untimed) for reading, raws in in_order}

    def _place(self, reading: Reading, raws: RawFields, index: _Index[T], untimed: bool) -> Placed[T]:
        at = index.at(raws["timestamp"])
        if same := next((target for target in at if target.has(raws, self.fields)), None):
            if self.replace:
                same.others += [thing for target in at if target is not same for thing, _ in target.held]
            return Placed(Way.SAME, same)
        if not at or (untimed and not self.replace):
            near = self._nearest(index.near(raws["timestamp"], self.window_s), reading, raws)
            if near is not None:
                return near
        if not at:
            target = Target[T](raws["timestamp"], raws, reading=reading, person=reading.person)
            index.add(target)
            return Placed(Way.NEW, target)
        return self._at_same_instant(reading, raws, at)

    def _at_same_instant(self, reading: Reading, raws: RawFields, at: Sequence[Target[T]]) -> Placed[T]:
        nearest = min(
            at, key=lambda t: (len(changed(raws, t.raws, self.fields)), len(added(raws, t.raws, self.fields)))
        )
        adds, changes = added(raws, nearest.raws, self.fields), changed(raws, nearest.raws, self.fields)
        if not changes and (self.replace or self.completes or (self.window_s and not nearest.held)):
            union = self._union(nearest.raws, raws)
            if union:
                nearest.raws, nearest.reading = union
                if self.replace:
                    nearest.others += [thing for target in at if target is not nearest for thing, _ in target.held]
                return Placed(Way.COMPLETES, nearest, adds)
        if self.replace and nearest.reading is None:
            nearest.raws, nearest.reading, nearest.replaces = raws, reading, True
            nearest.others += [thing for target in at if target is not nearest for thing, _ in target.held]
            return Placed(Way.REPLACES, nearest, adds, changes)
        return Placed(Way.CONFLICT, nearest, adds, changes)

    def _nearest(self, targets: Iterable[Target[T]], reading: Reading, raws: RawFields) -> Placed[T] | None:
        """The weigh-in within the window that the reading is about; if there are several, the fullest."""
        fitting = [
            target
            for target in targets
            if (target.held or target.person == reading.person) and is_one_weighing(target.raws, raws, self.window_s)
        ]
        fitting.sort(key=lambda t: (-self._count(t.raws), abs(t.timestamp - raws["timestamp"])))
        for target in fitting:
            adds = added(raws, target.raws, self.fields)
            if not adds:
                return Placed(Way.JOINED, target)
            if union := self._union(target.raws, raws):
                target.raws, target.reading = union
                return Placed(Way.COMPLETES, target, adds)
        return None

    def _count(self, raws: RawFields) -> int:
        return sum(name in raws for name in self.fields)

    def _union(self, first: RawFields, second: RawFields) -> tuple[RawFields, Reading] | None:
        """Both together, and the reading with these values; None if no such reading can be sent."""
        raws = together(first, second)
        if not raws.keys() <= set(self.writable):
            return None
        try:
            return raws, Reading.of(decode(raws))
        except ReadingRejected:
            return None  # they contradict each other: two weigh-ins


def joined_notes(placed: Placed[T]) -> tuple[Note, ...]:
    """The note about a reading that became a part of a weigh-in."""
    instant = datetime.fromtimestamp(placed.target.timestamp + FIT_EPOCH_UNIX_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if placed.way is Way.JOINED:
        return (Code.SAME_WEIGHING(instant=instant),)
    if placed.way is Way.COMPLETES:
        return (Code.COMPLETES_WEIGH_IN(instant=instant, values=labels(placed.added)),)
    return ()


def would(added: Sequence[str], changed: Sequence[str]) -> str:
    """The sentence about what a reading would do to the entry with which it is in conflict."""
    verbs = (("add", added), ("change", changed))
    return f"This reading would {' and '.join(f'{verb} {in_words(names)}' for verb, names in verbs if names)}."


def in_words(names: Sequence[str]) -> str:
    """Attributes of a reading as a list for people: "body fat, bone mass and visceral fat"."""
    *first, last = labels(names)
    return f"{', '.join(first)} and {last}" if first else last


def labels(names: Sequence[str]) -> list[str]:
    """Attributes of a reading in the words for people."""
    return [MEASURES[name].label for name in names]


class _Index(Generic[T]):
    """The targets by their instant."""

    def __init__(self, held: Iterable[tuple[int, T]], joining: Joining[T]) -> None:
        self._joining = joining
        #: What is held, until its instant is looked at.
        self._unseen: dict[int, list[T]] = {}
        for timestamp, thing in held:
            self._unseen.setdefault(timestamp, []).append(thing)
        self._timestamps = sorted(self._unseen)
        self._targets: dict[int, list[Target[T]]] = {}

    def at(self, timestamp: int) -> list[Target[T]]:
        if things := self._unseen.pop(timestamp, None):
            self._targets[timestamp] = self._grouped(timestamp, things)
        return self._targets.get(timestamp, [])

    def near(self, timestamp: int, window_s: float) -> Iterator[Target[T]]:
        if window_s:
            first = bisect_left(self._timestamps, timestamp - window_s)
            last = bisect_right(self._timestamps, timestamp + window_s)
            for instant in self._timestamps[first:last]:
                yield from self.at(instant)

    def add(self, target: Target[T]) -> None:
        insort(self._timestamps, target.timestamp)
        self._targets[target.timestamp] = [target]

    def _grouped(self, timestamp: int, things: Sequence[T]) -> list[Target[T]]:
        """What a crash left behind belongs to what took its place: that has all of it, and more."""
        fields, window_s = self._joining.fields, self._joining.window_s
        targets: list[Target[T]] = []
        with_values = [(thing, self._joining.raws_of(thing)) for thing in things]
        with_values.sort(key=lambda pair: -sum(name in pair[1] for name in fields))
        for thing, raws in with_values:
            whole = next((t for t in targets if _is_left_behind(raws, t.raws, window_s, fields)), None)
            if whole:
                whole.held.append((thing, raws))
            else:
                targets.append(Target(timestamp, raws, [(thing, raws)]))
        return targets


def _is_left_behind(raws: RawFields, whole: RawFields, window_s: float, fields: Collection[str]) -> bool:
    if not is_one_weighing(raws, whole, window_s):
        return False
    union = together(raws, whole)
    return bool(added(whole, raws, fields)) and not added(union, whole, fields) and not changed(union, whole, fields)
