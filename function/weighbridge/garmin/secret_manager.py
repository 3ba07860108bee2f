"""The token store for a host without a disk: a secret in Google Secret Manager, under the same rules as the folder.

Rule: a new token is a new version of the secret, saved before it is used. Whoever renews holds a lease on the secret,
and checks that it may add a version before it asks Garmin.

Facts (Secret Manager REST v1):
- `versions/latest:access` gives the newest version; `dataCrc32c` is its CRC-32C.
- A change of the secret with an outdated `etag` is refused (409 or 412): whoever writes the lease first has it. The
  lease has an end, so a killed process does not hold it forever.
- Each version costs money until it is destroyed, and an old token is worthless, so the previous version is destroyed.
- A regional secret has an address in its region.

Weakness: a renewal that takes longer than `LEASE_S` loses its lease, and another host may then renew the same token.
What Garmin has refused is remembered by each process for itself (`sign_in.py`).
"""

from __future__ import annotations

import base64
import contextlib
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import fastcrc
import requests
from google.auth import default as google_default
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession

from ..commands import DEFAULT_TOKEN, command
from ..errors import SignInNeeded, TokenStoreUnusable
from .tokens import Token, parse_token

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
NAME = re.compile(r"projects/[\w:.-]+(?:/locations/(?P<region>[a-z0-9-]+))?/secrets/[\w-]{1,200}", re.ASCII)
#: The annotation that names who renews, and until when: "uuid 1795419000".
LEASE = "weighbridge-lease"
#: Longer than a renewal may take, whose requests have time-outs of 30 s.
LEASE_S = 90
POLL_S = 0.5
REQUEST_S = 10.0
ADD, UPDATE = "secretmanager.versions.add", "secretmanager.secrets.update"


class SecretTokenStore:
    """The token called `name` in its own secret: `secret` for the default one, `secret-anna` for anna's.

    `secret`: `projects/…/secrets/…`, or `projects/…/locations/…/secrets/…`.
    """

    def __init__(
        self, secret: str, name: str = DEFAULT_TOKEN, *, endpoint: str = "", now: Callable[[], float] = time.time
    ) -> None:
        """`endpoint` is for a stand-in; by default it follows from the secret's name."""
        self.name = name
        self.sign_in = command("login", name)
        secret += "" if name == DEFAULT_TOKEN else f"-{name}"
        found = NAME.fullmatch(secret)
        if not found:
            raise ValueError(f"Expected a secret's name such as projects/my-project/secrets/garmin, got {secret!r}.")
        region = f"secretmanager.{found['region']}.rep" if found["region"] else "secretmanager"
        self._address = f"{endpoint or f'https://{region}.googleapis.com'}/v1/{secret}"
        self._now = now
        self.place = secret
        self.state_path: Path | None = None
        self._lock = threading.Lock()
        self._session: AuthorizedSession | None = None
        #: The last token seen. If there is a newer one, Garmin refuses this one.
        self._seen: Token | None = None

    def read(self) -> Token | None:
        """The token, or None when nobody has signed in. Raises `TokenStoreUnusable`."""
        return self._seen or self._read()

    def renewed_at(self) -> float:
        """When the token was last saved, in Unix seconds. Raises `TokenStoreUnusable`."""
        created = self._ask("GET", "/versions/latest")["createTime"]
        # datetime cannot parse nanoseconds.
        return datetime.fromisoformat(re.sub(r"\.\d+", "", created).replace("Z", "+00:00")).timestamp()

    def save(self, token: Token) -> None:
        """Replace the stored token. Raises `TokenStoreUnusable`; then the old one stays."""
        with self._lock, self._lease():
            self._add(token)

    def forget(self) -> None:
        """Raises `TokenStoreUnusable`: the secret belongs to Google's own tools."""
        raise TokenStoreUnusable(
            f"The token is in Secret Manager. To sign out, disable its newest version there: gcloud secrets versions "
            f"disable latest --secret={self.place.rpartition('/')[2]}."
        )

    def refreshed(self, stale: Token, refresh: Callable[[Token], Token]) -> Token:
        """See `TokenStore.refreshed`."""
        with self._lock, self._lease():
            current = self._read()
            if current is None:
                raise SignInNeeded(f"The Garmin token is gone. Sign in again: {self.sign_in}.")
            if current != stale:
                return current
            self._may_add()
            token = refresh(current)
            self._add(token)
            return token

    def obstacle(self) -> str:
        """See `TokenStore.obstacle`. Nothing can be seen without a request."""
        return ""

    # -- the secret --------------------------------------------------------------------------------------

    def _read(self) -> Token | None:
        answer = self._ask("GET", "/versions/latest:access", allowed=(404,))
        if not answer:
            return None
        data = base64.b64decode(answer["payload"]["data"])
        if int(answer["payload"].get("dataCrc32c", _crc32c(data))) != _crc32c(data):
            raise TokenStoreUnusable(f"The secret {self.place} arrived incomplete. Try again.")
        try:
            self._seen = parse_token(data.decode("utf-8", "replace"))
        except SignInNeeded:
            raise TokenStoreUnusable(
                f"Secret {self.place} does not hold a token. Sign in again: {self.sign_in}."
            ) from None
        return self._seen

    def _may_add(self) -> None:
        wanted = {"permissions": [ADD]}
        if ADD not in self._ask("POST", ":testIamPermissions", wanted).get("permissions", []):
            raise self._refused_with(f"{ADD} is missing")

    def _add(self, token: Token) -> None:
        data = token.to_json().encode()
        payload = {"data": base64.b64encode(data).decode(), "dataCrc32c": str(_crc32c(data))}
        version = int(self._ask("POST", ":addVersion", {"payload": payload})["name"].rpartition("/")[2])
        self._seen = token
        if version > 1:
            with contextlib.suppress(TokenStoreUnusable):  # then it costs some cents
                self._ask("POST", f"/versions/{version - 1}:destroy", {}, allowed=(400, 404))

    @contextlib.contextmanager
    def _lease(self) -> Iterator[None]:
        """Hold the secret, against other processes and hosts. Raises `TokenStoreUnusable`."""
        ours = str(uuid.uuid4())
        while not self._took(ours):
            time.sleep(POLL_S)
        try:
            yield
        finally:
            with contextlib.suppress(TokenStoreUnusable):  # the lease ends by itself
                secret = self._ask("GET", "")
                if secret.get("annotations", {}).get(LEASE, "").startswith(ours):
                    self._annotate(secret, None)

    def _took(self, ours: str) -> bool:
        secret = self._ask("GET", "")
        _, _, end = secret.get("annotations", {}).get(LEASE, "").partition(" ")
        if end and float(end) > self._now():
            return False
        return self._annotate(secret, f"{ours} {self._now() + LEASE_S:.0f}")

    def _annotate(self, secret: Mapping[str, Any], lease: str | None) -> bool:
        annotations = {name: text for name, text in secret.get("annotations", {}).items() if name != LEASE}
        changed = {"annotations": annotations | ({LEASE: lease} if lease else {}), "etag": secret["etag"]}
        return bool(self._ask("PATCH", "?updateMask=annotations", changed, allowed=(409, 412)))

    # -- requests ----------------------------------------------------------------------------------------

    def _ask(self, method: str, path: str, body: object = None, *, allowed: tuple[int, ...] = ()) -> dict[str, Any]:
        """The answer; empty for an allowed status."""
        try:
            if self._session is None:
                credentials, _ = google_default(scopes=[SCOPE])
                self._session = AuthorizedSession(credentials)
            answer = self._session.request(method, self._address + path, json=body, timeout=REQUEST_S)
        except GoogleAuthError as e:
            raise TokenStoreUnusable(
                f"Google gives no credentials for {self.place} ({type(e).__name__}). On Cloud Run, give the service an "
                "account; elsewhere, set GOOGLE_APPLICATION_CREDENTIALS."
            ) from None
        except requests.RequestException as e:
            raise TokenStoreUnusable(f"Secret Manager cannot be reached ({type(e).__name__}). Try again.") from None
        if answer.status_code in allowed:
            return {}
        if answer.status_code == 404:
            raise TokenStoreUnusable(f"There is no secret {self.place}. Create it: gcloud secrets create.")
        if answer.status_code == 403:
            raise self._refused_with("403")
        if answer.status_code != 200:
            raise TokenStoreUnusable(f"Secret Manager answered with {answer.status_code}. Try again.")
        answered: dict[str, Any] = answer.json()
        return answered

    def _refused_with(self, what: str) -> TokenStoreUnusable:
        return TokenStoreUnusable(
            f"This account lacks permission on {self.place} ({what}). Give it the roles "
            f"secretmanager.secretAccessor and secretmanager.secretVersionManager there, and {UPDATE}."
        )


def _crc32c(data: bytes) -> int:
    return int(fastcrc.crc32.iscsi(data))
