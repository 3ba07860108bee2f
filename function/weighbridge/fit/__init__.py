"""Bytes and numbers: FIT templates are read, patched and proven. No IO, no clock, no environment, no logging."""
