"""`weighbridge serve`, the demo and a temporary function, each as the process that a user starts."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.commands import WEIGHBRIDGE, clean, run, weighbridge, with_sources
from tests.ports import free_port
from weighbridge.delivery.kept import kept_files
from weighbridge.local_key import local_key
from weighbridge.operate.serving import function_or_own
from weighbridge.resources import EXAMPLE

#: A secret to search the output for.
PLANTED = "planted-secret-0123456789"
READING = {"weight": 81.4, "body fat": 18.2, "time": "2026-11-23T07:30:00Z"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


# -- serve -----------------------------------------------------------------------------------------------


@contextmanager
def serving(folder: Path, *words: str, **environment: object) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "said").open("wb") as said, (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*WEIGHBRIDGE, "serve", *words],
            cwd=folder,
            env=with_sources(clean(environment)),
            stdout=log,
            stderr=said,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answer_of(address: str, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """The answer of /health, once the server runs."""
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=10) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except urllib.error.HTTPError as e:
            with e:
                refused: dict[str, Any] = json.load(e)
                return refused
        except OSError:
            time.sleep(0.02)
    raise AssertionError(f"the function does not answer (exit code {process.poll()})")


def test_serve(folder: Path) -> None:
    """`serve` prints its settings but no secret, serves in its own process, and ends on SIGTERM."""
    port = free_port()
    write(folder / ".env", f"WEIGHBRIDGE_API_KEYS=home={PLANTED}\nWEIGHBRIDGE_TIMEZONE=Europe/Berlin\n")
    with serving(folder, "--port", str(port), WEIGHBRIDGE_DELIVERY="garmin,folder", DEBUG="1") as process:
        assert answer_of(f"http://127.0.0.1:{port}", process)["delivery"]["name"] == "garth"
        # The key is in .env only, so the server has read it.
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/fit", json.dumps(READING).encode(), {"Authorization": f"Bearer {PLANTED}"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.read(20)[8:12] == b".FIT"
        command = (
            Path(f"/proc/{process.pid}/cmdline").read_bytes().replace(b"\0", b" ") if Path("/proc").exists() else b""
        )
        assert PLANTED.encode() not in command
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    said = (folder / "said").read_text()
    for words in (
        f"http://127.0.0.1:{port}",
        "garth",
        "then folder",
        str(folder / "weigh-ins"),
        "Europe/Berlin (for times without an offset; from WEIGHBRIDGE_TIMEZONE)",
        "one of WEIGHBRIDGE_API_KEYS, which has 1",
        ".env",
    ):
        assert words in said
    assert PLANTED not in said + (folder / "log").read_text()
    # DEBUG, which many shells set, changes nothing.
    assert all(line.startswith("{") for line in (folder / "log").read_text().splitlines())


def test_serve_port_and_no_key(folder: Path) -> None:
    """The port may come from PORT. Without configured keys, `serve` makes one, and says where it is but not what."""
    port = free_port()
    with serving(folder, "--host", "0.0.0.0", PORT=port, WEIGHBRIDGE_LOCAL_KEY="key") as process:
        answer_of(f"http://127.0.0.1:{port}", process)
    said = (folder / "said").read_text()
    assert f"http://0.0.0.0:{port}" in said
    assert "that of this machine, in key: weighbridge key" in said
    assert local_key(folder / "key").get_secret_value() not in said


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"WEIGHBRIDGE_DELIVERY": "pigeon"}, "WEIGHBRIDGE_DELIVERY must be"),
        ({"WEIGHBRIDGE_TEMPLATE": "/nonexistent.fit"}, "The template /nonexistent.fit cannot be read"),
        ({"WEIGHBRIDGE_TEMPLATE": __file__}, "not a FIT file"),
        ({"WEIGHBRIDGE_PEOPLE": "/nonexistent.toml"}, "WEIGHBRIDGE_PEOPLE cannot be read"),
        ({"WEIGHBRIDGE_API_KEYS": f"home,{PLANTED}"}, "WEIGHBRIDGE_API_KEYS must be"),
    ],
)
def test_serve_misconfigured(folder: Path, environment: Mapping[str, object], words: str) -> None:
    """An invalid setting ends `serve` at once with one sentence, without any secret."""
    done = weighbridge("serve", "--port", free_port(), folder=folder, **environment)
    error = done.stderr.decode()
    assert done.returncode == 1
    assert words in error
    assert error.count("\n") == 1
    assert PLANTED not in error


def test_serve_without_the_library(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If the delivery needs a library that is not installed, `serve` ends at once, and says how to install it."""
    monkeypatch.setitem(sys.modules, "garminconnect", None)
    monkeypatch.setattr("weighbridge.http.server.run", lambda *_: pytest.fail("the server was started"))
    words = ["serve", "--port", str(free_port())]
    assert run(words, {"WEIGHBRIDGE_DELIVERY": "garminconnect,folder", "WEIGHBRIDGE_FOLDER": str(folder)}) == 1
    error = capsys.readouterr().err
    assert "garminconnect, on Python 3.12 or newer, needs more packages" in error
    assert error.count("\n") == 1


def test_serve_port_in_use(folder: Path) -> None:
    """A port in use is reported in one sentence that names it and another one to try."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = weighbridge("serve", "--port", port, folder=folder)
    error = done.stderr.decode()
    assert done.returncode == 1
    assert f"Port {port} is in use" in error
    assert "weighbridge serve --port" in error
    assert error.count("\n") == 1


def test_serve_foreign_address(folder: Path) -> None:
    """An address of another machine is reported in one sentence."""
    done = weighbridge("serve", "--host", "192.0.2.1", folder=folder)  # RFC 5737
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert b"is not an address of this machine" in done.stderr


# -- demo, and a temporary function ---------------------------------------------------------------------


def test_demo_folder(folder: Path) -> None:
    """The demo writes only to its own folder, whatever is set in the environment."""
    (folder / "weigh-ins").mkdir()
    environment = {
        "WEIGHBRIDGE_FOLDER": folder / "weigh-ins",
        "WEIGHBRIDGE_DELIVERY": "garth",
        "GARMIN_DOMAIN": "no.invalid",
    }
    done = weighbridge("demo", folder=folder, **environment)
    assert done.returncode == 0, done.stderr
    shown = done.stdout.decode()
    (kept,) = kept_files(folder / "weighbridge-demo" / "weigh-ins")
    assert f"choose {kept.relative_to(folder)}" in shown
    assert "percent_fat            18.2 %" in shown
    assert {path.name for path in folder.iterdir()} == {"weigh-ins", "weighbridge-demo"}
    assert list((folder / "weigh-ins").iterdir()) == []
    assert (folder / "weighbridge-demo" / EXAMPLE.name).read_bytes() == EXAMPLE.read_bytes()


def test_function_or_own(folder: Path) -> None:
    """A caller gets the function that the environment names, or a temporary one with a key of its own."""
    named = clean({"WEIGHBRIDGE_URL": "http://function.invalid:8080", "WEIGHBRIDGE_KEY": PLANTED})
    with function_or_own(named) as target:
        assert (target.url, target.key.get_secret_value()) == ("http://function.invalid:8080", PLANTED)
    own = with_sources(clean({"WEIGHBRIDGE_API_KEYS": f"home={PLANTED}", "WEIGHBRIDGE_FOLDER": folder}))
    with function_or_own(own) as target:
        request = urllib.request.Request(f"{target.url}/fit", json.dumps(READING).encode())
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=30)
        with refused.value as fault:
            assert fault.code == 401
        request.add_header(*next(iter(target.headers().items())))
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 200
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(target.url, timeout=5)
