"""A file of years: what it holds, which column is what, and a button that sends it.

Strategy: weighbridge_history reads the file and sends it, here as at the terminal. What was read and checked is kept in
the session until the file changes, or what a person says of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import streamlit as st

from weighbridge_history.columns import KIND_OF
from weighbridge_history.errors import FileUnusable, MappingInvalid, OrderUnclear
from weighbridge_history.read import History, columns_of, read
from weighbridge_history.send import BECAME, ImportReport, Stopped, check, send
from weighbridge_history.times import DAY_FIRST, MONTH_FIRST

from .account import FunctionOf
from .charts import draw
from .clock import moment, zone

KINDS = ["csv", "xls", "xlsx", "xml", "zip", "ndjson", "jsonl"]
#: Of a long file, so many refused rows are shown, and so many weigh-ins are drawn.
MOST_REFUSED, MOST_DRAWN = 20, 2_000
RECOGNISED = "as recognised"
LEFT_OUT = "(left out)"


class Preview(NamedTuple):
    """A file that was read and checked."""

    history: History
    checked: ImportReport


def show_history(account: FunctionOf) -> None:
    st.header("History of a file", anchor=False)
    file = st.file_uploader("Export of Fitdays, Garmin, openScale, Withings, Apple Health; or JSON lines", type=KINDS)
    if file is None:
        st.session_state.pop("history", None)
        return
    mapping = _mapping(file.file_id)
    order = ""
    if st.session_state.get("order asked") == file.file_id:
        st.warning("In the dates of this file the day may come first, or the month. No row shows it.")
        order = st.segmented_control("Which comes first?", [DAY_FIRST, MONTH_FIRST], key="order") or ""
        if not order:
            return
    question = (file.file_id, tuple(mapping.items()), order, account)
    try:
        asked, looked = st.session_state.get("history", (None, None))
        if asked != question:
            with st.spinner("The file is read, and every row of it checked …"):
                looked = _look(file.getvalue(), mapping, order, account)
            st.session_state["history"] = (question, looked)
    except OrderUnclear:
        st.session_state["order asked"] = file.file_id
        st.rerun()
    except MappingInvalid as e:
        st.error(e.what)
        _correct(file.file_id, file.getvalue(), mapping, opened=True)
        return
    except (FileUnusable, Stopped) as e:
        st.error(str(e))
        return
    if looked.history.columns:
        _correct(file.file_id, file.getvalue(), mapping)
    _show(looked)
    _offer(looked, account, question)


def _look(data: bytes, mapping: Mapping[str, str], order: str, account: FunctionOf) -> Preview:
    history = read(data, mapping=mapping, order=order, timezone=zone(), person=account.person)
    rows = history.readings
    step = max(1, len(rows) // MOST_DRAWN)
    shown = frozenset(row.number for row in rows[::step])
    return Preview(history, check(account.client, rows, shown=shown, progress=lambda _: None))


def _mapping(file_id: str) -> dict[str, str]:
    """What the person says of the columns of this file."""
    prefix = f"column {file_id} "
    chosen = {str(name): word for name, word in st.session_state.items() if word not in (None, RECOGNISED)}
    return {
        name.removeprefix(prefix): "" if word == LEFT_OUT else str(word)
        for name, word in chosen.items()
        if name.startswith(prefix)
    }


def _correct(file_id: str, data: bytes, mapping: Mapping[str, str], *, opened: bool = False) -> None:
    columns = columns_of(data, mapping)
    known = [column for column in columns if column.word]
    with st.expander(f"What the columns are: {len(known)} of {len(columns)} are known", expanded=opened):
        for column in columns:
            said = f"{column.word}, known by {column.known_by}" if column.word else "left out"
            options = [RECOGNISED, LEFT_OUT, *KIND_OF]
            st.selectbox(f"{column.header}: {said}", options, key=f"column {file_id} {column.header}")


def _show(looked: Preview) -> None:
    history, checked = looked
    good = sum(checked.counts.values())
    kind = history.kind[0].upper() + history.kind[1:]
    st.markdown(f"{kind}: {good:,} of {len(history.rows):,} weigh-ins are understood.")
    unreadable = [(row, row.fault) for row in history.rows if row.fault]
    refused = sorted([*unreadable, *checked.refused], key=lambda pair: pair[0].number)
    if refused:
        more = [f"- … and {len(refused) - MOST_REFUSED:,} more"] * (len(refused) > MOST_REFUSED)
        st.error("\n".join([*(f"- Row {row.number}: {why}" for row, why in refused[:MOST_REFUSED]), *more]))
    rows: list[dict[str, Any]] = [
        {"measured_at": receipt["measured_at"]} | {field["name"]: field["value"] for field in receipt["fields"]}
        for _, receipt in checked.receipts
    ]
    draw(sorted(rows, key=lambda row: moment(row["measured_at"])))


def _offer(looked: Preview, account: FunctionOf, question: object) -> None:
    refused = {row.number for row, _ in looked.checked.refused}
    good = [row for row in looked.history.readings if row.number not in refused]
    reported = st.session_state.get("history sent")
    if reported and reported[0] == question:
        for arrived, words in reported[1]:
            (st.success if arrived else st.error)(words)
    if not good or not st.button(f"Send {len(good):,} weigh-ins to Garmin", type="primary"):
        return
    outcome, why = ImportReport(), ""
    bar = st.progress(0.0, "Sending …")

    def show_progress(done: int, words: str) -> None:
        count = f"{done:,} of {len(good):,}"
        bar.progress(done / len(good), f"{count} · {words}" if words else count)

    try:
        send(account.client, good, outcome, progress=show_progress)
    except Stopped as e:
        why = f"{e} {len(good) - outcome.done:,} were not sent. Send again: what has arrived is not sent twice."
    parts = [f"{outcome.counts[status]:,} {words}" for status, words in BECAME.items() if outcome.counts[status]]
    said = [(True, f"{outcome.done:,} of {len(good):,}: {', '.join(parts)}.")] if parts else []
    said += [(False, f"Row {row.number} was refused: {words}") for row, words in outcome.refused[:MOST_REFUSED]]
    said += [(False, why)] * bool(why)
    st.session_state["history sent"] = (question, said)
    st.session_state.pop("looked", None)
    st.rerun()
