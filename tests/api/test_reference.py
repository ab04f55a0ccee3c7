"""The reference of the REST interface in docs/api.md."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support import apireference


class Reference(SynchronousTestCase):
    def test_current(self) -> None:
        """What is committed is what the code serves; ``python -m tests.support.apireference`` writes it anew."""
        self.assertEqual(apireference.PAGE.read_text(encoding="utf-8"), apireference.page())

    def test_complete(self) -> None:
        """Every operation and every shape of the document has a place in it."""
        api = apireference.built()
        text = "\n".join(apireference.Reference(api).lines())
        for path, methods in api["paths"].items():
            for method in methods:
                self.assertIn(f"### `{method.upper()} {path}`\n", text)
        bodies = {
            each["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            for methods in api["paths"].values()
            for each in methods.values()
            if "requestBody" in each
        }
        for name in api["components"]["schemas"].keys() - bodies:
            self.assertIn(f"### `{name}` object\n", text)
