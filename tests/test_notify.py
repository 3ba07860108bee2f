"""Notices and pings: what is sent, when, and that whatever a service does neither delays nor fails a delivery."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.ports import free_port
from weighbridge import __version__
from weighbridge.errors import SettingsInvalid
from weighbridge.garmin.tokens import TokenStore
from weighbridge.garmin.watch import SEND_WITHIN_S
from weighbridge.notify import events
from weighbridge.notify.errands import MOST_WAITING, Errands
from weighbridge.notify.ping import Ping
from weighbridge.notify.send import Notifier, Sent
from weighbridge.secret import SecretStr
from weighbridge.settings import read_settings

from .commands import run
from .e2e.parts import family, wait_until
from .function_client import FunctionClient, client, process
from .garmin.server import GarminStandIn
from .services import TOKEN, UUID, Services, services

READING = {"weight_kg": 81.4, "measured_at": "2026-11-22T06:31:00Z"}
#: Refused: nobody weighs so much.
HEAVY = {"weight_kg": 8143.9, "measured_at": "2026-11-22T06:31:00Z"}
DAY_S = 86_400


@pytest.fixture
def there() -> Iterator[Services]:
    """A service and a monitor. The test fails if they were sent what the real ones refuse."""
    with services() as running:
        yield running
    assert running.unexpected == []


def notifier(*addresses: str, with_values: bool = False, longest_s: float = 30) -> Notifier:
    return Notifier([SecretStr(address) for address in addresses], with_values=with_values, longest_s=longest_s)


def is_free_of_secrets(text: str) -> bool:
    return not any(secret in text for secret in (TOKEN, UUID, "81.4", "8143"))


# -- the services ----------------------------------------------------------------------------------------


def test_notice_arrives(there: Services) -> None:
    """A notice arrives at each service with its title and its text."""
    sent = notifier(there.notify, there.notify).send(events.test())
    assert sent == (Sent(1, "json", ""), Sent(2, "json", ""))
    assert there.notices == [(events.test().title, events.test().text)] * 2


@pytest.mark.parametrize(
    ("status", "why"),
    [(500, "HTTP 500"), (403, "HTTP 403"), (302, "HTTP 302, a redirect, which is not followed")],
)
def test_service_refuses(there: Services, status: int, why: str) -> None:
    """A service that refuses is named with its status, and a redirect is not followed."""
    there.status = status
    assert notifier(there.notify).send(events.test()) == (Sent(1, "json", why),)
    assert len(there.notices) == 1


def test_service_is_down(there: Services) -> None:
    """A service that is down does not keep the next one from being asked."""
    down = f"json://127.0.0.1:{free_port()}/{TOKEN}/"
    assert notifier(down, there.notify).send(events.test()) == (Sent(1, "json", "no answer"), Sent(2, "json", ""))


def test_service_is_silent(there: Services) -> None:
    """A service that takes the connection and says nothing is given up within seconds."""
    there.slow = True
    started = time.monotonic()
    assert notifier(there.notify).send(events.test()) == (Sent(1, "json", "no answer"),)
    assert time.monotonic() - started < 20


def test_answer_without_an_end() -> None:
    """A service that answers a byte each second, without an end, is given up at the deadline."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ended = threading.Event()

        def drip() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while not ended.wait(0.2):
                    connection.sendall(b"x")

        threading.Thread(target=drip, daemon=True).start()
        started = time.monotonic()
        port = listening.getsockname()[1]
        sent = notifier(f"json://127.0.0.1:{port}/{TOKEN}/", longest_s=8).send(events.test())
        ended.set()
    assert sent == (Sent(1, "?", "no answer within 8 s"),)
    assert time.monotonic() - started < 20


def test_address_is_no_argument(there: Services) -> None:
    """While a notice is on its way, its address is in no argument and no environment variable of a process."""
    there.slow = True
    with ThreadPoolExecutor() as pool:
        sending = pool.submit(notifier(there.notify).send, events.test())
        wait_until("the service is asked", lambda: bool(there.notices))
        folders = [Path(f"/proc/{pid}") for pid in family(os.getpid())]
        paths = [folder / name for folder in folders for name in ("cmdline", "environ")]
        shown = b"".join(path.read_bytes() for path in paths if is_readable(path))
        there.release.set()
        sending.result()
    assert b"weighbridge.notify.courier" in shown
    assert TOKEN.encode() not in shown


def is_readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("nosuch://planted-token-9f3e", "of 1: number 1"),
        ("json://localhost nosuch://planted-token-9f3e", "of 2: number 2"),
    ],
)
def test_unknown_service(text: str, number: str) -> None:
    """An address that Apprise does not know stops the start with the name of the setting, without the address."""
    settings = read_settings({"WEIGHBRIDGE_NOTIFY": text})
    with pytest.raises(SettingsInvalid) as caught:
        Notifier(settings.notify, with_values=False).check()
    assert str(caught.value).startswith("WEIGHBRIDGE_NOTIFY must be addresses that Apprise knows")
    assert number in str(caught.value)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    "variables",
    [
        {"WEIGHBRIDGE_NOTIFY": f"{TOKEN}"},
        {"WEIGHBRIDGE_NOTIFY": f"json://ok {TOKEN}"},
        {"WEIGHBRIDGE_PING_URL": f"ftp://{TOKEN}"},
        {"WEIGHBRIDGE_PING_URL": f"https://hc/{TOKEN} {TOKEN}"},
        {"WEIGHBRIDGE_NOTIFY_VALUES": f"{TOKEN}"},
    ],
    ids=str,
)
def test_wrong_setting(variables: dict[str, str]) -> None:
    """A setting with the wrong form is refused by its name, without its value."""
    with pytest.raises(SettingsInvalid) as caught:
        read_settings(variables)
    assert str(caught.value).startswith(next(iter(variables)))
    assert TOKEN not in str(caught.value)


def test_several_services_in_a_file(tmp_path: Path) -> None:
    """Addresses may be in a file, one a line or with commas, and a comma within one stays; no way shows them."""
    path = tmp_path / "notify"
    path.write_text(f"ntfys://ntfy.sh/{TOKEN}\njson://one/a,b?to=c, mailtos://anna:{TOKEN}@example.com\n")
    settings = read_settings({"WEIGHBRIDGE_NOTIFY_FILE": str(path)})
    assert [service.get_secret_value().partition(":")[0] for service in settings.notify] == ["ntfys", "json", "mailtos"]
    assert settings.notify[1].get_secret_value() == "json://one/a,b?to=c"
    assert TOKEN not in f"{settings!r} {settings}"


def test_busy_machine_starts(there: Services, caplog: pytest.LogCaptureFixture) -> None:
    """A machine that is too busy to check the addresses starts all the same, and the log says so."""
    assert notifier(there.notify, longest_s=0.01).check() == ("?",)
    assert caplog.messages == ["WEIGHBRIDGE_NOTIFY could not be checked: Apprise did not answer within 0.01 s"]


# -- the monitor -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["", "/", "?create=1"])
def test_ping(there: Services, end: str) -> None:
    """Success pings the address itself, a failure the address with /fail, whatever its end."""
    ping = Ping(SecretStr(there.ping_url + end))
    assert (ping.send(success=True), ping.send(success=False)) == ("", "")
    assert there.pings == ["success", "fail"]


@pytest.mark.parametrize(
    ("status", "why"), [(500, "HTTP 500"), (404, "HTTP 404"), (307, "HTTP 307, a redirect, which is not followed")]
)
def test_monitor_refuses(there: Services, status: int, why: str) -> None:
    """A monitor that refuses is named with its status, and a redirect is not followed."""
    there.status = status
    assert Ping(SecretStr(there.ping_url)).send(success=True) == why
    assert there.pings == ["success"]


def test_monitor_is_down() -> None:
    """A monitor that is down is a sentence without its address."""
    why = Ping(SecretStr(f"http://127.0.0.1:{free_port()}/{UUID}")).send(success=True)
    assert why == "no answer (ConnectionError)"


# -- after an answer -------------------------------------------------------------------------------------

Make = Callable[..., FunctionClient]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, garmin: GarminStandIn, there: Services, tmp_path: Path) -> Make:
    """A function that delivers to Garmin, or else into a folder, with a service and a monitor."""
    garmin.write_token(tmp_path / "tokens")
    environment = {
        "WEIGHBRIDGE_DELIVERY": "garth,folder",
        "WEIGHBRIDGE_FOLDER": tmp_path / "kept",
        "WEIGHBRIDGE_TOKENS": tmp_path / "tokens",
        "WEIGHBRIDGE_CONFIRM_SECONDS": 1,
        "GARMIN_DOMAIN": garmin.domain,
        "GARMIN_CA_BUNDLE": garmin.ca_bundle,
        "WEIGHBRIDGE_NOTIFY": there.notify,
        "WEIGHBRIDGE_PING_URL": there.ping_url,
    }
    return lambda **others: client(monkeypatch, **(environment | others))


def test_delivery_pings_success(make: Make, there: Services, caplog: pytest.LogCaptureFixture) -> None:
    """A reading that has arrived pings success, and so does one that was there already; a dry run pings nothing."""
    function = make()
    assert function.post("/?dry_run=true", json=READING).status_code == 200
    assert function.post("/", json=READING).status_code == 201
    assert function.post("/", json=READING).json["status"] == "present"
    wait_until("both are pinged", lambda: there.pings == ["success", "success"])
    assert there.notices == []
    assert caplog.messages == []


def test_files_are_a_success_if_they_are_wanted(make: Make, there: Services) -> None:
    """Where readings are meant to be kept as files, a kept file pings success."""
    assert make(WEIGHBRIDGE_DELIVERY="folder").post("/", json=READING).json["status"] == "kept"
    wait_until("it is pinged", lambda: there.pings == ["success"])


def test_sign_in_ended(make: Make, garmin: GarminStandIn, there: Services, caplog: pytest.LogCaptureFixture) -> None:
    """A sign-in that has ended is one notice with its fix, whoever finds it, and each delivery pings the failure."""
    garmin.revoke()
    garmin.expire_access_tokens()
    first, second = make(), make()
    for function in (first, second, first):
        assert function.post("/", json=READING).json["status"] == "kept"
    wait_until("all are pinged", lambda: there.pings == ["fail"] * 3)
    wait_until("it is sent", lambda: bool(there.notices))
    ((title, text),) = there.notices
    assert title == "Signing in to Garmin is needed"
    assert text.endswith("Sign in again: weighbridge login.")
    assert is_free_of_secrets(text + caplog.text)


def test_garmin_asks_to_wait(make: Make, garmin: GarminStandIn, there: Services) -> None:
    """What may pass by itself is neither a success nor a failure: if it does not pass, the pings stop."""
    function = make(WEIGHBRIDGE_DELIVERY="garth")
    garmin.faults.add("weight", "429")
    assert function.post("/", json=READING).status_code == 503
    assert make(WEIGHBRIDGE_DELIVERY="folder").post("/", json=READING).status_code == 202
    wait_until("the other one is pinged", lambda: bool(there.pings))
    assert there.pings == ["success"]


def test_refused_reading(make: Make, there: Services, caplog: pytest.LogCaptureFixture) -> None:
    """A refused reading is one notice, however often it is sent, without a measurement and with the name of the key."""
    function = make()
    for _ in range(3):
        assert function.post("/", json=HEAVY).status_code == 422
    assert function.post("/", data='{"weight": ', content_type="application/json").status_code == 400
    wait_until("both are sent", lambda: len(there.notices) == 2)
    assert there.titles == ["A reading was refused"] * 2
    assert there.notices[0][1].startswith("The reading cannot be right: weight_kg. It was not sent to Garmin. It came ")
    assert "the key local" in there.notices[0][1]
    assert there.pings == []
    assert function.post("/", json=[HEAVY, READING, HEAVY | {"body_fat_percent": 18}]).status_code == 207
    wait_until("the batch is done", lambda: there.pings == ["success"] and len(there.notices) == 3)
    assert there.titles[2] == "2 readings were refused"
    assert is_free_of_secrets(str(there.notices) + caplog.text)


def test_values_for_those_who_want_them(make: Make, there: Services) -> None:
    """With WEIGHBRIDGE_NOTIFY_VALUES, a notice has the measurement, and of a conflict both."""
    function = make(WEIGHBRIDGE_NOTIFY_VALUES="true")
    function.post("/", json=HEAVY)
    wait_until("it is sent", lambda: len(there.notices) == 1)
    assert "Got 8143.9." in there.notices[0][1]
    function.post("/", json=READING)
    assert function.post("/", json=READING | {"weight_kg": 80.9}).status_code == 409
    wait_until("that of the conflict is sent", lambda: len(there.notices) == 2)
    assert there.notices[1][1].endswith("This reading: 80.9 kg.\nGarmin: 81.4 kg.")


def test_own_programs_show_it_themselves(make: Make, there: Services) -> None:
    """What a program of Weighbridge shows its user by itself makes no notice; what the poller only logs does."""
    function = make()
    function.post("/", json=HEAVY, headers={"User-Agent": f"weighbridge/{__version__}"})
    function.post("/", json=HEAVY | {"person": "x"}, headers={"User-Agent": f"weighbridge-fitdays/{__version__}"})
    wait_until("one is sent", lambda: bool(there.notices))
    function.post("/", json=READING)
    wait_until("what came later is done", lambda: bool(there.pings))
    assert len(there.notices) == 1


def test_flood_of_refusals(make: Make, there: Services, caplog: pytest.LogCaptureFixture) -> None:
    """Of many different refused readings within ten minutes, five are notices, and the log has the others."""
    function = make()
    for day in range(1, 9):
        function.post("/", json=HEAVY | {"measured_at": f"2026-11-{day:02}T06:31:00Z"})
    wait_until("the others are logged", lambda: caplog.text.count("was left out") == 3)
    assert len(there.notices) == 5


def test_nobody_waits_for_a_silent_service(garmin: GarminStandIn, there: Services, tmp_path: Path) -> None:
    """While the service and the monitor say nothing, each reading is answered and arrives; the log has no secret."""
    garmin.write_token(tmp_path / "tokens")
    there.slow = True
    environment = {
        "WEIGHBRIDGE_API_KEYS": "home=a-key-of-sixteen-letters",
        "WEIGHBRIDGE_DELIVERY": "garth",
        "WEIGHBRIDGE_TOKENS": tmp_path / "tokens",
        "WEIGHBRIDGE_CONFIRM_SECONDS": 1,
        "GARMIN_DOMAIN": garmin.domain,
        "GARMIN_CA_BUNDLE": garmin.ca_bundle,
        "WEIGHBRIDGE_NOTIFY": there.notify,
        "WEIGHBRIDGE_PING_URL": there.ping_url,
    }
    with process(environment) as (address, running):
        answers = []
        for day in (20, 21, 22):
            answers.append(post(address, READING | {"measured_at": f"2026-11-{day}T06:31:00Z"}))
            answers.append(post(address, HEAVY))
        assert answers == [201, 422] * 3
        wait_until("the monitor was asked", lambda: bool(there.pings))
        assert not there.release.is_set()
        wait_until("the log says so", lambda: "the ping of WEIGHBRIDGE_PING_URL was not taken" in running.log(), 60)
        log = running.log()
    assert len(garmin.weigh_ins()) == 3
    assert is_free_of_secrets(log), log


def post(address: str, reading: dict[str, object]) -> int:
    import httpx

    key = {"Authorization": "Bearer a-key-of-sixteen-letters"}
    return httpx.post(address, json=reading, headers=key, timeout=8).status_code


def test_unknown_service_is_a_wrong_setting(make: Make) -> None:
    """A function with an address that Apprise does not know answers that it is misconfigured."""
    answer = make(WEIGHBRIDGE_NOTIFY=f"nosuch://{TOKEN}").post("/", json=READING)
    assert (answer.status_code, answer.json["type"]) == (500, "urn:weighbridge:settings-invalid")
    assert TOKEN not in answer.text


def test_too_many_errands() -> None:
    """What waits has a limit: the oldest is left out, and the rest is done in its order by a thread that then ends."""
    errands, done, may_go = Errands(), list[int](), threading.Event()
    errands.add(lambda: may_go.wait() and None)
    wait_until("the first is being done", lambda: any(each.name == "errands" for each in threading.enumerate()))
    for number in range(MOST_WAITING + 3):
        errands.add(lambda number=number: done.append(number))  # type: ignore[misc]
    may_go.set()
    wait_until("all is done", lambda: len(done) >= MOST_WAITING)
    wait_until("no thread is left", lambda: all(each.name != "errands" for each in threading.enumerate()))
    assert done == sorted(done)
    assert done[-1] == MOST_WAITING + 2
    assert len(done) <= MOST_WAITING + 1


# -- weighbridge refresh ---------------------------------------------------------------------------------


@pytest.fixture
def env(garmin: GarminStandIn, there: Services, tmp_path: Path) -> dict[str, str]:
    garmin.write_token(tmp_path / "tokens", "anna")
    return {
        "WEIGHBRIDGE_TOKENS": str(tmp_path / "tokens"),
        "GARMIN_DOMAIN": garmin.domain,
        "GARMIN_CA_BUNDLE": str(garmin.ca_bundle),
        "WEIGHBRIDGE_NOTIFY": there.notify,
    }


def ends_in(env: dict[str, str], days: float) -> None:
    """Let the stored sign-in of Anna end in so many days, as if nothing had renewed it."""
    store = TokenStore(Path(env["WEIGHBRIDGE_TOKENS"]), "anna")
    token = store.read()
    assert token
    store.save(replace(token, refresh_expires_at=time.time() + days * DAY_S))


def test_end_is_announced(there: Services, env: dict[str, str]) -> None:
    """The end of a sign-in is announced 14 days, 7 days and 1 day before, once each, with its command."""
    for days in (14.2, 13.9, 7.1, 6.9, 1.1, 0.9, 0.8):
        ends_in(env, days)
        assert run(["refresh"], env) == 0
    assert there.titles == [f"The sign-in to Garmin ends in {when} (anna)" for when in ("14 days", "7 days", "1 day")]
    assert there.notices[0][1].endswith("weighbridge login --name anna.")


def test_announced_again_after_a_new_sign_in(there: Services, env: dict[str, str]) -> None:
    """A sign-in that works again starts over: its own end is announced, too."""
    for days in (6, 30, 6):
        ends_in(env, days)
        run(["refresh"], env)
    assert len(there.notices) == 2


def test_notice_that_failed_is_sent_later(
    there: Services, env: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A notice that no service took is sent again later, not at once, and then no more."""
    ends_in(env, 6)
    there.status = 500
    run(["refresh"], env)
    assert "anna: a notice was not sent: service 1 (json): HTTP 500" in capsys.readouterr().err
    there.status = 200
    run(["refresh"], env)
    assert len(there.notices) == 1
    file = Path(env["WEIGHBRIDGE_TOKENS"], "anna.notice")
    known = json.loads(file.read_text())
    file.write_text(json.dumps(known | {"at": known["at"] - SEND_WITHIN_S}))
    run(["refresh"], env)
    run(["refresh"], env)
    assert len(there.notices) == 2


def test_several_find_it_at_once(there: Services, env: dict[str, str]) -> None:
    """Of several that find an event at once, one sends the notice."""
    ends_in(env, 6)
    with ThreadPoolExecutor(4) as pool:
        codes = [*pool.map(lambda _: run(["refresh"], env), range(4))]
    assert codes == [0] * 4
    assert len(there.notices) == 1


def test_unknown_service_stops_no_renewal(
    garmin: GarminStandIn, env: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A token is renewed even if an address is one that Apprise does not know; the command then fails, and says so."""
    assert run(["refresh", "--force"], env | {"WEIGHBRIDGE_NOTIFY": f"nosuch://{TOKEN}"}) == 1
    output = capsys.readouterr()
    assert garmin.sign_in.refreshes == 1
    assert output.out.startswith("anna: renewed now")
    assert output.err.startswith("WEIGHBRIDGE_NOTIFY must be")
    assert TOKEN not in output.err


def test_file_is_private(there: Services, env: dict[str, str]) -> None:
    """The file beside the token is readable only by its owner, and has no secret."""
    ends_in(env, 6)
    run(["refresh"], env)
    path = Path(env["WEIGHBRIDGE_TOKENS"], "anna.notice")
    assert path.stat().st_mode & 0o777 == 0o600
    assert TOKEN not in path.read_text()


# -- weighbridge notify ----------------------------------------------------------------------------------


def test_command(there: Services, env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """`weighbridge notify` sends a test to each service and to the monitor, and says what became of it."""
    both = env | {"WEIGHBRIDGE_PING_URL": there.ping_url}
    assert run(["notify"], both) == 0
    assert capsys.readouterr().out == "notice, service 1 (json): sent.\nping: taken.\n"
    there.status = 500
    assert run(["notify", "--fail"], both) == 1
    output = capsys.readouterr()
    assert output.out == "notice, service 1 (json): HTTP 500.\nping: HTTP 500.\n"
    assert "No service took the notice." in output.err
    assert there.pings == ["success", "fail"]
    assert is_free_of_secrets(output.out + output.err)


def test_command_without_a_setting(env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Without either setting, it names both."""
    del env["WEIGHBRIDGE_NOTIFY"]
    assert run(["notify"], env) == 1
    assert capsys.readouterr().err == (
        "Neither WEIGHBRIDGE_NOTIFY nor WEIGHBRIDGE_PING_URL is set. Set one, and run this again.\n"
    )
