"""Weighbridge: a stateless HTTP function that takes a weigh-in and delivers it to Garmin Connect, proven."""
