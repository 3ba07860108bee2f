"""Weigh-ins with body composition to Garmin Connect: the integration of Home Assistant.

    function.py, answers.py   the calls, and what an answer means
    embedded.py               the function inside this Home Assistant
    config_flow.py            the entry and the sign-in; person_flow.py, a subentry for each person
    health.py, person.py      what is asked again and again
    queue.py, questions.py    readings on their way, and whose one is
    sources/                  where readings come from: MQTT, the entities of a device
    sensor.py, event.py       what a person sees
    history.py                long-term statistics
"""

from __future__ import annotations
