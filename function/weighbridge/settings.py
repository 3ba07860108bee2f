"""Settings: the environment, read once through one injected mapping. Every program of the project reads them here.

Rule: each variable may be given as NAME, or as NAME_FILE, the path of a file that holds the value (Docker and
Kubernetes secrets). A message about an invalid value names the variable and what was expected. It never repeats the
value, which could be a secret in the wrong place.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum, auto
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .commands import DEFAULT_TOKEN
from .errors import SettingsInvalid
from .machine_zone import machine_zone
from .resources import TEMPLATES
from .secret import SecretStr

# -- the reader --------------------------------------------------------------------------------------------


class Variable(NamedTuple):
    """One environment variable. `parse` raises ValueError for an invalid text."""

    name: str
    #: Its name in the program's settings.
    attribute: str
    default: str
    meaning: str
    parse: Callable[[str], object] = str
    expected: str = "a text"


def read_variables(
    variables: Iterable[Variable], environment: Mapping[str, str], *, needed: Collection[str] = ()
) -> dict[str, object]:
    """Attribute -> value. Raises `SettingsInvalid`, which names every invalid variable, and every missing one of those
    that are `needed` (by name)."""
    values: dict[str, object] = {}
    faults: list[str] = []
    for variable in variables:
        try:
            text = text_of(variable.name, environment) or variable.default
            if not text and variable.name in needed:
                meaning = variable.meaning.replace("`", "")
                faults.append(f"{variable.name} is not set. {meaning[0].upper()}{meaning[1:]}.")
                continue
            values[variable.attribute] = variable.parse(text)
        except (ValueError, ZoneInfoNotFoundError, IsADirectoryError):
            faults.append(f"{variable.name} must be {variable.expected}.")
        except SettingsInvalid as fault:
            faults.append(str(fault))
    if faults:
        raise SettingsInvalid(" ".join(faults))
    return values


def text_of(name: str, environment: Mapping[str, str]) -> str:
    """The text of NAME, or of the file that NAME_FILE names; "" if neither is set. Raises `SettingsInvalid`."""
    path = environment.get(f"{name}_FILE")
    if not path:
        # An empty variable is an unset one: Compose writes `NAME=` for a value left out of .env.
        return environment.get(name, "")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as e:
        reason = e.strerror if isinstance(e, OSError) else "it is not valid UTF-8"
        raise SettingsInvalid(f"The file named by {name}_FILE cannot be read: {reason}.") from None


def http_url(text: str) -> str:
    """A bare http:// or https:// address, without a trailing slash."""
    parts = split_url(text, ("http", "https"))
    if parts.username or parts.query:
        raise ValueError
    return text.rstrip("/")


def split_url(text: str, schemes: Collection[str]) -> SplitResult:
    """The parts of an address with one of these schemes and a host. Raises ValueError."""
    parts = urlsplit(text)
    _ = parts.port  # parsed on access: raises ValueError
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError
    return parts


def header_text(text: str) -> str:
    """A secret that is sent in a header."""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError
    return text


#: The names of this machine.
LOOPBACK = ("127.0.0.1", "::1", "localhost")

#: The key that the programs of one user of this machine share.
LOCAL_KEY = Variable(
    "WEIGHBRIDGE_LOCAL_KEY",
    "local_key",
    "~/.weighbridge/key",
    "the file with the key of this machine: the function makes it if `WEIGHBRIDGE_API_KEYS` is not set, and the other "
    "programs read it if `WEIGHBRIDGE_KEY` is not set",
    lambda text: Path(text).expanduser(),
    "a path",
)

# -- the function ------------------------------------------------------------------------------------------

Network = IPv4Network | IPv6Network

#: The deliveries that a chain may name. `garmin` means the libraries of `GARMIN` that can be used here, in order.
DELIVERIES = ("folder", "garmin", "garth", "garminconnect", "browser")
GARMIN = ("garth", "garminconnect")


class Right(StrEnum):
    """What a key is for."""

    SEND = auto()
    READ = auto()
    DELETE = auto()
    ADMINISTER = auto()


ALL_RIGHTS = frozenset(Right)


class Key(NamedTuple):
    """What a caller sends to be let in, and what it is for."""

    #: For the log.
    name: str
    secret: SecretStr
    rights: frozenset[Right] = ALL_RIGHTS
    #: The people whose weigh-ins it is for; empty: everyone's.
    people: tuple[str, ...] = ()
    #: Whether its rights are named, and not just all of them because none is.
    is_explicit: bool = False


class Push(NamedTuple):
    """Whose pushes of Pub/Sub are let in without a key."""

    account: str
    audience: str
    #: Where Google's certificates are.
    certificates: str


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says."""

    delivery: tuple[str, ...]
    folder: Path
    api_keys: tuple[Key, ...]
    #: The file of the key of this machine, which is used if there are no others.
    local_key: Path
    #: Whose X-Forwarded-For says which address a request came from.
    trusted_proxies: tuple[Network, ...]
    #: Addresses, or names of machines.
    private_callers: tuple[Network | str, ...]
    #: Empty without pushes.
    push_account: str
    push_audience: str
    push_certificates: str
    template: Path
    #: For times without an offset.
    timezone: ZoneInfo
    tokens: Path
    token_secret: str
    token_database: SecretStr | None
    confirm_s: float
    join_s: float
    garmin_domain: str
    garmin_ca_bundle: Path | None
    personal_api_key: SecretStr | None
    personal_api_key_ends: date | None
    people: Path | None
    browser: str
    browser_profile: Path
    browser_args: tuple[str, ...]
    deliveries_at_once: int
    #: Addresses of Apprise, to which notices go.
    notify: tuple[SecretStr, ...]
    notify_values: bool
    #: The address of a monitor that expects a ping after each delivery.
    ping_url: SecretStr | None
    #: Whose account: the name of a token.
    token_name: str = DEFAULT_TOKEN
    #: What the time zone was read from.
    timezone_from: str = "WEIGHBRIDGE_TIMEZONE"

    @property
    def tokens_in_folder(self) -> bool:
        """Whether tokens are files, with files of state beside them."""
        return not self.token_secret and self.token_database is None

    @property
    def push(self) -> Push | None:
        return Push(self.push_account, self.push_audience, self.push_certificates) if self.push_account else None

    def for_person(self, token_name: str) -> Self:
        """These settings for the account of one person, with a folder and browser profile of their own.

        "default" is the only account where no people are configured.
        """
        if token_name == DEFAULT_TOKEN:
            # Of several people, one may have this token. The folders are then theirs, but the key may not be.
            return self if self.people is None else replace(self, personal_api_key=None)
        return replace(
            self,
            token_name=token_name,
            folder=self.folder / token_name,
            browser_profile=self.browser_profile / token_name,
            # A key of the Personal API reads one account, and nothing shows whose it is.
            personal_api_key=None,
        )


def _delivery(text: str) -> tuple[str, ...]:
    names = [part.strip() for part in text.split(",")]
    if not set(names) <= set(DELIVERIES) or len(set(names)) != len(names):
        raise ValueError
    links = [link for name in names for link in (_usable_here() if name == "garmin" else (name,))]
    return tuple(dict.fromkeys(links))


def _usable_here() -> tuple[str, ...]:
    # garminconnect runs on Python 3.12 and newer, and is an extra.
    usable = sys.version_info >= (3, 12) and find_spec("garminconnect") is not None
    return GARMIN if usable else GARMIN[:1]


def _api_keys(text: str) -> tuple[Key, ...]:
    if not text:
        return ()
    keys = tuple(_key(entry.strip()) for entry in text.split(","))
    if len({key.name for key in keys}) != len(keys):
        raise ValueError
    return keys


#: name, name:send+read, name:send@anna, name@anna+ben
_KEY_NAME = r"(?P<name>[^\W\d]\w*)(:(?P<rights>[a-z]+(\+[a-z]+)*))?(@(?P<people>[^+@:]+(\+[^+@:]+)*))?"


def _key(entry: str) -> Key:
    # Everything before the first "=" is the name, so no key can be read as a right.
    named, equals, secret = entry.partition("=")
    found = re.fullmatch(_KEY_NAME, named.strip())
    # 16 characters: below that a key can be guessed over the network in reasonable time.
    if not found or not equals or len(secret) < 16:
        raise ValueError
    rights = frozenset(map(Right, found["rights"].split("+"))) if found["rights"] else ALL_RIGHTS
    people = tuple(name.strip() for name in found["people"].split("+")) if found["people"] else ()
    return Key(found["name"], SecretStr(header_text(secret)), rights, people, found["rights"] is not None)


def networks_of(text: str) -> tuple[Network, ...]:
    return tuple(ip_network(part.strip()) for part in text.split(",")) if text.strip() else ()


def _callers(text: str) -> tuple[Network | str, ...]:
    return tuple(_caller(part.strip().lower()) for part in text.split(",")) if text.strip() else ()


def _caller(text: str) -> Network | str:
    # A name begins with a letter. Anything else has to be an address.
    return text if re.fullmatch(r"[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*", text) else ip_network(text)


def _account(text: str) -> str:
    if text and not re.fullmatch(r"[\w.+-]+@[\w.-]+\w", text, re.ASCII):
        raise ValueError
    return text


def _audience(text: str) -> str:
    return header_text(text) if text else ""


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 300:
        raise ValueError
    return value


def _threads(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 64:
        raise ValueError
    return number


def _domain(text: str) -> str:
    if not text or not all(c.isalnum() or c in ".-:" for c in text):
        raise ValueError
    return text


def _optional_path(text: str) -> Path | None:
    return Path(text) if text else None


def _optional_secret(text: str) -> SecretStr | None:
    return SecretStr(header_text(text)) if text else None


#: Where the next address of Apprise begins; a comma may also be a part of one.
_NEXT_SERVICE = r"[\s,;]+(?=[A-Za-z0-9]+://)"


def _services(text: str) -> tuple[SecretStr, ...]:
    services = re.split(_NEXT_SERVICE, text.strip(" \t\r\n,;")) if text.strip() else []
    if not all(re.fullmatch(r"[A-Za-z0-9]+://\S+", service) for service in services):
        raise ValueError
    return tuple(map(SecretStr, services))


def _yes(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError
    return text == "true"


def _ping_url(text: str) -> SecretStr | None:
    if text:
        split_url(header_text(text), ("http", "https"))
    return SecretStr(text) if text else None


def _secret_name(text: str) -> str:
    if not re.fullmatch(r"(?:projects/[\w:.-]+(?:/locations/[a-z0-9-]+)?/secrets/[\w-]{1,200})?", text, re.ASCII):
        raise ValueError
    return text


def _database(text: str) -> SecretStr | None:
    if text and not re.fullmatch(r"postgres(?:ql)?://\S+", text):
        raise ValueError
    return SecretStr(text) if text else None


def _optional_zone(text: str) -> ZoneInfo | None:
    return ZoneInfo(text) if text else None


def _words(text: str) -> tuple[str, ...]:
    return tuple(shlex.split(text))


def _optional_day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


#: Who is notified. The worker of the outbox has these, too.
NOTIFY = (
    Variable(
        "WEIGHBRIDGE_NOTIFY",
        "notify",
        "",
        "where notices go when something needs you: addresses of [Apprise](https://appriseit.com/services/), separated "
        "by spaces, such as `ntfys://ntfy.sh/TOPIC mailtos://user:password@example.com`",
        _services,
        "addresses that Apprise knows, such as ntfys://ntfy.sh/TOPIC, separated by spaces",
    ),
    Variable(
        "WEIGHBRIDGE_NOTIFY_VALUES",
        "notify_values",
        "false",
        "`true`: a notice about a reading has its measurements",
        _yes,
        "true or false",
    ),
)

VARIABLES = (
    Variable(
        "WEIGHBRIDGE_DELIVERY",
        "delivery",
        "folder",
        "where readings go: `folder` keeps the FIT file for import by hand, `garmin` uploads it to Garmin Connect with "
        "the library `garth`, then with `garminconnect` (needs Python 3.12; you can also name just one of them), "
        "`browser` uploads it with a signed-in Chromium; `garmin,browser,folder` tries the next one when Garmin "
        "definitely did not get the file",
        _delivery,
        f"one or more of {', '.join(DELIVERIES)}, separated by commas, each once",
    ),
    Variable("WEIGHBRIDGE_FOLDER", "folder", "weigh-ins", "the folder in which files are kept", Path, "a path"),
    Variable(
        "WEIGHBRIDGE_API_KEYS",
        "api_keys",
        "",
        "`name=key,…`: who may call. `name:send+read@anna=key` limits a key to these rights (`send`, `read`, `delete`, "
        "`administer`) and people. To sign in to Garmin over HTTP, a key has to name `administer`. If not set, the key "
        "of this machine is used",
        _api_keys,
        "name=key pairs separated by commas, each name a word, each key at least 16 characters long; rights and people "
        "are part of the name: name:send+read@anna=key",
    ),
    LOCAL_KEY,
    Variable(
        "WEIGHBRIDGE_TRUSTED_PROXIES",
        "trusted_proxies",
        "",
        "the addresses of your own proxies, such as `127.0.0.1,10.0.0.0/8`. If a wrong key comes through one of them, "
        "the log names the address in `X-Forwarded-For`. What they say in `X-Forwarded-Proto` counts",
        networks_of,
        "addresses or networks separated by commas, such as 127.0.0.1,10.0.0.0/8",
    ),
    Variable(
        "WEIGHBRIDGE_PRIVATE_CALLERS",
        "private_callers",
        "",
        "names or addresses of callers on a network that nobody else can read, such as `form` between containers. With "
        "a key that names `administer`, they may sign in to Garmin without HTTPS, unless a proxy sent the request on",
        _callers,
        "names or addresses separated by commas, such as form,10.0.0.5",
    ),
    Variable(
        "WEIGHBRIDGE_PUSH_ACCOUNT",
        "push_account",
        "",
        "the service account of a push subscription of Google Pub/Sub, such as `push@PROJECT.iam.gserviceaccount.com`: "
        "its pushes need no key, and may only send",
        _account,
        "the e-mail address of a service account",
    ),
    Variable(
        "WEIGHBRIDGE_PUSH_AUDIENCE",
        "push_audience",
        "",
        "the audience of that subscription, as in its `--push-auth-token-audience`",
        _audience,
        "a text without spaces",
    ),
    Variable(
        "WEIGHBRIDGE_PUSH_CERTIFICATES",
        "push_certificates",
        "https://www.googleapis.com/oauth2/v1/certs",
        "where Google's certificates are, with which the token of a push is checked",
        http_url,
        "an http:// or https:// address",
    ),
    Variable(
        "WEIGHBRIDGE_TEMPLATE",
        "template",
        str(TEMPLATES / "weight_scale.fit"),
        "the FIT file that is patched",
        Path,
        "the path of a FIT file",
    ),
    Variable(
        "WEIGHBRIDGE_TIMEZONE",
        "timezone",
        "",
        "the time zone of times without an offset; by default the machine's (`TZ`, `/etc/localtime` or "
        "`/etc/timezone`), and UTC if it has none",
        _optional_zone,
        "a time zone such as Europe/Berlin",
    ),
    Variable(
        "WEIGHBRIDGE_TOKENS",
        "tokens",
        "tokens",
        "the folder of the Garmin token (writable: each refresh makes a new one)",
        Path,
        "a path",
    ),
    Variable(
        "WEIGHBRIDGE_TOKEN_SECRET",
        "token_secret",
        "",
        "for a host without a disk: the secret in Google Secret Manager that holds the token instead",
        _secret_name,
        "projects/PROJECT/secrets/NAME, or projects/PROJECT/locations/REGION/secrets/NAME",
    ),
    Variable(
        "WEIGHBRIDGE_TOKEN_DATABASE",
        "token_database",
        "",
        "for several hosts: the address of the Postgres database that holds the token instead",
        _database,
        "an address such as postgresql://user:password@host/database",
    ),
    Variable(
        "WEIGHBRIDGE_CONFIRM_SECONDS",
        "confirm_s",
        "8",
        "how long to wait for Garmin to show the reading; 0 = answer `accepted` at once",
        _seconds,
        "a number of seconds from 0 to 300",
    ),
    Variable(
        "WEIGHBRIDGE_JOIN_SECONDS",
        "join_s",
        "60",
        "how many seconds apart two messages may be to count as one weigh-in, if they do not contradict each other; "
        "0 = never",
        _seconds,
        "a number of seconds from 0 to 300",
    ),
    Variable(
        "GARMIN_DOMAIN",
        "garmin_domain",
        "garmin.com",
        "`garmin.cn` for accounts in China, or a stand-in",
        _domain,
        "a domain name",
    ),
    Variable(
        "GARMIN_CA_BUNDLE",
        "garmin_ca_bundle",
        "",
        "certificates to trust instead of the usual ones (a stand-in, a corporate proxy)",
        _optional_path,
        "the path of a PEM file",
    ),
    Variable(
        "GARMIN_PERSONAL_API_KEY",
        "personal_api_key",
        "",
        "a key of Garmin's official Personal API: readings are confirmed through it, even without a working sign-in",
        _optional_secret,
        "a key without spaces",
    ),
    Variable(
        "GARMIN_PERSONAL_API_KEY_ENDS",
        "personal_api_key_ends",
        "",
        "the last day of that key, such as 2027-03-31; its end is announced two weeks before",
        _optional_day,
        "a day such as 2027-03-31",
    ),
    Variable(
        "WEIGHBRIDGE_PEOPLE",
        "people",
        "",
        "a TOML file with everyone who uses the scale, each with their own Garmin account (`examples/people.toml`)",
        _optional_path,
        "the path of a TOML file",
    ),
    Variable(
        "WEIGHBRIDGE_BROWSER", "browser", "/usr/bin/chromium", "the Chromium of the delivery `browser`", str, "a path"
    ),
    Variable(
        "WEIGHBRIDGE_BROWSER_PROFILE",
        "browser_profile",
        "browser",
        "the folder of its profile, in which `weighbridge login --way window` signs in, and of pictures of unexpected "
        "pages",
        Path,
        "a path",
    ),
    Variable(
        "WEIGHBRIDGE_BROWSER_ARGS",
        "browser_args",
        "",
        "more arguments for Chromium, such as `--no-sandbox` in a container",
        _words,
        "arguments separated by spaces, as in a shell",
    ),
    Variable(
        "WEIGHBRIDGE_DELIVERIES_AT_ONCE",
        "deliveries_at_once",
        "8",
        "how many requests may wait for Garmin or a disk at a time; further ones wait their turn, and never hold up "
        "`/health` or a dry run",
        _threads,
        "a whole number from 1 to 64",
    ),
    *NOTIFY,
    Variable(
        "WEIGHBRIDGE_PING_URL",
        "ping_url",
        "",
        "a monitor that expects a ping after each delivery, such as `https://hc-ping.com/UUID`; a failed delivery that "
        "needs you pings it with `/fail`",
        _ping_url,
        "an http:// or https:// address",
    ),
)


def read_settings(environment: Mapping[str, str], *, root: Path = Path("/")) -> Settings:
    """Environment -> Settings. Raises `SettingsInvalid`, which names every invalid variable.

    `root` is the file system that says which time zone the machine has.
    """
    if not environment.get("WEIGHBRIDGE_API_KEYS", "none").strip():
        raise SettingsInvalid("WEIGHBRIDGE_API_KEYS is set, but empty. Set it to name=key, or remove it.")
    values = read_variables(VARIABLES, environment)
    if values["token_secret"] and values["token_database"]:
        raise SettingsInvalid(
            "WEIGHBRIDGE_TOKEN_SECRET and WEIGHBRIDGE_TOKEN_DATABASE are both set. The token has one place: remove one."
        )
    if bool(values["push_account"]) != bool(values["push_audience"]):
        raise SettingsInvalid(
            "WEIGHBRIDGE_PUSH_ACCOUNT and WEIGHBRIDGE_PUSH_AUDIENCE belong together, and one is missing. Set both, or "
            "remove both."
        )
    if values["timezone"] is None:
        values["timezone"], values["timezone_from"] = machine_zone(environment, root)
    return Settings(**values)  # type: ignore[arg-type]  # the table gives the types
