"""weighbridge doctor: one screen that checks each link from the scale's messages to Garmin Connect, with the user's own
account.

Rule: each link is checked by using it, never by reading a setting. If no weigh-in is sent, what the last one of the
function came to counts instead. A link that fails says how to fix it, and links that need it
are skipped. A weigh-in is sent only when the user enters a weight, and deleted only when the user agrees. Nothing
printed holds a secret. The weight that was entered is the only measurement that is used.

Rule: what is not configured here is skipped. The container of a caller has no token, and that of the function has no
broker; the service `doctor` of compose.yaml has both.

Strategy: the outbox checks its own links (`weighbridge outbox check`), because only it knows its tables.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Literal, NamedTuple

import click

from .. import __version__
from ..client import Client, read_target
from ..commands import command as typed
from ..commands import sign_in_again, to_upload
from ..compose import (
    garmin_connect,
    garmin_names,
    notifier_of,
    only_files,
    personal_api,
    token_library,
    token_session,
    token_store,
    usable_template,
)
from ..delivery.port import Delivered
from ..errors import (
    GarminRefused,
    NotFound,
    OwnerFault,
    ReadingRejected,
    SettingsInvalid,
    SignInNeeded,
    WeighbridgeError,
)
from ..fit.template import Template
from ..garmin.connect import GarminConnect
from ..garmin.sessions.token_session import TokenSession
from ..pipeline import Prover
from ..reading.reading import Reading
from ..settings import Settings, text_of
from . import options
from .surroundings import Ask, Surroundings

#: The variable that configures a link which not everybody has.
OUTBOX, BROKER, FUNCTION = "DATABASE_URL", "MQTT_URL", "WEIGHBRIDGE_URL"

DAYS_READ = 30
SHORT_DAYS = 3


class NotTried(Exception):
    """The user does not want to try this link."""


class Doubtful(Exception):
    """The link works, but it is probably not as the user wants it."""


class NotNeeded(Exception):
    """The delivery does not need this link."""


@dataclass
class Run:
    """One run of the doctor."""

    around: Surroundings
    token_name: str
    #: None: no questions, so nothing is sent.
    ask: Ask | None
    # Results of the links so far. A link runs only after those that it needs.
    settings: Settings = field(init=False)
    template: Template = field(init=False)
    reading: Reading = field(init=False)
    outcome: Delivered = field(init=False)
    weigh_in_id: str = field(init=False)
    has_tried_to_send: bool = False

    @cached_property  # a browser's profile allows one session
    def garmin(self) -> GarminConnect:
        return garmin_connect(garmin_names(self.settings)[0], self.settings)

    @cached_property  # one process for both of its links
    def outbox_findings(self) -> Mapping[str, Finding]:
        words = [sys.executable, "-P", "-m", "weighbridge", "outbox", "check", "--json"]
        environment = dict(self.around.environment)
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)  # noqa: S603  # ours
        try:
            return {each["link"]: Finding(**each) for each in json.loads(done.stdout)}
        except ValueError:
            raise SettingsInvalid(done.stderr.strip() or "The outbox could not be checked.") from None

    def is_set(self, name: str) -> bool:
        return bool(text_of(name, self.around.environment))

    def is_caller(self) -> bool:
        """Whether this is the environment of a program that calls the function, which has the token."""
        return not self.is_set("WEIGHBRIDGE_DELIVERY") and any(map(self.is_set, (OUTBOX, BROKER, FUNCTION)))

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.around.now(), UTC)

    def token_session(self) -> TokenSession:
        if garmin_names(self.settings)[0] == "browser":
            raise NotNeeded("the delivery `browser` uses the sign-in of its profile, and needs no token.")
        return token_session(token_library(self.settings), self.settings)

    def answer(self, question: str) -> str:
        if self.ask is None:
            return ""
        try:
            return self.ask(f"        {question}").strip()
        except EOFError:
            print()
            return ""


class Finding(NamedTuple):
    link: str
    outcome: Literal["ok", "warns", "skipped", "fails"]
    detail: str


class Link(NamedTuple):
    name: str
    needs: tuple[str, ...]
    prove: Callable[[Run], str]


def _settings(run: Run) -> str:
    settings = run.settings = options.settings_of(run.around.environment, run.token_name)
    names = ", then ".join(settings.delivery)
    zone = f"Times without an offset are in {settings.timezone} (from {settings.timezone_from})."
    return f"readings go to: {names}. Garmin is {settings.garmin_domain}. {zone}"


def _template(run: Run) -> str:
    try:
        run.template = usable_template(run.settings)
    except WeighbridgeError as e:
        raise OwnerFault(f"{e} Set WEIGHBRIDGE_TEMPLATE to another template, or unset it.") from e
    return f"{run.settings.template.name} takes {len(run.template.fields)} values, proven by fitdecode."


def _token(run: Run) -> str:
    try:
        days = run.token_session().token_days_left()  # raises if there is none
    except SignInNeeded:
        if run.is_caller():
            raise NotTried("WEIGHBRIDGE_DELIVERY is not set here: the function delivers, and has the token.") from None
        raise
    age_s = max(run.around.now() - token_store(run.settings).renewed_at(), 0)
    age = f"stored {_span(age_s)} ago"
    if days is None:
        return f"{age}; Garmin did not say when the sign-in ends."
    if days <= 0:
        raise OwnerFault(f"The sign-in has ended. {sign_in_again(run.token_name)}")
    if days < SHORT_DAYS:
        return f"{age}; the sign-in ends in {_span(days * 86_400)}, unless it is renewed first."
    return f"{age}; the sign-in ends in {days:.0f} days."


def _delivery(run: Run) -> str:
    if only_files(run.settings):
        raise Doubtful(
            "you have signed in, but WEIGHBRIDGE_DELIVERY is still `folder`: readings are only kept as files. "
            f"{to_upload(in_container=run.around.terminal.in_container())}"
        )
    return "readings go to Garmin Connect."


def _renewal(run: Run) -> str:
    session = run.token_session()
    session.renew()
    days = session.token_days_left()
    return "the token was renewed and saved" + (f"; the sign-in ends in {days:.0f} days." if days is not None else ".")


def _reading(run: Run) -> str:
    today = run.now().date()
    found = run.garmin.list_weigh_ins(today - timedelta(days=DAYS_READ), today + timedelta(days=1))
    newest = f", the newest from {found[-1].calendar_date.isoformat()}" if found else ""
    return f"Garmin Connect shows {len(found)} weigh-in(s) from the last {DAYS_READ} days{newest}."


def _official(run: Run) -> str:
    official = personal_api(run.settings)
    if official is None:
        raise NotTried("GARMIN_PERSONAL_API_KEY is not set; readings are confirmed through the sign-in only.")
    today = run.now().date()
    found = official.weigh_ins(today - timedelta(days=DAYS_READ), today + timedelta(days=1))
    announced = official.health().get("detail", "")
    return f"Garmin's Personal API shows {len(found)} weigh-in(s) from the last {DAYS_READ} days. {announced}".strip()


def _sending(run: Run) -> str:
    reading = Reading(measured_at=run.now(), weight_kg=_asked_weight(run))
    run.has_tried_to_send = True
    outcome = run.garmin.deliver([reading], Prover(run.template), replace=False)[reading]
    if isinstance(outcome, WeighbridgeError):
        raise outcome
    run.reading, run.outcome = reading, outcome
    return "one proven weigh-in was sent, and Garmin Connect accepted it."


def _reading_back(run: Run) -> str:
    outcome = run.outcome
    if outcome.status not in ("confirmed", "present"):
        raise GarminRefused(
            f"{' '.join(map(str, outcome.warnings))} Look in Garmin Connect in a few minutes. If "
            "the weigh-in is there, set WEIGHBRIDGE_CONFIRM_SECONDS higher; if not, check whether Garmin Connect asks "
            "for consent to uploads."
        )
    run.weigh_in_id = _id_of(run.garmin, run.reading)
    return f"the weigh-in was read back from Garmin Connect ({outcome.status})."


def _taking_back(run: Run) -> str:
    if run.answer("Delete this weigh-in from Garmin Connect? [y/N] ").lower() not in ("y", "yes"):
        raise NotTried("it stays in Garmin Connect.")
    run.garmin.delete_weigh_in(run.weigh_in_id)
    try:
        _id_of(run.garmin, run.reading)
    except NotFound:
        return "it was deleted; Garmin Connect no longer shows it."
    raise GarminRefused("Garmin Connect still shows the weigh-in. Delete it there by hand.")


def _last_delivery(run: Run) -> str:
    if run.has_tried_to_send:
        raise NotTried("it was the weigh-in above.")
    last = run.garmin.last_outcome()
    if not last.code:
        raise NotTried("no reading was delivered yet.")
    if trouble := last.trouble(run.around.now()):
        raise OwnerFault(trouble)
    return f"it came to `{last.code}`, {_span(max(run.around.now() - last.at, 0))} ago."


def _notices(run: Run) -> str:
    notifier = notifier_of(run.settings)
    if notifier is None:
        raise NotTried("WEIGHBRIDGE_NOTIFY is not set; you are not notified when something needs you.")
    return f"notices go to: {', '.join(notifier.check())}. To send a test: {typed('notify')}."


def _of_the_outbox(link: str, variable: str, without: str) -> Callable[[Run], str]:
    def prove(run: Run) -> str:
        if not run.is_set(variable):
            raise NotTried(f"{variable} is not set here; {without}")
        finding = run.outbox_findings[link]
        match finding.outcome:
            case "ok":
                return finding.detail
            case "warns":
                raise Doubtful(finding.detail)
            case _:
                raise OwnerFault(finding.detail)

    return prove


def _function(run: Run) -> str:
    if not run.is_set(FUNCTION):
        raise NotTried(f"{FUNCTION} is not set here; the function was not checked.")
    with Client(read_target(run.around.environment)) as client:
        health = client.health()
    if health.kind == "unauthorized":
        raise OwnerFault(
            "The function answers, but WEIGHBRIDGE_KEY is not one of its WEIGHBRIDGE_API_KEYS. Set it to one of them."
        )
    if not health.ok:
        raise OwnerFault(health.text)
    if "key" not in health.body:
        raise OwnerFault("WEIGHBRIDGE_KEY is not set, so nothing could be sent. Set it to one of WEIGHBRIDGE_API_KEYS.")
    if health.http_status != 200:  # 503
        reason = str(health.body["delivery"].get("detail") or "")
        raise OwnerFault(f"The function answers and knows the key, but cannot deliver now. {reason}".strip())
    if (version := health.body.get("version")) != __version__:
        raise Doubtful(f"the function is version {version}, and this is {__version__}. Update the older one.")
    return "it answers at WEIGHBRIDGE_URL, knows the key, and could deliver a reading now."


LINKS = (
    Link("settings", (), _settings),
    Link("template", ("settings",), _template),
    Link("token", ("settings",), _token),
    Link("delivery", ("token",), _delivery),
    Link("renewal", ("token",), _renewal),
    Link("reading", ("renewal",), _reading),
    Link("official", ("settings",), _official),
    Link("notices", ("settings",), _notices),
    Link("outbox", (), _of_the_outbox("outbox", OUTBOX, "the outbox was not checked.")),
    Link("broker", (), _of_the_outbox("broker", BROKER, "the broker was not checked.")),
    Link("function", (), _function),
    Link("sending", ("template", "reading"), _sending),
    Link("reading back", ("sending",), _reading_back),
    Link("taking back", ("reading back",), _taking_back),
    Link("last delivery", ("settings",), _last_delivery),
)


MARKS = {"ok": "ok", "warns": "WARNS", "skipped": "–", "fails": "FAILS"}


@click.command("doctor")
@options.name
@options.as_json
@click.pass_obj
def command(around: Surroundings, name: str, *, as_json: bool) -> int:
    """Check each link to Garmin Connect with your own account.

    The outbox, the broker and the function are checked if DATABASE_URL, MQTT_URL and WEIGHBRIDGE_URL are set.

    With --json there are no questions, so no weigh-in is sent.
    """
    run = Run(around, name, None if as_json else around.terminal.ask)
    findings = check_links(run, (lambda _: None) if as_json else _show)
    failed = any(finding.outcome == "fails" for finding in findings)
    if as_json:
        links = [finding._asdict() for finding in findings]
        print(options.to_json({"name": name, "ok": not failed, "links": links}))
    elif failed:
        print(f"\nFix what FAILS, and run {typed('doctor', name)} again.")
    else:
        warned = any(finding.outcome == "warns" for finding in findings)
        print("\nEvery link that was tried works" + (", but see what WARNS." if warned else "."))
    return 1 if failed else 0


def check_links(run: Run, report: Callable[[Finding], None]) -> list[Finding]:
    """Check link after link, and report each finding at once."""
    findings: list[Finding] = []
    proven: set[str] = set()
    for link in LINKS:
        finding = _finding(run, link, proven)
        findings.append(finding)
        report(finding)
    return findings


def _finding(run: Run, link: Link, proven: set[str]) -> Finding:
    """The finding for one link. If others may rely on it, its name is added to `proven`."""
    if missing := [name for name in link.needs if name not in proven]:
        return Finding(link.name, "skipped", f"needs {', '.join(missing)}.")
    try:
        detail = link.prove(run)
    except NotTried as e:
        return Finding(link.name, "skipped", str(e))
    except NotNeeded as e:
        proven.add(link.name)
        return Finding(link.name, "skipped", str(e))
    except Doubtful as e:
        return Finding(link.name, "warns", str(e))
    except ReadingRejected as fault:
        return Finding(link.name, "fails", " ".join(error.message for error in fault.errors))
    except (WeighbridgeError, ValueError) as fault:
        return Finding(link.name, "fails", str(fault))
    proven.add(link.name)
    return Finding(link.name, "ok", detail)


def _show(finding: Finding) -> None:
    print(f"  {MARKS[finding.outcome]:<6}{finding.link:<14}{finding.detail}", flush=True)


def _asked_weight(run: Run) -> Decimal:
    text = run.answer("Send one real weigh-in? Your weight in kg (Enter: no): ")
    if not text:
        raise NotTried("no weight was entered.")
    try:
        weight = Decimal(text.replace(",", ".").removesuffix("kg").strip())
    except InvalidOperation:
        weight = Decimal("NaN")
    if not weight.is_finite():
        raise ValueError("Expected a weight in kg, such as 81.4. Nothing was sent.")
    return weight


def _id_of(garmin: GarminConnect, reading: Reading) -> str:
    day = reading.measured_at.date()
    for weigh_in in garmin.list_weigh_ins(day - timedelta(days=1), day + timedelta(days=1)):
        if weigh_in.measured_at == reading.measured_at:
            return weigh_in.id
    raise NotFound("Garmin Connect does not show the weigh-in.")


def _span(seconds: float) -> str:
    for size_s, word in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size_s:
            count = int(seconds // size_s)
            return f"{count} {word}" + ("s" if count > 1 else "")
    return "a moment"
