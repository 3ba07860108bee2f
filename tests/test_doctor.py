"""weighbridge doctor: each link is checked by using it, and each failure names its fix."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from weighbridge.garmin.tokens import TokenStore
from weighbridge.operate.doctor import LINKS

from .commands import NOBODY, run
from .garmin.server import GarminStandIn

#: What this environment does not configure, and the last delivery, which is then the weigh-in that was sent.
NOT_HERE = ("outbox", "broker", "function", "last delivery")


@pytest.fixture
def env(garmin: GarminStandIn, tmp_path: Path) -> dict[str, str]:
    garmin.write_token(tmp_path / "tokens")
    return {
        "WEIGHBRIDGE_DELIVERY": "garth,folder",
        "WEIGHBRIDGE_TOKENS": str(tmp_path / "tokens"),
        "WEIGHBRIDGE_FOLDER": str(tmp_path / "weigh-ins"),
        "WEIGHBRIDGE_CONFIRM_SECONDS": "0.2",
        "GARMIN_DOMAIN": garmin.domain,
        "GARMIN_PERSONAL_API_KEY": garmin.personal.key,
        "GARMIN_CA_BUNDLE": str(garmin.ca_bundle),
    }


def answers(*texts: str) -> Callable[[str], str]:
    left = list(texts)
    return lambda _question: left.pop(0)


def doctor(words: Sequence[str], env: dict[str, str], *, ask: Callable[[str], str]) -> int:
    return run(["doctor", *words], env, replace(NOBODY, ask=ask))


def marks(screen: str) -> dict[str, str]:
    """The name of each link -> ok, FAILS or –."""
    found = {}
    for line in screen.splitlines():
        mark, name = line[2:8].strip(), line[8:22].strip()
        if name in {link.name for link in LINKS}:
            found[name] = mark
    return found


def test_all_links_ok(garmin: GarminStandIn, env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """If all works, each link is ok and no weigh-in is left in Garmin."""
    others = {"WEIGHBRIDGE_TIMEZONE": "Asia/Tokyo", "WEIGHBRIDGE_NOTIFY": "json://localhost/planted-token"}
    assert doctor([], env | others, ask=answers("81,4 kg", "y")) == 0
    shown = capsys.readouterr().out
    assert marks(shown) == {link.name: "ok" for link in LINKS} | dict.fromkeys(NOT_HERE, "–")
    assert "Times without an offset are in Asia/Tokyo (from WEIGHBRIDGE_TIMEZONE)." in " ".join(shown.split())
    assert "notices go to: json. To send a test: weighbridge notify." in shown
    assert "planted" not in shown
    assert (garmin.uploads_stored, garmin.sign_in.refreshes, garmin.weigh_ins()) == (1, 1, [])


def test_weigh_in_stays(garmin: GarminStandIn, env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """If the user does not want it deleted, the weigh-in stays in Garmin."""
    assert doctor([], env, ask=answers("81.4", "")) == 0
    assert marks(capsys.readouterr().out)["taking back"] == "–"
    assert [held["weight"] for held in garmin.weigh_ins()] == [81400.0]


def test_nothing_sent(garmin: GarminStandIn, env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is sent unless a weight is entered."""

    def nobody(_question: str) -> str:
        raise EOFError

    assert doctor([], env, ask=nobody) == 0
    shown = marks(capsys.readouterr().out)
    assert (shown["reading"], shown["sending"], shown["reading back"]) == ("ok", "–", "–")
    assert garmin.uploads_received == 0


def test_no_personal_api_key(env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Without a key of the Personal API all other links are checked."""
    assert doctor([], {**env, "GARMIN_PERSONAL_API_KEY": ""}, ask=answers("")) == 0
    assert marks(capsys.readouterr().out)["official"] == "–"


@pytest.mark.parametrize(("weight", "words"), [("heavy", "such as 81.4"), ("700", "400"), ("nan", "such as 81.4")])
def test_impossible_weight(
    garmin: GarminStandIn, env: dict[str, str], capsys: pytest.CaptureFixture[str], weight: str, words: str
) -> None:
    """An impossible weight is reported and not sent."""
    assert doctor([], env, ask=answers(weight)) == 1
    screen = capsys.readouterr().out
    assert marks(screen)["sending"] == "FAILS"
    assert words in screen
    assert garmin.uploads_received == 0


@pytest.mark.parametrize(
    ("route", "fault", "link", "words"),
    [
        ("diauth/token", "429", "renewal", "wait"),
        ("diauth/token", "503", "renewal", "is not working"),
        ("diauth/token", "firewall-html", "renewal", "a proxy"),
        ("weight/range", "403-cloudflare", "reading", "another network"),
        ("weight/range", "429", "reading", "wait"),
        ("weight/range", "firewall-html", "reading", "firewall"),
        ("personal/token", "401", "official", "Make a new key"),
        ("personal/range", "429", "official", "wait"),
        ("upload", "412", "sending", "consent"),
        ("upload", "403", "sending", "another network"),
        ("upload", "400", "sending", "did not import"),
        ("upload", "504", "sending", "Send the same reading again"),
        ("weight/delete", "403", "taking back", "forbids"),
    ],
)
def test_failure_at_its_link(
    garmin: GarminStandIn,
    env: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    route: str,
    fault: str,
    link: str,
    words: str,
) -> None:
    """A failure is shown at its link with its fix, and the links that need it are skipped."""
    garmin.faults.add(route, fault, times=None)
    assert doctor([], env, ask=answers("81.4", "y")) == 1
    screen = capsys.readouterr().out
    shown = marks(screen)
    names = [each.name for each in LINKS]
    assert [name for name in names if shown[name] == "FAILS"] == [link]
    if link != "official":  # no other link needs it
        assert {shown[name] for name in names[names.index(link) + 1 :] if name != "official"} <= {"–"}
    assert words in screen
    assert "Fix what FAILS" in screen


def test_not_shown(garmin: GarminStandIn, env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """A weigh-in that Garmin does not show fails at the link `reading back`."""
    garmin.weights.show_delay_s = 3600
    assert doctor([], env, ask=answers("81.4")) == 1
    screen = capsys.readouterr().out
    assert (marks(screen)["sending"], marks(screen)["reading back"]) == ("ok", "FAILS")
    assert "WEIGHBRIDGE_CONFIRM_SECONDS" in screen


@pytest.mark.parametrize(
    ("change", "link", "words"),
    [
        ({"WEIGHBRIDGE_TOKENS": "/nonexistent"}, "token", "login"),
        ({"WEIGHBRIDGE_TEMPLATE": "/nonexistent"}, "template", "WEIGHBRIDGE_TEMPLATE"),
        ({"WEIGHBRIDGE_DELIVERY": "pigeon"}, "settings", "WEIGHBRIDGE_DELIVERY must be"),
        ({"GARMIN_CA_BUNDLE": ""}, "renewal", "GARMIN_CA_BUNDLE"),
        ({"GARMIN_DOMAIN": "weighbridge.invalid"}, "renewal", "Check the network"),
    ],
)
def test_invalid_setting(
    env: dict[str, str], capsys: pytest.CaptureFixture[str], change: dict[str, str], link: str, words: str
) -> None:
    """An invalid setting is shown at the link that uses it."""
    assert doctor([], {**env, **change}, ask=answers("", "")) == 1
    screen = capsys.readouterr().out
    assert marks(screen)[link] == "FAILS"
    assert words in screen


def test_only_files(garmin: GarminStandIn, env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """If there is a token, and readings are still only kept as files, the doctor warns, with the command."""
    env["WEIGHBRIDGE_DELIVERY"] = "folder"
    assert doctor([], env, ask=answers("")) == 0
    screen = capsys.readouterr().out
    assert marks(screen) | {"delivery": "WARNS", "sending": "–"} == marks(screen)
    assert marks(screen)["reading"] == "ok"
    assert "To upload them: WEIGHBRIDGE_DELIVERY=garmin,folder weighbridge serve\n" in screen
    assert "see what WARNS" in screen
    assert doctor(["--json"], env, ask=answers()) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["ok"] is True
    assert [link["link"] for link in said["links"] if link["outcome"] == "warns"] == ["delivery"]


def test_only_files_and_no_token(env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Without a token, nothing warns of it: the user may want files."""
    env |= {"WEIGHBRIDGE_DELIVERY": "folder", "WEIGHBRIDGE_TOKENS": "/nonexistent"}
    assert doctor([], env, ask=answers("")) == 1
    screen = capsys.readouterr().out
    assert marks(screen)["delivery"] == "–"
    assert "WARNS" not in screen


def test_whose(env: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With several people, the doctor without --name asks for one, and does not offer a sign-in for nobody."""
    people = tmp_path / "people.toml"
    people.write_text('[[person]]\nname = "Anna"\n[[person]]\nname = "Ben"\n')
    env["WEIGHBRIDGE_PEOPLE"] = str(people)
    assert doctor([], env, ask=answers("")) == 1
    screen = capsys.readouterr().out
    assert marks(screen)["settings"] == "FAILS"
    assert "Add --name anna or --name ben." in screen
    assert "weighbridge login" not in screen


def test_sign_in_ended(garmin: GarminStandIn, env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """An ended sign-in fails at `renewal`, with the command for a new one."""
    garmin.revoke()
    assert doctor([], env, ask=answers("")) == 1
    screen = capsys.readouterr().out
    assert marks(screen)["renewal"] == "FAILS"
    assert "login" in screen


def test_no_secret(garmin: GarminStandIn, env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """The output holds no secret and no measurement."""
    store = TokenStore(Path(env["WEIGHBRIDGE_TOKENS"]))
    planted = json.loads(store.path.read_text())
    doctor([], env, ask=answers("81.4", "y"))
    renewed = json.loads(store.path.read_text())
    output = capsys.readouterr()
    for token in (planted, renewed):
        for name in ("access_token", "refresh_token"):
            assert token[name] not in output.out + output.err
    assert planted["refresh_token"] != renewed["refresh_token"]
    assert garmin.personal.key not in output.out + output.err
    assert "81.4" not in output.out + output.err


def test_other_person(garmin: GarminStandIn, env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """--name selects the token of another person."""
    folder = Path(env["WEIGHBRIDGE_TOKENS"])
    (folder / "default.json").rename(folder / "anna.json")
    assert doctor([], env, ask=answers("")) == 1
    assert doctor(["--name", "anna"], env, ask=answers("")) == 0


def test_other_person_without_key(
    garmin: GarminStandIn, env: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """For another person the Personal API key is not used: it reads one account."""
    folder = Path(env["WEIGHBRIDGE_TOKENS"])
    (folder / "default.json").rename(folder / "anna.json")
    assert doctor(["--name", "anna"], env, ask=answers("")) == 0
    assert marks(capsys.readouterr().out)["official"] == "–"
    assert [logged.route for logged in garmin.requests if logged.route.startswith("personal/")] == []


def test_json(garmin: GarminStandIn, env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """--json asks nothing and sends nothing, and its output holds no secret and no measurement."""
    garmin.weights.add({"timestamp": 1_163_600_000, "weight": 7777})
    store = TokenStore(Path(env["WEIGHBRIDGE_TOKENS"]))
    secrets = [json.loads(store.path.read_text())[name] for name in ("access_token", "refresh_token")]
    assert run(["doctor", "--json"], env) == 0
    text = capsys.readouterr().out
    answer = json.loads(text)
    secrets += [json.loads(store.path.read_text())[name] for name in ("access_token", "refresh_token")]
    assert (answer["name"], answer["ok"]) == ("default", True)
    assert [link["link"] for link in answer["links"]] == [link.name for link in LINKS]
    outcomes = {link["link"]: link["outcome"] for link in answer["links"]}
    assert (outcomes["renewal"], outcomes["official"], outcomes["sending"]) == ("ok", "ok", "skipped")
    assert garmin.uploads_received == 0
    for secret in (*secrets, garmin.personal.key, "77.77"):
        assert secret not in text


def test_json_failure(garmin: GarminStandIn, env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """With --json, a failure is shown at its link."""
    garmin.faults.add("weight/range", "429", times=None)
    assert run(["doctor", "--json"], env) == 1
    answer = json.loads(capsys.readouterr().out)
    assert not answer["ok"]
    (failed,) = [link for link in answer["links"] if link["outcome"] == "fails"]
    assert failed["link"] == "reading"
    assert "wait" in failed["detail"]


def test_browser_delivery(env: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the delivery `browser`, the browser is checked and no token is needed."""
    change = {"WEIGHBRIDGE_DELIVERY": "browser,folder", "WEIGHBRIDGE_BROWSER_PROFILE": str(tmp_path / "none")}
    assert doctor([], {**env, **change}, ask=answers("")) == 1
    screen = capsys.readouterr().out
    shown = marks(screen)
    assert (shown["token"], shown["renewal"], shown["reading"]) == ("–", "–", "FAILS")
    assert "no browser profile" in screen
