"""make doctor: one screen that proves each link of the chain to Garmin Connect with the user's own account.

Rule: each link is proven by using it, never by looking at a setting. What fails says its mend, and what hangs on
it is not tried. A weigh-in is sent only when its weight is typed in, and taken back only when that is wished.
Nothing printed holds a secret; the weight that was typed is the only measurement that is used.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from ..compose import garmin_connect, garmin_names, garth_session, personal_api, token_store
from ..delivery.port import Delivered
from ..errors import GarminRefused, NotFound, OwnerFault, ReadingRejected, SettingsInvalid, WeighbridgeError
from ..fit.template import Template, read_template
from ..garmin.connect import GarminConnect
from ..garmin.entries import instant_s, iso
from ..pipeline import prove, rehearse
from ..reading.reading import Reading
from ..settings import Settings, read_settings

DAYS_READ = 30
SHORT_DAYS = 3

Ask = Callable[[str], str]


class NotAsked(Exception):
    """The user did not wish this link to be tried."""


@dataclass
class Visit:
    """One run of the doctor."""

    env: Mapping[str, str]
    token_name: str
    ask: Ask
    now: Callable[[], float]
    # What the links have found so far; one runs only after those that it needs.
    settings: Settings = field(init=False)
    template: Template = field(init=False)
    reading: Reading = field(init=False)
    outcome: Delivered = field(init=False)
    weigh_in_id: str = field(init=False)

    @property
    def garmin(self) -> GarminConnect:
        return garmin_connect(garmin_names(self.settings)[0], self.settings, self.token_name)


class Link(NamedTuple):
    name: str
    needs: tuple[str, ...]
    prove: Callable[[Visit], str]


def _settings(visit: Visit) -> str:
    settings = visit.settings = read_settings(visit.env)
    names = ", then ".join(settings.delivery)
    return f"readings go to: {names}. Garmin is {settings.garmin_domain}."


def _template(visit: Visit) -> str:
    path = visit.settings.template
    try:
        template = read_template(path.read_bytes())
    except OSError as e:
        raise SettingsInvalid(f"The template {path} cannot be read: {e.strerror}. Mend WEIGHBRIDGE_TEMPLATE.") from e
    rehearse(template)
    visit.template = template
    return f"{path.name} takes {len(template.fields)} values, proven by fitdecode."


def _token(visit: Visit) -> str:
    store = token_store(visit.settings, visit.token_name)
    days = garth_session(visit.settings, visit.token_name).token_days_left()  # raises when there is none
    age_s = max(visit.now() - store.renewed_at(), 0)
    age = f"stored {_span(age_s)} ago"
    if days is None:
        return f"{age}; Garmin did not say when the sign-in ends."
    if days <= 0:
        raise OwnerFault("The sign-in has ended. Sign in anew: make login.")
    if days < SHORT_DAYS:
        return f"{age}; the sign-in ends in {_span(days * 86_400)}, unless it is renewed before."
    return f"{age}; the sign-in ends in {days:.0f} days."


def _renewal(visit: Visit) -> str:
    session = garth_session(visit.settings, visit.token_name)
    session.renew()
    days = session.token_days_left()
    return "a new token came and was saved" + (f"; {days:.0f} days from now on." if days is not None else ".")


def _reading(visit: Visit) -> str:
    today = datetime.fromtimestamp(visit.now(), UTC).date()
    found = visit.garmin.list_weigh_ins(today - timedelta(days=DAYS_READ), today + timedelta(days=1))
    newest = f", the newest of {found[-1].calendar_date.isoformat()}" if found else ""
    return f"Garmin Connect shows {len(found)} weigh-in(s) of the last {DAYS_READ} days{newest}."


def _official(visit: Visit) -> str:
    official = personal_api(visit.settings)
    if official is None:
        raise NotAsked("no GARMIN_PERSONAL_API_KEY is set; readings are confirmed through the sign-in alone.")
    today = datetime.fromtimestamp(visit.now(), UTC).date()
    found = official.weigh_ins(today - timedelta(days=DAYS_READ), today + timedelta(days=1))
    announced = official.health().get("detail", "")
    return f"Garmin's Personal API shows {len(found)} weigh-in(s) of the last {DAYS_READ} days. {announced}".strip()


def _sending(visit: Visit) -> str:
    reading = Reading(measured_at=datetime.fromtimestamp(visit.now(), UTC), weight_kg=_asked_weight(visit.ask))
    (outcome,) = visit.garmin.deliver([reading], lambda some: prove(visit.template, some), replace=False)
    if isinstance(outcome, WeighbridgeError):
        raise outcome
    visit.reading, visit.outcome = reading, outcome
    return "one proven weigh-in was sent; Garmin Connect took it."


def _reading_back(visit: Visit) -> str:
    outcome = visit.outcome
    if outcome.status not in ("confirmed", "present"):
        raise GarminRefused(
            f"{' '.join(outcome.warnings)} Look in Garmin Connect in some minutes. If it is there, set "
            "WEIGHBRIDGE_CONFIRM_SECONDS higher; if not, see whether Garmin Connect asks for consent to uploads."
        )
    visit.weigh_in_id = _id_of(visit.garmin, visit.reading)
    return f"it was read back from Garmin Connect ({outcome.status})."


def _taking_back(visit: Visit) -> str:
    if _answer(visit.ask, "Take this weigh-in out of Garmin Connect again? [y/N] ").lower() not in ("y", "yes"):
        raise NotAsked("it stays in Garmin Connect.")
    visit.garmin.delete_weigh_in(visit.weigh_in_id)
    try:
        _id_of(visit.garmin, visit.reading)
    except NotFound:
        return "it was taken back; Garmin Connect shows it no longer."
    raise GarminRefused("Garmin Connect still shows it. Delete it there by hand.")


LINKS = (
    Link("settings", (), _settings),
    Link("template", ("settings",), _template),
    Link("token", ("settings",), _token),
    Link("renewal", ("token",), _renewal),
    Link("reading", ("renewal",), _reading),
    Link("official", ("settings",), _official),
    Link("sending", ("template", "reading"), _sending),
    Link("reading back", ("sending",), _reading_back),
    Link("taking back", ("reading back",), _taking_back),
)


def main(argv: Sequence[str], env: Mapping[str, str], *, ask: Ask = input, now: Callable[[], float] = time.time) -> int:
    """Prove each link. Returns the exit code: 0 when none failed."""
    parser = argparse.ArgumentParser(prog="python -m scripts.doctor", description="Prove each link to Garmin Connect.")
    parser.add_argument("--name", default="default", help="which token to use (default: %(default)s)")
    visit = Visit(env, parser.parse_args(argv).name, ask, now)
    proven: set[str] = set()
    failed = 0
    for link in LINKS:
        missing = [name for name in link.needs if name not in proven]
        if missing:
            _show("–", link.name, f"not tried, for want of: {', '.join(missing)}.")
            continue
        try:
            _show("ok", link.name, link.prove(visit))
            proven.add(link.name)
        except NotAsked as e:
            _show("–", link.name, str(e))
        except (WeighbridgeError, ValueError) as fault:
            failed += 1
            _show("FAILS", link.name, _mend(fault))
    print("\nEach link that was tried holds." if not failed else "\nMend what FAILS, and run make doctor again.")
    return 1 if failed else 0


def _show(mark: str, name: str, sentence: str) -> None:
    print(f"  {mark:<6}{name:<14}{sentence}", flush=True)


def _mend(fault: Exception) -> str:
    if isinstance(fault, ReadingRejected):
        return " ".join(error.message for error in fault.errors)
    return str(fault)


def _asked_weight(ask: Ask) -> Decimal:
    text = _answer(ask, "Send one real weigh-in? Your weight in kg (Enter: no): ")
    if not text:
        raise NotAsked("no weigh-in was wished for.")
    try:
        weight = Decimal(text.replace(",", ".").removesuffix("kg").strip())
    except InvalidOperation:
        weight = Decimal("NaN")
    if not weight.is_finite():
        raise ValueError("This is not a weight such as 81.4. Nothing was sent.")
    return weight


def _answer(ask: Ask, question: str) -> str:
    try:
        return ask(f"        {question}").strip()
    except EOFError:
        print()
        return ""


def _id_of(garmin: GarminConnect, reading: Reading) -> str:
    day = reading.measured_at.date()
    for weigh_in in garmin.list_weigh_ins(day - timedelta(days=1), day + timedelta(days=1)):
        if weigh_in.values["measured_at"] == iso(instant_s(reading)):
            return weigh_in.id
    raise NotFound("Garmin Connect does not show it.")


def _span(seconds: float) -> str:
    for size_s, word in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size_s:
            count = int(seconds // size_s)
            return f"{count} {word}" + ("s" if count > 1 else "")
    return "a moment"


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:], os.environ))
    except KeyboardInterrupt:
        sys.exit(130)
