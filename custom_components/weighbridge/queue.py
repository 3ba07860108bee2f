"""The readings that are on their way to the function, kept on disk from their arrival on.

Rule: a reading is on the disk before anybody hears that it was taken, and leaves it only when it was delivered, or when
somebody discards it; one that was rejected, too (rejections.py). What was understood as seen is stored in the same
write as the reading that it led to, so a crash between the two neither loses nor doubles it.

Strategy: one reading at a time for each person, in order. The function recognizes a reading that it has had, so an
attempt that was cut off is simply made again. What waits is tried again after 1 s, 2 s … 15 minutes, or as long as the
function asks for, and at once when the function is well again.

Facts (Home Assistant 2026.11, helpers/storage.py): `Store.async_save` returns without an error if the disk is full, and
writes nothing while Home Assistant stops. So each write is read back, and made here if it is not there. Atomic writes
are fsync and rename: a kill before the rename leaves the file as it was, and a temporary file beside it. A file that is
not JSON is set aside by the Store itself, with an issue.

Weakness: Home Assistant acknowledges a message of MQTT before it is stored, and connects with a clean session. So what
came while it was away, or was not on the disk when it was killed, is lost unless the broker retains it. An integration
can change neither: components/mqtt/client.py makes its client without `manual_ack`, and starts each session clean. Paho
sends the PUBACK when `on_message` returns, which only starts our callback, and a broker forgets the session at the next
connection. The outbox (integrations/postgres) has a session of its own, and acknowledges what it has committed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryNotReady, HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.dispatcher import async_dispatcher_send
from homeassistant.helpers.json import save_json
from homeassistant.helpers.storage import Store
from homeassistant.util import dt as dt_util
from homeassistant.util.file import write_utf8_file_atomic
from homeassistant.util.json import load_json
from homeassistant.util.uuid import random_uuid_hex

from .answers import Answer
from .const import CONF_HEIGHT, CONF_NAME_IN_FUNCTION, DOMAIN, PERSON
from .function import Function
from .outcomes import ENDED, SIGNAL_DELIVERY, delivery_of
from .questions import Questions, async_clear_phones, local_time
from .rejections import MOST, Rejections, is_weigh_in, reason

if TYPE_CHECKING:
    from .runtime import WeighbridgeEntry

_LOGGER = logging.getLogger(__name__)

_VERSION = 1
#: The first pause and the longest.
_PAUSE_S: Final = (1.0, 900.0)
#: How many sources are remembered by what they last said.
_MARKS = 1000
#: How many answers are kept for `send_now`.
_ANSWERS = 50
#: The note of a receipt: the reading has no time of its own.
_TIME_OF_ARRIVAL = "time-of-arrival"
#: What a name has in it, in English and in the languages of apps: the function leaves out what contradicts it.
_IN_PLACE_OF_HEIGHT: Final = ("height", "bmi", "imc", "body mass", "body_mass")


class State(StrEnum):
    """What a stored reading waits for."""

    SETTLING = "settling"  # more of its values may come
    WAITING = "waiting"  # the function
    ASKING = "asking"  # somebody to say whose it is
    REJECTED = "rejected"  # somebody to read why


@dataclass(frozen=True, slots=True, repr=False)
class Item:
    """A reading on its way."""

    id: str
    reading: Mapping[str, Any]
    received_at: str
    #: Where it came from, for a person to read: a topic, or the name of a device.
    source: str
    subentry_id: str | None = None
    #: The name in the function of the person whose it is; "": the function decides.
    person: str = ""
    state: State = State.WAITING
    candidates: tuple[str, ...] = ()
    #: The broker had kept it, so its age is unknown: it is sent only if it has a time of its own.
    retained: bool = False
    #: It takes the place of what Garmin holds at its time.
    replaces: bool = False
    #: Why it was rejected.
    reason: str = ""

    def __repr__(self) -> str:
        return f"<Item {self.id} {self.state}>"

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "reading": self.reading,
            "received_at": self.received_at,
            "source": self.source,
            "subentry_id": self.subentry_id,
            "person": self.person,
            "state": self.state.value,
            "candidates": list(self.candidates),
            "retained": self.retained,
            "replaces": self.replaces,
            "reason": self.reason,
        }


def _read_item(stored: Any) -> Item:
    """Raises `ValueError`, `TypeError` or `KeyError` if it is not an item."""
    fields = {**stored, "state": State(stored["state"]), "candidates": tuple(stored["candidates"])}
    item = Item(**fields)
    texts = (item.id, item.received_at, item.source, item.person, item.reason, item.subentry_id or "", *item.candidates)
    if not isinstance(item.reading, dict) or not all(isinstance(text, str) for text in texts):
        raise TypeError("an item of other types")
    return item


def _read_items(stored: object) -> tuple[list[Item], bool]:
    """The items of a store, and whether all of them were understood."""
    items, understood = [], isinstance(stored, list)
    for each in stored if isinstance(stored, list) else ():
        try:
            items.append(_read_item(each))
        except (KeyError, TypeError, ValueError):
            understood = False
    return items, understood


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt to send a reading."""

    item: Item
    answer: Answer
    #: The status of the receipt, or: waiting, repair_needed, question, rejected, unknown_time, discarded.
    kind: str


@dataclass(slots=True)
class _Lane:
    """The readings of one person, which are sent one at a time."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    #: Ends the pause.
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    failures: int = 0
    #: Whether it waits after a failure. A new reading does not end this pause, because Garmin may have asked for it.
    paused: bool = False


class Queue:
    def __init__(self, hass: HomeAssistant, entry: WeighbridgeEntry, function: Function) -> None:
        self._hass, self._entry, self._function = hass, entry, function
        self._store: Store[dict[str, Any]] = _store(hass, entry.entry_id)
        self._items: dict[str, Item] = {}
        self._rejected: dict[str, Item] = {}
        #: Those whose answer somebody waits for: `send_now` gives it.
        self._awaited: set[str] = set()
        #: What each source said last, by which it is recognized when it says it again.
        self._marks: dict[str, str] = {}
        self._lanes: dict[str, _Lane] = {}
        #: When an item that Garmin took but does not show yet is asked for again, and how often it was.
        self._due: dict[str, tuple[float, int]] = {}
        self._answers: dict[str, Answer] = {}
        self._questions = Questions(hass, entry, self)
        self._rejections = Rejections(hass, entry, self)
        self._writing = asyncio.Lock()
        self._changes = self._written = 0
        self._stopped = False
        self._was_well: bool | None = None

    async def async_load(self) -> None:
        """Read what is stored. What is not understood is set aside, with an issue.

        Raises `ConfigEntryNotReady` if it cannot be set aside: the next write would lose it.
        """
        stored = await self._store.async_load()
        if stored is not None and not self._read(stored):
            path = f"{self._store.path}.corrupt.{dt_util.utcnow().isoformat()}"
            try:
                await self._hass.async_add_executor_job(_copy, self._store.path, path)
            except (HomeAssistantError, OSError) as error:
                raise ConfigEntryNotReady(
                    translation_domain=DOMAIN,
                    translation_key="queue_not_set_aside",
                    translation_placeholders={"path": self._store.path},
                ) from error
            _LOGGER.error("The stored readings are not as they were written. They were set aside as %s", path)
            self._create_issue("queue_damaged", {"path": path})

    async def async_start(self) -> None:
        """Begin to send."""
        for item in self._items.values():
            if item.state is State.SETTLING:
                self._items[item.id] = replace(item, state=State.WAITING)
        self._questions.async_start()
        self._rejections.async_start()
        for item in self._items.values():
            if item.state is State.ASKING:
                self._questions.async_ask(item, again=True)
        health = self._entry.runtime_data.health
        self._health_changed()
        self._entry.async_on_unload(health.async_add_listener(self._health_changed))
        for item in tuple(self._items.values()):
            self._send(item)

    async def async_stop(self) -> None:
        """End sending. What waits stays stored."""
        self._stopped = True
        tasks = [lane.task for lane in self._lanes.values() if lane.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._questions.async_stop()
        self._rejections.async_stop()
        if self._written < self._changes:
            # A write ended with its task. What is delivered must not be sent again after a reload.
            await self._save()

    @staticmethod
    async def async_remove(hass: HomeAssistant, entry: WeighbridgeEntry) -> None:
        """Delete the store, the issues and the open questions of an entry that is removed."""
        store = _store(hass, entry.entry_id)
        with suppress(HomeAssistantError, OSError):
            stored = await store.async_load() or {}
            for item in _read_items(stored.get("items"))[0]:
                if item.state is State.ASKING:
                    await async_clear_phones(hass, entry, item)
        await store.async_remove()
        prefix = f"queue.{entry.entry_id}."
        for domain, issue_id in list(ir.async_get(hass).issues):
            if domain == DOMAIN and issue_id.startswith(prefix):
                ir.async_delete_issue(hass, DOMAIN, issue_id)

    @property
    def waiting(self) -> tuple[Item, ...]:
        """The readings on their way, in order of their arrival."""
        return tuple(self._items.values())

    @property
    def rejected(self) -> tuple[Item, ...]:
        """The readings that were rejected, until somebody has dismissed them."""
        return tuple(self._rejected.values())

    # -- arrival -------------------------------------------------------------------------------------------

    async def add(
        self,
        reading: Mapping[str, Any],
        *,
        subentry_id: str | None,
        source: str,
        received_at: datetime,
        retained: bool = False,
        replaces: bool = False,
        mark: tuple[str, str] | None = None,
        settling: bool = False,
    ) -> str:
        """Store a reading and begin to send it. Returns its id once it is on the disk.

        `mark`: the source, and what it said; see `is_known`. `settling`: hold it until `settled`.
        """
        received = received_at.isoformat()
        item = Item(
            random_uuid_hex(),
            {"received_at": received, **plain(reading)},
            received,
            source,
            subentry_id,
            self._name_of(subentry_id),
            State.SETTLING if settling else State.WAITING,
            retained=retained,
            replaces=replaces,
        )
        self._items[item.id] = item
        self._remember(mark)
        await self._save()
        self._send(item)
        return item.id

    async def change(self, item_id: str, reading: Mapping[str, Any], mark: tuple[str, str] | None = None) -> None:
        """Store more values of a reading that settles."""
        if (item := self._items.get(item_id)) and item.state is State.SETTLING:
            received = {"received_at": item.reading["received_at"]}
            self._items[item_id] = replace(item, reading={**received, **plain(reading)})
            self._remember(mark)
            await self._save()

    async def settled(self, item_id: str) -> None:
        """Send a reading: it has all of its values."""
        if (item := self._items.get(item_id)) and item.state is State.SETTLING:
            self._items[item_id] = replace(item, state=State.WAITING)
            await self._save()
            self._send(self._items[item_id])

    def mark_of(self, source: str) -> str | None:
        """What a source said last, also before a restart."""
        return self._marks.get(source)

    async def remember(self, source: str, said: str) -> None:
        """Store what a source said, without a reading."""
        if self._marks.get(source) != said:
            self._remember((source, said))
            await self._save()

    def _remember(self, mark: tuple[str, str] | None) -> None:
        if mark:
            source, said = mark
            self._marks.pop(source, None)
            self._marks[source] = said
            while len(self._marks) > _MARKS:
                del self._marks[next(iter(self._marks))]

    def _name_of(self, subentry_id: str | None) -> str:
        subentry = self._entry.subentries.get(subentry_id or "")
        return str(subentry.data.get(CONF_NAME_IN_FUNCTION, "")) if subentry else ""

    def _subentry_of(self, person: str) -> str | None:
        return next(
            (
                subentry.subentry_id
                for subentry in self._entry.subentries.values()
                if subentry.subentry_type == PERSON and subentry.data.get(CONF_NAME_IN_FUNCTION) == person
            ),
            None,
        )

    def _height_of(self, item: Item) -> float | None:
        """The height of the person whose reading it is. If the function has to find out, it has heights of its own."""
        people = [each for each in self._entry.subentries.values() if each.subentry_type == PERSON]
        owner = self._entry.subentries.get(item.subentry_id or "") or (people[0] if len(people) == 1 else None)
        return owner.data.get(CONF_HEIGHT) if owner else None

    # -- sending -------------------------------------------------------------------------------------------

    async def send_now(self, item_id: str) -> Answer:
        """Send a reading that was added, without waiting for its turn. Returns the function's answer."""
        item = self._items.get(item_id)
        self._awaited.add(item_id)
        try:
            if item is not None:
                async with self._lane(item).lock:
                    # Its turn may have come meanwhile.
                    if (item := self._items.get(item_id)) is not None and item_id not in self._answers:
                        return await self._attempt(item)
            return self._answers[item_id]
        finally:
            self._awaited.discard(item_id)

    @callback
    def retry(self) -> None:
        """End all pauses: try everything again at once."""
        self._due.clear()
        for lane in self._lanes.values():
            lane.failures = 0
            lane.wake.set()
        for item in tuple(self._items.values()):
            self._send(item)

    async def answer(self, item_id: str, person: str | None) -> None:
        """Say whose a reading is, by the name in the function; None: nobody's, discard it.

        Raises `LookupError` if no such reading asks, or if the person is not one of its candidates.
        """
        item = self._items.get(item_id)
        if item is None or item.state is not State.ASKING:
            raise LookupError("No such reading asks whose it is.")
        if person is not None and person not in item.candidates:
            raise LookupError("This person is not one of the candidates.")
        self._questions.async_close(item)
        if person is None:
            del self._items[item_id]
            await self._save()
            self._tell(Outcome(item, Answer(0, {}), "discarded"))
            return
        subentry_id = self._subentry_of(person) or item.subentry_id
        self._items[item_id] = replace(item, person=person, subentry_id=subentry_id, state=State.WAITING, candidates=())
        self._answers.pop(item_id, None)
        await self._save()
        self._send(self._items[item_id])

    async def dismiss(self, item_id: str) -> None:
        """Delete a reading that was rejected. Raises `LookupError` if there is none."""
        self._rejections.async_close(self._rejected.pop(item_id))
        await self._save()

    async def send_again(self, item_id: str) -> None:
        """Send a reading that was rejected. Raises `LookupError` if there is none."""
        item = self._rejected.pop(item_id)
        self._rejections.async_close(item)
        self._answers.pop(item_id, None)
        self._items[item_id] = replace(item, state=State.WAITING, reason="")
        await self._save()
        self._send(self._items[item_id])

    def _lane(self, item: Item) -> _Lane:
        return self._lanes.setdefault(item.subentry_id or "", _Lane())

    @callback
    def _send(self, item: Item) -> None:
        """Begin to send the readings of a person, unless that has begun."""
        lane = self._lane(item)
        if item.state is not State.WAITING or self._stopped:
            return
        if lane.task is None or lane.task.done():
            lane.task = self._entry.async_create_background_task(
                self._hass, self._run(item.subentry_id or "", lane), "weighbridge queue"
            )
        elif not lane.paused:
            lane.wake.set()

    async def _run(self, key: str, lane: _Lane) -> None:
        """Send all readings of one person, and end."""
        while items := [i for i in self._items.values() if (i.subentry_id or "") == key and i.state is State.WAITING]:
            lane.wake.clear()
            now = self._hass.loop.time()
            pause_s: float | None = None
            for item in items:
                if self._due.get(item.id, (0.0, 0))[0] > now:
                    continue
                async with lane.lock:
                    # Somebody may have sent it now, or answered.
                    if self._items.get(item.id) is not item:
                        continue
                    answer = await self._attempt(item)
                if item.id not in self._items or answer.candidates:
                    lane.failures = 0
                elif not answer.ok:
                    lane.failures += 1
                    pause_s = self._pause_s(answer, lane.failures)
                    # What only this reading causes does not hold up the others.
                    if answer.body.get("blame") != "weighbridge":
                        break
            lane.paused = pause_s is not None
            if pause_s is None:
                dues = [self._due[item.id][0] for item in items if item.id in self._items and item.id in self._due]
                if not dues:
                    continue
                pause_s = max(0.0, min(dues) - self._hass.loop.time())
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await lane.wake.wait()
            lane.paused = False

    @staticmethod
    def _pause_s(answer: Answer, failures: int) -> float:
        first, longest = _PAUSE_S
        if answer.again == "after_repair":
            return longest
        # It may be a day: an earlier attempt would only extend it.
        return answer.retry_after_s or min(first * 2 ** min(failures - 1, 20), longest)

    async def _attempt(self, item: Item) -> Answer:
        """Send a reading once, and store what follows from the answer."""
        whole = await self._post(item)
        answer = _deciding(whole)
        kind = _kind(item, answer)
        self._answers[item.id] = answer
        while len(self._answers) > _ANSWERS:
            del self._answers[next(iter(self._answers))]
        if kind == "question":
            item = replace(item, state=State.ASKING, candidates=answer.candidates)
            self._items[item.id] = item
            await self._save()
            self._questions.async_ask(item)
        elif kind in ("waiting", "repair_needed"):
            pass
        elif not answer.final and answer.ok and kind != "unknown_time":
            count = self._due.get(item.id, (0.0, 0))[1] + 1
            first, longest = _PAUSE_S
            pause_s = answer.retry_after_s or min(first * 2 ** min(count, 20), longest)
            self._due[item.id] = (self._hass.loop.time() + pause_s, count)
        else:
            del self._items[item.id]
            self._due.pop(item.id, None)
            if kind == "rejected" and item.id not in self._awaited:
                self._reject(item, [part for part in _parts(whole) if part.again == "never" and not part.ok])
            await self._save()
            if kind == "unknown_time":
                self._report_unknown_time(item)
        self._tell(Outcome(item, answer, kind))
        return answer

    async def _post(self, item: Item) -> Answer:
        item = replace(item, reading=with_height(item.reading, self._height_of(item)))
        if item.retained:
            # Only the function knows what a time is. Without the time of its arrival, it says whether there is one.
            reading = {key: value for key, value in item.reading.items() if key != "received_at"}
            checked = await self._function.post(reading, person=item.person, dry_run=True)
            if not checked.ok:
                return checked
            if untimed := next(filter(_is_untimed, _parts(checked)), None):
                return untimed
        return await self._function.post(item.reading, person=item.person, replace=item.replaces)

    @callback
    def _reject(self, item: Item, answers: Sequence[Answer]) -> None:
        """Keep a rejected reading, with an issue."""
        item = replace(item, state=State.REJECTED, reason=reason(answers))
        if not any(map(is_weigh_in, answers)) and any(
            (each.source, each.reason) == (item.source, item.reason) for each in self._rejected.values()
        ):
            return
        self._rejected[item.id] = item
        while len(self._rejected) > MOST:
            oldest = next(iter(self._rejected))
            self._rejections.async_close(self._rejected.pop(oldest))
        self._rejections.async_report(item)

    @callback
    def _tell(self, outcome: Outcome) -> None:
        async_dispatcher_send(self._hass, f"weighbridge_outcome_{self._entry.entry_id}", outcome)
        item, answer, people = outcome.item, outcome.answer, self._entry.runtime_data.people.values()
        if outcome.kind in ENDED and not any(person.is_theirs(item, answer) for person in people):
            async_dispatcher_send(self._hass, SIGNAL_DELIVERY, delivery_of("", item, answer, outcome.kind))

    @callback
    def _health_changed(self) -> None:
        health = self._entry.runtime_data.health
        well = health.last_update_success and health.data is not None and health.data.worst.ready
        if well and self._was_well is False:
            self.retry()
        self._was_well = well

    def _report_unknown_time(self, item: Item) -> None:
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            f"queue.{self._entry.entry_id}.unknown_time.{item.id}",
            is_fixable=False,
            is_persistent=True,
            severity=ir.IssueSeverity.WARNING,
            translation_key="unknown_time",
            translation_placeholders={"source": item.source, "received": local_time(item.received_at)},
        )

    # -- the store -----------------------------------------------------------------------------------------

    def _read(self, stored: dict[str, Any]) -> bool:
        """Take what is stored. Whether all of it was understood."""
        marks = stored.get("marks")
        items, understood = _read_items(stored.get("items"))
        understood = understood and isinstance(marks, dict)
        for item in items:
            (self._rejected if item.state is State.REJECTED else self._items)[item.id] = item
        for source, said in marks.items() if isinstance(marks, dict) else ():
            if isinstance(source, str) and isinstance(said, str):
                self._marks[source] = said
        return understood

    def _document(self) -> dict[str, Any]:
        items = [item.as_json() for item in (*self._items.values(), *self._rejected.values())]
        return {"items": items, "marks": dict(self._marks)}

    async def _save(self) -> None:
        """Write all that changed until now. Several who wait share one write."""
        self._changes += 1
        wanted = self._changes
        async with self._writing:
            if self._written >= wanted:
                return
            count, document = self._changes, self._document()
            try:
                await self._store.async_save(document)
                await self._hass.async_add_executor_job(_ensure_written, self._store, document)
            except (HomeAssistantError, OSError):
                # They are sent all the same; only a restart would lose them.
                _LOGGER.exception("The readings on their way cannot be stored")
                self._create_issue("queue_not_stored", {"path": self._store.path})
                return
            if self._written == 0:
                ir.async_delete_issue(self._hass, DOMAIN, self._issue_id("queue_not_stored"))
            self._written = count

    def _issue_id(self, key: str) -> str:
        return f"queue.{self._entry.entry_id}.{key}"

    def _create_issue(self, key: str, placeholders: dict[str, str]) -> None:
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            self._issue_id(key),
            is_fixable=False,
            severity=ir.IssueSeverity.ERROR,
            translation_key=key,
            translation_placeholders=placeholders,
        )


def _store(hass: HomeAssistant, entry_id: str) -> Store[dict[str, Any]]:
    return Store(hass, _VERSION, f"{DOMAIN}.{entry_id}", private=True, atomic_writes=True)


def _ensure_written(store: Store[dict[str, Any]], document: dict[str, Any]) -> None:
    """Write what the Store has not written. Raises `HomeAssistantError` if that is not possible."""
    with suppress(HomeAssistantError):
        stored = load_json(store.path)
        if isinstance(stored, dict) and stored.get("data") == document:
            return
    Path(store.path).parent.mkdir(exist_ok=True)
    whole = {"version": _VERSION, "minor_version": 1, "key": store.key, "data": document}
    save_json(store.path, whole, private=True, atomic_writes=True)


def _copy(source: str, target: str) -> None:
    """Raises `HomeAssistantError` or `OSError` if that is not possible."""
    write_utf8_file_atomic(target, Path(source).read_text("utf-8"), private=True)


def with_height(reading: Mapping[str, Any], height: float | None) -> Mapping[str, Any]:
    """The reading with a height, if it is a flat one without any, and without a body mass index, which counts more."""
    nested = any(isinstance(value, dict | list) for value in reading.values())
    if not height or nested or any(word in key.casefold() for key in reading for word in _IN_PLACE_OF_HEIGHT):
        return reading
    return {**reading, CONF_HEIGHT: height}


def _parts(answer: Answer) -> Iterator[Answer]:
    """The answer to each weigh-in of a document: it may hold several."""
    results = answer.body.get("results")
    if not answer.ok or not isinstance(results, list):
        yield answer
        return
    for result in results:
        if isinstance(result, dict):
            yield from _parts(Answer(answer.status, result))


def _deciding(answer: Answer) -> Answer:
    """Of several answers to one document, that of a weigh-in which is not done; otherwise the first."""
    parts = list(_parts(answer)) or [answer]
    unfinished = [part for part in parts if not part.final]
    return next((part for part in unfinished if part.again != "never"), (unfinished or parts)[0])


def _is_untimed(answer: Answer) -> bool:
    """Whether a reading has no time of its own, by its receipt."""
    notes = answer.body.get("notes")
    return isinstance(notes, list) and any(isinstance(n, dict) and n.get("code") == _TIME_OF_ARRIVAL for n in notes)


def _kind(item: Item, answer: Answer) -> str:
    if answer.ok:
        return "unknown_time" if item.retained and _is_untimed(answer) else answer.outcome
    if answer.candidates:
        return "question"
    return {"never": "rejected", "later": "waiting", "after_repair": "repair_needed"}[answer.again]


def plain(value: Any) -> Any:
    """A value as JSON has it. A time becomes text; one without a zone is in that of Home Assistant."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=dt_util.get_default_time_zone())).isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    if value is None or type(value) in (bool, int, float, str):
        return value
    # Enumerations, and whatever else an attribute holds.
    return str(value)
