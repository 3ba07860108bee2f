"""The outbox: readings are stored in Postgres first, and sent to the function until they have arrived.

    schema.sql           the table `readings`, and the trigger that gives each to the queue
    home_assistant.sql   one way in: Home Assistant's recorder
    relay.py             the other way in: an MQTT broker
    message.py           bytes of a message -> what the table takes
    worker.py            takes readings from the queue to the function
    verdict.py           what an answer of the function means for a reading
    commands.py          what people ask: migrate, status, show, retry, correct
    cli.py               weighbridge outbox …
    settings.py          the environment

Rule: a reading is stored before it is acknowledged, together with the moment it was received, and leaves the queue only
when the function has said that Garmin Connect shows it. So whatever is killed, and whenever, the same reading is sent
again, and the function makes the same weigh-in of it.

Rule: what a key or a word means is known to `weighbridge.reading` alone. SQL has no list of them: `migrate` copies the
few words that recorder's trigger needs into a table.
"""
