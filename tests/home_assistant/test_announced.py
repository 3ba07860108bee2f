"""Home Assistant finds the function by what it announces, which tests/e2e/test_announce.py sees in a network."""

from __future__ import annotations

from ipaddress import ip_address

from homeassistant.components.zeroconf.discovery import info_from_service
from homeassistant.config_entries import SOURCE_ZEROCONF
from homeassistant.core import HomeAssistant
from homeassistant.loader import async_get_zeroconf
from zeroconf.asyncio import AsyncServiceInfo

from custom_components.weighbridge.const import CONF_URL
from tests.announcement import announcement
from weighbridge import __version__

from .dialog import config_dialog
from .running import RunningFunction


async def test_announced(hass: HomeAssistant, function: RunningFunction) -> None:
    """What the function announces leads to the integration, and to an entry once its key is typed."""
    seen = announcement("nas", "127.0.0.1", function.port, version=__version__, instance="an-id")
    (found,) = (await async_get_zeroconf(hass))[seen.type]
    assert found["domain"] == "weighbridge"
    addresses = [ip_address(address).packed for address in seen.addresses]
    service = AsyncServiceInfo(
        seen.type, seen.name, seen.port, properties=seen.properties, server=seen.server, addresses=addresses
    )
    context = {"source": SOURCE_ZEROCONF}
    dialog = await config_dialog(hass).start(context=context, data=info_from_service(service))
    assert (dialog.step, dialog.shown["url"]) == ("discovered", function.url)
    (flow,) = hass.config_entries.flow.async_progress()
    assert flow["context"]["title_placeholders"] == {"name": "Weighbridge on nas"}
    assert (await dialog.send(api_key=function.key)).is_done
    assert dialog.result["result"].data[CONF_URL] == function.url
