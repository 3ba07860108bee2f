"""Thin commands for people."""
