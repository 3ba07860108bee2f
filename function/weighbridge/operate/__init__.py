"""The commands for the owner of a function."""
