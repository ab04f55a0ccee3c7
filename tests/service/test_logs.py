"""The log: every event once, in the chosen form, without credentials."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from typing import Any

from twisted.logger import ILogObserver, Logger, LogLevel, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from e2a.core.settingsections import Log
from e2a.service import logs

KEY = "e2a_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"


class Lines(TestCase):
    def record(self, settings: Log, say: Callable[[Logger], None]) -> list[str]:
        stream = io.StringIO()
        observer = logs.observer(settings, lambda: stream)
        verifyObject(ILogObserver, observer)
        say(Logger(namespace="e2a.test", observer=observer))
        return stream.getvalue().splitlines()

    def record_json(self, say: Callable[[Logger], None], level: str = "info") -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.record(Log(format="json", level=level), say)]

    def test_text(self) -> None:
        """A text line has time, level, source and message."""
        (line,) = self.record(Log(), lambda log: log.info("took {count} messages", count=3))
        self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info +e2a\.test: took 3 messages$")

    def test_templates(self) -> None:
        """The text of an event is what twisted.logger makes of it, whatever its template is."""
        for template in (
            "plain",
            "{a} and {b!r}, {c.real:>5}, {d[x]} {{}}",
            "{call()} {a}",
            "{missing}",
            "{broken",
            "{}",
            b"{a} octets",
            None,
        ):
            event = {"log_format": template, "a": 1, "b": "x", "c": 2.5, "d": {"x": 3}, "call": lambda: "called"}
            self.assertEqual(logs._message(event), formatEvent(event), template)
        self.flushLoggedErrors()

    def test_json(self) -> None:
        """A JSON line is one object with the message and the event's plain fields."""
        (entry,) = self.record_json(lambda log: log.warn("took {count}", count=3, name="a", thing=object()))
        self.assertEqual(
            (entry["level"], entry["logger"], entry["message"], entry["count"], entry["name"]),
            ("warn", "e2a.test", "took 3", 3, "a"),
        )
        self.assertNotIn("thing", entry)

    def test_level(self) -> None:
        """Events below the level are left out."""
        said = self.record_json(lambda log: (log.info("no"), log.error("yes")), level="error")  # type: ignore[func-returns-value]
        self.assertEqual([entry["message"] for entry in said], ["yes"])

    def test_quiet_libraries(self) -> None:
        """What the network library says of every socket shows at debug only; its warnings always show."""
        for level, expected in (("info", ["bad"]), ("debug", ["socket", "bad"])):
            stream = io.StringIO()
            log = Logger(namespace="twisted.names", observer=logs.observer(Log(level=level), lambda s=stream: s))  # type: ignore[misc]
            log.info("socket")
            log.warn("bad")
            self.assertEqual([line.split()[-1] for line in stream.getvalue().splitlines()], expected)

    def test_one_line_each(self) -> None:
        """A message with line breaks or terminal escapes cannot forge a second line."""
        said = self.record(Log(), lambda log: log.info("{text}", text="a\nerror forged\r\x1b[2J\u2028b"))
        self.assertEqual(len(said), 1)
        self.assertNotIn("\x1b", said[0])

    def test_exception_in_json(self) -> None:
        """An exception is whole inside its one object."""

        def say(log: Logger) -> None:
            try:
                raise ValueError(f"bad {KEY}")
            except ValueError:
                log.failure("it failed", Failure())

        (entry,) = self.record_json(say)
        self.assertEqual(entry["exception"]["type"], "ValueError")
        self.assertIn("Traceback", entry["exception"]["traceback"])
        self.assertNotIn(KEY, json.dumps(entry))

    def test_exception_in_text(self) -> None:
        """A traceback follows on indented lines."""
        said = self.record(Log(), lambda log: log.failure("it failed", Failure(ValueError("x"))))
        self.assertGreater(len(said), 1)
        self.assertTrue(all(line.startswith("    ") for line in said[1:]))

    def test_redaction(self) -> None:
        """Nothing that looks like a credential is written."""
        for secret, text in (
            (KEY, f"key {KEY} refused"),
            ("abc123", "GET /ws?token=abc123 101"),
            ("abc123", "GET /magic?id=7&t=abc123"),
            ("c2VjcmV0dG9rZW4", "Authorization: Bearer c2VjcmV0dG9rZW4"),
            ("hunter2", "connect postgresql://e2a:hunter2@db/e2a"),
            ("MfKQ9r8G", "secret whsec_MfKQ9r8G"),
            ("f" * 64, "session " + "f" * 64),
            ("ann@example.org", "duplicate key\nDETAIL:  Key (email)=(ann@example.org) already exists."),
        ):
            self.assertNotIn(secret, logs.redact(text))

    def test_recognisable_keys(self) -> None:
        """A key keeps the prefix that its owner sees in lists."""
        self.assertIn(KEY[:12], logs.redact(KEY))

    def test_hidden_fields(self) -> None:
        """Fields named after secrets and content are never written."""
        (entry,) = self.record_json(lambda log: log.info("x", subject="Hello", token="t1", count=1))
        self.assertEqual((entry["subject"], entry["token"], entry["count"]), ("[redacted]", "[redacted]", 1))

    def test_broken_stream(self) -> None:
        """A full disk or a closed terminal does not disturb who logs."""
        closed = io.StringIO()
        closed.close()
        Logger(observer=logs.observer(Log(), lambda: closed)).emit(LogLevel.error, "x")


class Destination(TestCase):
    def test_named_file(self) -> None:
        """--logfile is honoured, and the file opened only when there is something to write."""
        path = self.mktemp()
        stream = logs.destination(path)
        self.assertFalse(os.path.exists(path))
        log = Logger(namespace="e2a.test", observer=logs.observer(Log(), stream))
        log.info("one")
        log.info("two")
        with open(path) as file:
            self.assertEqual(len(file.readlines()), 2)

    def test_foreground(self) -> None:
        """Without a file a process in the foreground writes to standard error."""
        import sys

        self.assertIs(logs.destination(None)(), sys.stderr)

    def test_forked(self) -> None:
        """A daemon, whose terminal is gone, writes to twistd.log."""
        directory = self.mktemp()
        os.mkdir(directory)
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(directory)
        stream = logs.destination(None)
        self.patch(os, "getpid", lambda: -1)
        file = stream()
        file.write("x\n")
        file.close()
        self.assertTrue(os.path.exists("twistd.log"))
