"""The page: its head, the person, what is left to set up, and its parts below each other.

Strategy: Streamlit runs `show` from its top at each change. A call that costs Garmin a request is made once; its answer
stays in the session until something changes.

Rule: every value on the page was typed by a person or returned by the function. Problems are shown in the function's
words, and its codes decide what the page offers. Set-up that is not done is a card with the next step, not a problem.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from weighbridge.client import Target
from weighbridge.client.settings import with_local_key
from weighbridge.errors import SettingsInvalid
from weighbridge.secret import SecretStr
from weighbridge.settings import header_text

from .account import FunctionOf
from .answers import asks_for_a_key, show_problem
from .browser import is_back_after_a_weigh_in, remember, remembered
from .checklist import is_set_up, show_checklist
from .connect import show_connection, show_signed_in
from .history import show_history
from .look_back import show_look_back
from .looks import style
from .settings import FormSettings, read_settings
from .weigh_in import clear, last_weigh_in, show_weigh_in
from .words import _

#: The key of the choice between the people of one function.
PERSON = "person of the function"


def show() -> None:
    st.set_page_config("Weighbridge", layout="centered")
    st.html(style())
    if is_back_after_a_weigh_in() and "sent" not in st.session_state:
        clear()  # a session that is new; the browser has put the old values into the fields
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="head"):
        st.title("Weighbridge", anchor=False, width="content")
        people = st.container(width="content", key="people")
    try:
        settings = read_settings(os.environ)
    except SettingsInvalid as e:
        st.error(str(e))
        return
    with people:
        name = _choose(list(settings.people), "person")
    account = _account(settings, name)
    health = account.client.health()
    if not health.ok:
        asks_for_a_key(health)
        show_problem(health)
        return
    delivery: Mapping[str, Any] = health.body["delivery"]
    key: Mapping[str, Any] = health.body.get("key", {"rights": (), "people": ()})
    # Who may only send has nothing to look back at, and is asked about a weigh-in that may be several people's.
    if names := list(key["people"]) if "read" in key["rights"] else []:
        with people:
            account = account._replace(person=_choose(names, PERSON))
    show_weigh_in(account, delivery, _choose_person)
    asks = show_connection(account, delivery)
    # Drawn last: whether there is a first weigh-in is known then.
    set_up = st.container() if not is_set_up(account, health.body) else None
    if asks or show_look_back(account):
        show_history(account, to_files=delivery.get("name") == "folder")
    with set_up or st.container():
        show_checklist(account, health.body, str(last_weigh_in(account).get("measured_at", "")), settings)
    show_signed_in(account)
    if last_weigh_in(account) and st.session_state.get("looked back at") != account:
        # Once more, now that the fields can show the values of the last weigh-in.
        st.session_state["looked back at"] = account
        st.rerun()


# -- the person --------------------------------------------------------------------------------------------


def _choose(names: Sequence[str], key: str) -> str:
    """The chosen one of these people: at first, the one whom this browser chose last."""
    last = remembered(key)
    first = last if last in names else names[0]
    if len(names) == 1:
        return first
    # Not as a default alone: an answer to whose a weigh-in is chooses another.
    if st.session_state.get(key) not in names:
        st.session_state[key] = first
    name = st.segmented_control(
        _("Who?"),
        names,
        default=st.session_state[key],
        required=True,
        key=key,
        label_visibility="collapsed",
        on_change=_change_person,
        args=(key,),
    )
    return str(name)


def _change_person(key: str) -> None:
    if name := st.session_state[key]:  # a busy browser may have lost it: see weigh_in.py
        remember(key, name)
        _clear()


def _choose_person(name: str) -> None:
    st.session_state[PERSON] = name
    _change_person(PERSON)


def _account(settings: FormSettings, name: str) -> FunctionOf:
    """The chosen person's function, with its key: the one that was typed for it, else the server's."""
    people = settings.people
    st.session_state["function of"] = name
    if f"asks {name}" in st.session_state:
        st.text_input(
            _("Key of the function"),
            type="password",
            autocomplete="current-password",
            key=f"key {name}",
            on_change=_forget,
        )
    key = st.session_state.get(f"key {name}", "").strip()
    try:
        target = Target(people[name], SecretStr(header_text(key)) or settings.key)
    except ValueError:
        st.error(_("Expected a key of plain letters, digits and punctuation, without spaces. Copy the key again."))
        return FunctionOf(Target(people[name]))
    # Whoever sees the page may use the server's key: door.py let them in.
    return FunctionOf(with_local_key(target, settings.local_key))


# -- callbacks ---------------------------------------------------------------------------------------------


def _clear() -> None:
    """Empty the page, for another person."""
    clear()
    for name in ("entries", "unit"):
        st.session_state.pop(name, None)


def _forget() -> None:
    """Drop the answers, so the function is asked again."""
    for name in ("entries", "pasted answer"):
        st.session_state.pop(name, None)
