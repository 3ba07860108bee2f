"""The id of this process: by it, a caller recognizes the function that it knows under another address."""

from __future__ import annotations

import secrets
from functools import cache


@cache
def instance_id() -> str:
    """Made when it is first asked for, and gone with the process. It says nothing about the machine."""
    return secrets.token_hex(8)
