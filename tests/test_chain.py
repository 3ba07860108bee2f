"""The next delivery takes over only when the one before definitely did not deliver."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import pytest

from tests.test_folder import READING, proven
from weighbridge.delivery.chain import Chain
from weighbridge.delivery.folder import Folder
from weighbridge.delivery.port import Delivered, Outcome, Prove
from weighbridge.errors import (
    Conflict,
    GarminRefused,
    GarminUnreachable,
    OutcomeUnknown,
    RateLimited,
    SignInNeeded,
    WeighbridgeError,
)
from weighbridge.notes import Code
from weighbridge.reading.reading import Reading


class Failing:
    """A delivery that always raises this fault."""

    name = "failing"

    def __init__(self, fault: WeighbridgeError) -> None:
        self.fault = fault

    def deliver(
        self, readings: Sequence[Reading], prove: Prove, *, replace: bool, untimed: Collection[Reading] = ()
    ) -> Mapping[Reading, Outcome]:
        raise self.fault

    def take_back(self, measured_at: datetime, person: str | None) -> bool:
        raise self.fault

    def health(self) -> Mapping[str, object]:
        return {"name": self.name, "ready": False, "detail": str(self.fault)}


DEFINITE = [SignInNeeded("a"), GarminRefused("b"), GarminUnreachable("c"), RateLimited("d", 60)]
FINAL = [OutcomeUnknown("a"), Conflict("b", {}, [])]


@pytest.mark.parametrize("fault", DEFINITE, ids=lambda fault: type(fault).__name__)
def test_definite_fault_falls_back(tmp_path: Path, fault: WeighbridgeError) -> None:
    """If nothing was sent for certain, the next link keeps the file, and a warning gives the reason."""
    outcome = Chain([Failing(fault), Folder(tmp_path)]).deliver([READING], proven, replace=False)[READING]
    assert isinstance(outcome, Delivered)
    assert outcome.status == "kept"
    assert outcome.warnings == (Code.FELL_BACK(delivery="failing", fault=fault),)


@pytest.mark.parametrize("fault", FINAL, ids=lambda fault: type(fault).__name__)
def test_unknown_outcome_ends_the_chain(tmp_path: Path, fault: WeighbridgeError) -> None:
    """An unknown outcome and a fault of the caller end the chain; no file is kept."""
    with pytest.raises(type(fault)):
        Chain([Failing(fault), Folder(tmp_path)]).deliver([READING], proven, replace=False)
    assert list(tmp_path.iterdir()) == []


def test_last_fault_is_raised(tmp_path: Path) -> None:
    """If every link fails, the chain raises the fault of the last one."""
    with pytest.raises(GarminUnreachable):
        Chain([Failing(SignInNeeded("a")), Failing(GarminUnreachable("b"))]).deliver([READING], proven, replace=False)


class Holding:
    """A delivery that holds these instants."""

    def __init__(self, name: str, *instants: datetime) -> None:
        self.name, self.instants = name, list(instants)

    def deliver(
        self, readings: Sequence[Reading], prove: Prove, *, replace: bool, untimed: Collection[Reading] = ()
    ) -> Mapping[Reading, Outcome]:
        raise NotImplementedError

    def take_back(self, measured_at: datetime, person: str | None) -> bool:
        found = measured_at in self.instants
        self.instants = [instant for instant in self.instants if instant != measured_at]
        return found

    def health(self) -> Mapping[str, object]:
        return {"name": self.name, "ready": True}


AT = READING.measured_at


def test_take_back_everywhere() -> None:
    """A weigh-in is taken back from Garmin and from the folder, wherever it is."""
    garmin, other, folder = Holding("garth", AT), Holding("browser", AT), Holding("folder", AT)
    assert Chain([garmin, other, folder]).take_back(AT, None)
    assert (garmin.instants, folder.instants) == ([], [])
    assert other.instants == [AT], "the same account is asked once"
    assert not Chain([garmin, folder]).take_back(AT, None)


def test_take_back_by_another_link() -> None:
    """Any link to Garmin will do; if none can be asked, that is the answer, whatever the folder had."""
    failing, folder = Failing(GarminUnreachable("down")), Holding("folder", AT)
    assert Chain([failing, Holding("browser", AT)]).take_back(AT, None)
    with pytest.raises(GarminUnreachable):
        Chain([failing, folder]).take_back(AT, None)
    assert folder.instants == []


def test_ready_as_the_first_link(tmp_path: Path) -> None:
    """A chain is ready if its first link is, whatever the others are."""
    ready, waiting = Folder(tmp_path), Failing(SignInNeeded("sign in"))
    assert Chain([waiting, ready]).health()["ready"] is False
    assert Chain([ready, waiting]).health()["ready"] is True


class Successful(Failing):
    """A delivery that last delivered then."""

    def __init__(self, at: str) -> None:
        super().__init__(SignInNeeded("a"))
        self.at = at

    def health(self) -> Mapping[str, object]:
        return {**super().health(), "last_success_at": self.at}


def test_last_success_of_any_link(tmp_path: Path) -> None:
    """The last success is the latest of all links that know one."""
    links = [Failing(SignInNeeded("a")), Successful("2026-11-20T06:31:00Z"), Successful("2026-11-19T06:31:00Z")]
    health = Chain([*links, Folder(tmp_path)]).health()
    assert (health["ready"], health["last_success_at"]) == (False, "2026-11-20T06:31:00Z")
    assert "last_success_at" not in Chain([links[0], Folder(tmp_path)]).health()
