"""What the last delivery came to is known to `/health`, to every process with this token, and after a restart."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from weighbridge import errors
from weighbridge.delivery.folder import Folder
from weighbridge.delivery.last_outcome import PASSES_S, LastOutcome, next_outcome, read_last_outcome
from weighbridge.delivery.port import Delivered, Outcome, Status
from weighbridge.errors import FolderUnusable
from weighbridge.garmin.sessions.token_session import RenewalLost
from weighbridge.http.problems import kind_of
from weighbridge.reading.reading import Reading

from .commands import run
from .function_client import FunctionClient, client
from .garmin.server import GarminStandIn
from .test_folder import READING, proven

NOW_S = 1_795_000_000.0
WAIT_S = 120
LASTING = [
    errors.SignInNeeded("why"),
    errors.TokenStoreUnusable("why"),
    errors.FolderUnusable("why"),
    errors.GarminRefused("why"),
    errors.SettingsInvalid("why"),
    errors.ProofFailed("why"),
]
PASSING = [errors.GarminUnreachable("why"), errors.OutcomeUnknown("why"), RenewalLost("why")]


def arrived(status: Status = "confirmed") -> Delivered:
    return Delivered(status, proven([READING]))


def after(*outcomes: Outcome, before: LastOutcome | None = None) -> LastOutcome:
    return next_outcome(before or LastOutcome(), outcomes, NOW_S)


# -- how long it counts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", LASTING, ids=lambda fault: fault.code)
def test_fault_that_somebody_must_fix(fault: errors.WeighbridgeError) -> None:
    """A fault that somebody must fix counts for years, until a delivery succeeds."""
    last = after(fault)
    assert last.trouble(NOW_S) == last.trouble(NOW_S + 1e8) == last.trouble(NOW_S - 1e8) == "why"
    assert after(arrived(), before=last).trouble(NOW_S) == ""


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: type(fault).__name__)
def test_fault_that_passes(fault: errors.WeighbridgeError) -> None:
    """A fault that passes by itself counts for an hour, and no longer if the clock was set back."""
    last = after(fault)
    assert [last.trouble(NOW_S + s) for s in (0, PASSES_S - 1, PASSES_S, -1)] == ["why", "why", "", ""]


def test_wait_counts_until_its_end() -> None:
    """A wait for which Garmin asked counts until it is over."""
    last = after(errors.RateLimited("why", WAIT_S))
    assert [last.trouble(NOW_S + s) for s in (0, WAIT_S - 1, WAIT_S)] == ["why", "why", ""]


def test_fault_of_the_caller() -> None:
    """A fault of the caller changes nothing that was known."""
    for before in (LastOutcome(), after(errors.GarminRefused("why")), after(arrived())):
        for fault in (errors.Conflict("other", {}, []), errors.ReadingRejected([])):
            assert after(fault, before=before) == before


def test_present_proves_no_upload() -> None:
    """A reading that Garmin already has ends every fault but a refusal: nothing was uploaded."""
    refused = after(errors.GarminRefused("why"))
    assert after(arrived("present"), before=refused) == refused
    for fault in (errors.SignInNeeded("why"), *PASSING):
        assert after(arrived("present"), before=after(fault)).code == "present"
    for status in ("confirmed", "accepted", "kept"):
        assert after(arrived(status), before=refused).code == status


def test_worst_of_several() -> None:
    """Of the outcomes of one delivery, what somebody must fix counts most, then what passes, then what arrived."""
    refused, unreachable = errors.GarminRefused("fix it"), errors.GarminUnreachable("why")
    assert after(arrived(), unreachable, refused, unreachable).code == "garmin-refused"
    assert after(arrived(), unreachable).code == "garmin-unreachable"
    assert after(arrived("present"), arrived("accepted"), arrived("present")).code == "accepted"


@pytest.mark.parametrize(
    "fault", [*LASTING, *PASSING, errors.RateLimited("", 1)], ids=lambda fault: type(fault).__name__
)
def test_code_is_that_of_the_problem(fault: errors.WeighbridgeError) -> None:
    """The code is the one in the type of the problem that the caller gets."""
    assert fault.code == kind_of(fault).slug


@pytest.mark.parametrize("value", [None, [], {"code": 1, "at": "x", "why": [], "lasts_s": float("nan")}])
def test_any_file(value: object) -> None:
    """Whatever is in the file, nothing is known then, and nothing is wrong."""
    assert read_last_outcome(value) == LastOutcome()


# -- health ----------------------------------------------------------------------------------------------

Function = Callable[[], FunctionClient]


@pytest.fixture
def settings(garmin: GarminStandIn, tmp_path: Path) -> dict[str, str]:
    garmin.write_token(tmp_path / "tokens")
    return {
        "WEIGHBRIDGE_DELIVERY": "garth",
        "WEIGHBRIDGE_TOKENS": str(tmp_path / "tokens"),
        "WEIGHBRIDGE_CONFIRM_SECONDS": "0.2",
        "GARMIN_DOMAIN": garmin.domain,
        "GARMIN_CA_BUNDLE": str(garmin.ca_bundle),
    }


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> Function:
    """Makes a function that has just been started."""
    return lambda: client(monkeypatch, **settings)


def post(http: FunctionClient, hour: int = 6) -> tuple[int, str]:
    answer = http.post("/", json={"measured_at": f"2026-11-22T{hour:02}:31:00Z", "weight_kg": 81.37})
    return answer.status_code, answer.json.get("detail", "")


def health(http: FunctionClient) -> tuple[int, str, str]:
    """The status, what the last delivery came to, and the detail."""
    answer = http.get("/health")
    delivery = answer.json["delivery"]
    assert delivery["ready"] is (answer.status_code == 200)
    assert "81.37" not in delivery.get("detail", "")
    return answer.status_code, delivery.get("last_outcome", {}).get("code", ""), delivery.get("detail", "")


@pytest.mark.parametrize(
    ("route", "fault", "words"),
    [
        ("upload", "400", "did not import"),
        ("upload", "403-cloudflare", "Cloudflare blocked the request"),
        ("upload", "403", "Try from another network"),
        ("upload", "412", "wants consent to uploads"),
        ("weight/range", "403-cloudflare", "Try from another network"),
        ("upload", "503", "It is unknown whether"),
        ("weight/range", "503", "Send the same again later"),
        ("weight/range", "429", "asks to wait"),
    ],
)
def test_failed_delivery(garmin: GarminStandIn, function: Function, route: str, fault: str, words: str) -> None:
    """After a failed delivery, health is 503 with the fix, also after a restart, until a delivery succeeds."""
    first = function()
    assert health(first) == (200, "", "")
    garmin.faults.add(route, fault, times=None)
    status, detail = post(first)
    assert status >= 500
    assert words in detail
    code = first.post("/", json={"weight_kg": 81.37}).json["type"].removeprefix("urn:weighbridge:")
    for http in (first, function()):
        assert health(http)[:2] == (503, code)
        assert words in health(http)[2]
    garmin.faults.clear()
    if code == "rate-limited":
        return  # until the wait is over
    assert post(function()) == (201, "")
    for http in (first, function()):
        assert health(http) == (200, "confirmed", "")


def test_dead_token(garmin: GarminStandIn, function: Function, settings: dict[str, str]) -> None:
    """After a delivery with a token that Garmin refuses, health is 503 until there is another token."""
    garmin.faults.add("weight", "401", times=None)
    assert post(function())[0] == 503
    status, code, detail = health(function())
    assert (status, code) == (503, "sign-in-needed")
    assert detail.endswith("Sign in again: weighbridge login.")
    garmin.faults.clear()
    garmin.write_token(Path(settings["WEIGHBRIDGE_TOKENS"]))
    assert health(function()) == (200, "sign-in-needed", "")
    assert post(function())[0] == 201


def test_no_token_yet(garmin: GarminStandIn, function: Function, settings: dict[str, str]) -> None:
    """After a delivery without a token, health is ready as soon as somebody has signed in."""
    Path(settings["WEIGHBRIDGE_TOKENS"], "default.json").unlink()
    assert post(function())[0] == 503
    assert health(function())[0] == 503
    assert list(Path(settings["WEIGHBRIDGE_TOKENS"]).glob("[!.]*")) == [], "a restore needs an empty folder"
    garmin.write_token(Path(settings["WEIGHBRIDGE_TOKENS"]))
    assert health(function())[0] == 200


@pytest.mark.parametrize(
    ("fault", "code", "again"), [("412", "garmin-refused", "after_repair"), ("429", "rate-limited", "later")]
)
def test_why_it_is_not_ready(garmin: GarminStandIn, function: Function, fault: str, code: str, again: str) -> None:
    """Health says by a code why it is not ready, and whether that passes by itself."""
    garmin.faults.add("upload", fault, times=None)
    http = function()
    post(http)
    delivery = http.get("/health").json["delivery"]
    assert (delivery["code"], delivery["again"]) == (code, again)


def test_strangers_see_no_outcome(garmin: GarminStandIn, function: Function, settings: dict[str, str]) -> None:
    """Without a key, health shows that a delivery failed, but neither why nor when, and writes nothing."""
    garmin.faults.add("upload", "403-cloudflare", times=None)
    post(function())
    folder = Path(settings["WEIGHBRIDGE_TOKENS"])
    before = {path: path.stat().st_mtime_ns for path in (folder, *folder.iterdir())}
    answer = function().get("/health", local=False)
    assert {path: path.stat().st_mtime_ns for path in (folder, *folder.iterdir())} == before
    assert answer.status_code == 503
    assert "last_outcome" not in answer.text
    assert "Cloudflare" not in answer.text


def test_file_holds_no_measurement(garmin: GarminStandIn, function: Function, settings: dict[str, str]) -> None:
    """The file beside the token holds no measurement and no time of one, and only its owner can read it."""
    folder = Path(settings["WEIGHBRIDGE_TOKENS"])
    token = json.loads((folder / "default.json").read_text())
    for fault in ("400", "403", "409", "412", "503", "200"):
        garmin.faults.clear()
        garmin.faults.add("upload", fault, times=None)
        post(function())
        state = folder / "default.state"
        assert '"code"' in state.read_text()
        assert state.stat().st_mode & 0o777 == 0o600
        for secret in ("81.37", "8137", "06:31", token["access_token"], token["refresh_token"]):
            assert secret not in state.read_text()


def test_file_cannot_be_written(garmin: GarminStandIn, function: Function, settings: dict[str, str]) -> None:
    """If nothing can be written beside the token, readings arrive, and the process remembers what failed."""
    Path(settings["WEIGHBRIDGE_TOKENS"], "default.state").mkdir()  # nothing can be written in its place, even by root
    http = function()
    assert post(http)[0] == 201
    assert health(http) == (200, "confirmed", "")
    garmin.faults.add("upload", "412", times=None)
    assert post(http, 7)[0] == 502
    assert health(http)[:2] == (503, "garmin-refused")


def test_each_link_of_a_chain(garmin: GarminStandIn, function: Function, settings: dict[str, str]) -> None:
    """A reading that a fallback kept does not make the first delivery ready."""
    settings |= {"WEIGHBRIDGE_DELIVERY": "garth,folder", "WEIGHBRIDGE_FOLDER": f"{settings['WEIGHBRIDGE_TOKENS']}/kept"}
    garmin.faults.add("upload", "412", times=None)
    http = function()
    assert post(http)[0] == 202
    assert health(http)[:2] == (503, "garmin-refused")
    chain = http.get("/health").json["delivery"]["chain"]
    assert [link["last_outcome"]["code"] for link in chain] == ["garmin-refused", "kept"]


def test_folder_with_a_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that did not take the last file is not ready, although it looks as if it would, until it takes one."""
    folder = Folder(tmp_path, now=lambda: NOW_S)

    def refuse(*_: object) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(FolderUnusable):
            folder.deliver([READING], proven, replace=False)
    state = folder.health()
    assert (state["ready"], state["last_outcome"]) == (False, {"code": "folder-unusable", "at": "2026-11-18T11:06:40Z"})
    assert "quota" in str(state["detail"])
    folder.deliver([READING], proven, replace=False)
    assert folder.health()["ready"] is True
    other = Reading(measured_at=datetime(2026, 11, 24, 6, 31, tzinfo=UTC), weight_kg=Decimal(80))
    assert folder.deliver([other], proven, replace=False)[other].status == "kept"


# -- commands --------------------------------------------------------------------------------------------


def test_refresh(
    garmin: GarminStandIn, function: Function, settings: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """`weighbridge refresh` fails, with the fix, while the last delivery has failed."""
    assert run(["refresh"], settings) == 0
    garmin.faults.add("upload", "412", times=None)
    post(function())
    capsys.readouterr()
    assert run(["refresh"], settings) == 1
    said = capsys.readouterr()
    assert "left alone" in said.out
    assert re.match("default: the last delivery failed. Garmin Connect wants consent", said.err)
    garmin.faults.clear()
    post(function())
    assert run(["refresh"], settings) == 0


def test_doctor(
    garmin: GarminStandIn, function: Function, settings: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """`weighbridge doctor` shows what the last delivery came to, and fails with the fix while it has failed."""

    def last() -> tuple[int, str, str]:
        code = run(["doctor", "--json"], settings)
        link = json.loads(capsys.readouterr().out)["links"][-1]
        assert link["link"] == "last delivery"
        return code, link["outcome"], link["detail"]

    assert last() == (0, "skipped", "no reading was delivered yet.")
    garmin.faults.add("upload", "412", times=None)
    post(function())
    assert last()[:2] == (1, "fails")
    assert "wants consent" in last()[2]
    garmin.faults.clear()
    post(function())
    assert last() == (0, "ok", "it came to `confirmed`, a moment ago.")
