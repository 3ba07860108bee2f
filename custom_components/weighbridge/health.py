"""The function's health and the sign-ins, asked again and again.

Rule: what a person has to repair is an issue, and it is deleted as soon as it is repaired. No text of the function is
parsed: `code` says what is wrong. One line in the log when the function goes away, one when it is back.

Strategy: `/health` has the days that each sign-in lasts, even where `/sign-in` is refused because there is no HTTPS.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryAuthFailed
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed
from homeassistant.util import dt as dt_util

from .answers import Answer
from .const import DOMAIN
from .function import Function

if TYPE_CHECKING:
    from .runtime import WeighbridgeEntry

_LOGGER = logging.getLogger(__name__)

_INTERVAL = timedelta(minutes=5)
#: From how many days before its end a sign-in is announced to end.
ANNOUNCED_DAYS: Final = 14
#: How long the function may be away before an issue shows it. A restart or an update takes minutes.
AWAY: Final = timedelta(hours=1)

SIGN_IN_NEEDED: Final = "sign-in-needed"
#: Of the problems of an answer: somebody else is there, or nobody.
_NOT_THERE = ("no-answer", "not-the-function")


@dataclass(frozen=True, slots=True)
class Account:
    """Whether readings could be delivered to one account of Garmin now."""

    ready: bool
    #: Why not; "" if the key may not know it.
    code: str = ""
    #: The sentence for a person, in English.
    detail: str = ""
    #: Whether it will be ready by itself.
    passes: bool = False
    #: Until the sign-in ends, unless it is renewed. None if it is not known.
    days_left: float | None = None


@dataclass(frozen=True, slots=True)
class HealthState:
    #: Of the function as a whole: the account that needs attention first.
    worst: Account
    #: By the person's name in the function; of one account by "". Empty if the key may not know them.
    accounts: Mapping[str, Account]
    #: Whose weigh-ins the key is for, by their names in the function; none if it has one account only.
    people: tuple[str, ...] = ()
    rights: frozenset[str] = frozenset()
    version: str = ""
    #: The id of the process that answered.
    instance: str = ""


def read_health(answer: Answer) -> HealthState:
    """Of any answer that is the function's: also a problem with its settings is a state of it."""
    body = answer.body
    if not answer.ok:
        return HealthState(Account(ready=False, code=answer.kind, detail=answer.text), {})
    key, delivery = _mapping(body.get("key")), _mapping(body.get("delivery"))
    worst, people = _account(delivery), _mapping(delivery.get("people"))
    return HealthState(
        worst,
        {name: _account(_mapping(state)) for name, state in people.items()} or {"": worst},
        tuple(name for name in _list(key.get("people")) if isinstance(name, str)),
        frozenset(right for right in _list(key.get("rights")) if isinstance(right, str)),
        _text(body, "version"),
        _text(body, "instance"),
    )


def _account(state: Mapping[str, Any]) -> Account:
    days = state.get("token_days_left")
    days = float(days) if isinstance(days, int | float) else None
    passes = state.get("again") == "later"
    return Account(state.get("ready") is True, _text(state, "code"), _text(state, "detail"), passes, days)


def _text(state: Mapping[str, Any], name: str) -> str:
    text = state.get(name)
    return text if isinstance(text, str) else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


class Health(DataUpdateCoordinator[HealthState]):
    config_entry: WeighbridgeEntry

    def __init__(self, hass: HomeAssistant, entry: WeighbridgeEntry, function: Function) -> None:
        super().__init__(hass, _LOGGER, config_entry=entry, name="Weighbridge", update_interval=_INTERVAL)
        self._function = function
        self._away_since: datetime | None = None

    async def async_start(self) -> None:
        """Ask for the first time. The entry is set up whatever the answer."""
        entry = self.config_entry
        entry.async_on_unload(
            async_dispatcher_connect(self.hass, f"weighbridge_outcome_{entry.entry_id}", self._after_outcome)
        )
        await self.async_refresh()

    async def _after_outcome(self, _outcome: object) -> None:
        await self.async_request_refresh()

    async def _async_update_data(self) -> HealthState:
        answer = await self._function.health()
        if answer.kind == "unauthorized":
            # It is there. The flow for another key is the repair.
            self._away_since = None
            delete_issues(self.hass, self.config_entry)
            raise ConfigEntryAuthFailed(translation_domain=DOMAIN, translation_key="unauthorized")
        if answer.kind in _NOT_THERE or (answer.again == "later" and not answer.ok):
            now = dt_util.utcnow()
            self._away_since = self._away_since or now
            if now - self._away_since >= AWAY:
                _create(self.hass, self.config_entry, "unreachable", placeholders={"reason": answer.text})
            raise UpdateFailed(
                translation_domain=DOMAIN, translation_key="away", translation_placeholders={"reason": answer.text}
            )
        self._away_since = None
        state = read_health(answer)
        _settle(self.hass, self.config_entry, state)
        return state


# -- issues ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Issue:
    key: str
    #: The name in the function of the person whose sign-in it is about.
    person: str
    placeholders: Mapping[str, str]


#: Those that the sign-in repairs, so they have a fix flow.
FIXABLE: Final = ("sign_in_ends", "sign_in_ended")


def _issues(state: HealthState) -> Iterator[_Issue]:
    """What somebody has to repair."""
    for person, account in state.accounts.items() or [("", state.worst)]:
        if account.code == SIGN_IN_NEEDED:
            yield _Issue("sign_in_ended", person, {"detail": account.detail})
        elif not account.ready and not account.passes:
            yield _Issue("not_ready", person, {"detail": account.detail})
        if account.code != SIGN_IN_NEEDED and account.days_left is not None and account.days_left < ANNOUNCED_DAYS:
            yield _Issue("sign_in_ends", person, {"days": f"{account.days_left:.0f}"})


def _settle(hass: HomeAssistant, entry: WeighbridgeEntry, state: HealthState) -> None:
    """Create the issues of this state, and delete the others."""
    issues = list(_issues(state))
    delete_issues(hass, entry, but={_issue_id(entry, issue.key, issue.person) for issue in issues})
    for issue in issues:
        _create(hass, entry, issue.key, issue.person, issue.placeholders)


def _create(
    hass: HomeAssistant, entry: WeighbridgeEntry, key: str, person: str = "", placeholders: Mapping[str, str] = {}
) -> None:
    ir.async_create_issue(
        hass,
        DOMAIN,
        _issue_id(entry, key, person),
        data={"entry_id": entry.entry_id, "person": person},
        is_fixable=key in FIXABLE,
        severity=ir.IssueSeverity.WARNING if key == "sign_in_ends" else ir.IssueSeverity.ERROR,
        translation_key=key,
        translation_placeholders={"name": person or entry.title, **placeholders},
    )


def _issue_id(entry: WeighbridgeEntry, key: str, person: str) -> str:
    return ".".join((entry.entry_id, key, person))


def delete_issues(hass: HomeAssistant, entry: WeighbridgeEntry, *, but: Iterable[str] = ()) -> None:
    """Delete the issues of an entry, but for these."""
    kept = set(but)
    for domain, issue_id in list(ir.async_get(hass).issues):
        if domain == DOMAIN and issue_id.startswith(f"{entry.entry_id}.") and issue_id not in kept:
            ir.async_delete_issue(hass, DOMAIN, issue_id)
