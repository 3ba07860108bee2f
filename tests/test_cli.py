"""The command line: each command from start to end, and what all of them have in common."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from weighbridge import __version__, cli
from weighbridge.cli import COMMANDS, Place, main
from weighbridge.fit.template import read_template
from weighbridge.operate.surroundings import Surroundings
from weighbridge.resources import TEMPLATES

from .commands import NOBODY, clean, run, weighbridge, with_sources
from .function_client import client
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
    assert completed("weighbridge ke", folder) == ["key", "kept"]
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
    assert path.read_bytes() == answer.data
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
    assert "Expected 1 to 200 readings for one file" in capsys.readouterr().err
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
        assert {"field", "input", "code", "params", "message"} == set(problem["errors"][0])


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


def test_fit_template(folder: Path) -> None:
    """`fit` uses the configured template."""
    write(folder / "reading.json", READING | {"fat mass": 14.8})
    developer = TEMPLATES / "weight_scale_developer.fit"
    assert run(["fit", "reading.json", "-o", "a.fit"], {"WEIGHBRIDGE_TEMPLATE": str(developer)}) == 0
    assert "fat_mass" in read_template((folder / "a.fit").read_bytes()).fields
