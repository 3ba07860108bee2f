"""A stand-in for Garmin Connect: a program of its own that can fail in every way that has been reported.

`server.GarminStandIn` in a test, `python -m tests.garmin` at a terminal. It shares no code with `function/`:
what it knows about FIT it asks Garmin's own SDK.
"""
