"""The stand-in is at least as strict as Garmin Connect, fails as told, and garth's own code can live with it."""

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
    """Time that passes when told to."""

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
    """garth-ng's own client, as a user has it: only told where Garmin is."""
    for name in ("GARTH_HOME", "GARTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    import garth  # half a second that the other tests need not wait for

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


def test_garth_signs_in_with_a_password_alone(garmin: GarminStandIn, garth_client: Any) -> None:
    garth_client.login(garmin.account.email, garmin.account.password)
    assert garth_client.username == garmin.account.email
    assert (garmin.sign_in.sign_ins, garmin.sign_in.exchanges) == (1, 1)


def test_garth_signs_in_with_a_second_factor(garmin: GarminStandIn, garth_client: Any) -> None:
    garmin.account.mfa_code = "123456"
    state = garth_client.login(garmin.account.email, garmin.account.password, return_on_mfa=True)
    assert garmin.sign_in.sign_ins == 0
    garth_client.resume_login(state, "123456")
    assert garth_client.connectapi(DAYVIEW)["dateWeightList"] == []


@pytest.mark.parametrize(
    ("fault", "says"),
    [("429-html", "No CSRF token found"), ("403-cloudflare", "All login strategies exhausted")],
)
def test_a_blocked_sign_in_looks_to_garth_as_it_does_in_the_reports(
    garmin: GarminStandIn, garth_client: Any, fault: str, says: str
) -> None:
    garmin.faults.add("sso/signin-page", fault)
    with pytest.raises(Exception, match=says):
        garth_client.login(garmin.account.email, garmin.account.password)


def test_garth_uploads_reads_back_refreshes_and_deletes(garmin: GarminStandIn, garth_client: Any) -> None:
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


def test_the_right_password_gets_a_ticket_and_a_wrong_one_does_not(browser: Browser) -> None:
    assert "ticket=ST-" in browser.sign_in("correct horse").text
    assert "ticket" not in browser.sign_in("wrong").text


def test_five_wrong_passwords_lock_the_account_for_the_right_one_too(browser: Browser) -> None:
    for _ in range(5):
        browser.sign_in("wrong")
    assert "locked" in browser.sign_in("correct horse").text
    assert browser.garmin.sign_in.sign_ins == 0


def test_a_form_cannot_be_sent_from_another_browser(garmin: GarminStandIn, browser: Browser) -> None:
    sso = f"https://sso.{garmin.domain}/sso"
    shown = browser.session.get(f"{sso}/signin", params={"service": f"{sso}/embed"}).text
    csrf = shown.partition('name="_csrf" value="')[2].partition('"')[0]
    browser.session.cookies.clear()
    form = {"username": garmin.account.email, "password": garmin.account.password, "_csrf": csrf, "embed": "true"}
    assert browser.session.post(f"{sso}/signin", data=form).status_code == 403


def test_a_ticket_buys_one_token_within_seconds_and_only_for_its_service() -> None:
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


def test_a_refresh_token_is_dead_the_moment_a_new_one_is_given(browser: Browser) -> None:
    second = browser.refresh(browser.token).json()
    assert browser.refresh(browser.token).json()["error"] == "invalid_grant"
    assert browser.refresh(second).status_code == 200
    assert (browser.garmin.sign_in.refreshes, browser.garmin.sign_in.refused_refreshes) == (2, 1)


def test_a_refresh_token_serves_only_the_client_it_was_given_to(browser: Browser) -> None:
    form = {"refresh_token": str(browser.token["refresh_token"])}
    assert browser.ask_for_token(GRANT_REFRESH, CLIENT_IDS[1], **form).json()["error"] == "invalid_grant"
    as_another = {"grant_type": GRANT_REFRESH, "client_id": CLIENT_IDS[0], **form}
    answer = browser.session.post(browser.garmin.token_url, data=as_another, auth=(CLIENT_IDS[1], ""))
    assert answer.json()["error"] == "invalid_client"
    assert browser.refresh(browser.token).status_code == 200


def test_a_refresh_whose_answer_is_lost_has_rotated_all_the_same(browser: Browser) -> None:
    browser.garmin.faults.add("diauth", "drop-before")
    with pytest.raises(RequestException):
        browser.refresh(browser.token)
    browser.garmin.faults.add("diauth", "drop-after")
    with pytest.raises(RequestException):
        browser.refresh(browser.token)
    assert browser.refresh(browser.token).status_code == 400


def test_revoked_refresh_tokens_and_expired_access_tokens_are_refused(browser: Browser) -> None:
    browser.garmin.revoke()
    assert browser.refresh(browser.token).status_code == 400
    assert browser.api("GET", DAYVIEW).status_code == 200
    browser.garmin.expire_access_tokens()
    assert browser.api("GET", DAYVIEW).status_code == 401


def test_an_access_token_ends_when_its_lifetime_does() -> None:
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


def test_no_file_with_one_damaged_byte_is_taken() -> None:
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
def test_garmin_does_not_take(claim: str, content: bytes) -> None:
    assert refused(content)


def test_only_the_short_header_may_come_without_a_right_crc() -> None:
    good = fit_file(75.8)

    def with_header(header: bytes) -> bytes:
        content = header + good[14:-2]
        return content + CrcCalculator.calculate_crc(content, 0, len(content)).to_bytes(2, "little")

    assert not refused(with_header(good[:14]))
    assert not refused(with_header(b"\x0c" + good[1:12]))
    assert refused(with_header(good[:12] + b"\0\0"))
    assert refused(with_header(good[:12] + b"\x12\x34"))


def test_a_refusal_has_garmins_shape_and_stores_nothing(browser: Browser) -> None:
    answer = browser.upload(fit_file(75.8) + b"\0")
    result = answer.json()["detailedImportResult"]
    assert (answer.status_code, result["uploadId"], result["successes"]) == (400, "", [])
    assert result["failures"][0]["internalId"] is None
    assert set(result["failures"][0]["messages"][0]) == {"code", "content"}
    assert (browser.garmin.uploads_received, browser.garmin.uploads_stored) == (1, 0)


def test_a_name_without_an_ending_is_taken_only_where_the_path_says_fit(browser: Browser) -> None:
    good = fit_file(75.8)
    assert browser.upload(good, name="weight").status_code == 406
    for path in ("/upload-service/upload/.fit", "/upload-service/upload/fit"):
        assert browser.upload(good, name="weight", path=path).status_code in (200, 202)


def test_a_stored_upload_is_answered_in_both_of_garmins_shapes(browser: Browser) -> None:
    first, second = browser.upload(fit_file(75.8)), browser.upload(fit_file(75.9))
    empty, processed = (answer.json()["detailedImportResult"]["successes"] for answer in (first, second))
    assert (first.status_code, empty) == (202, [])
    assert (second.status_code, processed[0]["messages"][0]["content"]) == (200, "File processed.")
    assert processed[0]["internalId"] is None
    assert "/activity-service/activity/status/" in str(first.headers["location"])
    assert first.headers["location-in-milliseconds"] == "1000"


@pytest.mark.parametrize("too_large", ["weigh-ins", "bytes"])
def test_too_large_a_history_gets_a_504_and_nothing_is_stored(browser: Browser, too_large: str) -> None:
    if too_large == "bytes":
        browser.garmin.largest_upload_bytes = 50
    count = 201 if too_large == "weigh-ins" else 1
    content = fit_file(*(60 + n / 100 for n in range(count)))
    assert browser.upload(content).status_code == 504
    assert browser.garmin.weights.entries == []


def test_200_weigh_ins_in_one_file_are_all_stored(browser: Browser) -> None:
    assert browser.upload(fit_file(*(60 + n / 100 for n in range(200)))).status_code == 202
    assert len(browser.garmin.weigh_ins()) == 200


# -- what the weight-service shows -------------------------------------------------------------------------


def test_a_weigh_in_comes_back_in_garmins_units(browser: Browser) -> None:
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
        "metabolicAge": 33 * 31_536_000_000,
        "sourceType": "INDEX_SCALE",
        "weightDelta": None,
    }


def test_the_day_is_the_accounts_own(browser: Browser) -> None:
    browser.upload(fit_file(75.8, at=datetime(2026, 2, 28, 23, 30, tzinfo=UTC)))
    assert [entry["calendarDate"] for entry in browser.api("GET", DAYVIEW).json()["dateWeightList"]] == ["2026-03-01"]
    browser.garmin.weights.time_zone = "America/New_York"
    assert browser.api("GET", DAYVIEW).json()["dateWeightList"] == []


def test_the_same_measurement_is_kept_once_and_a_correction_is_a_second_entry(browser: Browser) -> None:
    for weight_kg in (75.8, 75.8, 75.8, 74.8):
        assert browser.upload(fit_file(weight_kg)).status_code in (200, 202)
    assert sorted(entry["weight"] for entry in browser.garmin.weigh_ins()) == [74_800.0, 75_800.0]  # type: ignore[type-var]
    assert browser.garmin.uploads_stored == 4


def test_a_weigh_in_shows_only_after_the_delay() -> None:
    clock = Clock()
    with GarminStandIn(clock=clock, show_delay_s=5) as garmin:
        browser = Browser(garmin)
        browser.upload(fit_file(75.8))
        assert browser.api("GET", DAYVIEW).json()["dateWeightList"] == []
        clock.now_s += 5
        assert len(browser.api("GET", DAYVIEW).json()["dateWeightList"]) == 1
        browser.session.close()


def test_each_weigh_in_of_a_day_is_shown_only_when_asked_for_all(browser: Browser) -> None:
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


def test_only_a_weigh_in_that_is_there_can_be_deleted(browser: Browser) -> None:
    browser.upload(fit_file(75.8))
    sample_pk = browser.garmin.weigh_ins()[0]["samplePk"]
    there = f"/weight-service/weight/2026-03-01/byversion/{sample_pk}"
    assert browser.api("DELETE", there.replace("03-01", "03-02")).status_code == 404
    assert browser.api("DELETE", there).status_code == 204
    assert browser.api("DELETE", there).status_code == 404


@pytest.mark.parametrize(
    ("host", "path"), [("connectapi", "/nothing"), ("connect", "/upload-service/upload"), ("sso", DAYVIEW)]
)
def test_what_is_not_there_is_a_404_in_json(browser: Browser, host: str, path: str) -> None:
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


def test_every_fault_is_claimed() -> None:
    assert list(FAULTS_AS_NAMED) == list(FAULTS)


@pytest.mark.parametrize("name", FAULTS_AS_NAMED)
def test_every_fault_behaves_as_named_once(browser: Browser, name: str) -> None:
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


def test_slow_lets_a_client_give_up_after_the_upload_was_stored(browser: Browser) -> None:
    browser.garmin.faults.add("upload", "slow")
    with pytest.raises(Timeout):
        browser.upload(fit_file(75.8), timeout=0.2)
    deadline = time.monotonic() + 30
    while not browser.garmin.weigh_ins() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(browser.garmin.weigh_ins()) == 1


def test_retry_after_says_what_it_was_told(browser: Browser) -> None:
    browser.garmin.faults.add("weight/dayview", "429", retry_after=7)
    browser.garmin.faults.add("weight", "429-retry-after")
    browser.garmin.faults.add("weight", "429")
    seen = [browser.api("GET", DAYVIEW).headers.get("retry-after") for _ in range(3)]
    assert seen == ["7", "14", None]


def test_a_fault_hides_neither_a_dead_token_nor_a_bad_file(browser: Browser) -> None:
    browser.garmin.faults.add("upload", "201", times=None)
    assert browser.upload(b"not a FIT file").status_code == 400
    browser.garmin.expire_access_tokens()
    assert browser.upload(fit_file(75.8)).status_code == 401


def test_the_same_seed_drops_the_same_answers(garmin: GarminStandIn) -> None:
    def drops() -> list[bool]:
        garmin.faults.clear()
        garmin.faults.add("upload", "drop-after", times=None, probability=1 / 3)
        return [garmin.faults.next_for("upload") is not None for _ in range(300)]

    first = drops()
    assert first == drops()
    assert 70 < sum(first) < 130


@pytest.mark.parametrize(("route", "name"), [("uploads", "500"), ("upload", "5OO")])
def test_a_misspelt_fault_is_refused(garmin: GarminStandIn, route: str, name: str) -> None:
    with pytest.raises(ValueError, match="Known: "):
        garmin.faults.add(route, name)


def test_libcurl_sends_a_post_again_when_a_used_connection_is_dropped(garmin: GarminStandIn) -> None:
    """The trap in `faults`' docstring: without FRESH_CONNECT one call can be two uploads."""
    browser = Browser(garmin)
    browser.session.close()
    browser.session = https(garmin.ca_bundle)
    assert browser.api("GET", DAYVIEW).status_code == 200
    garmin.faults.add("upload", "drop-after")
    assert browser.upload(fit_file(75.8)).status_code == 200
    assert garmin.uploads_received == 2
    browser.session.close()


# -- the rest of the program -------------------------------------------------------------------------------


def test_no_ticket_and_no_token_is_in_the_request_log(browser: Browser) -> None:
    browser.api("GET", f"{DAYVIEW}&ticket=ST-secret")
    browser.refresh(browser.token)
    log = repr(browser.garmin.requests)
    assert "dayview" in log
    for secret in ("ST-secret", str(browser.token["access_token"]), str(browser.token["refresh_token"])):
        assert secret not in log


def test_a_client_without_the_certificate_is_not_served(garmin: GarminStandIn) -> None:
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


def test_the_program_prints_all_that_it_takes_to_use_it(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = start("--port", "0", "--token-dir", str(tmp_path / "tokens"))
    assert process.stdout is not None
    told: dict[str, str] = {}
    for line in process.stdout:
        if line.startswith("  export "):
            name, _, told_value = line.removeprefix("  export ").strip().partition("=")
            told[name] = told_value
        if line.startswith("Faults"):
            break
    token_file = Path(told["WEIGHBRIDGE_TOKENS"], "default.json")
    assert os.name != "posix" or token_file.stat().st_mode & 0o777 == 0o600
    token = json.loads(token_file.read_text())
    base = f"https://connectapi.{told['GARMIN_DOMAIN']}"
    with https(told["GARMIN_CA_BUNDLE"]) as session:
        switches = f"https://{told['GARMIN_DOMAIN']}/stand-in"
        assert session.post(f"{switches}/faults", json={"route": "weight", "fault": "503"}).status_code == 204
        assert session.post(f"{switches}/faults", json={"route": "weight"}).status_code == 400
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        assert [session.get(base + DAYVIEW, headers=headers).status_code for _ in range(2)] == [503, 200]
        assert [request["status"] for request in session.get(f"{switches}/state").json()["requests"]] == [503, 200]
        assert session.post(f"{switches}/expire-access-tokens").status_code == 204
        assert session.get(base + DAYVIEW, headers=headers).status_code == 401
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_a_port_that_is_taken_is_one_sentence(
    start: Callable[..., subprocess.Popen[str]], garmin: GarminStandIn
) -> None:
    process = start("--port", str(garmin.port))
    _, complaint = process.communicate(timeout=10)
    assert process.returncode == 1
    assert complaint.startswith(f"Port {garmin.port} cannot be used")
    assert len(complaint.splitlines()) == 1
