"""The next delivery takes over only when the one before definitely did not deliver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from weighbridge.notes import Code, Note
from weighbridge.reading.reading import Reading


class Failing:
    """A delivery that ends as told."""

    name = "failing"

    def __init__(self, fault: WeighbridgeError) -> None:
        self.fault = fault

    def deliver(self, readings: Sequence[Reading], prove: Prove, *, replace: bool) -> Mapping[Reading, Outcome]:
        raise self.fault

    def health(self) -> Mapping[str, object]:
        return {"name": self.name, "ready": False, "detail": str(self.fault)}


DEFINITE = [SignInNeeded("a"), GarminRefused("b"), GarminUnreachable("c"), RateLimited("d", 60)]
FINAL = [OutcomeUnknown("a"), Conflict("b", {}, [])]


@pytest.mark.parametrize("fault", DEFINITE, ids=lambda fault: type(fault).__name__)
def test_when_it_is_certain_that_nothing_was_sent_the_file_is_kept_and_the_reason_told(
    tmp_path: Path, fault: WeighbridgeError
) -> None:
    outcome = Chain([Failing(fault), Folder(tmp_path)]).deliver([READING], proven, replace=False)[READING]
    assert isinstance(outcome, Delivered)
    assert outcome.status == "kept"
    assert outcome.warnings == (Note(Code.FELL_BACK, f"failing did not deliver: {fault}"),)


@pytest.mark.parametrize("fault", FINAL, ids=lambda fault: type(fault).__name__)
def test_an_unknown_outcome_and_a_fault_of_the_caller_end_the_chain(tmp_path: Path, fault: WeighbridgeError) -> None:
    with pytest.raises(type(fault)):
        Chain([Failing(fault), Folder(tmp_path)]).deliver([READING], proven, replace=False)
    assert list(tmp_path.iterdir()) == []


def test_the_last_link_fault_is_the_chain_s(tmp_path: Path) -> None:
    with pytest.raises(GarminUnreachable):
        Chain([Failing(SignInNeeded("a")), Failing(GarminUnreachable("b"))]).deliver([READING], proven, replace=False)


def test_a_chain_is_as_ready_as_its_first_link(tmp_path: Path) -> None:
    ready, waiting = Folder(tmp_path), Failing(SignInNeeded("sign in"))
    assert Chain([waiting, ready]).health()["ready"] is False
    assert Chain([ready, waiting]).health()["ready"] is True
