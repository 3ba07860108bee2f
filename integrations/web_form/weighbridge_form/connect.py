"""The card about Garmin: signing in on the page, what else is left to set up, and signing out.

Rule: what is typed here is a secret. It leaves the session before it is sent, so that neither a later run, a dump of
the session nor an error shows it; the function uses it once. Nothing is asked on a connection that others could read,
or of somebody who may not administer: then the card says what to do where the function runs. Set-up that is not done
is a card with the next step, not a problem.

Facts (Streamlit 1.67): `clear_on_submit` empties a field in the browser, but the session keeps its text until the next
message from there. A callback can empty it at once.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import streamlit as st

from weighbridge.client import Reply
from weighbridge.secret import SecretStr
from weighbridge.settings import LOOPBACK

from .account import FunctionOf
from .answers import IMPORT_PAGE, text_of, text_of_kind
from .clock import duration, to_display
from .words import _, mark, number

#: The card asks for a new sign-in if fewer days are left.
DAYS_OF_WARNING = 7

EMAIL, PASSWORD, CODE, TICKET = "garmin e-mail", "garmin password", "garmin code", "garmin ticket"
#: The key of a field in the session -> its name in the function's contract.
NAMES = {EMAIL: "email", PASSWORD: "password", CODE: "code", TICKET: "ticket"}
#: The key of what is opened for the other way.
OWN_BROWSER = "own browser"
#: Problems after which the own browser is the way.
BLOCKED = ("sign-in-blocked", "cool-down", "rate-limited", "garmin-refused")

#: Sentences of the card.
AS_FILES = mark("Weigh-ins are saved as files, to import on [Garmin's import page]({page}).")
TO_UPLOAD = mark(
    "To send them to Garmin by themselves, set `WEIGHBRIDGE_DELIVERY=garmin,folder` where the function runs, and start "
    "it again."
)
UNTIL_THEN = mark("Until then, download the file and import it by hand on [Garmin's import page]({page}).")


def show_connection(account: FunctionOf, delivery: Mapping[str, Any]) -> bool:
    """A card with the next step, if weigh-ins do not reach Garmin by themselves, or soon will not.

    Returns whether it asks for a sign-in, without which there is nothing to see of Garmin.
    """
    days, ready, files = delivery.get("token_days_left"), delivery.get("ready"), delivery.get("name") == "folder"
    ends_soon = days is not None and days < DAYS_OF_WARNING
    if ready and not files and not ends_soon:
        return False
    known = known_connection(account)
    if not ready and known.ok and known.body["signed_in"]:
        # It may have ended since it was asked for.
        st.session_state.pop("sign-in", None)
        known = known_connection(account)
    signed_in = known.ok and known.body["signed_in"]
    if known.ok and (not signed_in or ends_soon):
        title = _("Sign in again soon") if signed_in else _("Connect to Garmin")
        if signed_in:
            text = _ends_in(days)
        elif files:
            text = _(AS_FILES, page=IMPORT_PAGE)
        else:
            text = _(
                "Until somebody has signed in, download the file and import it by hand on "
                "[Garmin's import page]({page}).",
                page=IMPORT_PAGE,
            )
        with _card(title, text):
            _sign_in(account, known.body, files=files)
    elif signed_in and files:
        _card(_("Connect to Garmin"), f"{_('You are signed in.')} {_(AS_FILES, page=IMPORT_PAGE)} {_(TO_UPLOAD)}")
    elif files:
        text = _(
            "To send them there by themselves, sign in with `weighbridge login` where the function runs, set "
            "`WEIGHBRIDGE_DELIVERY=garmin,folder`, and start it again."
        )
        _card(_("Connect to Garmin"), f"{_(AS_FILES, page=IMPORT_PAGE)} {text}")
    elif not ready:
        was_connected = days is not None or "last_success_at" in delivery
        title = _("Garmin does not take weigh-ins now") if was_connected else _("Connect to Garmin")
        text = text_of_kind(delivery.get("code", ""), delivery.get("detail", _("The function is not ready.")))
        _card(title, f"{text} {_(UNTIL_THEN, page=IMPORT_PAGE)}")
    else:
        where = _("Sign in with `weighbridge login` where the function runs.")
        _card(_("Sign in again soon"), f"{_ends_in(days)} {where}")
    if known.kind == "forbidden":
        with st.expander(_("Why not here?")):
            st.markdown(text_of(known, str(known.body.get("detail", ""))))
    return known.ok and not signed_in and not files


def show_signed_in(account: FunctionOf) -> None:
    """Who is signed in, and a way to sign out; nothing if nobody is, or if whoever is at the page may not do that."""
    known = known_connection(account)
    if not (known.ok and known.body["signed_in"]):
        return
    with st.expander(_signed_in(known)):
        if until := known.body.get("until"):
            st.markdown(_("Until {time}. Each weigh-in extends it.", time=to_display(until)))
        st.button(_("Sign out of Garmin"), on_click=_sign_out, args=(account,))
        if failed := st.session_state.pop("sign-out failed", None):
            st.error(text_of(failed))


def _sign_out(account: FunctionOf) -> None:
    answer = account.client.sign_out(person=account.person)
    _forget(account)
    if not answer.ok:
        st.session_state["sign-out failed"] = answer


def _ends_in(days: float | None) -> str:
    return _("The sign-in to Garmin ends in {days} days.", days=number(days or 0))


def _signed_in(known: Reply) -> str:
    name = known.body.get("signed_in_as")
    return _("Signed in to Garmin as {name}", name=name) if name else _("Signed in to Garmin")


def _card(title: str, text: str) -> Any:
    card = st.container(border=True, key="card")
    with card:
        st.header(title, anchor=False)
        if text:
            st.markdown(text)
    return card


# -- what is known -----------------------------------------------------------------------------------------


@dataclass
class _Attempt:
    """Where a sign-in is. Nothing that was typed is in it."""

    account: FunctionOf
    connection: Reply
    #: The answer to the last step, if it has to be shown.
    answer: Reply | None = None
    #: For the second step, while Garmin waits for a code.
    state: SecretStr | None = None
    #: From when a password may be tried again, on the monotonic clock.
    from_s: float = 0.0


def _attempt(account: FunctionOf) -> _Attempt:
    """The attempt of this account. What the function knows is asked for once, until it changes."""
    attempt = st.session_state.get("sign-in")
    if not isinstance(attempt, _Attempt) or attempt.account != account:
        connection = account.client.connection(person=account.person)
        wait_s = (connection.retry_after_s or 0.0) if connection.ok else 0.0
        attempt = _Attempt(account, connection, from_s=time.monotonic() + wait_s)
        st.session_state["sign-in"] = attempt
    return attempt


def known_connection(account: FunctionOf) -> Reply:
    """What the function said about the sign-in. It is asked once, until something changes."""
    return _attempt(account).connection


def _forget(account: FunctionOf, answer: Reply | None = None) -> None:
    """Ask the function again, and keep only an answer that has to be shown."""
    for name in ("sign-in", "entries", "looked back at"):
        st.session_state.pop(name, None)
    if answer is not None:
        _attempt(account).answer = answer


def _is_private() -> bool:
    """Whether nobody between the browser and this page can read along."""
    address = urlsplit(st.context.url or "")
    return address.scheme == "https" or address.hostname in LOOPBACK


# -- the steps ---------------------------------------------------------------------------------------------


def _sign_in(account: FunctionOf, known: Mapping[str, Any], *, files: bool) -> None:
    if not _is_private():
        st.markdown(
            _(
                "To sign in here, open this page with https://, or on the computer on which it runs. Or run "
                "`weighbridge login` where the function runs."
            )
        )
        return
    if typed := st.session_state.pop("typed for Garmin", None):
        _send(account, typed)
    attempt = _attempt(account)
    known = attempt.connection.body if attempt.connection.ok else known
    if attempt.state:
        _ask_for_code(attempt)
        return
    _ask_for_password(attempt, files=files)
    if typed and attempt.answer and attempt.answer.kind in BLOCKED:
        st.session_state[OWN_BROWSER] = True
    with st.expander(_("Use your own browser instead"), key=OWN_BROWSER, on_change="rerun") as own_browser:
        if not own_browser.open:
            return
        st.markdown(
            _(
                "This works wherever you can sign in to Garmin yourself. Open Garmin's page and sign in there. The "
                "next page is empty or shows an error. Copy its address and paste it here at once: it works once, and "
                "only for some seconds."
            )
        )
        st.link_button(_("Open Garmin's page"), str(known["browser_page"]))
        with st.form("address of the own browser", border=False):
            st.text_input(_("Address of the next page, with ticket=ST-…"), key=TICKET, autocomplete="off")
            st.form_submit_button(_("Sign in with this address"), on_click=_take, args=(TICKET,))


def _ask_for_password(attempt: _Attempt, *, files: bool) -> None:
    waits = attempt.from_s > time.monotonic()
    st.markdown(_("Sign in once. The password is used for that alone, and not stored."))
    if files:
        st.markdown(_("Then set `WEIGHBRIDGE_DELIVERY=garmin,folder` where the function runs, and start it again."))
    with st.form("sign in to Garmin", border=False):
        st.text_input(_("Garmin e-mail"), key=EMAIL, autocomplete="username")
        st.text_input(_("Garmin password"), key=PASSWORD, type="password", autocomplete="current-password")
        _show_problem(attempt.answer)
        st.form_submit_button(
            _("Sign in to Garmin"), type="primary", disabled=waits, on_click=_take, args=(EMAIL, PASSWORD)
        )
    if waits:
        _count_down(attempt)


def _ask_for_code(attempt: _Attempt) -> None:
    with st.form("code of Garmin", border=False):
        st.markdown(_("Garmin sends you a code, or your authenticator app shows one. You have five minutes."))
        st.text_input(_("Code"), key=CODE, autocomplete="one-time-code")
        _show_problem(attempt.answer)
        with st.container(horizontal=True):
            st.form_submit_button(_("Continue"), type="primary", on_click=_take, args=(CODE,))
            st.form_submit_button(_("Start again"), on_click=_start_again)


def _take(*keys: str) -> None:
    """Take what was typed out of the session, for this run alone. The e-mail address stays, for another try."""
    state = st.session_state
    typed = {NAMES[key]: SecretStr(str(state.get(key, ""))) for key in keys}
    for key in keys:
        if key != EMAIL:
            # An empty text alone would only hide the typed one, which came from the browser.
            del state[key]
            state[key] = ""
    if all(typed.values()):
        state["typed for Garmin"] = typed


def _start_again() -> None:
    st.session_state.pop("sign-in", None)
    st.session_state[CODE] = ""


def _send(account: FunctionOf, typed: Mapping[str, SecretStr]) -> None:
    """One step, and what follows from it.

    If it fails, the fields are drawn in this same run: before a run of its own, the session would restore their texts.
    """
    attempt = _attempt(account)
    if "code" in typed:
        typed = {"state": attempt.state or SecretStr(""), **typed}
    with st.spinner(_("Signing in to Garmin. This can take a minute …")):
        answer = account.client.sign_in(typed, person=account.person)
    if answer.http_status == 202:
        attempt.state, attempt.answer = SecretStr(str(answer.body["state"])), None
    elif answer.kind == "code-rejected":
        attempt.answer = answer
    elif answer.ok:
        _forget(account)
        st.session_state.pop(EMAIL, None)
        st.toast(f"{_signed_in(answer)}.")
        st.rerun()
    else:
        _forget(account, answer)


def _show_problem(answer: Reply | None) -> None:
    if answer is not None:
        # The title would say the same once more.
        text = text_of(answer, str(answer.body.get("detail", "")))
        (st.warning if answer.kind == "cool-down" else st.error)(text)


@st.fragment(run_every=1)
def _count_down(attempt: _Attempt) -> None:
    left_s = attempt.from_s - time.monotonic()
    if left_s <= 0:
        st.session_state.pop("sign-in", None)
        st.rerun(scope="app")
    st.markdown(_("You can try a password again in {duration}.", duration=duration(left_s)))
