"""A stand-in for Garmin Connect: a separate program that can fail in every way that has been reported.

`server.GarminStandIn` in a test, `python -m tests.garmin` at a terminal. It shares no code with `function/`;
it reads FIT files with Garmin's own SDK.
"""
