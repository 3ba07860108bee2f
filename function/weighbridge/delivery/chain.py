"""A chain of deliveries: the next one takes over only when the one before definitely did not deliver.

Rule: an unknown outcome stops the chain. A kept file that Garmin may already hold could be imported a second time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace as with_changes
from datetime import datetime

from ..errors import CallerFault, ProofFailed, WeighbridgeError
from ..notes import Code, Note
from ..reading.reading import Reading
from .port import FOLDER, Delivered, Delivery, Outcome, Prove


class Chain:
    """Several deliveries as one `Delivery`."""

    def __init__(self, links: Sequence[Delivery]) -> None:
        self.links = tuple(links)
        self.name = ",".join(link.name for link in links)

    def deliver(
        self, readings: Sequence[Reading], prove: Prove, *, replace: bool, untimed: Collection[Reading] = ()
    ) -> Mapping[Reading, Outcome]:
        reasons: list[Note] = []
        for link in self.links[:-1]:
            try:
                outcomes = link.deliver(readings, prove, replace=replace, untimed=untimed)
            except (CallerFault, ProofFailed):
                raise
            except WeighbridgeError as fault:
                if not fault.nothing_sent:
                    raise
                reasons.append(Code.FELL_BACK(delivery=link.name, fault=fault))
            else:
                return _with_reasons(outcomes, reasons)
        last = self.links[-1].deliver(readings, prove, replace=replace, untimed=untimed)
        return _with_reasons(last, reasons)

    def take_back(self, measured_at: datetime, person: str | None) -> bool:
        """See `port.Delivery`. Deletes the weigh-in from Garmin Connect, by the first link that can, and from the
        folder."""
        found, fault = False, None
        looked: set[bool] = set()  # in the folder, in Garmin Connect
        for link in self.links:
            is_folder = link.name == FOLDER
            if is_folder in looked:
                continue
            try:
                found = link.take_back(measured_at, person) or found
                looked.add(is_folder)
            except WeighbridgeError as e:
                fault = e
        if fault is not None and len(looked) < len({link.name == FOLDER for link in self.links}):
            raise fault
        return found

    def health(self) -> Mapping[str, object]:
        """Ready if the first link is. Later links are fallbacks, and running on one is not healthy. The last success
        is that of any link."""
        states = [link.health() for link in self.links]
        successes = [str(state["last_success_at"]) for state in states if "last_success_at" in state]
        last = {"last_success_at": max(successes)} if successes else {}
        return {**states[0], **last, "chain": states}


def _with_reasons(outcomes: Mapping[Reading, Outcome], reasons: Sequence[Note]) -> Mapping[Reading, Outcome]:
    if not reasons:
        return outcomes
    return {
        reading: with_changes(outcome, warnings=(*reasons, *outcome.warnings))
        if isinstance(outcome, Delivered)
        else outcome
        for reading, outcome in outcomes.items()
    }
