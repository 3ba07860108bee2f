"""A cloud can build the function from its source: requirements.txt at the root, and function/main.py.

Strategy: the environment has only those packages, so `weighbridge` can only come from function/, which
functions-framework puts on the import path.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

from tests.e2e.parts import is_listening, wait_until
from tests.function_client import local_headers
from tests.ports import free_port

ROOT = Path(__file__).parents[2]


def test_function_runs_from_its_source(tmp_path: Path) -> None:
    """The function runs from its source where `weighbridge` is not installed."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    programs = tmp_path / "venv" / "bin"
    pip = [programs / "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    subprocess.run([*pip, "-r", ROOT / "requirements.txt"], check=True)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WEIGHBRIDGE_", "GARMIN_", "PYTHON", "VIRTUAL"))}
    environment = kept | {"WEIGHBRIDGE_FOLDER": str(tmp_path / "weigh-ins")}
    found = [programs / "python", "-c", "from importlib.util import find_spec; print(find_spec('weighbridge'))"]
    assert subprocess.run(found, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, check=True).stdout == b"None\n"

    port = free_port()
    command = [programs / "functions-framework", "--asgi", "--source", "function/main.py", "--target", "handle"]
    process = subprocess.Popen([*command, "--host", "127.0.0.1", "--port", str(port)], cwd=ROOT, env=environment)
    try:
        wait_until("it listens or has ended", lambda: process.poll() is not None or is_listening(port))
        request = urllib.request.Request(f"http://127.0.0.1:{port}", b'{"weight_kg": 81.4}', local_headers())
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert json.load(answer)["status"] == "kept"
    finally:
        process.terminate()
        process.wait(timeout=30)
