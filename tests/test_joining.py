"""Messages of one weigh-in become one weigh-in in Garmin, with all of their values, whatever goes wrong between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.delivery.port import Delivered, Outcome
from weighbridge.errors import Conflict, WeighbridgeError
from weighbridge.fit.encode import encode
from weighbridge.fit.template import read_template
from weighbridge.garmin.connect import GarminConnect
from weighbridge.garmin.sessions.garth import GarthSession
from weighbridge.garmin.tokens import TokenStore
from weighbridge.notes import Code
from weighbridge.pipeline import Prover
from weighbridge.reading.reading import Reading
from weighbridge.reasons import Sentences
from weighbridge.resources import TEMPLATES

from .garmin.server import GarminStandIn

TEMPLATE = read_template((TEMPLATES / "weight_scale.fit").read_bytes())
MORNING = datetime(2026, 11, 23, 6, 31, 5, tzinfo=UTC)
#: What one weigh-in measured; each message has the weight and some of the rest.
REST = {
    "bmi": "24.7",
    "body_fat_percent": "18.2",
    "body_water_percent": "55.9",
    "bone_mass_kg": "3.2",
    "muscle_mass_kg": "63.1",
    "visceral_fat_rating": "7",
    "metabolic_age_years": "39",
}
Connect = Callable[..., GarminConnect]


@pytest.fixture
def connect(garmin: GarminStandIn, tmp_path: Path) -> Connect:
    """Makes a `GarminConnect` that joins what is at most a minute apart."""
    return connection(garmin, tmp_path)


def connection(garmin: GarminStandIn, folder: Path) -> Connect:
    garmin.write_token(folder / "tokens")

    def connect(*, join_s: float = 60, confirm_s: float = 0.2) -> GarminConnect:
        session = GarthSession(TokenStore(folder / "tokens"), domain=garmin.domain, ca_bundle=garmin.ca_bundle)
        return GarminConnect(session, name="garth", confirm_s=confirm_s, join_s=join_s)

    return connect


def message(after_s: int = 0, *names: str, weight_kg: str = "81.4", **values: str) -> Reading:
    numbers = {"weight_kg": weight_kg, **{name: REST[name] for name in names}, **values}
    at = MORNING + timedelta(seconds=after_s)
    return Reading(measured_at=at, **{name: Decimal(text) for name, text in numbers.items()})


def send(
    connect: GarminConnect, *readings: Reading, replace: bool = False, untimed: Sequence[Reading] = ()
) -> list[Outcome]:
    outcomes = connect.deliver(readings, Prover(TEMPLATE), replace=replace, untimed=untimed)
    return [outcomes[reading] for reading in readings]


def what_of(outcome: Outcome) -> tuple[str, list[Sentences]]:
    assert isinstance(outcome, Delivered), outcome
    return outcome.status, [note.why for note in (*outcome.notes, *outcome.warnings)]


def held(garmin: GarminStandIn) -> list[dict[str, int]]:
    return sorted((dict(entry.raw) for entry in garmin.weights.entries), key=lambda raws: raws["timestamp"])


# -- one after the other ---------------------------------------------------------------------------------


def test_same_again(garmin: GarminStandIn, connect: Connect) -> None:
    """25 equal messages in 5 s are one weigh-in, and each answer shows that one."""
    ours = connect()
    assert what_of(send(ours, message())[0]) == ("confirmed", [])
    for number in range(1, 25):
        (outcome,) = send(ours, message(number // 5 + 1))
        assert what_of(outcome) == ("present", [Code.SAME_WEIGHING])
        assert isinstance(outcome, Delivered)
        assert outcome.garmin is not None
        assert outcome.garmin.measured_at == MORNING
        assert "2026-11-23T06:31:05Z" in str(outcome.notes[0])
    assert held(garmin) == [encode(message())]


def test_weight_then_the_rest(garmin: GarminStandIn, connect: Connect) -> None:
    """The rest some seconds later completes the weigh-in: at its instant, confirmed first, then the old one deleted."""
    send(connect(), message())
    garmin.requests.clear()
    (outcome,) = send(connect(), message(6, *REST))
    assert what_of(outcome) == ("confirmed", [Code.COMPLETES_WEIGH_IN])
    assert held(garmin) == [encode(message(0, *REST))]
    routes = [logged.route for logged in garmin.requests]
    assert routes == ["weight/range", "upload", "weight/range", "weight/delete"]
    assert what_of(send(connect(), message(6, *REST))[0]) == ("present", [Code.SAME_WEIGHING])


def test_the_rest_first(garmin: GarminStandIn, connect: Connect) -> None:
    """The bare weight that comes late adds nothing."""
    send(connect(), message(6, *REST))
    assert what_of(send(connect(), message())[0]) == ("present", [Code.SAME_WEIGHING])
    assert held(garmin) == [encode(message(6, *REST))]


def test_weight_that_settles(garmin: GarminStandIn, connect: Connect) -> None:
    """The weight of the message with more values counts; of equals, the first one's."""
    send(connect(), message(0, weight_kg="81.6"))
    send(connect(), message(3, weight_kg="81.5"))
    assert held(garmin) == [encode(message(0, weight_kg="81.6"))]
    send(connect(), message(6, *REST))
    assert held(garmin) == [encode(message(0, *REST))]


@pytest.mark.parametrize(
    "other",
    [
        message(61, *REST),
        message(6, *REST, weight_kg="81.71"),
        message(6, *REST, weight_kg="81.09"),
        message(6, "bone_mass_kg", body_fat_percent="18.3"),
    ],
    ids=["a minute", "heavier", "lighter", "contradiction"],
)
def test_two_weigh_ins(garmin: GarminStandIn, connect: Connect, other: Reading) -> None:
    """More than a minute, 0.3 kg or any contradiction apart, two messages are two weigh-ins."""
    first = message(0, "body_fat_percent")
    send(connect(), first)
    assert what_of(send(connect(), other)[0]) == ("confirmed", [])
    assert held(garmin) == [encode(first), encode(other)]


def test_half_a_percent(garmin: GarminStandIn, connect: Connect) -> None:
    """Of a child, 0.51 % of the weight apart are two weigh-ins, and 0.5 % are one."""
    send(connect(), message(0, weight_kg="20.00"), message(120, weight_kg="20.00"))
    assert what_of(send(connect(), message(5, "bmi", weight_kg="20.11"))[0]) == ("confirmed", [])
    assert what_of(send(connect(), message(125, weight_kg="20.10"))[0]) == ("present", [Code.SAME_WEIGHING])
    assert len(held(garmin)) == 3


def test_off(garmin: GarminStandIn, connect: Connect) -> None:
    """With 0 seconds nothing is joined."""
    ours = connect(join_s=0)
    send(ours, message())
    send(ours, message(1), message(2, *REST))
    assert len(held(garmin)) == 3
    with pytest.raises(Conflict):
        send(ours, message(0, "bmi"), untimed=[message(0, "bmi")])


def test_same_instant(garmin: GarminStandIn, connect: Connect) -> None:
    """At the same instant a conflict says what it would add; without a time of its own, the reading is joined."""
    send(connect(), message())
    fuller = message(0, *REST)
    with pytest.raises(Conflict) as caught:
        send(connect(), fuller)
    assert set(caught.value.added) == set(REST)
    assert caught.value.changed == ()
    assert what_of(send(connect(), fuller, untimed=[fuller])[0]) == ("confirmed", [Code.COMPLETES_WEIGH_IN])
    assert held(garmin) == [encode(fuller)]
    changed = message(0, "bone_mass_kg", body_fat_percent="18.1")
    with pytest.raises(Conflict):
        send(connect(), changed, untimed=[changed])


def test_replace_that_adds(garmin: GarminStandIn, connect: Connect) -> None:
    """`replace` with bone and visceral fat alone adds them, and keeps what the entry had."""
    send(connect(), message(0, "body_fat_percent", "muscle_mass_kg"))
    (outcome,) = send(connect(), message(0, "bone_mass_kg", "visceral_fat_rating"), replace=True)
    assert what_of(outcome) == ("confirmed", [Code.COMPLETES_WEIGH_IN])
    (shown,) = garmin.weigh_ins()
    assert (shown["boneMass"], shown["visceralFat"], shown["bodyFat"]) == (3200, 7, 18.2)


def test_values_that_garmin_does_not_show(garmin: GarminStandIn, connect: Connect) -> None:
    """The basal rate of the second message is kept; that of the first is not shown, and so is lost."""
    send(connect(), message(0, basal_metabolic_rate_kcal="1700"))
    fuller = message(5, "body_fat_percent", basal_metabolic_rate_kcal="1720", active_metabolic_rate_kcal="2300")
    send(connect(), fuller)
    assert held(garmin) == [{**encode(fuller), "timestamp": encode(message())["timestamp"]}]


def test_not_in_the_template(garmin: GarminStandIn, connect: Connect) -> None:
    """What the template cannot hold is never deleted: the reading is a weigh-in of its own."""
    send(connect(), message(0, "bone_mass_kg"))
    from .fit_builder import File, file_id, weigh_in

    boneless = Prover(read_template(File([file_id(), weigh_in(without=[4])]).to_bytes()))
    outcome = connect().deliver([message(5, "body_fat_percent")], boneless, replace=False)
    assert what_of(outcome[message(5, "body_fat_percent")]) == ("confirmed", [])
    assert len(held(garmin)) == 2


# -- in one request --------------------------------------------------------------------------------------


def test_one_request(garmin: GarminStandIn, connect: Connect) -> None:
    """Messages of one request are joined before anything is sent, each with its own answer."""
    outcomes = send(connect(), message(6, *REST), message(0), message(9), message(86_400))
    assert list(map(what_of, outcomes)) == [
        ("confirmed", [Code.COMPLETES_WEIGH_IN]),
        ("confirmed", []),
        ("confirmed", [Code.SAME_WEIGHING]),
        ("confirmed", []),
    ]
    assert held(garmin) == [encode(message(0, *REST)), encode(message(86_400))]
    assert garmin.uploads_received == 1
    again = send(connect(), message(6, *REST), message(0), message(9), message(86_400))
    # The first message has now another weight at most; here it is the same, and all of it is there.
    assert {what_of(outcome)[0] for outcome in again if isinstance(outcome, Delivered)} == {"present"}
    assert garmin.uploads_received == 1


def test_same_instant_in_one_request(garmin: GarminStandIn, connect: Connect) -> None:
    """Two sources of one instant, one of them with fat, are one weigh-in; two values for one thing are a conflict."""
    bare, fat, other = message(), message(0, "body_fat_percent"), message(0, body_fat_percent="18.3")
    first, second, third = send(connect(), bare, fat, other)
    assert (what_of(first)[0], what_of(second)[0]) == ("confirmed", "confirmed")
    assert isinstance(third, Conflict)
    assert (third.added, third.changed) == ((), ("body_fat_percent",))
    assert held(garmin) == [encode(fat)]


def test_two_people_in_one_request(garmin: GarminStandIn, connect: Connect) -> None:
    """Readings that name two people are never joined."""
    anna, ben = (replace(message(after_s), person=name) for after_s, name in ((0, "Anna"), (5, "Ben")))
    send(connect(), anna, ben)
    assert len(held(garmin)) == 2


def test_many(garmin: GarminStandIn, connect: Connect) -> None:
    """Of 100 readings against 300 entries, each finds its own."""
    for day in range(300):
        garmin.weights.add(encode(message(-day * 40_000)))
    readings = [message(5 - day * 40_000, *(("bmi",) if day % 2 else ())) for day in range(0, 300, 3)]
    outcomes = send(connect(), *readings)
    assert [what_of(outcome)[0] for outcome in outcomes] == ["present", "confirmed"] * 50
    assert len(held(garmin)) == 300


# -- when something goes wrong ---------------------------------------------------------------------------


def test_crash_before_the_deletion(garmin: GarminStandIn, connect: Connect) -> None:
    """An old entry that could not be deleted is reported, and deleted when the same reading comes again."""
    send(connect(), message(weight_kg="81.5"))
    garmin.faults.add("weight/delete", "503")
    (outcome,) = send(connect(), message(6, *REST))
    assert what_of(outcome) == ("confirmed", [Code.COMPLETES_WEIGH_IN, Code.REPLACED_ENTRY_REMAINS])
    assert len(held(garmin)) == 2
    assert what_of(send(connect(), message(6, *REST))[0]) == ("present", [Code.SAME_WEIGHING])
    assert held(garmin) == [encode(message(0, *REST))]


def test_first_one_again_after_a_crash(garmin: GarminStandIn, connect: Connect) -> None:
    """With both entries left behind, the first message sent again is present, and finishes too."""
    garmin.weights.add(encode(message()))
    garmin.weights.add(encode(message(0, *REST)))
    assert what_of(send(connect(), message())[0]) == ("present", [])
    assert held(garmin) == [encode(message(0, *REST))]


def test_third_one_after_a_crash(garmin: GarminStandIn, connect: Connect) -> None:
    """With both entries left behind, a third message completes the fuller one, and both old ones go."""
    garmin.weights.add(encode(message(0, weight_kg="81.5")))
    garmin.weights.add(encode(message(0, "body_fat_percent")))
    send(connect(), message(9, "body_fat_percent", "bone_mass_kg"))
    assert held(garmin) == [encode(message(0, "body_fat_percent", "bone_mass_kg"))]


def test_other_entries_stay(garmin: GarminStandIn, connect: Connect) -> None:
    """An entry that has something which the fuller one lacks, or contradicts it, is never deleted unasked."""
    others = [message(0, "bmi", weight_kg="81.5"), message(0, body_fat_percent="20.2"), message(0, weight_kg="70")]
    for other in others:
        garmin.weights.add(encode(other))
    fuller = message(0, "body_fat_percent", "bone_mass_kg")
    garmin.weights.add(encode(fuller))
    assert what_of(send(connect(), fuller)[0]) == ("present", [])
    assert what_of(send(connect(), message(7))[0]) == ("present", [Code.SAME_WEIGHING])
    assert len(held(garmin)) == 4
    send(connect(), message(8, *[name for name in REST if name != "bmi"]))
    assert {frozenset(encode(other).items()) for other in others} <= {frozenset(raws.items()) for raws in held(garmin)}


@pytest.mark.parametrize("name", ["body_fat_percent", "bone_mass_kg"])
def test_new_entry_that_lacks_a_value(garmin: GarminStandIn, connect: Connect, name: str) -> None:
    """If the new entry does not show what the old one has, the old one stays."""
    send(connect(), message(0, "body_fat_percent", "bone_mass_kg"))
    answer = garmin.answer

    def hide_after_an_upload(request: object) -> object:
        if getattr(request, "path", "").startswith("/upload-service/"):
            field = {"body_fat_percent": "percent_fat", "bone_mass_kg": "bone_mass"}[name]
            garmin.weights.shown_as = {field: None}
        return answer(request)  # type: ignore[arg-type]

    garmin.answer = hide_after_an_upload  # type: ignore[assignment]
    (outcome,) = send(connect(), message(6, "visceral_fat_rating"))
    assert what_of(outcome)[1] == [Code.COMPLETES_WEIGH_IN, Code.NOT_SHOWN, Code.REPLACED_ENTRY_REMAINS]
    assert len(held(garmin)) == 2


def test_not_visible(garmin: GarminStandIn, connect: Connect) -> None:
    """While the union is not visible, the old entry stays; later the same reading finishes."""
    send(connect(), message())
    garmin.weights.show_delay_s = 3600
    (outcome,) = send(connect(confirm_s=0), message(6, *REST))
    assert what_of(outcome) == (
        "accepted",
        [Code.COMPLETES_WEIGH_IN, Code.NOT_VISIBLE_YET, Code.REPLACED_ENTRY_REMAINS],
    )
    assert len(garmin.weigh_ins()) == 1
    garmin.weights.show_delay_s = 0
    garmin.weights.entries[-1] = type(garmin.weights.entries[-1])(2, garmin.weights.entries[-1].raw, 0)
    assert what_of(send(connect(), message(6, *REST))[0]) == ("present", [Code.SAME_WEIGHING])
    assert held(garmin) == [encode(message(0, *REST))]


class Sent(NamedTuple):
    """A message, and what goes wrong while it is sent for the first time."""

    names: frozenset[str]
    after_s: int
    faults: tuple[tuple[str, str], ...]


FAULTS = st.tuples(
    st.sampled_from(["weight/delete", "upload", "weight/range"]), st.sampled_from(["503", "drop-within"])
)
SENT = st.builds(
    Sent, st.frozensets(st.sampled_from([*REST])), st.integers(0, 60), st.lists(FAULTS, max_size=3).map(tuple)
)


@settings(max_examples=60)
@given(st.lists(SENT, min_size=2, max_size=4), st.data())
def test_any_order_any_lost_answers(
    tmp_path_factory: pytest.TempPathFactory, messages: list[Sent], data: st.DataObject
) -> None:
    """Whichever messages of one weigh-in come in whichever order, and whatever is lost: if each is sent until it is
    final, there is exactly one entry, and it has all values."""
    with GarminStandIn() as garmin:
        ours = connection(garmin, tmp_path_factory.mktemp("account"))(confirm_s=0)
        for sent in messages:
            reading = message(sent.after_s, *sent.names)
            for route, fault in sent.faults:
                garmin.faults.add(route, fault, carried_out=data.draw(st.booleans()))
            assert _sent_until_final(ours, reading), "never final"
        values = {name for sent in messages for name in sent.names}
        (raws,) = held(garmin)
        assert {name: raw for name, raw in raws.items() if name != "timestamp"} == {
            name: raw for name, raw in encode(message(0, *values)).items() if name != "timestamp"
        }
        for sent in messages:
            assert what_of(send(ours, message(sent.after_s, *sent.names))[0])[0] == "present"
        assert garmin.unexpected == []


def _sent_until_final(ours: GarminConnect, reading: Reading) -> bool:
    """Send as the outbox does."""
    replace = False
    for _ in range(10):
        try:
            (outcome,) = send(ours, reading, replace=replace)
        except Conflict as conflict:
            assert conflict.added
            assert not conflict.changed
            replace = True
        except WeighbridgeError:
            continue
        else:
            status, codes = what_of(outcome)
            if status != "accepted" and Code.REPLACED_ENTRY_REMAINS not in codes:
                return True
    return False
