"""OpenID providers: discovered (OpenID Connect Discovery 1.0), asked with PKCE, believed only as far as they sign."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote_plus, urlencode, urlsplit

from e2a.core.errors import E2AError
from e2a.core.settingchecks import local_host
from e2a.core.trust import idtoken
from e2a.core.trust.browser import challenge

from .ports import Fetch, Fetched, FetchFailed, Now

#: Seconds for which what a provider says about itself, and its keys, are believed.
CACHE_SECONDS = 3600.0
#: Seconds between two looks at the keys because of a token whose key is not among them, and between two at a provider
#: that does not answer while something is known of it.
REFRESH_SECONDS = 60.0

#: Characters of an address (RFC 5321 4.5.3.1.3, without the angle brackets).
LONGEST_ADDRESS = 254

WELL_KNOWN = "/.well-known/openid-configuration"


#: Whether a provider opens accounts that it did not make.
Link = Literal["auto", "always", "never"]


def _everything(claims: Mapping[str, Any]) -> bool:
    return True


def gmail(claims: Mapping[str, Any]) -> bool:
    """Whether Google runs the mailbox: other addresses were shown to be the person's once, when they made their Google
    account, and may have become somebody else's since.
    """
    return bool(claims.get("hd")) or _address(claims.get("email")).lower().endswith("@gmail.com")


class ProviderFailed(E2AError):
    """The provider did not answer, or not as it must. The cause is for the log."""

    status, code, temporary = 502, "provider_failed", True
    default = "the sign-in provider did not answer as it should; please try again"


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """:ivar key: how the sign-in page's link names it.
    :ivar name: how people know it.
    :ivar client_secret: "" for a public client.
    :ivar trust_email: whether addresses are verified that the provider says nothing about.
    :ivar link: which accounts open to somebody with their address who comes from here for the first time. ``auto``:
        those that nobody signs in to with another provider.
    :ivar owns: whether the provider itself runs the mailbox of that address, from the claims: for addresses that it
        does not run, ``always`` is no more than ``auto``.
    """

    key: str
    name: str
    issuer: str
    client_id: str
    client_secret: str
    scopes: str = "openid email profile"
    trust_email: bool = False
    link: Link = "auto"
    owns: Callable[[Mapping[str, Any]], bool] = _everything


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a provider vouches for.

    :ivar verified: whether the address is theirs, as the provider says.
    :ivar link: as ``ProviderSettings.link``, for this address.
    """

    issuer: str
    subject: str
    email: str
    verified: bool
    name: str
    link: Link


@dataclass(frozen=True, slots=True)
class _Metadata:
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str
    basic: bool
    names_itself: bool


class Provider:
    def __init__(self, settings: ProviderSettings, fetch: Fetch, now: Now) -> None:
        self.settings = settings
        self._fetch = fetch
        self._now = now
        self._metadata: tuple[float, _Metadata] | None = None
        self._keys: tuple[float, list[Any]] | None = None

    async def authorization_url(self, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Where the person's browser goes.

        :raises ProviderFailed: the provider cannot be discovered.
        """
        endpoint = (await self._discovered()).authorization_endpoint
        query = {
            "client_id": self.settings.client_id,
            "redirect_uri": redirect_uri,
            "response_type": "code",
            "scope": self.settings.scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge(verifier),
            "code_challenge_method": "S256",
        }
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    async def person(
        self, code: str, redirect_uri: str, *, verifier: str, nonce: str, answered_by: str | None
    ) -> Person:
        """Who came back with this code.

        :param answered_by: the ``iss`` parameter of the answer (RFC 9207), None when there is none.
        :raises ProviderFailed: the code is worth nothing, or what it is worth cannot be believed.
        """
        metadata = await self._discovered()
        if answered_by != metadata.issuer and (answered_by is not None or metadata.names_itself):
            raise _failed("the answer came from another issuer")
        answer = await self._exchange(metadata, code, redirect_uri, verifier)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise _failed("there is no ID token")
        claims = dict(await self._verified(metadata, token, nonce))
        if not claims.get("email") and metadata.userinfo_endpoint:
            claims |= await self._userinfo(metadata, answer.get("access_token"), claims["sub"])
        return self._person(metadata, claims)

    def _person(self, metadata: _Metadata, claims: Mapping[str, Any]) -> Person:
        verified = claims.get("email_verified")
        return Person(
            issuer=metadata.issuer,
            subject=claims["sub"],
            email=_address(claims.get("email")),
            # Some providers send the word instead of the truth value.
            verified=verified is True or verified == "true" or (verified is None and self.settings.trust_email),
            name=_text(claims.get("name"), 200),
            link="auto" if self.settings.link == "always" and not self.settings.owns(claims) else self.settings.link,
        )

    async def _exchange(self, metadata: _Metadata, code: str, redirect_uri: str, verifier: str) -> dict[str, Any]:
        """Code to tokens (RFC 6749 4.1.3, RFC 7636 4.5)."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        client_id, secret = self.settings.client_id, self.settings.client_secret
        if secret and metadata.basic:
            headers["Authorization"] = _basic(client_id, secret)
        else:
            form["client_id"] = client_id
            if secret:
                form["client_secret"] = secret
        return await self._json("POST", metadata.token_endpoint, headers, urlencode(form).encode())

    async def _verified(self, metadata: _Metadata, token: str, nonce: str) -> Mapping[str, Any]:
        keys = await self._key_set(metadata, CACHE_SECONDS)
        try:
            try:
                return self._claims(metadata, token, nonce, keys)
            except idtoken.UnknownKey:
                keys = await self._key_set(metadata, REFRESH_SECONDS)
                return self._claims(metadata, token, nonce, keys)
        except idtoken.TokenRefused as refused:
            raise ProviderFailed from refused

    def _claims(self, metadata: _Metadata, token: str, nonce: str, keys: list[Any]) -> Mapping[str, Any]:
        return idtoken.verify(
            token, keys, issuer=metadata.issuer, client_id=self.settings.client_id, nonce=nonce, now=self._now()
        )

    async def _userinfo(self, metadata: _Metadata, access_token: Any, subject: str) -> dict[str, Any]:
        """What the ID token leaves out (OpenID Connect Core 1.0, 5.3.2: the subject must be the same)."""
        if not isinstance(access_token, str) or not access_token.isascii() or not access_token.isprintable():
            raise _failed("there is no access token")
        headers = {"Authorization": f"Bearer {access_token}", "Accept": "application/json"}
        answer = await self._json("GET", metadata.userinfo_endpoint, headers)
        if answer.get("sub") != subject:
            raise _failed("the user information is about somebody else")
        return {name: answer[name] for name in ("email", "email_verified", "name") if name in answer}

    async def _discovered(self) -> _Metadata:
        if self._metadata is not None and self._now() < self._metadata[0]:
            return self._metadata[1]
        try:
            document = await self._json("GET", self.settings.issuer + WELL_KNOWN, {"Accept": "application/json"})
            metadata = _metadata(document, self.settings.issuer)
        except ProviderFailed:
            if self._metadata is None:
                raise
            # Not everybody who signs in meanwhile shall wait for the same silence.
            until, metadata = self._now() + REFRESH_SECONDS, self._metadata[1]
        else:
            until = self._now() + CACHE_SECONDS
        self._metadata = until, metadata
        return metadata

    async def _key_set(self, metadata: _Metadata, seconds: float) -> list[Any]:
        """The provider's keys, no older than that."""
        if self._keys is not None and self._now() - self._keys[0] < seconds:
            return self._keys[1]
        keys = idtoken.usable_keys(await self._json("GET", metadata.jwks_uri, {"Accept": "application/json"}))
        self._keys = self._now(), keys
        return keys

    async def _json(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> dict[str, Any]:
        try:
            answer: Fetched = await self._fetch(method, url, headers, body)
        except FetchFailed as error:
            raise ProviderFailed from error
        try:
            document = json.loads(answer.body)
        except (ValueError, RecursionError):
            document = None
        if answer.status != 200 or not isinstance(document, dict):
            # The error code of RFC 6749 5.2 says what the operator has to mend.
            reason = document.get("error") if isinstance(document, dict) else None
            raise _failed(f"{urlsplit(url).hostname} answered {answer.status} {_text(reason, 60)}".rstrip())
        return document


def _metadata(document: Mapping[str, Any], issuer: str) -> _Metadata:
    """:raises ProviderFailed: it is another issuer's, or lacks something."""

    def endpoint(name: str, *, required: bool = True) -> str:
        url = document.get(name)
        if not required and url is None:
            return ""
        if not isinstance(url, str) or not url.isascii() or not _sound(url):
            raise _failed(f"its {name} is missing or not an https URL")
        return url

    named = document.get("issuer")
    # Settings are kept without a slash at the end; the provider's own spelling is what its tokens say.
    if not isinstance(named, str) or named.removesuffix("/") != issuer:
        raise _failed("it says that it is another issuer")
    methods = document.get("token_endpoint_auth_methods_supported")
    return _Metadata(
        issuer=named,
        authorization_endpoint=endpoint("authorization_endpoint"),
        token_endpoint=endpoint("token_endpoint"),
        jwks_uri=endpoint("jwks_uri"),
        userinfo_endpoint=endpoint("userinfo_endpoint", required=False),
        basic=not isinstance(methods, list) or "client_secret_basic" in methods,
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _sound(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if not url.isprintable() or " " in url:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and local_host(parts.hostname or ""))


def _basic(client_id: str, secret: str) -> str:
    """RFC 6749 2.3.1: both are form-encoded before they are put together."""
    return "Basic " + base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode()


def _text(value: Any, longest: int) -> str:
    """A claim as text that can be stored and shown; "" when it is none."""
    if not isinstance(value, str):
        return ""
    return "".join(char for char in value if char.isprintable()).strip()[:longest]


def _address(value: Any) -> str:
    """The address as the provider says it; "" when it is none. One that had to be cleaned first would be another one,
    which the provider does not vouch for.
    """
    return value if isinstance(value, str) and value == _text(value, LONGEST_ADDRESS) else ""


def _failed(reason: str) -> ProviderFailed:
    error = ProviderFailed()
    error.__cause__ = ValueError(reason)
    return error
