"""Imports a file: shows its weigh-ins and what each column means, and offers a button to send them.

Strategy: weighbridge_history reads and sends the file, as it does at the terminal. The result is kept in the session
until the file or the person's choices for it change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import streamlit as st

from weighbridge_history.columns import KIND_OF
from weighbridge_history.errors import FileUnusable, MappingInvalid, OrderUnclear
from weighbridge_history.read import History, check_people, columns_of, read
from weighbridge_history.send import STATUS_TEXTS, ImportReport, Stopped, check, send
from weighbridge_history.times import DAY_FIRST, MONTH_FIRST

from .account import FunctionOf
from .charts import draw
from .clock import moment, zone

KINDS = ["csv", "xls", "xlsx", "xml", "zip", "ndjson", "jsonl"]
#: How many refused rows of a long file are shown, and how many weigh-ins are drawn.
MOST_REFUSED_SHOWN, MOST_DRAWN = 20, 2_000
RECOGNIZED = "as recognized"
LEFT_OUT = "(left out)"


class Preview(NamedTuple):
    """A file and the outcomes that its rows would have."""

    history: History
    checked: ImportReport


def show_history(account: FunctionOf) -> None:
    st.header("Import a file", anchor=False)
    file = st.file_uploader("Export of Fitdays, Garmin, openScale, Withings or Apple Health; or JSON lines", type=KINDS)
    if file is None:
        st.session_state.pop("history", None)
        return
    mapping = _mapping(file.file_id)
    order = ""
    if st.session_state.get("order asked") == file.file_id:
        st.warning("In the dates of this file, the day or the month may come first. No row shows which.")
        order = st.segmented_control("Which comes first?", [DAY_FIRST, MONTH_FIRST], key="order") or ""
        if not order:
            return
    question = (file.file_id, tuple(mapping.items()), order, account)
    try:
        asked, preview = st.session_state.get("history", (None, None))
        if asked != question:
            with st.spinner("Reading the file and checking each row …"):
                preview = _read(file.getvalue(), mapping, order, account, file.name)
            st.session_state["history"] = (question, preview)
    except OrderUnclear:
        st.session_state["order asked"] = file.file_id
        st.rerun()
    except MappingInvalid as e:
        st.error(e.what)
        _choose_columns(file.file_id, file.getvalue(), mapping, opened=True)
        return
    except (FileUnusable, Stopped) as e:
        st.error(str(e))
        return
    if preview.history.columns:
        _choose_columns(file.file_id, file.getvalue(), mapping)
    _show(preview)
    _offer_to_send(preview, account, question)


def _read(data: bytes, mapping: Mapping[str, str], order: str, account: FunctionOf, name: str) -> Preview:
    history = read(data, mapping=mapping, order=order, timezone=zone(), person=account.person, name=name)
    check_people(history, served=bool(account.person))
    rows = history.readings
    step = max(1, len(rows) // MOST_DRAWN)
    shown = frozenset(row.number for row in rows[::step])
    return Preview(history, check(account.client, rows, shown=shown, progress=lambda _: None))


def _mapping(file_id: str) -> dict[str, str]:
    """The person's choices for the columns of this file."""
    prefix = f"column {file_id} "
    chosen = {str(name): word for name, word in st.session_state.items() if word not in (None, RECOGNIZED)}
    return {
        name.removeprefix(prefix): "" if word == LEFT_OUT else str(word)
        for name, word in chosen.items()
        if name.startswith(prefix)
    }


def _choose_columns(file_id: str, data: bytes, mapping: Mapping[str, str], *, opened: bool = False) -> None:
    columns = columns_of(data, mapping)
    known = [column for column in columns if column.word]
    with st.expander(f"Columns: {len(known)} of {len(columns)} recognized", expanded=opened):
        for column in columns:
            meaning = f"{column.word}, recognized by {column.recognized_by}" if column.word else "left out"
            options = [RECOGNIZED, LEFT_OUT, *KIND_OF]
            st.selectbox(f"{column.header}: {meaning}", options, key=f"column {file_id} {column.header}")


def _show(preview: Preview) -> None:
    history, checked = preview
    good = sum(checked.counts.values())
    kind = history.kind[0].upper() + history.kind[1:]
    st.markdown(f"{kind}: {good:,} of {len(history.rows):,} weigh-ins can be sent.")
    unreadable = [(row, row.fault) for row in history.rows if row.fault]
    refused = sorted([*unreadable, *checked.refused], key=lambda pair: pair[0].number)
    if refused:
        more = [f"- … and {len(refused) - MOST_REFUSED_SHOWN:,} more"] * (len(refused) > MOST_REFUSED_SHOWN)
        st.error("\n".join([*(f"- Row {row.number}: {why}" for row, why in refused[:MOST_REFUSED_SHOWN]), *more]))
    rows: list[dict[str, Any]] = [
        {"measured_at": receipt["measured_at"]} | {field["name"]: field["value"] for field in receipt["fields"]}
        for _, receipt in checked.receipts
    ]
    draw(sorted(rows, key=lambda row: moment(row["measured_at"])))


def _offer_to_send(preview: Preview, account: FunctionOf, question: object) -> None:
    refused = {row.number for row, _ in preview.checked.refused}
    good = [row for row in preview.history.readings if row.number not in refused]
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
        why = (
            f"{e} {len(good) - outcome.done:,} readings were not sent. Send again; what has arrived is not sent twice."
        )
    parts = [f"{outcome.counts[status]:,} {words}" for status, words in STATUS_TEXTS.items() if outcome.counts[status]]
    messages = [(True, f"{outcome.done:,} of {len(good):,}: {', '.join(parts)}.")] if parts else []
    messages += [
        (False, f"Row {row.number} was refused: {reason}") for row, reason in outcome.refused[:MOST_REFUSED_SHOWN]
    ]
    messages += [(False, why)] * bool(why)
    st.session_state["history sent"] = (question, messages)
    st.session_state.pop("looked", None)
    st.rerun()
