"""The token store: complete at every moment, private, and renewed by one process at a time."""

from __future__ import annotations

import base64
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from weighbridge.errors import SignInNeeded, TokenStoreUnusable
from weighbridge.garmin.tokens import OwnersStore, Token, TokenStore, parse_token
from weighbridge.secret import SecretStr

from .garmin.account import jwt
from .garmin.server import GarminStandIn

ROOT = Path(__file__).parent.parent


def token(number: int = 0, **changes: object) -> Token:
    fields: dict[str, object] = {
        "access_token": SecretStr(f"access-{number}"),
        "refresh_token": SecretStr(f"refresh-{number}"),
        "client_id": "CLIENT",
        "expires_at": 1_000.0 + number,
        "refresh_expires_at": 2_000.0 + number,
    }
    return Token(**{**fields, **changes})  # type: ignore[arg-type]


# -- reading and saving ----------------------------------------------------------------------------------


def test_save_and_read(tmp_path: Path) -> None:
    """A saved token is read back unchanged."""
    store = TokenStore(tmp_path / "tokens", "anna")
    store.save(token(7, refresh_expires_at=None, client_id=None))
    assert store.read() == token(7, refresh_expires_at=None, client_id=None)


def test_no_sign_in(tmp_path: Path) -> None:
    """Without a sign-in there is no token, and nothing is created."""
    assert TokenStore(tmp_path / "tokens").read() is None
    assert list(tmp_path.iterdir()) == []


def test_permissions(tmp_path: Path) -> None:
    """Only their owner can read folder and file, whatever the umask."""
    before = os.umask(0)
    try:
        TokenStore(tmp_path / "tokens").save(token())
    finally:
        os.umask(before)
    assert (tmp_path / "tokens").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "tokens" / "default.json").stat().st_mode & 0o777 == 0o600


def test_no_other_files(tmp_path: Path) -> None:
    """Saving leaves no other file than the lock."""
    store = TokenStore(tmp_path)
    for number in range(3):
        store.save(token(number))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".default.lock", "default.json"]


ODD_TOKENS = [b'{"access_token": "%s", "refresh_token": "r"}' % odd for odd in (b"a b", b"a\\r\\nX: b", b"\\u00e4")]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"{}", b"\xff\xfe", b"null", b'{"access_token": 1}', b"[" * 99_999, *ODD_TOKENS],
)
def test_damaged_file(tmp_path: Path, content: bytes) -> None:
    """A damaged file is reported with its fix, and not shown."""
    (tmp_path / "default.json").write_bytes(content)
    with pytest.raises(TokenStoreUnusable, match=r"default\.json is damaged.*weighbridge login"):
        TokenStore(tmp_path).read()


@pytest.mark.parametrize(
    ("access", "refresh", "client_id", "expires_at"),
    [
        *(("", "r", None, 0.0), ("a", "r s", None, 0.0), ("a\r\n", "r", None, 0.0), ("a", "ä", None, 0.0)),
        *(("a", 1, None, 0.0), ("a", "r", 1, 0.0), ("a", "r", None, "1"), ("a", "r", None, float("nan"))),
        *(("a", "r", None, -1.0), ("a", "r", None, 10**400), ("a", "r", None, True)),
    ],
)
def test_what_cannot_be_a_token(access: Any, refresh: Any, client_id: Any, expires_at: Any) -> None:
    """What cannot be sent, or stored and read again, is not a token, whatever a library says."""
    with pytest.raises(ValueError, match="not a token"):
        Token(SecretStr(access), SecretStr(refresh), client_id, expires_at)


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a.b", "ä", "x" * 65])
def test_invalid_name(tmp_path: Path, name: str) -> None:
    """A name that could lead out of the folder is refused."""
    with pytest.raises(ValueError, match="letters"):
        TokenStore(tmp_path, name)


def test_no_secret_in_repr() -> None:
    """The repr of a token shows no secret."""
    text = f"{token()!r} {token()!s} {token().access_token}"
    assert "access-0" not in text
    assert "refresh-0" not in text


# -- where tokens come from ------------------------------------------------------------------------------


def test_garth_file(garmin: GarminStandIn) -> None:
    """garth's own file is understood."""
    issued = garmin.issue_token()
    parsed = parse_token(json.dumps(issued))
    assert parsed.access_token.get_secret_value() == issued["access_token"]
    assert parsed.refresh_token.get_secret_value() == issued["refresh_token"]
    assert parsed.expires_at == issued["expires_at"]
    assert parsed.refresh_expires_at == issued["refresh_token_expires_at"]


def test_garminconnect_file() -> None:
    """garminconnect's file is understood, and the token's end is read from the JWT."""
    access = jwt({"exp": 1_800_000_000})
    parsed = parse_token(json.dumps({"di_token": access, "di_refresh_token": "r", "di_client_id": "C"}))
    assert (parsed.access_token.get_secret_value(), parsed.client_id) == (access, "C")
    assert (parsed.expires_at, parsed.refresh_expires_at) == (1_800_000_000, None)


def test_garth_string(garmin: GarminStandIn) -> None:
    """The string that garth dumps is understood."""
    import garth
    from garth.auth_tokens import OAuth2Token

    client = garth.Client()
    client.oauth2_token = OAuth2Token(**garmin.issue_token())
    parsed = parse_token(client.dumps())
    assert parsed.refresh_token.get_secret_value() == client.oauth2_token.refresh_token
    assert parsed.expires_at == client.oauth2_token.expires_at


def test_old_garth_token() -> None:
    """A token of the old garth has its own message."""
    legacy = base64.b64encode(json.dumps([{"oauth_token": "SECRET"}, {"access_token": "a"}]).encode()).decode()
    with pytest.raises(SignInNeeded, match="old garth"):
        parse_token(legacy)


@pytest.mark.parametrize("text", ["SECRET", "U0VDUkVU", "{}", "[]", '"SECRET"', '{"di_token": "SECRET"}', ""])
def test_not_a_token(text: str) -> None:
    """Anything that is not a token is refused, and not shown."""
    with pytest.raises(SignInNeeded, match=r"expected|Expected") as caught:
        parse_token(text)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("exp", [None, "soon", -1, True, 10**400, 1e300])
def test_unknown_end(exp: object) -> None:
    """A token with an unknown end is refreshed first."""
    parsed = parse_token(json.dumps({"access_token": jwt({"exp": exp}), "refresh_token": "r", "expires_at": exp}))
    assert parsed.expires_at == 0


# -- one refresh at a time -------------------------------------------------------------------------------


def test_one_thread_refreshes(tmp_path: Path) -> None:
    """Of many threads one refreshes, and all use its token."""
    TokenStore(tmp_path).save(token(0))
    calls: list[Token] = []

    def refresh(stale: Token) -> Token:
        calls.append(stale)
        time.sleep(0.05)  # long enough for the others to queue up
        return token(1)

    start = threading.Barrier(8, timeout=30)

    def one(_: int) -> Token:
        store = TokenStore(tmp_path)  # a store for each thread, as in separate processes
        start.wait()
        return store.refreshed(token(0), refresh)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one, range(8))) == {token(1)}
    assert calls == [token(0)]


def test_already_refreshed(tmp_path: Path) -> None:
    """A token that was refreshed in the meantime is used as it is."""
    store = TokenStore(tmp_path)
    store.save(token(1))
    assert store.refreshed(token(0), lambda _: token(2)) == token(1)


def test_refresh_fails(tmp_path: Path) -> None:
    """A refresh that fails leaves the old token and releases the lock."""
    store = TokenStore(tmp_path)
    store.save(token(0))

    def refuse(_: Token) -> Token:
        raise SignInNeeded("no")

    with pytest.raises(SignInNeeded):
        store.refreshed(token(0), refuse)
    assert store.read() == token(0)
    assert store.refreshed(token(0), lambda _: token(1)) == token(1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".default.lock", "default.json"]


REFRESH_IN_A_PROCESS = """
    import sys, time
    from pathlib import Path
    from weighbridge.garmin.sessions.garth import GarthSession, import_garth
    from weighbridge.garmin.tokens import TokenStore
    folder, domain, ca_bundle, go = sys.argv[1:]
    import_garth()
    session = GarthSession(TokenStore(Path(folder)), domain=domain, ca_bundle=Path(ca_bundle))
    print("ready", flush=True)
    while not Path(go).exists():
        time.sleep(0.001)
    path = "/weight-service/weight/range/2026-11-01/2026-11-02"
    print([session.request("GET", path).status for _ in range(3)])
"""


def test_two_processes(garmin: GarminStandIn, tmp_path: Path) -> None:
    """Two processes that refresh at once cause one refresh, and both work."""
    folder, go = tmp_path / "tokens", tmp_path / "go"
    garmin.write_token(folder)
    garmin.expire_access_tokens()
    garmin.faults.add("diauth/token", "slow", delay_s=0.3, times=None)
    command = [sys.executable, "-c", textwrap.dedent(REFRESH_IN_A_PROCESS)]
    command += [str(folder), garmin.domain, str(garmin.ca_bundle), str(go)]
    processes = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        go.touch()
        outputs = [process.communicate(timeout=60)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert outputs == ["[200, 200, 200]\n"] * 2
    assert (garmin.sign_in.refreshes, garmin.sign_in.refused_refreshes) == (1, 0)


# -- disks and kills -------------------------------------------------------------------------------------


def save_for_ever(folder: Path) -> None:
    store = TokenStore(folder)
    number = 0
    while True:
        number += 1
        store.save(token(number, access_token=SecretStr(f"access-{number}" * 500)))


def test_kill_9(tmp_path: Path) -> None:
    """kill -9 at any moment leaves the old token or the new one."""
    context = multiprocessing.get_context("spawn")
    for delay_s in (0.0, 0.003, 0.011, 0.024):
        process = context.Process(target=save_for_ever, args=(tmp_path,))
        process.start()
        assert process.pid is not None
        deadline = time.monotonic() + 30
        before = TokenStore(tmp_path).read()
        while TokenStore(tmp_path).read() == before:
            assert time.monotonic() < deadline
        time.sleep(delay_s)  # any moment of a save
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        survivor = TokenStore(tmp_path).read()
        assert survivor is not None
        number = int(survivor.expires_at) - 1000
        assert survivor == token(number, access_token=SecretStr(f"access-{number}" * 500))
        TokenStore(tmp_path).save(token(0))  # the lock died with its holder
        assert sorted(path.name for path in tmp_path.iterdir()) == [".default.lock", "default.json"]


WITHOUT_ROOM = """
    import resource, signal, sys
    from pathlib import Path
    from weighbridge.garmin.tokens import TokenStore
    from weighbridge.errors import TokenStoreUnusable
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then a write over the limit is an OSError, as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, 8_000))
    store = TokenStore(Path(sys.argv[1]))
    asked = []
    try:
        store.refreshed(store.read(), asked.append)
    except TokenStoreUnusable as e:
        print(len(asked), e)
"""


def test_full_disk(tmp_path: Path) -> None:
    """A full disk is noticed before Garmin is asked for a new token."""
    TokenStore(tmp_path).save(token(0))
    output = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(WITHOUT_ROOM), str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert output.startswith("0 The token file"), output
    assert TokenStore(tmp_path).read() == token(0)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".default.lock", "default.json"]


def test_unwritable_folder(tmp_path: Path) -> None:
    """A folder that cannot be created is reported with its fix."""
    (tmp_path / "file").write_text("")
    with pytest.raises(TokenStoreUnusable, match="must be writable"):
        TokenStore(tmp_path / "file" / "tokens").save(token())


# -- a token that a program around us keeps ------------------------------------------------------------------


class Owner:
    """Keeps one token. Its disk may be full."""

    def __init__(self) -> None:
        self.saved: list[Token | None] = []
        self.obstacle = ""
        self.is_full = False

    def save(self, new: Token | None) -> None:
        if self.is_full:
            raise TokenStoreUnusable("not saved")
        self.saved.append(new)

    def store(self, kept: Token | None) -> OwnersStore:
        return OwnersStore(
            "anna",
            kept,
            saved_at=5.0,
            save=self.save,
            obstacle=lambda: self.obstacle,
            place="a program",
            sign_in="on its page",
            now=lambda: 9.0,
        )


def test_owner_saves_before_use() -> None:
    """A renewed token is the owner's before anybody else has it; the time of its renewal is known."""
    owner = Owner()
    store = owner.store(token(1))
    assert (store.read(), store.renewed_at()) == (token(1), 5.0)
    assert store.refreshed(token(1), lambda _old: token(2)) == token(2)
    assert owner.saved == [token(2)]
    assert (store.read(), store.renewed_at()) == (token(2), 9.0)
    # Somebody else has renewed it.
    assert store.refreshed(token(1), lambda _old: token(3)) == token(2)
    assert owner.saved == [token(2)]


def test_owner_cannot_save() -> None:
    """A renewed token that could not be saved is not used, and saved before Garmin is asked for another."""
    owner, asked = Owner(), []
    store = owner.store(token(1))

    def refresh(old: Token) -> Token:
        asked.append(old)
        return token(2)

    owner.is_full = True
    for _ in range(2):
        with pytest.raises(TokenStoreUnusable):
            store.refreshed(token(1), refresh)
        assert store.read() == token(1)
    owner.is_full = False
    assert store.refreshed(token(1), refresh) == token(2)
    assert (asked, owner.saved) == ([token(1)], [token(2)])


def test_owner_says_no_before() -> None:
    """If the owner could not save a token now, Garmin is not asked."""
    owner = Owner()
    owner.obstacle = "no room"
    with pytest.raises(TokenStoreUnusable, match="no room"):
        owner.store(token(1)).refreshed(token(1), lambda _old: pytest.fail("asked"))


def test_owner_forgets() -> None:
    """After signing out there is no token, and the message says where to sign in."""
    owner = Owner()
    store = owner.store(token(1))
    store.forget()
    assert (store.read(), owner.saved) == (None, [None])
    with pytest.raises(SignInNeeded, match="Sign in again: on its page"):
        store.refreshed(token(1), lambda _old: token(2))
    store.save(token(3))
    assert store.read() == token(3)
