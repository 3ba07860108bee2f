"""What each answer of Garmin Connect leads to: tested with the real garth and a stand-in that can fail in every way."""

from __future__ import annotations

import email.utils
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from weighbridge.delivery.port import Delivered, Outcome
from weighbridge.errors import (
    Conflict,
    GarminFault,
    GarminRefused,
    GarminUnreachable,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    SignInNeeded,
    WeighbridgeError,
)
from weighbridge.fit.template import read_template
from weighbridge.garmin.answers import (
    DEFAULT_RETRY_AFTER_S,
    read_upload_answer,
    read_weigh_ins,
    retry_after_s,
    sanitize,
)
from weighbridge.garmin.connect import GarminConnect
from weighbridge.garmin.sessions.garth import GarthSession
from weighbridge.garmin.sessions.port import GarminResponse
from weighbridge.garmin.tokens import TokenStore
from weighbridge.notes import Code
from weighbridge.pipeline import Prover
from weighbridge.reading.reading import Reading
from weighbridge.reasons import Sentences
from weighbridge.resources import TEMPLATES

from .fit_builder import File, file_id, weigh_in
from .garmin import http_types
from .garmin.server import GarminStandIn
from .garmin.weights import FIT_EPOCH_S

TEMPLATE = read_template((TEMPLATES / "weight_scale.fit").read_bytes())
MORNING = datetime(2026, 11, 23, 6, 31, 5, tzinfo=UTC)
MEASURED = {
    "weight_kg": "80.00",
    "body_fat_percent": "20.0",
    "body_water_percent": "55.0",
    "bone_mass_kg": "3.2",
    "muscle_mass_kg": "60.8",
    "bmi": "24.7",
    "visceral_fat_rating": "8",
    "metabolic_age_years": "40",
}
#: MEASURED as raw integers of a weight_scale message.
RAW = {
    "weight": 8000,
    "percent_fat": 2000,
    "percent_hydration": 5500,
    "bone_mass": 320,
    "muscle_mass": 6080,
    "bmi": 247,
    "visceral_fat_rating": 8,
    "metabolic_age": 40,
}


proven = Prover(TEMPLATE)


def reading(at: datetime = MORNING, **changes: str | None) -> Reading:
    values = {name: Decimal(text) for name, text in {**MEASURED, **changes}.items() if text is not None}
    return Reading(measured_at=at, **values)


def only_weight(kg: str, at: datetime = MORNING) -> Reading:
    return Reading(measured_at=at, weight_kg=Decimal(kg))


def raw(at: datetime = MORNING, **changes: int | None) -> dict[str, int]:
    values = {name: value for name, value in {**RAW, **changes}.items() if value is not None}
    return {"timestamp": int(at.timestamp()) - FIT_EPOCH_S, **values}


Connect = Callable[..., GarminConnect]


@pytest.fixture
def connect(garmin: GarminStandIn, tmp_path: Path) -> Connect:
    """Makes a `GarminConnect` with a valid token."""
    garmin.write_token(tmp_path / "tokens")

    def connect(*, confirm_s: float = 0.2, timeout_s: float = 30.0, join_s: float = 60) -> GarminConnect:
        store = TokenStore(tmp_path / "tokens")
        session = GarthSession(store, domain=garmin.domain, ca_bundle=garmin.ca_bundle, timeout_s=timeout_s)
        return GarminConnect(session, name="garth", confirm_s=confirm_s, join_s=join_s)

    return connect


def deliver(connect: GarminConnect, *readings: Reading, replace: bool = False) -> list[Outcome]:
    outcomes = connect.deliver(readings, proven, replace=replace)
    return [outcomes[reading] for reading in readings]


def delivered(outcome: Outcome) -> Delivered:
    assert isinstance(outcome, Delivered), outcome
    return outcome


def warned(outcome: Delivered) -> list[Sentences]:
    return [warning.why for warning in outcome.warnings]


def routes(garmin: GarminStandIn) -> list[str | None]:
    return [logged.route for logged in garmin.requests]


def blind_after_an_upload(garmin: GarminStandIn, fault: str) -> None:
    """Let the look before the upload succeed, and those after it fail."""
    answer = garmin.answer

    def then_fail(request: http_types.Request) -> tuple[http_types.Response, float]:
        answered = answer(request)
        if request.path.startswith("/upload-service/"):
            garmin.faults.add("weight/range", fault, times=None)
        return answered

    garmin.answer = then_fail  # type: ignore[method-assign]


# -- success -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["processed", "accepted"])
def test_confirmed(garmin: GarminStandIn, connect: Connect, shape: Any) -> None:
    """A reading is confirmed with the values that Garmin shows."""
    garmin.upload_answer = shape
    outcome = delivered(deliver(connect(), reading())[0])
    assert outcome.status == "confirmed"
    assert outcome.warnings == ()
    expected = {name: Decimal(text) for name, text in MEASURED.items()}
    assert outcome.garmin is not None
    assert outcome.garmin.shown() == {"measured_at": "2026-11-23T06:31:05Z", **expected}
    assert [w["weight"] for w in garmin.weigh_ins()] == [80_000.0]
    assert routes(garmin) == ["weight/range", "upload", "weight/range"]


def test_file_name(connect: Connect) -> None:
    """The name of the uploaded file holds the instant and no measurement."""
    outcome = delivered(deliver(connect(), only_weight("80.12"))[0])
    assert outcome.file_name == f"weigh-in_2026-11-23T06-31-05Z_{outcome.fit.sha256[:12]}.fit"


def test_present(garmin: GarminStandIn, connect: Connect) -> None:
    """A reading that Garmin already has is not sent again."""
    deliver(connect(), reading())
    again = delivered(deliver(connect(), reading())[0])
    assert again.status == "present"
    assert again.garmin is not None
    assert again.garmin.values["weight_kg"] == Decimal(80)
    assert garmin.uploads_received == 1


def test_no_time_to_confirm(garmin: GarminStandIn, connect: Connect) -> None:
    """With 0 seconds to confirm, the status is `accepted` and there is no look after the upload."""
    outcome = delivered(deliver(connect(confirm_s=0), reading())[0])
    assert (outcome.status, outcome.garmin, outcome.warnings) == ("accepted", None, ())
    assert routes(garmin) == ["weight/range", "upload"]


def test_visible_later(garmin: GarminStandIn, connect: Connect) -> None:
    """A reading that Garmin shows later is waited for."""
    garmin.weights.show_delay_s = 0.7
    assert delivered(deliver(connect(confirm_s=8), reading())[0]).status == "confirmed"
    assert routes(garmin).count("weight/range") > 2


def test_pauses_between_looks(garmin: GarminStandIn, connect: Connect, tmp_path: Path) -> None:
    """The pauses between looks grow, and end when the time is up."""
    garmin.weights.show_delay_s = 3600
    now, pauses = [0.0], []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    store = TokenStore(tmp_path / "tokens")
    session = GarthSession(store, domain=garmin.domain, ca_bundle=garmin.ca_bundle)
    ours = GarminConnect(session, name="garth", confirm_s=12, sleep=sleep, monotonic=lambda: now[0])
    outcome = delivered(deliver(ours, reading())[0])
    assert pauses == [0.5, 1.0, 2.0, 4.0, 4.0, 0.5]
    assert outcome.status == "accepted"
    assert warned(outcome) == [Code.NOT_VISIBLE_YET]
    assert "within 12 s" in str(outcome.warnings[0])


def test_values_not_shown(garmin: GarminStandIn, connect: Connect) -> None:
    """Values that Garmin does not show after an upload are named."""
    garmin.weights.shown_as = {"visceral_fat_rating": None, "bmi": None}
    outcome = delivered(deliver(connect(), reading())[0])
    assert outcome.status == "confirmed"
    text = "Garmin Connect does not show body mass index and visceral fat."
    assert outcome.warnings == (Code.NOT_SHOWN(values=["body mass index", "visceral fat"]),)
    assert str(outcome.warnings[0]) == text


def test_values_that_the_template_lacks(garmin: GarminStandIn, connect: Connect) -> None:
    """Only what the file holds is expected of Garmin: the rest is neither missing nor a conflict."""
    lean = Prover(read_template(File([file_id(), weigh_in(without=[1, 2, 4, 5])]).to_bytes()))
    ours = connect()
    outcomes = [delivered(ours.deliver([reading()], lean, replace=False)[reading()]) for _ in range(2)]
    assert [(outcome.status, outcome.warnings) for outcome in outcomes] == [("confirmed", ()), ("present", ())]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
@pytest.mark.parametrize("clock", [(0, 0, 0), (23, 59, 59)])
def test_near_midnight(garmin: GarminStandIn, connect: Connect, zone: str, clock: tuple[int, int, int]) -> None:
    """A reading near midnight is found in any time zone of the account."""
    garmin.weights.time_zone = zone
    at = datetime(2026, 11, 20, *clock, tzinfo=UTC)
    assert delivered(deliver(connect(), reading(at))[0]).status == "confirmed"
    assert delivered(deliver(connect(), reading(at))[0]).status == "present"


# -- other values ----------------------------------------------------------------------------------------


def test_conflict(garmin: GarminStandIn, connect: Connect) -> None:
    """Other values at the same instant are a conflict that shows both."""
    deliver(connect(), only_weight("80"))
    with pytest.raises(Conflict) as caught:
        deliver(connect(), only_weight("81.25"))
    assert caught.value.ours == {"measured_at": "2026-11-23T06:31:05Z", "weight_kg": Decimal("81.25")}
    (theirs,) = caught.value.theirs
    assert theirs["weight_kg"] == Decimal(80)
    assert garmin.uploads_received == 1


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"weight": 5}, True),
        ({"weight": 6}, False),
        ({"percent_fat": 10}, True),
        ({"percent_fat": 11}, False),
        ({"percent_hydration": -10}, True),
        ({"percent_hydration": -11}, False),
        ({"bone_mass": 5}, True),
        ({"bone_mass": 6}, False),
        ({"muscle_mass": -5}, True),
        ({"muscle_mass": -6}, False),
        ({"bmi": 1}, True),
        ({"bmi": 2}, False),
        ({"visceral_fat_rating": 1}, False),
        ({"metabolic_age": 1}, False),
        ({"percent_fat": None, "percent_hydration": None, "bone_mass": None}, True),
        ({"percent_fat": None, "percent_hydration": None, "bone_mass": None, "muscle_mass": None}, False),
    ],
)
def test_rounding(garmin: GarminStandIn, connect: Connect, changes: dict[str, int | None], same: bool) -> None:
    """After an upload, values that differ only by rounding are the same. The last row looks like a weight typed by
    hand: without body composition it is another entry."""
    garmin.weights.shown_as = changes
    outcome = delivered(deliver(connect(), reading())[0])
    assert outcome.status == ("confirmed" if same else "accepted")
    assert (Code.SHOWN_DIFFERENTLY in warned(outcome)) is not same


ATTRIBUTES = {
    "weight": "weight_kg",
    "percent_fat": "body_fat_percent",
    "percent_hydration": "body_water_percent",
    "bone_mass": "bone_mass_kg",
    "muscle_mass": "muscle_mass_kg",
    "bmi": "bmi",
    "visceral_fat_rating": "visceral_fat_rating",
    "metabolic_age": "metabolic_age_years",
}


@pytest.mark.parametrize(
    ("name", "by"), [(name, by) for name in RAW for by in (1, -1, None) if (name, by) != ("weight", None)]
)
def test_one_raw_integer(garmin: GarminStandIn, connect: Connect, name: str, by: int | None) -> None:
    """One raw integer that Garmin has otherwise, or lacks, is a conflict that names it; `replace` brings it."""
    garmin.weights.add(raw(**{name: None if by is None else RAW[name] + by}))
    ours = connect()
    with pytest.raises(Conflict) as caught:
        deliver(ours, reading())
    attribute = ATTRIBUTES[name]
    assert (caught.value.added, caught.value.changed) == (((attribute,), ()) if by is None else ((), (attribute,)))
    assert garmin.uploads_received == 0
    assert delivered(deliver(ours, reading(), replace=True)[0]).status == "confirmed"
    assert [entry.raw for entry in garmin.weights.entries] == [raw()]
    assert delivered(deliver(ours, reading())[0]).status == "present"


def test_conflict_in_words(garmin: GarminStandIn, connect: Connect) -> None:
    """The message of a conflict names what would be added and changed."""
    garmin.weights.add(raw(bone_mass=None, visceral_fat_rating=None, percent_fat=1990))
    with pytest.raises(
        Conflict, match="This reading would add bone mass and visceral fat and change body fat"
    ) as caught:
        deliver(connect(), reading())
    assert "replace=true" in str(caught.value)
    assert caught.value.added == ("bone_mass_kg", "visceral_fat_rating")
    assert caught.value.changed == ("body_fat_percent",)


def test_rating_with_a_fraction(garmin: GarminStandIn, connect: Connect) -> None:
    """A rating with a fraction is compared as the whole number that is sent."""
    for _ in range(2):
        outcome = delivered(deliver(connect(), reading(visceral_fat_rating="8.5"))[0])
    assert outcome.status == "present"
    assert outcome.garmin is not None
    assert outcome.garmin.values["visceral_fat_rating"] == 9


def test_two_entries_one_equal(garmin: GarminStandIn, connect: Connect) -> None:
    """If one of two entries at an instant is equal, the reading is present."""
    garmin.weights.add(raw(weight=7000))
    garmin.weights.add(raw())
    assert delivered(deliver(connect(), reading())[0]).status == "present"
    assert len(garmin.weigh_ins()) == 2


def test_replace(garmin: GarminStandIn, connect: Connect) -> None:
    """`replace` confirms the new entry first, and then deletes the old one."""
    deliver(connect(), only_weight("80"))
    garmin.requests.clear()
    outcome = delivered(deliver(connect(), only_weight("81.25"), replace=True)[0])
    assert (outcome.status, outcome.warnings) == ("confirmed", ())
    assert [w["weight"] for w in garmin.weigh_ins()] == [81_250.0]
    assert routes(garmin) == ["weight/range", "upload", "weight/range", "weight/delete"]


def test_replace_within_rounding(garmin: GarminStandIn, connect: Connect) -> None:
    """18.2 % is replaced by 18.1 %, and the old entry is never taken for the new one."""
    deliver(connect(), reading(body_fat_percent="18.2", muscle_mass_kg=None))
    corrected = reading(body_fat_percent="18.1", muscle_mass_kg=None)
    garmin.weights.show_delay_s = 3600
    assert delivered(deliver(connect(), corrected, replace=True)[0]).status == "accepted"
    garmin.weights.entries[-1] = replace(garmin.weights.entries[-1], visible_at_s=0)
    assert delivered(deliver(connect(), corrected, replace=True)[0]).status == "present"
    assert [w["bodyFat"] for w in garmin.weigh_ins()] == [18.1]


def test_replace_by_less(garmin: GarminStandIn, connect: Connect) -> None:
    """Values that only the replaced entry had are named; a reading that only adds keeps them."""
    deliver(connect(), reading())
    outcome = delivered(deliver(connect(), only_weight("81.25"), replace=True)[0])
    assert warned(outcome) == [Code.REPLACED_ENTRY_HAD_MORE]
    assert "bone mass" in str(outcome.warnings[0])
    deliver(connect(), reading(weight_kg="81.25", bone_mass_kg=None), replace=True)
    outcome = delivered(deliver(connect(), only_weight("81.25", MORNING), replace=True)[0])
    assert (outcome.status, outcome.warnings) == ("present", ())
    added = Reading(measured_at=MORNING, weight_kg=Decimal("81.25"), bone_mass_kg=Decimal("3.2"))
    outcome = delivered(deliver(connect(), added, replace=True)[0])
    assert (outcome.status, outcome.warnings) == ("confirmed", ())
    assert [entry.raw for entry in garmin.weights.entries] == [raw(weight=8125)]


def test_replace_finishes(garmin: GarminStandIn, connect: Connect) -> None:
    """`replace` also deletes what an earlier `replace` left behind."""
    garmin.weights.add(raw(weight=7000))
    garmin.weights.add(raw())
    assert delivered(deliver(connect(), reading(), replace=True)[0]).status == "present"
    assert [w["weight"] for w in garmin.weigh_ins()] == [80_000.0]


@pytest.mark.parametrize("confirm_s", [0, 0.1])
def test_replace_not_visible(garmin: GarminStandIn, connect: Connect, confirm_s: float) -> None:
    """`replace` keeps the old entry while the new one is not visible."""
    deliver(connect(), only_weight("80"))
    garmin.weights.show_delay_s = 3600
    outcome = delivered(deliver(connect(confirm_s=confirm_s), only_weight("81.25"), replace=True)[0])
    assert outcome.status == "accepted"
    assert warned(outcome)[-1] is Code.REPLACED_ENTRY_REMAINS
    assert [w["weight"] for w in garmin.weigh_ins()] == [80_000.0]


def test_replace_already_deleted(garmin: GarminStandIn, connect: Connect) -> None:
    """An old entry that is already deleted causes no fault and no warning."""
    deliver(connect(), only_weight("80"))
    garmin.faults.add("weight/delete", "drop-after")
    outcome = delivered(deliver(connect(), only_weight("81.25"), replace=True)[0])
    assert (outcome.status, outcome.warnings) == ("confirmed", ())
    assert len(garmin.weigh_ins()) == 1


def test_replace_cannot_delete(garmin: GarminStandIn, connect: Connect) -> None:
    """An old entry that cannot be deleted causes a warning, not a fault."""
    deliver(connect(), only_weight("80"))
    garmin.faults.add("weight/delete", "429")
    outcome = delivered(deliver(connect(), only_weight("81.25"), replace=True)[0])
    assert outcome.status == "confirmed"
    assert warned(outcome) == [Code.REPLACED_ENTRY_REMAINS]
    assert len(garmin.weigh_ins()) == 2


# -- several readings ------------------------------------------------------------------------------------


def test_several_readings(garmin: GarminStandIn, connect: Connect) -> None:
    """Each of several readings has its own outcome, and the new ones share one file."""
    days = [MORNING - timedelta(days=n) for n in range(4)]
    deliver(connect(), reading(days[0]), only_weight("70", days[1]))
    several = [reading(days[0]), reading(days[1]), reading(days[2]), reading(days[3])]
    present, conflict, *new = deliver(connect(), *several)
    assert delivered(present).status == "present"
    assert isinstance(conflict, Conflict)
    assert [delivered(outcome).status for outcome in new] == ["confirmed", "confirmed"]
    assert delivered(new[0]).fit is delivered(new[1]).fit
    assert garmin.uploads_received == 2


def test_same_reading_twice(garmin: GarminStandIn, connect: Connect) -> None:
    """The same reading twice in one call is sent once, and has one outcome for both."""
    first, second = (delivered(outcome) for outcome in deliver(connect(), reading(), reading()))
    assert first is second
    assert first.fit.readings == 1
    assert len(garmin.weigh_ins()) == 1


@pytest.mark.parametrize("replace", [False, True])
def test_two_readings_one_instant(garmin: GarminStandIn, connect: Connect, replace: bool) -> None:
    """Of two readings for the same instant in one call, only the first is sent."""
    first, second = deliver(connect(), reading(), reading(weight_kg="90"), replace=replace)
    assert delivered(first).status == "confirmed"
    assert isinstance(second, Conflict)
    assert [w["weight"] for w in garmin.weigh_ins()] == [80_000.0]


def test_refused_upload_and_present(garmin: GarminStandIn, connect: Connect) -> None:
    """If an upload is refused, readings that Garmin already has are still `present`."""
    yesterday = MORNING - timedelta(days=1)
    deliver(connect(), reading(yesterday))
    garmin.faults.add("upload", "429-retry-after")
    present, limited = deliver(connect(), reading(yesterday), reading())
    assert delivered(present).status == "present"
    assert isinstance(limited, RateLimited)
    assert limited.retry_after_s == 14


# -- each answer to an upload ---------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["200", "201", "202", "204", "200-empty"])
def test_answers_to_an_accepted_upload(garmin: GarminStandIn, connect: Connect, fault: str) -> None:
    """An accepted upload is confirmed, whatever its answer looks like."""
    garmin.faults.add("upload", fault)
    assert delivered(deliver(connect(), reading())[0]).status == "confirmed"


@pytest.mark.parametrize("fault", ["200", "201", "202", "204", "200-empty"])
def test_accepted_not_shown(garmin: GarminStandIn, connect: Connect, fault: str) -> None:
    """An accepted upload that Garmin does not show is `accepted`, never `confirmed`."""
    garmin.faults.add("upload", fault, carried_out=False)
    outcome = delivered(deliver(connect(), reading())[0])
    assert outcome.status == "accepted"
    assert warned(outcome) == [Code.NOT_VISIBLE_YET]
    assert outcome.garmin is None


def test_garmin_remark(garmin: GarminStandIn, connect: Connect) -> None:
    """Garmin's remark on an accepted upload is passed on."""
    garmin.faults.add("upload", "400-upload-id")
    outcome = delivered(deliver(connect(), reading())[0])
    assert outcome.status == "confirmed"
    assert warned(outcome) == [Code.GARMIN_REMARK]
    assert "Some data was not imported." in str(outcome.warnings[0])


REFUSALS: list[tuple[str, type[WeighbridgeError], str]] = [
    ("400", GarminRefused, "The file could not be read."),
    ("401", SignInNeeded, "weighbridge login"),
    ("403", GarminRefused, "another network"),
    ("403-cloudflare", GarminRefused, "Cloudflare"),
    ("412", GarminRefused, "Open Garmin Connect once"),
    ("429", RateLimited, "wait"),
    ("429-retry-after", RateLimited, "wait"),
    ("429-html", RateLimited, "wait"),
    ("200-duplicate", GarminRefused, "Duplicate Activity."),
    ("409", GarminRefused, "Duplicate Activity."),
]


@pytest.mark.parametrize(("fault", "kind", "words"), REFUSALS)
def test_refusal(garmin: GarminStandIn, connect: Connect, fault: str, kind: type[WeighbridgeError], words: str) -> None:
    """A refusal is a fault with its fix, and another delivery may take over."""
    garmin.faults.add("upload", fault, times=None)
    with pytest.raises(kind, match=words) as caught:
        deliver(connect(), reading())
    assert type(caught.value) is kind
    assert caught.value.nothing_sent
    assert garmin.weigh_ins() == []


@pytest.mark.parametrize("fault", ["500", "502", "503", "504", "drop-before", "firewall-html", "not-json"])
def test_unknown_outcome(garmin: GarminStandIn, connect: Connect, fault: str) -> None:
    """If no answer comes and a look finds nothing, the outcome is unknown, and the reading may be sent again."""
    garmin.faults.add("upload", fault)
    with pytest.raises(OutcomeUnknown, match="Send the same reading again") as caught:
        deliver(connect(), reading())
    assert not caught.value.nothing_sent
    assert garmin.uploads_received == 1, "sent again without a request"
    assert delivered(deliver(connect(), reading())[0]).status == "confirmed"


@pytest.mark.parametrize("fault", ["504-carried-out", "drop-after", "drop-within", "truncated-json"])
@pytest.mark.parametrize("confirm_s", [0, 0.2])
def test_no_answer_but_shown(garmin: GarminStandIn, connect: Connect, fault: str, confirm_s: float) -> None:
    """If no answer comes but Garmin shows the reading, it is confirmed."""
    garmin.faults.add("upload", fault)
    assert delivered(deliver(connect(confirm_s=confirm_s), reading())[0]).status == "confirmed"
    assert (garmin.uploads_received, len(garmin.weigh_ins())) == (1, 1)


def test_slow_upload(garmin: GarminStandIn, connect: Connect) -> None:
    """After an upload that takes too long, a look finds the reading."""
    garmin.faults.add("upload", "slow", delay_s=2.0)
    assert delivered(deliver(connect(timeout_s=1), reading())[0]).status == "confirmed"
    assert garmin.uploads_received == 1


@pytest.mark.parametrize("fault", ["drop-after", "409", "400-upload-id"])
def test_look_fails(garmin: GarminStandIn, connect: Connect, fault: str) -> None:
    """If only a look could decide and it fails, the outcome is unknown."""
    garmin.faults.add("upload", fault)
    blind_after_an_upload(garmin, "503")
    with pytest.raises(OutcomeUnknown, match="a look failed") as caught:
        deliver(connect(), reading())
    assert not caught.value.nothing_sent


@pytest.mark.parametrize(
    ("other", "found"),
    [
        ({"at": MORNING + timedelta(seconds=120)}, True),
        ({"at": MORNING + timedelta(seconds=121)}, False),
        ({"at": MORNING - timedelta(seconds=61), "weight": 8005}, True),
        ({"at": MORNING - timedelta(seconds=61), "weight": 8006}, False),
    ],
)
@pytest.mark.parametrize("fault", ["409", "200-duplicate"])
def test_duplicate(garmin: GarminStandIn, connect: Connect, other: dict[str, Any], found: bool, fault: str) -> None:
    """A duplicate counts as present only if there is the same weight near the instant."""
    garmin.weights.add(raw(**other))
    garmin.faults.add("upload", fault)
    ours = connect(confirm_s=0)
    if found:
        assert delivered(deliver(ours, reading())[0]).status == "present"
    else:
        with pytest.raises(GarminRefused, match="duplicate"):
            deliver(ours, reading())


@pytest.mark.parametrize("fault", ["500", "403", "429", "firewall-html", "not-json", "drop-before"])
def test_read_back_fails(garmin: GarminStandIn, connect: Connect, fault: str) -> None:
    """If the read-back fails after a good upload, the status is `accepted`, with a warning."""
    blind_after_an_upload(garmin, fault)
    outcome = delivered(deliver(connect(), reading())[0])
    assert outcome.status == "accepted"
    assert warned(outcome) == [Code.LOOK_FAILED]


def test_rate_limit_ends_looks(garmin: GarminStandIn, connect: Connect) -> None:
    """If Garmin asks to wait, there are no more looks."""
    blind_after_an_upload(garmin, "429")
    assert delivered(deliver(connect(confirm_s=2), reading())[0]).status == "accepted"
    assert routes(garmin) == ["weight/range", "upload", "weight/range"]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("500", GarminUnreachable),
        ("drop-within", GarminUnreachable),
        ("firewall-html", GarminUnreachable),
        ("not-json", GarminUnreachable),
        ("truncated-json", GarminUnreachable),
        ("200-empty", GarminUnreachable),
        ("200", GarminRefused),  # JSON, but not a list of weigh-ins
        ("401", SignInNeeded),
        ("403", GarminRefused),
        ("429-retry-after", RateLimited),
    ],
)
def test_no_upload_without_a_look(
    garmin: GarminStandIn, connect: Connect, fault: str, kind: type[WeighbridgeError]
) -> None:
    """If the look before the upload fails, nothing is sent."""
    garmin.faults.add("weight/range", fault, times=None)
    with pytest.raises(kind) as caught:
        deliver(connect(), reading())
    assert caught.value.nothing_sent
    assert garmin.uploads_received == 0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "14"}, 14),
        ({}, DEFAULT_RETRY_AFTER_S),
        ({"retry-after": "soon"}, DEFAULT_RETRY_AFTER_S),
        ({"retry-after": "-5"}, DEFAULT_RETRY_AFTER_S),
        ({"retry-after": "0"}, 1),
        ({"retry-after": "999999999"}, 86_400),
        ({"retry-after": "Mon, 23 Nov 2026 06:32:00 GMT", "date": "Mon, 23 Nov 2026 06:30:00 GMT"}, 120),
        ({"retry-after": "Mon, 23 Nov 2026 06:32:00 GMT", "date": "Mon, 23 Nov 2026 06:40:00 GMT"}, 1),
        ({"retry-after": "Mon, 23 Nov 2026 06:32:00 GMT"}, DEFAULT_RETRY_AFTER_S),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: int) -> None:
    """Retry-After is a number of seconds, or a date by Garmin's own clock."""
    assert retry_after_s(GarminResponse(429, headers, b"")) == seconds


def test_retry_after_date(garmin: GarminStandIn, connect: Connect) -> None:
    """A date in Retry-After reaches the caller as seconds."""
    garmin.faults.add("upload", "429", retry_after=email.utils.formatdate(time.time() + 90, usegmt=True))
    with pytest.raises(RateLimited) as caught:
        deliver(connect(), reading())
    assert 85 <= caught.value.retry_after_s <= 91


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"null",
        b"3",
        b'{"detailedImportResult": []}',
        b'{"detailedImportResult": {"failures": {"messages": 1}, "uploadId": []}}',
        b'{"detailedImportResult": {"failures": [1, {"messages": [2, {"content": 5}]}]}}',
        b'{"detailedImportResult": {"successes": 1e999999999}}',
        b"[" * 100_000,
        b"\xff\xfe",
        b"NaN",
    ],
)
@pytest.mark.parametrize("status", [200, 202, 400, 409, 418])
def test_any_upload_answer(status: int, body: bytes) -> None:
    """Any body of an upload's answer can be read without an exception."""
    result = read_upload_answer(GarminResponse(status, {}, body), "Sign in again.")
    assert result.fault is not None or status in (200, 202)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"dailyWeightSummaries": null}',
        '{"dailyWeightSummaries": [{}]}',
        '{"dailyWeightSummaries": [{"allWeightMetrics": [3]}]}',
        '{"dailyWeightSummaries": [{"metrics": [{"samplePk": 1}]}]}',
        '{"dailyWeightSummaries": [{"allWeightMetrics": [{"samplePk": 1, "massInGrams": 80000.0}]}]}',
        '{"dailyWeightSummaries": [{"allWeightMetrics": [{"samplePk": NaN}]}]}',
        '{"dailyWeightSummaries": [' + "[]," * 70_000 + "0]}",
    ],
    ids=range(11),
)
def test_unexpected_list(body: str) -> None:
    """A list of weigh-ins in an unexpected shape is Garmin's fault, and the message does not repeat it."""
    with pytest.raises(GarminFault) as caught:
        read_weigh_ins(GarminResponse(200, {}, body.encode()))
    assert "8000" not in str(caught.value)


GOOD = {"samplePk": "1", "calendarDate": '"2026-11-23"', "weight": "80000.0", "timestampGMT": "1763879465000"}


def listed(*entries: dict[str, str], more: str = "") -> bytes:
    of_day = ["{" + ",".join(f'"{name}": {text}' for name, text in entry.items()) + "}" for entry in entries]
    return ('{"dailyWeightSummaries": [' + more + '{"allWeightMetrics": [' + ",".join(of_day) + "]}]}").encode()


@pytest.mark.parametrize(
    "odd",
    [
        {"weight": "null"},
        {"weight": '"80"'},
        {"weight": "true"},
        {"weight": "1e999999999"},
        {"bodyFat": "[]"},
        {"samplePk": '"1749996902851"'},
        {"timestampGMT": "1e19"},
        {"timestampGMT": "-1"},
        {"timestampGMT": "1e999999999"},
        {"timestampGMT": "null"},
        {"calendarDate": '"today"'},
        {"calendarDate": "null"},
    ],
    ids=str,
)
@pytest.mark.parametrize("others", [0, 2])
def test_odd_entry(odd: dict[str, str], others: int) -> None:
    """An entry with an odd value costs itself, and is counted; those beside it are read."""
    found = read_weigh_ins(GarminResponse(200, {}, listed(GOOD | odd, *[GOOD] * others)))
    assert (len(found.entries), found.unreadable) == (others, 1)


@pytest.mark.parametrize("day", ["null", '{"allWeightMetrics": null}', "3", '{"allWeightMetrics": 7}', '"x"'])
def test_odd_day(day: str) -> None:
    """A day in another shape costs that day."""
    found = read_weigh_ins(GarminResponse(200, {}, listed(GOOD, more=f"{day},")))
    assert (len(found.entries), found.unreadable) == (1, 1)


def test_day_without_metrics() -> None:
    """A day of which Garmin shows null is not a change of the shape, even if it is the only one."""
    found = read_weigh_ins(GarminResponse(200, {}, b'{"dailyWeightSummaries": [{"allWeightMetrics": null}]}'))
    assert found == ([], 1)


def test_too_many_entries() -> None:
    """20,000 entries are read, more are refused."""
    assert len(read_weigh_ins(GarminResponse(200, {}, listed(*[GOOD] * 20_000))).entries) == 20_000
    with pytest.raises(GarminRefused, match="more than 20,000"):
        read_weigh_ins(GarminResponse(200, {}, listed(*[GOOD] * 20_001)))


def test_odd_entry_and_sending(garmin: GarminStandIn, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """Beside an entry that cannot be read, a reading is sent and confirmed, and a warning and the log name it."""
    garmin.weights.add(raw(MORNING - timedelta(hours=2)))
    answer = garmin.answer

    def with_null(request: http_types.Request) -> tuple[http_types.Response, float]:
        response, delay_s = answer(request)
        body = response.body.replace(b'"weight": 80000.0', b'"weight": null')
        return replace(response, body=body), delay_s

    garmin.answer = with_null  # type: ignore[method-assign]
    outcome = delivered(deliver(connect(), reading(weight_kg="81.00"))[0])
    assert (outcome.status, warned(outcome)) == ("confirmed", [Code.ENTRIES_UNREADABLE])
    assert "1 weigh-in(s) around this day that cannot be read" in caplog.text


def test_sanitize() -> None:
    """Garmin's words are passed on short, printable, and without numbers, such as an account or a weight."""
    assert sanitize("Owner 2591602\x00\x1b[31m said\n no: 1234-5678") == "Owner … […m said no: …"
    assert sanitize("Weight 81.4 kg, 2 entries") == "Weight … kg, … entries"
    assert len(sanitize("x" * 5000)) == 200
    assert sanitize("Duplicate Activity.") == "Duplicate Activity."


# -- reading and deleting --------------------------------------------------------------------------------


def test_list(garmin: GarminStandIn, connect: Connect) -> None:
    """Weigh-ins are listed oldest first, in our names and units, as exact decimals."""
    garmin.weights.add(raw(bmi=228))
    garmin.weights.add({"timestamp": raw()["timestamp"] - 86_400, "weight": 7999})
    older, newer = connect().list_weigh_ins(date(2026, 11, 20), date(2026, 11, 23))
    assert older.shown() == {"measured_at": "2026-11-22T06:31:05Z", "weight_kg": Decimal("79.99")}
    assert newer.calendar_date == date(2026, 11, 23)
    assert newer.id == f"2026-11-23.{garmin.weigh_ins()[0]['samplePk']}"
    assert {name: str(value) for name, value in newer.shown().items()} == {
        "measured_at": "2026-11-23T06:31:05Z",
        "weight_kg": "80",
        "bmi": "22.8",
        "body_fat_percent": "20",
        "body_water_percent": "55",
        "bone_mass_kg": "3.2",
        "muscle_mass_kg": "60.8",
        "visceral_fat_rating": "8",
        "metabolic_age_years": "40",
    }


def test_delete(garmin: GarminStandIn, connect: Connect) -> None:
    """A listed weigh-in can be deleted once."""
    garmin.weights.add(raw())
    ours = connect()
    (weigh_in,) = ours.list_weigh_ins(date(2026, 11, 23), date(2026, 11, 23))
    ours.delete_weigh_in(weigh_in.id)
    assert garmin.weigh_ins() == []
    with pytest.raises(NotFound):
        ours.delete_weigh_in(weigh_in.id)


@pytest.mark.parametrize(
    "name", ["", "1", "2026-11-23", "2026-11-23.", "2026-02-30.1", "2026-11-23.1/..", "2026-11-23.١", "x.1", "." * 99]
)
def test_impossible_id(garmin: GarminStandIn, connect: Connect, name: str) -> None:
    """An impossible id is not found, and Garmin is not asked."""
    with pytest.raises(NotFound):
        connect().delete_weigh_in(name)
    assert garmin.requests == []


@pytest.mark.parametrize("fault", ["drop-after", "504-carried-out"])
def test_deletion_without_an_answer(garmin: GarminStandIn, connect: Connect, fault: str) -> None:
    """After a deletion without an answer, a look finds that the weigh-in is gone."""
    garmin.weights.add(raw())
    garmin.faults.add("weight/delete", fault)
    connect().delete_weigh_in(f"2026-11-23.{garmin.weigh_ins()[0]['samplePk']}")
    assert garmin.weigh_ins() == []


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("drop-before", OutcomeUnknown), ("503", OutcomeUnknown), ("403", GarminRefused), ("401", SignInNeeded)],
)
def test_failed_deletion(garmin: GarminStandIn, connect: Connect, fault: str, kind: type[WeighbridgeError]) -> None:
    """A deletion that did not happen is never reported as done."""
    garmin.weights.add(raw())
    garmin.faults.add("weight/delete", fault, times=None)
    with pytest.raises(kind):
        connect().delete_weigh_in(f"2026-11-23.{garmin.weigh_ins()[0]['samplePk']}")
    assert len(garmin.weigh_ins()) == 1


# -- all at once -----------------------------------------------------------------------------------------


def test_many_threads_lost_answers(garmin: GarminStandIn, connect: Connect) -> None:
    """100 posts from eight threads, with a third of the answers lost, make one weigh-in."""
    garmin.faults.add("upload", "drop-after", times=None, probability=1 / 3)
    garmin.faults.add("weight/range", "drop-within", times=None, probability=1 / 3)
    ours = connect(confirm_s=1)
    start = threading.Barrier(8, timeout=30)

    def post(number: int) -> str:
        if number < 8:
            start.wait()
        for _ in range(50):
            try:
                return delivered(deliver(ours, reading())[0]).status
            except (OutcomeUnknown, GarminUnreachable):
                continue
        return "lost"

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(post, range(100)))
    assert set(statuses) <= {"confirmed", "present", "accepted"}
    assert [w["weight"] for w in garmin.weigh_ins()] == [80_000.0]


# -- health and privacy ----------------------------------------------------------------------------------


def test_health(garmin: GarminStandIn, connect: Connect) -> None:
    """`health` shows the days until the token ends, without a request to Garmin."""
    assert connect().health() == {"name": "garth", "ready": True, "token_days_left": 30.0}
    assert garmin.requests == []


@pytest.mark.parametrize(("confirm_s", "status"), [(0.2, "confirmed"), (0, "accepted"), (0.2, "present")])
def test_last_success(garmin: GarminStandIn, connect: Connect, tmp_path: Path, confirm_s: float, status: str) -> None:
    """`health` of another process shows when Garmin last took a reading, or showed that it has it."""
    if status == "present":
        deliver(connect(), reading())
        (tmp_path / "tokens" / "default.state").unlink()
    assert "last_success_at" not in connect().health()
    started = datetime.now(UTC).replace(microsecond=0)
    assert delivered(deliver(connect(confirm_s=confirm_s), reading())[0]).status == status
    last = str(connect().health()["last_success_at"])
    assert started <= datetime.fromisoformat(last) <= datetime.now(UTC)
    (tmp_path / "tokens" / "default.json").unlink()
    missing = connect().health()
    assert (missing["ready"], missing["last_success_at"]) == (False, last)


@pytest.mark.parametrize("fault", ["400", "403", "503"])
def test_no_success(garmin: GarminStandIn, connect: Connect, fault: str) -> None:
    """What Garmin refused, or perhaps does not have, is not a success."""
    garmin.faults.add("upload", fault, times=None)
    with pytest.raises(WeighbridgeError):
        deliver(connect(), reading())
    assert "last_success_at" not in connect().health()


@pytest.mark.parametrize(("days", "announced"), [(15, False), (13.3, True), (0.4, True)])
def test_end_is_announced(garmin: GarminStandIn, tmp_path: Path, days: float, announced: bool) -> None:
    """From two weeks before the end of a sign-in, `health` is ready and says how to renew it, and whose it is."""
    garmin.sign_in.refresh_token_lifetime_s = days * 86_400
    garmin.write_token(tmp_path / "tokens").rename(tmp_path / "tokens" / "anna.json")
    session = GarthSession(TokenStore(tmp_path / "tokens", "anna"), domain=garmin.domain, ca_bundle=garmin.ca_bundle)
    health = GarminConnect(session, name="garth", confirm_s=0).health()
    assert health["ready"] is True
    said = str(health.get("detail", ""))
    assert (f"ends in {days:.0f} day(s)" in said) == said.endswith("weighbridge login --name anna.") == announced


def test_health_with_fix(garmin: GarminStandIn, connect: Connect, tmp_path: Path) -> None:
    """`health` says how to fix a missing, a damaged and an ended token."""
    path = tmp_path / "tokens" / "default.json"
    garmin.sign_in.refresh_token_lifetime_s = -10
    garmin.write_token(tmp_path / "tokens")
    ended = connect().health()
    path.write_text("{")
    damaged = connect().health()
    path.unlink()
    missing = connect().health()
    for state in (ended, damaged, missing):
        assert state["ready"] is False
        assert "weighbridge login" in str(state["detail"])


def test_nothing_leaks(
    garmin: GarminStandIn,
    connect: Connect,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """No fault, log or output holds a weight, a token or an account number."""
    caplog.set_level(0)
    token = TokenStore(tmp_path / "tokens").read()
    assert token is not None
    texts = []
    for fault in ["400", "401", "403", "409", "412", "429", "503", "drop-before", "drop-after", "400-upload-id"]:
        garmin.reset()
        garmin.faults.add("upload", fault, times=2)
        try:
            outcome = delivered(deliver(connect(confirm_s=0), only_weight("87.65"))[0])
            texts += [str(warning) for warning in outcome.warnings]
        except WeighbridgeError as e:
            context: BaseException | None = e
            while context is not None:
                texts += [str(context), repr(context)]
                context = None if context.__suppress_context__ else (context.__cause__ or context.__context__)
    output = capfd.readouterr()
    texts += [record.getMessage() for record in caplog.records] + [output.out, output.err]
    secrets = [
        token.access_token.get_secret_value(),
        token.refresh_token.get_secret_value(),
        "87.65",
        "8765",
        "2591602",
    ]
    assert not [secret for secret in secrets if any(secret in text for text in texts)]
