"""Fixtures: a stand-in for Garmin and the real function as a process, both shared by all tests, and an entry.

Rule: the network of a test is this machine. What is shared is as at its start before every test.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import pytest_socket
from homeassistant.config_entries import ConfigSubentryData
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.weighbridge.const import CONF_KEY, CONF_NAME_IN_FUNCTION, CONF_URL, DOMAIN, PERSON
from tests.garmin.account import Account
from tests.garmin.server import GarminStandIn

from .blocking import watch_for_blocking
from .running import RunningFunction

# The harness logs each statement to the database.
logging.getLogger("sqlalchemy.engine").setLevel(logging.WARNING)

# The harness allows no socket at all. Connections stay limited to 127.0.0.1, as it sets them before each test.
pytest_socket.disable_socket = lambda **_options: None


@pytest.fixture(autouse=True)
def _custom_integrations(enable_custom_integrations: None) -> None:
    """Let Home Assistant find custom_components/."""


@pytest.fixture(autouse=True)
def blocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What blocks the loop. The test fails if our code does."""
    found = watch_for_blocking(monkeypatch)
    yield found
    assert found == []


@pytest.fixture
def hass_config_dir(tmp_path: Path) -> str:
    """A configuration of its own for each test, because the one of the harness is shared by all that run at a time."""
    (tmp_path / "configuration.yaml").touch()
    return str(tmp_path)


@pytest.fixture(scope="session")
def _garmin() -> Iterator[GarminStandIn]:
    with GarminStandIn() as stand_in:
        serve = stand_in._server.process_request_thread

        # The harness fails a test that leaves a thread, unless it is called like one of its own. The process of the
        # function may go on asking after a test.
        def _run_safe_shutdown_loop(*connection: Any) -> None:
            serve(*connection)

        stand_in._server.process_request_thread = _run_safe_shutdown_loop
        yield stand_in


@pytest.fixture
def garmin(_garmin: GarminStandIn) -> Iterator[GarminStandIn]:
    """Garmin Connect with an account without a second factor. The test fails if the stand-in itself had an error."""
    _garmin.reset()
    _garmin.weights_of.clear()
    _garmin.weights_of[""] = _garmin.weights
    vars(_garmin.account).update(vars(Account()))
    _garmin.sign_in.ticket_lifetime_s = 10.0
    _garmin.sign_in.sign_ins = _garmin.sign_in.failed_sign_ins = _garmin.sign_in.refused_refreshes = 0
    yield _garmin
    assert _garmin.unexpected == []


@pytest.fixture(scope="session")
def _functions(
    _garmin: GarminStandIn, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Sequence[str]], RunningFunction]]:
    """The function for these people, started when it is first asked for."""
    running: dict[tuple[str, ...], RunningFunction] = {}
    with ExitStack() as stack:

        def get(people: Sequence[str]) -> RunningFunction:
            key = tuple(people)
            if key not in running:
                running[key] = RunningFunction(_garmin, tmp_path_factory.mktemp("function"), people)
                stack.callback(running[key].stop)
            return running[key]

        yield get


@pytest.fixture
def function(
    garmin: GarminStandIn, _functions: Callable[[Sequence[str]], RunningFunction], people: Sequence[str]
) -> RunningFunction:
    """The function, with one account, or with one for each of the `people`. Everybody is signed in to Garmin."""
    running = _functions(people)
    running.reset()
    return running


@pytest.fixture
def people() -> Sequence[str]:
    """The names of the people of `function`; none: it has one account. A test may override it:

    @pytest.mark.parametrize("people", [("Anna", "Ben")])
    """
    return ()


@pytest.fixture
def entry(hass: HomeAssistant, function: RunningFunction) -> MockConfigEntry:
    """The entry of `function`, with a subentry for each of its people, added to Home Assistant and not set up yet."""
    added = MockConfigEntry(
        domain=DOMAIN,
        title="Weighbridge",
        unique_id=f"127.0.0.1:{function.port}",
        data={CONF_URL: function.url, CONF_KEY: function.key},
        subentries_data=[
            ConfigSubentryData(
                data=MappingProxyType({CONF_NAME_IN_FUNCTION: name}),
                subentry_type=PERSON,
                title=name or "Runner",
                unique_id=name,
            )
            for name in function.people or ("",)
        ],
    )
    added.add_to_hass(hass)
    return added


@pytest.fixture
async def loaded(hass: HomeAssistant, entry: MockConfigEntry) -> MockConfigEntry:
    """The entry, set up."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    return entry


@pytest.fixture
def until(hass: HomeAssistant) -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Waits until a condition holds, for 30 seconds at most."""

    async def wait(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.01)
                await hass.async_block_till_done()

    return wait
