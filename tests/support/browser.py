"""A real browser for tests: a Chromium installed on the machine, driven by Playwright.

It is the one that ``E2A_TEST_CHROMIUM`` names, else the first of the usual paths; without one the tests are skipped
with the reason. One browser serves a whole run; every test has its own profile. What a page complains about in its
console, and every uncaught error of its scripts, fails the test unless it was expected. Everything here blocks.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import SkipTest

from tests.system.case import SystemCase

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, ConsoleMessage, Page

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_PATHS = ("/usr/bin/chromium", "/snap/bin/chromium", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Whatever the environment says: every server of a test is on this machine.
    "--no-proxy-server",
)
#: Seconds that anything on a page may take.
PATIENCE = 60.0


def executable() -> str | None:
    """Where the browser is."""
    given = os.environ.get("E2A_TEST_CHROMIUM")
    if given:
        return given
    found = (shutil.which(name) for name in _NAMES)
    return next((path for path in (*found, *_PATHS) if path and os.access(path, os.X_OK)), None)


class _Run:
    """The browser of this process, started by the first test that needs it."""

    browser: Any = None
    loop: Any = None
    reason = ""

    @classmethod
    def ensure(cls) -> Any:
        """:raises SkipTest: there is none."""
        if cls.browser is None and not cls.reason:
            cls._start()
        if cls.browser is None:
            raise SkipTest(cls.reason)
        return cls.browser

    @classmethod
    def _start(cls) -> None:
        path = executable()
        if path is None:
            cls.reason = "no Chromium: set E2A_TEST_CHROMIUM or install chromium"
            return
        try:
            from playwright.sync_api import Error, sync_playwright
        except ImportError:
            cls.reason = "Playwright for Python is not installed"
            return
        playwright = sync_playwright().start()
        try:
            cls.browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        except Error as error:
            playwright.stop()
            cls.reason = f"{path} does not start: {str(error).partition(chr(10))[0]}"
            return
        cls.loop = asyncio._get_running_loop()
        atexit.register(playwright.stop)
        atexit.register(cls.browser.close)
        atexit.register(asyncio._set_running_loop, cls.loop)


class BrowserCase(SystemCase):
    """A test that looks at pages as a person does.

    :ivar page: a tab in a profile without cookies.
    :ivar context: the profile.
    """

    context: BrowserContext
    page: Page

    def setUp(self) -> None:
        browser = _Run.ensure()
        # Playwright leaves its event loop marked as running in this thread, where other tests run loops of their own.
        asyncio._set_running_loop(_Run.loop)
        self.addCleanup(asyncio._set_running_loop, None)
        super().setUp()
        self.complaints: list[str] = []
        self._expected: list[str] = []
        self.context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB", timezone_id="UTC")
        self.context.set_default_timeout(PATIENCE * 1000)
        self.context.on("page", self._watch)
        self.addCleanup(self.context.close)
        self.addCleanup(self._check_complaints)
        self.page = self.context.new_page()

    def expect_complaint(self, pattern: str) -> None:
        """What the console may say in this test. :param pattern: a regular expression that a part of it matches."""
        self._expected.append(pattern)

    def screenshot(self, name: str) -> None:
        """Keep what the page looks like, if ``E2A_TEST_SCREENSHOTS`` names a directory for it."""
        folder = os.environ.get("E2A_TEST_SCREENSHOTS")
        if folder:
            path = Path(folder) / f"{self.id().rpartition('.')[2]}-{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=path, full_page=True)

    def cookies(self) -> dict[str, Any]:
        """The profile's cookies by name, with their attributes."""
        return {str(cookie["name"]): cookie for cookie in self.context.cookies()}

    def _watch(self, page: Page) -> None:
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} ({message.location.get('url', '')})")

    def _check_complaints(self) -> None:
        unexpected = [
            complaint
            for complaint in self.complaints
            if not any(re.search(pattern, complaint) for pattern in self._expected)
        ]
        self.assertEqual(unexpected, [], "the browser complained")
