"""Keeps each file for import by hand: the default delivery, and the last link of a chain.

Rule: a file is there whole or not at all. The same readings always get the same name, so a reading that is kept
twice is one file. A file is removed only after what takes its place is on the disk.

Strategy: a message of a weigh-in that is kept already is not kept again. If it adds something, both together become
the file of that weigh-in. Which files are near is read from their names: a file of one weigh-in is in the folder of its
month (UTC), so that only the names of a month or two are listed, however many files wait. Files of several weigh-ins
may reach over many months and are few: they are not in one of these folders, and neither are files of older versions.

A weigh-in that is kept can be listed and deleted, too. Its id is made of its values, so it stays the same when another
weigh-in of the same file is deleted.

Weakness: the folder cannot ask whether the person has imported a file, so another value at the same instant is kept
beside the first. Two processes that keep messages of one weigh-in at the same moment keep both.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace as replace_fields
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from ..errors import FolderUnusable, NotFound, WeighbridgeError
from ..fit.encode import RawFields
from ..fit.patch import patch
from ..fit.profile import FIELDS, FIT_EPOCH_UNIX_S, value_of
from ..fit.verify import VerifiedFit, verify
from ..notes import Code
from ..private import make_private_folder
from ..reading.reading import Reading
from ..space import look_for_room
from .joining import Joining, Placed, Target, Way, joined_notes
from .kept import MONTH, Kept, is_month, place_in_folder, place_of, read_kept
from .last_outcome import LastOutcome, next_outcome
from .port import FOLDER, INSTANT, Delivered, Outcome, Prove, Source, WeighIn

#: All that a file holds is compared.
_COMPARED = tuple(name for name in FIELDS if name != "timestamp")

#: More than a file needs.
_ROOM_BYTES = 1 << 16

_NAME = re.compile(r"(\d+-)?weigh-ins?_(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ)_[0-9a-f]{12}\.fit", re.ASCII)


class Row(NamedTuple):
    """One weigh-in of a kept file."""

    kept: Kept
    reading: Reading


class File(NamedTuple):
    """A file as it is now."""

    #: Its path within the folder.
    name: str
    fit: VerifiedFit


class Folder:
    """A `Delivery` into a folder on disk, and a `WeighInStore`."""

    name = FOLDER
    source: Source = "folder"

    def __init__(
        self, path: Path, *, join_s: float = 0, timezone: tzinfo = UTC, now: Callable[[], float] = time.time
    ) -> None:
        """`join_s`: how many seconds apart two messages of one weigh-in may be; 0 = each instant is a weigh-in.
        `timezone`: that of the days in `list_weigh_ins`."""
        self._path = path
        self._now = now
        self._last = LastOutcome()
        self._join_s = join_s
        self._timezone = timezone
        self._one_at_a_time = threading.Lock()
        #: Name -> last instant, of files that were read. A name has the hash of the content, so this stays true.
        self._last_instants: dict[str, str] = {}

    def deliver(
        self, readings: Sequence[Reading], prove: Prove, *, replace: bool, untimed: Collection[Reading] = ()
    ) -> Mapping[Reading, Delivered]:
        """Keep the readings as one file. Raises `FolderUnusable`, and then nothing that was kept is lost."""
        try:
            outcomes = self._outcomes(readings, prove, replace=replace, untimed=untimed)
        except WeighbridgeError as fault:
            self._ended([fault])
            raise
        self._ended([*outcomes.values()])
        return outcomes

    def _outcomes(
        self, readings: Sequence[Reading], prove: Prove, *, replace: bool, untimed: Collection[Reading]
    ) -> Mapping[Reading, Delivered]:
        raws = {reading: prove.raws(reading) for reading in readings}
        joining = Joining(_raws, _COMPARED, prove.fields, self._join_s, replace=replace, completes=self._join_s > 0)
        with self._one_at_a_time:
            held = [
                (values["timestamp"], Row(kept, each))
                for kept in self._near(raws)
                for each, values in kept.rows.items()
            ]
            placed = joining.place(raws, held, untimed)
            try:
                outcomes = self._keep(placed, prove)
            except OSError as e:
                raise _unusable(self._path, e) from e
        at_instant = Counter(timestamp for timestamp, _ in held)
        return {
            reading: replace_fields(outcome, warnings=(Code.OTHER_FILES_KEPT(),))
            if not replace and _has_rival(placed[reading], at_instant)
            else outcome
            for reading, outcome in outcomes.items()
        }

    def take_back(self, measured_at: datetime, person: str | None) -> bool:  # noqa: ARG002  # there is one folder
        """See `port.Delivery`."""
        with self._one_at_a_time:
            rows = [
                Row(kept, each)
                for kept in self._kept_around([measured_at], 0)
                for each in kept.readings
                if each.measured_at == measured_at
            ]
            try:
                self._remove(rows)
            except OSError as e:
                raise _unusable(self._path, e) from e
        return bool(rows)

    def health(self) -> Mapping[str, object]:
        """See `port.Delivery`. Writes nothing, since everyone may ask; so it learns of a quota by the last delivery of
        this process."""
        last = self._last
        trouble = last.trouble(self._now())
        try:
            look_for_room(self._path, _ROOM_BYTES)
        except OSError as e:
            trouble = str(_unusable(self._path, e))
        state = {"name": self.name, "ready": not trouble, **last.shown()}
        return state | {"detail": trouble} if trouble else state

    def _ended(self, outcomes: Collection[Outcome]) -> None:
        self._last = next_outcome(self._last, outcomes, self._now())

    # -- WeighInStore ------------------------------------------------------------------------------------

    def list_weigh_ins(self, first: date, last: date) -> Sequence[WeighIn]:
        """See `port.WeighInStore`. What waits in the folder; the same weigh-in in two files counts once."""
        with self._one_at_a_time:
            by_id = {weigh_in.id: weigh_in for _, weigh_in in self._on_days(first, last)}
        return sorted(by_id.values(), key=lambda weigh_in: (weigh_in.measured_at, weigh_in.id))

    def delete_weigh_in(self, weigh_in_id: str) -> None:
        """See `port.WeighInStore`. A file that still holds other weigh-ins is written again with the rest."""
        try:
            day = date.fromisoformat(weigh_in_id.partition(".")[0])
        except ValueError:
            day = None
        with self._one_at_a_time:
            found = self._on_days(day, day) if day else ()
            rows = [row for row, weigh_in in found if weigh_in.id == weigh_in_id]
            if not rows:
                raise NotFound("No file with this weigh-in is kept. An id is as GET /readings shows it.")
            try:
                self._remove(rows)
            except OSError as e:
                raise _unusable(self._path, e) from e

    def _on_days(self, first: date, last: date) -> Iterator[tuple[Row, WeighIn]]:
        start, end = (datetime.combine(day, datetime.min.time(), self._timezone) for day in (first, last))
        end += timedelta(days=1)  # on the wall clock, so a day may have 23 or 25 hours
        low, high = (f"{moment.astimezone(UTC):{INSTANT}}" for moment in (start, end))
        oldest, newest = (f"{moment.astimezone(UTC):{MONTH}}" for moment in (start, end))
        try:
            months = [path.name for path in self._path.iterdir() if is_month(path) and oldest <= path.name <= newest]
        except FileNotFoundError:
            return  # nothing was kept yet
        except OSError as e:
            raise FolderUnusable(f"The folder {self._path} cannot be read: {e.strerror}.") from e
        for name in sorted(self._names_between(low, high, months)):
            kept = self._read(name)
            for reading in kept.readings if kept else ():
                day = reading.measured_at.astimezone(self._timezone).date()
                if kept and first <= day <= last:
                    yield Row(kept, reading), _weigh_in(day, kept.rows[reading])

    # -- keeping -----------------------------------------------------------------------------------------

    def _keep(self, placed: Mapping[Reading, Placed[Row]], prove: Prove) -> Mapping[Reading, Delivered]:
        targets = list(dict.fromkeys(each.target for each in placed.values()))
        conflicts = [reading for reading, each in placed.items() if each.way is Way.CONFLICT]
        outgoing = [target.reading for target in targets if target.reading] + conflicts
        new: File | None = None
        if outgoing:
            fit = prove(outgoing)
            new = File(place_of(outgoing, fit), fit)
            self._write(new)
        moved = self._remove([row for target in targets for row in target.obsolete if not _is_new(row, new)])
        outcomes: dict[Reading, Delivered] = {}
        for reading, each in placed.items():
            is_in_new = each.target.reading is not None or each.way is Way.CONFLICT
            kept_now = new if new and is_in_new else _file_of(each.target, moved)
            outcomes[reading] = Delivered("kept", kept_now.fit, file_name=kept_now.name, notes=joined_notes(each))
        return outcomes

    def _remove(self, rows: Sequence[Row]) -> Mapping[Path, File]:
        """Remove weigh-ins from their files. Returns, by the old path, each file that was written with the rest."""
        removed: dict[Path, tuple[Kept, set[Reading]]] = {}
        for kept, reading in rows:
            removed.setdefault(kept.path, (kept, set()))[1].add(reading)
        moved: dict[Path, File] = {}
        for path, (kept, gone) in removed.items():
            left = {reading: raws for reading, raws in kept.rows.items() if reading not in gone}
            if left:
                content = patch(kept.template, [*left.values()])
                fit = verify(content, kept.template, [*left.values()])
                moved[path] = File(place_of([*left], fit), fit)
                self._write(moved[path])
            path.unlink(missing_ok=True)
        return moved

    def _write(self, file: File) -> None:
        make_private_folder(self._path)
        path = self._path / file.name
        if path.parent != self._path and not path.parent.is_dir():
            make_private_folder(path.parent)
            _sync(self._path)
        _write_whole(path, file.fit.content)

    # -- what is kept ------------------------------------------------------------------------------------

    def _near(self, raws: Mapping[Reading, RawFields]) -> Iterator[Kept]:
        instants = [datetime.fromtimestamp(each["timestamp"] + FIT_EPOCH_UNIX_S, UTC) for each in raws.values()]
        return self._kept_around(instants, self._join_s)

    def _kept_around(self, instants: Sequence[datetime], window_s: float) -> Iterator[Kept]:
        """The kept files that may have a weigh-in near one of these instants. Damaged ones are left alone."""
        in_order, window = sorted(instants), timedelta(seconds=window_s)
        low, high = (f"{moment:{INSTANT}}" for moment in (in_order[0] - window, in_order[-1] + window))
        months = {f"{moment + side:{MONTH}}" for moment in in_order for side in (-window, window)}
        for name in sorted(self._names_between(low, high, months)):
            match = _NAME.fullmatch(name.rpartition("/")[2])
            if match is None:
                continue
            first = datetime.strptime(match[2], INSTANT).replace(tzinfo=UTC)
            following = bisect_left(in_order, first - window)
            if following == len(in_order) or (not match[1] and in_order[following] > first + window):
                continue
            if kept := self._read(name):
                yield kept

    def _read(self, name: str) -> Kept | None:
        """The kept file at this path within the folder; None if it is damaged."""
        try:
            kept = read_kept(self._path / name)
        except FolderUnusable:
            return None
        self._last_instants[name] = f"{max(each.measured_at for each in kept.readings):{INSTANT}}"
        return kept

    def _names_between(self, low: str, high: str, months: Collection[str]) -> Iterator[str]:
        """The paths of files that may have a weigh-in from one instant to another, in these months. The name has the
        first instant of a file; its last is known once the file was read."""
        for month in ("", *months):
            try:
                names = os.listdir(self._path / month)  # noqa: PTH208  # names alone: there may be thousands
            except OSError:
                continue
            for name in names:
                if name.startswith("weigh-in_"):
                    if low <= name[9 : 9 + len(low)] <= high:
                        yield f"{month}/{name}" if month else name
                elif (
                    not month
                    and name.partition("weigh-ins_")[2][: len(high)] <= high
                    and self._last_instants.get(name, high) >= low
                ):
                    yield name


def _has_rival(placed: Placed[Row], at_instant: Mapping[int, int]) -> bool:
    """Whether other values for the same instant are kept too."""
    target = placed.target
    return placed.way is Way.CONFLICT or at_instant[target.timestamp] > len(target.held)


def _raws(row: Row) -> RawFields:
    return row.kept.rows[row.reading]


def _weigh_in(day: date, raws: RawFields) -> WeighIn:
    number = int.from_bytes(hashlib.sha256(repr(sorted(raws.items())).encode()).digest()[:8], "big")
    values = {
        FIELDS[name].source: Decimal(str(value)) if isinstance(value := value_of(FIELDS[name], raw), float) else value
        for name, raw in raws.items()
        if name != "timestamp" and FIELDS[name].source
    }
    measured_at = datetime.fromtimestamp(raws["timestamp"] + FIT_EPOCH_UNIX_S, UTC)
    return WeighIn(f"{day.isoformat()}.{number}", day, measured_at, values)


def _is_new(row: Row, new: File | None) -> bool:
    return new is not None and place_in_folder(row.kept.path) == new.name


def _file_of(target: Target[Row], moved: Mapping[Path, File]) -> File:
    kept = target.held[0][0].kept
    return moved.get(kept.path, File(place_in_folder(kept.path), kept.fit))


def _unusable(path: Path, fault: OSError) -> FolderUnusable:
    return FolderUnusable(
        f"The folder {path} cannot take a file: {fault.strerror}. Make room or make it writable, then send "
        "the same reading again."
    )


def _write_whole(path: Path, content: bytes) -> None:
    """Write to a temporary file, sync, rename, sync the folder: a crash leaves the old state or the new one."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
    _sync(path.parent)


def _sync(path: Path) -> None:
    with contextlib.suppress(OSError):  # Windows and some network disks cannot
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
