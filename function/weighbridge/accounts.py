"""Several people, each with a Garmin account of their own, as one `Delivery`.

Rule: a person's readings reach their own account and no other. Whose a reading is, is settled before anything is
encoded; what is needed to settle it (what each weighed lately) is asked of each account once a request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from .delivery.port import Delivery, Outcome, Prove, WeighInStore
from .errors import FieldError, NotFound, QueryInvalid, WeighbridgeError
from .reading.interpret import Interpreted
from .reading.people import RECENT, Person, Weight, named, of_person, who
from .reading.reading import Reading


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a person's readings go, and where they can be read, if they can."""

    delivery: Delivery
    store: WeighInStore | None


class PerPerson:
    """A `Delivery` to the account of whoever a reading names."""

    def __init__(self, accounts: Mapping[Person, Destination]) -> None:
        self.accounts = accounts
        self.name = next(iter(accounts.values())).delivery.name

    @property
    def people(self) -> tuple[Person, ...]:
        return tuple(self.accounts)

    def settle(self) -> Callable[[Interpreted], Interpreted]:
        """For one request: a reading -> the same as its person's. It raises `ReadingRejected` or a `GarminFault`."""
        seen: dict[tuple[Person, int], list[Weight]] = {}

        def recent(person: Person, before: datetime) -> Sequence[Weight]:
            store = self.accounts[person].store
            if store is None:
                return ()
            # By the month, so that a long history asks a few times and not once a reading.
            month = before.year * 12 + before.month
            if (person, month) not in seen:
                first = before.date().replace(day=1) - RECENT - timedelta(days=1)
                weigh_ins = store.list_weigh_ins(first, first + timedelta(days=63))
                seen[person, month] = [
                    Weight(w.measured_at, Decimal(w.values["weight_kg"])) for w in weigh_ins if "weight_kg" in w.values
                ]
            return seen[person, month]

        def settled(interpreted: Interpreted) -> Interpreted:
            return of_person(interpreted, who(self.people, interpreted.reading, recent))

        return settled

    def account(self, name: str | None) -> Destination:
        """The account of a name or alias. Raises `QueryInvalid` or `NotFound`."""
        known = ", ".join(person.name for person in self.people)
        if name is None and len(self.accounts) > 1:
            raise QueryInvalid([FieldError("person", None, f"One of these was expected: {known}.")])
        person = self.people[0] if name is None else named(self.people, name)
        if person is None:
            raise NotFound(f"No person by that name is configured. Known: {known}.")
        return self.accounts[person]

    # -- Delivery ----------------------------------------------------------------------------------------

    def deliver(self, readings: Sequence[Reading], prove: Prove, *, replace: bool) -> Mapping[Reading, Outcome]:
        """See `port.Delivery`. A fault that all of one person's readings share leaves the others alone."""
        outcomes: dict[Reading, Outcome] = {}
        for person, account in self.accounts.items():
            theirs = [reading for reading in readings if reading.person == person.name]
            if not theirs:
                continue
            try:
                outcomes |= account.delivery.deliver(theirs, prove, replace=replace)
            except WeighbridgeError as fault:
                outcomes |= dict.fromkeys(theirs, fault)
        return outcomes

    def health(self) -> Mapping[str, object]:
        """Ready when everybody's is; what needs attention first is said for all."""
        states = {person.name: _state(person, account) for person, account in self.accounts.items()}
        worst = min(states.values(), key=lambda state: (bool(state["ready"]), _days(state)))
        return {**worst, "people": states}


def _state(person: Person, account: Destination) -> dict[str, object]:
    state = dict(account.delivery.health())
    if "detail" in state:
        state["detail"] = f"{person.name}: {state['detail']}"
    return state


def _days(state: Mapping[str, object]) -> float:
    days = state.get("token_days_left")
    return float(days) if isinstance(days, int | float) else float("inf")
