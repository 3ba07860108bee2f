"""What Garmin has refused is known to every thread and process with the same token, and is not asked again."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.errors import GarminUnreachable, RateLimited, SignInNeeded, TokenStoreUnusable
from weighbridge.garmin.answers import LONGEST_RETRY_AFTER_S
from weighbridge.garmin.connect import GarminConnect
from weighbridge.garmin.sessions.garth import GarthSession
from weighbridge.garmin.sign_in import REFUSED_S, SignIn, read_state
from weighbridge.garmin.tokens import ROOM_BYTES, TokenStore
from weighbridge.secret import SecretStr
from weighbridge.state_file import SIZE_BYTES, parse

from .function_client import FunctionClient, client
from .garmin.server import GarminStandIn
from .test_last_outcome import arrived

NOW_S = 1_795_000_000.0
RANGE = "/weight-service/weight/range/2026-11-01/2026-11-02"
TOKEN = SecretStr("a-secret-token")


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens" / "default.state"


def may_ask(sign_in: SignIn) -> bool:
    try:
        sign_in.check()
    except RateLimited:
        return False
    return True


# -- the file --------------------------------------------------------------------------------------------


def test_until_its_time(path: Path, clock: Clock) -> None:
    """Nothing is asked before the time that Garmin has named, by anyone who has the file; the fault says how long."""
    SignIn(path, clock).wait(14)
    for other in (SignIn(path, clock), SignIn(path, clock)):
        clock.now_s = NOW_S + 3.5
        with pytest.raises(RateLimited) as caught:
            other.check()
        assert caught.value.retry_after_s == 11
        clock.now_s = NOW_S + 14
        assert may_ask(other)


@pytest.mark.parametrize("back_s", [1, 3600, 86_400 * 365])
def test_clock_set_back(path: Path, clock: Clock, back_s: float) -> None:
    """After the clock was set back, the wait is over, rather than longer by as much."""
    SignIn(path, clock).wait(14)
    clock.now_s -= back_s
    assert may_ask(SignIn(path, clock))


def test_no_wait_of_a_year(path: Path, clock: Clock) -> None:
    """A file that says to wait for a year does not stop anything."""
    year_s = 365 * 86_400
    path.parent.mkdir()
    path.write_text(json.dumps({"not_before": NOW_S + year_s, "wait_s": year_s}))
    assert may_ask(SignIn(path, clock))
    clock.now_s += year_s - LONGEST_RETRY_AFTER_S + 1
    assert not may_ask(SignIn(path, clock)), "the last day of it"


def test_refused_token(path: Path, clock: Clock) -> None:
    """A refused token is known, another is not, and after a day it may be tried again."""
    SignIn(path, clock).refuse(TOKEN)
    other = SignIn(path, clock)
    assert other.is_refused(TOKEN)
    assert not other.is_refused(SecretStr("another"))
    clock.now_s += REFUSED_S
    assert not other.is_refused(TOKEN)
    clock.now_s = NOW_S - 1
    assert not other.is_refused(TOKEN), "the clock was set back"


def test_both(path: Path, clock: Clock) -> None:
    """A wait and refusals do not overwrite each other; of many refusals the newest stay."""
    sign_in = SignIn(path, clock)
    for number in range(1000):
        sign_in.refuse(SecretStr(f"token {number}"))
    sign_in.wait(14)
    assert sign_in.is_refused(SecretStr("token 999"))
    assert not may_ask(sign_in)
    assert path.stat().st_size == SIZE_BYTES


def test_side_by_side(path: Path, clock: Clock) -> None:
    """The first request goes alone. After an answer that was not 429, none waits for another."""
    sign_in = SignIn(path, clock)
    inside: list[int] = []

    def ask() -> None:
        with sign_in.turn():
            inside.append(1)

    with ThreadPoolExecutor(1) as pool:
        with sign_in.turn():
            asked = pool.submit(ask)
            assert not inside
        asked.result(timeout=10)
        with sign_in.turn():
            pool.submit(ask).result(timeout=10)
    assert len(inside) == 2


def test_private(path: Path, clock: Clock) -> None:
    """The file is readable only by its owner, and has no secret."""
    sign_in = SignIn(path, clock)
    sign_in.wait(14)
    sign_in.refuse(TOKEN)
    assert path.stat().st_mode & 0o777 == 0o600
    assert TOKEN.get_secret_value() not in path.read_text()


@given(st.one_of(st.binary(max_size=300), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner)
    | st.dictionaries(st.sampled_from(["not_before", "wait_s", "refused", "outcomes", "code", "why", "x"]), inner),
).map(lambda value: json.dumps(value).encode())))  # fmt: skip
def test_any_file(content: bytes) -> None:
    """Whatever is in the file, it can be read, and what was read can be written and read again."""
    state = read_state(parse(content))
    assert read_state(parse(json.dumps(asdict(state)).encode())) == state


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 5000, b'{"not_before": NaN}', b'{"refused": [1]}'])
def test_garbled(path: Path, clock: Clock, content: bytes) -> None:
    """A garbled file is as if it were not there, and the next wait is written over it."""
    path.parent.mkdir()
    path.write_bytes(content)
    sign_in = SignIn(path, clock)
    assert may_ask(sign_in)
    sign_in.wait(14)
    assert not may_ask(SignIn(path, clock))


@pytest.mark.parametrize("path", [None, Path("/dev/null/no/folder")], ids=["no file", "not writable"])
def test_without_a_file(path: Path | None, clock: Clock) -> None:
    """Where no file can be, the process remembers."""
    sign_in = SignIn(path, clock)
    sign_in.wait(14)
    sign_in.refuse(TOKEN)
    assert not may_ask(sign_in)
    assert sign_in.is_refused(TOKEN)


def test_link_is_not_followed(path: Path, clock: Clock, tmp_path: Path) -> None:
    """A link in the place of the file is not written through."""
    path.parent.mkdir()
    (tmp_path / "mine").write_text("mine")
    path.symlink_to(tmp_path / "mine")
    sign_in = SignIn(path, clock)
    sign_in.wait(14)
    assert not may_ask(sign_in)
    assert (tmp_path / "mine").read_text() == "mine"


# -- requests to Garmin ----------------------------------------------------------------------------------


@pytest.fixture
def store(garmin: GarminStandIn, tmp_path: Path) -> TokenStore:
    garmin.write_token(tmp_path / "tokens")
    return TokenStore(tmp_path / "tokens")


@pytest.fixture
def http(monkeypatch: pytest.MonkeyPatch, garmin: GarminStandIn, store: TokenStore) -> FunctionClient:
    return client(
        monkeypatch,
        WEIGHBRIDGE_DELIVERY="garth",
        WEIGHBRIDGE_TOKENS=store.folder,
        GARMIN_DOMAIN=garmin.domain,
        GARMIN_CA_BUNDLE=garmin.ca_bundle,
    )


def session(garmin: GarminStandIn, store: TokenStore) -> GarthSession:
    return GarthSession(store, domain=garmin.domain, ca_bundle=garmin.ca_bundle)


def test_sixty_posts(garmin: GarminStandIn, http: FunctionClient) -> None:
    """Sixty posts while Garmin asks to wait, eight at a time, are one request to Garmin. Each is answered with 503 and
    the time that is left."""
    garmin.faults.add("weight", "429-retry-after", times=None)

    def post(number: int) -> tuple[int, str, str]:
        answer = http.post("/", json={"measured_at": NOW_S + 3600 * number, "weight_kg": 80})
        return answer.status_code, answer.json["type"], answer.headers["Retry-After"]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, range(60)))
    assert {answer[:2] for answer in answers} == {(503, "urn:weighbridge:rate-limited")}
    assert all(1 <= int(answer[2]) <= 14 for answer in answers)
    assert len(garmin.requests) == 1


ASKS = """
    import sys
    from pathlib import Path
    from weighbridge.errors import WeighbridgeError
    from weighbridge.garmin.sessions.garth import GarthSession
    from weighbridge.garmin.tokens import ROOM_BYTES, TokenStore
    folder, domain, ca_bundle = sys.argv[1:]
    session = GarthSession(TokenStore(Path(folder)), domain=domain, ca_bundle=Path(ca_bundle))
    try:
        print(session.request("GET", "/weight-service/weight/range/2026-11-01/2026-11-02").status)
    except WeighbridgeError as fault:
        print(type(fault).__name__)
"""


def ask_in_another_process(garmin: GarminStandIn, store: TokenStore) -> str:
    words = [sys.executable, "-c", re.sub("(?m)^    ", "", ASKS), store.folder, garmin.domain, garmin.ca_bundle]
    return subprocess.run([*map(str, words)], check=True, capture_output=True, text=True).stdout.strip()


def test_wait_in_another_process(garmin: GarminStandIn, store: TokenStore) -> None:
    """Another process with the same token does not ask Garmin before its time."""
    garmin.faults.add("weight", "429-retry-after", times=None)
    assert session(garmin, store).request("GET", RANGE).status == 429
    assert ask_in_another_process(garmin, store) == "RateLimited"
    assert len(garmin.requests) == 1


def test_dead_token_in_another_process(garmin: GarminStandIn, store: TokenStore) -> None:
    """A token that Garmin does not renew is not tried again by another process, until somebody has signed in."""
    garmin.expire_access_tokens()
    garmin.revoke()
    with pytest.raises(SignInNeeded):
        session(garmin, store).request("GET", RANGE)
    asked = len(garmin.requests)
    assert ask_in_another_process(garmin, store) == "SignInNeeded"
    assert len(garmin.requests) == asked
    garmin.write_token(store.folder)
    assert ask_in_another_process(garmin, store) == "200"


def test_new_token_is_refused(garmin: GarminStandIn, store: TokenStore) -> None:
    """If Garmin refuses a token that it has just renewed, it is neither asked nor renewed again and again."""
    garmin.faults.add("weight", "401", times=None)
    connected = session(garmin, store)
    assert connected.request("GET", RANGE).status == 401
    asked = len(garmin.requests)
    for _ in range(5):
        with pytest.raises(SignInNeeded, match="weighbridge login"):
            connected.request("GET", RANGE)
    assert (len(garmin.requests), garmin.sign_in.refreshes) == (asked, 1)
    garmin.faults.clear()
    connected.renew()
    assert connected.request("GET", RANGE).status == 200, "the daily renewal makes another token"


# -- health ----------------------------------------------------------------------------------------------


def health(garmin: GarminStandIn, store: TokenStore) -> tuple[object, str]:
    """What another process shows."""
    state = GarminConnect(session(garmin, store), name="garth", confirm_s=0).health()
    return state["ready"], str(state.get("detail", ""))


@pytest.mark.parametrize("found_by", ["request", "renewal"])
def test_refused_renewal_and_health(garmin: GarminStandIn, store: TokenStore, found_by: str) -> None:
    """After a refused renewal, every process is not ready, although the token has thirty days left; a new one is."""
    garmin.revoke()
    garmin.expire_access_tokens()
    connected = session(garmin, store)
    ask = connected.renew if found_by == "renewal" else partial(connected.request, "GET", RANGE)
    with pytest.raises(SignInNeeded):
        ask()
    ready, detail = health(garmin, store)
    assert not ready
    assert detail.endswith("Sign in again: weighbridge login.")
    garmin.write_token(store.folder)
    assert health(garmin, store) == (True, "")


def test_lost_renewal_and_health(garmin: GarminStandIn, store: TokenStore) -> None:
    """After a renewal whose answer was lost, every process is not ready, until one succeeds."""
    garmin.faults.add("diauth/token", "drop-before")
    with pytest.raises(GarminUnreachable):
        session(garmin, store).renew()
    assert health(garmin, store)[0] is False
    session(garmin, store).renew()
    assert health(garmin, store) == (True, "")


def test_full_folder_and_health(garmin: GarminStandIn, store: TokenStore) -> None:
    """If a new token cannot be saved, every process is not ready, and says why, until one succeeds."""
    session(garmin, store).request("GET", RANGE)
    store.folder.joinpath(".default.part").mkdir()  # nothing can be written in its place, even by root
    with pytest.raises(TokenStoreUnusable):
        session(garmin, store).renew()
    ready, detail = health(garmin, store)
    assert not ready
    assert "must be writable and have free space" in detail
    store.folder.joinpath(".default.part").rmdir()
    session(garmin, store).renew()
    assert health(garmin, store) == (True, "")


def test_folder_without_room_and_health(
    garmin: GarminStandIn, store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder without room for the next token is seen before a renewal fails for it, and nothing is written."""
    before = {path: path.stat() for path in store.folder.parent.rglob("*")}
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=ROOM_BYTES - 1))
    ready, detail = health(garmin, store)
    assert not ready
    assert "No space left on device" in detail
    assert {path: path.stat() for path in store.folder.parent.rglob("*")} == before
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=ROOM_BYTES))
    assert health(garmin, store) == (True, "")


def test_last_success(path: Path, clock: Clock) -> None:
    """The last success is known after a restart, and neither a wait nor a refusal takes it away."""
    first = SignIn(path, clock)
    assert first.last_success_at() is None
    first.ended("garth", [arrived()])
    clock.now_s += 60
    first.wait(30)
    first.refuse(TOKEN)
    first.renewal_failed(TOKEN, "why")
    assert SignIn(path, clock).last_success_at() == datetime.fromtimestamp(NOW_S, UTC)
    assert not may_ask(SignIn(path, clock))
    SignIn(path, clock).ended("garth", [arrived()])
    assert first.last_success_at() == datetime.fromtimestamp(NOW_S + 60, UTC)
    assert SignIn(path, clock).failure(TOKEN) == "why"
