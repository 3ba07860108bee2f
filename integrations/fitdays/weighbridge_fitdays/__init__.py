"""New weigh-ins from the Fitdays cloud, to the function or to a broker.

settings.py   the environment, read once
cloud.py      the Fitdays cloud, over the library `fitdays` -> weigh-ins
sinks.py      a weigh-in -> the function, or an MQTT topic that Home Assistant discovers
poller.py     which weigh-ins are new, and which were handed over
cli.py        weighbridge fitdays …
"""
