"""Whole programs around the function: real brokers, databases and automations, each a process of its own."""
