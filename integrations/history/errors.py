"""What can be wrong with a file, told to whoever brought it."""

from __future__ import annotations


class FileUnusable(Exception):
    """Nothing can be read of the file. The message names the place, and the mend where there is one."""


class MappingInvalid(Exception):
    """The mapping file says something that cannot be followed."""
