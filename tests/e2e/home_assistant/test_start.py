"""A real Home Assistant as these tests start it."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.parts.home_assistant import home_assistant
from tests.e2e.parts.mosquitto import mosquitto


def test_listens_on_this_machine_only_and_for_good(tmp_path: Path) -> None:
    """It listens on 127.0.0.1 alone, also after a restart, and no trial of its address is pending, after which it would
    restart on all addresses. It starts without a complaint."""
    with mosquitto() as broker, home_assistant(tmp_path, mqtt_port=broker.port) as home:
        for _ in range(2):
            assert home.listeners() == {f"127.0.0.1:{home.port}"}
            http = home.ask(type="http/config")
            assert (http["active_config_type"], http["pending"], http["revert_at"]) == ("stable", None, None)
            home.restart()
            assert home.complaints() == []
