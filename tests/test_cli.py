"""The command line: what each command does whole, and what all of them have in common."""

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

#: Settings that would be seen if they were printed.
PLANTED = "planted-secret-0123456789"
WEIGHING = {"weight": 81.4, "body fat": 18.2, "time": "2026-11-23T07:30:00Z"}
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
def test_every_command_of_the_table_is_there_and_explains_itself(name: str) -> None:
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


def test_help_and_a_file_import_nothing_heavy(folder: Path) -> None:
    shown = imported_by("--help", folder=folder)
    assert "click" in shown
    assert not shown & (HEAVY | {"pydantic", "fitdecode"})
    write(folder / "reading.json", WEIGHING)
    made = imported_by("fit", "reading.json", folder=folder)
    assert "fitdecode" in made
    assert not made & HEAVY


def test_the_version_is_that_of_the_package(folder: Path) -> None:
    assert __version__ in weighbridge("--version", folder=folder).stdout.decode()


def test_a_missing_extra_is_one_sentence_with_the_command_that_brings_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its module is there, as it is in the wheel; what it imports is not."""
    write(folder / "weighbridge_lean.py", "import no_such_library\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(cli, "COMMANDS", {"lean": Place("weighbridge_lean", "", "outbox"), "broken": Place("gone", "")})
    monkeypatch.setattr(cli, "OURS", {"weighbridge", "gone"})
    done = CliRunner().invoke(main, ["lean"], obj=Surroundings({}))
    assert (done.exit_code, done.output) == (
        1,
        "weighbridge lean needs more packages: pip install 'weighbridge[outbox]'.\n",
    )
    # A module of ours that is missing is a fault of ours, and not to be explained away.
    assert isinstance(CliRunner().invoke(main, ["broken"], obj=Surroundings({})).exception, ModuleNotFoundError)


def test_an_extra_that_is_missing_only_at_work_is_the_same_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        folder / "weighbridge_late.py",
        "import click\n\n@click.command()\ndef command():\n    import no_such_library\n",
    )
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(cli, "COMMANDS", {"late": Place("weighbridge_late", "", "form")})
    done = CliRunner().invoke(main, ["late"], obj=Surroundings({}))
    assert (done.exit_code, done.output) == (
        1,
        "weighbridge late needs more packages: pip install 'weighbridge[form]'.\n",
    )


@pytest.mark.parametrize(
    "words",
    [["fit", "-"], ["serve"], ["login"], ["refresh"], ["kept", "list"], ["kept", "deliver"], ["confirm"], ["template"]],
    ids=" ".join,
)
def test_a_wrong_setting_is_one_sentence_and_exit_code_1_and_is_not_echoed(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    environment = {"WEIGHBRIDGE_DELIVERY": PLANTED, "GARMIN_PERSONAL_API_KEY": f"{PLANTED} and more"}
    assert run(words, environment) == 1
    error = capsys.readouterr().err
    assert "WEIGHBRIDGE_DELIVERY must be" in error
    assert "GARMIN_PERSONAL_API_KEY must be" in error
    assert error.count("\n") == 1
    assert PLANTED not in error


def test_ctrl_c_ends_a_command_with_130(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def interrupted(_question: str) -> str:
        raise KeyboardInterrupt

    assert run(["login"], {"WEIGHBRIDGE_TOKENS": str(tmp_path)}, replace(NOBODY, ask=interrupted)) == 130
    assert "Traceback" not in capsys.readouterr().err


# -- completion ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_that_calls_the_command(folder: Path, shell: str) -> None:
    done = weighbridge(folder=folder, _WEIGHBRIDGE_COMPLETE=f"{shell}_source")
    assert done.returncode == 0, done.stderr
    assert f"_WEIGHBRIDGE_COMPLETE={shell}_complete" in done.stdout.decode()


def completed(words: str, folder: Path) -> list[str]:
    environment = {"_WEIGHBRIDGE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": len(words.split()) - 1}
    done = weighbridge(folder=folder, **environment)
    assert (done.returncode, done.stderr) == (0, b"")
    return [line.partition(",")[2] for line in done.stdout.decode().splitlines()]


def test_names_of_commands_and_options_are_completed(folder: Path) -> None:
    write(folder / ".env", "WEIGHBRIDGE_DELIVERY=folder\n")
    assert completed("weighbridge ke", folder) == ["kept"]
    assert completed("weighbridge kept de", folder) == ["deliver"]
    assert completed("weighbridge login --way win", folder) == ["window"]
    assert {"form", "fit", "fitdays"} == set(completed("weighbridge f", folder))


def test_completion_says_nothing_of_a_command_whose_extra_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "COMMANDS", {"lean": Place("no_such_library", "", "outbox")})
    with main.make_context("weighbridge", ["lean"], resilient_parsing=True) as context:
        assert main.get_command(context, "lean") is None


# -- .env ------------------------------------------------------------------------------------------------


def test_dot_env_is_read_and_said_so_and_its_values_are_never_printed(folder: Path) -> None:
    write(folder / "reading.json", WEIGHING | {"time": "2026-11-23 07:30"})
    write(folder / ".env", f"WEIGHBRIDGE_TIMEZONE=Europe/Berlin\nWEIGHBRIDGE_API_KEYS=home={PLANTED}\n{PLANTED}\n")
    done = weighbridge("fit", "reading.json", folder=folder)
    assert done.returncode == 0, done.stderr
    assert b"weigh-in_2026-11-23T06-30-00Z" in done.stdout
    assert done.stderr == b"Also reading settings from .env in this folder (2 used; the environment wins).\n"
    assert PLANTED.encode() not in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["WEIGHBRIDGE_TIMEZONE", "WEIGHBRIDGE_TIMEZONE_FILE"])
def test_the_environment_wins_over_dot_env(folder: Path, name: str) -> None:
    """Also over the file that .env names, which is looked at before the variable itself."""
    write(folder / "reading.json", WEIGHING | {"time": "2026-11-23 07:30"})
    write(folder / "Europe", "Europe/Berlin")
    write(folder / ".env", f"{name}=Europe\n")
    done = weighbridge("fit", "reading.json", folder=folder, WEIGHBRIDGE_TIMEZONE="Asia/Tokyo")
    assert b"weigh-in_2026-11-22T22-30-00Z" in done.stdout, done.stderr


def test_a_wrong_value_and_a_damaged_dot_env_are_a_sentence_without_it(folder: Path) -> None:
    write(folder / "reading.json", WEIGHING)
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


def test_a_reading_becomes_the_file_that_the_function_would_make(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder / "reading.json", WEIGHING)
    assert run(["fit", "reading.json"], {}) == 0
    (path,) = folder.glob("*.fit")
    assert NAME.fullmatch(path.name)
    shown = capsys.readouterr().out
    assert shown.startswith(f"{path.name}\n  81.4 kg, 18.2 % fat: kept as a file for import by hand.\n")
    answer = client(monkeypatch, WEIGHBRIDGE_FOLDER=folder / "x").post("/fit", data=json.dumps(WEIGHING))
    assert path.read_bytes() == answer.get_data()
    (weigh_in,) = by_garmin_python(path.read_bytes())
    assert weigh_in.raw["weight"] == 8140


def test_the_output_is_a_file_a_folder_or_the_bytes_themselves(
    folder: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    source = str(write(folder / "reading.json", WEIGHING))
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


TWO = [WEIGHING, WEIGHING | {"time": "2026-11-24T07:30:00Z"}]


@pytest.mark.parametrize("text", [json.dumps(TWO), "\n".join(map(json.dumps, TWO))], ids=["array", "NDJSON"])
def test_several_readings_from_the_standard_input_are_one_file(folder: Path, text: str) -> None:
    done = weighbridge("fit", "-", "-o", "-", folder=folder, stdin=text.encode())
    assert done.returncode == 0, done.stderr
    assert len(by_garmin_python(done.stdout)) == 2


def test_two_hundred_readings_are_a_file_and_one_more_is_not(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    times = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_760_000_000 + 3600 * n)) for n in range(201)]
    readings = [WEIGHING | {"time": text} for text in times]
    write(folder / "many.json", readings[:200])
    assert run(["fit", "many.json", "-o", "many.fit"], {}) == 0
    assert len(by_garmin_python((folder / "many.fit").read_bytes())) == 200
    capsys.readouterr()
    write(folder / "many.json", readings)
    assert run(["fit", "many.json", "-o", "more.fit"], {}) == 1
    assert "1 to 200 readings make a file." in capsys.readouterr().err
    assert not (folder / "more.fit").exists()


def test_as_json_the_receipt_is_printed_with_the_proof_and_the_file_name(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder / "reading.json", WEIGHING)
    assert run(["fit", "reading.json", "-o", "mine.fit", "--json"], {}) == 0
    receipt = json.loads(capsys.readouterr().out)
    assert (receipt["status"], receipt["fit"]["file_name"]) == ("kept", "mine.fit")
    assert receipt["fit"]["sha256"] == hashlib.sha256((folder / "mine.fit").read_bytes()).hexdigest()
    assert receipt["fit"]["proof"].startswith("decoded by fitdecode")
    write(folder / "two.json", [WEIGHING])
    assert run(["fit", "two.json", "-o", "two.fit", "--json"], {}) == 0
    assert [each["status"] for each in json.loads(capsys.readouterr().out)["results"]] == ["kept"]


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        ({"weight": 700}, ["weight: ", "400 kg", "Got 700."]),
        ([WEIGHING, {"weight": "x"}], ["reading 2, weight: ", 'Got "x".']),
        ({"weight": 80, "body fat": 20, "fat mass": 40}, ["fat mass"]),
        ("[]", ["1 to 200"]),
        ("{", ["reading.json: ", "not valid JSON"]),
        ("", ["reading.json: ", "empty"]),
    ],
)
def test_a_reading_that_cannot_be_right_is_refused_with_its_field_and_no_file(
    folder: Path, capsys: pytest.CaptureFixture[str], reading: object, words: list[str]
) -> None:
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


def test_what_cannot_be_read_or_written_is_one_sentence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write(folder / "reading.json", WEIGHING)
    for words, sentence in (
        (["missing.json"], "missing.json cannot be read: No such file or directory."),
        (["reading.json", "-o", "no/such/file.fit"], "cannot be written: No such file"),
        (["reading.json", "-o", "reading.json"], "is the reading itself"),
    ):
        assert run(["fit", *words], {}) == 1
        error = capsys.readouterr().err
        assert sentence in error
        assert error.count("\n") == 1
    assert json.loads(source.read_text()) == WEIGHING


def test_a_person_height_counts_and_garmin_is_not_asked_for_anybody(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = write(folder / "people.toml", '[[person]]\nname = "Anna"\ntoken = "anna"\nheight_cm = 170\n')
    write(folder / "reading.json", WEIGHING | {"person": "Anna"})
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
    """What /health says, once the server is there."""
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


def test_it_says_what_will_be_serves_in_its_own_process_and_ends_on_sigterm(folder: Path) -> None:
    port = free_port()
    write(folder / ".env", f"WEIGHBRIDGE_API_KEYS=home={PLANTED}\nWEIGHBRIDGE_TIMEZONE=Europe/Berlin\n")
    with serving(folder, "--port", str(port), WEIGHBRIDGE_DELIVERY="garmin,folder", DEBUG="1") as process:
        assert answer_of(f"http://127.0.0.1:{port}", process)["delivery"]["name"] == "garth"
        # The key is that of .env, so the server has what the file says.
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/fit", json.dumps(WEIGHING).encode(), {"Authorization": f"Bearer {PLANTED}"}
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
        "needed by every caller",
        ".env",
    ):
        assert words in said
    assert PLANTED not in said + (folder / "log").read_text()
    # What many shells set as DEBUG makes no Flask debugger of it.
    assert all(line.startswith("{") for line in (folder / "log").read_text().splitlines())


def test_the_port_comes_from_the_environment_and_a_caller_elsewhere_is_announced_as_refused(folder: Path) -> None:
    port = free_port()
    with serving(folder, "--host", "0.0.0.0", PORT=port) as process:
        answer_of(f"http://127.0.0.1:{port}", process)
    said = (folder / "said").read_text()
    assert f"http://0.0.0.0:{port}" in said
    assert "callers elsewhere are refused (403) until WEIGHBRIDGE_API_KEYS is set" in said


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
def test_what_is_set_up_wrongly_ends_it_at_once_with_one_sentence(
    folder: Path, environment: Mapping[str, object], words: str
) -> None:
    done = weighbridge("serve", "--port", free_port(), folder=folder, **environment)
    error = done.stderr.decode()
    assert done.returncode == 1
    assert words in error
    assert error.count("\n") == 1
    assert PLANTED not in error


def test_a_port_in_use_is_one_sentence_that_names_it_and_another(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = weighbridge("serve", "--port", port, folder=folder)
    error = done.stderr.decode()
    assert done.returncode == 1
    assert f"Port {port} is in use" in error
    assert "weighbridge serve --port" in error
    assert error.count("\n") == 1


def test_an_address_of_another_machine_is_one_sentence(folder: Path) -> None:
    done = weighbridge("serve", "--host", "192.0.2.1", folder=folder)  # RFC 5737
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert b"is not an address of this machine" in done.stderr


# -- demo, and a function of one's own -------------------------------------------------------------------


def test_the_demo_keeps_to_its_own_folder_whatever_is_set(folder: Path) -> None:
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


def test_a_caller_gets_the_function_that_is_named_or_one_of_its_own_that_nobody_else_can_call(folder: Path) -> None:
    named = clean({"WEIGHBRIDGE_URL": "http://function.invalid:8080", "WEIGHBRIDGE_KEY": PLANTED})
    with function_or_own(named) as target:
        assert (target.url, target.key.get_secret_value()) == ("http://function.invalid:8080", PLANTED)
    own = with_sources(clean({"WEIGHBRIDGE_API_KEYS": f"home={PLANTED}", "WEIGHBRIDGE_FOLDER": folder}))
    with function_or_own(own) as target:
        request = urllib.request.Request(f"{target.url}/fit", json.dumps(WEIGHING).encode())
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=30)
        with refused.value as fault:
            assert fault.code == 401
        request.add_header(*next(iter(target.headers.items())))
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 200
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(target.url, timeout=5)


def test_the_template_in_use_is_what_a_file_is_made_of(folder: Path) -> None:
    write(folder / "reading.json", WEIGHING | {"fat mass": 14.8})
    developer = TEMPLATES / "weight_scale_developer.fit"
    assert run(["fit", "reading.json", "-o", "a.fit"], {"WEIGHBRIDGE_TEMPLATE": str(developer)}) == 0
    assert "fat_mass" in read_template((folder / "a.fit").read_bytes()).fields
