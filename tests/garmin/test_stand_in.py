"""The stand-in is at least as strict as Garmin Connect, fails on request, and garth's own code works with it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from curl_cffi import CurlMime, CurlOpt
from curl_cffi.requests import Session
from curl_cffi.requests.exceptions import RequestException, Timeout
from garmin_fit_sdk import CrcCalculator, Encoder, Profile

from .account import CLIENT_IDS, GRANT_REFRESH, GRANT_SERVICE_TICKET
from .faults import FAULTS
from .server import GarminStandIn
from .uploads import Refused, weigh_ins

MORNING = datetime(2026, 3, 1, 6, 30, tzinfo=UTC)
DAYVIEW = "/weight-service/weight/dayview/2026-03-01?includeAll=true"
NOW_S = datetime(2026, 11, 1, tzinfo=UTC).timestamp()


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s


def https(ca_bundle: object, **options: Any) -> Any:
    return Session(verify=cast(Any, str(ca_bundle)), **options)


class Browser:
    """Plain HTTPS against the stand-in, signed in, every request on a connection of its own."""

    def __init__(self, garmin: GarminStandIn) -> None:
        self.garmin = garmin
        self.session = https(garmin.ca_bundle, curl_options={CurlOpt.FRESH_CONNECT: 1}, timeout=10)
        self.token = garmin.issue_token()

    def api(self, method: Any, path: str, host: str = "connectapi", **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token['access_token']}"}
        return self.session.request(method, f"https://{host}.{self.garmin.domain}{path}", headers=headers, **options)

    def upload(self, content: bytes, name: str = "a.fit", path: str = "", **options: Any) -> Any:
        parts = CurlMime()
        parts.addpart(name="file", filename=name, data=content, content_type="application/octet-stream")
        try:
            return self.api("POST", path or "/upload-service/upload", multipart=parts, **options)
        finally:
            parts.close()

    def ask_for_token(self, grant_type: str, client_id: str = CLIENT_IDS[0], **form: str) -> Any:
        data = {"grant_type": grant_type, "client_id": client_id, **form}
        return self.session.post(self.garmin.token_url, data=data, auth=(client_id, ""))

    def refresh(self, token: dict[str, object]) -> Any:
        return self.ask_for_token(GRANT_REFRESH, refresh_token=str(token["refresh_token"]))

    def sign_in(self, password: str) -> Any:
        sso = f"https://sso.{self.garmin.domain}/sso"
        query = {"service": f"{sso}/embed"}
        shown = self.session.get(f"{sso}/signin", params=query).text
        csrf = shown.partition('name="_csrf" value="')[2].partition('"')[0]
        form = {
            "username": self.garmin.account.email,
            "password": password,
            "_csrf": csrf,
            "embed": "true",
        }
        return self.session.post(f"{sso}/signin", params=query, data=form)


@pytest.fixture
def browser(garmin: GarminStandIn) -> Iterator[Browser]:
    browser = Browser(garmin)
    yield browser
    browser.session.close()


@pytest.fixture
def garth_client(garmin: GarminStandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """garth-ng's own client, as a user has it, with only the address changed."""
    for name in ("GARTH_HOME", "GARTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    import garth  # imported here: it takes half a second

    monkeypatch.setattr(garth.oauth, "DI_TOKEN_URL", garmin.token_url)
    session = https(garmin.ca_bundle, impersonate="chrome120")
    client = garth.Client(session=session, domain=garmin.domain)
    client.configure(retries=0)
    yield client
    session.close()


def holding_a_token(client: Any, garmin: GarminStandIn) -> Any:
    from garth.auth_tokens import OAuth2Token

    client.configure(oauth2_token=OAuth2Token(**garmin.issue_token()))
    return client


def fit_file(*weights_kg: float, at: datetime = MORNING, kind: object = "weight", **values: Any) -> bytes:
    """A weight file by Garmin's own encoder."""
    encoder = Encoder()
    encoder.write_mesg({"mesg_num": Profile["mesg_num"]["FILE_ID"], "type": kind, "time_created": at})
    for weight_kg in weights_kg:
        scale = {"mesg_num": Profile["mesg_num"]["WEIGHT_SCALE"], "timestamp": at, "weight": weight_kg}
        encoder.write_mesg({name: value for name, value in {**scale, **values}.items() if value is not None})
    return bytes(encoder.close())


def rebuilt(records: bytes) -> bytes:
    """A file of these records, with the length and the CRCs right."""
    header = fit_file()[:4] + len(records).to_bytes(4, "little") + b".FIT"
    header += CrcCalculator.calculate_crc(header, 0, 12).to_bytes(2, "little")
    content = header + records
    return content + CrcCalculator.calculate_crc(content, 0, len(content)).to_bytes(2, "little")


RECORDS = fit_file(75.8)[14:-2]
FILE_ID_RECORDS = fit_file()[14:-2]


# -- garth's own code --------------------------------------------------------------------------------------


def test_garth_sign_in(garmin: GarminStandIn, garth_client: Any) -> None:
    """garth signs in with a password only."""
    garth_client.login(garmin.account.email, garmin.account.password)
    assert garth_client.username == garmin.account.email
    assert (garmin.sign_in.sign_ins, garmin.sign_in.exchanges) == (1, 1)


def test_garth_sign_in_with_a_code(garmin: GarminStandIn, garth_client: Any) -> None:
    """garth signs in with a second factor."""
    garmin.account.mfa_code = "123456"
    state = garth_client.login(garmin.account.email, garmin.account.password, return_on_mfa=True)
    assert garmin.sign_in.sign_ins == 0
    garth_client.resume_login(state, "123456")
    assert garth_client.connectapi(DAYVIEW)["dateWeightList"] == []


@pytest.mark.parametrize(
    ("fault", "says"),
    [("429-html", "No CSRF token found"), ("403-cloudflare", "All login strategies exhausted")],
)
def test_garth_blocked_sign_in(garmin: GarminStandIn, garth_client: Any, fault: str, says: str) -> None:
    """A blocked sign-in gives the exceptions of garth that users report."""
    garmin.faults.add("sso/signin-page", fault)
    with pytest.raises(Exception, match=says):
        garth_client.login(garmin.account.email, garmin.account.password)


def test_garth_upload_refresh_delete(garmin: GarminStandIn, garth_client: Any) -> None:
    """garth uploads, refreshes, reads back and deletes."""
    client = holding_a_token(garth_client, garmin)
    file = io.BytesIO(fit_file(75.8, percent_fat=19.3, bmi=22.8))
    file.name = "weight.fit"
    assert client.upload(file)["detailedImportResult"]["failures"] == []

    before = client.oauth2_token.refresh_token
    client.refresh_token()
    assert client.oauth2_token.refresh_token != before

    import garth

    (entry,) = garth.WeightData.list("2026-03-01", client=client)
    assert (entry.weight, entry.body_fat, entry.datetime_utc) == (75_800, 19.3, MORNING)
    garth.WeightData.delete(entry.sample_pk, "2026-03-01", client=client)
    assert garmin.weigh_ins() == []


# -- signing in and tokens ---------------------------------------------------------------------------------


def test_password(browser: Browser) -> None:
    """The right password gets a ticket, and a wrong one does not."""
    assert "ticket=ST-" in browser.sign_in("correct horse").text
    assert "ticket" not in browser.sign_in("wrong").text


def test_lock(browser: Browser) -> None:
    """After five wrong passwords the account is locked, even for the right one."""
    for _ in range(5):
        browser.sign_in("wrong")
    assert "locked" in browser.sign_in("correct horse").text
    assert browser.garmin.sign_in.sign_ins == 0


def test_csrf(garmin: GarminStandIn, browser: Browser) -> None:
    """A form cannot be sent from another browser."""
    sso = f"https://sso.{garmin.domain}/sso"
    shown = browser.session.get(f"{sso}/signin", params={"service": f"{sso}/embed"}).text
    csrf = shown.partition('name="_csrf" value="')[2].partition('"')[0]
    browser.session.cookies.clear()
    form = {"username": garmin.account.email, "password": garmin.account.password, "_csrf": csrf, "embed": "true"}
    assert browser.session.post(f"{sso}/signin", data=form).status_code == 403


def test_ticket() -> None:
    """A ticket gives one token, within seconds, and only for its service."""
    clock, service = Clock(), "https://mobile.integration.garmin.com/gcm/android"
    with GarminStandIn(clock=clock) as garmin:
        browser = Browser(garmin)

        def exchange(ticket: str, service_url: str = service, client_id: str = CLIENT_IDS[0]) -> Any:
            form = {"service_ticket": ticket, "service_url": service_url}
            return browser.ask_for_token(GRANT_SERVICE_TICKET, client_id, **form).status_code

        ticket = garmin.sign_in.issue_ticket(service)
        assert exchange(ticket, client_id="UNKNOWN") == 401
        assert exchange(ticket) == 200
        assert exchange(ticket) == 400
        assert exchange(garmin.sign_in.issue_ticket(service), service_url="https://example.com") == 400
        late = garmin.sign_in.issue_ticket(service)
        clock.now_s += 11
        assert exchange(late) == 400
        browser.session.close()


def test_refresh_token_rotates(browser: Browser) -> None:
    """A refresh token is invalid as soon as there is a new one."""
    second = browser.refresh(browser.token).json()
    assert browser.refresh(browser.token).json()["error"] == "invalid_grant"
    assert browser.refresh(second).status_code == 200
    assert (browser.garmin.sign_in.refreshes, browser.garmin.sign_in.refused_refreshes) == (2, 1)


def test_refresh_token_of_a_client(browser: Browser) -> None:
    """A refresh token works only for its own client."""
    form = {"refresh_token": str(browser.token["refresh_token"])}
    assert browser.ask_for_token(GRANT_REFRESH, CLIENT_IDS[1], **form).json()["error"] == "invalid_grant"
    as_another = {"grant_type": GRANT_REFRESH, "client_id": CLIENT_IDS[0], **form}
    answer = browser.session.post(browser.garmin.token_url, data=as_another, auth=(CLIENT_IDS[1], ""))
    assert answer.json()["error"] == "invalid_client"
    assert browser.refresh(browser.token).status_code == 200


def test_refresh_answer_lost(browser: Browser) -> None:
    """A refresh whose answer is lost has still replaced the token."""
    browser.garmin.faults.add("diauth", "drop-before")
    with pytest.raises(RequestException):
        browser.refresh(browser.token)
    browser.garmin.faults.add("diauth", "drop-after")
    with pytest.raises(RequestException):
        browser.refresh(browser.token)
    assert browser.refresh(browser.token).status_code == 400


def test_revoked_and_expired(browser: Browser) -> None:
    """Revoked refresh tokens and expired access tokens are refused."""
    browser.garmin.revoke()
    assert browser.refresh(browser.token).status_code == 400
    assert browser.api("GET", DAYVIEW).status_code == 200
    browser.garmin.expire_access_tokens()
    assert browser.api("GET", DAYVIEW).status_code == 401


def test_access_token_lifetime() -> None:
    """An access token ends with its lifetime."""
    clock = Clock()
    with GarminStandIn(clock=clock) as garmin:
        browser = Browser(garmin)
        assert browser.api("GET", DAYVIEW).status_code == 200
        clock.now_s += 86_401
        assert browser.api("GET", DAYVIEW).status_code == 401
        browser.session.close()


# -- what the upload-service takes -------------------------------------------------------------------------


def refused(content: bytes) -> bool:
    try:
        weigh_ins(content, NOW_S)
    except Refused:
        return True
    return False


def test_one_damaged_byte() -> None:
    """A file with any one damaged byte is refused."""
    good = fit_file(75.8, bmi=22.8)
    assert not refused(good)
    for position in range(len(good)):
        damaged = bytearray(good)
        damaged[position] ^= 0x10
        assert refused(bytes(damaged)), f"byte {position}"


@pytest.mark.parametrize(
    ("claim", "content"),
    [
        ("an empty file", b""),
        ("trailing junk", fit_file(75.8) + b"\0"),
        ("two files in one", fit_file(75.8) + fit_file(75.8)),
        ("a cut file", fit_file(75.8)[:-3]),
        ("an activity", fit_file(75.8, kind="activity")),
        ("no weigh-in", fit_file()),
        ("no timestamp", fit_file(75.8, timestamp=None)),
        ("a timestamp from power-up", fit_file(75.8, timestamp=1000)),
        ("a timestamp two days ahead", fit_file(75.8, at=datetime(2026, 11, 3, tzinfo=UTC))),
        ("no weight", fit_file(75.8, weight=None, bmi=22.8)),
        ("no mass at all", fit_file(0.0)),
        ("a weight still being calculated", fit_file(655.34)),
        ("one good weigh-in and one not", fit_file(75.8, 0.0)),
        ("two file_ids", rebuilt(FILE_ID_RECORDS + RECORDS)),
        ("a chained file, even without a file_id", fit_file(75.8) + rebuilt(RECORDS[len(FILE_ID_RECORDS):])),
        ("a message that was never defined, after a good one", rebuilt(RECORDS + b"\x05")),
    ],
)  # fmt: skip
def test_refused_files(claim: str, content: bytes) -> None:
    """Each of these files is refused."""
    assert refused(content)


def test_header_crc() -> None:
    """Only the short header may lack a valid CRC."""
    good = fit_file(75.8)

    def with_header(header: bytes) -> bytes:
        content = header + good[14:-2]
        return content + CrcCalculator.calculate_crc(content, 0, len(content)).to_bytes(2, "little")

    assert not refused(with_header(good[:14]))
    assert not refused(with_header(b"\x0c" + good[1:12]))
    assert refused(with_header(good[:12] + b"\0\0"))
    assert refused(with_header(good[:12] + b"\x12\x34"))


def test_refusal(browser: Browser) -> None:
    """A refusal has Garmin's shape, and nothing is stored."""
    answer = browser.upload(fit_file(75.8) + b"\0")
    result = answer.json()["detailedImportResult"]
    assert (answer.status_code, result["uploadId"], result["successes"]) == (400, "", [])
    assert result["failures"][0]["internalId"] is None
    assert set(result["failures"][0]["messages"][0]) == {"code", "content"}
    assert (browser.garmin.uploads_received, browser.garmin.uploads_stored) == (1, 0)


def test_name_without_an_ending(browser: Browser) -> None:
    """A file name without an ending is accepted only if the path says fit."""
    good = fit_file(75.8)
    assert browser.upload(good, name="weight").status_code == 406
    for path in ("/upload-service/upload/.fit", "/upload-service/upload/fit"):
        assert browser.upload(good, name="weight", path=path).status_code in (200, 202)


def test_answers_to_a_stored_upload(browser: Browser) -> None:
    """A stored upload is answered in both of Garmin's shapes."""
    first, second = browser.upload(fit_file(75.8)), browser.upload(fit_file(75.9))
    empty, processed = (answer.json()["detailedImportResult"]["successes"] for answer in (first, second))
    assert (first.status_code, empty) == (202, [])
    assert (second.status_code, processed[0]["messages"][0]["content"]) == (200, "File processed.")
    assert processed[0]["internalId"] is None
    assert "/activity-service/activity/status/" in str(first.headers["location"])
    assert first.headers["location-in-milliseconds"] == "1000"


@pytest.mark.parametrize("too_large", ["weigh-ins", "bytes"])
def test_too_large(browser: Browser, too_large: str) -> None:
    """A file that is too large gets a 504, and nothing is stored."""
    if too_large == "bytes":
        browser.garmin.largest_upload_bytes = 50
    count = 201 if too_large == "weigh-ins" else 1
    content = fit_file(*(60 + n / 100 for n in range(count)))
    assert browser.upload(content).status_code == 504
    assert browser.garmin.weights.entries == []


def test_200_weigh_ins(browser: Browser) -> None:
    """200 weigh-ins in one file are all stored."""
    assert browser.upload(fit_file(*(60 + n / 100 for n in range(200)))).status_code == 202
    assert len(browser.garmin.weigh_ins()) == 200


# -- what the weight-service shows -------------------------------------------------------------------------


def test_units(browser: Browser) -> None:
    """A weigh-in is shown in Garmin's units."""
    values: dict[str, Any] = {"percent_fat": 19.3, "percent_hydration": 58.9, "bone_mass": 3.54, "muscle_mass": 26.98}
    values |= {"bmi": 22.8, "physique_rating": 5, "visceral_fat_rating": 7, "metabolic_age": 33, "basal_met": 1700}
    browser.upload(fit_file(75.8, **values))
    answer = browser.api("GET", DAYVIEW).json()
    assert set(answer) == {"startDate", "endDate", "dateWeightList", "totalAverage"}
    (entry,) = answer["dateWeightList"]
    assert abs(entry.pop("samplePk") / 1000 - browser.garmin.clock()) < 60
    assert entry == {
        "date": 1_772_350_200_000,  # 07:30 in Berlin, written as if it were UTC
        "timestampGMT": 1_772_346_600_000,
        "calendarDate": "2026-03-01",
        "weight": 75_800.0,
        "bmi": 22.799999237060547,
        "bodyFat": 19.3,
        "bodyWater": 58.9,
        "boneMass": 3540,
        "muscleMass": 26_980,
        "physiqueRating": 5.0,
        "visceralFat": 7.0,
        "metabolicAge": 33 * 31_556_926_000,
        "sourceType": "INDEX_SCALE",
        "weightDelta": None,
    }


def test_day_of_the_account(browser: Browser) -> None:
    """The day is that of the account's time zone."""
    browser.upload(fit_file(75.8, at=datetime(2026, 2, 28, 23, 30, tzinfo=UTC)))
    assert [entry["calendarDate"] for entry in browser.api("GET", DAYVIEW).json()["dateWeightList"]] == ["2026-03-01"]
    browser.garmin.weights.time_zone = "America/New_York"
    assert browser.api("GET", DAYVIEW).json()["dateWeightList"] == []


def test_same_and_corrected(browser: Browser) -> None:
    """The same measurement is stored once, and a correction is a second entry."""
    for weight_kg in (75.8, 75.8, 75.8, 74.8):
        assert browser.upload(fit_file(weight_kg)).status_code in (200, 202)
    assert sorted(entry["weight"] for entry in browser.garmin.weigh_ins()) == [74_800.0, 75_800.0]  # type: ignore[type-var]
    assert browser.garmin.uploads_stored == 4


def test_show_delay() -> None:
    """A weigh-in is shown only after the delay."""
    clock = Clock()
    with GarminStandIn(clock=clock, show_delay_s=5) as garmin:
        browser = Browser(garmin)
        browser.upload(fit_file(75.8))
        assert browser.api("GET", DAYVIEW).json()["dateWeightList"] == []
        clock.now_s += 5
        assert len(browser.api("GET", DAYVIEW).json()["dateWeightList"]) == 1
        browser.session.close()


def test_include_all(browser: Browser) -> None:
    """All weigh-ins of a day are shown only with includeAll."""
    for hour, weight_kg in ((6, 75.8), (20, 76.4)):
        browser.upload(fit_file(weight_kg, at=MORNING.replace(hour=hour)))
    browser.upload(fit_file(75.0, at=MORNING.replace(day=4)))
    path = "/weight-service/weight/range/2026-03-01/2026-03-03"
    (day,) = browser.api("GET", f"{path}?includeAll=true").json()["dailyWeightSummaries"]
    assert (day["summaryDate"], day["numOfWeightEntries"]) == ("2026-03-01", 2)
    assert [entry["weight"] for entry in day["allWeightMetrics"]] == [76_400.0, 75_800.0]
    assert [entry["weightDelta"] for entry in day["allWeightMetrics"]] == [600.0, None]
    assert browser.api("GET", path).json()["dailyWeightSummaries"][0]["allWeightMetrics"] == []
    (latest,) = browser.api("GET", DAYVIEW.partition("?")[0]).json()["dateWeightList"]
    assert latest["weight"] == 76_400.0


def test_delete(browser: Browser) -> None:
    """Only an existing weigh-in can be deleted."""
    browser.upload(fit_file(75.8))
    sample_pk = browser.garmin.weigh_ins()[0]["samplePk"]
    there = f"/weight-service/weight/2026-03-01/byversion/{sample_pk}"
    assert browser.api("DELETE", there.replace("03-01", "03-02")).status_code == 404
    assert browser.api("DELETE", there).status_code == 204
    assert browser.api("DELETE", there).status_code == 404


@pytest.mark.parametrize(
    ("host", "path"), [("connectapi", "/nothing"), ("connect", "/upload-service/upload"), ("sso", DAYVIEW)]
)
def test_not_found(browser: Browser, host: str, path: str) -> None:
    """An unknown path is a 404 in JSON."""
    answer = browser.api("GET", path, host=host)
    assert (answer.status_code, answer.json()["error"]) == (404, "NotFoundException")


# -- faults ------------------------------------------------------------------------------------------------

DROPPED = None
#: Name -> (the status that the client sees, whether the upload is stored, what the body holds)
FAULTS_AS_NAMED: dict[str, tuple[int | None, bool, bytes]] = {
    "200": (200, True, b"uploadId"),
    "201": (201, True, b"uploadId"),
    "202": (202, True, b"uploadId"),
    "204": (204, True, b""),
    "200-empty": (200, True, b""),
    "400-upload-id": (400, True, b'"uploadId": 2'),
    "200-duplicate": (200, False, b'"code": 202, "content": "Duplicate Activity."'),
    "400": (400, False, b'"uploadId": ""'),
    "400-captcha": (400, False, b"Recaptcha token"),
    "401": (401, False, b"message"),
    "403": (403, False, b"ForbiddenException"),
    "403-cloudflare": (403, False, b"Just a moment"),
    "409": (409, False, b"Duplicate"),
    "412": (412, False, b"consent"),
    "429": (429, False, b"message"),
    "429-retry-after": (429, False, b"message"),
    "429-html": (429, False, b"<html>"),
    "500": (500, False, b"message"),
    "502": (502, False, b"<html>"),
    "503": (503, False, b"<html>"),
    "504": (504, False, b"<html>"),
    "504-carried-out": (504, True, b"<html>"),
    "truncated-json": (200, True, b'{"detailedImportResult"'),
    "not-json": (200, False, b"\xff"),
    "firewall-html": (200, False, b"<html>"),
    "consent-html": (200, False, b"terms of use"),
    "drop-before": (DROPPED, False, b""),
    "drop-after": (DROPPED, True, b""),
    "drop-within": (DROPPED, True, b""),
    "slow": (202, True, b"uploadId"),
}


def test_every_fault_listed() -> None:
    """`FAULTS_AS_NAMED` names every fault."""
    assert list(FAULTS_AS_NAMED) == list(FAULTS)


@pytest.mark.parametrize("name", FAULTS_AS_NAMED)
def test_faults(browser: Browser, name: str) -> None:
    """Each fault behaves as its name says, once."""
    status, stored, text = FAULTS_AS_NAMED[name]
    browser.garmin.faults.add("upload", name, delay_s=0.01)
    content = fit_file(75.8)
    if status is DROPPED:
        with pytest.raises(RequestException):
            browser.upload(content)
    else:
        answer = browser.upload(content)
        assert (answer.status_code, text in answer.content) == (status, True)
        assert bool(answer.content) == bool(text)
    assert (len(browser.garmin.weigh_ins()), browser.garmin.uploads_received) == (int(stored), 1)
    logged = browser.garmin.requests[-1]
    assert (logged.fault, logged.status) == (name, status)
    assert browser.upload(content).status_code in (200, 202)


def test_slow(browser: Browser) -> None:
    """With `slow` a client can give up before an upload that is stored."""
    browser.garmin.faults.add("upload", "slow")
    with pytest.raises(Timeout):
        browser.upload(fit_file(75.8), timeout=0.2)
    deadline = time.monotonic() + 30
    while not browser.garmin.weigh_ins() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(browser.garmin.weigh_ins()) == 1


def test_retry_after(browser: Browser) -> None:
    """Retry-After has the configured value."""
    browser.garmin.faults.add("weight/dayview", "429", retry_after=7)
    browser.garmin.faults.add("weight", "429-retry-after")
    browser.garmin.faults.add("weight", "429")
    seen = [browser.api("GET", DAYVIEW).headers.get("retry-after") for _ in range(3)]
    assert seen == ["7", "14", None]


def test_faults_keep_the_checks(browser: Browser) -> None:
    """With a fault, an invalid token and a bad file are still refused."""
    browser.garmin.faults.add("upload", "201", times=None)
    assert browser.upload(b"not a FIT file").status_code == 400
    browser.garmin.expire_access_tokens()
    assert browser.upload(fit_file(75.8)).status_code == 401


def test_seed(garmin: GarminStandIn) -> None:
    """The same seed drops the same answers."""

    def drops() -> list[bool]:
        garmin.faults.clear()
        garmin.faults.add("upload", "drop-after", times=None, probability=1 / 3)
        return [garmin.faults.next_for("upload") is not None for _ in range(300)]

    first = drops()
    assert first == drops()
    assert 70 < sum(first) < 130


@pytest.mark.parametrize(("route", "name"), [("uploads", "500"), ("upload", "5OO")])
def test_misspelled_fault(garmin: GarminStandIn, route: str, name: str) -> None:
    """A misspelled fault or route is refused."""
    with pytest.raises(ValueError, match="Known: "):
        garmin.faults.add(route, name)


def test_libcurl_sends_again(garmin: GarminStandIn) -> None:
    """libcurl sends a POST again when a used connection is dropped: without FRESH_CONNECT one call can be two uploads
    (see `faults`)."""
    browser = Browser(garmin)
    browser.session.close()
    browser.session = https(garmin.ca_bundle)
    assert browser.api("GET", DAYVIEW).status_code == 200
    garmin.faults.add("upload", "drop-after")
    assert browser.upload(fit_file(75.8)).status_code == 200
    assert garmin.uploads_received == 2
    browser.session.close()


# -- the rest ----------------------------------------------------------------------------------------------


def test_request_log(browser: Browser) -> None:
    """The log of requests holds no ticket and no token."""
    browser.api("GET", f"{DAYVIEW}&ticket=ST-secret")
    browser.refresh(browser.token)
    log = repr(browser.garmin.requests)
    assert "dayview" in log
    for secret in ("ST-secret", str(browser.token["access_token"]), str(browser.token["refresh_token"])):
        assert secret not in log


def test_certificate(garmin: GarminStandIn) -> None:
    """A client that does not trust the certificate is not served."""
    with Session() as session, pytest.raises(RequestException, match="certificate"):
        session.get(f"https://sso.{garmin.domain}/sso/embed")
    assert garmin.requests == []


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.garmin", *arguments]
        process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_program(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    """The program prints everything that is needed to use it."""
    process = start("--port", "0", "--token-dir", str(tmp_path / "tokens"))
    assert process.stdout is not None
    printed: dict[str, str] = {}
    for line in process.stdout:
        if line.startswith("  export "):
            name, _, value = line.removeprefix("  export ").strip().partition("=")
            printed[name] = value
        if line.startswith("Faults"):
            break
    token_file = Path(printed["WEIGHBRIDGE_TOKENS"], "default.json")
    assert os.name != "posix" or token_file.stat().st_mode & 0o777 == 0o600
    token = json.loads(token_file.read_text())
    base = f"https://connectapi.{printed['GARMIN_DOMAIN']}"
    with https(printed["GARMIN_CA_BUNDLE"]) as session:
        switches = f"https://{printed['GARMIN_DOMAIN']}/stand-in"
        assert session.post(f"{switches}/faults", json={"route": "weight", "fault": "503"}).status_code == 204
        assert session.post(f"{switches}/faults", json={"route": "weight"}).status_code == 400
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        assert [session.get(base + DAYVIEW, headers=headers).status_code for _ in range(2)] == [503, 200]
        assert [request["status"] for request in session.get(f"{switches}/state").json()["requests"]] == [503, 200]
        assert session.post(f"{switches}/expire-access-tokens").status_code == 204
        assert session.get(base + DAYVIEW, headers=headers).status_code == 401
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_port_in_use(start: Callable[..., subprocess.Popen[str]], garmin: GarminStandIn) -> None:
    """A port in use is reported in one sentence."""
    process = start("--port", str(garmin.port))
    _, complaint = process.communicate(timeout=10)
    assert process.returncode == 1
    assert complaint.startswith(f"Port {garmin.port} cannot be used")
    assert len(complaint.splitlines()) == 1
