"""The function's answers, drawn: problems, notes, and what a conflict is about. In its own words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from weighbridge.client import Result

from .values import differences

IMPORT_PAGE = "https://connect.garmin.com/app/import-data"


def by_hand() -> str:
    return f"download the file and import it by hand on [Garmin's import page]({IMPORT_PAGE})."


def asks_for_a_key(reply: Result) -> bool:
    """Whether a key is missing or wrong. The first time, draws the page again with a field for the key."""
    if reply.kind != "unauthorized":
        return False
    name = st.session_state["function of"]
    if f"asks {name}" not in st.session_state:
        st.session_state[f"asks {name}"] = True
        st.rerun()
    return True


def show_notes(receipt: Mapping[str, Any]) -> None:
    for warning in receipt["warnings"]:
        st.warning(warning["text"])
    for note in receipt["notes"]:
        st.info(note["text"])


def show_problem(answer: Result, *, import_by_hand: bool = False) -> None:
    st.error(f"{answer.text} Until then, {by_hand()}" if import_by_hand else answer.text)
    for error in answer.errors:
        st.error(f"{error['field']}: {error['message']}" if error["field"] else error["message"])
    if answer.kind == "conflict":
        _show_conflict(answer)


def _show_conflict(answer: Result) -> None:
    """Show what the reading would add to the entry in Garmin, change in it and remove from it."""
    found = differences(answer.body["ours"], answer.body["theirs"], answer.added, answer.changed)
    for title, texts in (
        ("Would be added", found.added),
        ("Would be changed", found.changed),
        ("Would be removed, because this reading does not have it", found.removed),
    ):
        if texts:
            st.markdown("\n".join([f"**{title}**", "", *(f"- {text}" for text in texts)]))
