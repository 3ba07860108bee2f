"""What Garmin Connect's answers mean: bytes of an answer -> an upload's result, entries, or a fault with its fix.

Rule: pure; no answer, however odd, raises anything but a `WeighbridgeError`. Words of a body get into a message only
through `sanitize`.

Facts (recorded answers of matin/garth `tests/cassettes/test_upload.yaml`; garmin-connect-api 0.3.1 and eufy-sync for
weight files): an upload is answered with 200, 201 or 202 and with `successes`, two empty lists, or no body at all.
After a 5xx or a broken connection the file may be stored (XiaoSiHwang/garmin-weight-sync issue 8).
"""

from __future__ import annotations

import email.utils
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, DecimalException
from typing import Any, NamedTuple

from ..errors import GarminRefused, GarminUnreachable, OutcomeUnknown, RateLimited, SignInNeeded, WeighbridgeError
from ..notes import Code, Note
from .entries import VALUES, Entry
from .sessions.port import GarminResponse

DEFAULT_RETRY_AFTER_S = 300
LONGEST_RETRY_AFTER_S = 86_400

DUPLICATE = 202  # a message code of `failures`, not an HTTP status
END_OF_DATES_S = 253_402_300_800  # the year 10000
MOST_ENTRIES = 20_000  # of one answer: a weigh-in a day for fifty years
TOO_MANY = (
    f"Garmin Connect lists more than {MOST_ENTRIES:,} weigh-ins at once, too many to read. Send readings of fewer "
    "years at once."
)
NEEDED = {"samplePk", "calendarDate", "timestampGMT", "weight"}
LARGEST_DIGITS = 20  # of any number that Garmin shows: an id or milliseconds


@dataclass(frozen=True, slots=True)
class UploadResult:
    """What the answer to an upload says. Without a fault, Garmin has accepted the file."""

    #: The outcome of a reading that a look does not find.
    fault: WeighbridgeError | None = None
    #: Whether a look could find the reading.
    look: bool = True
    #: Garmin says that it has the reading already: an entry near the instant counts.
    duplicate: bool = False
    warnings: tuple[Note, ...] = ()


def read_upload_answer(answer: GarminResponse, sign_in: str) -> UploadResult:
    """The answer of the upload-service -> its meaning. `sign_in`: see `fault_of`."""
    if answer.status == 408 or answer.status >= 500:
        return unknown(status_of(answer))
    taken = 200 <= answer.status < 300
    if taken and not answer.body.strip():
        return UploadResult()
    document = _json(answer.body)
    # A refused upload has "" for an uploadId.
    result = document.get("detailedImportResult") if isinstance(document, dict) else None
    result = result if isinstance(result, dict) else {}
    messages = _failure_messages(result)
    remark = sanitize(" ".join(text for _, text in messages))
    said = remark or "no reason"
    if answer.status == 409 or ((taken or answer.status == 400) and DUPLICATE in [code for code, _ in messages]):
        return UploadResult(
            GarminRefused(
                f"Garmin Connect calls the reading a duplicate ({said}), but a look did not find it. Open the day "
                "in Garmin Connect, and delete what is there or send the reading with another time."
            ),
            duplicate=True,
        )
    has_id = bool(result.get("uploadId"))
    if (taken or answer.status == 400) and messages:
        return UploadResult(
            GarminRefused(f"Garmin Connect did not import the file: {said}"),
            look=has_id or bool(result.get("successes")),
            warnings=(Code.GARMIN_REMARK(said=remark or f"HTTP {answer.status}"),),
        )
    if answer.status == 400 and has_id:
        return UploadResult(warnings=(Code.GARMIN_REMARK(said="HTTP 400"),))
    if taken and not isinstance(document, dict):
        return unknown(f"HTTP {answer.status} with a page that is not Garmin's: a firewall or a proxy?")
    if taken:
        return UploadResult()
    return UploadResult(fault_of(answer, "the file", sign_in), look=False)


SEND_AGAIN = "Send the same reading again: it cannot become a second entry."
REFUSALS = {
    401: "Garmin no longer accepts the token.",
    412: (
        "Garmin Connect wants consent to uploads first (HTTP 412). Open Garmin Connect once, accept what it asks "
        "(Settings, Data, Device Upload), and send the reading again."
    ),
    429: "Garmin Connect asks to wait before the next request (HTTP 429).",
    413: "The file is too large for Garmin Connect (HTTP 413). Send fewer readings at once.",
}
FORBIDDEN_PAGE = (
    "Cloudflare blocked the request (HTTP 403, HTML page). Try from another network, such as one at home, or wait some "
    "hours."
)
FORBIDDEN = "Garmin Connect forbids this (HTTP 403) although the token is valid. Try from another network first."


def fault_of(answer: GarminResponse, refused: str, sign_in: str) -> WeighbridgeError:
    """An answer that means failure for any request -> a fault, with its fix. Nothing of the body is used.

    `refused` ends the sentence "Garmin Connect refused …". `sign_in` is the sentence that says how to sign in again;
    only the caller knows it.
    """
    if answer.status == 401:
        return SignInNeeded(f"{REFUSALS[401]} {sign_in}")
    if answer.status == 429:
        return RateLimited(REFUSALS[429], retry_after_s(answer))
    if answer.status == 403:
        return GarminRefused(FORBIDDEN_PAGE if _is_page(answer) else f"{FORBIDDEN} {sign_in}")
    if answer.status == 408 or answer.status >= 500:
        return GarminUnreachable(f"Garmin Connect is not working ({status_of(answer)}). Send the same again later.")
    return GarminRefused(REFUSALS.get(answer.status, f"Garmin Connect refused {refused} ({status_of(answer)})."))


def retry_after_s(answer: GarminResponse) -> int:
    """Seconds to wait: the Retry-After header as seconds or date (RFC 9110 section 10.2.3), else a default.

    A date is compared with the answer's own Date, so this machine's clock does not matter.
    """
    text = answer.headers.get("retry-after", "").strip()
    seconds: float = DEFAULT_RETRY_AFTER_S
    if re.fullmatch(r"\d{1,9}", text, re.ASCII):
        seconds = int(text)
    elif text:
        try:
            until, now = (email.utils.parsedate_to_datetime(t) for t in (text, answer.headers.get("date", "")))
            seconds = (until - now).total_seconds()
        except (ValueError, TypeError):
            pass
    return round(min(max(seconds, 1), LONGEST_RETRY_AFTER_S))


class Listed(NamedTuple):
    """What a list of weigh-ins holds, and how many of them cannot be read."""

    entries: list[Entry]
    unreadable: int


def read_weigh_ins(answer: GarminResponse) -> Listed:
    """The body of `range` -> entries. One that cannot be read is left out and counted.

    Raises `GarminUnreachable` (not Garmin's words) or `GarminRefused`.
    """
    if max(answer.body.count(b"{"), answer.body.count(b"["), answer.body.count(b",") // 10) > 3 * MOST_ENTRIES:
        raise GarminRefused(TOO_MANY)  # before it is parsed: 8 MiB of empty lists need 200 MiB of memory
    document = _json(answer.body)
    if document is None:
        raise GarminUnreachable(
            "Expected Garmin's list of weigh-ins, got something that is not complete JSON: from a firewall or a "
            "proxy, or the answer broke off. Send the same again later."
        )
    days = document.get("dailyWeightSummaries") if isinstance(document, dict) else None
    entries: list[Entry] = []
    unreadable, is_known = 0, isinstance(days, list)
    for day in days if isinstance(days, list) else ():
        metrics = day.get("allWeightMetrics", day) if isinstance(day, dict) else day
        for raw in metrics if isinstance(metrics, list) else [metrics]:
            try:
                entries.append(_entry(raw))
            except (AttributeError, KeyError, TypeError, ValueError, OverflowError, DecimalException):
                unreadable += 1
                # No value, or another than expected, is a matter of this entry. A missing name is one of the shape.
                is_known = is_known and (raw is None or (isinstance(raw, dict) and raw.keys() >= NEEDED))
    if not is_known and not entries:
        raise GarminRefused(
            "Garmin's list of weigh-ins does not have the expected shape (dailyWeightSummaries, allWeightMetrics); "
            "Garmin may have changed it. Nothing is sent while Weighbridge cannot see what is there."
        )
    if len(entries) > MOST_ENTRIES:
        raise GarminRefused(TOO_MANY)
    return Listed(entries, unreadable)


def sanitize(text: str) -> str:
    """Garmin's words, safe for a message: printable, short, and without a number, which could be that of an account or
    a measurement."""
    printable = "".join(c if c.isprintable() else " " for c in text[:2000])
    return re.sub(r"\d(?:[\d\s.,-]*\d)?", "…", " ".join(printable.split()))[:200]


def _entry(raw: Mapping[str, object]) -> Entry:
    values = {}
    for name, garmin, divisor, step, _ in VALUES:
        found = raw.get(garmin)
        if found is not None:
            number = _number(found)
            values[name] = (number / divisor if divisor > 1 else number).quantize(step, ROUND_HALF_UP)
    if "weight_kg" not in values:
        raise KeyError("weight")
    instant_s, sample_pk = int(_number(raw["timestampGMT"])) // 1000, int(_number(raw["samplePk"]))
    if not 0 <= instant_s < END_OF_DATES_S:
        raise ValueError("an instant without a date")
    return Entry(date.fromisoformat(str(raw["calendarDate"])), sample_pk, instant_s, values)


def _number(value: object) -> Decimal:
    if type(value) is int:
        number = Decimal(value)
    elif type(value) is Decimal:
        number = value
    else:
        raise TypeError("not a number")
    if number.adjusted() > LARGEST_DIGITS:
        raise ValueError("no such quantity")  # 1e999999999 is 14 bytes of JSON and 400 MB as an int
    return number


def _json(body: bytes) -> Any:
    """Numbers with a fraction as Decimal. None for anything that is not whole JSON."""

    def refuse(word: str) -> object:
        raise ValueError(word)  # NaN and Infinity are not JSON (RFC 8259 section 6)

    try:
        return json.loads(body, parse_float=Decimal, parse_constant=refuse)
    except (ValueError, RecursionError, DecimalException):
        return None


def _failure_messages(result: Mapping[str, object]) -> list[tuple[object, str]]:
    """(code, text) of everything in `failures`, which may have any shape."""
    failures = result.get("failures")
    found: list[tuple[object, str]] = []
    for failure in failures if isinstance(failures, list) else []:
        messages = failure.get("messages") if isinstance(failure, dict) else None
        parts = [m for m in messages if isinstance(m, dict)] if isinstance(messages, list) else []
        found += [(m.get("code"), str(m.get("content") or "")) for m in parts] or [(None, "")]
    return found


def unknown(why: str) -> UploadResult:
    return UploadResult(
        OutcomeUnknown(
            f"It is unknown whether Garmin Connect has the reading ({why.rstrip('.')}); a look did not find it. "
            f"{SEND_AGAIN}"
        )
    )


def status_of(answer: GarminResponse) -> str:
    return f"HTTP {answer.status}"


def _is_page(answer: GarminResponse) -> bool:
    return "html" in answer.headers.get("content-type", "").lower() or answer.body.lstrip()[:1] == b"<"
