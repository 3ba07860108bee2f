"""The relay: messages of an MQTT broker -> rows of `readings`.

Rule: a message is acknowledged only after its row is committed. While the relay is down, the broker keeps new messages
in the relay's session. While Postgres is down, nothing is acknowledged, and the broker sends it again. A body that
holds several weigh-ins becomes several rows in one transaction. What is not a reading is stored as text, and parked.

Rule: no message stops the next one. What Postgres rejects is parked at once, unless the SQLSTATE is of a class that
passes by itself; after `TRIES` such errors the message is parked, too. If it cannot even be parked, the database is
to blame: then the relay waits, and loses nothing.

Weakness: a good message is parked if Postgres fails `TRIES` times in a row in the middle of it, for example because its
disk is full, and then stores something else at the next attempt.

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
from typing import Any, NamedTuple

import paho.mqtt.client as mqtt
import psycopg
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions
from psycopg.types.json import Jsonb

from weighbridge.broker import Broker

from .message import Rows, as_text, read_message
from .settings import RelaySettings

log = logging.getLogger("weighbridge.relay")

UNDER_WAY = 10
SESSION_S = 30 * 86_400
PAUSE_S = 2.0

#: Postgres, appendix A: connection exception, transaction rollback, insufficient resources, operator intervention.
PASSES_BY_ITSELF = ("08", "40", "53", "57")
TRIES = 5
#: The function takes 1 MiB. A batch of another program becomes many readings, so it may be larger.
LARGEST_BYTES = 8 << 20
#: What is kept of a larger one, and of one that Postgres stores in no other form.
KEPT_BYTES = 64 << 10

#: Whether this message is among the last of its topic. Each message has one row whose part is 0.
STORED = """
SELECT FROM (
    SELECT received, packet FROM readings WHERE source = weighbridge_name(%(source)s) AND part = 0
    ORDER BY id DESC LIMIT %(among)s
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
        SELECT FROM readings AS change WHERE coalesce(change.scale, change.source) = weighbridge_name(%(scale)s)
            AND change.action <> 'weigh_in' AND change.id > other.id)))
"""


class Message(NamedTuple):
    topic: str
    payload: bytes
    packet: int
    redelivered: bool
    retained: bool


def store(connection: psycopg.Connection[Any], message: Message, *, only_last: bool = False) -> bool:
    """Commit the rows of a message, and return True; False if all are already stored.

    What Postgres rejects is tried as text, and then as ASCII of a bounded length; with `only_last`, only that. Raises
    `psycopg.Error` if the fault passes by itself, or if Postgres rejects the last form, too.
    """
    message = message._replace(topic=_escaped(message.topic, "utf-8"))
    forms = (_as_readings, _as_text)
    for form in () if only_last or len(message.payload) > LARGEST_BYTES else forms:
        try:
            return _insert(connection, message, form(message))
        except psycopg.Error as e:
            if passes_by_itself(e):
                raise
            # Its text may hold the row; its class and SQLSTATE do not.
            log.error("Postgres rejected a message: %s %s", type(e).__name__, e.sqlstate)  # noqa: TRY400
        except Exception as e:  # noqa: BLE001 - our fault must not stop the messages behind this one
            log.error("a message was not understood: %s", type(e).__name__)  # noqa: TRY400 - as above
    message = message._replace(topic=_escaped(message.topic, "ascii"))
    return _insert(connection, message, _as_beginning(message))


def passes_by_itself(error: psycopg.Error) -> bool:
    """Whether the same statement may succeed later. A lost connection has no SQLSTATE."""
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return error.sqlstate.startswith(PASSES_BY_ITSELF)


def _as_readings(message: Message) -> Rows:
    return read_message(message.topic, message.payload)


def _as_text(message: Message) -> Rows:
    contents = as_text(message.payload, "Postgres cannot hold this JSON.")
    return Rows(contents.json, (contents,), message.topic)


def _as_beginning(message: Message) -> Rows:
    """What a database of any encoding holds."""
    beginning = _escaped(message.payload[:KEPT_BYTES], "ascii")
    size, digest = len(message.payload), hashlib.sha256(message.payload).hexdigest()
    contents = as_text(
        beginning.encode(),
        f"Expected a message that Postgres can store, of at most {LARGEST_BYTES:,} bytes. This one has {size:,} bytes "
        f"and the SHA-256 {digest}; its first {KEPT_BYTES:,} bytes are kept.",
    )
    return Rows(contents.json, (contents,), message.topic)


def _escaped(text: str | bytes, encoding: str) -> str:
    """Without NUL and what the encoding does not have."""
    if isinstance(text, bytes):
        decoded = text.decode(encoding, "backslashreplace")
    else:
        decoded = text.encode(encoding, "backslashreplace").decode(encoding)
    return decoded.replace("\0", "\\x00")


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
                # The whole message is in its first row alone: a message of many rows would be stored as often.
                "received": row.json if stored else rows.received,
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


def broker_client(broker: Broker, *, client_id: str, manual_ack: bool = False) -> mqtt.Client:
    """A client that signs in as the settings say."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv5, manual_ack=manual_ack)
    if broker.user:
        client.username_pw_set(broker.user, broker.password)
    if broker.tls:
        client.tls_set()
    return client


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
        try:
            self._client.loop_forever(retry_first_connection=True)
        finally:
            self.close()

    def close(self) -> None:
        """Close the connection to Postgres."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def stop(self) -> None:
        self._stopping.set()
        self._client.disconnect()

    def _make_client(self) -> mqtt.Client:
        # Other topics need another session: in the old one, the broker would still send the old topics.
        name = hashlib.sha256(",".join(self._topics).encode()).hexdigest()[:8]
        client = broker_client(self._broker, client_id=f"weighbridge-relay-{name}", manual_ack=True)
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
        try:
            topic = message.topic
        except UnicodeDecodeError:  # MQTT forbids it (1.5.4); not every broker looks
            topic = "a topic that is not UTF-8"
        arrived = Message(topic, bytes(message.payload), message.mid, message.dup, message.retain)
        if self.until_stored(arrived):
            client.ack(message.mid, message.qos)

    def until_stored(self, message: Message) -> bool:
        """Try until Postgres commits, and return True; False if the relay is stopped before that."""
        failed = 0
        while not self._stopping.is_set():
            if (connection := self._connected()) is not None:
                try:
                    # Every second time as before, in case that Postgres was to blame.
                    new = store(connection, message, only_last=failed >= TRIES and failed % 2 == 1)
                except psycopg.Error as e:
                    # If even the last form is rejected, that says nothing about the message.
                    failed = failed + 1 if passes_by_itself(e) else 0
                    self._lost(e)
                else:
                    log.info("stored" if new else "already stored")
                    return True
            self._stopping.wait(PAUSE_S)
        return False

    def _connected(self) -> psycopg.Connection[Any] | None:
        """The connection to Postgres; None if there is none now."""
        if self._connection is None:
            try:
                self._connection = psycopg.connect(self._database_url, autocommit=True, connect_timeout=10)
            except psycopg.Error as e:
                self._lost(e)
        return self._connection

    def _lost(self, error: psycopg.Error) -> None:
        # Its text may hold the row; its class and SQLSTATE do not.
        log.error("Postgres did not store a message: %s %s", type(error).__name__, error.sqlstate)
        self.close()
