"""Bytes and numbers: FIT templates read, patched and proven. No IO, no clock, no environment, no logging."""
