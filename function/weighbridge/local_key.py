"""The key of this machine: made once, and shared by the programs of one user.

Rule: a function without configured keys is not open. It wants this key, which only its own user can read. So a proxy, a
tunnel, a web page or another user that reaches the port is refused.

Facts: the file holds the line `Authorization: Bearer KEY`, because curl reads a header from a file
(`curl -H @FILE`), which keeps the key out of the list of processes.

Weakness: a program reads the key of this machine for any function at a loopback address. If another user of the machine
listens at that port first, it gets the key, but then it is the only one to listen there.
"""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from pathlib import Path

from .errors import SettingsInvalid
from .private import make_private_folder
from .secret import SecretStr

_LINE = re.compile(r"Authorization: Bearer ([0-9a-f]{48})\n")


def read_local_key(path: Path) -> SecretStr | None:
    """The key in this file, or None if there is no file. Raises `SettingsInvalid`."""
    try:
        with path.open(encoding="ascii") as file:
            status = os.fstat(file.fileno())
            text = file.read(200)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as e:
        reason = e.strerror if isinstance(e, OSError) else "it is not text"
        raise SettingsInvalid(f"The key of this machine, {path}, cannot be read: {reason}.") from None
    if os.name == "posix" and (status.st_uid != os.geteuid() or status.st_mode & 0o077):
        raise SettingsInvalid(f"Other users own {path} or may read it. Delete it; the function makes a new one.")
    found = _LINE.fullmatch(text)
    if not found:
        raise SettingsInvalid(f"{path} does not hold a key. Delete it; the function makes a new one.")
    return SecretStr(found[1])


def local_key(path: Path) -> SecretStr:
    """The key in this file, made if there is none. Raises `SettingsInvalid`."""
    if key := read_local_key(path):
        return key
    try:
        make_private_folder(path.parent)
        # A file of mode 0600. A link to it appears whole or not at all, and never replaces one.
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".key-", encoding="ascii") as new:
            new.write(f"Authorization: Bearer {secrets.token_hex(24)}\n")
            new.flush()
            os.link(new.name, path)
    except FileExistsError:
        pass  # another process was faster
    except OSError as e:
        raise SettingsInvalid(
            f"No key is configured, and {path} cannot be written ({e.strerror}). Set WEIGHBRIDGE_API_KEYS to name=key."
        ) from None
    if key := read_local_key(path):
        return key
    raise SettingsInvalid(f"{path} was removed by another program. Start again.")
