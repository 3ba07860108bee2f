"""The relay with a real broker and a real database: every message becomes one row, whatever its content."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import string
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.e2e.parts import wait_until
from tests.e2e.parts.mosquitto import Mosquitto, mosquitto
from tests.e2e.parts.outbox import Outbox, Program
from weighbridge.broker import mqtt_broker
from weighbridge_outbox import relay as relay_module
from weighbridge_outbox.relay import KEPT_BYTES, LARGEST_BYTES, TRIES, Message, Relay, store
from weighbridge_outbox.settings import RelaySettings

EXAMPLES = Path(__file__).parents[2] / "examples"

TIMED = json.dumps({"weight": 81.4, "timestamp": "2026-11-22T06:31:00Z"})
UNTIMED = json.dumps({"weight": 81.4, "impedance": 503})


@pytest.fixture
def broker() -> Iterator[Mosquitto]:
    with mosquitto() as broker:
        yield broker


def start(box: Outbox, broker: Mosquitto, topic: str = "scale/#") -> Program:
    relay = box.run("relay", MQTT_URL=broker.url, MQTT_TOPIC=topic)
    wait_until("the relay is connected", lambda: "connected" in relay.log())
    return relay


def rows(box: Outbox) -> int:
    return int(str(box.query("SELECT count(*) FROM readings")[0][0]))


def taken(relay: Program) -> int:
    return relay.log().count("stored")  # also in "already stored"


def test_message_is_stored_with_its_topic(box: Outbox, broker: Mosquitto) -> None:
    """A message is stored unchanged, with its topic as the source."""
    start(box, broker)
    broker.publish("scale/anna", '{"weight": 81.40, "protein": 17.5, "segments": {"arm": [1, 2]}, "time": 1795329060}')
    wait_until("it is stored", lambda: rows(box) == 1)
    ((source, text, state),) = box.query("SELECT source, (payload - 'received_at')::text, state FROM readings")
    assert (source, state) == ("mqtt:scale/anna", "waiting")
    # To the last digit: the scale sent 81.40.
    assert text == '{"time": 1795329060, "weight": 81.40, "protein": 17.5, "segments": {"arm": [1, 2]}}'


def test_reading_gets_its_time_of_receipt(box: Outbox, broker: Mosquitto) -> None:
    """Every reading is stored with the time of its receipt."""
    start(box, broker)
    broker.publish("scale/anna", UNTIMED)
    wait_until("it is stored", lambda: rows(box) == 1)
    ((received, payload, at),) = box.query(
        "SELECT received, payload, to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') "
        "FROM readings"
    )
    assert received == json.loads(UNTIMED)
    assert payload == json.loads(UNTIMED) | {"received_at": at}


def test_message_published_again_is_one_reading(box: Outbox, broker: Mosquitto) -> None:
    """A message with a time that is published several times is one reading."""
    relay = start(box, broker)
    broker.publish("scale/anna", TIMED, TIMED)
    broker.publish("scale/anna", TIMED, retain=True)
    wait_until("all three were taken", lambda: taken(relay) == 3)
    assert rows(box) == 1


def test_received_at_makes_no_second_reading(box: Outbox, broker: Mosquitto) -> None:
    """The same reading with a time is one, whatever its `received_at`."""
    relay = start(box, broker)
    for moment in ("2026-11-22T06:32:00Z", "2026-11-22T07:32:00Z"):
        broker.publish("scale/anna", json.dumps(json.loads(TIMED) | {"received_at": moment}))
    wait_until("both were taken", lambda: taken(relay) == 2)
    ((kept,),) = box.query("SELECT payload->>'received_at' FROM readings")
    assert kept == "2026-11-22T06:32:00Z"


def test_retained_message_is_one_reading(box: Outbox, broker: Mosquitto) -> None:
    """A retained message is one reading, even for a new subscription."""
    relay = start(box, broker)
    broker.publish("scale/anna", UNTIMED, retain=True)
    wait_until("it is stored", lambda: rows(box) == 1)
    relay.stop()
    other = start(box, broker, "scale/+")  # other topics need another session, which gets the retained message
    wait_until("it was recognized", lambda: "already stored" in other.log())
    assert rows(box) == 1


def test_earlier_retained_message_is_stored(box: Outbox, broker: Mosquitto) -> None:
    """A message retained before the first start of the relay is stored."""
    broker.publish("scale/anna", UNTIMED, retain=True)
    start(box, broker)
    wait_until("it is stored", lambda: rows(box) == 1)


def test_killed_before_the_ack_stores_once(box: Outbox, broker: Mosquitto) -> None:
    """A relay killed between commit and acknowledgment does not store the message twice."""
    relay = start(box, broker)
    relay.kill()
    broker.publish("scale/anna", UNTIMED)
    seen: list[mqtt.MQTTMessage] = []
    with psycopg.connect(box.database, autocommit=True) as connection:
        # A relay in this process: it stores the message, and ends before the acknowledgment.
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id(broker), protocol=mqtt.MQTTv5, manual_ack=True
        )
        client.on_message = lambda _client, _data, message: seen.append(message)
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = 3600
        client.connect("127.0.0.1", broker.port, clean_start=False, properties=session)
        client.loop_start()
        wait_until("the message came", lambda: bool(seen))
        client.loop_stop()
        sock = client.socket()
        assert sock
        sock.close()
        first = seen[0]
        assert store(connection, Message(first.topic, bytes(first.payload), first.mid, first.dup, first.retain))
    relay.start()
    wait_until("it was recognized", lambda: "already stored" in relay.log())
    assert rows(box) == 1


def client_id(broker: Mosquitto) -> str:
    """The relay's client id, from the broker's log."""
    return next(word for word in broker.log().split() if word.startswith("weighbridge-relay-")).split(":")[0]


def test_same_values_without_time_are_two_readings(box: Outbox, broker: Mosquitto) -> None:
    """The same values without a time are two readings, unless it is a redelivery."""
    with psycopg.connect(box.database, autocommit=True) as connection:
        message = Message("scale/anna", UNTIMED.encode(), 1, redelivered=False, retained=False)
        assert store(connection, message)
        connection.execute("UPDATE readings SET received_at = received_at - interval '1 day'")
        assert store(connection, message._replace(packet=2))
        # A redelivery has the same packet identifier.
        assert not store(connection, message._replace(packet=2, redelivered=True))
    assert rows(box) == 2


def test_messages_while_down_are_stored_later(box: Outbox, broker: Mosquitto) -> None:
    """What is published while the relay is down is stored after its restart, even if the broker restarted."""
    relay = start(box, broker)
    relay.kill()
    broker.publish("scale/anna", *(json.dumps({"weight": 80 + n / 10, "time": 1795329060 + n}) for n in range(50)))
    broker.restart()
    relay.start()
    wait_until("all are stored", lambda: rows(box) == 50)


def test_broker_keeps_all_that_it_acknowledged(box: Outbox, broker: Mosquitto) -> None:
    """3,000 messages that the shipped broker acknowledged while the relay was away are all stored, each once."""
    start(box, broker).stop()
    broker.publish("scale/anna", *(json.dumps({"weight": 80, "time": 1795329060 + n}) for n in range(3_000)))
    broker.restart()
    relay = start(box, broker)
    wait_until("all are taken", lambda: taken(relay) == 3_000, 120)
    assert box.query("SELECT count(*), count(DISTINCT key) FROM readings") == [(3_000, 3_000)]


BROKEN = {
    "not JSON": b"81,4 kg",
    "empty": b"",
    "a bare number": b"81.4",
    "a list": b'[{"weight": 81.4}]',
    "a duplicate key": b'{"weight": 81.4, "weight": 82}',
    "NaN": b'{"weight": NaN}',
    "not UTF-8": b'{"weight": 81.4, "name": "J\xfcrgen"}',
    "NUL": b'{"weight": 81.4, "name": "\\u0000"}',
    "half a surrogate pair": b'{"weight": 81.4, "name": "\\ud83d"}',
    "bytes": bytes(range(256)),
    "a number out of range": b'{"weight": 1e999999}',
    "nested too deeply": b'{"a":' * 100_000,
}


@pytest.mark.parametrize("payload", BROKEN.values(), ids=BROKEN)
def test_invalid_message_is_parked_as_text(box: Outbox, broker: Mosquitto, payload: bytes) -> None:
    """A message that is not a reading is stored as text and parked with the reason; the next one is sent."""
    relay = start(box, broker)
    broker.publish("scale/anna", payload, TIMED)
    wait_until("both are stored", lambda: rows(box) == 2)
    ((text, state, title),) = box.query("SELECT payload #>> '{}', state, fault->>'title' FROM readings WHERE id = 1")
    assert text == payload.decode("utf-8", "backslashreplace").replace("\0", "\\x00")
    assert (state, title) == ("parked", "The message is not a reading")
    assert box.state(2) == "waiting"
    assert box.query("SELECT args FROM procrastinate_jobs") == [({"reading_id": 2},)]
    assert "already stored" not in relay.log()


def test_message_with_a_long_topic_does_not_stop_the_next(box: Outbox, broker: Mosquitto) -> None:
    """A topic that no index can hold is stored, and the relay waits for nothing before the next message."""
    relay = start(box, broker)
    topic = "scale/" + "".join(random.Random(17).choices(string.ascii_letters + string.digits, k=6_000))
    broker.publish(topic, '{"weight": 80}')
    broker.publish("scale/anna", UNTIMED)
    wait_until("both are taken", lambda: taken(relay) == 2)
    sources = [str(source) for (source,) in box.query("SELECT source FROM readings ORDER BY id")]
    assert sources == [
        f"mqtt:{topic}"[:100] + "..." + hashlib.sha256(f"mqtt:{topic}".encode()).hexdigest(),
        "mqtt:scale/anna",
    ]
    assert "did not store" not in relay.log()
    # The message is recognized, although its topic is not stored in full.
    again = Message(topic, b'{"weight": 80}', 0, redelivered=False, retained=True)
    with psycopg.connect(box.database, autocommit=True) as connection:
        assert not store(connection, again)


def test_long_names_of_an_earlier_release_are_bounded(box: Outbox) -> None:
    """`migrate` bounds names that an earlier release stored, so that they are still found."""
    box.query("ALTER TABLE readings DISABLE TRIGGER weighbridge_bound_names")
    box.insert('{"weight": 81.4}', source="x" * 2_000)
    assert box.query("SELECT source = weighbridge_name(repeat('x', 2000)) FROM readings") == [(False,)]
    box.ask("migrate")
    assert box.query("SELECT source = weighbridge_name(repeat('x', 2000)) FROM readings") == [(True,)]


TOPICS = st.text(st.characters(), max_size=40).flatmap(
    lambda part: st.integers(1, 2_000).map(lambda times: part * times)
)
PAYLOADS = st.one_of(
    st.binary(max_size=300),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.just("weight"), inner),
        max_leaves=12,
    ).map(lambda document: json.dumps(document).encode()),
    st.integers(1, 200_000).map(lambda depth: b'{"a":' * depth + b"1" + b"}" * depth),
    st.integers(1, 200_000).map(lambda depth: b"[" * depth),
)


def test_any_message_is_stored_or_parked(box: Outbox) -> None:
    """Any topic with any payload is stored or parked at the first try, and so is the good message after it."""
    with psycopg.connect(box.database, autocommit=True) as connection:
        numbers = itertools.count(1)

        @settings(max_examples=150, deadline=None, database=None)
        @given(TOPICS, PAYLOADS)
        def try_one(topic: str, payload: bytes) -> None:
            good = json.dumps({"weight": 81.4, "time": 1_700_000_000 + next(numbers)}).encode()
            box.query("DELETE FROM readings")
            assert store(connection, Message(topic, payload, 1, redelivered=False, retained=False))
            assert rows(box) > 0
            assert store(connection, Message("scale/anna", good, 2, redelivered=False, retained=False))
            ((state, received),) = box.query("SELECT state, received FROM readings ORDER BY id DESC LIMIT 1")
            assert (state, received) == ("waiting", json.loads(good))

        try_one()


def test_huge_message_is_parked_by_its_beginning(box: Outbox) -> None:
    """Of a message that is larger than any batch, the size, the hash and the beginning are stored."""
    payload = b'{"weight": 81.4, "name": "' + b"\xc3\xbc" * LARGEST_BYTES + b'"}'
    with psycopg.connect(box.database, autocommit=True) as connection:
        assert store(connection, Message("scale/anna", payload, 1, redelivered=False, retained=False))
    ((state, text, detail),) = box.query("SELECT state, payload #>> '{}', fault->>'detail' FROM readings")
    assert state == "parked"
    assert text == payload[:KEPT_BYTES].decode("ascii", "backslashreplace")
    assert f"{len(payload):,} bytes" in str(detail)
    assert hashlib.sha256(payload).hexdigest() in str(detail)


def test_batch_is_stored_once(box: Outbox) -> None:
    """Of a message that becomes many rows, the whole is stored in the first alone."""
    document = json.loads((EXAMPLES / "health_auto_export.json").read_text())
    with psycopg.connect(box.database, autocommit=True) as connection:
        payload = json.dumps(document).encode()
        assert store(connection, Message("scale/anna", payload, 1, redelivered=False, retained=False))
    first, *others = box.query("SELECT received, received = payload - 'received_at' FROM readings ORDER BY part")
    assert first[0] == document
    assert others
    assert all(same for _, same in others)


@contextmanager
def in_this_process(box: Outbox) -> Iterator[Relay]:
    with closing(Relay(RelaySettings(mqtt_broker("mqtt://127.0.0.1"), ("scale/#",), box.database))) as relay:
        yield relay


@pytest.mark.parametrize(
    ("sqlstate", "tries"), [("53100", TRIES + 1), ("08006", TRIES + 1), ("54000", 1), ("XX000", 1)]
)
def test_message_that_always_fails_is_parked(
    box: Outbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, sqlstate: str, tries: int
) -> None:
    """A message that Postgres rejects is parked: at once, or after five tries if the fault could pass by itself."""
    monkeypatch.setattr(relay_module, "PAUSE_S", 0.0)
    box.query(
        f"""
        CREATE FUNCTION reject() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.fault IS NULL OR NOT NEW.fault->>'detail' LIKE '%SHA-256%' THEN
                RAISE EXCEPTION 'rejected' USING ERRCODE = '{sqlstate}';
            END IF;
            RETURN NEW;
        END $$"""
    )
    box.query("CREATE TRIGGER reject BEFORE INSERT ON readings FOR EACH ROW EXECUTE FUNCTION reject()")
    with in_this_process(box) as relay:
        assert relay.until_stored(Message("scale/anna", UNTIMED.encode(), 1, redelivered=False, retained=False))
    assert box.states() == {"parked": 1}
    assert caplog.text.count("did not store") == tries - 1
    assert "81.4" not in caplog.text


def test_message_waits_while_the_table_is_missing(
    box: Outbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault that not even a parked message escapes is not the message's: it is stored as a reading later."""
    monkeypatch.setattr(relay_module, "PAUSE_S", 0.01)
    box.query("ALTER TABLE readings RENAME TO away")
    message = Message("scale/anna", UNTIMED.encode(), 1, redelivered=False, retained=False)
    with in_this_process(box) as relay, ThreadPoolExecutor(1) as threads:
        stored = threads.submit(relay.until_stored, message)
        wait_until("it failed more often than a message may", lambda: caplog.text.count("did not store") > 2 * TRIES)
        # The table comes back while the relay rests, so its next try meets it from the start.
        monkeypatch.setattr(relay_module, "PAUSE_S", 3)
        failed = caplog.text.count("did not store")
        wait_until("it rests", lambda: caplog.text.count("did not store") > failed)
        box.query("ALTER TABLE away RENAME TO readings")
        assert stored.result(timeout=20)
    assert box.states() == {"waiting": 1}


def test_wrong_broker_password_is_logged(box: Outbox) -> None:
    """A wrong password for the broker is reported in the log, without the password."""
    with mosquitto(user="relay", password="right") as broker:
        relay = box.run("relay", MQTT_URL=broker.url.replace("right", "planted-secret"), MQTT_TOPIC="scale")
        wait_until("the refusal is in the log", lambda: "the broker refused the connection" in relay.log())
        assert "planted-secret" not in relay.log()
        assert relay.stop() == 0


def test_tls_needs_a_trusted_certificate(box: Outbox) -> None:
    """Over TLS, the relay connects only to a broker with a trusted certificate."""
    with mosquitto(tls=True) as broker:
        trusting = box.run("relay", MQTT_URL=broker.url, MQTT_TOPIC="scale", SSL_CERT_FILE=str(broker.ca_bundle))
        wait_until("the relay is connected", lambda: "connected" in trusting.log())
        broker.publish("scale", TIMED)
        wait_until("it is stored", lambda: rows(box) == 1)
        trusting.stop()
        wary = box.run("relay", MQTT_URL=broker.url, MQTT_TOPIC="scale")
        wait_until("the relay says why", lambda: "cannot be reached: SSLCertVerificationError" in wary.log())
        assert "connected" not in wary.log()
