"""The command line: each command from start to end, and what all of them have in common."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from weighbridge import __version__, cli
from weighbridge.cli import COMMANDS, Place, main
from weighbridge.fit.template import read_template
from weighbridge.operate.serving import function_or_own
from weighbridge.operate.surroundings import Surroundings
from weighbridge.resources import EXAMPLE, TEMPLATES

from .commands import NOBODY, WEIGHBRIDGE, clean, run, weighbridge, with_sources
from .function_client import client, free_port
from .outside import by_garmin_python

#: A secret to search the output for.
PLANTED = "planted-secret-0123456789"
READING = {"weight": 81.4, "body fat": 18.2, "time": "2026-11-23T07:30:00Z"}
NAME = re.compile(r"weigh-in_2026-11-23T07-30-00Z_[0-9a-f]{12}\.fit")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, value: object) -> Path:
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


# -- all of them -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_command_has_help(name: str) -> None:
    """Every command of the table can be imported and has a help page."""
    done = CliRunner().invoke(main, [name, "--help"], prog_name="weighbridge")
    assert done.exit_code == 0, done.output
    assert done.output.startswith(f"Usage: weighbridge {name}")


def imported_by(*words: str, folder: Path) -> set[str]:
    """The top-level modules that a command has imported by its end."""
    program = (
        "import sys\nfrom weighbridge.cli import main\n"
        f"try: main({list(words)!r}, prog_name='weighbridge')\n"
        "finally: print(*sorted({name.partition('.')[0] for name in sys.modules}), sep='\\n', file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=with_sources(clean({})),
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split())


HEAVY = {"functions_framework", "flask", "garth", "curl_cffi", "httpx", "streamlit", "psycopg", "rich", "playwright"}


def test_light_imports(folder: Path) -> None:
    """`--help` and `fit` import no heavy library."""
    shown = imported_by("--help", folder=folder)
    assert "click" in shown
    assert not shown & (HEAVY | {"pydantic", "fitdecode"})
    write(folder / "reading.json", READING)
    made = imported_by("fit", "reading.json", folder=folder)
    assert "fitdecode" in made
    assert not made & HEAVY


def test_version(folder: Path) -> None:
    """`--version` prints the version of the package."""
    assert __version__ in weighbridge("--version", folder=folder).stdout.decode()


def test_missing_extra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command whose module is there but whose libraries are not names the pip command that installs them."""
    write(folder / "weighbridge_lean.py", "import no_such_library\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(cli, "COMMANDS", {"lean": Place("weighbridge_lean", "", "outbox"), "broken": Place("gone", "")})
    monkeypatch.setattr(cli, "OURS", {"weighbridge", "gone"})
    done = CliRunner().invoke(main, ["lean"], obj=Surroundings({}))
    assert (done.exit_code, done.output) == (
        1,
        "weighbridge lean needs more packages. In the checkout: pipx install --force '.[outbox]'.\n",
    )
    # A missing module of Weighbridge itself is a bug, and is raised as it is.
    assert isinstance(CliRunner().invoke(main, ["broken"], obj=Surroundings({})).exception, ModuleNotFoundError)


def test_extra_missing_at_run_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that is missing only when the command runs gives the same sentence."""
    write(
        folder / "weighbridge_late.py",
        "import click\n\n@click.command()\ndef command():\n    import no_such_library\n",
    )
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(cli, "COMMANDS", {"late": Place("weighbridge_late", "", "form")})
    done = CliRunner().invoke(main, ["late"], obj=Surroundings({}))
    assert (done.exit_code, done.output) == (
        1,
        "weighbridge late needs more packages. In the checkout: pipx install --force '.[form]'.\n",
    )


@pytest.mark.parametrize(
    "words",
    [["fit", "-"], ["serve"], ["login"], ["refresh"], ["kept", "list"], ["kept", "deliver"], ["confirm"], ["template"]],
    ids=" ".join,
)
def test_invalid_setting(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Invalid settings are reported on one line with exit code 1, and their values are not printed."""
    environment = {"WEIGHBRIDGE_DELIVERY": PLANTED, "GARMIN_PERSONAL_API_KEY": f"{PLANTED} and more"}
    assert run(words, environment) == 1
    error = capsys.readouterr().err
    assert "WEIGHBRIDGE_DELIVERY must be" in error
    assert "GARMIN_PERSONAL_API_KEY must be" in error
    assert error.count("\n") == 1
    assert PLANTED not in error


def test_ctrl_c(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Ctrl-C ends a command with exit code 130 and no traceback."""

    def interrupted(_question: str) -> str:
        raise KeyboardInterrupt

    assert run(["login"], {"WEIGHBRIDGE_TOKENS": str(tmp_path)}, replace(NOBODY, ask=interrupted)) == 130
    assert "Traceback" not in capsys.readouterr().err


# -- completion ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script(folder: Path, shell: str) -> None:
    """Each shell gets a completion script that calls the command."""
    done = weighbridge(folder=folder, _WEIGHBRIDGE_COMPLETE=f"{shell}_source")
    assert done.returncode == 0, done.stderr
    assert f"_WEIGHBRIDGE_COMPLETE={shell}_complete" in done.stdout.decode()


def completed(words: str, folder: Path) -> list[str]:
    environment = {"_WEIGHBRIDGE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": len(words.split()) - 1}
    done = weighbridge(folder=folder, **environment)
    assert (done.returncode, done.stderr) == (0, b"")
    return [line.partition(",")[2] for line in done.stdout.decode().splitlines()]


def test_completion(folder: Path) -> None:
    """The names of commands and the values of options are completed."""
    write(folder / ".env", "WEIGHBRIDGE_DELIVERY=folder\n")
    assert completed("weighbridge ke", folder) == ["kept"]
    assert completed("weighbridge kept de", folder) == ["deliver"]
    assert completed("weighbridge login --way win", folder) == ["window"]
    assert {"form", "fit", "fitdays"} == set(completed("weighbridge f", folder))


def test_completion_without_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Completion prints nothing about a command whose extra is missing."""
    monkeypatch.setattr(cli, "COMMANDS", {"lean": Place("no_such_library", "", "outbox")})
    with main.make_context("weighbridge", ["lean"], resilient_parsing=True) as context:
        assert main.get_command(context, "lean") is None


# -- .env ------------------------------------------------------------------------------------------------


def test_dot_env(folder: Path) -> None:
    """The file .env is read, the command says so, and neither its values nor its names are printed."""
    write(folder / "reading.json", READING | {"time": "2026-11-23 07:30"})
    write(folder / ".env", f"WEIGHBRIDGE_TIMEZONE=Europe/Berlin\nWEIGHBRIDGE_API_KEYS=home={PLANTED}\n{PLANTED}\n")
    done = weighbridge("fit", "reading.json", folder=folder)
    assert done.returncode == 0, done.stderr
    assert b"weigh-in_2026-11-23T06-30-00Z" in done.stdout
    assert done.stderr == b"Also reading settings from .env in this folder (2 used; the environment wins).\n"
    assert PLANTED.encode() not in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["WEIGHBRIDGE_TIMEZONE", "WEIGHBRIDGE_TIMEZONE_FILE"])
def test_environment_wins(folder: Path, name: str) -> None:
    """The environment wins over .env, even over a NAME_FILE there, which is read before NAME."""
    write(folder / "reading.json", READING | {"time": "2026-11-23 07:30"})
    write(folder / "Europe", "Europe/Berlin")
    write(folder / ".env", f"{name}=Europe\n")
    done = weighbridge("fit", "reading.json", folder=folder, WEIGHBRIDGE_TIMEZONE="Asia/Tokyo")
    assert b"weigh-in_2026-11-22T22-30-00Z" in done.stdout, done.stderr


def test_dot_env_invalid(folder: Path) -> None:
    """An invalid value in .env and a damaged .env give one sentence, without the value."""
    write(folder / "reading.json", READING)
    write(folder / ".env", f"WEIGHBRIDGE_DELIVERY={PLANTED}\n")
    done = weighbridge("fit", "reading.json", folder=folder)
    assert done.returncode == 1
    assert b"WEIGHBRIDGE_DELIVERY must be" in done.stderr
    assert PLANTED.encode() not in done.stderr
    (folder / ".env").write_bytes(b"WEIGHBRIDGE_API_KEYS=\xff\xfe\n")
    done = weighbridge("fit", "reading.json", folder=folder)
    assert (done.returncode, done.stderr) == (
        1,
        b"The file .env in this folder cannot be read: it is not valid UTF-8.\n",
    )


# -- fit -------------------------------------------------------------------------------------------------


def test_fit_as_the_function(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`fit` makes exactly the file that the function would make."""
    write(folder / "reading.json", READING)
    assert run(["fit", "reading.json"], {}) == 0
    (path,) = folder.glob("*.fit")
    assert NAME.fullmatch(path.name)
    shown = capsys.readouterr().out
    assert shown.startswith(f"{path.name}\n  81.4 kg, 18.2 % fat: kept as a file for import by hand.\n")
    answer = client(monkeypatch, WEIGHBRIDGE_FOLDER=folder / "x").post("/fit", data=json.dumps(READING))
    assert path.read_bytes() == answer.get_data()
    (weigh_in,) = by_garmin_python(path.read_bytes())
    assert weigh_in.raw["weight"] == 8140


def test_fit_output(folder: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """-o takes a file, a folder, or - for standard output."""
    source = str(write(folder / "reading.json", READING))
    (folder / "there").mkdir()
    assert run(["fit", source, "-o", "mine.fit"], {}) == 0
    assert run(["fit", source, "-o", "there"], {}) == 0
    capsysbinary.readouterr()
    assert run(["fit", source, "-o", "-"], {}) == 0
    output = capsysbinary.readouterr()
    (named,) = (folder / "there").iterdir()
    assert NAME.fullmatch(named.name)
    assert output.out == (folder / "mine.fit").read_bytes() == named.read_bytes()
    assert b"81.4 kg" in output.err


TWO = [READING, READING | {"time": "2026-11-24T07:30:00Z"}]


@pytest.mark.parametrize("text", [json.dumps(TWO), "\n".join(map(json.dumps, TWO))], ids=["array", "NDJSON"])
def test_fit_several(folder: Path, text: str) -> None:
    """Several readings from standard input make one file."""
    done = weighbridge("fit", "-", "-o", "-", folder=folder, stdin=text.encode())
    assert done.returncode == 0, done.stderr
    assert len(by_garmin_python(done.stdout)) == 2


def test_fit_limit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """200 readings make a file; 201 are refused."""
    times = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_760_000_000 + 3600 * n)) for n in range(201)]
    readings = [READING | {"time": text} for text in times]
    write(folder / "many.json", readings[:200])
    assert run(["fit", "many.json", "-o", "many.fit"], {}) == 0
    assert len(by_garmin_python((folder / "many.fit").read_bytes())) == 200
    capsys.readouterr()
    write(folder / "many.json", readings)
    assert run(["fit", "many.json", "-o", "more.fit"], {}) == 1
    assert "Expected 1 to 200 readings" in capsys.readouterr().err
    assert not (folder / "more.fit").exists()


def test_fit_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--json prints the receipt, with the proof and the name of the file."""
    write(folder / "reading.json", READING)
    assert run(["fit", "reading.json", "-o", "mine.fit", "--json"], {}) == 0
    receipt = json.loads(capsys.readouterr().out)
    assert (receipt["status"], receipt["fit"]["file_name"]) == ("kept", "mine.fit")
    assert receipt["fit"]["sha256"] == hashlib.sha256((folder / "mine.fit").read_bytes()).hexdigest()
    assert receipt["fit"]["proof"].startswith("decoded by fitdecode")
    write(folder / "two.json", [READING])
    assert run(["fit", "two.json", "-o", "two.fit", "--json"], {}) == 0
    assert [each["status"] for each in json.loads(capsys.readouterr().out)["results"]] == ["kept"]


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        ({"weight": 700}, ["weight: ", "400 kg", "Got 700."]),
        ([READING, {"weight": "x"}], ["reading 2, weight: ", 'Got "x".']),
        ({"weight": 80, "body fat": 20, "fat mass": 40}, ["fat mass"]),
        ("[]", ["1 to 200"]),
        ("{", ["reading.json: ", "not valid JSON"]),
        ("", ["reading.json: ", "empty"]),
    ],
)
def test_fit_rejected(folder: Path, capsys: pytest.CaptureFixture[str], reading: object, words: list[str]) -> None:
    """An impossible reading is refused with the field that is wrong, and no file is written."""
    write(folder / "reading.json", reading)
    assert run(["fit", "reading.json"], {}) == 1
    output = capsys.readouterr()
    for word in words:
        assert word in output.err
    assert (output.out, list(folder.glob("*.fit"))) == ("", [])
    assert run(["fit", "reading.json", "--json"], {}) == 1
    problem = json.loads(capsys.readouterr().out)
    assert (problem["blame"], problem["again"]) == ("caller", "never")
    if problem["type"] == "urn:weighbridge:reading-rejected":
        assert {"field", "input", "message"} == set(problem["errors"][0])


def test_fit_unreadable_or_unwritable(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that cannot be read or written is reported in one sentence, and the reading is never overwritten."""
    source = write(folder / "reading.json", READING)
    for words, sentence in (
        (["missing.json"], "missing.json cannot be read: No such file or directory."),
        (["reading.json", "-o", "no/such/file.fit"], "cannot be written: No such file"),
        (["reading.json", "-o", "reading.json"], "is the reading itself"),
    ):
        assert run(["fit", *words], {}) == 1
        error = capsys.readouterr().err
        assert sentence in error
        assert error.count("\n") == 1
    assert json.loads(source.read_text()) == READING


def test_fit_for_a_person(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A person's height is used, and Garmin is not asked."""
    people = write(folder / "people.toml", '[[person]]\nname = "Anna"\ntoken = "anna"\nheight_cm = 170\n')
    write(folder / "reading.json", READING | {"person": "Anna"})
    environment = {
        "WEIGHBRIDGE_PEOPLE": str(people),
        "WEIGHBRIDGE_DELIVERY": "garth",
        "GARMIN_DOMAIN": "garmin.invalid",
    }
    assert run(["fit", "reading.json", "--json", "-o", "a.fit"], environment) == 0
    receipt = json.loads(capsys.readouterr().out)
    assert "bmi" in {field["fit_field"] for field in receipt["fields"]}


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
        "Europe/Berlin",
        "required from every caller",
        ".env",
    ):
        assert words in said
    assert PLANTED not in said + (folder / "log").read_text()
    # DEBUG, which many shells set, does not turn on Flask's debugger.
    assert all(line.startswith("{") for line in (folder / "log").read_text().splitlines())


def test_serve_port_and_no_key(folder: Path) -> None:
    """The port may come from PORT. Without a key, `serve` says that callers on other machines are refused."""
    port = free_port()
    with serving(folder, "--host", "0.0.0.0", PORT=port) as process:
        answer_of(f"http://127.0.0.1:{port}", process)
    said = (folder / "said").read_text()
    assert f"http://0.0.0.0:{port}" in said
    assert "others are refused (403) until WEIGHBRIDGE_API_KEYS is set" in said


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
    monkeypatch.setattr(os, "execve", lambda *_: pytest.fail("the server was started"))
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
    (kept,) = (folder / "weighbridge-demo" / "weigh-ins").glob("*.fit")
    assert f"choose weighbridge-demo/weigh-ins/{kept.name}" in shown
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
        request.add_header(*next(iter(target.headers.items())))
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 200
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(target.url, timeout=5)


def test_fit_template(folder: Path) -> None:
    """`fit` uses the configured template."""
    write(folder / "reading.json", READING | {"fat mass": 14.8})
    developer = TEMPLATES / "weight_scale_developer.fit"
    assert run(["fit", "reading.json", "-o", "a.fit"], {"WEIGHBRIDGE_TEMPLATE": str(developer)}) == 0
    assert "fat_mass" in read_template((folder / "a.fit").read_bytes()).fields
