"""A real Chromium, headless, against the stand-in for Garmin's web pages: both ways to send, each trouble, no leaks."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pydantic
import pytest

from tests.commands import WEIGHBRIDGE, with_sources
from tests.function_client import local_headers, process
from tests.garmin.http_types import Request
from tests.garmin.server import GarminStandIn
from tests.garmin.uploads import file_part
from tests.skips import NOT_HERE
from weighbridge.delivery.port import Delivered
from weighbridge.errors import (
    GarminRefused,
    GarminUnreachable,
    RateLimited,
    SettingsInvalid,
    SignInNeeded,
    WeighbridgeError,
)
from weighbridge.fit.template import read_template
from weighbridge.garmin.connect import GarminConnect
from weighbridge.garmin.sessions.browser import BrowserSession
from weighbridge.garmin.sessions.port import ConnectionDropped
from weighbridge.pipeline import Prover
from weighbridge.reading.reading import Reading
from weighbridge.settings import TEMPLATES

CHROMIUM = shutil.which("chromium") or ""
TEMPLATE = read_template((TEMPLATES / "weight_scale.fit").read_bytes())
RANGE = "/weight-service/weight/range/2026-11-01/2026-11-02"
EVENING = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)

if not CHROMIUM and os.environ.get("CI") != "true":
    pytest.skip("needs Chromium: apt install chromium", allow_module_level=True)


def reading(number: int = 0) -> Reading:
    return Reading(measured_at=EVENING - timedelta(days=number), weight_kg=Decimal("81.4") + number % 7)


proven = Prover(TEMPLATE)


def arguments(garmin: GarminStandIn) -> tuple[str, ...]:
    return (f"--ignore-certificate-errors-spki-list={garmin.certificate_hash}",)


def type_in(page: Any, garmin: GarminStandIn) -> None:
    """Sign in on the page, as a person does."""
    page.fill("input[name=username]", garmin.account.email)
    page.fill("input[name=password]", garmin.account.password)
    page.click("button")
    if garmin.account.mfa_code:
        page.fill("input[name=mfa-code]", garmin.account.mfa_code)
        page.click("button")
    page.wait_for_url("**/app/**")


def sign_in_by_hand(profile: Path, garmin: GarminStandIn) -> None:
    from playwright.sync_api import sync_playwright

    profile.mkdir(mode=0o700, parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(profile / "profile"),
            executable_path=CHROMIUM,
            args=["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else []), *arguments(garmin)],
        )
        page = context.pages[0]
        page.goto(f"https://connect.{garmin.domain}/app")
        type_in(page, garmin)
        context.close()


@pytest.fixture
def profile(garmin: GarminStandIn, tmp_path: Path) -> Path:
    sign_in_by_hand(tmp_path / "browser", garmin)
    garmin.requests.clear()
    return tmp_path / "browser"


Open = Callable[..., BrowserSession]


@pytest.fixture
def open_session(garmin: GarminStandIn, profile: Path) -> Iterator[Open]:
    opened: list[BrowserSession] = []

    def open_(*, domain: str = "", timeout_s: float = 15.0, page_s: float = 3.0) -> BrowserSession:
        session = BrowserSession(
            profile,
            domain=domain or garmin.domain,
            executable=CHROMIUM,
            arguments=arguments(garmin),
            timeout_s=timeout_s,
            page_s=page_s,
        )
        opened.append(session)
        return session

    yield open_
    for session in opened:
        session.close()


def deliver(session: BrowserSession, *readings: Reading, confirm_s: float = 5.0) -> list[Any]:
    garmin = GarminConnect(session, name="browser", confirm_s=confirm_s)
    return list(garmin.deliver(readings, proven, replace=False).values())


def routes(garmin: GarminStandIn) -> list[str | None]:
    return [logged.route for logged in garmin.requests]


def files_received(garmin: GarminStandIn) -> list[bytes]:
    """The content of each file that is uploaded from now on, in either way."""
    files: list[bytes] = []
    answer = garmin.answer

    def record(request: Request) -> object:
        if "/upload-service/" in request.path:
            files.append(file_part(request.headers["content-type"], request.body)[1])
        return answer(request)

    garmin.answer = record  # type: ignore[method-assign, assignment]
    return files


# -- the two ways ----------------------------------------------------------------------------------------


def test_inside_the_page(garmin: GarminStandIn, open_session: Open) -> None:
    """Inside the page a reading is sent, read back, listed and deleted."""
    session = open_session()
    files = files_received(garmin)
    (outcome,) = deliver(session, reading())
    assert isinstance(outcome, Delivered)
    assert outcome.status == "confirmed"
    assert files == [outcome.fit.content]
    assert deliver(session, reading())[0].status == "present"
    connect = GarminConnect(session, name="browser", confirm_s=1)
    (entry,) = connect.list_weigh_ins(date(2026, 11, 19), date(2026, 11, 21))
    connect.delete_weigh_in(entry.id)
    assert garmin.weigh_ins() == []
    assert not [route for route in routes(garmin) if route in ("upload", "weight/range")], "no token was used"
    assert routes(garmin).count("web/app") == 1


def test_import_page(garmin: GarminStandIn, open_session: Open) -> None:
    """If the page's own request is refused, the file is sent through the import page."""
    garmin.faults.add("gc/upload", "403", times=2)  # at once, and with a fresh CSRF token
    files = files_received(garmin)
    (outcome,) = deliver(open_session(), reading())
    assert outcome.status == "confirmed"
    assert files[-1] == outcome.fit.content
    assert (garmin.web.consents, len(garmin.weigh_ins())) == (1, 1)
    assert "web/import" in routes(garmin)


def test_consent_given_before(garmin: GarminStandIn, open_session: Open) -> None:
    """Consent that was given before is not given again."""
    garmin.web.consent_given = True
    garmin.faults.add("gc/upload", "403", times=2)
    assert deliver(open_session(), reading())[0].status == "confirmed"
    assert garmin.web.consents == 0


# -- sessions and tokens of the page ---------------------------------------------------------------------


def test_session_ended(garmin: GarminStandIn, open_session: Open) -> None:
    """An ended session is renewed by itself while the sign-in lasts."""
    session = open_session()
    assert session.request("GET", RANGE).status == 200
    garmin.web.end_sessions()
    assert session.request("GET", RANGE).status == 200
    assert "sso/web-page" in routes(garmin)


def test_csrf_token_changed(garmin: GarminStandIn, open_session: Open) -> None:
    """A CSRF token that is no longer valid is fetched again."""
    session = open_session()
    session.request("GET", RANGE)
    garmin.web.change_csrf()
    assert session.request("GET", RANGE).status == 200


def test_csrf_token_in_requests(garmin: GarminStandIn, open_session: Open) -> None:
    """The CSRF token may be in the page's own requests only."""
    garmin.web.csrf_in_meta = False
    assert open_session().request("GET", RANGE).status == 200


def test_any_other_status(garmin: GarminStandIn, open_session: Open) -> None:
    """Any other status is an answer."""
    session = open_session()
    for fault in ("500", "412"):
        garmin.faults.add("gc/weight/range", fault)
        answer = session.request("GET", RANGE, params={"includeAll": "true"})
        assert answer.status == int(fault)
    assert session.request("GET", RANGE).headers["content-type"].startswith("application/json")
    garmin.faults.add("gc/weight/range", "429-retry-after")
    assert session.request("GET", RANGE).status == 429
    # Garmin is not asked again before the time that it named.
    with pytest.raises(RateLimited):
        session.request("GET", RANGE)


# -- troubles --------------------------------------------------------------------------------------------


def sign_out(garmin: GarminStandIn) -> None:
    garmin.web.end_sessions()
    garmin.sign_in.sign_out_browsers()


def fault(route: str, name: str) -> Callable[[GarminStandIn], None]:
    return lambda garmin: garmin.faults.add(route, name, times=None)


@pytest.mark.parametrize(
    ("trouble", "kind", "words"),
    [
        (sign_out, SignInNeeded, "no longer signed in to Garmin Connect"),
        (fault("web/app", "consent-html"), SignInNeeded, "asks for consent"),
        (fault("web/app", "403-cloudflare"), GarminRefused, "Cloudflare"),
        (fault("web/app", "firewall-html"), GarminRefused, "Cloudflare"),
        (fault("web/app", "200-empty"), GarminRefused, "not as expected"),
        (fault("web/app", "503"), GarminUnreachable, "could not open"),
    ],
    ids=["signed out", "consent", "cloudflare", "firewall", "changed", "503"],
)
def test_troubles(
    garmin: GarminStandIn,
    open_session: Open,
    profile: Path,
    trouble: Callable[[GarminStandIn], None],
    kind: type[WeighbridgeError],
    words: str,
) -> None:
    """Each trouble has its own sentence, and a picture that only its owner can read."""
    trouble(garmin)
    with pytest.raises(kind, match=words) as caught:
        deliver(open_session(), reading())
    assert type(caught.value) is kind
    assert caught.value.nothing_sent
    assert garmin.uploads_received == 0
    (picture,) = (profile / "pictures").iterdir()
    assert str(picture) in str(caught.value)
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert (picture.stat().st_mode & 0o077, picture.parent.stat().st_mode & 0o077) == (0, 0)


def test_import_page_changed(garmin: GarminStandIn, open_session: Open, profile: Path) -> None:
    """If the import page has changed, nothing is sent and the message says so."""
    garmin.web.import_input = "<p>Choose a file in our app.</p>"
    garmin.faults.add("gc/upload", "403", times=2)
    with pytest.raises(GarminRefused, match="may have changed"):
        deliver(open_session(), reading())
    assert garmin.weigh_ins() == []
    assert len(list((profile / "pictures").iterdir())) == 1


def test_unreachable(open_session: Open) -> None:
    """If Garmin cannot be reached, nothing is sent."""
    with pytest.raises(GarminUnreachable, match="nothing was sent"):
        deliver(open_session(domain="localhost:9"), reading())


@pytest.mark.parametrize("route", ["gc/upload", "gc/weight/range"])
def test_lost_answer(garmin: GarminStandIn, open_session: Open, route: str) -> None:
    """A lost answer is a dropped connection."""
    session = open_session()
    session.request("GET", RANGE)
    garmin.faults.add(route, "drop-within", times=None)
    content = proven([reading()]).content
    asked = ("POST", "/upload-service/upload") if route == "gc/upload" else ("GET", RANGE)
    with pytest.raises(ConnectionDropped):
        session.request(*asked, file=("a.fit", content) if route == "gc/upload" else None)


def test_lost_upload_answer(garmin: GarminStandIn, open_session: Open) -> None:
    """After an upload without an answer, a look finds the reading."""
    garmin.faults.add("gc/upload", "drop-within")
    (outcome,) = deliver(open_session(), reading())
    assert outcome.status == "confirmed"
    assert len(garmin.weigh_ins()) == 1


def test_killed_browser(garmin: GarminStandIn, open_session: Open) -> None:
    """A browser that is killed during a request is started again."""
    session = open_session()
    session.request("GET", RANGE)
    garmin.faults.add("gc/weight/range", "slow", delay_s=10)
    child = session._child
    assert child is not None
    killer = threading.Timer(1.0, os.killpg, (child.pid, signal.SIGKILL))
    killer.start()
    with pytest.raises(ConnectionDropped):
        session.request("GET", RANGE)
    assert session.request("GET", RANGE).status == 200


def test_no_profile_or_browser(garmin: GarminStandIn, tmp_path: Path, profile: Path) -> None:
    """Without a profile or a browser the message names the fix."""
    with pytest.raises(SignInNeeded, match="weighbridge login --way window"):
        BrowserSession(tmp_path / "none", domain=garmin.domain, executable=CHROMIUM).request("GET", RANGE)
    session = BrowserSession(profile, domain=garmin.domain, executable="/nowhere/chromium")
    with pytest.raises(SettingsInvalid, match="WEIGHBRIDGE_BROWSER"):
        session.request("GET", RANGE)
    session.close()


# -- secrets ---------------------------------------------------------------------------------------------


def descendants(pid: int) -> list[int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found


def test_no_secrets_in_processes(garmin: GarminStandIn, open_session: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser's processes hold none of the function's secrets."""
    for name in ("WEIGHBRIDGE_API_KEYS", "GARMIN_PERSONAL_API_KEY", "GARTH_TOKEN", "POSTGRES_PASSWORD"):
        monkeypatch.setenv(name, f"planted-{name}")
    session = open_session()
    session.request("GET", RANGE)
    assert session._child is not None
    pids = descendants(session._child.pid)
    assert len(pids) > 3, "a driver and a browser"
    for pid in pids:
        for what in ("environ", "cmdline"):
            try:
                found = Path(f"/proc/{pid}/{what}").read_bytes()
            except OSError:
                continue  # it has just ended
            assert b"planted-" not in found
            assert garmin.account.password.encode() not in found


def test_idle_browser(garmin: GarminStandIn, open_session: Open) -> None:
    """A closed browser leaves no process."""
    session = open_session()
    session.request("GET", RANGE)
    assert session._child is not None
    pids = descendants(session._child.pid)
    session.close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(Path(f"/proc/{pid}").exists() for pid in pids):
        time.sleep(0.05)
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


AS_NOBODY = """
import os, sys
from pathlib import Path
os.setgid(65534); os.setuid(65534)
os.environ["HOME"] = sys.argv[1]
from weighbridge.garmin.sessions.browser import BrowserSession
session = BrowserSession(Path(sys.argv[1]), domain=sys.argv[2], executable=sys.argv[3], arguments=tuple(sys.argv[4:]))
print(session.request("GET", "/weight-service/weight/range/2026-11-01/2026-11-02").status, os.getuid())
session.close()
"""


def python_for_everybody(folder: Path) -> Path:
    """This Python and its packages, or the system's of this version where others may not enter this one's home."""
    system = Path("/usr/bin/python3")
    if all(parent.stat().st_mode & 0o001 for parent in Path(sys.executable).resolve().parents):
        return Path(sys.executable)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if not system.resolve().name.endswith(version):
        pytest.skip(f"{NOT_HERE}it needs a Python {version} that every user can run")
    subprocess.run([system, "-m", "venv", "--without-pip", folder], check=True)
    packages = Path(pydantic.__file__).parent.parent
    (folder / f"lib/python{version}/site-packages/these.pth").write_text(str(packages))
    return folder / "bin" / "python"


@pytest.mark.skipif(os.geteuid() != 0, reason=f"{NOT_HERE}the other tests run as an ordinary user already")
def test_ordinary_user(garmin: GarminStandIn, profile: Path) -> None:
    """The browser also runs as an ordinary user."""
    python = python_for_everybody(profile.parent / "venv")
    for path in (profile, *profile.rglob("*")):
        os.chown(path, 65534, 65534, follow_symlinks=False)
    for parent in profile.parents:
        if parent.owner() == "root" and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    done = subprocess.run(
        # A container or a machine without user namespaces has no sandbox for an ordinary user.
        [python, "-c", AS_NOBODY, profile, garmin.domain, CHROMIUM, *arguments(garmin), "--no-sandbox"],
        env=with_sources(os.environ),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("200 65534\n", 0), done.stderr


# -- the function and its chain --------------------------------------------------------------------------


@pytest.fixture
def environment(garmin: GarminStandIn, profile: Path, tmp_path: Path) -> dict[str, object]:
    garmin.write_token(tmp_path / "tokens")
    return {
        "WEIGHBRIDGE_DELIVERY": "garth,browser,folder",
        "WEIGHBRIDGE_TOKENS": tmp_path / "tokens",
        "WEIGHBRIDGE_FOLDER": tmp_path / "weigh-ins",
        "WEIGHBRIDGE_BROWSER": CHROMIUM,
        "WEIGHBRIDGE_BROWSER_PROFILE": profile,
        "WEIGHBRIDGE_BROWSER_ARGS": " ".join(arguments(garmin)),
        "GARMIN_DOMAIN": garmin.domain,
        "GARMIN_CA_BUNDLE": garmin.ca_bundle,
    }


def post(address: str, weight_kg: float, at: str) -> tuple[int, Any]:
    body = json.dumps({"weight_kg": weight_kg, "measured_at": at}).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(address, body, local_headers()), timeout=120) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as e:
        with e:
            return e.code, json.load(e)


def test_chain(garmin: GarminStandIn, environment: dict[str, object]) -> None:
    """Each delivery takes over only when the one before definitely did not deliver."""
    with process(environment) as (address, running):
        assert post(address, 81.0, "2026-11-20T06:00:00Z")[1]["warnings"] == []
        garmin.expire_access_tokens()
        garmin.revoke()
        status, receipt = post(address, 81.1, "2026-11-20T07:00:00Z")
        assert (status, receipt["status"]) == (201, "confirmed")
        assert receipt["warnings"][0]["text"].startswith("garth did not deliver")
        sign_out(garmin)
        status, receipt = post(address, 81.2, "2026-11-20T08:00:00Z")
        assert (status, receipt["status"]) == (202, "kept")
        assert [warning["code"] for warning in receipt["warnings"]] == ["fell-back", "fell-back"]
        assert [warning["text"].split(" did not")[0] for warning in receipt["warnings"]] == ["garth", "browser"]
        log = running.log()
    assert [entry["weight"] for entry in garmin.weigh_ins()] == [81100.0, 81000.0]
    assert garmin.account.password not in log
    assert "81.2" not in log


def test_unknown_outcome_in_a_chain(garmin: GarminStandIn, environment: dict[str, object]) -> None:
    """After an unknown outcome of a token delivery, the browser does not send again."""
    garmin.faults.add("upload", "504")
    with process(environment | {"WEIGHBRIDGE_CONFIRM_SECONDS": 0.2}) as (address, _):
        assert post(address, 81.0, "2026-11-20T06:00:00Z")[0] == 504
    assert (garmin.uploads_received, "gc/upload" in routes(garmin)) == (1, False)


# -- signing in ------------------------------------------------------------------------------------------


def test_sign_in_window(garmin: GarminStandIn, tmp_path: Path) -> None:
    """The window waits for a person who signs in with a code. Here the person comes over the DevTools protocol, because
    there is no screen."""
    from playwright.sync_api import sync_playwright

    garmin.account.mfa_code = "734512"
    profile = tmp_path / "new"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("WEIGHBRIDGE_", "GARMIN_"))},
        "WEIGHBRIDGE_BROWSER": CHROMIUM,
        "WEIGHBRIDGE_BROWSER_PROFILE": str(profile),
        "WEIGHBRIDGE_BROWSER_ARGS": " ".join([*arguments(garmin), "--headless=new", "--remote-debugging-port=0"]),
        "GARMIN_DOMAIN": garmin.domain,
    }
    log = tmp_path / "log"
    with log.open("wb") as file:
        login = subprocess.Popen(
            [*WEIGHBRIDGE, "login", "--way", "window", "--wait-s", "60"],
            cwd=tmp_path,
            env=with_sources(environment),
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        port_file = profile / "profile" / "DevToolsActivePort"
        deadline = time.monotonic() + 30
        while not port_file.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        with sync_playwright() as playwright:
            browser = playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port_file.read_text().split()[0]}")
            page = browser.contexts[0].pages[0]
            page.wait_for_selector("input[name=username]")
            page.fill("input[name=username]", garmin.account.email)
            page.fill("input[name=password]", garmin.account.password)
            page.click("button")
            page.fill("input[name=mfa-code]", "734512")
            page.click("button")
            assert login.wait(timeout=60) == 0
    finally:
        login.kill()
        login.wait()
    said = log.read_text()
    assert "Signed in" in said
    for secret in (garmin.account.password, "734512", "ST-"):
        assert secret not in said
    assert (profile.stat().st_mode & 0o077) == 0
    session = BrowserSession(profile, domain=garmin.domain, executable=CHROMIUM, arguments=arguments(garmin))
    try:
        assert session.request("GET", RANGE).status == 200
    finally:
        session.close()


# -- the same readings by every delivery -----------------------------------------------------------------


def test_same_weigh_ins(garmin: GarminStandIn, open_session: Open, tmp_path: Path) -> None:
    """60 readings make the same weigh-ins by every delivery, even with a switch in the middle."""
    from weighbridge.garmin.sessions.garth import GarthSession
    from weighbridge.garmin.tokens import TokenStore

    garmin.write_token(tmp_path / "tokens")
    garth = GarthSession(TokenStore(tmp_path / "tokens"), domain=garmin.domain, ca_bundle=garmin.ca_bundle)
    readings = [reading(number) for number in range(60)]
    files = files_received(garmin)

    def send(ways: list[Any]) -> tuple[list[bytes], list[Any]]:
        files.clear()
        with garmin._lock:
            garmin.weights.entries.clear()
        for number, each in enumerate(readings):
            connect = GarminConnect(ways[number * len(ways) // 60], name="x", confirm_s=5)
            outcome = connect.deliver([each], proven, replace=False)[each]
            assert isinstance(outcome, Delivered)
            assert outcome.status == "confirmed"
        shown = [{k: v for k, v in entry.items() if k != "samplePk"} for entry in garmin.weigh_ins()]
        return list(files), shown

    browser = open_session()
    by_garth = send([garth])
    assert len(by_garth[1]) == 60
    assert send([browser]) == by_garth
    assert send([garth, browser, garth]) == by_garth
    # Sent once more by the other delivery, everything is present.
    again = GarminConnect(browser, name="x", confirm_s=5).deliver(readings, proven, replace=False)
    assert {outcome.status for outcome in again.values() if isinstance(outcome, Delivered)} == {"present"}
    assert len(garmin.weigh_ins()) == 60
