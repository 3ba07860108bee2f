"""Authenticated requests to Garmin Connect, one file per library. A session knows nothing of weigh-ins."""
