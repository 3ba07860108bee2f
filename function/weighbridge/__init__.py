"""Weighbridge delivers weigh-ins from any smart scale to Garmin Connect, and proves each file first."""

import os

# logfire is installed with garth-ng and plugs itself into every pydantic model: 140 ms of each cold start, and
# telemetry that nobody asked for. pydantic reads this when the first model is made, so it is set before any import.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

__version__ = "1.0.0rc1"
