"""Tests with a real, current Home Assistant: make test-home-assistant."""
