"""`e2a doctor` and `e2a rotate-master-key`: what they print, and how they end."""

from __future__ import annotations

import json
from typing import Any

from click.testing import CliRunner, Result
from twisted.trial.unittest import TestCase

from e2a.cli.main import main
from e2a.core.settings import Settings
from e2a.flows.masterkey import Rotated, Seal
from e2a.service import masterkey, options
from e2a.service.doctor import examination
from e2a.service.doctor.report import Finding
from e2a.service.masterkey import Rotation

GOOD = Finding("database", "ok", "PostgreSQL 18", "a hint that nobody needs")
DOUBTFUL = Finding("mx", "warn", "mail goes \x1b[31melsewhere", "Publish it.")
WRONG = Finding("certificate", "fail", "expired", "Renew it.")
SKIPPED = Finding("upstream", "skip", "not set")


class DoctorTests(TestCase):
    def doctor(self, findings: list[Finding], *options: str) -> Result:
        self.asked: dict[str, Any] = {}

        def run(path: str | None, **asked: Any) -> list[Finding]:
            self.asked = {"path": path, **asked}
            return findings

        self.patch(examination, "run", run)
        return CliRunner().invoke(main, ["doctor", *options])

    def test_exit_codes(self) -> None:
        """The exit code tells well, doubtful, wrong and wrong usage apart."""
        for findings, code in (([GOOD, SKIPPED], 0), ([GOOD, DOUBTFUL], 10), ([DOUBTFUL, WRONG], 11)):
            self.assertEqual(self.doctor(findings).exit_code, code)
            self.assertEqual(self.doctor(findings, "--json").exit_code, code)
        self.assertEqual(self.doctor([], "--nonsense").exit_code, 2)

    def test_text(self) -> None:
        """People see each finding, hints where something is to be done, and what was skipped when they ask."""
        text = self.doctor([GOOD, DOUBTFUL, WRONG, SKIPPED]).output
        for words in ("PostgreSQL 18", "Publish it.", "Renew it.", "1 well, 1 doubtful, 1 wrong, 1 skipped"):
            self.assertIn(words, text)
        self.assertNotIn("a hint that nobody needs", text)
        self.assertNotIn("not set", text)
        self.assertIn("not set", self.doctor([SKIPPED], "--all").output)

    def test_terminal(self) -> None:
        """Nothing that the network said moves a terminal's cursor."""
        self.assertNotIn("\x1b", self.doctor([DOUBTFUL]).output)

    def test_json(self) -> None:
        """Programs get everything."""
        document = json.loads(self.doctor([GOOD, WRONG, SKIPPED], "--json").output)
        self.assertEqual(document["status"], "fail")
        self.assertEqual([check["check"] for check in document["checks"]], ["database", "certificate", "upstream"])

    def test_options(self) -> None:
        """The network is asked only on demand."""
        self.doctor([])
        self.assertEqual(self.asked, {"path": None, "network": False, "probe": "gmail.com"})
        self.doctor([], "--network", "--probe", "people.test", "--config", "x.yaml")
        self.assertEqual(self.asked, {"path": "x.yaml", "network": True, "probe": "people.test"})

    def test_configuration(self) -> None:
        """A configuration that cannot be used is a failure like others, with every complaint."""
        result = CliRunner().invoke(main, ["doctor"], env={"E2A_HTTP_LISTEN": "nonsense", "E2A_LOG_FORMAT": "pink"})
        self.assertEqual(result.exit_code, 11)
        self.assertIn("http.listen_addr", result.output)
        self.assertIn("log.format", result.output)


class RotationTests(TestCase):
    def rotate(self, rotation: Rotation, *arguments: str) -> Result:
        self.checked: list[bool] = []

        def run(settings: Settings, *, check: bool) -> Rotation:
            self.checked.append(check)
            return rotation

        self.patch(masterkey, "run", run)
        self.patch(options, "settings_or_exit", lambda path: Settings())
        return CliRunner().invoke(main, ["rotate-master-key", *arguments])

    def test_complete(self) -> None:
        """When everything is under the current secret it says so, and ends with 0."""
        done = Rotation([Rotated("DKIM keys", 5)], [Seal("DKIM keys", "current", 5)])
        result = self.rotate(done)
        self.assertEqual((result.exit_code, self.checked), (0, [False]))
        self.assertIn("DKIM keys: 5 sealed anew", result.output)
        self.assertIn("Nothing is left", result.output)

    def test_check(self) -> None:
        """What is left is counted, and the exit code is not that of success."""
        left = Rotation((), [Seal("DKIM keys", "current", 5), Seal("signing secrets", "old", 7)])
        result = self.rotate(left, "--check")
        self.assertEqual((result.exit_code, self.checked), (1, [True]))
        self.assertIn("signing secrets: 7 under a former deployment secret", result.output)
        self.assertNotIn("Nothing is left", result.output)

    def test_damaged(self) -> None:
        """Values that cannot be opened are named."""
        rotation = Rotation([Rotated("DKIM keys", 1, ("dkim 4 s1",))], [Seal("DKIM keys", "old", 1)])
        result = self.rotate(rotation)
        self.assertEqual(result.exit_code, 1)
        self.assertIn("dkim 4 s1", result.output)
        document = json.loads(self.rotate(rotation, "--json").output)
        self.assertEqual((document["complete"], document["damaged"]), (False, ["dkim 4 s1"]))

    def test_unreachable(self) -> None:
        """Without the database the exit code says that trying again makes sense."""
        result = self.rotate(Rotation(error="the database cannot be reached: no"))
        self.assertEqual(result.exit_code, 7)
        self.assertIn("cannot be reached", result.output)
