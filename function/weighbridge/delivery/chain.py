"""A chain of deliveries: the next one takes over only when the one before definitely did not deliver.

Rule: an unknown outcome stops the chain. A kept file that Garmin may already hold could be imported a second time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace as with_changes

from ..errors import CallerFault, ProofFailed, WeighbridgeError
from ..notes import Code, Note
from ..reading.reading import Reading
from .port import Delivered, Delivery, Outcome, Prove


class Chain:
    """Several deliveries as one `Delivery`."""

    def __init__(self, links: Sequence[Delivery]) -> None:
        self.links = tuple(links)
        self.name = ",".join(link.name for link in links)

    def deliver(self, readings: Sequence[Reading], prove: Prove, *, replace: bool) -> Mapping[Reading, Outcome]:
        reasons: list[Note] = []
        for link in self.links[:-1]:
            try:
                outcomes = link.deliver(readings, prove, replace=replace)
            except (CallerFault, ProofFailed):
                raise
            except WeighbridgeError as fault:
                if not fault.nothing_sent:
                    raise
                reasons.append(Note(Code.FELL_BACK, f"{link.name} did not deliver: {fault}"))
            else:
                return _with_reasons(outcomes, reasons)
        return _with_reasons(self.links[-1].deliver(readings, prove, replace=replace), reasons)

    def health(self) -> Mapping[str, object]:
        """Ready if the first link is. Later links are fallbacks, and running on one is not healthy."""
        states = [link.health() for link in self.links]
        return {**states[0], "chain": states}


def _with_reasons(outcomes: Mapping[Reading, Outcome], reasons: Sequence[Note]) -> Mapping[Reading, Outcome]:
    if not reasons:
        return outcomes
    return {
        reading: with_changes(outcome, warnings=(*reasons, *outcome.warnings))
        if isinstance(outcome, Delivered)
        else outcome
        for reading, outcome in outcomes.items()
    }
