"""The programs that tests start behave as the broker and the database of an installation do."""

from __future__ import annotations

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.e2e.parts import wait_until
from tests.e2e.parts.mosquitto import mosquitto
from tests.e2e.parts.postgres import postgres, query


def test_postgres_keeps_commits_over_a_power_cut() -> None:
    """Postgres keeps what was committed before a power cut."""
    with postgres() as server:
        url = server.new_database()
        query(url, "CREATE TABLE kept (value integer)")
        query(url, "INSERT INTO kept VALUES (%s)", 1)
        server.restart()
        assert query(url, "SELECT value FROM kept") == [(1,)]


def test_mosquitto_checks_passwords_and_restarts() -> None:
    """Mosquitto refuses a client without its password, and works again after a restart."""
    with mosquitto(user="relay", password="a password") as broker:
        broker.publish("scale", b"{}")
        broker.restart()
        broker.publish("scale", b"{}")
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        refused: list[bool] = []
        client.on_connect = lambda _client, _data, _flags, reason, _properties: refused.append(reason.is_failure)
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        wait_until("the broker answers", lambda: bool(refused))
        client.loop_stop()
        assert refused[0]
