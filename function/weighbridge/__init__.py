"""Weighbridge takes a weigh-in from any smart scale and delivers it to Garmin Connect, proven."""

import os

# logfire comes along with garth-ng and plugs itself into every pydantic model: 140 ms of each cold start, and a
# telemetry that nobody asked for. pydantic looks at this when the first model is made, so it stands before all of ours.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

__version__ = "0.2.0"
