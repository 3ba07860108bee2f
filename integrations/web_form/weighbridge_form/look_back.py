"""Look back: the trend, and a list of weigh-ins, each of which can be corrected or deleted.

Strategy: the weigh-ins of a period are asked for once and stay in the session until one of them changes. They come from
Garmin, or from the kept files where the function is not connected to Garmin; the page treats both alike.

Rule: what a person deletes can be sent again for `UNDO_S` seconds, and as long as it takes if that fails. A correction
that changes the time sends the new weigh-in, looks whether it is there, and only then deletes the old one.

Facts: the offer to undo is hidden by the browser (a CSS animation), so the server wakes up for nothing and an open
dialog stays open.

Weakness: a weigh-in cannot be moved by less than WEIGHBRIDGE_JOIN_SECONDS; the function takes both for one. Whether
Garmin limits the length of a period is not known; everything is one request.
"""

from __future__ import annotations

import json
import time as seconds
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any, NamedTuple

import streamlit as st

from weighbridge.client import Reply

from .account import FunctionOf
from .answers import asks_for_a_key, errors_of, show_notes, show_problem, show_warnings, text_of
from .charts import AVERAGE_DAYS, draw
from .clock import moment, to_display, zone
from .trend import AT_FIRST, VALUES, Axis, axis_of, title_of, with_calculated
from .values import FIELDS, TIME, UNITS, as_typed, label_in, left_out, name_of, reading_of
from .words import _, language, mark, number

#: In days; None: everything since `BEGINNING`.
PERIODS = {mark("1 month"): 30, mark("3 months"): 91, mark("1 year"): 365, mark("All"): None}
BEGINNING = "2000-01-01"
ROWS = 10
UNDO_S = 10


class Deleted(NamedTuple):
    """A weigh-in that was deleted, and can be sent again."""

    row: Mapping[str, Any]
    #: In s since 1970.
    until: float
    #: Why it could not be sent again. Then it can be tried for as long as it takes.
    failed: Reply | None = None

    @property
    def is_offered(self) -> bool:
        return self.failed is not None or seconds.time() < self.until


def show_look_back(account: FunctionOf) -> bool:
    """Show the weigh-ins of a period. Returns whether the function lets the page in."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.header(_("Trend"), anchor=False, width="content")
        with st.popover(_("Values")):
            names = st.pills(
                _("Values to draw"),
                VALUES,
                selection_mode="multi",
                default=AT_FIRST,
                format_func=title_of,
                key="values to draw",
                persist_state="session",
            )
    period = st.segmented_control(
        _("Period"),
        list(PERIODS),
        format_func=_,
        default="1 month",
        required=True,
        key="period",
        label_visibility="collapsed",
        persist_state="session",
    )
    today = datetime.now(zone()).date()
    days = PERIODS[period]
    answer = _entries(account, days)
    if answer.kind == "forbidden":
        st.caption(_("The key of this page may not read what Garmin has."))
        return True
    if asks_for_a_key(answer) or not answer.ok:
        show_problem(answer)
        return answer.kind != "unauthorized"
    everything: list[Mapping[str, Any]] = answer.body["readings"]
    start = today - timedelta(days=days) if days else None
    rows = [row for row in everything if start is None or moment(row["measured_at"]).astimezone(zone()).date() >= start]
    is_folder = answer.body.get("source") == "folder"
    if not rows:
        none = _("No weigh-ins are kept in this period.")
        st.markdown(none if is_folder else _("Garmin has no weigh-ins in this period."))
    else:
        first = moment(rows[0]["measured_at"]).astimezone(zone()).date()
        last = max(today, moment(rows[-1]["measured_at"]).astimezone(zone()).date())
        _trend(
            everything, names, axis_of(first, last), _("From the files that are kept for import.") if is_folder else ""
        )
    _list(account, rows)
    return True


def _trend(rows: Sequence[Mapping[str, Any]], names: Sequence[str], axis: Axis, about: str) -> None:
    if not names:
        st.caption(_("Choose at least one value to draw."))
    missing = draw(
        [with_calculated(row) for row in rows], [name for name in VALUES if name in names], axis, about=about
    )
    if missing:
        st.caption(_("Not there in this period: {names}.", names=", ".join(map(name_of, missing))))


def _entries(account: FunctionOf, days: int | None) -> Reply:
    """The weigh-ins, requested once for each person and period; with some days before it, for the mean."""
    last = datetime.now(UTC).date() + timedelta(days=1)
    question = (account, last, days)
    asked, answer = st.session_state.get("entries", (None, None))
    if asked != question or not isinstance(answer, Reply):
        with st.spinner(_("Loading your weigh-ins …")):
            first = (last - timedelta(days=days + 1 + AVERAGE_DAYS)).isoformat() if days else BEGINNING
            answer = account.client.readings(first, last.isoformat(), person=account.person)
        st.session_state["entries"] = (question, answer)
    return answer


# -- the list ----------------------------------------------------------------------------------------------


def _list(account: FunctionOf, rows: Sequence[Mapping[str, Any]]) -> None:
    # The offer to undo is where the weigh-in was.
    deleted = {id(each.row): each for each in _deleted(account)}
    listed = [*rows, *(each.row for each in deleted.values())]
    if not listed:
        return
    st.header(_("Weigh-ins"), anchor=False)
    _say_what_was_done(account)
    shown: int = st.session_state.get("rows", ROWS)
    with st.container(key="weigh-ins", gap=None):
        for row in sorted(listed, key=lambda row: moment(row["measured_at"]), reverse=True)[:shown]:
            if id(row) in deleted:
                _offer_to_undo(account, deleted[id(row)])
            else:
                _row(account, row)
    if len(listed) > shown and st.button(_("Show {count} more", count=min(ROWS, len(listed) - shown))):
        st.session_state["rows"] = shown + ROWS
        st.rerun()


def _row(account: FunctionOf, row: Mapping[str, Any]) -> None:
    label, key = _in_short(row), f"open {row['id']}"
    if st.button(label, key=key, type="tertiary", width="stretch", icon=":material/edit:", icon_position="right"):
        _forget_what_was_done()
        st.dialog(to_display(row["measured_at"]))(_correct)(account, row)


def _in_short(row: Mapping[str, Any]) -> str:
    values = [f"{number(row['weight_kg'])} kg"] if "weight_kg" in row else []
    if "body_fat_percent" in row:
        values.append(_("{percent} % fat", percent=number(row["body_fat_percent"])))
    return f"{to_display(row['measured_at'])} · **{' · '.join(values) or _('no weight')}**"


def _say(account: FunctionOf, text: str, *, is_good: bool = True) -> None:
    """Say this below the heading, until the person does something else."""
    st.session_state["done"] = (account, is_good, text)


def _say_what_was_done(account: FunctionOf) -> None:
    of, is_good, text = st.session_state.get("done", (None, True, ""))
    if of == account:
        (st.success if is_good else st.warning)(text)


def _forget_what_was_done() -> None:
    st.session_state.pop("done", None)


def _changed() -> None:
    """The weigh-ins are asked for again."""
    for name in ("entries", "sent"):
        st.session_state.pop(name, None)


# -- deleting, and undoing it ------------------------------------------------------------------------------


def _deleted(account: FunctionOf) -> Sequence[Deleted]:
    """The weigh-ins that can be sent again."""
    of, deleted = st.session_state.get("deleted", (None, ()))
    return [each for each in deleted if each.is_offered] if of == account else []


def _remember_deleted(account: FunctionOf, row: Mapping[str, Any], deleted: Deleted | None) -> None:
    """Set what is remembered of this row."""
    others = [each for each in _deleted(account) if each.row is not row]
    st.session_state["deleted"] = (account, [*others, *([deleted] if deleted else [])])


def _delete(account: FunctionOf, row: Mapping[str, Any]) -> None:
    """Delete a weigh-in and close the dialog, or show why it could not be deleted."""
    answer = account.client.delete(row["id"], person=account.person)
    if not answer.ok and answer.kind != "not-found":
        show_problem(answer)
        return
    _remember_deleted(account, row, Deleted(row, seconds.time() + UNDO_S))
    _changed()
    st.rerun()


def _offer_to_undo(account: FunctionOf, deleted: Deleted) -> None:
    key = f"undo-{deleted.row['id'].replace('.', '-')}"
    if deleted.failed is None:
        left_ms = max(int(1000 * (deleted.until - seconds.time())), 0)
        # With a name of its own, it begins now. With the former name, the new delay would count from the first drawing.
        st.html(
            f"<style>@keyframes gone-{left_ms} {{ to {{ visibility: hidden; position: absolute; }} }} "
            f".st-key-{key} {{ animation: gone-{left_ms} 0s linear {left_ms}ms forwards; }}</style>"
        )
    with st.container(key=key):
        if deleted.failed is not None:
            st.error(_("The weigh-in could not be sent again."))
            show_problem(deleted.failed)
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", wrap=False):
            st.markdown(_("Deleted: {time}", time=to_display(deleted.row["measured_at"])), width="content")
            label = _("Undo") if deleted.failed is None else _("Try again")
            st.button(label, key=f"send {key}", on_click=_undo, args=(account, deleted))


def _undo(account: FunctionOf, deleted: Deleted) -> None:
    """Send the values that were deleted, with the same time."""
    values = {name: value for name, value in deleted.row.items() if name not in ("id", "calendar_date")}
    answer = account.client.post(json.dumps(values | _whose(account)))
    if not answer.ok:
        _remember_deleted(account, deleted.row, deleted._replace(failed=answer))
        return
    _remember_deleted(account, deleted.row, None)
    when = to_display(deleted.row["measured_at"])
    if answer.status == "accepted":
        _say(account, _("Garmin took the weigh-in of {time} again, and does not show it yet.", time=when))
    else:
        _say(account, _("The weigh-in of {time} is back.", time=when))
    _changed()


def _whose(account: FunctionOf) -> dict[str, str]:
    return {"person": account.person} if account.person else {}


# -- correcting --------------------------------------------------------------------------------------------


def _correct(account: FunctionOf, row: Mapping[str, Any]) -> None:
    """What is in the dialog of a weigh-in. Streamlit runs it again alone at each change in it."""
    state, client, filled = st.session_state, account.client, as_typed(row)
    keys = {field.key: f"correct {row['id']} {field.key}" for field in FIELDS}
    unit = str(state.get("unit") or UNITS[0])
    for field in FIELDS:
        # A number alone has the unit of its field.
        own = unit if field.unit == "mass" else field.unit
        state.setdefault(keys[field.key], filled.texts.get(field.key, "").removesuffix(f" {own}"))
    texts = {name: str(state[key]) for name, key in keys.items()}
    fields, when = st.container(key="correction-fields"), st.container(key="correction-when", horizontal=True)
    with when:
        at = _time_in_dialog(row)
    reading = json.dumps(reading_of(texts | {TIME.key: at}, unit, zone().key, filled.more | _whose(account)))
    checked = client.post(reading, dry_run=True)
    asks_for_a_key(checked)
    errors = errors_of(checked)
    with fields:
        for field in FIELDS:
            with st.container():
                st.text_input(label_in(field, unit), key=keys[field.key], autocomplete="off")
                if field.key in errors:
                    st.error(errors.pop(field.key))
    if not checked.ok:
        for name, message in errors.items():
            st.error(message if name in ("", TIME.key) else f"{name_of(name)}: {message}")
        if not checked.errors:
            show_problem(checked)
    else:
        show_warnings(checked.body)
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        save = st.button(_("Save the correction"), type="primary", disabled=not checked.ok, key="correct")
        delete = st.button(_("Delete"), key="delete", icon=":material/delete:")
    if save:
        with st.spinner(_("Sending, then looking it up …")):
            _save(account, row, reading, is_moved=at != row["measured_at"])
    elif delete:
        with st.spinner(_("Deleting …")):
            _delete(account, row)


def _time_in_dialog(row: Mapping[str, Any]) -> str:
    """The time that was chosen; the exact one of the weigh-in, unless another minute was chosen."""
    local = moment(row["measured_at"]).astimezone(zone())
    of_minute = time(local.hour, local.minute)
    day = st.date_input(_("Day"), local.date(), key=f"day {row['id']}", format=language().picker, width=150)
    clock = st.time_input(_("Time"), of_minute, key=f"clock {row['id']}", step=60, width=120)
    if (day, clock) == (local.date(), of_minute):
        return str(row["measured_at"])
    return f"{day} {clock:%H:%M}"


def _save(account: FunctionOf, row: Mapping[str, Any], reading: str, *, is_moved: bool) -> None:
    """Send a correction and close the dialog, or show in it why it was not done."""
    answer = account.client.post(reading, replace=not is_moved)
    if not answer.ok:
        show_problem(answer)
        return
    receipt = answer.body
    when = to_display(receipt["measured_at"])
    held = _held_at(account, receipt["measured_at"]) if answer.status != "accepted" else None
    _changed()
    if is_moved and not _make_room(account, row, answer, held):
        return
    if names := left_out([field["name"] for field in receipt["fields"]], held or []):
        _say(
            account,
            _(
                "The weigh-in of {time} was corrected. It still has {names}, which you left empty. To remove a value, "
                "delete the weigh-in and send it again.",
                time=when,
                names=", ".join(map(name_of, names)),
            ),
            is_good=False,
        )
    elif answer.status == "accepted":
        _say(account, _("Garmin took the correction of {time}, and does not show it yet.", time=when))
    else:
        _say(account, _("The weigh-in of {time} was corrected.", time=when))
    st.rerun()


def _make_room(
    account: FunctionOf, row: Mapping[str, Any], answer: Reply, held: Sequence[Mapping[str, Any]] | None
) -> bool:
    """Delete the weigh-in at the old time, if the new one is there. Returns whether that is done."""
    old, when = to_display(row["measured_at"]), to_display(answer.body["measured_at"])
    if held is None:
        _say(
            account,
            _(
                "The weigh-in of {time} was sent, and is not shown yet. So the one of {old_time} was not deleted: "
                "delete it when the new one is there.",
                time=when,
                old_time=old,
            ),
            is_good=False,
        )
        st.rerun()
    if not any(entry["id"] != row["id"] for entry in held):
        show_notes(answer.body)
        st.error(_("Nothing was moved: the new time is so near to a weigh-in that both count as one."))
        return False
    gone = account.client.delete(row["id"], person=account.person)
    if not gone.ok and gone.kind != "not-found":
        _say(
            account,
            _(
                "The weigh-in of {time} is there, but the one of {old_time} could not be deleted. Delete it. {problem}",
                time=when,
                old_time=old,
                problem=text_of(gone),
            ),
            is_good=False,
        )
        st.rerun()
    return True


def _held_at(account: FunctionOf, measured_at: str) -> Sequence[Mapping[str, Any]] | None:
    """What is there at this instant now; None if that cannot be seen."""
    day, one = moment(measured_at).date(), timedelta(days=1)
    found = account.client.readings((day - one).isoformat(), (day + one).isoformat(), person=account.person)
    if not found.ok:
        return None
    return [row for row in found.body["readings"] if moment(row["measured_at"]) == moment(measured_at)]
