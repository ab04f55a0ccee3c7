"""Whom a received message says that it is from."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from e2a.web.dashboard.author import author

EVE = "eve@evil.test"


class AuthorTests(SynchronousTestCase):
    def test_usual(self) -> None:
        """An ordinary name stands beside the address, and there is nothing to say about it."""
        for text in ("Eve Müller <eve@evil.test>", '"Müller, Eve" <EVE@evil.test>', "Eve\t Müller  <eve@evil.test>"):
            made = author(text, EVE)
            self.assertIn(made.name, ("Eve Müller", "Müller, Eve"), text)
            self.assertEqual(made.warnings, (), text)
        for text in (EVE, f"<{EVE}>", f"{EVE} <{EVE}>", ""):
            self.assertEqual(author(text, EVE).warnings, (), text)

    def test_another_address(self) -> None:
        """A name that reads like somebody else's address is told, in whatever letters and brackets."""
        for name in (
            "ana@corp.test",
            '"ana@corp.test via Support"',
            "<ana@corp.test>",
            "(ana@corp.test)",
            "\uff41na\uff20corp.test",
            "\u202eana@corp.test",
        ):
            (said, *_) = author(f"{name} <{EVE}>", EVE).warnings
            self.assertIn("ana@corp.test", said, name)

    def test_no_plain_sender(self) -> None:
        """A field from which the sender was not taken is told beside the address that was; with look-alike letters in
        both spellings.
        """
        for text, shown in (
            (f"{EVE}, ana@corp.test", "ana@corp.test"),
            ("ana@corp.test", "ana@corp.test"),
            ("Ana <ana@corp.test@evil.test>", "ana@corp.test"),
            ("Ana <ana@\u0430\u0440\u0440\u04cf\u0435.test>", "(really ana@xn--80ak6aa92e.test)"),
        ):
            (said,) = author(text, EVE).warnings
            self.assertIn(shown, said)
            self.assertIn(f"handed over under {EVE}", said)
        (said,) = author("undisclosed:;", "").warnings
        self.assertIn("names nobody", said)
        self.assertIn("under no address", said)

    def test_turned(self) -> None:
        """Characters that turn text around are told."""
        for character in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069":
            (said,) = author(f"A{character}b <{EVE}>", EVE).warnings
            self.assertIn("turn text around", said)

    def test_other_scripts(self) -> None:
        """A domain in other letters is told with both spellings at hand; one that cannot be read is left alone."""
        (said,) = author("x <a@xn--80ak6aa92e.test>", "a@xn--80ak6aa92e.test").warnings
        self.assertIn("\u0430\u0440\u0440\u04cf\u0435.test", said)
        for domain in ("xn--\ud800.test", "xn--99999999999.test", "xn--.test", "xn---.test"):
            author(f"x <a@{domain}>", f"a@{domain}")

    def test_long(self) -> None:
        """However long a field is, a page has room for it."""
        made = author("a@b.test " * 10_000 + f"<{EVE}>", EVE)
        self.assertLess(len(made.name) + len(made.text) + sum(map(len, made.warnings)), 3_000)
