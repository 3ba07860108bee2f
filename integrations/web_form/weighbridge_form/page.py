"""The page: type or paste a weigh-in, see what would be sent, send it; look at, correct and delete what is in Garmin.

Strategy: Streamlit runs `show` from its top at each change. By then, the typed texts are in `st.session_state`. So the
page asks the function first and draws each field with the problem that the function found. A call that costs Garmin a
request is made once; its answer stays in the session until something changes.

Rule: every value on the page was typed by a person or returned by the function. Problems are shown in the function's
words, and its codes decide what the page offers.

Weakness: a correction cannot change the time of a weigh-in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from weighbridge.client import Client, Reply, Result, Target
from weighbridge.client.settings import with_local_key
from weighbridge.errors import SettingsInvalid
from weighbridge.notes import Code
from weighbridge.secret import SecretStr
from weighbridge.settings import header_text

from .account import FunctionOf
from .answers import asks_for_a_key, by_hand, show_problem
from .clock import local, now, to_display, zone
from .history import show_history
from .look_back import show_look_back
from .settings import FormSettings, read_settings
from .values import (
    FIELDS,
    HEIGHT,
    KEYS,
    NINE,
    TIME,
    UNITS,
    Field,
    as_typed,
    label_of,
    left_out,
    name_of,
    pasted_reading,
    reading_of,
)

#: The banner asks for a new sign-in if fewer days are left.
DAYS_OF_WARNING = 7


def show() -> None:
    st.set_page_config("Weighbridge", page_icon="⚖️", layout="centered")
    st.title("Weighbridge", anchor=False)
    try:
        settings = read_settings(os.environ)
    except SettingsInvalid as e:
        st.error(str(e))
        return
    account = _account(settings)
    health = account.client.health()
    _banner(health)
    if not health.ok:
        return
    if names := list(health.body.get("delivery", {}).get("people", ())):
        name = st.segmented_control(
            "Who?", names, required=True, default=names[0], key="person of the function", on_change=_clear
        )
        account = account._replace(person=name)
    _weigh_in(account)
    if show_look_back(account):
        show_history(account, to_files=health.body.get("delivery", {}).get("name") == "folder")


# -- the person --------------------------------------------------------------------------------------------


def _account(settings: FormSettings) -> FunctionOf:
    """The chosen person's function, with its key: the one that was typed for it, else the server's."""
    people = settings.people
    name = next(iter(people))
    if len(people) > 1:
        name = st.segmented_control("Who?", list(people), required=True, default=name, key="person", on_change=_clear)
    st.session_state["function of"] = name
    if f"asks {name}" in st.session_state:
        st.text_input(
            "Key of the function",
            type="password",
            autocomplete="current-password",
            key=f"key {name}",
            on_change=_forget,
        )
    key = st.session_state.get(f"key {name}", "").strip()
    try:
        target = Target(people[name], SecretStr(header_text(key)) or settings.key)
    except ValueError:
        st.error("Expected a key of plain letters, digits and punctuation, without spaces. Copy the key again.")
        return FunctionOf(Target(people[name]))
    # Whoever sees the page may use the server's key: door.py let them in.
    return FunctionOf(with_local_key(target, settings.local_key))


def _banner(health: Reply) -> None:
    delivery = health.body.get("delivery", {})
    if not health.ok:
        st.error(health.text)
    elif not delivery.get("ready"):
        st.error(f"{delivery.get('detail', 'The function is not ready.')} Until then, {by_hand()}")
    elif (days := delivery.get("token_days_left")) is not None and days < DAYS_OF_WARNING:
        st.warning(
            f"The sign-in to Garmin ends in {days:g} days. Renew it: `weighbridge refresh`. Or sign in again: "
            "`weighbridge login`."
        )


# -- a weigh-in --------------------------------------------------------------------------------------------


def _weigh_in(account: FunctionOf) -> None:
    state, client = st.session_state, account.client
    if not str(state.get(TIME.key, "")).strip():
        # The field was cleared. Without a time, a reading that is sent twice would be two weigh-ins.
        state[TIME.key] = now()
    state.setdefault("more", {})
    correcting: str | None = state.get("correcting")
    st.header("Correct a weigh-in" if correcting else "Weigh in", anchor=False)
    if correcting:
        st.info(
            f"You are correcting the weigh-in of {to_display(correcting)}. The new one is confirmed before the old one "
            "is deleted."
        )
    else:
        _paste(client)

    texts = {key: str(state.get(key, "")) for key in KEYS}
    more = state["more"] | ({"person": account.person} if account.person else {})
    reading = json.dumps(reading_of(texts, state.get("unit") or "kg", zone().key, more))
    empty = not any(texts[field.key].strip() for field in NINE)
    checked = None if empty else client.post(reading, dry_run=True)
    if checked and asks_for_a_key(checked):
        st.error(checked.text)
    errors = {error["field"]: error["message"] for error in (checked.errors if checked else ())}

    st.segmented_control("Unit, if you type none", UNITS, default="kg", required=True, key="unit")
    for start in range(0, len(NINE), 3):
        for column, field in zip(st.columns(3), NINE[start : start + 3], strict=True):
            with column:
                _field(field, errors)
    for column, field in zip(st.columns([1, 2]), (HEIGHT, TIME), strict=True):
        with column:
            _field(field, errors, fixed=field is TIME and correcting is not None)
    for name, message in errors.items():
        if name not in KEYS:
            st.error(f"{name}: {message}" if name else message)

    has_file = False
    with st.container(horizontal=True):
        if checked and checked.ok:
            _send(client, reading, replace=correcting is not None)
            has_file = _download(client, reading)
        st.button("Cancel the correction" if correcting else "Clear the fields", on_click=_clear)
    sent = _outcome(client, reading, has_file=has_file)
    if checked and checked.ok and not sent:
        _preview(checked.body)
    elif checked and not checked.ok and not errors and checked.kind != "unauthorized":
        st.error(checked.text)
    elif empty:
        st.markdown(
            "Type at least a weight, with a point or a comma. Add the unit if it is not the one above: `12 st 11.5 lb`."
        )


def _field(field: Field, errors: Mapping[str, str], *, fixed: bool = False) -> None:
    unit = f" ({field.unit})" if field.unit not in ("", "mass") else ""
    label = {HEIGHT.key: "Height, for the BMI (cm)", TIME.key: "Time of the weigh-in"}.get(
        field.key, field.label + unit
    )
    st.text_input(label, key=field.key, disabled=fixed, autocomplete="off")
    if field.key in errors:
        st.error(errors[field.key])


def _paste(client: Client) -> None:
    with st.expander("Paste instead: JSON, or the text of the share screen"):
        with st.form("paste", border=False):
            text = st.text_area("A reading", key="pasted")
            submitted = st.form_submit_button("Fill the fields")
        if submitted and not text.strip():
            st.session_state.pop("pasted answer", None)
            st.error("Paste a reading first: JSON, or the text of the share screen.")
        elif submitted:
            asked = client.post(pasted_reading(text, zone().key), dry_run=True)
            # A list, or a body of another app, may hold several weigh-ins.
            results = asked.each()
            st.session_state["pasted answer"] = results
            if len(results) == 1 and _has_values(results[0]):
                _fill_from(results[0])
        answers: Sequence[Result] | None = st.session_state.get("pasted answer")
        if answers is None:
            return
        if len(answers) != 1:
            st.error(f"Expected one reading, got {len(answers)}. Paste them one at a time, or import them as a file.")
            return
        (answer,) = answers
        if asks_for_a_key(answer):
            return
        if not answer.ok:
            show_problem(answer)
        elif not _has_values(answer):
            # It is a test, or it deletes a weigh-in.
            st.info(answer.text)
        else:
            st.success("The fields below are filled.")
            _notes(answer.body)


def _has_values(checked: Result) -> bool:
    return checked.ok and bool(checked.body["fields"])


def _fill_from(checked: Result) -> None:
    values = {field["name"]: field["value"] for field in checked.body["fields"] if "derived" not in field}
    # A reading without a time gets the time of now, in a field that the person sees and can change.
    _fill(values, now() if Code.TIME_OF_ARRIVAL in checked.codes else local(checked.body["measured_at"]))


def _send(client: Client, reading: str, *, replace: bool) -> None:
    label = "Replace it in Garmin" if replace else "Send to Garmin"
    if not st.button(label, type="primary"):
        return
    with st.spinner("Sending, then looking it up in Garmin …"):
        answer = client.post(reading, replace=replace)
    _remember(reading, answer)
    st.rerun()


def _remember(reading: str, answer: Reply) -> None:
    st.session_state["sent"] = (reading, answer, bool(st.session_state.get("correcting")))
    st.session_state.pop("entries", None)
    if answer.ok:
        st.session_state.pop("correcting", None)


def _download(client: Client, reading: str) -> bool:
    """Offer the proven file for download. Returns whether there is one."""
    fit = client.fit(reading)
    if fit.content:
        st.download_button(
            "Download the FIT file", fit.content, fit.file_name, "application/vnd.ant.fit", on_click="ignore"
        )
    else:
        show_problem(fit)
    return bool(fit.content)


def _outcome(client: Client, reading: str, *, has_file: bool) -> bool:
    """Show the outcome of the reading in the fields, if it was sent. Returns whether it has a receipt."""
    sent, answer, corrected = st.session_state.get("sent", ("", None, False))
    if answer is None or sent != reading:
        return False
    if not answer.ok:
        # If the problem is Garmin or its sign-in, the file can still be imported by hand.
        show_problem(answer, import_by_hand=has_file and answer.blame in ("garmin", "owner"))
        if answer.kind == "conflict" and st.button("Replace the entry in Garmin"):
            with st.spinner("Sending, then looking it up in Garmin …"):
                _remember(reading, client.post(reading, replace=True))
            st.rerun()
        return False
    receipt = answer.body
    show_as = st.success if receipt["status"] in ("confirmed", "present") else st.info
    show_as(f"**{receipt['status']}** · {receipt['summary']}")
    _notes(receipt, said=receipt["summary"])
    if page := receipt.get("import_page"):
        st.markdown(f"The file is `{receipt['fit']['file_name']}`. Import it on [Garmin's import page]({page}).")
    if held := receipt["garmin"]:
        if corrected and (names := left_out([field["name"] for field in receipt["fields"]], [held])):
            st.warning(
                f"Garmin still shows {', '.join(map(name_of, names))}, which you left empty. To remove a value, delete "
                "the weigh-in and send it again."
            )
        st.markdown("What Garmin shows now:")
        st.table(
            [{"value": label_of(k), "in Garmin": str(v)} for k, v in held.items() if k != "measured_at"],
            hide_index=True,
        )
    return True


def _preview(receipt: Mapping[str, Any]) -> None:
    st.subheader("What would be sent", anchor=False)
    fields: Sequence[Mapping[str, Any]] = receipt["fields"]
    st.table(
        [
            {
                "value": label_of(field["name"]),
                "sent as": f"{field['fit_field']} {field['sent']:g}",
                "derived": field.get("derived", "").replace("_", " "),
            }
            for field in fields
            if field["fit_field"]
        ],
        hide_index=True,
        alt="The values that would be sent",
    )
    unmapped = [field for field in fields if not field["fit_field"]]
    if unmapped:
        st.markdown("**Not stored by Garmin**")
        st.markdown("\n".join(f"- {label_of(f['name'])} {f['value']}: {f.get('note', '')}" for f in unmapped))
    _notes(receipt)


def _notes(receipt: Mapping[str, Any], *, said: str = "") -> None:
    """Show the notes and warnings of a receipt. `said` is shown already, and may include the text of some."""
    for warning in receipt["warnings"]:
        if warning["text"] not in said:
            st.warning(warning["text"])
    for note in receipt["notes"]:
        st.info(note["text"])


# -- callbacks ---------------------------------------------------------------------------------------------


def _fill(values: Mapping[str, Any], time: str) -> None:
    state = st.session_state
    filled = as_typed(values)
    for field in FIELDS:
        state[field.key] = filled.texts.get(field.key, "")
    state[TIME.key] = time
    state["more"] = filled.more


def _clear() -> None:
    """Empty the fields and set the time to now, for the next weigh-in."""
    _fill({}, now())
    for name in ("correcting", "sent", "pasted answer", "asked to delete", "entries"):
        st.session_state.pop(name, None)


def _forget() -> None:
    """Drop the answers, so the function is asked again."""
    for name in ("entries", "pasted answer"):
        st.session_state.pop(name, None)
