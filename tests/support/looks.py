"""The dashboard as a person finds it: signed in, in light and dark, on a phone, and judged by axe-core."""

from __future__ import annotations

import re
import subprocess
from typing import Any

from tests.support.browser import PATIENCE, BrowserCase
from tests.support.daemon import Daemon, e2a

#: What axe-core checks: WCAG 2.2, levels A and AA.
_EVERYTHING = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
#: What other colours may change.
_COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
_DESKTOP, _PHONE = (1280, 900), (360, 780)
_VARIANTS = (("light", _DESKTOP, _EVERYTHING), ("dark", _DESKTOP, _COLOURS), ("light", _PHONE, _EVERYTHING))
#: Octets that a page may have.
LARGEST_PAGE = 100_000


class DashboardCase(BrowserCase):
    """A test that uses the dashboard."""

    def sign_in_link(self, daemon: Daemon, email: str) -> str:
        """A one-time link, from the command that prints it."""
        done = subprocess.run(
            e2a("bootstrap", "--sign-in-link", email),
            env=daemon.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        found = re.search(r"^Sign in: (\S+)$", done.stdout + done.stderr, re.MULTILINE)
        assert found, done.stdout + done.stderr
        return found[1]

    def sign_in(self, daemon: Daemon, email: str = "owner@example.test", page: Any = None) -> None:
        """Into the profile of the page, the test's own unless told otherwise."""
        page = page or self.page
        page.goto(self.sign_in_link(daemon, email))
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{daemon.url}/dashboard")

    def press(self, key: str) -> None:
        """One of the page's own keys, once its script listens: what a page shows can be seen before that."""
        self.page.wait_for_load_state()
        self.page.keyboard.press(key)

    def wait_title(self, pattern: str) -> None:
        """Wait until the page's title matches."""
        from playwright.sync_api import expect

        expect(self.page).to_have_title(re.compile(pattern), timeout=PATIENCE * 1000)

    def looks(self, name: str) -> None:
        """Keep what the page looks like on a desktop, in light and dark, and on a phone; axe finds nothing wrong, the
        page is small, and nothing is wider than the phone.
        """
        from axe_playwright_python.sync_playwright import Axe

        page = self.page
        self.assertLess(len(page.content().encode()), LARGEST_PAGE, name)
        faults = []
        page.evaluate(Axe().axe_script)
        for scheme, (width, height), checks in _VARIANTS:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.set_viewport_size({"width": width, "height": height})
            kind = f"{scheme}{'-phone' if width < 500 else ''}"
            self.screenshot(f"{name}-{kind}")
            found = page.evaluate("options => axe.run(options)", {"runOnly": checks, "resultTypes": ["violations"]})
            for fault in found["violations"]:
                faults += [f"{kind}: {fault['id']}: {node['target']}: {node['html'][:200]}" for node in fault["nodes"]]
            wide = page.evaluate("document.documentElement.scrollWidth")
            if wide > width:
                faults.append(f"{kind}: {wide} pixels wide")
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": _DESKTOP[0], "height": _DESKTOP[1]})
        self.assertEqual(faults, [], name)
