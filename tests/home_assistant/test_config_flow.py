"""Adding Weighbridge, changing it, and signing in to Garmin: with the real function and the stand-in for Garmin."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
from typing import Any

import pytest
from homeassistant.config_entries import (
    SOURCE_HASSIO,
    SOURCE_REAUTH,
    SOURCE_RECONFIGURE,
    SOURCE_USER,
    SOURCE_ZEROCONF,
    ConfigEntryState,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers.service_info.hassio import HassioServiceInfo
from homeassistant.helpers.service_info.zeroconf import ZeroconfServiceInfo
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.weighbridge.const import CONF_KEY, CONF_NAME_IN_FUNCTION, CONF_URL, DOMAIN, PERSON
from tests.garmin.server import GarminStandIn
from tests.ports import free_port
from weighbridge import __version__
from weighbridge.garmin.attempts import Attempts

from .dialog import Dialog, config_dialog, texts
from .other_server import forwarded, other_server
from .running import GUEST_KEY, KEY, SENDER_KEY, RunningFunction

CODE = "734512"
ANNA_AND_BEN = pytest.mark.parametrize("people", [("Anna", "Ben")])

Until = Callable[[Callable[[], object]], Awaitable[None]]


async def address(hass: HomeAssistant) -> Dialog:
    """The form for the address, of a new entry."""
    dialog = await config_dialog(hass).start(context={"source": SOURCE_USER})
    return await dialog.choose("address")


async def reconfigure(hass: HomeAssistant, entry: MockConfigEntry, way: str) -> Dialog:
    context = {"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
    return await (await config_dialog(hass).start(context=context)).choose(way)


async def added(hass: HomeAssistant, function: RunningFunction, key: str = KEY) -> Dialog:
    """What follows the form for the address."""
    return await (await address(hass)).send(url=function.url, api_key=key)


async def at_password(hass: HomeAssistant, function: RunningFunction) -> Dialog:
    """The form for the password, of a new entry."""
    function.sign_out()
    return await (await added(hass, function)).choose("password")


def credentials(garmin: GarminStandIn, password: str = "") -> dict[str, str]:
    return {"email": garmin.account.email, "password": password or garmin.account.password}


def pasted(garmin: GarminStandIn) -> str:
    """The address at which the browser of a person ends."""
    service = f"https://mobile.integration.{garmin.domain}/gcm/android"
    return f"{service}?ticket={garmin.sign_in.issue_ticket(service)}"


# -- the address -------------------------------------------------------------------------------------------


async def test_add(hass: HomeAssistant, function: RunningFunction) -> None:
    """With an address and a key there is an entry with a person, and it is set up."""
    dialog = await added(hass, function)
    assert dialog.is_done
    assert (dialog.result["title"], dialog.result["data"]) == (
        "Weighbridge",
        {CONF_URL: function.url, CONF_KEY: KEY},
    )
    await hass.async_block_till_done()
    entry = dialog.result["result"]
    assert entry.state is ConfigEntryState.LOADED
    assert list(entry.supported_subentry_types) == [PERSON]
    assert [dict(each.data) for each in entry.subentries.values()] == [{CONF_NAME_IN_FUNCTION: ""}]


@ANNA_AND_BEN
async def test_add_several_people(hass: HomeAssistant, function: RunningFunction) -> None:
    """Each person of the function is one of the entry."""
    dialog = await added(hass, function)
    people = dialog.result["result"].subentries.values()
    assert [(each.title, each.unique_id) for each in people] == [("Anna", "Anna"), ("Ben", "Ben")]


OLD = {"status": "ok", "template": {"name": "x", "fields": []}, "delivery": {"name": "garth", "ready": True}}
BROKEN = {"type": "urn:weighbridge:settings-invalid", "title": "x", "blame": "owner", "again": "after_repair"}


@pytest.mark.parametrize("started_again", [False, True])
async def test_added_by_another_address(
    hass: HomeAssistant, function: RunningFunction, loaded: MockConfigEntry, started_again: bool
) -> None:
    """A function is one at two addresses, even if it was started again in between."""
    if started_again:
        function.start()
    async with forwarded(function.port) as url:
        dialog = await (await address(hass)).send(url=url, api_key=GUEST_KEY)
        assert dialog.reason == "already_configured"
        # An entry may change to the other address of its function, but not to the function of another entry.
        dialog = await (await reconfigure(hass, loaded, "address")).send(url=url, api_key=KEY)
        assert dialog.reason == "reconfigure_successful"
        await hass.async_block_till_done()
        other = MockConfigEntry(domain=DOMAIN, data={CONF_URL: "http://192.0.2.7:1", CONF_KEY: KEY}, unique_id="other")
        other.add_to_hass(hass)
        dialog = await (await reconfigure(hass, other, "address")).send(url=function.url, api_key=KEY)
        assert dialog.reason == "already_configured"
        assert await hass.config_entries.async_unload(loaded.entry_id)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, b"<html>A router</html>", "not_the_function"),
        (200, {"another": "API"}, "not_the_function"),
        (404, {"type": "urn:weighbridge:not-found", "title": "x"}, "not_the_function"),
        (302, b"", "not_the_function"),
        (200, OLD, "too_old"),
        (500, BROKEN, "function_fails"),
    ],
)
async def test_something_else_answers(
    hass: HomeAssistant, function: RunningFunction, status: int, body: object, error: str
) -> None:
    """Something else at the address, or a function that cannot be used, is named. Then the right address works."""
    async with other_server(status, body) as url:
        dialog = await (await address(hass)).send(url=url, api_key=KEY)
        assert (dialog.step, dialog.error) == ("address", error)
    assert (await dialog.send(url=function.url, api_key=KEY)).is_done


@pytest.mark.parametrize(
    "url", ["", "ftp://127.0.0.1", "http://", "http://me:secret@nas", "http://nas:port", "http://nas?x=1"]
)
async def test_no_address(hass: HomeAssistant, function: RunningFunction, url: str) -> None:
    """A text that is not an address is named beside the field, and nobody is asked."""
    dialog = await (await address(hass)).send(url=url, api_key=KEY)
    assert dialog.result["errors"] == {CONF_URL: "invalid_url"}
    assert (await dialog.send(url=function.url, api_key=KEY)).is_done


async def test_nobody_answers(hass: HomeAssistant, function: RunningFunction) -> None:
    """Where nobody listens, that is said; an address needs neither a scheme nor has it to be without a slash."""
    dialog = await (await address(hass)).send(url=f"127.0.0.1:{free_port()}", api_key=KEY)
    assert (dialog.step, dialog.error) == ("address", "cannot_connect")
    dialog = await dialog.send(url=f" 127.0.0.1:{function.port}/ ", api_key=f"{KEY} ")
    assert dialog.result["data"] == {CONF_URL: function.url, CONF_KEY: KEY}


async def test_wrong_key(hass: HomeAssistant, function: RunningFunction) -> None:
    """A wrong key is found before there is an entry."""
    dialog = await added(hass, function, "planted-key-that-is-wrong")
    assert (dialog.step, dialog.error) == ("address", "unauthorized")
    assert (await dialog.send(url=function.url, api_key=KEY)).is_done


async def test_key_without_rights(hass: HomeAssistant, function: RunningFunction) -> None:
    """A key that may not read is refused, with the name of the right."""
    dialog = await added(hass, function, SENDER_KEY)
    assert dialog.result["errors"] == {CONF_KEY: "right_missing"}
    assert dialog.shown["reason"] == "read"


async def test_twice(hass: HomeAssistant, function: RunningFunction, entry: MockConfigEntry) -> None:
    """The same function is not added twice."""
    assert (await added(hass, function)).reason == "already_configured"


async def test_a_second_function(hass: HomeAssistant, function: RunningFunction) -> None:
    """A second function has its host in its name."""
    MockConfigEntry(domain=DOMAIN, title="Weighbridge", unique_id="nas:8080").add_to_hass(hass)
    assert (await added(hass, function)).result["title"] == "Weighbridge (127.0.0.1)"


# -- changes -----------------------------------------------------------------------------------------------


async def test_reconfigure(
    hass: HomeAssistant, function: RunningFunction, entry: MockConfigEntry, until: Until
) -> None:
    """The address can be changed, and the entry is loaded again with the new one."""
    hass.config_entries.async_update_entry(
        entry, data={CONF_URL: f"http://127.0.0.1:{free_port()}", CONF_KEY: "old"}, unique_id="old"
    )
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert not entry.runtime_data.health.last_update_success
    dialog = await (await reconfigure(hass, entry, "address")).send(url=function.url, api_key=KEY)
    assert dialog.reason == "reconfigure_successful"
    assert (dict(entry.data), entry.unique_id) == (
        {CONF_URL: function.url, CONF_KEY: KEY},
        f"127.0.0.1:{function.port}",
    )
    await until(lambda: entry.state is ConfigEntryState.LOADED and entry.runtime_data.health.last_update_success)


async def test_reconfigure_without_a_change(
    hass: HomeAssistant, function: RunningFunction, loaded: MockConfigEntry, until: Until
) -> None:
    """Who sends the form as it is has the entry loaded again."""
    before = loaded.runtime_data
    dialog = await (await reconfigure(hass, loaded, "address")).send(url=function.url, api_key=KEY)
    assert dialog.reason == "reconfigure_successful"
    await until(lambda: loaded.state is ConfigEntryState.LOADED and loaded.runtime_data is not before)


async def test_reconfigure_to_another_entry(
    hass: HomeAssistant, function: RunningFunction, entry: MockConfigEntry
) -> None:
    """The address of another entry is refused."""
    other = MockConfigEntry(domain=DOMAIN, unique_id="nas:8080", data={CONF_URL: "http://nas:8080", CONF_KEY: "x"})
    other.add_to_hass(hass)
    dialog = await (await reconfigure(hass, other, "address")).send(url=function.url, api_key=KEY)
    assert dialog.reason == "already_configured"
    assert other.data[CONF_URL] == "http://nas:8080"


@pytest.mark.fault(10)
async def test_reauthentication(
    hass: HomeAssistant, function: RunningFunction, loaded: MockConfigEntry, until: Until
) -> None:
    """When the function no longer knows the key, a person is asked for another one."""
    function.start(WEIGHBRIDGE_API_KEYS="home:send+read=planted-key-that-is-new")
    await loaded.runtime_data.health.async_refresh()
    (flow,) = hass.config_entries.flow.async_progress()
    assert (flow["context"]["source"], flow["step_id"]) == (SOURCE_REAUTH, "reauth_confirm")
    dialog = config_dialog(hass)
    dialog.result = await hass.config_entries.flow.async_configure(flow["flow_id"])
    assert (await dialog.send(api_key="planted-key-that-is-wrong")).error == "unauthorized"
    assert (await dialog.send(api_key="planted-key-that-is-new")).reason == "reauth_successful"
    assert loaded.data[CONF_KEY] == "planted-key-that-is-new"
    await until(lambda: loaded.state is ConfigEntryState.LOADED and loaded.runtime_data.health.last_update_success)


# -- found -------------------------------------------------------------------------------------------------


def announced(address: str, port: int, **properties: str) -> ZeroconfServiceInfo:
    ip = ip_address(address)
    return ZeroconfServiceInfo(
        ip,
        [ip],
        port,
        "nas.local.",
        "_weighbridge._tcp.local.",
        "Weighbridge on nas._weighbridge._tcp.local.",
        properties,
    )


async def found(hass: HomeAssistant, info: ZeroconfServiceInfo) -> Dialog:
    return await config_dialog(hass).start(context={"source": SOURCE_ZEROCONF}, data=info)


async def test_zeroconf(hass: HomeAssistant, function: RunningFunction) -> None:
    """A function that announces itself needs only its key, and gets no key before somebody has typed it."""
    dialog = await found(hass, announced("127.0.0.1", function.port, version=__version__, id="x"))
    assert (dialog.step, dialog.shown["url"]) == ("discovered", function.url)
    (flow,) = hass.config_entries.flow.async_progress()
    assert flow["context"]["title_placeholders"] == {"name": "Weighbridge on nas"}
    assert (await dialog.send(api_key="planted-key-that-is-wrong")).error == "unauthorized"
    assert (await dialog.send(api_key=KEY)).is_done


async def test_zeroconf_ipv6(hass: HomeAssistant) -> None:
    """An address of IPv6 is in brackets."""
    dialog = await found(hass, announced("fd00::1", 8080))
    assert dialog.shown["url"] == "http://[fd00::1]:8080"


async def test_zeroconf_is_set_up(hass: HomeAssistant, function: RunningFunction, loaded: MockConfigEntry) -> None:
    """A function that is set up is not found again: not at its address, and not at another one of its own."""
    assert (await found(hass, announced("127.0.0.1", function.port))).reason == "already_configured"
    instance = loaded.runtime_data.health.data.instance
    assert (await found(hass, announced("192.0.2.7", 8080, id=instance))).reason == "already_configured"
    assert (await found(hass, announced("192.0.2.7", 8080, id="another"))).step == "discovered"
    assert loaded.data[CONF_URL] == function.url


async def test_zeroconf_while_away(hass: HomeAssistant, function: RunningFunction, entry: MockConfigEntry) -> None:
    """While its entry does not know the function, an announcement at another address is a new one."""
    function.stop()
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert (await found(hass, announced("192.0.2.7", 8080, id=""))).step == "discovered"


def app(port: int, key: str = KEY) -> dict[str, Any]:
    config = {"host": "127.0.0.1", "port": port, "api_key": key}
    info = HassioServiceInfo(config=config, name="Weighbridge", slug="weighbridge", uuid="1234")
    return {"context": {"source": SOURCE_HASSIO}, "data": info}


async def test_app(hass: HomeAssistant, function: RunningFunction) -> None:
    """The app brings its address and its key, so one click is enough; while it starts, that is said."""
    port, function.port = function.port, function.port
    function.stop()
    dialog = await config_dialog(hass).start(**app(port))
    assert dialog.step == "hassio_confirm"
    assert (await dialog.send()).error == "cannot_connect"
    function.start()
    assert (await dialog.send()).is_done
    assert dialog.result["result"].unique_id == "1234"


async def test_app_with_another_key(hass: HomeAssistant, function: RunningFunction, until: Until) -> None:
    """When the app has another address or key, its entry gets them."""
    entry = (await (await config_dialog(hass).start(**app(function.port))).send()).result["result"]
    await hass.async_block_till_done()
    assert (await config_dialog(hass).start(**app(function.port, GUEST_KEY))).reason == "already_configured"
    assert entry.data[CONF_KEY] == GUEST_KEY
    await until(
        lambda: entry.state is ConfigEntryState.LOADED and "delete" not in entry.runtime_data.health.data.rights
    )


# -- the sign-in -------------------------------------------------------------------------------------------


async def test_sign_in(hass: HomeAssistant, function: RunningFunction, garmin: GarminStandIn) -> None:
    """If nobody is signed in, the sign-in follows the key, and ends with who is signed in, and until when."""
    function.sign_out()
    dialog = await added(hass, function)
    assert (dialog.step, list(dialog.result["menu_options"])) == ("way", ["password", "browser", "later"])
    dialog = await (await dialog.choose("password")).send(**credentials(garmin))
    assert (dialog.step, dialog.shown["account"]) == ("signed_in", "runner")
    assert dialog.shown["until"].startswith("20")
    assert (await dialog.send()).is_done
    await hass.async_block_till_done()
    assert dialog.result["result"].runtime_data.health.data.worst.ready


async def test_later(hass: HomeAssistant, function: RunningFunction, garmin: GarminStandIn) -> None:
    """The sign-in may wait: the entry is there, and Garmin is not asked."""
    function.sign_out()
    dialog = await (await added(hass, function)).choose("later")
    assert dialog.is_done
    assert garmin.requests == []


async def test_without_the_right(hass: HomeAssistant, function: RunningFunction) -> None:
    """With a key that may not administer, no sign-in is offered."""
    function.sign_out()
    assert (await added(hass, function, GUEST_KEY)).is_done


async def test_sign_in_is_off(hass: HomeAssistant, function: RunningFunction) -> None:
    """Where the function lets nobody sign in from here, there is an entry, and when it is asked for, the reason."""
    function.sign_out()
    function.start(WEIGHBRIDGE_API_KEYS=f"home={KEY}")
    dialog = await added(hass, function)
    assert dialog.is_done
    await hass.async_block_till_done()
    dialog = await reconfigure(hass, dialog.result["result"], "sign_in")
    assert dialog.reason == "sign_in_forbidden"
    assert "rights are not named" in dialog.shown["reason"]


async def test_wrong_password(hass: HomeAssistant, function: RunningFunction, garmin: GarminStandIn) -> None:
    """A wrong password is named, the e-mail stays, and the next attempt shows how long to wait."""
    dialog = await (await at_password(hass, function)).send(**credentials(garmin, "planted-wr0ng"))
    assert (dialog.step, dialog.error) == ("password", "sign_in_rejected")
    (email, password) = dialog.result["data_schema"].schema
    assert email.description == {"suggested_value": garmin.account.email}
    assert not password.description
    dialog = await dialog.send(**credentials(garmin))
    assert (dialog.step, dialog.error, dialog.shown["minutes"]) == ("password", "cool_down", "1")
    assert garmin.sign_in.failed_sign_ins == 1
    function.forget_attempts()
    assert (await dialog.send(**credentials(garmin))).step == "signed_in"


async def test_cool_down_is_known(hass: HomeAssistant, function: RunningFunction, garmin: GarminStandIn) -> None:
    """While a sign-in has to wait, the empty form says so, before anybody types a password in vain."""
    await (await at_password(hass, function)).send(**credentials(garmin, "planted-wr0ng"))
    hass.config_entries.flow.async_abort(hass.config_entries.flow.async_progress()[0]["flow_id"])
    dialog = await (await added(hass, function)).choose("password")
    assert (dialog.step, dialog.error, dialog.shown["minutes"]) == ("password", "cool_down", "1")


async def test_code(hass: HomeAssistant, function: RunningFunction, garmin: GarminStandIn) -> None:
    """After a wrong code the right one may be typed, in the same sign-in."""
    garmin.account.mfa_code = CODE
    dialog = await (await at_password(hass, function)).send(**credentials(garmin))
    assert (dialog.step, dialog.error) == ("code", "")
    assert (await dialog.send(code="000000")).error == "code_rejected"
    assert dialog.step == "code"
    assert (await dialog.send(code=CODE)).step == "signed_in"
    assert garmin.sign_in.sign_ins == 1


async def test_code_too_late(hass: HomeAssistant, function: RunningFunction, garmin: GarminStandIn) -> None:
    """A code for which no sign-in waits any more leads back to the password."""
    garmin.account.mfa_code = CODE
    dialog = await (await at_password(hass, function)).send(**credentials(garmin))
    function.forget_attempts()
    dialog = await dialog.send(code=CODE)
    assert (dialog.step, dialog.error) == ("password", "code_too_late")
    assert (await dialog.send(**credentials(garmin))).step == "code"


async def test_three_wrong_codes(hass: HomeAssistant, function: RunningFunction, garmin: GarminStandIn) -> None:
    """After the third wrong code the sign-in begins again, and has to wait."""
    garmin.account.mfa_code = CODE
    dialog = await (await at_password(hass, function)).send(**credentials(garmin))
    for _ in range(3):
        dialog = await dialog.send(code="000000")
    assert (dialog.step, dialog.error) == ("password", "codes_used_up")
    assert (await dialog.send(**credentials(garmin))).error == "cool_down"


async def test_blocked_at_the_password(hass: HomeAssistant, function: RunningFunction, garmin: GarminStandIn) -> None:
    """A captcha leads to the own browser, with its page, and from there into the account."""
    garmin.faults.add("sso/signin", "400-captcha", times=None)
    dialog = await (await at_password(hass, function)).send(**credentials(garmin))
    assert (dialog.step, dialog.error) == ("browser", "sign_in_blocked")
    assert dialog.shown["reason"]
    assert dialog.shown["browser_page"].startswith(f"https://sso.{garmin.domain}/mobile/sso")
    assert (await dialog.send(ticket=pasted(garmin))).step == "signed_in"


async def test_blocked_at_the_code(hass: HomeAssistant, function: RunningFunction, garmin: GarminStandIn) -> None:
    """So does a block that begins with the code."""
    garmin.account.mfa_code = CODE
    dialog = await (await at_password(hass, function)).send(**credentials(garmin))
    garmin.faults.add("weight/range", "403", times=None)
    dialog = await dialog.send(code=CODE)
    assert (dialog.step, dialog.error) == ("browser", "sign_in_blocked")


async def test_browser(hass: HomeAssistant, function: RunningFunction, garmin: GarminStandIn) -> None:
    """The address of the own browser signs in; one that is too old is named, and a new one may be pasted."""
    function.sign_out()
    dialog = await (await added(hass, function)).choose("browser")
    assert dialog.shown["browser_page"].startswith(f"https://sso.{garmin.domain}/mobile/sso")
    garmin.sign_in.ticket_lifetime_s = -1
    assert (await dialog.send(ticket=pasted(garmin))).error == "ticket_rejected"
    garmin.sign_in.ticket_lifetime_s = 10
    assert (await dialog.send(ticket=pasted(garmin))).step == "signed_in"


@pytest.mark.parametrize(
    ("route", "fault", "error"),
    [
        ("sso/signin-page", "429-html", "rate_limited"),
        ("diauth/token", "503", "garmin_unreachable"),
    ],
)
async def test_garmin_fails(
    hass: HomeAssistant, function: RunningFunction, garmin: GarminStandIn, route: str, fault: str, error: str
) -> None:
    """If Garmin asks to wait or cannot be reached, the form says so and stays."""
    garmin.faults.add(route, fault, times=None)
    dialog = await (await at_password(hass, function)).send(**credentials(garmin))
    assert (dialog.step, dialog.error) == ("password", error)
    assert dialog.shown["minutes"] == ("60" if error == "rate_limited" else "1")


async def test_somebody_else_signs_in(hass: HomeAssistant, function: RunningFunction, garmin: GarminStandIn) -> None:
    """While somebody else signs in to the account, that is said."""
    dialog = await at_password(hass, function)
    with Attempts(function.tokens, now=time.time).turn():
        assert (await dialog.send(**credentials(garmin))).error == "busy"
    assert (await dialog.send(**credentials(garmin))).step == "signed_in"


async def test_function_goes_away(hass: HomeAssistant, function: RunningFunction, garmin: GarminStandIn) -> None:
    """If the function goes away within the sign-in, the form says so and stays."""
    garmin.account.mfa_code = CODE
    dialog = await at_password(hass, function)
    function.stop()
    assert (await dialog.send(**credentials(garmin))).error == "cannot_connect"
    function.start()
    dialog = await dialog.send(**credentials(garmin))
    function.stop()
    dialog = await dialog.send(code=CODE)
    assert (dialog.step, dialog.error) == ("code", "cannot_connect")
    function.start()
    assert (await dialog.send(code=CODE)).step == "signed_in"


async def test_other_problem(hass: HomeAssistant, function: RunningFunction, garmin: GarminStandIn) -> None:
    """What no text is made for is shown in the words of the function."""
    dialog = await (await at_password(hass, function)).send(email="a@b.c", password=" ")
    assert (dialog.step, dialog.error) == ("password", "sign_in_failed")
    assert dialog.shown["reason"]


@ANNA_AND_BEN
async def test_several_people_sign_in(hass: HomeAssistant, function: RunningFunction, garmin: GarminStandIn) -> None:
    """Each person signs in to an account of their own: one now, the next one then, or later."""
    for person in function.people:
        function.sign_out(person)
    dialog = await added(hass, function)
    assert (dialog.step, dialog.shown["people"]) == ("offer", "Anna, Ben")
    dialog = await (await (await dialog.choose("whose")).send(person="Ben")).choose("password")
    assert dialog.shown["whose"] == " (Ben)"
    dialog = await dialog.send(**credentials(garmin))
    assert dialog.step == "signed_in"
    dialog = await dialog.send()
    assert (dialog.step, dialog.shown["whose"]) == ("way", " (Anna)")
    assert (await dialog.choose("later")).is_done
    await hass.async_block_till_done()
    accounts = dialog.result["result"].runtime_data.health.data.accounts
    assert {name: account.ready for name, account in accounts.items()} == {"Anna": False, "Ben": True}


@ANNA_AND_BEN
async def test_one_of_several_people(hass: HomeAssistant, function: RunningFunction) -> None:
    """Who is signed in already is not asked."""
    function.sign_out("Anna")
    dialog = await added(hass, function)
    assert (dialog.step, dialog.shown["whose"]) == ("way", " (Anna)")


async def test_sign_in_again(
    hass: HomeAssistant, function: RunningFunction, garmin: GarminStandIn, loaded: MockConfigEntry
) -> None:
    """Who reconfigures can sign in again, and the health is known at once."""
    function.sign_out()
    await loaded.runtime_data.health.async_refresh()
    assert not loaded.runtime_data.health.data.worst.ready
    dialog = await (await reconfigure(hass, loaded, "sign_in")).choose("password")
    dialog = await (await dialog.send(**credentials(garmin))).send()
    assert dialog.reason == "signed_in"
    assert loaded.runtime_data.health.data.worst.ready


@ANNA_AND_BEN
async def test_somebody_signs_in_again(
    hass: HomeAssistant, function: RunningFunction, garmin: GarminStandIn, loaded: MockConfigEntry
) -> None:
    """Of several people, who reconfigures chooses one, and that is all."""
    dialog = await (await reconfigure(hass, loaded, "sign_in")).send(person="Anna")
    dialog = await (await dialog.choose("password")).send(**credentials(garmin))
    assert (await dialog.send()).reason == "signed_in"


async def test_only_files(
    hass: HomeAssistant, function: RunningFunction, garmin: GarminStandIn, loaded: MockConfigEntry
) -> None:
    """Where readings are only kept as files, the confirmation says that the sign-in does not change that."""
    function.start(WEIGHBRIDGE_DELIVERY="folder")
    dialog = await (await reconfigure(hass, loaded, "sign_in")).choose("password")
    dialog = await dialog.send(**credentials(garmin))
    assert dialog.step == "signed_in_only_files"
    assert (await dialog.send()).reason == "signed_in"


@pytest.mark.parametrize("is_set_up", [True, False])
async def test_sign_in_while_away(
    hass: HomeAssistant, function: RunningFunction, entry: MockConfigEntry, is_set_up: bool
) -> None:
    """Nobody can sign in while the function is away."""
    if is_set_up:
        assert await hass.config_entries.async_setup(entry.entry_id)
    function.stop()
    assert (await reconfigure(hass, entry, "sign_in")).reason == "cannot_connect"


# -- privacy and texts ---------------------------------------------------------------------------------------


async def test_no_secret_in_a_log(
    hass: HomeAssistant, function: RunningFunction, garmin: GarminStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    """Key, password, code, ticket and state are in no log, neither of Home Assistant nor of the function."""
    caplog.set_level(logging.DEBUG)
    garmin.account.password, garmin.account.mfa_code = "planted-Pa55word", "918273"
    dialog = await added(hass, function, "planted-key-that-is-wrong")
    function.sign_out()
    dialog = await dialog.send(url=function.url, api_key=KEY)
    dialog = await (await dialog.choose("password")).send(**credentials(garmin, "planted-wr0ng"))
    function.forget_attempts()
    dialog = await dialog.send(**credentials(garmin))
    dialog = await (await dialog.send(code="564738")).send(code="918273")
    assert (await dialog.send()).is_done
    await hass.async_block_till_done()
    ticket = pasted(garmin)
    dialog = await (await reconfigure(hass, dialog.result["result"], "sign_in")).choose("browser")
    for _ in range(2):
        dialog = await dialog.send(**({"ticket": ticket} if dialog.step == "browser" else {}))
    shown = "\n".join([caplog.text, *(str(vars(record)) for record in caplog.records), function.log()])
    typed = [KEY, "planted-key-that-is-wrong", "planted-Pa55word", "planted-wr0ng", "564738", "918273", ticket, "ST-0"]
    assert [secret for secret in typed if secret in shown] == []


@pytest.mark.parametrize("language", ["de", "pt"])
def test_every_text_in_every_language(language: str) -> None:
    """Each text of the flows and issues is there in each language, with the same placeholders."""
    ours, theirs = texts(), texts(language)
    for section in ("config", "issues"):
        assert _placeholders(theirs[section]) == _placeholders(ours[section])


def _placeholders(tree: object, path: str = "") -> Mapping[str, set[str]]:
    if isinstance(tree, dict):
        return {
            key: names for name, each in tree.items() for key, names in _placeholders(each, f"{path}.{name}").items()
        }
    return {path: set(re.findall(r"\{\w+\}", str(tree)))}
