"""weighbridge refresh: a sign-in does not end while nobody steps on the scale."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from weighbridge.compose import token_library, token_session
from weighbridge.delivery.kept import kept_files
from weighbridge.errors import SignInNeeded
from weighbridge.garmin.tokens import TokenStore
from weighbridge.operate.refresh import RENEW_AFTER_DAYS
from weighbridge.settings import read_settings

from .commands import WEIGHBRIDGE, clean, run, with_sources
from .garmin.server import GarminStandIn
from .test_kept import keep, reading

ROOT = Path(__file__).parent.parent
DAY_S = 86_400


@pytest.fixture
def env(garmin: GarminStandIn, tmp_path: Path) -> dict[str, str]:
    for name in ("anna", "default"):
        garmin.write_token(tmp_path / "tokens").rename(tmp_path / "tokens" / f"{name}.json")
    return {
        "WEIGHBRIDGE_TOKENS": str(tmp_path / "tokens"),
        "GARMIN_DOMAIN": garmin.domain,
        "GARMIN_CA_BUNDLE": str(garmin.ca_bundle),
    }


def in_days(days: float) -> Callable[[], float]:
    return lambda: time.time() + days * DAY_S


def test_renewed_when_due(garmin: GarminStandIn, env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Each person's token is renewed when it is due, and left alone before."""
    assert run(["refresh"], env, now=in_days(RENEW_AFTER_DAYS - 0.1)) == 0
    assert garmin.sign_in.refreshes == 0
    assert capsys.readouterr().out.count("left alone") == 2
    assert run(["refresh"], env, now=in_days(RENEW_AFTER_DAYS)) == 0
    assert garmin.sign_in.refreshes == 2
    assert capsys.readouterr().out.count("renewed now; the sign-in ends in 30 days") == 2


def test_months_without_a_reading(garmin: GarminStandIn, env: dict[str, str]) -> None:
    """A sign-in lasts for months without a reading, even if every third run is missed."""
    started_s = time.time()
    day = 0
    garmin.sign_in.clock = lambda: started_s + day * DAY_S
    for day in range(1, 121):
        if day % 3:
            before = {path: path.read_bytes() for path in Path(env["WEIGHBRIDGE_TOKENS"]).glob("[!.]*.json")}
            assert run(["refresh"], env, now=garmin.sign_in.clock) == 0
            for path, content in before.items():
                if path.read_bytes() != content:
                    os.utime(path, (garmin.sign_in.clock(),) * 2)
    assert garmin.sign_in.refused_refreshes == 0
    assert 2 * 120 / 9 < garmin.sign_in.refreshes <= 2 * 120 / RENEW_AFTER_DAYS


def test_one_sign_in_ended(garmin: GarminStandIn, env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """An ended sign-in is reported, and the other tokens are renewed."""
    path = Path(env["WEIGHBRIDGE_TOKENS"], "anna.json")
    garmin.revoke()
    garmin.write_token(path.parent)
    assert run(["refresh", "--force"], env) == 1
    output = capsys.readouterr()
    assert output.err.startswith("anna: ")
    assert "login" in output.err
    assert output.out.startswith("default: renewed now")


def test_sign_in_that_the_function_found_ended(
    garmin: GarminStandIn, env: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A token that is not due, and whose renewal Garmin has refused to another process, is reported without asking."""
    garmin.revoke()
    settings = read_settings(env).for_person("anna")
    with pytest.raises(SignInNeeded):
        token_session("garth", settings).renew()
    assert run(["refresh"], env) == 1
    output = capsys.readouterr()
    assert output.err.endswith("Sign in again: weighbridge login --name anna.\n")
    assert output.out.startswith("default: ")
    assert garmin.sign_in.refused_refreshes == 1


def test_no_token_or_damaged(env: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing token is reported with its fix, and a damaged one as damaged."""
    assert run(["refresh"], env | {"WEIGHBRIDGE_TOKENS": str(tmp_path / "none")}) == 1
    assert "login" in capsys.readouterr().err
    Path(env["WEIGHBRIDGE_TOKENS"], "anna.json").write_text("{}")
    assert run(["refresh", "--force"], env) == 1
    assert "damaged" in capsys.readouterr().err


def test_no_token_of_several_people(env: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If nobody of several people has signed in, each sign-in is named."""
    people = tmp_path / "people.toml"
    people.write_text('[[person]]\nname = "Anna"\n[[person]]\nname = "Ben"\ntoken = "b"\n')
    env |= {"WEIGHBRIDGE_TOKENS": str(tmp_path / "none"), "WEIGHBRIDGE_PEOPLE": str(people)}
    assert run(["refresh"], env) == 1
    assert "once: weighbridge login --name anna, weighbridge login --name b." in capsys.readouterr().err


def test_full_folder(
    garmin: GarminStandIn, env: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If a folder has no room for the next token, the daily look says so, before the token is due."""
    for name in ("anna", "default"):
        Path(env["WEIGHBRIDGE_TOKENS"], f".{name}.part").mkdir()  # as if the disk were full: no draft can be written
    assert run(["refresh"], env) == 0, "not due"
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=1000))
    assert run(["refresh"], env) == 1
    assert "must be writable and have free space" in capsys.readouterr().err
    assert garmin.sign_in.refreshes == 0


def test_no_secret(env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """The output holds no secret."""
    stores = [TokenStore(Path(env["WEIGHBRIDGE_TOKENS"]), name) for name in ("anna", "default")]
    tokens = [store.read() for store in stores]
    run(["refresh", "--force"], env)
    tokens += [store.read() for store in stores]
    output = capsys.readouterr()
    for token in tokens:
        assert token is not None
        assert token.refresh_token.get_secret_value() not in output.out + output.err
        assert token.access_token.get_secret_value() not in output.out + output.err


def test_daily(garmin: GarminStandIn, env: dict[str, str]) -> None:
    """With --daily it keeps running, and checks once a day."""

    class Enough(Exception): ...

    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise Enough

    with pytest.raises(Enough):
        run(["refresh", "--daily", "--force"], env, sleep=sleep)
    assert slept == [DAY_S] * 3
    assert garmin.sign_in.refreshes == 6


def test_kept_is_delivered(garmin: GarminStandIn, env: dict[str, str], tmp_path: Path) -> None:
    """With --deliver-kept, each person's kept files arrive once, by themselves. A file that is there already, or that
    another run has just moved, is not a fault."""
    folder = tmp_path / "weigh-ins"
    env |= {
        "WEIGHBRIDGE_FOLDER": str(folder),
        "WEIGHBRIDGE_DELIVERY": "garth,folder",
        "WEIGHBRIDGE_CONFIRM_SECONDS": "2",
    }
    assert run(["refresh", "--deliver-kept"], env) == 0, "nothing is kept"
    keep(folder, reading(0))
    keep(folder / "anna", reading(1))
    assert run(["refresh"], env) == 0
    assert run(["refresh", "--deliver-kept"], env | {"WEIGHBRIDGE_DELIVERY": "folder"}) == 0
    assert garmin.weigh_ins() == [], "only on demand, and not if files are all that is wanted"
    runs = [
        subprocess.Popen([*WEIGHBRIDGE, "refresh", "--deliver-kept"], env=with_sources(clean(env)), cwd=tmp_path)
        for _ in range(2)
    ]
    assert [each.wait(60) for each in runs] == [0, 0]
    assert (len(garmin.weigh_ins()), kept_files(folder), kept_files(folder / "anna")) == (2, [], [])
    keep(folder, reading(0))  # as if it had been sent by hand
    assert run(["refresh", "--deliver-kept"], env) == 0
    assert (len(garmin.weigh_ins()), kept_files(folder)) == (2, [])


def test_kept_waits_for_the_sign_in(
    garmin: GarminStandIn, env: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a sign-in nothing is sent or lost, and the first look after the next sign-in delivers it."""
    folder = tmp_path / "weigh-ins"
    env |= {
        "WEIGHBRIDGE_FOLDER": str(folder),
        "WEIGHBRIDGE_DELIVERY": "garth,folder",
        "WEIGHBRIDGE_CONFIRM_SECONDS": "2",
    }
    kept = keep(folder, reading(0))
    garmin.revoke()
    assert run(["refresh", "--force", "--deliver-kept"], env) == 1
    assert kept_files(folder) == [kept]
    garmin.write_token(tmp_path / "tokens")
    assert run(["refresh", "--deliver-kept"], env) == 1, "anna's sign-in is still missing"
    assert (len(garmin.weigh_ins()), kept_files(folder)) == (1, [])
    assert "81.4" not in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("delivery", "library"),
    [
        ("folder", "garth"),
        ("garminconnect,garth", "garminconnect"),
        ("browser,garminconnect,folder", "garminconnect"),
        ("browser,folder", "garth"),
    ],
)
def test_library(delivery: str, library: str) -> None:
    """The first library that the delivery names renews the token."""
    assert token_library(read_settings({"WEIGHBRIDGE_DELIVERY": delivery})) == library


def test_tokens_in_a_cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With tokens in Secret Manager, the token of every configured person is checked: here each is reported, because
    the cloud cannot be reached."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    people = tmp_path / "people.toml"
    people.write_text('[[person]]\nname = "Anna"\n[[person]]\nname = "Ben"\ntoken = "b"\n')
    environment = {"WEIGHBRIDGE_PEOPLE": str(people), "WEIGHBRIDGE_TOKEN_SECRET": "projects/p/secrets/garmin"}
    assert run(["refresh"], environment) == 1
    assert [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()] == ["anna", "b"]


# -- the schedules in this repository -------------------------------------------------------------------


def test_crontab(garmin: GarminStandIn, env: dict[str, str], tmp_path: Path) -> None:
    """Every command in the crontab exists, runs once a day, and asks nothing."""
    lines = [line for line in (ROOT / "examples" / "crontab").read_text().splitlines() if line and line[0] != "#"]
    assert lines
    command = " ".join(WEIGHBRIDGE)
    for line in lines:
        fields = line.split(maxsplit=5)
        assert re.fullmatch(r"\d+ \d+ \* \* \*", " ".join(fields[:5])), "once a day"
        words = fields[5].replace("/path/to/folder", str(tmp_path)).replace("/path/to/weighbridge", command)
        assert words.startswith(f"cd {tmp_path} && {command} ")
        done = subprocess.run(
            words, shell=True, env=with_sources(clean(env)), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")


def test_compose_service(garmin: GarminStandIn, env: dict[str, str]) -> None:
    """The command of the compose service exists."""
    text = (ROOT / "compose.yaml").read_text()
    (words,) = re.findall(r"command: \[weighbridge, (refresh, --daily, --deliver-kept)\]", text)

    def sleep(_seconds: float) -> None:
        raise KeyboardInterrupt

    assert run(words.split(", "), env, sleep=sleep) == 130
