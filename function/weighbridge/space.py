"""Whether a folder takes a file, as far as can be seen without writing.

Weakness: it does not know of a quota.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path


def look_for_room(folder: Path, size_bytes: int) -> None:
    """Raises `OSError` if the folder, or what it will be created in, takes no file of this size. Writes nothing."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not there.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    if shutil.disk_usage(there).free < size_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
