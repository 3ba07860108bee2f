"""weighbridge refresh: a sign-in lives on though nobody steps on the scale."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from weighbridge.compose import token_library
from weighbridge.garmin.tokens import TokenStore
from weighbridge.operate.refresh import RENEW_AFTER_DAYS
from weighbridge.settings import read_settings

from .commands import WEIGHBRIDGE, clean, run, with_sources
from .garmin.server import GarminStandIn

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


def test_each_person_token_is_renewed_when_it_is_due_and_left_alone_before(
    garmin: GarminStandIn, env: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["refresh"], env, now=in_days(RENEW_AFTER_DAYS - 0.1)) == 0
    assert garmin.sign_in.refreshes == 0
    assert capsys.readouterr().out.count("left alone") == 2
    assert run(["refresh"], env, now=in_days(RENEW_AFTER_DAYS)) == 0
    assert garmin.sign_in.refreshes == 2
    assert capsys.readouterr().out.count("renewed now; the sign-in ends in 30 days") == 2


def test_a_sign_in_outlives_months_without_a_reading_though_every_third_run_is_missed(
    garmin: GarminStandIn, env: dict[str, str]
) -> None:
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


def test_one_sign_in_that_has_ended_is_told_and_the_others_are_renewed(
    garmin: GarminStandIn, env: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(env["WEIGHBRIDGE_TOKENS"], "anna.json")
    garmin.revoke()
    garmin.write_token(path.parent)
    assert run(["refresh", "--force"], env) == 1
    output = capsys.readouterr()
    assert output.err.startswith("anna: ")
    assert "login" in output.err
    assert output.out.startswith("default: renewed now")


def test_no_token_and_a_damaged_one_name_the_mend(
    env: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["refresh"], env | {"WEIGHBRIDGE_TOKENS": str(tmp_path / "none")}) == 1
    assert "login" in capsys.readouterr().err
    Path(env["WEIGHBRIDGE_TOKENS"], "anna.json").write_text("{}")
    assert run(["refresh", "--force"], env) == 1
    assert "damaged" in capsys.readouterr().err


def test_nothing_that_is_printed_holds_a_secret(env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    stores = [TokenStore(Path(env["WEIGHBRIDGE_TOKENS"]), name) for name in ("anna", "default")]
    tokens = [store.read() for store in stores]
    run(["refresh", "--force"], env)
    tokens += [store.read() for store in stores]
    output = capsys.readouterr()
    for token in tokens:
        assert token is not None
        assert token.refresh_token.get_secret_value() not in output.out + output.err
        assert token.access_token.get_secret_value() not in output.out + output.err


def test_in_a_container_it_stays_and_looks_once_a_day(garmin: GarminStandIn, env: dict[str, str]) -> None:
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


@pytest.mark.parametrize(
    ("delivery", "library"),
    [
        ("folder", "garth"),
        ("garminconnect,garth", "garminconnect"),
        ("browser,garminconnect,folder", "garminconnect"),
        ("browser,folder", "garth"),
    ],
)
def test_the_library_is_the_one_that_the_delivery_names(delivery: str, library: str) -> None:
    assert token_library(read_settings({"WEIGHBRIDGE_DELIVERY": delivery})) == library


def test_where_tokens_are_secrets_of_a_cloud_everybody_who_lives_here_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The cloud cannot be reached, which is told for each."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    people = tmp_path / "people.toml"
    people.write_text('[[person]]\nname = "Anna"\n[[person]]\nname = "Ben"\ntoken = "b"\n')
    environment = {"WEIGHBRIDGE_PEOPLE": str(people), "WEIGHBRIDGE_TOKEN_SECRET": "projects/p/secrets/garmin"}
    assert run(["refresh"], environment) == 1
    assert [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()] == ["anna", "b"]


# -- the schedules that are shipped ----------------------------------------------------------------------


def test_the_crontab_runs_what_there_is_every_day_and_asks_nobody(
    garmin: GarminStandIn, env: dict[str, str], tmp_path: Path
) -> None:
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


def test_the_compose_service_runs_what_there_is(garmin: GarminStandIn, env: dict[str, str]) -> None:
    text = (ROOT / "compose.yaml").read_text()
    (words,) = re.findall(r"command: \[(?:weighbridge, )?(refresh), --daily\]", text)

    def sleep(_seconds: float) -> None:
        raise KeyboardInterrupt

    assert run([words, "--daily"], env, sleep=sleep) == 130
