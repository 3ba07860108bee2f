"""The story: a payload becomes a reading, the reading a proven file, the file a delivery, and all of it a receipt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from .delivery.port import Delivered, Delivery
from .delivery.receipt import Receipt, make_receipt
from .dialects import Interpreted, interpret
from .errors import ProofFailed, TemplateUnusable, WeighbridgeError
from .fit.encode import encode
from .fit.patch import patch
from .fit.template import Template
from .fit.verify import VerifiedFit, verify
from .reading import Reading

#: Weigh-ins in one file. A large history file got a 504 from Garmin (XiaoSiHwang/garmin-weight-sync issue 8);
#: others send at most 200.
READINGS_PER_FILE = 200


def prove(template: Template, readings: Sequence[Reading]) -> VerifiedFit:
    """Readings -> one FIT file that fitdecode has read back and found to say exactly this."""
    rows = [encode(reading) for reading in readings]
    return verify(patch(template, rows), template, rows)


def rehearse(template: Template) -> None:
    """Prove two made-up readings that fill every slot. Raises `TemplateUnusable` when no reading could be proven.

    Our own walk is more lenient than fitdecode: a developer field that nothing describes, or a field of zero bytes
    in a foreign message, would otherwise be found only when the first reading fails.
    """
    rows = [dict.fromkeys(template.fields, raw) for raw in (1, 2)]
    try:
        verify(patch(template, rows), template, rows)
    except ProofFailed as e:
        raise TemplateUnusable(f"No reading could be proven in this template. {e}") from e


def _as_it_is(interpreted: Interpreted) -> Interpreted:
    return interpreted


@dataclass(frozen=True, slots=True)
class Weighbridge:
    """A template, a delivery, and the zone of times without an offset."""

    template: Template
    delivery: Delivery
    timezone: ZoneInfo
    #: Begins a request: what it returns makes a reading its person's.
    settle: Callable[[], Callable[[Interpreted], Interpreted]] = lambda: _as_it_is

    def weigh(
        self, payloads: Sequence[object], *, now: datetime, dry_run: bool, replace: bool
    ) -> list[Receipt | WeighbridgeError]:
        """Payloads -> a receipt or a fault for each, in order. One bad payload never stops the others.

        A payload that could not even be read arrives as its fault, and leaves as it.
        """
        results: dict[int, Receipt | WeighbridgeError] = {}
        good: list[tuple[int, Interpreted]] = []
        settled = self.settle()
        for index, payload in enumerate(payloads):
            try:
                if isinstance(payload, WeighbridgeError):
                    raise payload
                good.append((index, settled(interpret(payload, now=now, timezone=self.timezone))))
            except WeighbridgeError as fault:
                results[index] = fault
        for start in range(0, len(good), READINGS_PER_FILE):
            indices, parcel = zip(*good[start : start + READINGS_PER_FILE], strict=True)
            outcomes = self._deliver(parcel, dry_run=dry_run, replace=replace)
            results.update(zip(indices, outcomes, strict=True))
        return [results[index] for index in range(len(payloads))]

    def fit(self, payloads: Sequence[object], *, now: datetime) -> tuple[list[Reading], VerifiedFit]:
        """Payloads -> the proven file itself. Nothing is sent; the first fault ends it."""
        settled = self.settle()
        readings = [settled(interpret(payload, now=now, timezone=self.timezone)).reading for payload in payloads]
        return readings, prove(self.template, readings)

    def _deliver(
        self, parcel: Sequence[Interpreted], *, dry_run: bool, replace: bool
    ) -> Sequence[Receipt | WeighbridgeError]:
        readings = [interpreted.reading for interpreted in parcel]
        rows = [encode(reading) for reading in readings]
        outcomes: Sequence[Delivered | bytes | WeighbridgeError]
        try:
            if dry_run:
                # The bytes that would be sent. Nothing is sent, so nothing is proven; `fit` rehearses with proof.
                outcomes = [patch(self.template, rows)] * len(parcel)
            else:
                outcomes = self.delivery.deliver(readings, lambda some: prove(self.template, some), replace=replace)
        except WeighbridgeError as fault:
            return [fault] * len(parcel)
        return [
            outcome
            if isinstance(outcome, WeighbridgeError)
            else make_receipt(interpreted, raws, self.template, outcome)
            for interpreted, raws, outcome in zip(parcel, rows, outcomes, strict=True)
        ]
