"""The outbox: readings come to rest in Postgres first, and go on to the function until they have arrived.

    schema.sql           the table `readings`, and the trigger that gives each to the queue
    home_assistant.sql   one way in: Home Assistant's recorder
    relay.py             the other way in: an MQTT broker
    message.py           bytes of a message -> what the table takes
    worker.py            takes readings from the queue to the function
    verdict.py           what an answer of the function means for a reading
    desk.py              what people ask: status, show, retry, correct
    settings.py          the environment

Rule: a reading is stored before it is acknowledged, is stored with its time, and leaves the queue only when the
function has said that Garmin Connect shows it. So whatever is killed, and whenever, it is sent again as the very same
reading, which the function makes the very same weigh-in.
"""
