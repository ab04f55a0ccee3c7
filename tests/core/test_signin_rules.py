"""Where a sign-in may lead, whose requests count, who may make an account."""

from __future__ import annotations

import itertools
from typing import Any
from urllib.parse import urljoin, urlsplit

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import TestCase

from e2a.core.errors import BadRequest
from e2a.core.rules.signin import HOME, callback_origin, cli_callback, cookie, may_sign_up, safe_next, same_origin
from e2a.core.trust.browser import Attempts, CsrfTokens, challenge


class NextTests(TestCase):
    def test_kept(self) -> None:
        """A path of this site is kept with its query."""
        for path in ("/", "/dashboard", "/dashboard/agents?tab=1&x=%2F#a", "/a:b@c"):
            self.assertEqual(safe_next(path), path)

    def test_elsewhere(self) -> None:
        """Whatever a browser could take for another site, or for more than a path, leads home."""
        for path in ("", "dashboard", "//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example"):
            self.assertEqual(safe_next(path), HOME)
        for path in ("/a b", "/a\r\nSet-Cookie: x", "/\u00e4", '/"', "/" * 2, "/" + "a" * 2000):
            self.assertEqual(safe_next(path), HOME)

    @given(st.text(alphabet="/\\.:?#@abc\t\n ", max_size=12))
    def test_same_site(self, path: str) -> None:
        """Wherever it leads, it is on this site."""
        self.assertEqual(urlsplit(urljoin("https://e2a.example/login", safe_next(path))).netloc, "e2a.example")


class CallbackTests(TestCase):
    def test_this_computer(self) -> None:
        """A port of this computer is where a command line listens."""
        for url in (
            "http://127.0.0.1:1234/callback",
            "http://localhost:1/",
            "http://[::1]:9/cb?x=1",
            "http://127.9.9.9",
        ):
            cli_callback(url, "state")
        self.assertEqual(callback_origin("http://[::1]:9/cb?x=1"), "http://[::1]:9")

    def test_elsewhere(self) -> None:
        """Nothing else is."""
        for url in (
            "https://127.0.0.1/",
            "http://evil.example/",
            "http://127.0.0.1@evil.example/",
            "http://user@127.0.0.1/",
            "http://127.0.0.1.evil.example/",
            "http://2130706433/",
            "http://localhost.evil.example/",
            "http://127.0.0.1:99999/",
            "http://127.0.0.1:0/",
            "http:///callback",
            "//127.0.0.1/",
            "javascript:alert(1)",
            "http://127.0.0.1/; script-src *",
            "http://127.0.0.1;x/",
            "http://127.0.0.1\\@evil.example/",
            "http://127.0.0.1/\r\n",
            "http://127.0.0.1/" + "a" * 200,
        ):
            self.assertRaises(BadRequest, cli_callback, url, "state")

    def test_both_or_neither(self) -> None:
        """Callback and state belong together, and the error names the one that is missing."""
        self.assertEqual(self.assertRaises(BadRequest, cli_callback, "http://127.0.0.1:1/", "").field, "cli_state")
        self.assertEqual(self.assertRaises(BadRequest, cli_callback, "", "s").field, "cli_callback")
        self.assertEqual(self.assertRaises(BadRequest, cli_callback, "http://127.0.0.1/", "s" * 513).field, "cli_state")


class OriginTests(TestCase):
    def judged(self, required: bool = False, **headers: str) -> bool:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return same_origin(named.get, "https://e2a.example", required=required)

    def test_what_the_browser_says(self) -> None:
        """Sec-Fetch-Site decides where there is one."""
        self.assertTrue(self.judged(sec_fetch_site="same-origin"))
        for site in ("cross-site", "same-site", "none", ""):
            self.assertFalse(self.judged(sec_fetch_site=site, origin="https://e2a.example"))

    def test_origin(self) -> None:
        """Without it the Origin must be ours: the configured one, or the one that was asked."""
        self.assertTrue(self.judged(origin="https://e2a.example", host="internal:8080"))
        self.assertTrue(self.judged(origin="http://localhost:8080", host="localhost:8080"))
        for origin in ("null", "", "https://evil.example", "https://e2a.example.evil.example", "http://e2a.example"):
            self.assertFalse(self.judged(origin=origin, host="e2a.example:443"), origin)

    def test_no_browser(self) -> None:
        """No sign of a browser is fine, unless there must be one."""
        self.assertTrue(self.judged(host="e2a.example"))
        self.assertFalse(self.judged(True, host="e2a.example"))


class SignUpTests(TestCase):
    def test_rules(self) -> None:
        """Invited people always may; named domains close the door to all others; else it is open or not."""

        def may(email: str = "a@x.test", invited: bool = False, open_to_all: bool = False, domains: Any = ()) -> bool:
            return may_sign_up(email, invited=invited, open_to_all=open_to_all, domains=domains)

        self.assertTrue(may(invited=True, domains=("y.test",)))
        self.assertTrue(may(open_to_all=True))
        self.assertFalse(may())
        self.assertTrue(may("a@X.test", domains=("x.test",)))
        self.assertFalse(may("a@sub.x.test", open_to_all=True, domains=("x.test",)))
        self.assertFalse(may('"a@x.test"@y.test', open_to_all=True, domains=("x.test",)))


class SecretsTests(TestCase):
    def test_attempt(self) -> None:
        """A sign-in's secrets need both its state and its browser, and differ from each other."""
        numbers = itertools.count(1)
        attempts = Attempts(b"key", lambda count: next(numbers).to_bytes(count, "big"))
        state, browser = attempts.state(), attempts.browser("")
        self.assertEqual(attempts.browser(browser), browser)
        self.assertNotEqual(attempts.browser("junk"), browser)
        secrets = {attempts.nonce(state, browser), attempts.verifier(state, browser), attempts.nonce(state, "0" * 32)}
        secrets |= {attempts.nonce(attempts.state(), browser), Attempts(b"other", bytes).nonce(state, browser)}
        self.assertEqual(len(secrets), 5)
        self.assertNotEqual(attempts.digest(state, browser), attempts.digest(state, "0" * 32))
        for bad in (("", browser), (state, ""), ("x" + state[1:], browser), (state, browser + "0"), ("\0", "\0")):
            self.assertIsNone(attempts.digest(*bad))
        self.assertTrue(43 <= len(attempts.verifier(state, browser)) <= 128)

    def test_challenge(self) -> None:
        """The example of RFC 7636, appendix B."""
        verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        self.assertEqual(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")

    def test_csrf(self) -> None:
        """A token goes with one session."""
        tokens = CsrfTokens(b"key")
        token = tokens.mint("one")
        self.assertTrue(tokens.matches("one", token))
        for session, given_ in (("two", token), ("one", ""), ("one", token[:-1]), ("one", "\u00e4\ud800")):
            self.assertFalse(tokens.matches(session, given_))
        self.assertNotEqual(token, CsrfTokens(b"other").mint("one"))

    def test_cookie(self) -> None:
        """Cookies are out of reach of scripts and other sites, and of plain http in production."""
        self.assertEqual(cookie("a", "b", 60, secure=False), "a=b; Path=/; Max-Age=60; HttpOnly; SameSite=Lax")
        self.assertTrue(cookie("a", "b", 60, secure=True).endswith("; Secure"))
