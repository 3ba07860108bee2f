"""The outbox: readings are stored in Postgres first, and sent to the function until they have arrived.

    schema.sql           the table `readings`, and the trigger that queues each row
    bounds.sql           bounds for what is indexed
    roles.sql            what the roles of the relay and the worker may do
    home_assistant.sql   one way in: Home Assistant's recorder
    relay.py             the other way in: an MQTT broker
    message.py           bytes of a message -> values for the table
    settling.py          which rows are one weigh-in
    taking.py            which readings of a batch are sent now
    worker.py            sends queued readings to the function, as many as are due in one request
    verdict.py           what an answer of the function means for a reading
    pauses.py            how long to wait before the next attempt
    notices.py           notifies a person of what is parked or does not arrive
    commands.py          migrate, status, show, retry, correct
    cli.py               weighbridge outbox …
    settings.py          the environment

Rule: a reading is stored, with the time of its receipt, before it is acknowledged. It leaves the queue only when the
function says that Garmin Connect shows it. So whatever is killed, and whenever, the same reading is sent again, and the
function makes the same weigh-in of it.

Rule: of several messages about one weigh-in, one carries all values before it is sent; the others are `joined`. What is
sent does not change after the first attempt.

    waiting ── settles ──> joined                 another reading carries the values
       │
       ├── sent ──> confirmed, present, taken_back, nothing
       │       ──> accepted, kept ── sent again
       │       ──> waiting, with `replace`, at once        it only adds values to what Garmin holds
       │       ──> parked ── retry, correct ──> waiting
       └── no weight came ──> parked

Rule: only `weighbridge.reading` knows what a key or a word means. SQL has no list of them: `migrate` copies the few
words that recorder's trigger needs into a table.

Weakness: each worker knows only its own pauses. When Garmin asks one worker to wait, another finds out by itself.
"""
