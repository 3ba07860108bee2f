"""Several people, each with their own Garmin account, as one `Delivery`.

Rule: a person's readings reach their own account and no other. The person of a reading is decided before anything is
encoded. The recent weights needed for that are read from each account once per request.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from .delivery.port import Delivery, Outcome, Prove, WeighInStore
from .errors import FieldError, NotFound, QueryInvalid, ReadingRejected, WeighbridgeError
from .reading.interpret import Interpreted
from .reading.people import RECENT, Person, Weight, named, of_person, person_of
from .reading.reading import Reading
from .reasons import Why


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a person's readings go, and where they can be read."""

    delivery: Delivery
    store: WeighInStore


class PerPerson:
    """A `Delivery` to the account of the person of each reading."""

    def __init__(self, accounts: Mapping[Person, Destination]) -> None:
        self.accounts = accounts
        self.name = next(iter(accounts.values())).delivery.name

    @property
    def people(self) -> tuple[Person, ...]:
        return tuple(self.accounts)

    def settle(self, name: str | None) -> Callable[[Interpreted], Interpreted]:
        """For one request: a function that assigns a reading to its person, or to the person of this name, whom
        someone chose.

        Raises `NotFound`; that function raises `ReadingRejected` or a `GarminFault`.
        """
        if name is not None:
            chosen = self._named(name)
            return lambda interpreted: of_person(interpreted, chosen)
        seen: dict[tuple[Person, int], list[Weight]] = {}

        def recent(person: Person, before: datetime) -> Sequence[Weight]:
            store = self.accounts[person].store
            # By the month: a long history needs a few requests, and not one for each reading.
            month = before.year * 12 + before.month
            if (person, month) not in seen:
                first = before.date().replace(day=1) - RECENT - timedelta(days=1)
                weigh_ins = store.list_weigh_ins(first, first + timedelta(days=63))
                seen[person, month] = [
                    Weight(w.measured_at, Decimal(w.values["weight_kg"])) for w in weigh_ins if "weight_kg" in w.values
                ]
            return seen[person, month]

        def settled(interpreted: Interpreted) -> Interpreted:
            return of_person(interpreted, person_of(self.people, interpreted, recent))

        return settled

    def account(self, name: str | None) -> Destination:
        """The account of a name or alias. Raises `QueryInvalid` or `NotFound`."""
        if name is None and len(self.accounts) > 1:
            known = [person.name for person in self.people]
            raise QueryInvalid([FieldError("person", None, Why.PERSON_EXPECTED(known=known))])
        return self.accounts[self.people[0] if name is None else self._named(name)]

    def _named(self, name: str) -> Person:
        if person := named(self.people, name):
            return person
        known = ", ".join(person.name for person in self.people)
        raise NotFound(f"No person by that name is configured. Known: {known}.")

    # -- Delivery ----------------------------------------------------------------------------------------

    def deliver(
        self, readings: Sequence[Reading], prove: Prove, *, replace: bool, untimed: Collection[Reading] = ()
    ) -> Mapping[Reading, Outcome]:
        """See `port.Delivery`. A fault that one person's readings share does not affect the others."""
        outcomes: dict[Reading, Outcome] = {}
        for person, account in self.accounts.items():
            theirs = [reading for reading in readings if reading.person == person.name]
            if not theirs:
                continue
            try:
                outcomes |= account.delivery.deliver(theirs, prove, replace=replace, untimed=untimed)
            except WeighbridgeError as fault:
                outcomes |= dict.fromkeys(theirs, fault)
        return outcomes

    def take_back(self, measured_at: datetime, person: str | None) -> bool:
        """See `port.Delivery`. A weigh-in is deleted only from the account of a person who is named, or the only
        one."""
        whose = self.people[0] if person is None and len(self.people) == 1 else None
        whose = named(self.people, person) if person is not None else whose
        if whose is None:
            known = [each.name for each in self.people]
            raise ReadingRejected([FieldError("person", person, Why.PERSON_EXPECTED(known=known))])
        return self.accounts[whose].delivery.take_back(measured_at, person)

    def health(self) -> Mapping[str, object]:
        """Ready if every account is. The account that needs attention first is reported for all."""
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
