"""What a response says about a fault or an outcome, so that a caller needs no table of its own."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest

from tests.function_client import client_of
from weighbridge import errors, notes
from weighbridge.compose import Composed
from weighbridge.delivery.port import Delivered, Outcome, Prove, Status
from weighbridge.errors import Again, Blame, WeighbridgeError
from weighbridge.fit.template import read_template
from weighbridge.garmin.sessions.port import ConnectionDropped
from weighbridge.garmin.sessions.steps import WrongCode
from weighbridge.garmin.sessions.token_session import RenewalLost
from weighbridge.http.app import Shell
from weighbridge.http.openapi import document
from weighbridge.http.problems import FAULTS, kind_of
from weighbridge.login import TokenRefused
from weighbridge.notes import Code, Note
from weighbridge.pipeline import Weighbridge
from weighbridge.reading.reading import Reading
from weighbridge.reasons import Why
from weighbridge.resources import TEMPLATES

PACKAGE = Path(notes.__file__).parent
TEMPLATE = read_template((TEMPLATES / "weight_scale.fit").read_bytes())
READING = {"weight_kg": 81.4, "measured_at": "2026-11-22T06:31:00Z"}

#: Each class of fault, and its status, `blame` and `again`.
EXPECTED: Mapping[type[WeighbridgeError], tuple[int, Blame, Again]] = {
    errors.Busy: (503, "owner", "later"),
    errors.NotHttp: (400, "caller", "after_repair"),
    errors.NotJson: (400, "caller", "never"),
    errors.QueryInvalid: (400, "caller", "never"),
    errors.Unauthorized: (401, "caller", "after_repair"),
    errors.Forbidden: (403, "caller", "after_repair"),
    errors.NotFound: (404, "caller", "never"),
    errors.NoSuchAddress: (404, "caller", "after_repair"),
    errors.MethodNotAllowed: (405, "caller", "after_repair"),
    errors.TooSlow: (408, "caller", "later"),
    errors.Conflict: (409, "caller", "never"),
    errors.TooLarge: (413, "caller", "never"),
    errors.AddressTooLong: (414, "caller", "after_repair"),
    errors.MediaTypeUnsupported: (415, "caller", "after_repair"),
    errors.ReadingRejected: (422, "caller", "never"),
    errors.PersonUnclear: (422, "caller", "never"),
    errors.SignInEnded: (410, "caller", "never"),
    errors.SignInInvalid: (422, "caller", "never"),
    errors.SignInRejected: (422, "caller", "after_repair"),
    errors.CodeRejected: (422, "caller", "after_repair"),
    errors.CodesUsedUp: (422, "caller", "after_repair"),
    errors.TicketRejected: (422, "caller", "after_repair"),
    errors.AccountLocked: (422, "caller", "after_repair"),
    WrongCode: (422, "caller", "after_repair"),
    errors.CoolDown: (429, "garmin", "later"),
    errors.SettingsInvalid: (500, "owner", "after_repair"),
    errors.TemplateUnusable: (500, "owner", "after_repair"),
    errors.FolderUnusable: (503, "owner", "after_repair"),
    errors.TokenStoreUnusable: (503, "owner", "after_repair"),
    errors.SignInNeeded: (503, "owner", "after_repair"),
    errors.ProofFailed: (500, "weighbridge", "after_repair"),
    errors.GarminRefused: (502, "garmin", "after_repair"),
    errors.SignInBlocked: (502, "garmin", "after_repair"),
    TokenRefused: (502, "garmin", "after_repair"),
    errors.GarminUnreachable: (503, "garmin", "later"),
    errors.RateLimited: (503, "garmin", "later"),
    errors.OutcomeUnknown: (504, "garmin", "later"),
    ConnectionDropped: (504, "garmin", "later"),
    RenewalLost: (503, "garmin", "later"),
}

#: Never raised themselves.
BRANCHES = {
    errors.WeighbridgeError,
    errors.CallerFault,
    errors.ValuesRejected,
    errors.OwnerFault,
    errors.GarminFault,
}

MORE_ARGUMENTS: Mapping[type[WeighbridgeError], tuple[object, ...]] = {
    errors.MethodNotAllowed: ("words", ["POST"]),
    errors.QueryInvalid: ([errors.FieldError("a", 1, Why.DAY_EXPECTED())],),
    errors.ReadingRejected: ([errors.FieldError("a", 1, Why.DAY_EXPECTED())],),
    errors.PersonUnclear: ([errors.FieldError("a", 1, Why.DAY_EXPECTED())], ["Anna"]),
    errors.Conflict: ("words", {}, []),
    errors.RateLimited: ("words", 14),
    errors.CoolDown: ("words", 60),
    errors.SignInInvalid: ([errors.FieldError("a", 1, Why.DAY_EXPECTED())],),
    WrongCode: (None,),
}


def fault(kind: type[WeighbridgeError]) -> WeighbridgeError:
    if kind is errors.Unauthorized:
        return errors.Unauthorized("words", sent=True)
    return kind(*MORE_ARGUMENTS.get(kind, ("words",)))


def kinds(root: type[WeighbridgeError] = WeighbridgeError) -> Iterator[type[WeighbridgeError]]:
    yield root
    for kind in root.__subclasses__():
        yield from kinds(kind)


def kinds_of_the_package() -> set[type[WeighbridgeError]]:
    # Those of a command never reach the wire.
    ours = {kind for kind in kinds() if kind.__module__.startswith("weighbridge.")}
    return {kind for kind in ours if not kind.__module__.startswith("weighbridge.operate.")}


class Ending:
    """A delivery that raises this fault, or has this status."""

    name = "ending"

    def __init__(self, end: Exception | Status, *warnings: Note) -> None:
        self.end, self.warnings = end, warnings

    def deliver(
        self, readings: Sequence[Reading], prove: Prove, *, replace: bool, untimed: Collection[Reading] = ()
    ) -> Mapping[Reading, Outcome]:
        if isinstance(self.end, Exception):
            raise self.end
        return dict.fromkeys(readings, Delivered(self.end, prove(readings), warnings=self.warnings))

    def take_back(self, measured_at: datetime, person: str | None) -> bool:
        if isinstance(self.end, Exception):
            raise self.end
        return True

    def health(self) -> Mapping[str, object]:
        return {"name": self.name, "ready": True}


def post(delivery: Ending, payload: object, path: str = "/") -> tuple[int, Any, Mapping[str, str]]:
    """One request to a function with this delivery: status, body, headers."""
    shell = Shell(
        {},
        lambda _: None,
        compose=lambda settings: Composed(settings, Weighbridge(TEMPLATE, delivery, ZoneInfo("UTC")), lambda _: None),
        now=lambda: datetime(2026, 11, 23, 7, 0, tzinfo=UTC),
    )
    answer = client_of(shell).post(path, json=payload)
    return answer.status_code, answer.json, answer.headers


# -- faults ----------------------------------------------------------------------------------------------


def test_table_is_complete() -> None:
    """The table above has every fault of the package."""
    assert kinds_of_the_package() == set(EXPECTED) | BRANCHES


@pytest.mark.parametrize("kind", EXPECTED, ids=lambda kind: kind.__name__)
def test_every_fault_has_a_status(kind: type[WeighbridgeError]) -> None:
    """Each fault has a row of the table of problems, its own or that of an ancestor."""
    assert kind_of(fault(kind)) is not FAULTS[Exception]


@pytest.mark.parametrize("kind", EXPECTED, ids=lambda kind: kind.__name__)
def test_blame_and_again(kind: type[WeighbridgeError]) -> None:
    """Each fault has its status, `blame` and `again`, as the only answer and as one result of a batch."""
    status, blame, again = EXPECTED[kind]
    answered, alone, headers = post(Ending(fault(kind)), READING)
    assert (answered, alone["status"], alone["blame"], alone["again"]) == (status, status, blame, again)
    assert ("Retry-After" in headers) == ("retry_after_s" in alone)
    answered, batch, _ = post(Ending(fault(kind)), [READING, {"weight_kg": -1}])
    assert (answered, batch["results"][0]) == (207, alone)
    assert (batch["results"][1]["blame"], batch["results"][1]["again"]) == ("caller", "never")


@pytest.mark.parametrize("payload", [READING, [READING]], ids=["alone", "batch"])
def test_unexpected_exception(payload: object) -> None:
    """An unexpected exception is Weighbridge's fault, may be sent again, and does not show its message."""
    status, problem, _ = post(Ending(RuntimeError("planted words")), payload)
    assert (status, problem["blame"], problem["again"]) == (500, "weighbridge", "later")
    assert "planted" not in json.dumps(problem)


def test_later_has_a_pause() -> None:
    """Each fault with `later` has a pause, except the one for a slow sender."""
    later = {kind for kind, (_, _, again) in EXPECTED.items() if again == "later"} - {errors.TooSlow}
    for kind in later:
        assert post(Ending(fault(kind)), READING)[1]["retry_after_s"] > 0, kind


# -- outcomes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", get_args(Status))
def test_final(status: Status) -> None:
    """A receipt is final unless Garmin does not show the weigh-in yet."""
    for receipt in (post(Ending(status), READING)[1], post(Ending(status), [READING])[1]["results"][0]):
        assert (receipt["status"], receipt["final"]) == (status, status != "accepted")


def test_entry_that_remains_is_not_final() -> None:
    """If an older entry is still there, the reading is to be sent again, whatever its status."""
    remains = Code.REPLACED_ENTRY_REMAINS(reason=Why.SEND_AGAIN())
    assert post(Ending("confirmed", remains), READING)[1]["final"] is False


def test_conflict() -> None:
    """A conflict names what the reading would add and change, alone and in a batch."""
    fault = errors.Conflict("words", {}, [], added=["bone_mass_kg"], changed=["body_fat_percent"])
    for problem in (post(Ending(fault), READING)[1], post(Ending(fault), [READING])[1]["results"][0]):
        assert (problem["added"], problem["changed"]) == (["bone_mass_kg"], ["body_fat_percent"])


def test_dry_run_is_final() -> None:
    """The receipt of a dry run is final."""
    receipt = post(Ending("kept"), READING, "/?dry_run=true")[1]
    assert (receipt["status"], receipt["final"]) == ("checked", True)


def test_notes_and_warnings() -> None:
    """A note or warning has a code for programs and a text for people."""
    warning = Code.GARMIN_REMARK(said="Careful.")
    receipt = post(Ending("confirmed", warning), {"weight_kg": 81.4, "bmi": None})[1]
    assert receipt["warnings"] == [
        {
            "code": "garmin-remark",
            "text": "Garmin Connect accepted the file, but said: Careful.",
            "params": {"said": "Careful."},
        }
    ]
    assert [note["code"] for note in receipt["notes"]] == ["not-measured", "time-of-arrival"]
    assert all(note["text"] for note in receipt["notes"])


def test_received_at_makes_a_retry_the_same() -> None:
    """With `received_at`, a reading without a time is the same file each time; next to a time it has no effect."""
    untimed = {"weight_kg": 81.4, "received_at": "2026-11-22T06:31:00Z"}
    first, again = (post(Ending("kept"), untimed)[1] for _ in range(2))
    assert first == again
    assert first["measured_at"] == "2026-11-22T06:31:00Z"
    timed = [post(Ending("kept"), READING | {"received_at": at})[1] for at in ("2026-11-22T09:00:00Z", "soon")]
    assert timed == [post(Ending("kept"), READING)[1]] * 2


@pytest.mark.parametrize("code", Code)
def test_every_code_is_used(code: Code) -> None:
    """Each code is used somewhere in the package."""
    sources = (path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py") if path.name != "notes.py")
    assert any(f"Code.{code.name}" in source for source in sources)


# -- the contract ----------------------------------------------------------------------------------------


def test_contract_is_complete() -> None:
    """The OpenAPI document has blame, again, final, notes, warnings, the codes and both times."""
    schemas: Any = document()["components"]["schemas"]  # type: ignore[index]
    problem, receipt = schemas["Problem"], schemas["Receipt"]
    assert {"blame", "again"} <= set(problem["required"])
    assert problem["properties"]["blame"]["enum"] == list(get_args(Blame))
    assert problem["properties"]["again"]["enum"] == list(get_args(Again))
    assert {"final", "notes", "warnings"} <= set(receipt["required"])
    assert schemas["ReceiptNote"]["properties"]["code"]["enum"] == [code.code for code in Code]
    assert set(schemas["ReceiptNote"]["required"]) == {"code", "text", "params"}
    assert {"added", "changed"} <= set(problem["properties"])
    assert {"measured_at", "received_at"} <= set(schemas["Reading"]["properties"])
