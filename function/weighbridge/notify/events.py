"""The events of which a person is notified, and what a notice of each says. Pure.

Rule: a notice holds no secret, and a measurement only in `values`, which is sent only if the owner asked for it
(`WEIGHBRIDGE_NOTIFY_VALUES`). The rest is words of this project, names that the owner chose (of a token, a key, a
source), and numbers of days and readings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..commands import DEFAULT_TOKEN, command, sign_in_again
from ..reading.dialects import VOCABULARY, normal


class Event(NamedTuple):
    """A kind of event. `title` and `text` have places for words."""

    code: str
    title: str
    text: str
    #: For the documentation: when it is sent, and by whom.
    when: str
    by: str


_SIGN_IN_BY = "`weighbridge refresh`, and the function after a delivery"

EVENTS = {
    event.code: event
    for event in (
        Event(
            "sign-in-ends",
            "The sign-in to Garmin ends in {days}{whose}",
            "Only use renews it. Renew it now: weighbridge refresh. If that fails: {login}.",
            "14 days, 7 days and 1 day before its end",
            _SIGN_IN_BY,
        ),
        Event(
            "sign-in-needed",
            "Signing in to Garmin is needed{whose}",
            "{why}",
            "the sign-in has ended, Garmin refuses the token, or there is none",
            _SIGN_IN_BY,
        ),
        Event(
            "sign-in-not-renewed",
            "The Garmin token could not be renewed{whose}",
            "{why}",
            "a renewal failed, or the next one would",
            _SIGN_IN_BY,
        ),
        Event(
            "reading-refused",
            "{readings} refused",
            "{why} It was not sent to Garmin. It came with the key {key}, whose program has the answer with what was "
            "expected. Correct it and send it again.",
            "the function refused a reading of a program that does not show it to you itself",
            "the function",
        ),
        Event(
            "readings-parked",
            "{readings} parked",
            "{why} It is not sent again by itself. Look at it: weighbridge outbox show {id}. Then send it again: "
            "weighbridge outbox correct {id} FILE, or weighbridge outbox retry {id}.",
            "a reading is parked: one at once, those of the next ten minutes in one notice",
            "the worker of the outbox",
        ),
        Event(
            "nothing-arrived",
            "No weigh-in has arrived for {days}",
            "{sources} {open}",
            "nothing of a source has arrived for `OUTBOX_SILENT_DAYS`",
            "the worker of the outbox",
        ),
        Event(
            "test",
            "Weighbridge can reach you",
            "This is the test that you asked for. There is nothing to do.",
            "you ask for it",
            "`weighbridge notify`",
        ),
    )
}

#: Days before the end of a sign-in.
ANNOUNCED_DAYS = (14, 7, 1)
#: Of many readings or sources in one notice, so many are named.
NAMED = 10
LONGEST_NAME = 100


class Notice(NamedTuple):
    """What a person reads about an event."""

    code: str
    title: str
    text: str
    #: Measurements, for those who want them.
    values: str = ""

    def __repr__(self) -> str:
        return f"<Notice {self.code}>"


def sign_in_ends(token_name: str, days_left: float) -> Notice | None:
    """None while it is too early to say so."""
    reached = [days for days in ANNOUNCED_DAYS if days_left <= days]
    if not reached:
        return None
    return _notice(
        "sign-in-ends", days=_count(min(reached), "day"), whose=_whose(token_name), login=command("login", token_name)
    )


def sign_in_needed(token_name: str, why: str) -> Notice:
    return _notice("sign-in-needed", whose=_whose(token_name), why=why or sign_in_again(token_name))


def sign_in_not_renewed(token_name: str, why: str) -> Notice:
    return _notice("sign-in-not-renewed", whose=_whose(token_name), why=why)


def reading_refused(problems: Sequence[Mapping[str, Any]], key: str) -> Notice:
    """`problems`: those of one request; the first one stands for all. `key`: the name of the caller's key."""
    readings = "A reading was" if len(problems) == 1 else f"{len(problems)} readings were"
    notice = _notice("reading-refused", readings=readings, why=f"{_reason(problems[0])}.", key=key)
    return notice._replace(values=_values(problems[0]))


def readings_parked(parked: Sequence[tuple[int, Mapping[str, Any]]]) -> Notice:
    """`parked`: the identifier of each reading, and its problem."""
    if len(parked) == 1:
        ((reading_id, problem),) = parked
        notice = _notice(
            "readings-parked", readings=f"Reading {reading_id} is", why=f"{_reason(problem)}.", id=str(reading_id)
        )
        return notice._replace(values=_values(problem))
    title = EVENTS["readings-parked"].title.format(readings=f"{len(parked)} readings are")
    lines = [f"{reading_id}: {_reason(problem)}." for reading_id, problem in parked[:NAMED]]
    lines += ["…"] if len(parked) > NAMED else []
    lines.append("They are not sent again by themselves. See them: weighbridge outbox status.")
    values = [f"{reading_id}: {text}" for reading_id, problem in parked[:NAMED] if (text := _values(problem))]
    return Notice("readings-parked", title, "\n".join(lines), "\n".join(values))


def nothing_arrived(days: int, sources: Sequence[str], open_readings: int) -> Notice:
    """`open_readings`: those of these sources that were received and have not arrived."""
    names = ", ".join(_name(source) for source in sources[:NAMED]) + (" …" if len(sources) > NAMED else "")
    if open_readings:
        were = "reading was" if open_readings == 1 else "readings were"
        todo = f"{open_readings} {were} received and not delivered. See why: weighbridge outbox status."
    else:
        todo = "Nothing was received that waits. If you did step on the scale, look at its app or bridge."
    return _notice("nothing-arrived", days=_count(days, "day"), sources=f"From: {names}.", open=todo)


def test() -> Notice:
    return _notice("test")


def body(notice: Notice, *, with_values: bool) -> str:
    """The text of a notice, as it is sent."""
    return f"{notice.text}\n\n{notice.values}" if with_values and notice.values else notice.text


def _notice(code: str, **words: str) -> Notice:
    event = EVENTS[code]
    return Notice(code, event.title.format(**words), event.text.format(**words))


def _whose(token_name: str) -> str:
    return "" if token_name == DEFAULT_TOKEN else f" ({token_name})"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")


def _name(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:LONGEST_NAME])


def _reason(problem: Mapping[str, Any]) -> str:
    """The title of a problem, and the keys to blame. A key that is in no vocabulary may be anything, so it is not
    shown."""
    title = problem.get("title")
    fields = [str(error.get("field")) for error in _errors(problem)]
    known = list(dict.fromkeys(field for field in fields if normal(field) in VOCABULARY))
    named = f": {', '.join(_name(field) for field in known[:NAMED])}" if known else ""
    return (_name(title) if isinstance(title, str) and title else "It cannot be used") + named


def _values(problem: Mapping[str, Any]) -> str:
    lines = [f"{error.get('field')}: {error.get('message')} Got {error.get('input')}." for error in _errors(problem)]
    ours, theirs = problem.get("ours"), problem.get("theirs")
    held = theirs if isinstance(theirs, list | tuple) else ()
    for who, entry in (("This reading", ours), *(("Garmin", each) for each in held)):
        if isinstance(entry, Mapping) and "weight_kg" in entry:
            lines.append(f"{who}: {entry['weight_kg']} kg.")
    return "\n".join(line[:300] for line in lines[:NAMED])


def _errors(problem: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    errors = problem.get("errors")
    return [error for error in errors if isinstance(error, Mapping)] if isinstance(errors, list) else []
