"""The HTTP contract, through functions-framework's own application, delivering into a folder."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.function_client import Answer, FunctionClient, client, client_of
from weighbridge import __version__
from weighbridge.delivery.kept import kept_files
from weighbridge.fit.template import read_template
from weighbridge.http.access import WrongKeys
from weighbridge.http.app import Shell
from weighbridge.http.page import DOCUMENTATION
from weighbridge.local_key import local_key

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"

READING = {"weight_kg": 81.4, "body_fat_percent": 18.2, "measured_at": "2026-11-22T06:31:00Z"}
KEYS = {"WEIGHBRIDGE_API_KEYS": "home=a-key-of-sixteen-letters,phone=another-key-of-sixteen"}

Make = Callable[..., FunctionClient]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Make:
    return lambda **environment: client(monkeypatch, **({"WEIGHBRIDGE_FOLDER": tmp_path / "kept"} | environment))


@pytest.fixture
def http(make: Make) -> FunctionClient:
    return make()


def problem(answer: Answer, status: int, slug: str) -> dict[str, Any]:
    body = answer.json
    assert answer.status_code == status, body
    assert answer.mimetype == "application/problem+json"
    assert body["type"] == f"urn:weighbridge:{slug}"
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    return body


# --- a reading in, a receipt out ---


@pytest.mark.parametrize("path", ["/", "/readings", "/readings/", "/readings//"])
def test_reading_is_kept(http: FunctionClient, tmp_path: Path, path: str) -> None:
    """A reading is kept as one file, and its receipt says so."""
    answer = http.post(path, json=READING)
    receipt = answer.json
    assert answer.status_code == 202
    assert receipt["status"] == "kept"
    assert receipt["summary"] == "81.4 kg, 18.2 % fat: kept as a file for import by hand."
    assert receipt["measured_at"] == "2026-11-22T06:31:00Z"
    assert kept_files(tmp_path / "kept") == [tmp_path / "kept" / receipt["fit"]["file_name"]]


def test_summary_names_what_was_not_recognized(http: FunctionClient) -> None:
    """A person who reads only the summary learns of a slip, and a program finds it among the warnings."""
    receipt = http.post("/?dry_run=true", json={**READING, "boddy mass indx": 25, "bone maas": 3.4}).json
    warned = "Not recognized: 'boddy mass indx', 'bone maas' (did you mean 'bone mass'?)."
    slip = {
        "code": "did-you-mean",
        "params": {"key": "bone maas", "meant": "bone mass"},
        "message": "'bone maas' (did you mean 'bone mass'?)",
    }
    assert receipt["summary"] == f"81.4 kg, 18.2 % fat: would be sent; nothing was. {warned}"
    assert receipt["warnings"] == [
        {"code": "not-recognized", "text": warned, "params": {"keys": ["boddy mass indx", slip]}}
    ]
    assert receipt["unknown"] == ["boddy mass indx", "bone maas"]


def test_json_sent_by_curl(http: FunctionClient) -> None:
    """JSON is accepted as `curl -d` sends it: as application/x-www-form-urlencoded."""
    body = (EXAMPLES / "fitdays.json").read_bytes().replace(b"\n", b"")
    answer = http.post("/", data=body, content_type="application/x-www-form-urlencoded")
    fields = {field["name"]: field for field in answer.json["fields"]}
    assert answer.status_code == 202
    assert fields["weight_kg"]["sent"] == 81.4
    assert fields["body_fat_percent"]["fit_field"] == "percent_fat"
    assert fields["body_water_percent"]["derived"]
    assert fields["fat_mass_kg"]["fit_field"] is None
    assert fields["fat_mass_kg"]["note"].startswith("Garmin has no field for fat mass")


def test_same_reading_same_file(http: FunctionClient, tmp_path: Path) -> None:
    """The same reading, sent twice, is one file with the same receipt."""
    first, second = (http.post("/", json=READING).json for _ in range(2))
    assert first == second
    assert len(kept_files(tmp_path / "kept")) == 1


def test_replace_removes_the_wrong_file(http: FunctionClient, tmp_path: Path) -> None:
    """Another kept file for the same instant is a warning; with `replace` it is removed."""
    http.post("/", json=READING)
    corrected = READING | {"weight_kg": 80.4}
    (warning,) = http.post("/", json=corrected).json["warnings"]
    assert warning["code"] == "other-files-kept"
    assert http.post("/", json=corrected).json["warnings"] == [warning], "sent again"
    replaced = http.post("/?replace=true", json=corrected).json
    assert kept_files(tmp_path / "kept") == [tmp_path / "kept" / replaced["fit"]["file_name"]]


def test_dry_run_keeps_nothing(http: FunctionClient, tmp_path: Path) -> None:
    """A dry run reports the fields, the hash and the proof of the file, and keeps nothing."""
    answer = http.post("/?dry_run=true", json=READING)
    kept = http.post("/", json=READING).json
    receipt = answer.json
    assert answer.status_code == 200
    assert receipt["status"] == "checked"
    assert receipt["fields"] == kept["fields"]
    assert receipt["fit"] == {name: value for name, value in kept["fit"].items() if name != "file_name"}
    assert receipt["fit"]["proof"].startswith("decoded by fitdecode")


def test_developer_template_loses_nothing(make: Make) -> None:
    """With the developer template, each value of a Fitdays reading has a field in the file."""
    http = make(WEIGHBRIDGE_TEMPLATE=ROOT / "templates" / "weight_scale_developer.fit")
    fields = http.post("/", data=(EXAMPLES / "fitdays.json").read_bytes()).json["fields"]
    unmapped = {field["name"] for field in fields if field["fit_field"] is None}
    assert unmapped == {"body_water_kg"}, "water in kg is in the file as a percentage"


def test_unknown_keys_are_reported(http: FunctionClient) -> None:
    """The receipt lists unknown keys."""
    assert http.post("/", json=READING | {"mood": "fine"}).json["unknown"] == ["mood"]


# --- several at once ---


def test_bad_reading_in_an_array(http: FunctionClient) -> None:
    """A bad reading of an array has its own problem; the others are kept in one file."""
    answer = http.post("/readings", json=[READING, {"weight_kg": -1}, READING | {"weight_kg": 80}])
    results = answer.json["results"]
    assert answer.status_code == 207
    assert [result["status"] for result in results] == ["kept", 422, "kept"]
    assert results[1]["errors"][0]["field"] == "weight_kg"
    assert results[0]["fit"] == results[2]["fit"], "both are in one file"


def test_bad_line_of_ndjson(http: FunctionClient) -> None:
    """The problem of an NDJSON line that is not JSON names the line; the others are kept."""
    lines = [json.dumps(READING), "{", "", json.dumps(READING | {"measured_at": "2026-11-22T06:31:00Z"})]
    answer = http.post("/readings", data="\n".join(lines), content_type="application/x-ndjson")
    results = answer.json["results"]
    assert [result["status"] for result in results] == ["kept", 400, "kept"]
    assert results[1]["detail"].startswith("Line 2: ")


def test_450_readings_are_three_files(http: FunctionClient, tmp_path: Path) -> None:
    """450 readings become files of 200, 200 and 50."""
    readings = [{"weight_kg": 80, "measured_at": 1_700_000_000 + 86_400 * day} for day in range(450)]
    answer = http.post("/readings", json=readings)
    assert answer.status_code == 200
    assert sorted(path.name.partition("-")[0] for path in (tmp_path / "kept").iterdir()) == ["200", "200", "50"]


@pytest.mark.parametrize(
    ("body", "media_type"),
    [(b"[" + b"1," * 400_000 + b"1]", "application/json"), (b"{\n" * 400_000, "application/x-ndjson")],
    ids=["array", "ndjson"],
)
def test_too_many_readings(http: FunctionClient, body: bytes, media_type: str) -> None:
    """More than 10,000 readings in one call are refused."""
    answer = http.post("/readings", data=body, content_type=media_type)
    assert "at most 10000" in problem(answer, 413, "too-large")["detail"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"[" + b"{}," * 20_000 + b"{}]", "at most 10000 readings"),
        (b"{" + b",".join(b'"%d":0' % n for n in range(501)) + b"}", "at most 500 names"),
        (b"[{}," + b"{" + b",".join(b'"%d":0' % n for n in range(501)) + b"}]", "at most 500 names"),
    ],
    ids=["objects", "names", "names of one among others"],
)
def test_too_many_objects_or_names(http: FunctionClient, body: bytes, words: str) -> None:
    """A body with more objects or names than readings need is refused."""
    answer = http.post("/readings", data=body, content_type="application/json")
    assert words in problem(answer, 413, "too-large")["detail"].lower()


def test_line_with_too_many_names(http: FunctionClient) -> None:
    """An NDJSON line with too many names has its own problem; the others are checked."""
    wide = json.dumps({str(n): 0 for n in range(501)})
    lines = f"{json.dumps(READING)}\n{wide}\n"
    answer = http.post("/readings?dry_run=true", data=lines, content_type="application/x-ndjson")
    first, second = answer.json["results"]
    assert first["status"] == "checked"
    assert second["detail"].startswith("Line 2: ")


def test_empty_list(http: FunctionClient) -> None:
    """An empty list has an empty list of results."""
    assert http.post("/readings", json=[]).json == {"results": []}


def test_whole_body_of_several(http: FunctionClient) -> None:
    """A body with several weigh-ins gets a list, in the order of the body."""
    results = http.post("/?dry_run=true", data=(EXAMPLES / "health_auto_export.json").read_bytes()).json["results"]
    assert [result["measured_at"] for result in results] == ["2026-11-21T05:31:00Z", "2026-11-22T05:40:12Z"]


@pytest.mark.parametrize("media_type", ["application/json", "application/x-ndjson"])
def test_one_entry_for_each_document(http: FunctionClient, media_type: str) -> None:
    """An element of a list, or a line, has one entry; if it holds several weigh-ins, their results are within it."""
    batch = {"event": "insert", "measurements": [READING | {"measured_at": "2026-11-23T06:31:00Z"}, {"weight": -1}]}
    documents = [json.dumps(each) for each in (READING, batch, {"event": "test"})]
    listed = "\n".join(documents) if media_type.endswith("ndjson") else f"[{','.join(documents)}]"
    answer = http.post("/readings?dry_run=true", data=listed, content_type=media_type)
    reading, several, test = answer.json["results"]
    assert answer.status_code == 207, "a problem within an entry counts"
    assert (reading["status"], test["status"]) == ("checked", "nothing")
    assert [result["status"] for result in several["results"]] == ["checked", 422]
    alone = http.post("/readings?dry_run=true", json=batch)
    assert [result["status"] for result in alone.json["results"]] == ["checked", 422], "as for that document alone"


def test_whole_body_of_one(http: FunctionClient) -> None:
    """A body with one weigh-in gets one receipt, which names what else was in it."""
    receipt = http.post("/", data=(EXAMPLES / "hc_webhook.json").read_bytes()).json
    assert receipt["status"] == "kept"
    assert any("steps" in note["text"] for note in receipt["notes"])


def test_form_is_a_reading(http: FunctionClient) -> None:
    """A form makes the same file as the same JSON."""
    fields = {"weight": "81,4 kg", "body fat": "18.2 %", "time": "2026-11-22T06:31:00+00:00"}
    answers = [http.post("/", data=fields), http.post("/", json=fields)]
    answers += [http.post("/", data=fields, content_type="multipart/form-data")]
    assert len({answer.json["fit"]["sha256"] for answer in answers}) == 1


def test_fit_of_a_whole_body(http: FunctionClient) -> None:
    """`POST /fit` takes the same bodies, and a file holds all weigh-ins of one."""
    answer = http.post("/fit", data=(EXAMPLES / "health_auto_export.json").read_bytes())
    assert answer.status_code == 200
    assert 'filename="2-' in answer.headers["Content-Disposition"]
    problem(http.post("/fit", json={"event": "test"}), 422, "reading-rejected")


# --- CloudEvents ---

EVENT = {"ce-specversion": "1.0", "ce-type": "scale.reading", "ce-source": "/scale", "ce-id": "1"}


def test_structured_cloud_event(http: FunctionClient) -> None:
    """The data of a structured CloudEvent is the reading."""
    event = {"specversion": "1.0", "type": "scale.reading", "source": "/scale", "id": "1", "data": READING}
    answer = http.post("/readings", data=json.dumps(event), content_type="application/cloudevents+json")
    assert answer.json["status"] == "kept"


def test_binary_cloud_event(http: FunctionClient) -> None:
    """The headers of a binary CloudEvent are understood."""
    assert http.post("/", json=READING, headers=EVENT).json["status"] == "kept"


def test_pub_sub_message(http: FunctionClient) -> None:
    """The reading in a Pub/Sub message is unwrapped."""
    message = {"message": {"data": base64.b64encode(json.dumps(READING).encode()).decode()}}
    assert http.post("/", json=message, headers=EVENT).json["status"] == "kept"


def test_event_time_makes_a_retry_the_same(http: FunctionClient, tmp_path: Path) -> None:
    """A reading without a time gets that of its event, so an event delivered twice is one file."""
    headers = EVENT | {"ce-time": "2026-11-22T06:31:00.5Z"}
    answers = [http.post("/", json={"weight_kg": 80}, headers=headers).json for _ in range(2)]
    assert {answer["measured_at"] for answer in answers} == {"2026-11-22T06:31:00Z"}
    assert len(kept_files(tmp_path / "kept")) == 1
    assert {note["code"] for answer in answers for note in answer["notes"]} == {"time-of-event"}


@pytest.mark.parametrize(
    ("time", "words"),
    [
        ("9999-12-31T23:59:59-23:59", "A time was expected"),
        ("9999-12-31T23:59:59Z", "more than five minutes from now"),
        ("1999-12-31T23:59:59Z", "before the year 2000"),
        ("soon", "A time was expected"),
        ("2026-11-22", "The time of day is missing"),
        ("03/04/2026 06:31", "3 April or 4 March"),
    ],
)
@pytest.mark.parametrize("path", ["/", "/fit"])
def test_event_time_that_is_no_time(http: FunctionClient, path: str, time: str, words: str) -> None:
    """An event's time is read as any other, and is named if it cannot be used. Next to a time it has no effect."""
    answer = http.post(path, json={"weight_kg": 80}, headers=EVENT | {"ce-time": time})
    (error,) = problem(answer, 422, "reading-rejected")["errors"]
    assert (error["field"], error["input"]) == ("time", time)
    assert words in error["message"]
    timed = http.post(path, json=READING, headers=EVENT | {"ce-time": time})
    assert timed.status_code in (200, 202)


def test_structured_event_time(http: FunctionClient) -> None:
    """The time of a structured event is that of each reading in it which has none."""
    event = {"specversion": "1.0", "time": "2026-11-22T06:31:00Z", "data": [{"weight_kg": 80}, {"weight_kg": 81}]}
    results = http.post("/", json=event, content_type="application/cloudevents+json").json["results"]
    assert {result["measured_at"] for result in results} == {"2026-11-22T06:31:00Z"}
    wrong = http.post("/", json=event | {"time": 7}, content_type="application/cloudevents+json").json
    assert [result["errors"][0]["field"] for result in wrong["results"]] == ["time", "time"]


@pytest.mark.parametrize("more", [{}, {"ce-time": "2026-11-22T06:31:00Z"}], ids=["message", "event"])
def test_time_of_a_pub_sub_message(http: FunctionClient, more: dict[str, str]) -> None:
    """A Pub/Sub message has the time of its event, or else the one at which it was published."""
    data = base64.b64encode(b'{"weight_kg": 80}').decode()
    published = "2026-11-22T06:31:00.123Z" if not more else "2026-11-22T07:00:00Z"
    answer = http.post("/", json={"message": {"data": data, "publishTime": published}}, headers=EVENT | more)
    assert answer.json["measured_at"] == "2026-11-22T06:31:00Z"


# --- the file itself ---


def test_post_fit_gives_the_file(http: FunctionClient, tmp_path: Path) -> None:
    """`POST /fit` gives exactly the file that would be kept, and keeps nothing."""
    answer = http.post("/fit", json=READING)
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="weigh-in_2026-11-22T06-31-00Z_')
    read_template(answer.data)
    assert not (tmp_path / "kept").exists()
    kept = http.post("/", json=READING).json["fit"]["file_name"]
    assert (tmp_path / "kept" / kept).read_bytes() == answer.data


def test_post_fit_limits(http: FunctionClient) -> None:
    """`POST /fit` accepts 1 to 200 readings."""
    problem(http.post("/fit", json=[READING] * 201), 422, "reading-rejected")
    problem(http.post("/fit", json=[]), 422, "reading-rejected")
    assert http.post("/fit", json=[READING] * 200).status_code == 200


# --- keys ---


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "192.0.2.7"])
def test_without_keys_the_local_key(make: Make, tmp_path: Path, address: str) -> None:
    """Without configured keys, the key of this machine is needed, also from this machine: a proxy, a tunnel, a web page
    and another user reach it, too."""
    path = tmp_path / "home" / "key"
    http = make(WEIGHBRIDGE_LOCAL_KEY=path)
    refused = http.post("/", json=READING, address=address, local=False)
    assert "Authorization: Bearer" in problem(refused, 401, "unauthorized")["detail"]
    header, _, value = path.read_text().strip().partition(": ")
    assert http.post("/", json=READING, address=address, headers={header: value}).status_code == 202
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize(
    ("content", "mode"),
    [("", 0o600), ("Authorization: Bearer \n", 0o600), ("Authorization: Bearer planted\n", 0o600), (None, 0o644)],
    ids=["empty", "no key", "short", "readable by others"],
)
def test_damaged_local_key(
    make: Make, tmp_path: Path, content: str | None, mode: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """A file that holds no key, or that others can read, is named with its fix. It is never replaced or used."""
    path = tmp_path / "key"
    if content is None:
        local_key(path)
    else:
        path.write_text(content)
    path.chmod(mode)
    problem(make(WEIGHBRIDGE_LOCAL_KEY=path).post("/", json=READING), 500, "settings-invalid")
    detail = json.loads(capfd.readouterr().out)["detail"]
    assert str(path) in detail
    assert "Delete it" in detail
    assert "planted" not in detail


def test_one_local_key(tmp_path: Path) -> None:
    """Processes that make the key at the same time get the same one, and leave nothing else behind."""
    path = tmp_path / "home" / "key"
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(local_key, [path] * 64))
    assert len(keys) == 1
    assert [*path.parent.iterdir()] == [path]


# --- rights ---

RIGHTS = ("send", "read", "delete", "administer")


@pytest.mark.parametrize("right", RIGHTS)
def test_key_without_a_right(make: Make, right: str) -> None:
    """A key that lacks one right is refused where that right is needed, and nowhere else."""
    rights = "+".join(each for each in RIGHTS if each != right)
    http = make(WEIGHBRIDGE_API_KEYS=f"most:{rights}=a-key-of-sixteen-letters")
    key = {"X-API-Key": "a-key-of-sixteen-letters"}
    calls = {
        "send": [http.post("/", json=READING, headers=key), http.post("/fit", json=READING, headers=key)],
        "read": [http.get("/readings", headers=key)],
        "delete": [http.delete("/readings/7", headers=key)],
    }
    if right != "send":
        calls["delete"].append(http.post("/?replace=true", json=READING, headers=key))
    refused = {name: {answer.status_code == 403 for answer in answers} for name, answers in calls.items()}
    assert refused == {name: {name == right} for name in calls}
    for answer in calls.get(right, ()):
        assert problem(answer, 403, "forbidden")["detail"] == f"The key 'most' lacks the right to {right}."


def test_deletion_in_a_message_needs_the_right(make: Make) -> None:
    """An app's message that deletes or replaces a weigh-in needs the right to delete; its other messages do not."""
    http = make(WEIGHBRIDGE_API_KEYS="phone:send=a-key-of-sixteen-letters")
    message = json.loads((EXAMPLES / "openscale_webhook.json").read_text())
    deletion = {"event": "delete", "date": message["date"]}
    messages = [message, message | {"event": "update"}, deletion]
    answer = http.post("/?dry_run=true", json=messages, headers={"X-API-Key": "a-key-of-sixteen-letters"})
    kinds = [result.get("type", result["status"]) for result in answer.json["results"]]
    assert kinds == ["checked", "urn:weighbridge:forbidden", "urn:weighbridge:forbidden"]


# --- wrong keys ---


def test_address_of_a_wrong_key(make: Make, capfd: pytest.CaptureFixture[str]) -> None:
    """The log names the address of a wrong key, of a trusted proxy the one that it names, and never the key."""
    proxies = {"WEIGHBRIDGE_TRUSTED_PROXIES": "10.0.0.0/8,127.0.0.1"}
    http = make(**KEYS, **proxies)
    sent = {"X-API-Key": "planted-planted-planted", "X-Forwarded-For": "192.0.2.66, 198.51.100.7, 10.1.2.3"}
    for address in ("127.0.0.1", "192.0.2.7"):
        problem(http.post("/", json=READING, headers=sent, address=address), 401, "unauthorized")
    problem(http.post("/", json=READING, local=False), 401, "unauthorized")
    lines = [line for line in capfd.readouterr().out.splitlines() if line.startswith("{")]
    assert [json.loads(line).get("refused_key_from") for line in lines] == ["198.51.100.7", "192.0.2.7", None]
    assert "planted" not in "".join(lines)
    failregex = (ROOT / "integrations" / "fail2ban" / "filter.d" / "weighbridge.conf").read_text()
    (pattern,) = re.findall(r"^failregex = (.*)$", failregex, re.MULTILINE)
    found = [re.match(pattern.replace("<HOST>", r"(?P<host>[\da-f.:]+)"), line) for line in lines]
    assert [match and match["host"] for match in found] == ["198.51.100.7", "192.0.2.7", None]


def test_wrong_keys_wait_longer() -> None:
    """The answer to each further wrong key from an address waits longer, up to 3 s; others are not affected."""
    wrong, now = WrongKeys(), datetime(2026, 11, 22, tzinfo=UTC)
    pauses = [wrong.pause_s("192.0.2.7", now) for _ in range(20)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (0.05, 3.0)
    assert wrong.pause_s("192.0.2.8", now) == 0.05
    assert wrong.pause_s("192.0.2.7", now + timedelta(minutes=16)) == 0.05
    for number in range(5_000):
        wrong.pause_s(str(number), now)
    assert wrong.pause_s("192.0.2.7", now) == 0.05


def test_with_keys_a_key_is_needed(make: Make) -> None:
    """With keys, a request without a valid key is refused, even from this machine."""
    http = make(**KEYS)
    answer = http.post("/", json=READING)
    problem(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    problem(http.post("/", json=READING, headers={"X-API-Key": "wrong"}), 401, "unauthorized")
    problem(http.post("/", json=READING, headers={"Authorization": "Basic abc"}), 401, "unauthorized")
    problem(http.post("/", json=READING, headers={"X-API-Key": "wr\u00f6ng"}), 401, "unauthorized")


@pytest.mark.parametrize(
    "header",
    [{"Authorization": "Bearer a-key-of-sixteen-letters"}, {"X-API-Key": "another-key-of-sixteen"}],
    ids=["bearer", "x-api-key"],
)
def test_key_works_from_anywhere(make: Make, header: dict[str, str]) -> None:
    """A valid key is accepted from any address, in either header."""
    answer = make(**KEYS).post("/", json=READING, headers=header, address="192.0.2.7")
    assert answer.status_code == 202


def test_open_routes_need_no_key(make: Make) -> None:
    """`GET /health` and `GET /openapi.json` need no key."""
    http = make(**KEYS)
    assert http.get("/health", local=False).status_code == 200
    assert http.get("/openapi.json", local=False).json["openapi"].startswith("3.1")


@pytest.mark.parametrize("path", ["/health", "/openapi.json"])
def test_wrong_key_on_an_open_route(make: Make, path: str) -> None:
    """Who sends a wrong key learns it at once, even where a key is not needed."""
    problem(make(**KEYS).get(path, headers={"X-API-Key": "planted-planted-planted"}), 401, "unauthorized")


def test_health_says_what_the_key_is_for(make: Make, tmp_path: Path) -> None:
    """With a key, health says what the key is for, and the version; without one it says neither."""
    (tmp_path / "people.toml").write_text('[[person]]\nname = "Anna"\n[[person]]\nname = "Ben"\n')
    keys = "home=a-key-of-sixteen-letters,guest:send+read@Ben=another-key-of-sixteen"
    http = make(WEIGHBRIDGE_API_KEYS=keys, WEIGHBRIDGE_PEOPLE=tmp_path / "people.toml")
    home, guest = (
        http.get("/health", headers={"X-API-Key": key}).json
        for key in ("a-key-of-sixteen-letters", "another-key-of-sixteen")
    )
    assert home["version"] == __version__
    assert home["key"] == {
        "name": "home",
        "rights": ["administer", "delete", "read", "send"],
        "people": ["Anna", "Ben"],
    }
    assert guest["key"] == {"name": "guest", "rights": ["read", "send"], "people": ["Ben"]}
    assert not {"version", "key"} & http.get("/health", local=False).json.keys()


def test_strangers_see_no_paths(make: Make, tmp_path: Path) -> None:
    """Without a key, health shows no reason, since it may name a folder; with a key it does."""
    (tmp_path / "occupied").touch()
    for delivery in ("folder", "garth,folder"):
        http = make(**KEYS, WEIGHBRIDGE_DELIVERY=delivery, WEIGHBRIDGE_FOLDER=tmp_path / "occupied")
        key = {"X-API-Key": "another-key-of-sixteen"}
        with_key, without = http.get("/health", headers=key), http.get("/health", local=False)
        assert with_key.status_code == without.status_code == 503
        assert str(tmp_path) in with_key.text
        assert str(tmp_path) not in without.text
        assert without.json["delivery"]["detail"] == "Send a key with the right to administer to see why."
        shown = with_key.json["delivery"].keys() - {"code"}
        assert shown == without.json["delivery"].keys()


def test_anonymous_health_writes_nothing(make: Make, tmp_path: Path) -> None:
    """`GET /health` changes no file and creates none."""
    http = make(**KEYS, WEIGHBRIDGE_DELIVERY="garth,folder", WEIGHBRIDGE_TOKENS=tmp_path / "tokens")
    before = {path: path.stat() for path in (tmp_path, *tmp_path.rglob("*"))}
    http.get("/health")
    assert {path: path.stat() for path in (tmp_path, *tmp_path.rglob("*"))} == before


def test_every_answer_is_private(http: FunctionClient) -> None:
    """No answer may be cached, and no browser guesses its type."""
    answers = [
        http.post("/", json=READING),
        http.post("/fit", json=READING),
        http.post("/", data=b"{"),
        http.get("/health"),
        http.get("/openapi.json"),
        http.get("/nowhere"),
        http.get("/", headers={"Accept": "text/html"}),
        http.post("/", json=READING, local=False),
    ]
    assert len({answer.status_code for answer in answers}) == 5
    for answer in answers:
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


# --- addresses, methods, queries ---


def test_unknown_address(http: FunctionClient) -> None:
    """An unknown address is a 404."""
    problem(http.get("/nothing"), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/", "POST, GET"),
        ("GET", "/", "POST"),
        ("DELETE", "/readings", "POST, GET"),
        ("GET", "/fit", "POST"),
        ("GET", "/readings/7", "DELETE"),
    ],
)
def test_wrong_method(http: FunctionClient, method: str, path: str, allowed: str) -> None:
    """A wrong method is a 405, and Allow names the right ones."""
    answer = http.open(path, method=method)
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["Allow"] == allowed


@pytest.mark.parametrize(
    "query", ["dryrun=true", "dry_run=yes", "dry_run=", "dry_run=true&dry_run=false", "DRY_RUN=true"]
)
def test_mistyped_query(http: FunctionClient, tmp_path: Path, query: str) -> None:
    """A mistyped parameter or value is refused, and nothing is kept."""
    body = problem(http.post(f"/?{query}", json=READING), 400, "query-invalid")
    assert body["errors"][0]["message"]
    assert not (tmp_path / "kept").exists()


def test_kept_files_are_read_and_deleted(http: FunctionClient) -> None:
    """Without a connection to Garmin, the weigh-ins are those of the kept files, marked as such, and one of them can be
    deleted."""
    http.post("/", json=[READING, {"weight": 82, "time": "2026-10-22T06:31:00Z"}])
    listed = http.get("/readings?from=2026-10-01&to=2026-11-30").json
    assert (listed["source"], [each["weight_kg"] for each in listed["readings"]]) == ("folder", [82, 81.4])
    path = f"/readings/{listed['readings'][0]['id']}"
    assert http.open(path, method="DELETE").status_code == 204
    problem(http.open(path, method="DELETE"), 404, "not-found")
    assert [each["weight_kg"] for each in http.get("/readings?from=2026-10-01&to=2026-11-30").json["readings"]] == [
        81.4
    ]


@pytest.mark.parametrize(
    "query", ["from=yesterday", "to=2026-02-30", "to=0001-01-05", "from=2026-11-23&to=2026-11-01", "from=٢٠٢٦-١١-٢٣"]
)
def test_invalid_days(http: FunctionClient, query: str) -> None:
    """An invalid day, or days in the wrong order, are refused by name."""
    assert problem(http.get(f"/readings?{query}"), 400, "query-invalid")["errors"][0]["field"] in ("from", "to")


@pytest.mark.parametrize("accept", ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"])
def test_browser_gets_a_page(make: Make, accept: str) -> None:
    """A browser that opens the address gets a page with links, without a key and whatever the settings are."""
    http = make(**KEYS, WEIGHBRIDGE_DELIVERY="pigeon")
    answer = http.get("/", headers={"Accept": accept}, address="192.0.2.7")
    assert (answer.status_code, answer.mimetype, answer.headers["Vary"]) == (200, "text/html", "Accept")
    for named in ("<title>Weighbridge</title>", 'href="health', 'href="openapi.json', DOCUMENTATION):
        assert named in answer.text
    assert "pigeon" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "accept"),
    [
        ("GET", "/", "*/*"),
        ("GET", "/", "application/json, text/plain, */*"),
        ("GET", "/", "text/html;q=0"),
        ("GET", "/fit", "text/html"),
        ("PUT", "/", "text/html"),
    ],
)
def test_others_get_no_page(http: FunctionClient, method: str, path: str, accept: str) -> None:
    """A program at the same address, and a browser with another address or method, get a 405."""
    answer = http.open(path, method=method, headers={"Accept": accept})
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["Allow"].startswith("POST")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/", 202),
        ("POST", "/readings", 202),
        ("POST", "/fit", 200),
        ("GET", "/readings", 200),
        ("DELETE", "/readings/7", 404),
        ("GET", "/health", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/nothing", 404),
        ("PUT", "/fit", 405),
    ],
)
def test_pretty_indents_json(http: FunctionClient, method: str, path: str, status: int) -> None:
    """With `pretty=true` the JSON of every route and every problem is indented, and says the same."""
    plain, pretty, off = (
        http.open(f"{path}{query}", method=method, json=READING) for query in ("", "?pretty=true", "?pretty=false")
    )
    assert (plain.status_code, pretty.status_code, off.status_code) == (status, status, status)
    assert off.data == plain.data
    if (plain.mimetype or "").endswith("json"):
        assert pretty.json == plain.json
        assert "\n" not in plain.text
        assert pretty.text.startswith('{\n    "')
        assert pretty.text.endswith("}\n")
    else:
        assert pretty.data == plain.data


def test_pretty_shows_letters(http: FunctionClient) -> None:
    """Indented JSON has letters in place of escapes; what is not a letter stays an escape."""
    odd = http.post(
        "/?pretty=true", data=b'{"weight_kg": 81.4, "J\\u00f6rg": 1, "\\ud800": 2}', content_type="text/json"
    )
    assert "J\u00f6rg" in odd.text
    assert odd.json["unknown"] == ["J\u00f6rg", "\ud800"]


@pytest.mark.parametrize("query", ["pretty=yes", "pretty", "pretty=true&pretty=true", "prety=true"])
def test_pretty_is_true_or_false(http: FunctionClient, tmp_path: Path, query: str) -> None:
    """Another value of `pretty` is refused like every mistyped parameter, and nothing is kept."""
    problem(http.post(f"/?{query}", json=READING), 400, "query-invalid")
    assert not (tmp_path / "kept").exists()


# --- set-up faults ---


@pytest.mark.parametrize(
    ("environment", "slug", "named"),
    [
        ({"WEIGHBRIDGE_DELIVERY": "pigeon"}, "settings-invalid", "WEIGHBRIDGE_DELIVERY"),
        ({"WEIGHBRIDGE_TIMEZONE": "Mars/Olympus"}, "settings-invalid", "WEIGHBRIDGE_TIMEZONE"),
        ({"WEIGHBRIDGE_TEMPLATE": "/nowhere.fit"}, "template-unusable", "/nowhere.fit"),
        ({"WEIGHBRIDGE_TEMPLATE": __file__}, "template-unusable", "FIT"),
    ],
)
def test_wrong_setting_is_named(
    make: Make, environment: dict[str, str], slug: str, named: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A wrong setting is named in the log, for every route. No caller has shown a key yet, so no answer names it."""
    http = make(**environment)
    for answer in (http.post("/", json=READING), http.get("/health")):
        assert problem(answer, 500, slug)["detail"] == "The log of the function says what is wrong."
    logged = [json.loads(line)["detail"] for line in capfd.readouterr().out.splitlines()]
    assert [named in detail for detail in logged] == [True, True]


def test_fixed_setting_needs_no_restart(make: Make, tmp_path: Path) -> None:
    """A template that is fixed is used by the next request, without a restart."""
    http = make(WEIGHBRIDGE_TEMPLATE=tmp_path / "scale.fit")
    problem(http.post("/", json=READING), 500, "template-unusable")
    (tmp_path / "scale.fit").write_bytes((ROOT / "templates" / "weight_scale.fit").read_bytes())
    assert http.post("/", json=READING).status_code == 202


def test_unusable_folder(make: Make, tmp_path: Path) -> None:
    """A folder that cannot take a file is a 503 with Retry-After, and health is not ready."""
    (tmp_path / "occupied").write_text("a file where the folder should be")
    http = make(WEIGHBRIDGE_FOLDER=tmp_path / "occupied")
    answer = http.post("/", json=READING)
    problem(answer, 503, "folder-unusable")
    assert int(answer.headers["Retry-After"]) > 0
    assert http.get("/health").status_code == 503


def test_health_holds_no_measurement(http: FunctionClient) -> None:
    """`GET /health` shows no measurement."""
    http.post("/", json=READING)
    health = http.get("/health")
    assert health.status_code == 200
    assert "81.4" not in health.text
    assert "weight" in health.json["template"]["fields"]


def test_health_says_what_a_key_is_for(make: Make) -> None:
    """With a key, health says what it is for, so that a page can tell a key that only sends; others learn nothing."""
    keys = "home=a-key-of-sixteen-letters,phone:send=another-key-of-sixteen"
    http = make(WEIGHBRIDGE_API_KEYS=keys, WEIGHBRIDGE_TIMEZONE="Europe/Berlin")

    def said(key: str) -> tuple[object, object]:
        health = http.get("/health", headers={"X-API-Key": key} if key else {}).json
        return health.get("key", {}).get("rights"), health.get("timezone")

    everything = ["administer", "delete", "read", "send"]
    assert said("a-key-of-sixteen-letters") == (everything, "Europe/Berlin")
    assert said("another-key-of-sixteen") == (["send"], None)
    assert said("a-wrong-key-of-sixteen") == said("") == (None, None)


# --- bad bodies ---

BAD_BODIES = {
    "empty": (b"", 400),
    "blank": (b"  \n", 400),
    "not json": (b"weight=81", 400),
    "truncated": (b'{"weight_kg": 81.4', 400),
    "trailing": (b'{"weight_kg": 81.4} {}', 400),
    "NaN": (b'{"weight_kg": NaN}', 400),
    "Infinity": (b'{"weight_kg": -Infinity}', 400),
    "duplicate key": (b'{"weight_kg": 81.4, "weight_kg": 80}', 400),
    "invalid UTF-8": (b'{"weight_kg": 81.4, "note": "\xff"}', 400),
    "UTF-16": ('{"weight_kg": 81.4}'.encode("utf-16"), 400),
    "a million digits": (b'{"weight_kg": ' + b"8" * 1_000_000 + b"}", 400),
    "a million decimals": (b'{"weight_kg": 8.' + b"8" * 1_000_000 + b"}", 400),
    "huge exponent": (b'{"weight_kg": 1e999999999999}', 422),
    "absurd exponent": (b'{"weight_kg": 1e99999999999999999999999999999999}', 400),
    "tiny exponent": (b'{"weight_kg": 1e-999999999}', 422),
    "deep array": (b"[" * 500_000 + b"]" * 500_000, 400),
    "deep object": (b'{"a":' * 20_000 + b"1" + b"}" * 20_000, 400),
    "deeper object": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 413),
    "deep value": (b'{"weight_kg":' + b"[" * 300 + b"]" * 300 + b"}", 422),
    "string": (b'"81.4"', 422),
    "number": (b"81.4", 422),
    "null": (b"null", 422),
    "true": (b"true", 422),
    "empty object": (b"{}", 422),
    "null weight": (b'{"weight_kg": null}', 422),
    "true weight": (b'{"weight_kg": true}', 422),
    "list weight": (b'{"weight_kg": [81.4]}', 422),
    "object weight": (b'{"weight_kg": {"kg": 81.4}}', 422),
    "unavailable weight": (b'{"weight_kg": "unavailable"}', 422),
    "huge weight": (b'{"weight_kg": 1e300}', 422),
    "negative weight": (b'{"weight_kg": -81.4}', 422),
    "zero weight": (b'{"weight_kg": 0}', 422),
    "lone surrogate": (b'{"weight_kg": "\\ud800"}', 422),
    "NUL": (b'{"weight_kg": "\\u0000"}', 422),
    "far future": (b'{"weight_kg": 81.4, "measured_at": "2999-01-01T00:00:00Z"}', 422),
    "long ago": (b'{"weight_kg": 81.4, "measured_at": "1999-12-31T23:59:59Z"}', 422),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_bad_body(http: FunctionClient, tmp_path: Path, name: str) -> None:
    """A bad body gets a small problem, and nothing is kept."""
    body, status = BAD_BODIES[name]
    answer = http.post("/", data=body, content_type="application/json")
    problem(answer, status, {400: "not-json", 413: "too-large", 422: "reading-rejected"}[status])
    assert len(answer.data) < 2000, "an answer to nonsense stays small"
    assert not (tmp_path / "kept").exists()


def test_body_limit(http: FunctionClient) -> None:
    """A body of 1 MiB is accepted, and one byte more is refused."""
    problem(http.post("/", data=b" " * ((1 << 20) + 1), content_type="application/json"), 413, "too-large")
    assert (
        http.post("/", data=json.dumps(READING).encode().ljust(1 << 20), content_type="application/json").status_code
        == 202
    )


@pytest.mark.parametrize("media_type", ["application/xml", "text/html", "multipart/mixed; boundary=x", "image/png"])
def test_wrong_media_type(http: FunctionClient, media_type: str) -> None:
    """A body of another media type is refused."""
    problem(http.post("/", data=b"{}", content_type=media_type), 415, "media-type-unsupported")


def test_wrong_charset(http: FunctionClient) -> None:
    """A body in another charset is refused."""
    problem(http.post("/", data=b"{}", content_type="application/json; charset=latin-1"), 415, "media-type-unsupported")


def test_all_errors_at_once(http: FunctionClient) -> None:
    """All errors of a reading are in one answer, each with a message."""
    body = problem(
        http.post("/", json={"weight_kg": 9999, "bmi": "tall", "bone_mass_kg": [3]}), 422, "reading-rejected"
    )
    assert {error["field"] for error in body["errors"]} == {"weight_kg", "bmi", "bone_mass_kg"}
    assert all(error["message"] for error in body["errors"])


# --- the log ---


@pytest.fixture
def log(capfd: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, Any]]]:
    return lambda: [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def test_log_holds_no_secret(make: Make, log: Callable[[], list[Any]]) -> None:
    """Each request writes one line to the log, without a measurement, a key or an identifier."""
    http = make(**KEYS)
    headers = {"Authorization": "Bearer a-key-of-sixteen-letters"}
    http.post("/readings?dry_run=true", json=READING | {"weight_kg": 77.77}, headers=headers)
    http.post("/", json={"weight_kg": "77.77 elephants"}, headers=headers)
    http.post("/", json=READING, headers={"X-API-Key": "planted-secret-key"})
    http.delete("/readings/planted-identifier", headers=headers)
    lines = log()
    assert [(line["route"], line["status"]) for line in lines] == [
        ("/readings", 200),
        ("/readings", 422),
        ("/readings", 401),
        ("/readings/{id}", 404),
    ]
    assert lines[0]["key"] == "home"
    assert lines[1]["fault"] == "ReadingRejected"
    for planted in ("77.77", "elephants", "a-key-of", "planted", "18.2"):
        assert planted not in json.dumps(lines)


class BrokenEnvironment(dict[str, str]):
    def get(self, *_: object) -> str:  # type: ignore[override]
        raise RuntimeError("planted words")


def test_log_names_the_place_of_a_bug() -> None:
    """For an unexpected exception the log names the place but not the message, which may hold what came."""
    lines: list[str] = []
    answer = client_of(Shell(BrokenEnvironment(), lines.append)).post("/", json=READING)
    (line,) = map(json.loads, lines)
    assert answer.status_code == 500
    assert answer.json["type"] == "urn:weighbridge:internal-error"
    assert "planted" not in json.dumps(line) + answer.text
    assert line["fault"] == "RuntimeError"
    assert any("settings.py" in place for place in line["where"])
    assert line["severity"] == "ERROR"


def test_nothing_is_read_at_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that changes between the import and the first request is used."""
    http = client(monkeypatch)
    monkeypatch.setenv("WEIGHBRIDGE_DELIVERY", "pigeon")
    problem(http.get("/health"), 500, "settings-invalid")
