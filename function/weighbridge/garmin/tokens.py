"""The token stores: one Garmin token in one file, or with the program around us; renewed by one process at a time.

Rule: the file on disk holds a complete token at every moment, the old one or the new one. Whoever renews it holds the
lock, and checks that the new token can be saved before it asks Garmin.

Facts:
- Each refresh makes the previous refresh token worthless. A new token that is not saved is lost, and a second refresh
  with the same token is refused (bugficks/omramin issue 21).
- The access token lasts about a day, the refresh token about thirty. A time missing in the file is read from the
  JWT; if it is missing there too, the token is refreshed first.
- `flock` belongs to the open file, not to the process: because the lock file is opened again each time, the lock
  separates threads as well as processes, and a killed process releases it (flock(2)).

Weakness: the lock works on one machine. Several hosts use one of the other stores.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from ..commands import DEFAULT_TOKEN, command
from ..errors import SignInNeeded, TokenStoreUnusable
from ..private import make_private_folder
from ..secret import SecretStr
from ..space import look_for_room
from ..state_file import number

#: A token file is 2 to 6 KB. This much space is reserved on disk before a refresh.
ROOM_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class Token:
    """A DI token of Garmin Connect. Times are Unix seconds; its `repr` shows no secret."""

    access_token: SecretStr
    refresh_token: SecretStr
    client_id: str | None = None
    #: 0 if unknown: then the token is refreshed before it is used.
    expires_at: float = 0.0
    refresh_expires_at: float | None = None

    def __post_init__(self) -> None:
        # Raises ValueError. The libraries pass on what came; it must not take the place of a token that works.
        texts = (self.access_token.get_secret_value(), self.refresh_token.get_secret_value())
        times = (self.expires_at, self.refresh_expires_at or 0.0)
        if (
            not all(isinstance(text, str) and is_token(text) for text in texts)
            or not isinstance(self.client_id, str | None)
            or not all(isinstance(at, int | float) and number(at) == at for at in times)
        ):
            raise ValueError("not a token")

    def to_json(self) -> str:
        """The text of a token file, with the names of garth's `oauth2_token.json`."""
        return json.dumps(
            {
                "access_token": self.access_token.get_secret_value(),
                "refresh_token": self.refresh_token.get_secret_value(),
                "client_id": self.client_id,
                "expires_at": self.expires_at,
                "refresh_token_expires_at": self.refresh_expires_at,
            },
            indent=2,
        )


#: Our name -> its name in our and garth's files, its name in garminconnect's file.
NAMES = {
    "access_token": ("access_token", "di_token"),
    "refresh_token": ("refresh_token", "di_refresh_token"),
    "client_id": ("client_id", "di_client_id"),
    "expires_at": ("expires_at",),
    "refresh_expires_at": ("refresh_token_expires_at",),
}


def parse_token(text: str) -> Token:
    """The token of our own file, garth's `oauth2_token.json`, garminconnect's `garmin_tokens.json`, or a
    GARTH_TOKEN string (the base64 of a JSON list with one token).

    Raises `SignInNeeded` for anything else, without its text.
    """
    value = _json(text) or _json(_base64(text))
    if isinstance(value, list):
        if len(value) == 2:
            raise SignInNeeded(
                "This is a token of the old garth (OAuth1), and Garmin no longer renews those. Sign in instead of "
                "importing it."
            )
        value = value[0] if len(value) == 1 else None
    if not isinstance(value, dict):
        raise SignInNeeded("Expected a token file or a GARTH_TOKEN string; this is neither.")
    found = {ours: next((value[name] for name in names if value.get(name)), None) for ours, names in NAMES.items()}
    access, refresh, client_id = (found[name] for name in ("access_token", "refresh_token", "client_id"))
    texts = [text for text in (access, refresh) if isinstance(text, str) and is_token(text)]
    if len(texts) < 2 or not isinstance(client_id, str | None):
        raise SignInNeeded(
            "The token is incomplete: expected an access_token and a refresh_token (or di_token and di_refresh_token)."
        )
    access, refresh = texts
    return Token(
        SecretStr(access),
        SecretStr(refresh),
        client_id,
        number(found["expires_at"]) or number(jwt_claims(access).get("exp")),
        number(found["refresh_expires_at"]) or number(jwt_claims(refresh).get("exp")) or None,
    )


def jwt_claims(token: str) -> dict[str, object]:
    """The claims of a JWT, without a check of its signature; {} for anything else."""
    parts = token.split(".")
    claims = _json(_base64(parts[1])) if len(parts) == 3 else None
    return claims if isinstance(claims, dict) else {}


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _base64(text: str) -> str:
    # With or without padding, in the URL's alphabet (JWT: RFC 7515 section 2) or the usual one.
    compact = re.sub(r"\s", "", text).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def is_token(text: str) -> bool:
    """Whether a text can be sent as a token: it goes into a header (RFC 6750 section 2.1 allows even less)."""
    return re.fullmatch(r"[!-~]+", text) is not None


class Store(Protocol):
    """Stores one token: in a folder (`TokenStore`), with the program around us (`OwnersStore`), in
    `secret_manager.py`, or in `postgres_tokens.py`."""

    #: Whose token it is: the `--name` of `weighbridge login`.
    name: str
    #: Where it is, for messages.
    place: str
    #: What a person does to sign in, for messages: a command, or a page.
    sign_in: str
    #: The file for the state of the sign-in, if there can be one.
    state_path: Path | None

    def read(self) -> Token | None: ...

    def renewed_at(self) -> float: ...

    def save(self, token: Token) -> None: ...

    def forget(self) -> None: ...

    def refreshed(self, stale: Token, refresh: Callable[[Token], Token]) -> Token: ...

    def obstacle(self) -> str: ...


class Candidate:
    """A `Store` of one token that is yet to prove itself. What a renewal makes of it stays in memory, as `token`.

    It is renewed at most once, and only if it is too old to be used: a renewal makes the copy that was given worthless,
    which may be all that its owner has.
    """

    place = "memory"
    state_path: Path | None = None

    def __init__(self, token: Token, store: Store, *, is_due: bool) -> None:
        """`store`: where it will go."""
        self.token = token
        self.name, self.sign_in = store.name, store.sign_in
        self._may_renew = is_due

    def read(self) -> Token:
        return self.token

    def renewed_at(self) -> float:
        return 0.0

    def save(self, token: Token) -> None:
        self.token = token

    def forget(self) -> None:
        """Nothing is stored."""

    def refreshed(self, stale: Token, refresh: Callable[[Token], Token]) -> Token:
        if not self._may_renew:
            raise SignInNeeded("It answered a read with HTTP 401.")
        self._may_renew = False
        self.token = refresh(stale)
        return self.token

    def obstacle(self) -> str:
        return ""


class OwnersStore:
    """A `Store` for a program that keeps the token itself, such as Home Assistant in its entry.

    A renewed token is used once the owner has said that it is saved. If it cannot be saved, it is kept here, and the
    owner gets it again before Garmin is asked for another: the one that it replaces is worthless.
    """

    def __init__(
        self,
        name: str,
        token: Token | None,
        *,
        saved_at: float,
        save: Callable[[Token | None], None],
        obstacle: Callable[[], str],
        place: str,
        sign_in: str,
        state_path: Path | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`saved_at`: Unix seconds. `save`: returns once the token is saved (None: deleted), or raises
        `TokenStoreUnusable`."""
        self.name, self.place, self.sign_in = name, place, sign_in
        self.state_path = state_path
        self.obstacle = obstacle
        self._token, self._saved_at = token, saved_at
        self._unsaved: Token | None = None
        self._save, self._now = save, now
        self._lock = threading.Lock()

    def read(self) -> Token | None:
        return self._token

    def renewed_at(self) -> float:
        return self._saved_at

    def save(self, token: Token) -> None:
        """Replace the stored token. Raises `TokenStoreUnusable`; then the old one stays."""
        with self._lock:
            self._commit(token)

    def forget(self) -> None:
        """Delete the stored token, if there is one. Raises `TokenStoreUnusable`."""
        with self._lock:
            self._commit(None)

    def refreshed(self, stale: Token, refresh: Callable[[Token], Token]) -> Token:
        """See `TokenStore.refreshed`."""
        with self._lock:
            if self._unsaved is None:
                current = self._token
                if current is None:
                    raise SignInNeeded(f"The Garmin token is gone. Sign in again: {self.sign_in}.")
                if current != stale:
                    return current
                if obstacle := self.obstacle():
                    raise TokenStoreUnusable(obstacle)
                self._unsaved = refresh(current)
            token = self._unsaved
            self._commit(token)
            return token

    def _commit(self, token: Token | None) -> None:
        self._save(token)
        self._token, self._saved_at, self._unsaved = token, self._now(), None


class TokenStore:
    """The token called `name` in a folder: the file `{name}.json`, readable only by its owner."""

    def __init__(self, folder: Path, name: str = DEFAULT_TOKEN) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name, re.ASCII):
            raise ValueError(f"A token's name may have letters, digits, - and _; got {name!r}.")
        self.name = name
        self.sign_in = command("login", name)
        self.folder = folder
        self.path = folder / f"{name}.json"
        self.place = str(folder)
        self.state_path: Path | None = folder / f"{name}.state"
        self._lock_path = folder / f".{name}.lock"
        self._draft_path = folder / f".{name}.part"

    def read(self) -> Token | None:
        """The token, or None when nobody has signed in. Raises `TokenStoreUnusable`."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except OSError as e:
            raise self._unusable("cannot be read", e) from e
        except UnicodeDecodeError:
            text = ""
        try:
            return parse_token(text)
        except SignInNeeded:
            raise TokenStoreUnusable(f"The token file {self.path} is damaged. Sign in again: {self.sign_in}.") from None

    def renewed_at(self) -> float:
        """When the token was last saved, in Unix seconds. Raises `OSError` if there is none."""
        return self.path.stat().st_mtime

    def save(self, token: Token) -> None:
        """Replace the stored token. Raises `TokenStoreUnusable`; then the old one stays."""
        with self._locked(), self._room() as commit:
            commit(token)

    def forget(self) -> None:
        """Delete the stored token, if there is one. Raises `TokenStoreUnusable`."""
        with self._locked():
            try:
                self.path.unlink(missing_ok=True)
                _sync_folder(self.folder)
            except OSError as e:
                raise self._unusable("cannot be deleted", e) from e

    def refreshed(self, stale: Token, refresh: Callable[[Token], Token]) -> Token:
        """A token newer than `stale`: one that another process saved, or the result of `refresh`, which is then saved.

        Raises what `refresh` raises, `SignInNeeded` when the token is gone, or `TokenStoreUnusable`.
        """
        with self._locked():
            current = self.read()
            if current is None:
                raise SignInNeeded(f"The Garmin token is gone. Sign in again: {self.sign_in}.")
            if current != stale:
                return current
            with self._room() as commit:
                token = refresh(current)
                commit(token)
            return token

    def obstacle(self) -> str:
        """Why a new token cannot be saved now, with its fix; "" if it can, as far as can be seen. Writes nothing."""
        try:
            look_for_room(self.folder, ROOM_BYTES)
        except OSError as e:
            return str(self._unusable("cannot be written", e))
        return ""

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            make_private_folder(self.folder)
            handle = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as e:
            raise self._unusable("cannot be written", e) from e
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    @contextlib.contextmanager
    def _room(self) -> Iterator[Callable[[Token], None]]:
        """Reserve space for a new token, so that a full disk fails before the refresh; yields what saves it.

        The lock allows one draft at a time, so its name is fixed, and a draft left by a killed process is used again.
        """
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            draft = os.fdopen(os.open(self._draft_path, flags, 0o600), "r+b")
        except OSError as e:
            raise self._unusable("cannot be written", e) from e
        try:
            with draft:
                try:
                    _write(draft, bytes(ROOM_BYTES))
                except OSError as e:
                    raise self._unusable("cannot be written", e) from e
                yield lambda token: self._commit(draft, token)
        finally:
            with contextlib.suppress(OSError):  # on success it has been renamed
                self._draft_path.unlink()

    def _commit(self, draft: BinaryIO, token: Token) -> None:
        try:
            _write(draft, token.to_json().encode())
            self._draft_path.replace(self.path)
            _sync_folder(self.folder)
        except OSError as e:
            raise self._unusable("cannot be written", e) from e

    def _unusable(self, what: str, fault: OSError) -> TokenStoreUnusable:
        return TokenStoreUnusable(
            f"The token file {self.path} {what}: {fault.strerror}. Its folder must be writable and have free space, "
            f"because each refresh makes a new token. Fix that first. If Garmin then refuses the token: "
            f"{self.sign_in}."
        )


def _write(file: BinaryIO, content: bytes) -> None:
    # Overwrite the reserved space first, and truncate afterwards, so that the write needs no new space.
    file.seek(0)
    file.write(content)
    file.flush()
    file.truncate(len(content))
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
