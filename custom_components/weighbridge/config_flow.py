"""Adding Weighbridge, changing its address or key, and signing in to Garmin.

    user (menu) ┬ address ──────┐
                └ embedded      │
    zeroconf ─ discovered ──────┼ sign-in, if nobody is signed in ─ an entry with a person for each account
    hassio ─ hassio_confirm ────┘
    reconfigure (menu) ┬ address
                       └ sign-in
    reauth ─ reauth_confirm: another key

Rule: an address and a key are stored only after the function has answered at that address and knows the key.

Strategy: an entry is identified by its address, because a function has no identity that outlives it. A function is set
up already if it has the address of an entry, or the id of the process that answers there: by name and by number, it is
one.

Weakness: an address that is announced is never put into an entry by itself, although it may be the new one of the same
function: whoever announces it would be sent the key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import voluptuous as vol
from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlowResult,
    ConfigSubentryData,
    ConfigSubentryFlow,
)
from homeassistant.core import callback
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.selector import TextSelector, TextSelectorConfig, TextSelectorType
from homeassistant.helpers.service_info.hassio import HassioServiceInfo
from homeassistant.helpers.service_info.zeroconf import ZeroconfServiceInfo
from yarl import URL

from .answers import Answer
from .const import CONF_KEY, CONF_NAME_IN_FUNCTION, CONF_URL, DOMAIN, PERSON
from .embedded_flow import EmbeddedStep
from .function import Function, Http
from .health import SIGN_IN_NEEDED, read_health
from .person_flow import PersonFlow
from .sign_in_flow import SignInSteps

_URL_FIELD: Final = TextSelector(TextSelectorConfig(type=TextSelectorType.URL, autocomplete="url"))
_KEY_FIELD: Final = TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="off"))
_ADDRESS_FORM: Final = vol.Schema({vol.Required(CONF_URL): _URL_FIELD, vol.Required(CONF_KEY): _KEY_FIELD})
_KEY_FORM: Final = vol.Schema({vol.Required(CONF_KEY): _KEY_FIELD})

#: The kind of a problem -> the key of its translation.
_ERRORS: Final = {
    "no-answer": "cannot_connect",
    "not-found": "not_the_function",
    "not-the-function": "not_the_function",
    "unauthorized": "unauthorized",
}
#: What readings and sensors need.
_NEEDED_RIGHTS: Final = frozenset({"send", "read"})


class WeighbridgeFlow(EmbeddedStep, SignInSteps, domain=DOMAIN):
    VERSION = 1

    @classmethod
    @callback
    def async_get_supported_subentry_types(cls, config_entry: ConfigEntry) -> dict[str, type[ConfigSubentryFlow]]:
        return {PERSON: PersonFlow}

    # -- by hand -------------------------------------------------------------------------------------------

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        return self.async_show_menu(step_id="user", menu_options=["address", "embedded"])

    async def async_step_address(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """The address and the key, of a new entry or of the one that is reconfigured."""
        reconfigured = self._get_reconfigure_entry() if self.source == SOURCE_RECONFIGURE else None
        failed: _Failed | None = None
        if user_input is not None:
            failed = await self._try(user_input[CONF_URL], user_input[CONF_KEY])
            if failed is None:
                found = await self.async_set_unique_id(_unique_id(self._data[CONF_URL]))
                if reconfigured is not None:
                    if found not in (None, reconfigured) or await self._is_set_up(but=reconfigured):
                        return self.async_abort(reason="already_configured")
                    return self._change(reconfigured, "reconfigure_successful", self._data, self.unique_id)
                self._abort_if_unique_id_configured()
                return await self._new()
        suggested = user_input or (reconfigured.data if reconfigured else {})
        schema = self.add_suggested_values_to_schema(_ADDRESS_FORM, {CONF_URL: suggested.get(CONF_URL)})
        return self._ask_again("address", schema, failed)

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Another key: the function no longer knows the one of the entry."""
        entry = self._get_reauth_entry()
        failed: _Failed | None = None
        if user_input is not None:
            failed = await self._try(entry.data[CONF_URL], user_input[CONF_KEY])
            if failed is None:
                return self._change(entry, "reauth_successful", self._data)
        return self._ask_again("reauth_confirm", _KEY_FORM, failed, {"url": entry.data[CONF_URL]})

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        ways = ["address", "sign_in"] if self._get_reconfigure_entry().data[CONF_URL] else ["sign_in"]
        return self.async_show_menu(step_id="reconfigure", menu_options=ways)

    # -- found ---------------------------------------------------------------------------------------------

    async def async_step_zeroconf(self, discovery_info: ZeroconfServiceInfo) -> ConfigFlowResult:
        """A function announces itself. Nothing is sent to it before somebody has typed the key."""
        url = str(URL.build(scheme="http", host=discovery_info.host, port=discovery_info.port))
        if discovery_info.properties.get("id") in self._instances():
            return self.async_abort(reason="already_configured")
        await self.async_set_unique_id(_unique_id(url))
        self._abort_if_unique_id_configured()
        self._data = {CONF_URL: url}
        self.context["title_placeholders"] = {"name": discovery_info.name.partition(".")[0]}
        return await self.async_step_discovered()

    async def async_step_discovered(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        url, failed = self._data[CONF_URL], None
        if user_input is not None:
            failed = await self._try(url, user_input[CONF_KEY])
            if failed is None:
                return await self._new()
        return self._ask_again("discovered", _KEY_FORM, failed, {"url": url})

    async def async_step_hassio(self, discovery_info: HassioServiceInfo) -> ConfigFlowResult:
        """The app on this machine, with its address and key."""
        config = discovery_info.config
        url = str(URL.build(scheme="http", host=config["host"], port=int(config["port"])))
        self._data = {CONF_URL: url, CONF_KEY: config[CONF_KEY]}
        # The Supervisor removes the entry by this id when the app is uninstalled.
        await self.async_set_unique_id(discovery_info.uuid)
        self._abort_if_unique_id_configured(updates=self._data, reload_on_update=False)
        self.context["title_placeholders"] = {"name": discovery_info.name}
        return await self.async_step_hassio_confirm()

    async def async_step_hassio_confirm(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        failed: _Failed | None = None
        if user_input is not None:
            failed = await self._try(self._data[CONF_URL], self._data[CONF_KEY])
            if failed is None:
                return await self._new()
        return self._ask_again("hassio_confirm", vol.Schema({}), failed)

    # -- the sign-in ---------------------------------------------------------------------------------------

    async def async_step_sign_in(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        if self.source == SOURCE_RECONFIGURE:
            entry = self._get_reconfigure_entry()
            if entry.state is not ConfigEntryState.LOADED or not (state := entry.runtime_data.health.data):
                return self.async_abort(reason="cannot_connect")
            self._function, self._people = entry.runtime_data.function, state.people
        result: ConfigFlowResult = await super().async_step_sign_in(user_input)
        return result

    async def _after_sign_in(self) -> ConfigFlowResult:
        if self.source == SOURCE_RECONFIGURE:
            await self._get_reconfigure_entry().runtime_data.health.async_refresh()
            return self.async_abort(reason="signed_in")
        if self._people:
            return await self.async_step_sign_in()
        return self._create()

    async def _without_sign_in(self, answer: Answer) -> ConfigFlowResult:
        if self.source == SOURCE_RECONFIGURE:
            return self.async_abort(**sign_in_abort(answer))
        # An issue shows that nobody is signed in, and how to repair it.
        return self._create()

    def _instances(self, but: ConfigEntry | None = None) -> set[str]:
        """The ids of the processes of the functions that are set up."""
        states = [entry.runtime_data.health.data for entry in self._loaded() if entry is not but]
        return {state.instance for state in states if state} - {""}

    def _loaded(self) -> list[ConfigEntry]:
        entries = self._async_current_entries(include_ignore=False)
        return [entry for entry in entries if entry.state is ConfigEntryState.LOADED]

    async def _is_set_up(self, but: ConfigEntry | None = None) -> bool:
        """Whether the function that has answered is that of an entry, at another address."""
        if self._health.instance in self._instances(but):
            return True
        # It may have been started again since it was asked.
        for entry in self._loaded():
            await entry.runtime_data.health.async_refresh()
        return self._health.instance in self._instances(but)

    # -- what the steps share ------------------------------------------------------------------------------

    async def _try(self, address: str, key: str) -> _Failed | None:
        """Ask the function, with the key. On success it is in `_function`, `_data` and `_health`."""
        url = _url(address)
        if url is None:
            return _Failed({CONF_URL: "invalid_url"})
        function = Function(Http(async_get_clientsession(self.hass), url, key.strip()))
        answer = await function.health()
        if not answer.ok:
            return _Failed({"base": _ERRORS.get(answer.kind, "function_fails")}, answer.text)
        state = read_health(answer)
        if not state.version:
            return _Failed({"base": "too_old"})
        if missing := _NEEDED_RIGHTS - state.rights:
            return _Failed({CONF_KEY: "right_missing"}, ", ".join(sorted(missing)))
        self._function, self._health = function, state
        self._data = {CONF_URL: url, CONF_KEY: key.strip()}
        return None

    def _ask_again(
        self, step_id: str, schema: vol.Schema, failed: _Failed | None, placeholders: Mapping[str, str] = {}
    ) -> ConfigFlowResult:
        return self.async_show_form(
            step_id=step_id,
            data_schema=schema,
            errors=failed.errors if failed else {},
            description_placeholders={"reason": failed.reason if failed else "", **placeholders},
        )

    async def _new(self) -> ConfigFlowResult:
        """A new entry, after the sign-in if nobody is signed in and the key may do that."""
        if await self._is_set_up():
            return self.async_abort(reason="already_configured")
        needed = [name for name, account in self._health.accounts.items() if account.code == SIGN_IN_NEEDED]
        if needed and "administer" in self._health.rights:
            self._can_wait = True
            self._people = [name for name in needed if name]
            return await self.async_step_sign_in()
        return self._create()

    def _create(self) -> ConfigFlowResult:
        """The entry, with a person for each account."""
        title = "Weighbridge"
        if any(entry.title == title for entry in self._async_current_entries()):
            title = f"{title} ({URL(self._data[CONF_URL]).host or 'Home Assistant'})"
        return self.async_create_entry(
            title=title,
            data=self._stored(),
            subentries=[
                ConfigSubentryData(
                    # Not a mappingproxy: the frontend gets this result, too.
                    data={CONF_NAME_IN_FUNCTION: name},
                    subentry_type=PERSON,
                    title=name or "Garmin Connect",
                    unique_id=name,
                )
                for name in self._health.people or ("",)
            ],
        )

    def _change(
        self, entry: ConfigEntry, reason: str, data: Mapping[str, str], unique_id: str | None = None
    ) -> ConfigFlowResult:
        """Change an entry, which its own listener loads again."""
        changed = self.hass.config_entries.async_update_entry(
            entry, data={**entry.data, **data}, unique_id=unique_id or entry.unique_id
        )
        if not changed:
            self.hass.config_entries.async_schedule_reload(entry.entry_id)
        return self.async_abort(reason=reason)


class _Failed:
    """Why an address or a key was not taken."""

    def __init__(self, errors: dict[str, str], reason: str = "") -> None:
        self.errors, self.reason = errors, reason


def sign_in_abort(answer: Answer) -> dict[str, Any]:
    """Why nobody can sign in from here: what a flow is aborted with."""
    reason = {"forbidden": "sign_in_forbidden", "no-answer": "cannot_connect"}.get(answer.kind, "function_fails")
    return {"reason": reason, "description_placeholders": {"reason": answer.text}}


def _url(address: str) -> str | None:
    """The address of a function; None if it is not one. Without a scheme, HTTP is meant."""
    address = address.strip()
    try:
        url = URL(address if "://" in address else f"http://{address}")
        port = url.port
    except ValueError:
        return None
    plain = url.scheme in ("http", "https") and url.host and port and not (url.user or url.query or url.fragment)
    return str(url).rstrip("/") if plain else None


def _unique_id(url: str) -> str:
    parts = URL(url)
    return f"{parts.host}:{parts.port}{parts.path.rstrip('/')}"
