"""Fixtures that more than one module of tests uses."""

pytest_plugins = ["tests.garmin.fixtures"]
