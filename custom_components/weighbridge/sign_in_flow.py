"""Signing in to Garmin, as steps of any flow: when Weighbridge is added or reconfigured, and of a repair.

    offer ─ whose ─ way ┬ password ┬───────┬ signed_in
                        │          └ code ─┤
                        └ browser ─────────┘

Rule: a password, a code and a ticket go to the function and nowhere else: nothing here keeps, logs or shows them. The
`kind` of an answer decides what follows. Its sentence is only shown, as the reason.

Facts: a form cannot say that it failed and lead to another step, so a step that leads elsewhere gives its errors along.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Final

import voluptuous as vol
from homeassistant.data_entry_flow import FlowHandler
from homeassistant.helpers.selector import (
    SelectSelector,
    SelectSelectorConfig,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
from homeassistant.util import dt as dt_util

from .answers import Answer
from .function import Function

_EMAIL: Final = "email"
_PASSWORD: Final = "password"  # noqa: S105  # the name of a field
_CODE: Final = "code"
_TICKET: Final = "ticket"
_PERSON: Final = "person"

_PASSWORD_FORM = vol.Schema(
    {
        vol.Required(_EMAIL): TextSelector(TextSelectorConfig(type=TextSelectorType.EMAIL, autocomplete="username")),
        vol.Required(_PASSWORD): TextSelector(
            TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="current-password")
        ),
    }
)
_CODE_FORM = vol.Schema({vol.Required(_CODE): TextSelector(TextSelectorConfig(autocomplete="one-time-code"))})
_TICKET_FORM = vol.Schema({vol.Required(_TICKET): TextSelector(TextSelectorConfig(autocomplete="off"))})

#: The kind of a problem -> the key of its translation.
_ERRORS: Final = {
    "account-locked": "account_locked",
    "busy": "busy",
    "code-rejected": "code_rejected",
    "codes-used-up": "codes_used_up",
    "cool-down": "cool_down",
    "garmin-unreachable": "garmin_unreachable",
    "no-answer": "cannot_connect",
    "rate-limited": "rate_limited",
    "sign-in-blocked": "sign_in_blocked",
    "sign-in-ended": "code_too_late",
    "sign-in-rejected": "sign_in_rejected",
    "ticket-rejected": "ticket_rejected",
}
#: After these, the same step cannot succeed: the sign-in begins again.
_BEGIN_AGAIN: Final = ("account-locked", "codes-used-up", "sign-in-ended", "sign-in-rejected")


class SignInSteps(FlowHandler[Any, Any, Any]):
    """The steps. A flow sets `_function` and `_people`, calls `async_step_sign_in`, and ends in `_after_sign_in`."""

    _function: Function
    #: Those who may be signed in, by their names in the function; none: it has one account.
    _people: Sequence[str] = ()
    #: Whether the flow goes on without a sign-in.
    _can_wait = False

    _person = ""
    _state = ""
    _browser_page = ""
    _wait_s = 0.0

    @abstractmethod
    async def _after_sign_in(self) -> Any:
        """The result of the flow, or its next step."""

    @abstractmethod
    async def _without_sign_in(self, answer: Answer) -> Any:
        """What follows if the function does not let anybody sign in from here."""

    async def async_step_sign_in(self, user_input: dict[str, Any] | None = None) -> Any:
        """Begin, with the choice of a person if there are several."""
        if len(self._people) > 1:
            return await (self.async_step_offer() if self._can_wait else self.async_step_whose())
        self._person = self._people[0] if self._people else ""
        return await self.async_step_way()

    async def async_step_offer(self, user_input: dict[str, Any] | None = None) -> Any:
        return self.async_show_menu(
            step_id="offer",
            menu_options=["whose", "later"],
            description_placeholders={"people": ", ".join(self._people)},
        )

    async def async_step_whose(self, user_input: dict[str, Any] | None = None) -> Any:
        if user_input is not None:
            self._person = user_input[_PERSON]
            return await self.async_step_way()
        people = SelectSelector(SelectSelectorConfig(options=list(self._people)))
        return self.async_show_form(step_id="whose", data_schema=vol.Schema({vol.Required(_PERSON): people}))

    async def async_step_way(self, user_input: dict[str, Any] | None = None) -> Any:
        """Password or browser, if the function lets anybody sign in from here."""
        answer = await self._function.connection(person=self._person)
        if not answer.ok:
            return await self._without_sign_in(answer)
        page = answer.body.get("browser_page")
        self._browser_page = page if isinstance(page, str) else ""
        self._wait_s = answer.retry_after_s or 0.0
        ways = ["password", "browser", *(["later"] if self._can_wait else [])]
        return self.async_show_menu(step_id="way", menu_options=ways, description_placeholders=self._whose())

    async def async_step_later(self, user_input: dict[str, Any] | None = None) -> Any:
        self._people = ()
        return await self._after_sign_in()

    async def async_step_password(self, user_input: dict[str, Any] | None = None, failed: Answer | None = None) -> Any:
        if user_input is not None:
            step = {name: user_input[name] for name in (_EMAIL, _PASSWORD)}
            answer = await self._function.sign_in(step, person=self._person)
            state = answer.body.get("state")
            if answer.ok and isinstance(state, str):
                self._state = state
                return await self.async_step_code()
            if answer.ok:
                return await self.async_step_signed_in(connection=answer.body)
            if answer.kind == "sign-in-blocked":
                return await self.async_step_browser(failed=answer)
            if answer.kind == "rate-limited":
                # Garmin says how long it waits for; the function lets nobody try for longer.
                self._wait_s = (await self._function.connection(person=self._person)).retry_after_s or 0.0
            failed = answer
        elif failed is None and self._wait_s:
            # Known before anybody has typed a password in vain.
            return self._form("password", _PASSWORD_FORM, {"base": "cool_down"})
        schema = self.add_suggested_values_to_schema(
            _PASSWORD_FORM, {_EMAIL: user_input[_EMAIL] if user_input is not None else None}
        )
        return self._form("password", schema, _errors(failed), failed)

    async def async_step_code(self, user_input: dict[str, Any] | None = None) -> Any:
        failed = None
        if user_input is not None:
            step = {"state": self._state, _CODE: user_input[_CODE]}
            failed = await self._function.sign_in(step, person=self._person)
            if failed.ok:
                return await self.async_step_signed_in(connection=failed.body)
            if failed.kind in _BEGIN_AGAIN:
                return await self.async_step_password(failed=failed)
            if failed.kind == "sign-in-blocked":
                return await self.async_step_browser(failed=failed)
        return self._form("code", _CODE_FORM, _errors(failed), failed)

    async def async_step_browser(self, user_input: dict[str, Any] | None = None, failed: Answer | None = None) -> Any:
        errors = _errors(failed)
        if user_input is not None:
            failed = await self._function.sign_in({_TICKET: user_input[_TICKET]}, person=self._person)
            if failed.ok:
                return await self.async_step_signed_in(connection=failed.body)
            errors = _errors(failed)
        return self._form("browser", _TICKET_FORM, errors, failed)

    async def async_step_signed_in(
        self, user_input: dict[str, Any] | None = None, connection: Mapping[str, Any] | None = None
    ) -> Any:
        """Who is signed in, and until when."""
        if connection is None:
            self._people = [person for person in self._people if person != self._person]
            return await self._after_sign_in()
        name, until = connection.get("signed_in_as"), connection.get("until")
        at = dt_util.parse_datetime(until) if isinstance(until, str) else None
        # Files are only kept for an import by hand: the sign-in does not change that.
        step = "signed_in" if connection.get("uploads") is not False else "signed_in_only_files"
        return self.async_show_form(
            step_id=step,
            data_schema=vol.Schema({}),
            description_placeholders={
                "account": name if isinstance(name, str) else self._person or "Garmin Connect",
                "until": f"{dt_util.as_local(at):%Y-%m-%d}" if at else "?",
            },
        )

    async def async_step_signed_in_only_files(self, user_input: dict[str, Any] | None = None) -> Any:
        return await self.async_step_signed_in(user_input)

    def _form(
        self,
        step_id: str,
        schema: vol.Schema,
        errors: dict[str, str],
        failed: Answer | None = None,
    ) -> Any:
        is_known = failed is not None and failed.kind != "rate-limited"
        wait_s = (failed.retry_after_s or 0.0) if failed and is_known else self._wait_s
        return self.async_show_form(
            step_id=step_id,
            data_schema=schema,
            errors=errors,
            description_placeholders={
                **self._whose(),
                "browser_page": self._browser_page,
                "reason": failed.text if failed else "",
                "minutes": str(math.ceil(wait_s / 60)),
            },
        )

    def _whose(self) -> dict[str, str]:
        return {"whose": f" ({self._person})" if self._person else ""}


def _errors(failed: Answer | None) -> dict[str, str]:
    return {"base": _ERRORS.get(failed.kind, "sign_in_failed")} if failed else {}
