"""Signing people in, put together from the settings."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from ..api.sessiongate import SessionGate
from ..api.signin import SignInResource
from ..core.settings import Settings
from ..core.trust.browser import Attempts, CsrfTokens
from ..deliver.fetch import Fetcher
from ..flows.accounts import Accounts
from ..flows.handoff import HandOff
from ..flows.providers import Link, Provider, ProviderSettings, gmail
from ..flows.sessions import Sessions
from ..flows.signin import SignIn, SignUpRules
from ..web.handoff import HandOffPage
from ..web.pages import Handler
from ..web.signin import PAGES
from .ground import Ground

GOOGLE = "https://accounts.google.com"


@dataclass(frozen=True, slots=True)
class SigningIn:
    """:ivar resource: the REST side.
    :ivar pages: by path.
    :ivar gate: from requests to signed-in people, for REST and dashboard.
    """

    resource: SignInResource
    pages: Mapping[str, Handler]
    gate: SessionGate
    sessions: Sessions


def signing_in(ground: Ground, accounts: Accounts) -> SigningIn:
    """Everything about how people come in."""
    settings, database, now = ground.settings, ground.database, time.time
    base = origin_of(settings)
    fetch = Fetcher(ground.reactor)
    sessions = Sessions(database, CsrfTokens(*ground.sealer.derive_all("csrf")), now, ground.changed)
    signin = SignIn(
        database,
        [Provider(each, fetch, now) for each in provider_settings(settings)],
        Attempts(ground.sealer.derive("sign-in"), os.urandom),
        SignUpRules(settings.open_sign_up, settings.sign_up.allowed_domains),
        base=base,
        sealer=ground.sealer,
        now=now,
        random=os.urandom,
    )
    secure = settings.by_https
    gate = SessionGate(sessions, base, ground.client_addresses())
    pages: dict[str, Handler] = {path: kind(signin, sessions, secure=secure) for path, kind in PAGES.items()}
    pages[HandOffPage.path] = HandOffPage(HandOff(database, accounts, now), sessions, base=base)
    return SigningIn(SignInResource(sessions, gate, secure=secure), pages, gate, sessions)


def origin_of(settings: Settings) -> str:
    """Scheme and host that people come back to from a provider; "" when nothing is configured."""
    parts = urlsplit(settings.oauth.redirect_url or settings.http.public_url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def provider_settings(settings: Settings) -> list[ProviderSettings]:
    """The configured providers, in the order in which people are offered them."""
    found = []
    oauth, oidc = settings.oauth, settings.oidc
    if oauth.google_client_id:
        found.append(
            ProviderSettings(
                "google",
                "Google",
                GOOGLE,
                oauth.google_client_id,
                oauth.google_client_secret,
                link="always",
                owns=gmail,
            )
        )
    if oidc.issuer:
        name = oidc.name or urlsplit(oidc.issuer).hostname or oidc.issuer
        found.append(
            ProviderSettings(
                "oidc",
                name,
                oidc.issuer,
                oidc.client_id,
                oidc.client_secret,
                oidc.scopes,
                oidc.trust_email,
                cast(Link, oidc.link_accounts),
            )
        )
    return found
