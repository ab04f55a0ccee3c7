"""What binds a browser to what it began: tokens against forged requests, nonces and verifiers of a sign-in.

All are MACs, so that nothing of them needs to be stored.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

from e2a.core import ids

#: The cookie that ties a sign-in to the browser which began it.
_BROWSER = re.compile(r"[0-9a-f]{32}")
_STATE = re.compile(r"[0-9a-f]{64}")


class CsrfTokens:
    """What only pages of ours can send beside a session's cookie.

    :param key: for this purpose only.
    :param old: former keys; what they made is still good.
    """

    def __init__(self, key: bytes, *old: bytes) -> None:
        self._keys = (key, *old)

    def mint(self, session_token: str) -> str:
        return _csrf(self._keys[0], session_token)

    def matches(self, session_token: str, given: str) -> bool:
        """In constant time for each key."""
        presented = given.encode("utf-8", "replace")
        return any(hmac.compare_digest(_csrf(key, session_token).encode(), presented) for key in self._keys)


def _csrf(key: bytes, session_token: str) -> str:
    return hmac.new(key, session_token.encode(), hashlib.sha256).hexdigest()


class Attempts:
    """The secrets of a sign-in under way, from its state and its browser's cookie.

    Who knows one of the two cannot make them: the state is seen by the provider and in the address line, the cookie by
    the browser alone.

    :param key: for this purpose only.
    """

    def __init__(self, key: bytes, random: ids.RandomBytes) -> None:
        self._key = key
        self._random = random

    def browser(self, cookie: str) -> str:
        """The cookie's value, if it is one of ours, else a new one: one browser may have several sign-ins under way."""
        return cookie if _BROWSER.fullmatch(cookie) else self._random(16).hex()

    def state(self) -> str:
        return ids.token(self._random)

    def digest(self, state: str, browser: str) -> bytes | None:
        """What the sign-in is stored under; None when the two can be none of ours."""
        if not _STATE.fullmatch(state) or not _BROWSER.fullmatch(browser):
            return None
        return self._mac("row", state, browser)

    def nonce(self, state: str, browser: str) -> str:
        return self._mac("nonce", state, browser).hex()

    def verifier(self, state: str, browser: str) -> str:
        """The PKCE code verifier (RFC 7636 4.1)."""
        return self._mac("verifier", state, browser).hex()

    def _mac(self, label: str, state: str, browser: str) -> bytes:
        return hmac.new(self._key, f"{label} {state} {browser}".encode(), hashlib.sha256).digest()


def challenge(verifier: str) -> str:
    """The S256 code challenge (RFC 7636 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
