"""The composition root: settings -> the connected parts.

Strategy: a library is imported only when a configured delivery needs it, so unused libraries cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import errors
from .accounts import Destination, PerPerson
from .commands import needs_extra
from .delivery.chain import Chain
from .delivery.folder import Folder
from .delivery.port import FOLDER
from .fit.template import Template, read_template
from .pipeline import ONE_ACCOUNT, Weighbridge, rehearse
from .reading.people import Person, named, read_people
from .settings import GARMIN, Key, Settings

if TYPE_CHECKING:
    from .afterwards import Afterwards
    from .delivery.port import WeighInStore
    from .garmin.connect import GarminConnect
    from .garmin.personal_api import PersonalApi
    from .garmin.sessions.browser import BrowserSession
    from .garmin.sessions.port import Session
    from .garmin.sessions.token_session import TokenSession
    from .garmin.tokens import Store
    from .garmin.watch import SignInWatch
    from .notify.send import Notifier

#: The settings for an account -> the store of its token.
Stores = Callable[[Settings], "Store"]


@dataclass(frozen=True, slots=True)
class Composed:
    """Everything that outlives a request."""

    settings: Settings
    weighbridge: Weighbridge
    #: A person's name (None where there is only one account) -> the store to read from.
    store: Callable[[str | None], WeighInStore]
    #: Of these, one must come with a request. Their people are names, not aliases.
    keys: tuple[Key, ...] = ()
    people: tuple[Person, ...] = ()
    #: What is done after an answer, if anything is.
    afterwards: Afterwards | None = None
    #: The settings of an account -> the store of its token.
    token_store: Stores = lambda settings: token_store(settings)

    def settings_of(self, name: str | None) -> Settings:
        """The settings for the account of the person with this name or alias, or for the only one. Raises `NotFound`,
        or `QueryInvalid` if nobody is named and there are several."""
        self.store(name)  # raises
        person = named(self.people, self.person(name) or "")
        return self.settings if person is None else self.settings.for_person(person.token)

    def person(self, name: str | None) -> str | None:
        """The name of the person with this name or alias, or of the only one."""
        found = named(self.people, name) if name is not None else None
        if found is None and len(self.people) == 1:
            (found,) = self.people
        return found.name if found else None


def compose(settings: Settings, people: Sequence[Person] | None = None, stores: Stores | None = None) -> Composed:
    """`people`, `stores`: instead of the configured ones, for a program that keeps people and tokens itself.

    Raises `TemplateUnusable` or `SettingsInvalid`.
    """
    stores = stores or token_store
    template = usable_template(settings)
    people = people_of(settings) if people is None else tuple(people)
    if not people:
        account = _account(settings, stores)
        weighbridge = Weighbridge(template, account.delivery, settings.timezone)
        afterwards = _afterwards(settings, [(settings, account)])
        return Composed(
            settings,
            weighbridge,
            lambda name: _only(account, name),
            keys_of(settings, ()),
            afterwards=afterwards,
            token_store=stores,
        )
    keys = keys_of(settings, people)
    theirs = [settings.for_person(person.token) for person in people]
    accounts = [_account(each, stores) for each in theirs]
    per_person = PerPerson(dict(zip(people, accounts, strict=True)))
    afterwards = _afterwards(settings, zip(theirs, accounts, strict=True))
    weighbridge = Weighbridge(template, per_person, settings.timezone, per_person.settle)
    return Composed(
        settings, weighbridge, lambda name: per_person.account(name).store, keys, people, afterwards, stores
    )


def keys_of(settings: Settings, people: Sequence[Person]) -> tuple[Key, ...]:
    """The configured keys, with the names of their people. Raises `SettingsInvalid` for a person who is not there."""
    return tuple(key._replace(people=tuple(_known(people, name) for name in key.people)) for key in settings.api_keys)


def _known(people: Sequence[Person], name: str) -> str:
    person = named(people, name)
    if person is None:
        known = ", ".join(each.name for each in people) or "nobody. Set WEIGHBRIDGE_PEOPLE"
        raise errors.SettingsInvalid(f"A key in WEIGHBRIDGE_API_KEYS names an unknown person. Known: {known}.")
    return person.name


def people_of(settings: Settings) -> tuple[Person, ...]:
    """The configured people; empty if there are none. Raises `SettingsInvalid`."""
    if settings.people is None:
        return ()
    try:
        return read_people(settings.people.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as e:
        reason = e.strerror if isinstance(e, OSError) else "it is not valid UTF-8"
        raise errors.SettingsInvalid(f"The file named by WEIGHBRIDGE_PEOPLE cannot be read: {reason}.") from e


def usable_template(settings: Settings) -> Template:
    """The configured template, proven to take readings. Raises `TemplateUnusable`."""
    try:
        content = settings.template.read_bytes()
    except OSError as e:
        raise errors.TemplateUnusable(f"The template {settings.template} cannot be read: {e.strerror}.") from e
    template = read_template(content)
    rehearse(template)
    return template


def _account(settings: Settings, stores: Stores) -> Destination:
    links = [
        Folder(settings.folder, join_s=settings.join_s, timezone=settings.timezone)
        if name == FOLDER
        else garmin_connect(name, settings, stores)
        for name in settings.delivery
    ]
    store = next((link for link in links if not isinstance(link, Folder)), links[0])
    return Destination(links[0] if len(links) == 1 else Chain(links), store)


def _afterwards(settings: Settings, accounts: Iterable[tuple[Settings, Destination]]) -> Afterwards | None:
    """What is done after each answer; None if nothing is. Raises `SettingsInvalid` for an unknown address."""
    if not settings.notify and settings.ping_url is None:
        return None
    # Imported when needed: most functions have neither.
    from .afterwards import Afterwards
    from .garmin.connect import GarminConnect
    from .notify.ping import Ping

    notifier = notifier_of(settings)
    watches = [
        sign_in_watch(theirs, account.store.session, notifier)
        for theirs, account in accounts
        if notifier and isinstance(account.store, GarminConnect) and account.store.name in GARMIN
    ]
    return Afterwards(Ping(settings.ping_url) if settings.ping_url else None, notifier, watches)


def notifier_of(settings: Settings) -> Notifier | None:
    """What sends notices; None without WEIGHBRIDGE_NOTIFY. Raises `SettingsInvalid` for an unknown address."""
    if not settings.notify:
        return None
    from .notify.send import Notifier

    notifier = Notifier(settings.notify, with_values=settings.notify_values)
    notifier.check()
    return notifier


def sign_in_watch(settings: Settings, session: Session, notifier: Notifier) -> SignInWatch:
    """What notifies of the sign-in of the account that these settings are for."""
    from .garmin.watch import SignInWatch

    file = settings.tokens / f"{settings.token_name}.notice" if settings.tokens_in_folder else None
    return SignInWatch(session, settings.token_name, file, notifier)


def _only(account: Destination, name: str | None) -> WeighInStore:
    if name is not None:
        raise errors.NotFound(ONE_ACCOUNT)
    return account.store


# -- the ways to Garmin Connect ----------------------------------------------------------------------------


def garmin_names(settings: Settings) -> tuple[str, ...]:
    """The deliveries to Garmin Connect, in order; the default one when only files are kept."""
    return tuple(name for name in settings.delivery if name != "folder") or GARMIN[:1]


def only_files(settings: Settings) -> bool:
    """Whether readings are only kept as files, and none is sent to Garmin Connect."""
    return set(settings.delivery) == {FOLDER}


def token_library(settings: Settings) -> str:
    """The library that uses the token: the first one in WEIGHBRIDGE_DELIVERY."""
    return next((name for name in garmin_names(settings) if name in GARMIN), GARMIN[0])


def garmin_connect(name: str, settings: Settings, stores: Stores | None = None) -> GarminConnect:
    """Garmin Connect over the session called `name`. `stores`: instead of the configured one."""
    from .garmin.connect import GarminConnect

    session: BrowserSession | TokenSession
    if name == "browser":
        session = browser_session(settings)
    else:
        session = token_session(name, settings, (stores or token_store)(settings))
        session.warm()
    return GarminConnect(
        session, name=name, confirm_s=settings.confirm_s, join_s=settings.join_s, official=personal_api(settings)
    )


def token_session(name: str, settings: Settings, store: Store | None = None) -> TokenSession:
    """`name`: one of `settings.GARMIN`. `store`: instead of the configured one."""
    session: type[TokenSession]
    if name == "garminconnect":
        from .garmin.sessions.garminconnect import GarminconnectSession as session  # noqa: N813
    else:
        from .garmin.sessions.garth import GarthSession as session  # noqa: N813
    return session(store or token_store(settings), domain=settings.garmin_domain, ca_bundle=settings.garmin_ca_bundle)


def browser_session(settings: Settings) -> BrowserSession:
    from .garmin.sessions.browser import BrowserSession

    return BrowserSession(
        settings.browser_profile,
        domain=settings.garmin_domain,
        executable=settings.browser,
        arguments=settings.browser_args,
        token_name=settings.token_name,
    )


def personal_api(settings: Settings) -> PersonalApi | None:
    """Garmin's official read-back; None without a key."""
    if settings.personal_api_key is None:
        return None
    from .garmin.personal_api import PersonalApi

    return PersonalApi(
        settings.personal_api_key,
        ends=settings.personal_api_key_ends,
        domain=settings.garmin_domain,
        ca_bundle=settings.garmin_ca_bundle,
    )


def token_store(settings: Settings) -> Store:
    """The store of the token of the account that these settings are for."""
    if settings.tokens_in_folder:
        from .garmin.tokens import TokenStore

        return TokenStore(settings.tokens, settings.token_name)
    if settings.token_database:
        try:
            from .garmin.postgres_tokens import PostgresTokenStore
        except ModuleNotFoundError:
            raise errors.SettingsInvalid(needs_extra("WEIGHBRIDGE_TOKEN_DATABASE", "outbox")) from None

        return PostgresTokenStore(settings.token_database, settings.token_name)
    try:
        from .garmin.secret_manager import SecretTokenStore
    except ModuleNotFoundError:
        raise errors.SettingsInvalid(needs_extra("WEIGHBRIDGE_TOKEN_SECRET", "google")) from None

    return SecretTokenStore(settings.token_secret, settings.token_name)
