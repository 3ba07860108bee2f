"""What is in Garmin: charts and a list of weigh-ins, each of which can be corrected or deleted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import streamlit as st

from weighbridge.client import Reply, Result

from .account import FunctionOf
from .charts import draw
from .clock import local, to_display

#: Shows a problem.
Problem = Callable[[Result], None]
#: Fills the fields of the page with these values and this time.
Fill = Callable[[Mapping[str, Any], str], None]

SPANS = {"1 month": 30, "3 months": 91, "1 year": 365}
ROWS = 10


def show(account: FunctionOf, asks_for_a_key: Callable[[Result], bool], problem: Problem, fill: Fill) -> bool:
    """Show the entries of the period. Returns whether the function lets the page in."""
    st.header("Trend", anchor=False)
    span = st.segmented_control("Period", list(SPANS), default="1 month", required=True, key="span")
    answer = _entries(account, SPANS[span])
    if asks_for_a_key(answer) or not answer.ok:
        problem(answer)
        return answer.kind != "unauthorized"
    if deleted := st.session_state.pop("deleted", ""):
        st.success(deleted)
    rows: list[Mapping[str, Any]] = answer.body["readings"]
    if rows:
        draw(rows)
        _table(account, rows, problem, fill)
    else:
        st.markdown("Garmin has no weigh-ins in this period.")
    return True


def _entries(account: FunctionOf, days: int) -> Reply:
    """The weigh-ins in Garmin, requested once for each person and period."""
    last = datetime.now(UTC).date() + timedelta(days=1)
    question = (account, last, days)
    asked, answer = st.session_state.get("entries", (None, None))
    if asked != question or not isinstance(answer, Reply):
        with st.spinner("Loading from Garmin …"):
            first = (last - timedelta(days=days)).isoformat()
            answer = account.client.readings(first, last.isoformat(), person=account.person)
        st.session_state["entries"] = (question, answer)
    return answer


def _table(account: FunctionOf, rows: Sequence[Mapping[str, Any]], problem: Problem, fill: Fill) -> None:
    st.header("Weigh-ins", anchor=False)
    shown: int = st.session_state.get("rows", ROWS)
    for row in list(reversed(rows))[:shown]:
        _row(account, row, problem, fill)
    if len(rows) > shown and st.button(f"Show {min(ROWS, len(rows) - shown)} more"):
        st.session_state["rows"] = shown + ROWS
        st.rerun()


def _row(account: FunctionOf, row: Mapping[str, Any], problem: Problem, fill: Fill) -> None:
    id_, when = str(row["id"]), to_display(row["measured_at"])
    parts = [f"{row[name]:g} {unit}" for name, unit in _SHORT.items() if name in row]
    with st.container(border=True, key=f"row-{id_.replace('.', '-')}"):
        st.markdown(f"**{when}** · {' · '.join(parts)}")
        with st.container(horizontal=True):
            if st.session_state.get("asked to delete") != id_:
                # The time is in the label because a screen reader lists the buttons by their labels alone.
                st.button(f"Correct {when}", key=f"correct {id_}", on_click=_correct, args=(row, fill))
                st.button(f"Delete {when}", key=f"delete {id_}", on_click=_ask_to_delete, args=(id_,))
            else:
                st.button("Keep it", key=f"keep {id_}", on_click=_ask_to_delete, args=("",))
                if st.button("Yes, delete it", key=f"yes {id_}", type="primary"):
                    _delete(account, id_, when, problem)


_SHORT = {
    "weight_kg": "kg",
    "body_fat_percent": "% fat",
    "muscle_mass_kg": "kg muscle",
    "body_water_percent": "% water",
    "bone_mass_kg": "kg bone",
    "visceral_fat_rating": "visceral fat",
}


def _delete(account: FunctionOf, id_: str, when: str, problem: Problem) -> None:
    answer = account.client.delete(id_, person=account.person)
    if not answer.ok and answer.kind != "not-found":
        problem(answer)
        return
    st.session_state["deleted"] = f"The weigh-in of {when} was deleted."
    for name in ("asked to delete", "sent", "entries"):
        st.session_state.pop(name, None)
    st.rerun()


def _correct(row: Mapping[str, Any], fill: Fill) -> None:
    fill(row, local(row["measured_at"]))
    st.session_state["correcting"] = row["measured_at"]


def _ask_to_delete(id_: str) -> None:
    st.session_state["asked to delete"] = id_
