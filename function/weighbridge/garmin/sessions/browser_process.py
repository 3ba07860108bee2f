"""The browser's own process: a Chromium in which a person has signed in once, driven by Playwright over JSON lines.

    {"profile": …, "executable": …, "arguments": […], "origin": …, "page_s": …}  the first line: how to start
    {"method": …, "url": …, "file": {"name": …, "base64": …}, "timeout_s": …}  a request to be made inside the page
    {"login": true, "timeout_s": …}                                            wait until a person has signed in
    -> {"status": …, "headers": {…}, "base64": …}   or   {"trouble": a name of `TROUBLES`, "picture": …}

Rule: it knows nothing about weigh-ins and imports nothing of Weighbridge, so that it can run in its own environment,
without the function's secrets. Of an exception it reports only the class, never the text, which may hold an address
with a ticket. A picture of an unexpected page stays in a private folder.

Facts: `/gc-api/` of connect.garmin.com accepts the page's cookies with the page's CSRF token, which is in
`meta[name=csrf-token]`, or in the header `connect-csrf-token` of the page's own requests. The status page needs no
sign-in and never navigates away, so requests are made there. The import page asks for consent first, and its file input
is in a shadow DOM, which Playwright's selectors can reach. A profile serves one Chromium at a time.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TROUBLES = ("signed out", "consent", "firewall", "changed", "unreachable", "dropped", "in use", "no browser")

STATUS_PAGE = "/site-status/garmin-connect-status.json"
PAGE_WITH_A_TOKEN = "/app/activities"  # noqa: S105  # a path
IMPORT_PAGE = "/app/import-data"
CONSENT = re.compile(r"^\s*(accept|i agree|continue)", re.IGNORECASE)
FIREWALL_TITLE = re.compile(r"just a moment|attention required|access denied", re.IGNORECASE)

#: An upload refused with one of these was not carried out; then the import page is tried.
NOT_THIS_WAY = (403, 404, 405)
PROFILE_DEADLINE_S = 45.0
POLL_S = 0.1
MOST_PICTURES = 20

FETCH = """async ({method, url, csrf, file, timeoutMs}) => {
  const toBytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
  const toText = bytes => { let text = ""; for (const b of bytes) text += String.fromCharCode(b); return btoa(text); };
  const headers = {"connect-csrf-token": csrf, "Accept": "application/json, text/plain, */*"};
  let body;
  if (file) {
    body = new FormData();
    body.append("file", new Blob([toBytes(file.base64)], {type: "application/octet-stream"}), file.name);
  }
  try {
    const signal = AbortSignal.timeout(timeoutMs);
    const answer = await fetch(url, {method, headers, body, redirect: "manual", signal});
    if (answer.type === "opaqueredirect") return {redirected: true};
    const bytes = new Uint8Array(await answer.arrayBuffer());
    return {status: answer.status, headers: Object.fromEntries(answer.headers), base64: toText(bytes)};
  } catch { return {failed: true}; }
}"""


class Trouble(Exception):
    """The request failed, with one of the `TROUBLES`."""


class Browser:
    def __init__(self, playwright: Any, start: dict[str, Any], *, headless: bool) -> None:
        self._errors = (playwright.Error,)
        self._origin = start["origin"]
        self._folder = Path(start["profile"])
        self._page_s = start["page_s"]
        self._csrf = ""
        self._seen_csrf = ""
        self._driver = playwright.sync_playwright().start()
        # As root, Chromium does not start with its sandbox. A container may also lack what the sandbox needs.
        own = ["--no-sandbox"] if os.geteuid() == 0 else []
        try:
            self._context = self._driver.chromium.launch_persistent_context(
                str(self._folder / "profile"),
                executable_path=start["executable"],
                headless=headless,
                chromium_sandbox=not own,
                args=[
                    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
                    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
                    *own,
                    *start["arguments"],
                ],
            )
        except self._errors:
            raise Trouble("no browser") from None
        self._page = self._context.pages[0] if self._context.pages else self._context.new_page()
        self._context.on("request", self._watch)

    def close(self) -> None:
        with contextlib.suppress(*self._errors):
            self._context.close()
        self._driver.stop()

    def request(self, asked: dict[str, Any]) -> dict[str, Any]:
        answer = self._fetch(asked)
        if answer["status"] in (401, 403):
            # Both refuse before anything is carried out: the page's token or the session has ended.
            self._csrf = ""
            answer = self._fetch(asked)
        if asked.get("file") and answer["status"] in NOT_THIS_WAY:
            return self._import(asked)
        return answer

    def wait_for_sign_in(self, timeout_s: float) -> dict[str, Any]:
        """Show the sign-in page until a person has signed in or closed the window."""
        deadline = time.monotonic() + timeout_s
        with contextlib.suppress(*self._errors):
            self._page.goto(self._origin + PAGE_WITH_A_TOKEN, wait_until="domcontentloaded")
            while time.monotonic() < deadline:
                page = self._context.pages[-1]
                if page.url.startswith(f"{self._origin}/app") and (self._meta(page) or self._seen_csrf):
                    return {"signed in": True}
                page.wait_for_timeout(500)
        raise Trouble("signed out")

    def picture(self, trouble: str) -> str:
        """Save a picture of the page, readable only by its owner, and return its path."""
        folder = self._folder / "pictures"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{datetime.now(UTC).strftime('%Y-%m-%dT%H-%M-%S-%fZ')}_{trouble.replace(' ', '-')}.png"
        try:
            content = self._page.screenshot(timeout=5000)
        except self._errors:
            return ""
        with os.fdopen(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        for old in sorted(folder.glob("*.png"))[:-MOST_PICTURES]:
            old.unlink(missing_ok=True)
        return str(folder / name)

    # -- inside the page -----------------------------------------------------------------------------------

    def _fetch(self, asked: dict[str, Any]) -> dict[str, Any]:
        if not self._csrf:
            self._csrf = self._find_csrf()
            self._open(STATUS_PAGE)
        options = {
            "method": asked["method"],
            "url": self._origin + asked["url"],
            "csrf": self._csrf,
            "file": asked.get("file"),
            "timeoutMs": round(1000 * asked["timeout_s"]),
        }
        try:
            answer: dict[str, Any] = self._page.evaluate(FETCH, options)
        except self._errors:
            answer = {"failed": True}
        if answer.get("failed"):
            raise Trouble("dropped")
        if answer.get("redirected"):
            raise Trouble("signed out")
        return answer

    def _find_csrf(self) -> str:
        """The page's CSRF token, which also shows that somebody is signed in."""
        self._seen_csrf = ""
        status = self._open(PAGE_WITH_A_TOKEN)
        deadline = time.monotonic() + self._page_s
        while True:
            csrf = self._meta(self._page) or self._seen_csrf
            if csrf:
                return csrf
            trouble = self._trouble(status)
            # In a real browser a firewall's check may pass by itself, and a page may still be loading.
            if trouble in ("signed out", "consent", "unreachable") or time.monotonic() >= deadline:
                raise Trouble(trouble)
            self._page.wait_for_timeout(1000 * POLL_S)

    def _import(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Import the file as a person would: consent, choose the file, press the button."""
        status = self._open(IMPORT_PAGE)
        page, timeout_ms = self._page, 1000 * self._page_s
        file_input, consent = page.locator("input[type=file]").first, page.get_by_role("button", name=CONSENT).first
        button = page.get_by_role("button", name="Import Data", exact=True)
        try:
            file_input.or_(consent).first.wait_for(state="attached", timeout=timeout_ms)
            if consent.is_visible():
                consent.click(timeout=timeout_ms)
            content = base64.b64decode(asked["file"]["base64"])
            file = {"name": asked["file"]["name"], "mimeType": "application/octet-stream", "buffer": content}
            file_input.set_input_files(file, timeout=timeout_ms)
            button.wait_for(state="visible", timeout=timeout_ms)
            button.click(trial=True, timeout=timeout_ms)  # waits until it can be pressed
        except self._errors:
            raise Trouble(self._trouble(status)) from None
        try:
            with page.expect_response(
                lambda r: "upload-service" in r.url and r.request.method == "POST", timeout=1000 * asked["timeout_s"]
            ) as caught:
                button.click(timeout=timeout_ms)
            response = caught.value
            body = base64.b64encode(response.body()).decode()
        except self._errors:
            raise Trouble("dropped") from None
        finally:
            self._csrf = ""  # this is no longer the status page
        return {"status": response.status, "headers": response.all_headers(), "base64": body}

    def _open(self, path: str) -> int:
        try:
            response = self._page.goto(self._origin + path, wait_until="domcontentloaded", timeout=1000 * self._page_s)
        except self._errors:
            raise Trouble("unreachable") from None
        return response.status if response else 0

    def _trouble(self, status: int) -> str:
        """Why this page is not the expected one."""
        try:
            parts, title = urlsplit(self._page.url), self._page.title()
            consent = self._page.get_by_role("button", name=CONSENT).count() > 0
        except self._errors:
            return "changed"
        if (parts.hostname or "").startswith("sso.") or "sign-in" in parts.path:
            return "signed out"
        if status == 403 or FIREWALL_TITLE.search(title):
            return "firewall"
        if status >= 500:
            return "unreachable"
        return "consent" if consent else "changed"

    def _meta(self, page: Any) -> str:
        try:
            found = page.evaluate("document.querySelector('meta[name=\"csrf-token\"]')?.content || ''")
        except self._errors:
            return ""  # the page is navigating
        return str(found)

    def _watch(self, request: Any) -> None:
        if request.url.startswith(f"{self._origin}/gc-api/"):
            self._seen_csrf = request.headers.get("connect-csrf-token") or self._seen_csrf


def take_profile(folder: Path) -> int:
    """Lock the profile until this process ends. Returns the lock's file descriptor."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + PROFILE_DEADLINE_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise Trouble("in use") from None
            time.sleep(POLL_S)
        else:
            return handle


def serve() -> None:
    start = json.loads(sys.stdin.readline())
    os.umask(0o077)
    browser: Browser | None = None
    try:
        for line in sys.stdin:
            asked = json.loads(line)
            try:
                if browser is None:
                    browser = open_browser(start, headless="login" not in asked)
                answer = browser.wait_for_sign_in(asked["timeout_s"]) if "login" in asked else browser.request(asked)
            except Trouble as trouble:
                name = str(trouble)
                answer = {"trouble": name, "picture": browser.picture(name) if browser else ""}
            except Exception as fault:  # noqa: BLE001  # its words may hold a secret; its class does not
                answer = {"trouble": "dropped", "fault": type(fault).__name__, "picture": ""}
            print(json.dumps(answer), flush=True)
    finally:
        if browser:
            browser.close()


def open_browser(start: dict[str, Any], *, headless: bool) -> Browser:
    try:
        from playwright import sync_api
    except ImportError:
        raise Trouble("no browser") from None
    take_profile(Path(start["profile"]))
    return Browser(sync_api, start, headless=headless)


if __name__ == "__main__":
    serve()
