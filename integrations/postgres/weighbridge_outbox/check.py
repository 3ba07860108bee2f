"""weighbridge outbox check: whether Postgres and the broker of these settings can be used now. The doctor shows it.

Rule: each is used as the relay and the worker use it, and nothing is changed. What is not configured is not checked.
A finding holds no secret, no measurement and no topic.

Weakness: Mosquitto 2.0 accepts every subscription, and then sends nothing of a topic that its rules forbid. This check
does not see that.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import psycopg
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from weighbridge.errors import WeighbridgeError
from weighbridge.settings import text_of

from . import commands
from .relay import broker_client
from .settings import BrokerSettings, read_broker_settings, read_database_url

WITHIN_S = 10
#: A reading that has waited longer is late. After each failed attempt, the pause is longer.
LATE_S = 3600

QUEUE = """
SELECT count(*) FILTER (WHERE state IN ('waiting', 'accepted')), count(*) FILTER (WHERE state = 'kept'),
    count(*) FILTER (WHERE state = 'parked'), min(received_at) FILTER (WHERE state IN ('waiting', 'accepted'))
FROM readings WHERE state IN ('waiting', 'accepted', 'kept', 'parked')
"""


class Finding(NamedTuple):
    link: Literal["outbox", "broker"]
    outcome: Literal["ok", "warns", "fails"]
    detail: str


class Doubtful(Exception):
    """It can be used, but someone should look at it."""


def check(
    environment: Mapping[str, str],
    postgres: Callable[[str], contextlib.AbstractContextManager[psycopg.Connection[Any]]],
) -> Iterator[Finding]:
    """A finding for Postgres, and one for the broker, if they are configured. `postgres` connects."""
    if text_of("DATABASE_URL", environment):

        def outbox() -> str:
            with postgres(read_database_url(environment)) as connection:
                return queue(connection)

        yield _finding("outbox", outbox)
    if text_of("MQTT_URL", environment):
        yield _finding("broker", lambda: subscription(read_broker_settings(environment)))


def _finding(link: Literal["outbox", "broker"], prove: Callable[[], str]) -> Finding:
    try:
        return Finding(link, "ok", prove())
    except Doubtful as e:
        return Finding(link, "warns", str(e))
    except WeighbridgeError as fault:
        return Finding(link, "fails", str(fault))


def queue(connection: psycopg.Connection[Any]) -> str:
    """How many readings have not arrived, and since when. Raises `Refused` if the tables are not those of this version,
    and `Doubtful` if someone should look at it."""
    commands.check_tables(connection)
    row = connection.execute(QUEUE).fetchone()
    if row is None:  # an aggregate has a row
        raise commands.Refused("Postgres did not answer.")
    waiting, kept, parked, oldest = row
    age_s = int((datetime.now(UTC) - oldest).total_seconds()) if oldest else 0
    since = f" (the oldest for {commands.span(age_s)})" if waiting and age_s > 0 else ""
    said = f"Postgres answers, with the tables of this version: {waiting} waiting{since}, {kept} kept, {parked} parked."
    if parked or age_s > LATE_S:
        raise Doubtful(f"{said} To see why: weighbridge outbox status.")
    return said


def subscription(settings: BrokerSettings) -> str:
    """Sign in to the broker and subscribe to the topics, as the relay does, but in a session that ends here."""
    client = broker_client(settings.broker, client_id="")
    answered = threading.Event()
    refused: list[str] = []

    def on_connect(
        _client: object, _data: object, _flags: object, reason: ReasonCode, _more: Properties | None
    ) -> None:
        if reason.is_failure:
            refused.append(f"The broker refused the sign-in: {reason}. Check the user and the password in MQTT_URL.")
            answered.set()
            return
        # What is retained is not sent.
        options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
        client.subscribe([(topic, options) for topic in settings.topics])

    def on_subscribe(
        _client: object, _data: object, _mid: int, reasons: list[ReasonCode], _more: Properties | None
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            refused.append("The broker refused a topic of MQTT_TOPIC. Let its user read the topic, or name another.")
        answered.set()

    client.on_connect, client.on_subscribe = on_connect, on_subscribe
    client.connect_timeout = WITHIN_S
    try:
        client.connect(settings.broker.host, settings.broker.port)
    except (OSError, ValueError) as e:  # its text may name the host
        raise commands.Refused(
            f"The broker cannot be reached ({type(e).__name__}). Is it running, and is MQTT_URL its address?"
        ) from None
    client.loop_start()
    try:
        if not answered.wait(WITHIN_S):
            raise commands.Refused(
                f"The broker did not answer within {WITHIN_S} s. Is an MQTT 5 broker at the host and port in MQTT_URL?"
            )
    finally:
        client.disconnect()
        client.loop_stop()
    if refused:
        raise commands.Refused(refused[0])
    count = len(settings.topics)
    return f"the broker accepts the sign-in and the {count} topic(s) of MQTT_TOPIC."
