"""Garmin Connect: its protocol, its answers, its tokens, and the sessions that reach it."""
