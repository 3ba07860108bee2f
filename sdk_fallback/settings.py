"""The settings of the Windows machine: each from NAME, or from the file that NAME_FILE names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .errors import RunnerUnusable


def setting(environment: Mapping[str, str], name: str) -> str:
    """Its text, "" where it is not set. An empty variable is an unset one, as in `function.settings`."""
    path = environment.get(name + "_FILE")
    if not path:
        return environment.get(name, "")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as e:
        why = e.strerror if isinstance(e, OSError) else "it is not text"
        raise RunnerUnusable(f"The file that {name}_FILE names cannot be read ({why}).") from e


def needed(environment: Mapping[str, str], name: str, meaning: str) -> str:
    """Like `setting`, for one that has to be there."""
    text = setting(environment, name)
    if not text:
        raise RunnerUnusable(f"{name} is not set. It is {meaning} (see sdk_fallback/windows/README.md).")
    return text
