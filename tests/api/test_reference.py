"""The reference of the REST interface in docs/api.md."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from e2a.core import errors
from tests.support import apireference

#: Failures that only SMTP meets.
_OF_SMTP = (errors.HeaderTooLarge, errors.MailLoop, errors.MailboxFull, errors.UnknownRecipient)


class Reference(SynchronousTestCase):
    def test_current(self) -> None:
        """What is committed is what the code serves; ``python -m tests.support.apireference`` writes it anew."""
        current = apireference.PAGE.read_text(encoding="utf-8") == apireference.page()
        self.assertTrue(current, "run python -m tests.support.apireference")

    def test_complete(self) -> None:
        """Every operation and every shape of the document has a place in it."""
        api = apireference.built()
        headings = {line for line in apireference.Reference(api).lines() if line.startswith("\n### ")}
        operations = [(method.upper(), path) for path, methods in api["paths"].items() for method in methods]
        self.assertLessEqual({f"\n### `{method} {path}`\n" for method, path in operations}, headings)
        bodies = {
            each["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            for methods in api["paths"].values()
            for each in methods.values()
            if "requestBody" in each
        }
        shapes = api["components"]["schemas"].keys() - bodies
        self.assertLessEqual({f"\n### `{name}` object\n" for name in shapes}, headings)

    def test_codes(self) -> None:
        """Every code that programs may meet is explained."""
        page = apireference.PAGE.read_text(encoding="utf-8")
        kinds = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.E2AError)]
        for each in kinds:
            if not issubclass(each, _OF_SMTP):
                self.assertTrue(f"| {each.status} | `{each.code}` |" in page, each)
