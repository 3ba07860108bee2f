"""Garmin's official Personal API confirms what arrived, even without a working sign-in."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from weighbridge.compose import garmin_connect
from weighbridge.delivery.port import Delivered
from weighbridge.errors import GarminRefused, GarminUnreachable, RateLimited, SignInNeeded, WeighbridgeError
from weighbridge.fit.encode import encode
from weighbridge.garmin.connect import GarminConnect
from weighbridge.garmin.personal_api import PersonalApi
from weighbridge.notes import Code
from weighbridge.secret import SecretStr
from weighbridge.settings import read_settings

from .commands import run
from .garmin.http_types import Request, Response
from .garmin.personal import CALLS_A_SECOND
from .garmin.server import GarminStandIn
from .test_kept import PLAIN, delivered, keep, reading, waiting

FIRST, LAST = date(2026, 11, 19), date(2026, 11, 22)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()


class Clock:
    def __init__(self) -> None:
        self.now_s = NOON

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock(garmin: GarminStandIn) -> Clock:
    clock = Clock()
    garmin.personal.clock = garmin.weights.clock = clock
    return clock


@pytest.fixture
def api(garmin: GarminStandIn, clock: Clock) -> PersonalApi:
    return personal(garmin, clock)


def personal(garmin: GarminStandIn, clock: Clock, *, key: str = "", ends: date | None = None) -> PersonalApi:
    return PersonalApi(
        SecretStr(key or garmin.personal.key),
        ends=ends,
        domain=garmin.domain,
        ca_bundle=garmin.ca_bundle,
        now=clock,
        sleep=clock.sleep,
    )


def routes(garmin: GarminStandIn) -> list[tuple[str | None, int | None]]:
    return [(logged.route, logged.status) for logged in garmin.requests]


def test_redirect(garmin: GarminStandIn, api: PersonalApi) -> None:
    """A redirect is not followed: the key is sent to nobody else."""
    asked: list[str] = []

    def redirect(request: Request) -> tuple[Response, float]:
        asked.append(request.path)
        return Response(307, headers=(("location", f"https://connectapi.{garmin.domain}/elsewhere"),)), 0.0

    garmin.answer = redirect  # type: ignore[method-assign]
    with pytest.raises(GarminRefused, match="redirected the request"):
        api.weigh_ins(FIRST, LAST)
    assert len(asked) == 1


# -- reading ---------------------------------------------------------------------------------------------


def test_one_token_a_day(garmin: GarminStandIn, api: PersonalApi, clock: Clock) -> None:
    """One key needs one token for a day of requests."""
    garmin.weights.add(encode(reading()))
    for _ in range(5):
        (entry,) = api.weigh_ins(FIRST, LAST)
        clock.now_s += 3600
    assert str(entry.values["weight_kg"]) == "81.400"
    assert garmin.personal.tokens_given == 1
    clock.now_s += 20 * 3600
    assert len(api.weigh_ins(FIRST, LAST)) == 1
    assert garmin.personal.tokens_given == 2


def test_token_ends_early(garmin: GarminStandIn, api: PersonalApi) -> None:
    """A token that ends early is replaced once."""
    api.weigh_ins(FIRST, LAST)
    garmin.personal.withdraw_tokens()
    assert api.weigh_ins(FIRST, LAST) == []
    garmin.faults.add("personal/range", "401", times=None)
    with pytest.raises(SignInNeeded, match="Make a new key"):
        api.weigh_ins(FIRST, LAST)
    assert garmin.personal.tokens_given == 3


def test_rate_limit(garmin: GarminStandIn, api: PersonalApi, clock: Clock) -> None:
    """During a rate limit there are no requests."""
    garmin.faults.add("personal/range", "429-retry-after")
    with pytest.raises(RateLimited) as first:
        api.weigh_ins(FIRST, LAST)
    assert first.value.retry_after_s == 14
    asked = len(garmin.requests)
    clock.now_s += 10
    with pytest.raises(RateLimited) as second:
        api.weigh_ins(FIRST, LAST)
    assert (second.value.retry_after_s, len(garmin.requests)) == (4, asked)
    clock.now_s += 4.1
    assert api.weigh_ins(FIRST, LAST) == []


def test_many_threads(garmin: GarminStandIn) -> None:
    """Twelve threads at once cause no burst of requests."""
    api = PersonalApi(SecretStr(garmin.personal.key), ends=None, domain=garmin.domain, ca_bundle=garmin.ca_bundle)
    start = threading.Barrier(12, timeout=30)

    def look(_: int) -> int:
        start.wait()
        return len(api.weigh_ins(FIRST, LAST))

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(look, range(12))) == [0] * 12
    assert (garmin.personal.tokens_given, garmin.personal.refused_for_haste) == (1, 0)


@pytest.mark.parametrize(
    ("route", "fault", "kind", "words"),
    [
        ("personal/token", "401", SignInNeeded, "Make a new key"),
        ("personal/token", "403", SignInNeeded, "Make a new key"),
        ("personal/token", "403-cloudflare", GarminRefused, "another network"),
        ("personal/token", "firewall-html", GarminUnreachable, "a proxy"),
        ("personal/token", "429-retry-after", RateLimited, "wait"),
        ("personal/token", "503", GarminUnreachable, "is not working"),
        ("personal/token", "drop-before", GarminUnreachable, "could not be reached"),
        ("personal/range", "403-cloudflare", GarminRefused, "another network"),
        ("personal/range", "firewall-html", GarminUnreachable, "firewall"),
        ("personal/range", "truncated-json", GarminUnreachable, "broke off"),
        ("personal/range", "drop-within", GarminUnreachable, "could not be reached"),
    ],
)
def test_failures(
    garmin: GarminStandIn, api: PersonalApi, route: str, fault: str, kind: type[WeighbridgeError], words: str
) -> None:
    """Each failure is one sentence, without the key."""
    garmin.faults.add(route, fault, times=None)
    with pytest.raises(kind, match=words) as caught:
        api.weigh_ins(FIRST, LAST)
    assert garmin.personal.key not in str(caught.value)
    assert caught.value.__cause__ is None


def test_wrong_key(garmin: GarminStandIn, clock: Clock) -> None:
    """A wrong key is reported and not shown."""
    with pytest.raises(SignInNeeded) as caught:
        personal(garmin, clock, key="planted-key").weigh_ins(FIRST, LAST)
    assert "planted-key" not in str(caught.value)


def test_key_only_in_the_header(garmin: GarminStandIn, api: PersonalApi) -> None:
    """Key and token are only in a header, never in an address, a body or a repr."""
    heard: list[Request] = []
    answer = garmin.answer
    garmin.answer = lambda request: (heard.append(request), answer(request))[1]  # type: ignore[method-assign]
    api.weigh_ins(FIRST, LAST)
    assert [request.headers["authorization"].split()[0] for request in heard] == ["ApiKey", "Bearer"]
    for request in heard:
        assert garmin.personal.key not in f"{request.path}{request.query}{request.body!r}"
    assert garmin.personal.key not in repr(vars(api))


# -- the end of the key ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ends", "days", "words"),
    [
        (date(2026, 12, 31), 39, None),
        (date(2026, 12, 6), 14, "ends in 14 day"),
        (date(2026, 11, 22), 0, "ends in 0 day"),
        (date(2026, 11, 21), 0, "has ended"),
    ],
)
def test_end_of_the_key(garmin: GarminStandIn, clock: Clock, ends: date, days: int, words: str | None) -> None:
    """The end of the key is announced two weeks before."""
    health = personal(garmin, clock, ends=ends).health()
    assert health["key_days_left"] == days
    assert (words in str(health.get("detail"))) if words else "detail" not in health


# -- confirming what was uploaded ------------------------------------------------------------------------


@pytest.fixture
def env(garmin: GarminStandIn, tmp_path: Path) -> dict[str, str]:
    garmin.write_token(tmp_path / "tokens")
    return {
        "WEIGHBRIDGE_DELIVERY": "garth,folder",
        "WEIGHBRIDGE_TOKENS": str(tmp_path / "tokens"),
        "WEIGHBRIDGE_FOLDER": str(tmp_path / "weigh-ins"),
        "WEIGHBRIDGE_CONFIRM_SECONDS": "1",
        "GARMIN_DOMAIN": garmin.domain,
        "GARMIN_CA_BUNDLE": str(garmin.ca_bundle),
        "GARMIN_PERSONAL_API_KEY": garmin.personal.key,
    }


def connect(env: Mapping[str, str]) -> GarminConnect:
    return garmin_connect("garth", read_settings(env))


def deliver(env: Mapping[str, str]) -> Delivered:
    from weighbridge.pipeline import Prover

    outcomes = connect(env).deliver([reading()], Prover(PLAIN), replace=False)
    outcome = outcomes[reading()]
    assert isinstance(outcome, Delivered), outcome
    return outcome


def test_confirmed(garmin: GarminStandIn, env: dict[str, str]) -> None:
    """A reading is confirmed through the Personal API."""
    assert deliver(env).status == "confirmed"
    assert [route for route, _ in routes(garmin)] == ["weight/range", "upload", "personal/token", "personal/range"]


@pytest.mark.parametrize("upload", ["200", "drop-after"])
def test_sign_in_ends_with_the_upload(garmin: GarminStandIn, env: dict[str, str], upload: str) -> None:
    """A reading is confirmed even if the sign-in ends right after the upload."""
    garmin.faults.add("upload", upload)
    answer = garmin.answer

    def then_die(request: Request) -> object:
        answered = answer(request)
        if request.path.startswith("/upload-service/"):
            garmin.expire_access_tokens()
            garmin.revoke()
        return answered

    garmin.answer = then_die  # type: ignore[method-assign, assignment]
    assert deliver(env).status == "confirmed"


def test_personal_api_fails(garmin: GarminStandIn, env: dict[str, str]) -> None:
    """If the Personal API fails, the session is used instead, and a warning says why."""
    outcome = deliver(env | {"GARMIN_PERSONAL_API_KEY": "planted-key"})
    assert outcome.status == "confirmed"
    (warning,) = outcome.warnings
    assert warning.why is Code.PERSONAL_API_FAILED
    assert "Make a new key" in str(warning)
    assert "planted-key" not in str(outcome)


def test_health(env: dict[str, str]) -> None:
    """`health` shows the days that the key has left."""
    ends = (datetime.now(UTC) + timedelta(days=5)).date().isoformat()
    health = connect(env | {"GARMIN_PERSONAL_API_KEY_ENDS": ends}).health()
    assert health["ready"] is True
    assert health["read_back"]["key_days_left"] == 5  # type: ignore[index]
    assert env["GARMIN_PERSONAL_API_KEY"] not in str(health)


# -- weighbridge confirm ----------------------------------------------------------------------------------------


def test_confirm_without_sign_in(
    garmin: GarminStandIn, env: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files imported by hand are confirmed without any sign-in."""
    folder = tmp_path / "weigh-ins"
    by_hand, twins, missing = (
        keep(folder, reading(0)),
        keep(folder, reading(1), reading(2)),
        keep(folder, reading(3), reading(4)),
    )
    for number in (0, 1, 2, 3):
        garmin.weights.add(encode(reading(number)))
    garmin.revoke()
    garmin.expire_access_tokens()
    assert run(["confirm"], env) == 1
    output = capsys.readouterr()
    assert output.out.count("confirmed") == 2
    assert "1 of 2 not in Garmin" in output.out
    assert (delivered(folder), waiting(folder)) == (sorted([by_hand.name, twins.name]), [missing.name])
    assert garmin.uploads_received == 0
    assert env["GARMIN_PERSONAL_API_KEY"] not in output.out + output.err
    garmin.weights.add(encode(reading(4)))
    assert run(["confirm"], env) == 0


def test_confirm_other_values(garmin: GarminStandIn, env: dict[str, str], tmp_path: Path) -> None:
    """An entry with other values does not confirm a file."""
    keep(tmp_path / "weigh-ins", reading(0))
    garmin.weights.add(encode(reading(0, "90")))
    assert run(["confirm"], env) == 1


def test_confirm_without_key(garmin: GarminStandIn, env: dict[str, str], tmp_path: Path) -> None:
    """Without a key `confirm` uses the sign-in, and nothing is sent."""
    keep(tmp_path / "weigh-ins", reading(0))
    garmin.weights.add(encode(reading(0)))
    assert run(["confirm"], env | {"GARMIN_PERSONAL_API_KEY": ""}) == 0
    assert garmin.uploads_received == 0


def test_confirm_asks_by_range(
    garmin: GarminStandIn, env: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Garmin is asked once for a year of files, whatever their number, and each is still judged by itself."""
    hours = [*range(CALLS_A_SECOND + 4), 24 * 365, 24 * 400, 24 * 900]
    for number in hours:
        keep(tmp_path / "weigh-ins", reading(-number))
    garmin.weights.entries.clear()
    garmin.weights.add(encode(reading(-24 * 400)))
    assert run(["confirm"], env) == 1
    looks = [logged for logged in garmin.requests if logged.route == "personal/range"]
    assert len(looks) == 3, "two years and a half"
    shown = capsys.readouterr().out
    assert (shown.count("confirmed"), shown.count("missing  ")) == (1, len(hours) - 1)


def test_confirm_wrong_key_or_no_files(env: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong key and an empty folder are each reported in one sentence."""
    assert run(["confirm"], env) == 0
    assert "No files are waiting" in capsys.readouterr().out
    keep(tmp_path / "weigh-ins", reading(0))
    assert run(["confirm"], env | {"GARMIN_PERSONAL_API_KEY": "planted-key"}) == 1
    error = capsys.readouterr().err
    assert "Make a new key" in error
    assert "planted-key" not in error
