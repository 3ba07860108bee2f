"""The set-up, step by step: what works, what is left to do, and how. `weighbridge doctor` in pictures.

Rule: a step is judged by what the function says by code (`/health`, `/sign-in`, `/readings`), and asks Garmin nothing
of its own. It is open until the first weigh-in. Then it is one line, which says how many steps are done: the page also
works without Garmin, and the card about Garmin says what is next. Once weigh-ins go there, it is at the page's end.

Rule: the code for the phone holds a key that may only send, and the function has to confirm that first. It is drawn
only when asked for, into the page itself: no address, log or file has it, and the session does not either.

Facts: a key of more rights is the page's own, and never drawn. The camera of an iPhone offers to search the web for a
text that it reads in a code; an app that scans codes does not.

Weakness: whether the phone reaches the address is known to the phone alone; the page only tries it itself.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any, NamedTuple
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import segno
import streamlit as st

from weighbridge.client import Reply, Target
from weighbridge.secret import SecretStr

from .account import FunctionOf
from .answers import text_of, text_of_kind
from .clock import to_display, zone
from .connect import DAYS_OF_WARNING, known_connection
from .settings import FormSettings
from .words import _, mark


class State(Enum):
    """Where a step is: its icon, and its word."""

    DONE = (":green[:material/check_circle:]", mark("Done"))
    TO_DO = (":material/radio_button_unchecked:", mark("To do"))
    LOOK = (":material/error:", mark("Look at this"))
    UNKNOWN = (":material/help:", mark("Not known"))
    IF_WANTED = (":material/add_circle:", mark("If you like"))


class Step(NamedTuple):
    title: str
    state: State
    text: str
    next_step: str = ""


class Facts(NamedTuple):
    """What the steps are judged by."""

    #: `/health`, and in it what concerns the chosen person.
    health: Mapping[str, Any]
    delivery: Mapping[str, Any]
    #: `/sign-in`.
    connection: Reply
    #: When the newest weigh-in was measured that the page knows of; "" if it knows of none.
    newest: str
    #: The browser's.
    zone: ZoneInfo
    now: datetime


def show_checklist(account: FunctionOf, health: Mapping[str, Any], newest: str, settings: FormSettings) -> None:
    if "key" not in health:
        return  # the page has no key yet, and knows too little
    delivery: Mapping[str, Any] = health["delivery"]
    delivery = delivery.get("people", {}).get(account.person, delivery)
    facts = Facts(health, delivery, known_connection(account), newest, zone(), datetime.now(UTC))
    steps = steps_of(facts)
    done = sum(step.state is State.DONE for step in steps)
    label = _("Set-up") if done == len(steps) else _("Set-up: {done} of {all} steps done", done=done, all=len(steps))
    with st.expander(label, expanded=_first_weigh_in(facts).state is State.TO_DO), st.container(key="set-up"):
        _draw(*steps)
        _phone(account, settings)
        st.caption(_("`weighbridge doctor`, where the function runs, tries each link to Garmin."))


def is_set_up(account: FunctionOf, health: Mapping[str, Any]) -> bool:
    """Whether somebody has signed in, and weigh-ins go to Garmin: then the set-up is at the end of the page."""
    known, delivery = known_connection(account), health["delivery"]
    signed_in: bool = known.body["signed_in"] if known.ok else delivery["ready"]
    return signed_in and delivery.get("name") != "folder"


def _draw(*steps: Step) -> None:
    st.markdown("\n\n".join(map(_written, steps)))


def _written(step: Step) -> str:
    icon, word = step.state.value
    lines = [f"{icon} **{step.title}**: {_(word)}", step.text, step.next_step]
    return "  \n".join(filter(None, lines))


# -- the steps, pure but for their words -------------------------------------------------------------------


def steps_of(facts: Facts) -> Sequence[Step]:
    return (_delivery(facts), _zone(facts), _sign_in(facts), _first_weigh_in(facts))


def _delivery(facts: Facts) -> Step:
    title, delivery = _("Delivery"), facts.delivery
    if delivery["name"] == "folder":
        next_step = _("Set `WEIGHBRIDGE_DELIVERY=garmin,folder` where the function runs, and start it again.")
        return Step(title, State.TO_DO, _("Weigh-ins are saved as files, to import by hand."), next_step)
    if not delivery["ready"] and _is_signed_in(facts):
        return Step(
            title,
            State.LOOK,
            _("Garmin does not take weigh-ins now."),
            text_of_kind(delivery.get("code", ""), str(delivery.get("detail", ""))),
        )
    return Step(title, State.DONE, _("Weigh-ins go to Garmin Connect."))


def _zone(facts: Facts) -> Step:
    title, here = _("Time zone"), facts.zone
    name = facts.health.get("timezone")
    there = _zone_of(name)
    if there is None:
        text = _("The function does not say which time zone it takes for a time without one.")
        return Step(
            title, State.UNKNOWN, text, _("To see it, give the page a key that may administer.") if not name else ""
        )
    if _same_time(there, here, facts.now):
        return Step(title, State.DONE, _("The function and this browser show the same time ({zone}).", zone=here.key))
    text = _(
        "The function takes a time without a zone as {there}. This browser is in {here}.",
        there=there.key,
        here=here.key,
    )
    next_step = _(
        "If the scale is where you are: set `WEIGHBRIDGE_TIMEZONE={here}` where the function runs.", here=here.key
    )
    return Step(title, State.LOOK, text, next_step)


def _zone_of(name: object) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if isinstance(name, str) else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _same_time(one: ZoneInfo, other: ZoneInfo, now: datetime) -> bool:
    """Whether clocks in both zones show the same in each month of this year."""
    moments = [datetime(now.year, month, 1, tzinfo=UTC) for month in range(1, 13)]
    return all(moment.astimezone(one).utcoffset() == moment.astimezone(other).utcoffset() for moment in moments)


def _is_signed_in(facts: Facts) -> bool:
    known = facts.connection
    # Who may not ask learns only whether there is a token.
    return bool(known.body["signed_in"]) if known.ok else "token_days_left" in facts.delivery


def _sign_in(facts: Facts) -> Step:
    title, known, days = _("Sign-in to Garmin"), facts.connection, facts.delivery.get("token_days_left")
    if not _is_signed_in(facts):
        if known.ok:
            next_step = _("Sign in under “Connect to Garmin” on this page.")
        else:
            next_step = _("Sign in with `weighbridge login` where the function runs.")
        return Step(title, State.TO_DO, _("Nobody has signed in."), next_step)
    name, until = (known.body.get("signed_in_as"), known.body.get("until")) if known.ok else (None, None)
    parts = [_("Signed in as {name}.", name=name) if name else _("Somebody is signed in.")]
    if until:
        parts.append(_("Until {time}.", time=to_display(until)))
    if days is not None and days < DAYS_OF_WARNING:
        return Step(title, State.LOOK, " ".join(parts), _("It ends soon. Sign in again before."))
    return Step(title, State.DONE, " ".join(parts))


def _first_weigh_in(facts: Facts) -> Step:
    title = _("First weigh-in")
    if newest := max((facts.newest, str(facts.delivery.get("last_success_at", ""))), key=_moment):
        return Step(title, State.DONE, _("The last one: {time}.", time=to_display(newest)))
    if "read" not in facts.health["key"]["rights"]:
        return Step(title, State.UNKNOWN, _("The key of this page may not read what Garmin has."))
    return Step(
        title, State.TO_DO, _("The page has seen none yet."), _("Type your weight at the top of the page, and send it.")
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text) if text else datetime.min.replace(tzinfo=UTC)


# -- the phone ---------------------------------------------------------------------------------------------


class Shown(NamedTuple):
    """What a tap on "Show the code" led to."""

    account: FunctionOf
    #: Why the code cannot be shown; "" if it can.
    refusal: str
    #: Whether the page reaches the function at the phone's address.
    is_reached: bool


def _phone(account: FunctionOf, settings: FormSettings) -> None:
    title = _("An app of your phone")
    text = _("It can send what your scale's app writes to Apple Health or Health Connect.")
    address = settings.phone_urls.get(st.session_state["function of"])
    if address is None:
        next_step = _(
            "Give the function a key that may only send (`WEIGHBRIDGE_API_KEYS=…,phone:send=KEY`). Set "
            "`WEIGHBRIDGE_FORM_PHONE_KEY` to that key where this page runs, and `WEIGHBRIDGE_FORM_PHONE_URL` to the "
            "address at which the phone reaches the function."
        )
        _draw(Step(title, State.IF_WANTED, text, next_step))
        return
    _draw(Step(title, State.IF_WANTED, text, _("A code has the address and a key that may only send.")))
    # Wanted until it is there: a run that another one interrupts would lose the tap.
    if st.session_state.get("phone code wanted"):
        st.session_state["phone code"] = _ask_for_code(account, address, settings.phone_key)
        del st.session_state["phone code wanted"]
    shown = st.session_state.get("phone code")
    if isinstance(shown, Shown) and shown.account == account:
        if not shown.refusal:
            _draw_code(address, account.person, settings.phone_key)
            if not shown.is_reached:
                text = _(
                    "This page does not reach {address}. Open it on the phone to see whether that does.",
                    address=address,
                )
                st.warning(text)
            st.button(_("Hide the code"), on_click=_hide_code, key="hide code")
            return
        st.warning(shown.refusal)
    st.button(_("Show the code"), on_click=_want_code, key="show code")


def _ask_for_code(account: FunctionOf, address: str, key: SecretStr) -> Shown:
    """Ask the function what the key is for, and try the address without it."""
    said = FunctionOf(Target(account.target.url, key)).client.health()
    refusal = refusal_of(said, account.person)
    return Shown(account, refusal, is_reached=not refusal and FunctionOf(Target(address)).client.health().ok)


def _want_code() -> None:
    # The key is not among the arguments, which would be in the session.
    st.session_state["phone code wanted"] = True


def _hide_code() -> None:
    st.session_state.pop("phone code", None)


def refusal_of(health: Reply, person: str) -> str:
    """Why a key cannot be drawn, by what the function says it is for; "" if it can."""
    if health.kind == "unauthorized":
        return _(
            "The function does not know the key in `WEIGHBRIDGE_FORM_PHONE_KEY`. Add it to `WEIGHBRIDGE_API_KEYS`: "
            "`phone:send=KEY`."
        )
    if not health.ok:
        return text_of(health)
    key = health.body.get("key", {})
    if key.get("rights") != ["send"]:
        return _(
            "The key in `WEIGHBRIDGE_FORM_PHONE_KEY` may do more than send, so it is not shown. Use one that may only "
            "send: `phone:send=KEY` in `WEIGHBRIDGE_API_KEYS`."
        )
    if person and key.get("people") and person not in key["people"]:
        return _("The key in `WEIGHBRIDGE_FORM_PHONE_KEY` is not for weigh-ins of {person}.", person=person)
    return ""


def for_the_phone(address: str, person: str, key: SecretStr) -> Mapping[str, str]:
    """What the recipes of docs/phone.md need. The text is a secret."""
    whose = f"?person={quote(person, safe='')}" if person else ""
    return {"address": f"{address}/readings{whose}", "authorization": f"Bearer {key.get_secret_value()}"}


def _draw_code(address: str, person: str, key: SecretStr) -> None:
    values = for_the_phone(address, person, key)
    code = segno.make_qr(json.dumps(values), error="m").svg_data_uri(border=4, light="#fff", dark="#000", nl=False)
    alt = html.escape(_("A QR code with the address and the key for an app of the phone"))
    st.html(f'<img class="code" src="{html.escape(code)}" alt="{alt}">')
    st.caption(_("Scan it with a shortcut or an app that reads codes. The camera may search the web for the text."))
    st.caption(_("On this phone, copy it instead:"))
    st.code(values["address"], language=None, wrap_lines=True)
    st.code(f"Authorization: {values['authorization']}", language=None, wrap_lines=True)
