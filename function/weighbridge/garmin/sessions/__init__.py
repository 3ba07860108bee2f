"""Authenticated requests to Garmin Connect, one module per library. A session knows nothing about weigh-ins."""
