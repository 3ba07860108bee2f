"""A program from npm, installed from its lock file if it is not installed yet."""

from __future__ import annotations

import subprocess
from pathlib import Path

from filelock import FileLock

from tests.e2e.parts import find_program, unavailable


def installed(package: Path, name: str) -> Path:
    """The program of this name. Its package.json and lock file are in the folder `package`."""
    npm = find_program("npm", package="npm")
    find_program("node", package="nodejs")
    lock = (package / "package-lock.json").read_bytes()
    stamp = package / "node_modules" / ".installed"
    with FileLock(package / ".installing"):
        if not stamp.exists() or stamp.read_bytes() != lock:
            done = subprocess.run(
                [npm, "ci", "--no-audit", "--no-fund"], cwd=package, capture_output=True, text=True, check=False
            )
            if done.returncode:
                unavailable(f"npm could not install {name}. Is this machine online? {done.stderr[-500:]}")
            stamp.write_bytes(lock)
    return package / "node_modules" / ".bin" / name
