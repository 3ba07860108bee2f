"""The relay: messages of an MQTT broker -> rows of `readings`.

Rule: a message is acknowledged only after its row is committed. While the relay is down, the broker keeps new messages
in the relay's session. While Postgres is down, nothing is acknowledged, and the broker sends it again. A body that
holds several weigh-ins becomes several rows in one transaction. What is not a reading is stored as text, and parked.

Facts (MQTT 5):
- A message of QoS 1 that was not acknowledged is sent again with DUP and the same packet identifier (4.4, 3.3.1.1).
  At most Receive Maximum messages are unacknowledged (3.3.4), so a redelivery is one of that many last ones.
- Each new subscription receives the retained message, with RETAIN set (3.3.1.3). Retain Handling 1 asks for it only
  when the subscription is new to the session (3.8.3.1).
- Some programs, such as ble-scale-sync, publish retained messages without a time. Such a reading is a redelivery if it
  has the packet identifier of an earlier one; retained, if it equals the last of its topic. A reading with a time is
  recognized by its key: no two weigh-ins have the same values at the same time.
"""

from __future__ import annotations

import hashlib
import logging
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import paho.mqtt.client as mqtt
import psycopg
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions
from psycopg.types.json import Jsonb

from .message import Rows, as_text, read_message
from .settings import RelaySettings

log = logging.getLogger("weighbridge.relay")

UNDER_WAY = 10
SESSION_S = 30 * 86_400
PAUSE_S = 2.0

#: Whether this message is among the last of its topic. Each message has one row whose part is 0.
STORED = """
SELECT FROM (
    SELECT received, packet FROM readings WHERE source = %(source)s AND part = 0 ORDER BY id DESC LIMIT %(among)s
) AS last
WHERE received = %(received)s::text::jsonb AND (packet = %(packet)s OR %(retained)s) LIMIT 1
"""

#: Not if it was received before, unless it was replaced or deleted in between.
INSERT = """
INSERT INTO readings (source, scale, received, payload, packet, part, state, action, replace, receipt, fault)
SELECT %(source)s, %(scale)s, %(received)s::text::jsonb, %(payload)s::text::jsonb, %(packet)s, %(part)s, %(state)s,
    %(action)s, %(action)s = 'replace', %(receipt)s, %(fault)s
WHERE NOT (%(once)s AND EXISTS (
    SELECT FROM readings AS other WHERE key = weighbridge_key(%(payload)s::text::jsonb) AND NOT EXISTS (
        SELECT FROM readings AS change WHERE coalesce(change.scale, change.source) = %(scale)s
            AND change.action <> 'weigh_in' AND change.id > other.id)))
"""


class Message(NamedTuple):
    topic: str
    payload: bytes
    packet: int
    redelivered: bool
    retained: bool


def store(connection: psycopg.Connection[Any], message: Message) -> bool:
    """Commit the rows of a message, and return True; False if all are already stored. Raises `psycopg.Error`."""
    try:
        return _insert(connection, message, read_message(message.topic, message.payload))
    except psycopg.DataError:
        contents = as_text(message.payload, "Postgres cannot hold this JSON.")
        return _insert(connection, message, Rows(contents.json, (contents,), message.topic))


def _insert(connection: psycopg.Connection[Any], message: Message, rows: Rows) -> bool:
    values: dict[str, Any] = {
        "source": f"mqtt:{message.topic}",
        "scale": f"mqtt:{rows.scale}",
        "received": rows.received,
        "packet": message.packet or None,
        "retained": message.retained,
        # How many of the topic's last messages to compare it with: none if the broker sends it for the first time.
        "among": 1 if message.retained else UNDER_WAY if message.redelivered else 0,
    }
    stored = 0
    with connection.transaction():
        if connection.execute(STORED, values).rowcount:
            return False
        for row in rows.rows:
            values |= {
                "payload": row.json,
                "once": row.once,
                "part": stored,
                "state": row.state,
                "action": row.action,
                "receipt": Jsonb(row.receipt) if row.receipt else None,
                "fault": Jsonb(row.fault) if row.fault else None,
            }
            stored += connection.execute(INSERT, values).rowcount
    return stored > 0


class Relay:
    """One connection to the broker and one to Postgres. Both reconnect."""

    def __init__(self, settings: RelaySettings) -> None:
        self._database_url = settings.database_url
        self._broker, self._topics = settings.broker, settings.topics
        self._connection: psycopg.Connection[Any] | None = None
        self._stopping = threading.Event()
        self._client = self._make_client()

    def run(self) -> None:
        """Run until a signal stops it."""
        for number in (signal.SIGTERM, signal.SIGINT):
            # In another thread: this one may hold one of paho's locks when the signal arrives.
            signal.signal(number, lambda *_: threading.Thread(target=self.stop).start())
        connect = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho has no type here
        connect.SessionExpiryInterval = SESSION_S
        connect.ReceiveMaximum = UNDER_WAY
        self._client.connect_async(self._broker.host, self._broker.port, clean_start=False, properties=connect)
        self._client.loop_forever(retry_first_connection=True)

    def stop(self) -> None:
        self._stopping.set()
        self._client.disconnect()

    def _make_client(self) -> mqtt.Client:
        # Other topics need another session: in the old one, the broker would still send the old topics.
        name = hashlib.sha256(",".join(self._topics).encode()).hexdigest()[:8]
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"weighbridge-relay-{name}",
            protocol=mqtt.MQTTv5,
            manual_ack=True,
        )
        if self._broker.user:
            client.username_pw_set(self._broker.user, self._broker.password)
        if self._broker.tls:
            client.tls_set()
        client.reconnect_delay_set(1, 30)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        return client

    def _on_connect(self, client: mqtt.Client, _data: object, _flags: object, reason: Any, _properties: object) -> None:
        if reason.is_failure:
            log.error("the broker refused the connection: %s", reason)
            return
        options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)
        client.subscribe([(topic, options) for topic in self._topics])

    def _on_subscribe(
        self, _client: mqtt.Client, _data: object, _mid: int, reasons: list[Any], _properties: object
    ) -> None:
        # From here on, the broker keeps messages for this session.
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            log.error("the broker refused a topic: %s", ", ".join(refused))
        else:
            log.info("connected to the broker")

    def _on_connect_fail(self, _client: mqtt.Client, _data: object) -> None:
        # paho calls this inside its except block.
        log.error("the broker cannot be reached: %s", type(sys.exception()).__name__)

    def _on_disconnect(
        self, _client: mqtt.Client, _data: object, _flags: object, reason: Any, _properties: object
    ) -> None:
        if not self._stopping.is_set():
            log.warning("lost the connection to the broker: %s", reason)

    def _on_message(self, client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        arrived = Message(message.topic, bytes(message.payload), message.mid, message.dup, message.retain)
        if self._until_stored(lambda connection: store(connection, arrived)):
            client.ack(message.mid, message.qos)

    def _until_stored(self, act: Callable[[psycopg.Connection[Any]], bool]) -> bool:
        """Try until Postgres commits, and return True; False if the relay is stopped before that."""
        while not self._stopping.is_set():
            try:
                if self._connection is None:
                    self._connection = psycopg.connect(self._database_url, autocommit=True, connect_timeout=10)
                new = act(self._connection)
            except psycopg.Error as e:
                # Its text may hold the row; its class and SQLSTATE do not.
                log.error("Postgres did not store a message: %s %s", type(e).__name__, e.sqlstate)  # noqa: TRY400
                if self._connection is not None:
                    self._connection.close()
                    self._connection = None
                self._stopping.wait(PAUSE_S)
            else:
                log.info("stored" if new else "already stored")
                return True
        return False
