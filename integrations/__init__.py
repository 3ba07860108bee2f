"""Callers of the function. Rule: they speak HTTP to it, and import nothing of it."""
