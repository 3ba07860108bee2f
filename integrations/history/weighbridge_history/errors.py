"""What can be wrong with a file, told to whoever brought it."""

from __future__ import annotations


class FileUnusable(Exception):
    """Nothing can be read of the file. The message names the place, and the mend where there is one."""


class MappingInvalid(Exception):
    """What is known of the columns does not do, or what a person says of them cannot be followed."""


class OrderUnclear(MappingInvalid):
    """Day and month could be either way in every row: a person has to tell."""
