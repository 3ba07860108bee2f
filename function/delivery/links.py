"""The deliveries by the names that WEIGHBRIDGE_DELIVERY lists, put together from the settings.

Strategy: each is imported when it is named, so that nobody pays for a library that he does not use.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..settings import Settings
from .folder import Folder

if TYPE_CHECKING:
    from ..people import Person
    from .garmin import GarminConnect
    from .personal_api import PersonalApi
    from .sessions.browser import BrowserSession
    from .sessions.garth import GarthSession
    from .sessions.token_session import TokenSession
    from .tokens import Store

#: The delivery that signs in with a token, for those who have named none.
USUAL = "garth"


def make_link(name: str, settings: Settings, person: Person | None = None) -> GarminConnect | Folder:
    """One link of the chain, to the account of a person if there are several. `name`: one of `settings.DELIVERIES`."""
    if person is not None:
        # What is one person's alone: files, a browser's sign-in, the Personal API's key, and the token below.
        settings = replace(
            settings,
            folder=settings.folder / person.token,
            browser_profile=settings.browser_profile / person.token,
            personal_api_key=None,
        )
    if name == "folder":
        return Folder(settings.folder)
    return garmin_connect(name, settings, person.token if person else "default")


def garmin_connect(name: str, settings: Settings, token_name: str = "default") -> GarminConnect:  # noqa: S107
    """Garmin Connect over the session called `name`."""
    from .garmin import GarminConnect

    return GarminConnect(
        browser_session(settings) if name == "browser" else _warm(_token_session(name, settings, token_name)),
        name=name,
        confirm_s=settings.confirm_s,
        official=personal_api(settings),
    )


def _warm(session: TokenSession) -> TokenSession:
    session.warm()
    return session


def _token_session(name: str, settings: Settings, token_name: str) -> TokenSession:
    if name != "garminconnect":
        return garth_session(settings, token_name)
    from .sessions.garminconnect import GarminconnectSession

    return GarminconnectSession(
        token_store(settings, token_name), domain=settings.garmin_domain, ca_bundle=settings.garmin_ca_bundle
    )


def browser_session(settings: Settings) -> BrowserSession:
    from .sessions.browser import BrowserSession

    return BrowserSession(
        settings.browser_profile,
        domain=settings.garmin_domain,
        executable=settings.browser,
        arguments=settings.browser_args,
    )


def personal_api(settings: Settings) -> PersonalApi | None:
    """Garmin's official read-back, for those who have a key."""
    if settings.personal_api_key is None:
        return None
    from .personal_api import PersonalApi

    return PersonalApi(
        settings.personal_api_key,
        ends=settings.personal_api_key_ends,
        domain=settings.garmin_domain,
        ca_bundle=settings.garmin_ca_bundle,
    )


def token_store(settings: Settings, token_name: str = "default") -> Store:  # noqa: S107
    """Where the token of this name is kept."""
    if not settings.token_secret:
        from .tokens import TokenStore

        return TokenStore(settings.tokens, token_name)
    from .secret_manager import SecretTokenStore

    suffix = "" if token_name == "default" else f"-{token_name}"  # noqa: S105  # a name
    return SecretTokenStore(settings.token_secret + suffix)


def garth_session(settings: Settings, token_name: str = "default") -> GarthSession:  # noqa: S107
    from .sessions.garth import GarthSession

    return GarthSession(
        token_store(settings, token_name), domain=settings.garmin_domain, ca_bundle=settings.garmin_ca_bundle
    )


def garmin_names(settings: Settings) -> tuple[str, ...]:
    """The links that lead to Garmin Connect, in order; the usual one when only files are kept."""
    return tuple(name for name in settings.delivery if name != "folder") or (USUAL,)
