"""Imports a file: asks what it does not say, shows its weigh-ins and all that is left out, and offers to send them.

Strategy: weighbridge_history reads and sends the file, as it does at the terminal. A question of the file is remembered
and drawn above the preview from then on, so its answer can be changed. The preview is kept in the session until the
file or an answer changes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import PurePath
from threading import Lock
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

import streamlit as st

from weighbridge.client import Result
from weighbridge.notes import Code
from weighbridge.reasons import Reason
from weighbridge_history import answers
from weighbridge_history.columns import KIND_OF
from weighbridge_history.errors import (
    AnswersInvalid,
    FileUnusable,
    MappingInvalid,
    OrderUnclear,
    Question,
    SeveralPeople,
    TimeOfDayMissing,
    UnitUnclear,
)
from weighbridge_history.left_out import by_kind, left_out_columns, ranges, unsendable
from weighbridge_history.outliers import Outlier, find_outliers
from weighbridge_history.questions import MASSES, samples, without_unit
from weighbridge_history.read import Choices, History, WeighInLine, check_people, columns_of, read
from weighbridge_history.send import STATUS_TEXTS, ImportReport, Pause, Stopped, check, received, send
from weighbridge_history.times import DAY_FIRST, MONTH_FIRST, YEAR_FIRST, time_of_day

from .account import FunctionOf
from .answers import text_of, text_of_kind, text_of_note, text_of_reason
from .charts import axis_over, draw
from .clock import duration, moment, to_display, zone
from .trend import AT_FIRST, with_calculated
from .values import Point, capital, name_of
from .words import _, language, mark, number, plural

#: The kinds of files, in the words of weighbridge_history. Names stay as they are.
KINDS_OF_FILES = (mark("a table"), mark("a JSON list"), mark("JSON lines"), mark("Garmin Connect's CSV"))
KINDS = ["csv", "xls", "xlsx", "xml", "zip", "json", "ndjson", "jsonl"]
#: How many weigh-ins are drawn, and how many lines of a list are on the page. A longer list can be downloaded.
MOST_DRAWN, MOST_LINES = 2_000, 500
#: A list of more lines is folded.
FOLDED = 10
RECOGNIZED, LEFT_OUT = mark("as recognized"), mark("(left out)")
#: What happens to columns of the file that are not used, in the words of weighbridge_history.
COLUMNS = (
    mark("Not recognized, so left out"),
    mark("Not recognized, and sent, because it could change the meaning"),
    mark("Left out"),
)


class File(NamedTuple):
    id: str
    name: str
    data: bytes


class Preview(NamedTuple):
    """A file and the outcomes that its rows would have."""

    history: History
    checked: ImportReport
    outliers: Sequence[Outlier]


class Sending(NamedTuple):
    """What is being sent. Streamlit may start another run beside the present one, which ends at its next element. The
    other one goes on from here."""

    question: object
    rows: Sequence[WeighInLine]
    outcome: ImportReport
    #: Held by the run that sends.
    one_at_a_time: Lock


def show_history(account: FunctionOf, *, to_files: bool) -> None:
    """`to_files`: the function keeps files, and sends nothing to Garmin."""
    st.header(_("Import a file"), anchor=False)
    uploaded = st.file_uploader(
        _("Export of Fitdays, Garmin, openScale, Withings or Apple Health; or JSON lines"), type=KINDS
    )
    if uploaded is None:
        st.session_state.pop("history", None)
        return
    file = File(uploaded.file_id, uploaded.name, uploaded.getvalue())
    given = _given_answers()
    choices = _ask(file, given) if given else None
    if choices is None:
        return
    question = (file.id, choices, account)
    try:
        asked, preview = st.session_state.get("history", (None, None))
        if asked != question:
            with st.spinner(_("Reading the file and checking each row …")):
                preview = _read(file, choices, account)
            st.session_state["history"] = (question, preview)
    except Question as e:
        if type(e).__name__ in _questions(file):
            st.error(_text(e.reason))  # the answer does not help
            return
        _questions(file)[type(e).__name__] = e
        st.rerun()
    except MappingInvalid as e:
        st.error(_text(e.reason))
        _choose_columns(file, choices, opened=True)
        return
    except FileUnusable as e:
        st.error(_text(e.reason))
        return
    except Stopped as e:
        st.error(_why_stopped(e))
        return
    if Code.LEFT_OUT_IN_DOUBT.code in preview.checked.codes and _ask_for_units(file, preview.history):
        st.rerun()
    if preview.history.columns:
        _choose_columns(file, choices)
    _show(preview)
    st.download_button(
        _("Save these answers"),
        answers.write(choices),
        f"{PurePath(file.name).stem}.answers.toml",
        "application/toml",
        on_click="ignore",
        help=_("For the next export of the same app: upload them next to it, or pass them with --mapping."),
    )
    _offer_to_send(preview, account, question, to_files=to_files)


def _read(file: File, choices: Choices, account: FunctionOf) -> Preview:
    wanted = choices._replace(person=account.person or choices.person)
    history = read(file.data, **wanted._asdict())
    check_people(history, served=bool(account.person))
    rows = history.readings
    step = max(1, len(rows) // MOST_DRAWN)
    shown = frozenset(row.number for row in rows[::step])
    checked = check(account.client, rows, shown=shown, progress=lambda _: None)
    return Preview(history, checked, find_outliers(checked.weights))


# -- the questions -----------------------------------------------------------------------------------------


def _given_answers() -> Choices | None:
    """The answers in an uploaded mapping file, or None if it is wrong."""
    with st.expander(_("Answers of an earlier import")):
        file = st.file_uploader(_("Mapping file"), type=["toml"], key="answers")
        if file is None:
            return Choices()
        try:
            return answers.parse(file.getvalue())
        except AnswersInvalid as e:
            st.error(_text(e.reason))
    st.error(_("The answers in {file} cannot be used.", file=file.name))
    return None


def _questions(file: File) -> dict[str, Question]:
    """The questions of this file that were asked so far, by their kind."""
    asked: dict[str, Question] = st.session_state.setdefault(f"questions {file.id}", {})
    return asked


def _ask(file: File, given: Choices) -> Choices | None:
    """All answers: those given, and those on the page, which come before them. None if one is missing."""
    names = sorted(available_timezones() | {zone().key})
    chosen: str = st.selectbox(
        _("Time zone of times without an offset"),
        names,
        index=names.index((given.timezone or zone()).key),
        key=f"zone {file.id} {given.timezone}",
    )
    said = Choices(_mapping(file), timezone=ZoneInfo(chosen))
    complete = True
    for kind, question in _questions(file).items():
        if _is_answered(question, given):
            continue
        answer = _ask_one(question, f"answer {file.id} {kind}")
        complete = complete and answer is not None
        said = answers.override(said, answer or Choices())
    units = dict(said.units)
    for header, values in st.session_state.get(f"without unit {file.id}", {}).items():
        unit = st.segmented_control(
            _("{column} ({values}): kg or %?", column=header, values=values),
            ["kg", "%"],
            key=f"unit {file.id} {header}",
        )
        units |= {header: unit} if unit else {}
    return answers.override(given, said._replace(units=units)) if complete else None


def _is_answered(question: Question, given: Choices) -> bool:
    match question:
        case OrderUnclear():
            return bool(given.order)
        case TimeOfDayMissing():
            return bool(given.time_of_day)
        case UnitUnclear():
            return question.column in given.units
        case _:
            return bool(given.person)


def _ask_one(question: Question, key: str) -> Choices | None:
    match question:
        case OrderUnclear():
            order = st.segmented_control(
                _text(question.reason), [DAY_FIRST, MONTH_FIRST, YEAR_FIRST], format_func=_, key=key
            )
            return Choices(order=order) if order else None
        case TimeOfDayMissing():
            text = st.text_input(f"{_text(question.reason)} {_('One time for all of them, such as 07:00:')}", key=key)
            if at := time_of_day(text):
                return Choices(time_of_day=at)
            if text.strip():
                st.error(_("Expected a time of day such as 07:00, got {typed}.", typed=repr(text.strip())))
        case UnitUnclear():
            unit = st.segmented_control(_text(question.reason), MASSES, key=key)
            return Choices(units={question.column: unit}) if unit else None
        case SeveralPeople(people=people):
            person = st.segmented_control(_text(question.reason), people, key=key)
            return Choices(person=person) if person else None
        case _:
            st.error(_text(question.reason))
    return None


def _text(reason: Reason) -> str:
    return text_of_reason(reason.shown())


def _ask_for_units(file: File, history: History) -> bool:
    """Remember the columns that are in kg or in %, and name no unit. Returns whether there are new ones."""
    known: dict[str, str] = st.session_state.setdefault(f"without unit {file.id}", {})
    new = {c.header: ", ".join(samples(history, c)) for c in without_unit(history.columns) if c.header not in known}
    known.update(new)
    return bool(new)


def _mapping(file: File) -> dict[str, str]:
    """The person's choices for the columns of this file."""
    chosen: dict[str, str] = st.session_state.setdefault(f"mapping {file.id}", {})
    return chosen


def _choose_columns(file: File, choices: Choices, *, opened: bool = False) -> None:
    try:
        columns = columns_of(file.data, choices.mapping)
    except MappingInvalid:  # the answers are those for another file
        columns = columns_of(file.data, {})
    known = [column for column in columns if column.word]
    title = _("Columns: {known} of {all} recognized", known=len(known), all=len(columns))
    with st.expander(title, expanded=opened):
        for column in columns:
            meaning = _("left out")
            if column.word:
                meaning = _("{word}, recognized by {sign}", word=name_of(column.word), sign=column.recognized_by)
            options = [RECOGNIZED, LEFT_OUT, *KIND_OF]
            word = _mapping(file).get(column.header)
            st.selectbox(
                f"{column.header}: {meaning}",
                options,
                index=0 if word is None else options.index(word or LEFT_OUT),
                format_func=_option,
                key=f"column {file.id} {column.header}",
                on_change=_remember_column,
                args=(file, column.header),
            )


def _option(word: str) -> str:
    return _(word) if word in (RECOGNIZED, LEFT_OUT) else name_of(word)


def _remember_column(file: File, header: str) -> None:
    word = st.session_state[f"column {file.id} {header}"]
    mapping = {name: known for name, known in _mapping(file).items() if name != header}
    if word != RECOGNIZED:
        mapping[header] = "" if word == LEFT_OUT else word
    # A new one: the answers of the preview on the page keep theirs.
    st.session_state[f"mapping {file.id}"] = mapping


# -- the preview -------------------------------------------------------------------------------------------


def _show(preview: Preview) -> None:
    history, checked, outliers = preview
    good = sum(checked.counts.values())
    ready = _("{good} of {all} weigh-ins can be sent.", good=good, all=len(history.rows))
    st.markdown(f"{capital(_(history.kind))}: {ready}")
    wrong = {outlier.weight.row for outlier in outliers}
    rows: list[dict[str, Any]] = [
        {"measured_at": receipt["measured_at"]} | {field["name"]: field["value"] for field in receipt["fields"]}
        for row, receipt in checked.receipts
        if row.number not in wrong
    ]
    rows.sort(key=lambda row: moment(row["measured_at"]))
    if rows:
        marked = [Point(_at(outlier), outlier.weight.kg) for outlier in outliers]
        draw(list(map(with_calculated, rows)), AT_FIRST, axis_over(rows), marked)
    for what, names in left_out_columns(history).items():
        st.markdown(f"{_(what)}: {', '.join(map(_escaped, names))}.")
    refused = unsendable(history, checked)
    _list(
        plural("{count} row cannot be sent", "{count} rows cannot be sent", len(refused)),
        [{_("row"): str(row.number), _("why"): _why(row, problem)} for row, problem in refused],
    )
    warned = len({row.number for row, _ in checked.warnings})
    _list(
        plural("{count} row: what is left out or doubtful", "{count} rows: what is left out or doubtful", warned),
        [
            {_("rows"): ", ".join(ranges(numbers)), _("what"): text}
            for text, numbers in by_kind((row, text_of_note(note)) for row, note in checked.warnings).items()
        ],
    )
    _list(
        plural(
            "{count} weigh-in out of line with the others",
            "{count} weigh-ins out of line with the others",
            len(outliers),
        ),
        [
            {
                _("row"): str(outlier.weight.row),
                _("measured at"): to_display(_at(outlier).isoformat()),
                _("why"): _reason(outlier),
            }
            for outlier in outliers
        ],
    )


def _why(row: WeighInLine, problem: Result | None) -> str:
    """Why a row cannot be sent, with the values that came."""
    if problem is None:
        return text_of_reason(row.reason)
    reasons = [f"{received(e, name_of(e['field']))}: {text_of_reason(e)}" for e in problem.errors]
    return " ".join(reasons) or text_of(problem)


def _at(outlier: Outlier) -> datetime:
    return datetime.fromtimestamp(outlier.weight.at_s, UTC)


#: What an outlier looks like, in the words of weighbridge_history.
LOOKS_LIKE = (
    mark("pounds read as kilograms?"),
    mark("kilograms read as pounds?"),
    mark("a slipped decimal point?"),
    mark("stones read as kilograms?"),
    mark("jin read as kilograms?"),
    mark("another person on the scale?"),
)


def _reason(outlier: Outlier) -> str:
    return _(
        "{weight} kg among {around} kg: {looks_like}",
        weight=number(outlier.weight.kg, 1),
        around=number(outlier.around_kg, 1),
        looks_like=_(outlier.looks_like),
    )


def _escaped(text: str) -> str:
    """A text of the file, without a meaning in Markdown."""
    return "".join(f"\\{sign}" if sign in r"\`*_{}[]()<>#+-.!|~$:" else sign for sign in text)


def _list(title: str, lines: Sequence[Mapping[str, str]]) -> None:
    """All lines, in the order of the file; of a very long list the first ones, and a download of all."""
    if not lines:
        return
    with st.expander(title, expanded=len(lines) <= FOLDED):
        st.table(
            [{key: _escaped(text) for key, text in line.items()} for line in lines[:MOST_LINES]],
            hide_index=True,
            alt=title,
        )
        if len(lines) > MOST_LINES:
            text = "".join(f"{': '.join(line.values())}\n" for line in lines)
            st.download_button(
                _("Download all {count} lines", count=len(lines)), text, "left-out.txt", on_click="ignore"
            )


# -- sending -----------------------------------------------------------------------------------------------


def _offer_to_send(preview: Preview, account: FunctionOf, question: object, *, to_files: bool) -> None:
    refused = {row.number for row, _ in preview.checked.refused}
    good = [row for row in preview.history.readings if row.number not in refused]
    reported = st.session_state.get("history sent")
    if reported and reported[0] == question:
        for arrived, words in reported[1]:
            (st.success if arrived else st.error)(words)
    _buttons(good, {outlier.weight.row for outlier in preview.outliers}, question, to_files=to_files)
    if sending := _sending(question):
        try:
            with sending.one_at_a_time:
                st.session_state["history sent"] = (question, _send(sending, account))
        except Exception:  # not the end of a run by another one, which goes on
            st.session_state.pop("history sending", None)
            raise
        for name in ("history sending", "entries"):
            st.session_state.pop(name, None)
        st.rerun()


def _sending(question: object) -> Sending | None:
    """What is being sent of the preview with these answers."""
    sending = st.session_state.get("history sending")
    return sending if isinstance(sending, Sending) and sending.question == question else None


def _buttons(good: Sequence[WeighInLine], wrong: set[int], question: object, *, to_files: bool) -> None:
    usual = [row for row in good if row.number not in wrong]
    with st.container(horizontal=True):
        if wrong and usual:
            label = _in_line(len(usual), to_files=to_files)
            st.button(label, type="primary", on_click=_start, args=(question, usual))
        if good:
            label = _all(len(good), to_files=to_files) if wrong else _these(len(good), to_files=to_files)
            st.button(label, type="secondary" if wrong else "primary", on_click=_start, args=(question, good))


def _start(question: object, rows: Sequence[WeighInLine]) -> None:
    if _sending(question):
        return  # a second tap
    st.session_state.pop("history sent", None)
    st.session_state["history sending"] = Sending(question, rows, ImportReport(), Lock())


def _in_line(count: int, *, to_files: bool) -> str:
    if to_files:
        return plural("Save {count} weigh-in that is in line", "Save {count} weigh-ins that are in line", count)
    return plural("Send {count} weigh-in that is in line", "Send {count} weigh-ins that are in line", count)


def _all(count: int, *, to_files: bool) -> str:
    if to_files:
        return plural("Save all {count} weigh-in as FIT file", "Save all {count} weigh-ins as FIT files", count)
    return plural("Send all {count} weigh-in to Garmin", "Send all {count} weigh-ins to Garmin", count)


def _these(count: int, *, to_files: bool) -> str:
    if to_files:
        return plural("Save {count} weigh-in as FIT file", "Save {count} weigh-ins as FIT files", count)
    return plural("Send {count} weigh-in to Garmin", "Send {count} weigh-ins to Garmin", count)


def _send(sending: Sending, account: FunctionOf) -> list[tuple[bool, str]]:
    """Send what is left. What happened, in sentences: whether it is good news, and the words."""
    rows, outcome, why = sending.rows, sending.outcome, ""
    bar = st.progress(outcome.done / len(rows), _("Sending …"))

    def show_progress(done: int, pause: Pause | None) -> None:
        count = _("{done} of {all}", done=done, all=len(rows))
        bar.progress(done / len(rows), f"{count} · {_why_it_waits(pause)}" if pause else count)

    place = st.empty()

    def wait(seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.5))
            place.empty()  # if another run has begun, this one ends here

    try:
        send(account.client, rows, outcome, progress=show_progress, sleep=wait)
    except Stopped as e:
        left = len(rows) - outcome.done
        rest = plural(
            "{count} reading was not sent. Send again; what has arrived is not sent twice.",
            "{count} readings were not sent. Send again; what has arrived is not sent twice.",
            left,
        )
        why = f"{_why_stopped(e)} {rest}"
    parts = [
        f"{language().counted(outcome.counts[status])} {_(words)}"
        for status, words in STATUS_TEXTS.items()
        if outcome.counts[status]
    ]
    done = _("{done} of {all}", done=outcome.done, all=len(rows))
    messages = [(True, f"{done}: {', '.join(parts)}.")] if parts else []
    lines = [
        _("Row {row} was refused: {reason}", row=str(row.number), reason=_why(row, problem))
        for row, problem in outcome.refused
    ]
    messages += [(False, "\n".join(f"- {line}" for line in lines))] * bool(lines)
    return messages + [(False, why)] * bool(why)


def _why_it_waits(pause: Pause) -> str:
    if pause.problem.kind == "rate-limited":
        return _("Garmin asks to wait. Trying again in {duration}.", duration=duration(pause.seconds))
    again = _("Trying again in {duration}.", duration=duration(pause.seconds))
    return f"{text_of(pause.problem)} {again}"


def _why_stopped(stopped: Stopped) -> str:
    return text_of_kind(stopped.kind, str(stopped))
