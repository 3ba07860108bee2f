"""The function inside this Home Assistant.

Rule: it is the function's own application, called in this process: the same routes, the same documents, the same bytes.
Whatever blocks is done by its threads or in the executor. A renewed token is used once it is in the entry, on disk.

Facts (Home Assistant 2026.2 to 2026.11):
- An entry is saved a second after a change, nothing says when that was done, and a failure is only logged. So the file
  is read until it has the new token.
- While Home Assistant stops, nothing is saved before the very end. So no token is renewed then.
- Whoever changes an entry has its listeners called. They reload it, unless only a token has changed (`made_of`).

Strategy: readings go to Garmin only, and not to a folder if that fails. The queue keeps them and sends them when Garmin
takes them again, which nobody does with a file in a folder. During the config flow there is no entry yet: the function
then runs with the tokens in memory, and the flow makes an entry with them (`Tokens.kept`).

Weakness: an older version of the package stays imported until Home Assistant restarts.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import shutil
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlencode

from homeassistant.config_entries import ConfigEntryStore, UnknownEntry
from homeassistant.const import EVENT_CORE_CONFIG_UPDATE, EVENT_HOMEASSISTANT_STOP
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryError, ConfigEntryNotReady, HomeAssistantError
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.helpers.storage import STORAGE_DIR
from homeassistant.loader import async_get_integration
from homeassistant.util.hass_dict import HassKey

from .const import CONF_HEIGHT, CONF_MUSCLE, CONF_NAME_IN_FUNCTION, CONF_URL, DOMAIN, PERSON
from .function import USER_AGENT, Response

if TYPE_CHECKING:
    from weighbridge.garmin.tokens import OwnersStore, Token
    from weighbridge.http.app import Shell
    from weighbridge.reading.people import Person
    from weighbridge.settings import Settings

    from .runtime import WeighbridgeEntry

_LOGGER = logging.getLogger(__name__)

#: Of the entry's data: the tokens, by name. Each has `token` (as in a token file) and `saved_at` (Unix seconds).
CONF_TOKENS: Final = "tokens"
#: Where the account is.
CONF_GARMIN_DOMAIN: Final = "garmin_domain"

#: The name of the token of somebody who signed in before there was a person.
_FIRST = "default"
_DAILY = timedelta(days=1)
#: An entry is saved after a second. On a slow disk that takes longer.
_SAVED_WITHIN_S, _LOOK_EACH_S = 20, 0.2
_SIGN_IN = "in Home Assistant, at Settings, Devices & services, Weighbridge"
_RIGHTS = "send+read+delete+administer"
#: A stand-in for Garmin, or a proxy that decrypts traffic, is a matter of the machine.
_OF_THE_MACHINE = ("GARMIN_CA_BUNDLE", "GARMIN_DOMAIN")


class NotInstalled(HomeAssistantError):
    """The package `weighbridge` is not installed in this version."""

    translation_domain = DOMAIN

    def __init__(self, version: str, *, found: str) -> None:
        super().__init__(
            translation_domain=DOMAIN,
            translation_key="other_version" if found else "not_installed",
            translation_placeholders={"version": version, "found": found},
        )


class Unusable(Exception):
    """The function cannot run with the settings of this machine, with the reason."""


# -- the tokens --------------------------------------------------------------------------------------------


class Tokens:
    """The tokens of all accounts, in the entry; in memory while there is none."""

    def __init__(self, hass: HomeAssistant, entry: WeighbridgeEntry | None) -> None:
        self._hass = hass
        self._entry = entry
        self._stores: dict[str, OwnersStore] = {}
        #: What the data of a new entry has to hold.
        self.kept: dict[str, Any] = {}

    def store(self, settings: Settings) -> OwnersStore:
        """The store of one account, for the threads of the function."""
        from weighbridge.garmin.tokens import OwnersStore, parse_token

        name = settings.token_name
        kept = self.known().get(name)
        if name not in self._stores:
            self._stores[name] = OwnersStore(
                name,
                parse_token(json.dumps(kept["token"])) if kept else None,
                saved_at=kept["saved_at"] if kept else 0.0,
                save=lambda token: self._save(name, token),
                obstacle=self._obstacle,
                place="Home Assistant",
                sign_in=_SIGN_IN,
                state_path=settings.tokens / f"{name}.state",
            )
        return self._stores[name]

    def known(self) -> Mapping[str, Any]:
        known: Mapping[str, Any] = self._entry.data.get(CONF_TOKENS, {}) if self._entry else self.kept
        return known

    def _obstacle(self) -> str:
        """Why a new token could not be saved now."""
        from weighbridge.garmin.tokens import ROOM_BYTES
        from weighbridge.space import look_for_room

        if self._hass.is_stopping:
            return "Home Assistant is stopping. Send it again after its start."
        folder = Path(self._hass.config.path(STORAGE_DIR))
        try:
            look_for_room(folder, ROOM_BYTES)
        except OSError as e:
            return f"Home Assistant cannot write to {folder}: {e.strerror}. It must be writable and have free space."
        return ""

    def _save(self, name: str, token: Token | None) -> None:
        """Called in a thread of the function. Returns once the token is saved."""
        from weighbridge.errors import TokenStoreUnusable

        kept = {"token": json.loads(token.to_json()), "saved_at": time.time()} if token else None
        work = self._async_save(name, kept)
        try:
            is_saved = asyncio.run_coroutine_threadsafe(work, self._hass.loop).result(2 * _SAVED_WITHIN_S)
        except (RuntimeError, TimeoutError, UnknownEntry):
            work.close()
            is_saved = False
        if not is_saved:
            raise TokenStoreUnusable(
                "Home Assistant did not save the new token. Its configuration folder must be writable and have free "
                f"space. Then sign in again: {_SIGN_IN}."
            )

    async def _async_save(self, name: str, kept: Mapping[str, Any] | None) -> bool:
        tokens = {**self.known(), name: kept}
        if kept is None:
            del tokens[name]
        if self._entry is None:
            self.kept = tokens
            return True
        entry = self._entry
        self._hass.config_entries.async_update_entry(entry, data={**entry.data, CONF_TOKENS: tokens})
        give_up_at = time.monotonic() + _SAVED_WITHIN_S
        while await self._async_on_disk(entry, name) != kept:
            if time.monotonic() > give_up_at:
                return False
            await asyncio.sleep(_LOOK_EACH_S)
        return True

    async def _async_on_disk(self, entry: WeighbridgeEntry, name: str) -> object:
        """What the file of Home Assistant's entries has for this token."""
        stored = await ConfigEntryStore(self._hass).async_load() or {}
        for each in stored.get("entries", []):
            if each.get("entry_id") == entry.entry_id:
                return (each["data"].get(CONF_TOKENS) or {}).get(name)
        return False


# -- the function ------------------------------------------------------------------------------------------


class Embedded:
    """A `Transport` to the function in this process."""

    def __init__(self, hass: HomeAssistant, shell: Shell, settings: Settings, key: str, tokens: Tokens) -> None:
        self._hass = hass
        self._shell = shell
        self._settings = settings
        self.tokens = tokens
        self._closed = False
        self._renewal: asyncio.Task[None] | None = None
        self._headers = [(b"host", b"localhost"), (b"user-agent", USER_AGENT.encode())]
        self._headers += [(b"x-api-key", key.encode())]

    async def send(self, method: str, path: str, query: Mapping[str, str], body: bytes | None) -> Response | str:
        # Imported already, in the executor.
        from starlette.requests import Request

        if self._closed:
            return "It is being unloaded."
        content = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())] if body else []
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": urlencode(query).encode(),
            "headers": self._headers + content,
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", 0),
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body or b"", "more_body": False}

        response = await self._shell.answer(Request(scope, receive))
        return Response(response.status_code, bytes(response.body))

    async def async_close(self, _event: Event | None = None) -> None:
        """Wait for what is being worked on, and end the threads."""
        self._closed = True
        if self._renewal is not None:
            await self._renewal
        await self._hass.async_add_executor_job(self._shell.close)

    # -- renewal ---------------------------------------------------------------------------------------------

    @callback
    def renew(self, _now: datetime | None = None) -> None:
        """Renew each token that is due, as `weighbridge refresh` does."""
        if not self._closed and (self._renewal is None or self._renewal.done()):
            self._renewal = self._hass.async_create_background_task(self._async_renew(), "weighbridge renewal")

    async def _async_renew(self) -> None:
        for name in list(self.tokens.known()):
            await self._hass.async_add_executor_job(self._renew, name)

    def _renew(self, name: str) -> None:
        from weighbridge.compose import token_library, token_session
        from weighbridge.errors import WeighbridgeError
        from weighbridge.operate.refresh import renew_if_due

        settings = self._settings.for_person(name)
        store = self.tokens.store(settings)
        try:
            done = renew_if_due(token_session(token_library(settings), settings, store), store, time.time())
        except WeighbridgeError as fault:
            # What somebody has to repair is noted, and the health shows it.
            done = type(fault).__name__
        _LOGGER.debug("Token %s: %s", name, done)


#: The last function of an entry that was started.
_LAST: HassKey[Embedded] = HassKey(f"{DOMAIN}_embedded")


async def async_transport(hass: HomeAssistant, entry: WeighbridgeEntry) -> Embedded:
    """The function of this entry, until it is unloaded. Raises `ConfigEntryNotReady` or `ConfigEntryError`."""
    try:
        await async_import(hass)
    except NotInstalled as missing:
        raise ConfigEntryNotReady(
            translation_domain=DOMAIN,
            translation_key=missing.translation_key,
            translation_placeholders=missing.translation_placeholders,
        ) from None
    from weighbridge.errors import SettingsInvalid

    if before := hass.data.get(_LAST):
        # An unload is waited for only so long, and a renewal that still runs has a token that is not in the entry yet.
        await before.async_close()
    await _async_sort_tokens(hass, entry)
    try:
        embedded = await hass.async_add_executor_job(_start, hass, entry.data, _tables(entry), Tokens(hass, entry))
    except SettingsInvalid as invalid:
        # Such as two people whose names differ in case only.
        raise ConfigEntryError(
            translation_domain=DOMAIN,
            translation_key="people_invalid",
            translation_placeholders={"reason": str(invalid)},
        ) from None
    hass.data[_LAST] = embedded
    entry.async_on_unload(embedded.async_close)
    entry.async_on_unload(hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, embedded.async_close))
    entry.async_on_unload(async_track_time_interval(hass, embedded.renew, _DAILY, cancel_on_shutdown=True))
    zone = hass.config.time_zone

    async def reload_in_other_zone(_event: Event) -> None:
        if hass.config.time_zone != zone:
            hass.config_entries.async_schedule_reload(entry.entry_id)

    entry.async_on_unload(hass.bus.async_listen(EVENT_CORE_CONFIG_UPDATE, reload_in_other_zone))
    embedded.renew()
    return embedded


async def async_draft(hass: HomeAssistant, data: Mapping[str, Any]) -> Embedded:
    """The function for a config flow, before there is an entry with this data. It has to be closed. Raises
    `NotInstalled` and `Unusable`."""
    await async_import(hass)
    from weighbridge.errors import SettingsInvalid

    try:
        return await hass.async_add_executor_job(_start, hass, data, [], Tokens(hass, None))
    except SettingsInvalid as invalid:
        raise Unusable(str(invalid)) from None


async def async_import(hass: HomeAssistant) -> None:
    """Have the package of the integration's own version, imported. Raises `NotInstalled`.

    Home Assistant is not asked to install it: no index has it yet, and whoever took the name there could run anything
    here. Once the name is ours, `async_process_requirements` belongs here.
    """
    version = str((await async_get_integration(hass, DOMAIN)).version)
    found = await hass.async_add_import_executor_job(_installed_version)
    if found != version:
        raise NotInstalled(version, found=found)
    await hass.async_add_executor_job(_import_all)


async def async_remove(hass: HomeAssistant, entry: WeighbridgeEntry) -> None:
    """Delete what the function of this entry has stored, if it is inside this Home Assistant."""
    if not entry.data[CONF_URL]:
        folder = hass.config.path(STORAGE_DIR, DOMAIN)
        await hass.async_add_executor_job(partial(shutil.rmtree, folder, ignore_errors=True))


def made_of(entry: WeighbridgeEntry) -> object:
    """What an entry has to be loaded again for, if it changes: all but the tokens."""
    data = {name: value for name, value in entry.data.items() if name != CONF_TOKENS}
    # Home Assistant changes a subentry in place.
    people = [(each.subentry_id, each.title, dict(each.data)) for each in entry.subentries.values()]
    return data, dict(entry.options), entry.title, people


# -- in the executor ---------------------------------------------------------------------------------------


def _installed_version() -> str:
    """The version that can be imported; "" if none can."""
    try:
        from weighbridge import __version__
    except ImportError:
        return ""
    return __version__


def _import_all() -> None:
    """Import what the function imports when it is needed, so that nothing is imported in the event loop."""
    for module in ("http.app", "login", "operate.refresh"):
        import_module(f"weighbridge.{module}")
    from weighbridge.garmin.sessions.garth import import_garth

    import_garth()


def _start(hass: HomeAssistant, data: Mapping[str, Any], tables: list[dict[str, Any]], tokens: Tokens) -> Embedded:
    from weighbridge.compose import Composed, compose
    from weighbridge.http.app import Shell
    from weighbridge.reading.people import make_people
    from weighbridge.settings import read_settings

    key = secrets.token_hex(24)
    environment = {
        "WEIGHBRIDGE_API_KEYS": f"home_assistant:{_RIGHTS}={key}",
        "WEIGHBRIDGE_DELIVERY": "garmin",
        "WEIGHBRIDGE_TIMEZONE": hass.config.time_zone,
        "WEIGHBRIDGE_TOKENS": hass.config.path(STORAGE_DIR, DOMAIN),
        "GARMIN_DOMAIN": data.get(CONF_GARMIN_DOMAIN, "garmin.com"),
        **{name: os.environ[name] for name in _OF_THE_MACHINE if name in os.environ},
    }
    people: tuple[Person, ...] = make_people(tables)

    def composed(settings: Settings) -> Composed:
        return compose(settings, people, tokens.store)

    shell = Shell(environment, lambda line: _LOGGER.debug("%s", line), compose=composed)
    return Embedded(hass, shell, read_settings(environment), key, tokens)


# -- the people --------------------------------------------------------------------------------------------


def _tables(entry: WeighbridgeEntry) -> list[dict[str, Any]]:
    """The people of the entry, as in a file of people. Their tokens have the ids of their subentries."""
    tables = []
    for subentry in _people(entry):
        table: dict[str, Any] = {
            "name": subentry.data.get(CONF_NAME_IN_FUNCTION) or subentry.title,
            "token": subentry.subentry_id,
        }
        table |= {name: subentry.data[name] for name in (CONF_HEIGHT, CONF_MUSCLE) if subentry.data.get(name)}
        tables.append(table)
    return tables


def _people(entry: WeighbridgeEntry) -> list[Any]:
    return [subentry for subentry in entry.subentries.values() if subentry.subentry_type == PERSON]


async def _async_sort_tokens(hass: HomeAssistant, entry: WeighbridgeEntry) -> None:
    """The token of who signed in before there was a person is that of the first one. Tokens of people who were removed
    are deleted."""
    tokens = dict(entry.data.get(CONF_TOKENS, {}))
    ids = [subentry.subentry_id for subentry in _people(entry)]
    if len(ids) == 1 and _FIRST in tokens and ids[0] not in tokens:
        tokens[ids[0]] = tokens.pop(_FIRST)
        await hass.async_add_executor_job(_rename_state, hass, ids[0])
    tokens = {name: kept for name, kept in tokens.items() if name in (*ids, _FIRST)}
    hass.config_entries.async_update_entry(entry, data={**entry.data, CONF_TOKENS: tokens})


def _rename_state(hass: HomeAssistant, name: str) -> None:
    state = Path(hass.config.path(STORAGE_DIR, DOMAIN, f"{_FIRST}.state"))
    if state.exists():
        state.replace(state.with_name(f"{name}.state"))
