"""A flow as a person goes through it. Whatever is shown has to have a text, with all that the text needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from string import Formatter
from typing import Any

from homeassistant.config_entries import ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowManager, FlowResultType

from custom_components.weighbridge.const import DOMAIN

TRANSLATIONS = Path(__file__).parents[2] / "custom_components" / "weighbridge" / "translations"


def texts(language: str = "en") -> dict[str, Any]:
    document: dict[str, Any] = json.loads((TRANSLATIONS / f"{language}.json").read_text())
    return document


class Dialog:
    """One flow of a manager, such as `hass.config_entries.flow`, with its texts at `of` in the translations."""

    def __init__(self, manager: FlowManager[Any, Any, Any], of: tuple[str, ...] = ("config",)) -> None:
        self._manager = manager
        self._texts = texts()
        for part in of:
            self._texts = self._texts[part]
        self.result: Mapping[str, Any] = {}

    async def start(self, **options: Any) -> Dialog:
        return self._shown(await self._manager.async_init(DOMAIN, **options))

    async def choose(self, option: str) -> Dialog:
        """Choose from a menu."""
        assert option in self.result["menu_options"], self.result
        return await self.send(next_step_id=option)

    async def send(self, **typed: str) -> Dialog:
        """Send a form."""
        return self._shown(await self._manager.async_configure(self.result["flow_id"], typed))

    @property
    def step(self) -> str:
        """The step that is shown; "" after the last one."""
        return str(self.result.get("step_id", ""))

    @property
    def error(self) -> str:
        """The key of the one error that is shown; "" if none is."""
        return next(iter((self.result.get("errors") or {}).values()), "")

    @property
    def shown(self) -> Mapping[str, str]:
        return self.result.get("description_placeholders") or {}

    @property
    def reason(self) -> str:
        """Why it ended, if it did; "" if it has made an entry."""
        return str(self.result.get("reason", ""))

    @property
    def is_done(self) -> bool:
        return self.result["type"] is FlowResultType.CREATE_ENTRY

    def _shown(self, result: ConfigFlowResult) -> Dialog:
        self.result = result
        if result["type"] is FlowResultType.ABORT:
            self._check(self._texts["abort"][result["reason"]])
        if result["type"] in (FlowResultType.FORM, FlowResultType.MENU):
            step = self._texts["step"][result["step_id"]]
            for text in (step["title"], step.get("description", "")):
                self._check(text)
        if result["type"] is FlowResultType.MENU:
            assert set(result["menu_options"]) <= set(step["menu_options"])
        if result["type"] is FlowResultType.FORM:
            names = {str(name) for name in result["data_schema"].schema}
            assert names == set(step.get("data", {})) == set(step.get("data_description", {}))
            for key in (result["errors"] or {}).values():
                self._check(self._texts["error"][key])
        return self

    def _check(self, text: str) -> None:
        needed = {name for _, name, _, _ in Formatter().parse(text) if name}
        assert needed <= set(self.shown), f"{text!r} lacks {needed - set(self.shown)}"


def config_dialog(hass: HomeAssistant) -> Dialog:
    return Dialog(hass.config_entries.flow)
