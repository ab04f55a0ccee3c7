"""Tests for e2a.core.mail.addresses and e2a.core.mail.encodedwords."""

from __future__ import annotations

import base64
import time

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from e2a.core.errors import BadRequest
from e2a.core.mail import addresses
from e2a.core.mail.addresses import (
    AddressError,
    Mailbox,
    agent_address,
    join,
    mailboxes,
    match_path,
    normal_domain,
    slug,
    sole_from,
    split,
    split_tag,
)
from e2a.core.mail.encodedwords import decode_words
from e2a.core.mail.headers import scan


def b64(text: bytes) -> bytes:
    return b"=?utf-8?b?" + base64.b64encode(text) + b"?="


class PartsTests(SynchronousTestCase):
    def test_split_and_tag(self) -> None:
        """The tag is cut at the first plus behind a base; other addresses stay whole."""
        self.assertEqual(split("a@b@c"), ("a@b", "c"))
        self.assertEqual(split("postmaster"), ("postmaster", ""))
        self.assertEqual(split_tag("bot+a+b@x.test"), ("bot@x.test", "a+b"))
        self.assertEqual(split_tag("+a@x.test"), ("+a@x.test", ""))
        self.assertEqual(split_tag("bot@x.test"), ("bot@x.test", ""))

    def test_quoting(self) -> None:
        """A local part that is no dot-string is quoted again, so it cannot reach beyond its place."""
        self.assertEqual(join('a"> SIZE=1', "x.test"), '"a\\"> SIZE=1"@x.test')
        path, end = match_path('<"a\\"> SIZE=1"@X.test> BODY=7BIT')
        self.assertEqual((path.local, path.domain, end), ('a"> SIZE=1', "x.test", 22))

    def test_domains(self) -> None:
        """A domain has one spelling; U-labels are taken only where every IDNA agrees."""
        for text, expected in {
            "X.Test.": "x.test",
            "bücher.example": "xn--bcher-kva.example",
            "BÜCHER.example": "xn--bcher-kva.example",
            "bu\u0308cher.example": "xn--bcher-kva.example",
        }.items():
            self.assertEqual(normal_domain(text), expected)
        for text in (
            "x",
            "",
            ".",
            "a..b",
            "-a.b",
            "a-.b",
            "192.0.2.1",
            "[192.0.2.1]",
            "a_b.c",
            "a b.c",
            "x.test\n.y",
            "straße.de",
            "a\u200d.de",
            "a。de",
            "\uff41.de",
            "ä" * 64 + ".de",
            "a" * 64 + ".de",
            "a." * 127 + "de",
        ):
            with self.subTest(text=text):
                self.assertRaises(AddressError, normal_domain, text)

    def test_agent_addresses(self) -> None:
        """Agent addresses are lower-cased; anything that needs quoting or thinking is refused."""
        self.assertEqual(agent_address(" Bot.One+x@X.Test "), "bot.one+x@x.test")
        for text in (
            "bot",
            "@x.test",
            "a..b@x.test",
            ".a@x.test",
            "a.@x.test",
            "a b@x.test",
            '"a"@x.test',
            "a%b@x.test",
            "a@b@x.test",
            "ä@x.test",
            "a" * 65 + "@x.test",
            "a@x",
            "a\n@x.test",
            "-a@x.test",
        ):
            with self.subTest(text=text):
                self.assertEqual(self.assertRaises(AddressError, agent_address, text).field, "email")

    def test_slugs(self) -> None:
        """Slugs have 2 to 40 of a-z, 0-9 and inner hyphens, and are not reserved."""
        self.assertEqual(slug(" My-Bot1 "), "my-bot1")
        self.assertEqual(slug("a" * 40), "a" * 40)
        for text in ("a", "a" * 41, "-ab", "ab-", "a_b", "a.b", "ä1", "", "Postmaster", "no-reply", "api"):
            with self.subTest(text=text):
                self.assertEqual(self.assertRaises(BadRequest, slug, text).field, "slug")


class MailboxesTests(SynchronousTestCase):
    def test_forms(self) -> None:
        """Names, quoting, comments, groups, routes and obsolete spacing give the mailboxes that people see."""
        for value, expected in {
            "a@B.test": [("", "a@b.test")],
            " Jo  Doe <a@b.test> ": [("Jo Doe", "a@b.test")],
            '"Doe, Jo" <a@b.test>, c@d.test': [("Doe, Jo", "a@b.test"), ("", "c@d.test")],
            '"q \\"x\\" y" <a@b.test>': [('q "x" y', "a@b.test")],
            "a@b.test (Jo (the) Doe)": [("Jo (the) Doe", "a@b.test")],
            "(x) a (y) @ (z) b.test": [("x y z", "a@b.test")],
            "Grp: a@b.test, Jo <c@d.test>;, e@f.test": [("", "a@b.test"), ("Jo", "c@d.test"), ("", "e@f.test")],
            "undisclosed-recipients:;": [],
            "<@r.test,@q.test:a@b.test>": [("", "a@b.test")],
            '"a b"@c.test': [("", '"a b"@c.test')],
            "junk, <>, @, a@, @b, a@b@c.test <x>, ok@d.test": [("", "ok@d.test")],
            "=?iso-8859-1?q?J=F6rg?= =?iso-8859-1?q?_X?= <a@b.test>": [("Jörg X", "a@b.test")],
            "Jörg <a@bücher.test>": [("Jörg", "a@bücher.test")],
            "": [],
        }.items():
            with self.subTest(value=value):
                self.assertEqual([(box.name, box.address) for box in mailboxes(value)], expected)

    @given(st.text(alphabet='ab@.,;:<>()[]"\\ =?\t\r\n\0é', max_size=60))
    @settings(deadline=None, max_examples=200)
    def test_any_text(self, value: str) -> None:
        """No value raises, and every address found has a local part, a domain, and no control characters."""
        for box in mailboxes(value):
            self.assertIsInstance(box, Mailbox)
            local, domain = split(box.address)
            self.assertTrue(local and domain)
            self.assertNotRegex(box.address + box.name, "[\x00-\x1f]")

    def test_bounded(self) -> None:
        """Hostile values of 100 KB are read in linear time, and no more than the limit is returned."""
        started = time.process_time()
        for unit in ('"\\', "(", "<", "[a", "a@b,", "=?a?q?", "a@", ":", '"', "\\", "=?u?b?YQ==?= ", "@a", "a", "<@a,"):
            mailboxes(unit * (100_000 // len(unit)))
            sole_from(scan(b"From: " + unit.encode() * (4000 // len(unit)) + b"\r\n\r\n"))
        self.assertLess(time.process_time() - started, 10.0)
        self.assertEqual(len(mailboxes("a@b.test," * 5000, limit=7)), 7)


class EncodedWordTests(SynchronousTestCase):
    def test_decoded(self) -> None:
        """Words are decoded, spaces between neighbours vanish, a character may span neighbours of one charset."""
        for text, expected in {
            "plain": "plain",
            "=?utf-8?q?a_b=3D?= c": "a b= c",
            "=?utf-8?b?w6Q=?=\t=?UTF-8*de?B?w7Y?=": "äö",
            "=?utf-8?q?=C3?= =?utf-8?q?=A4?=": "ä",
            "x =?unknown-8bit?q?=C3=A4?=": "x ä",
            "=?utf-8?b?a?=": "\ufffd",
            "=?zlib?q?a?=": "a",
            "=?unicode_escape?q?=5Cx41?=": "\\x41",
            "=?utf-8?q?a=00=0D=0Ab?=": "a b",
            "=?utf-8?q?no end": "=?utf-8?q?no end",
        }.items():
            with self.subTest(text=text):
                self.assertEqual(decode_words(text), expected)


class SoleFromTests(SynchronousTestCase):
    def author(self, *lines: bytes) -> str | None:
        return sole_from(scan(b"\r\n".join(lines) + b"\r\nTo: x@y.test\r\n\r\nFrom: body@z.test\r\n"))

    def test_plain_forms(self) -> None:
        """The forms that honest software writes give their address: local part as sent, domain lower-case."""
        for value in (
            b"Al@b.test",
            b"<Al@B.Test>",
            b"Al Doe <Al@b.test>",
            b"A. L. Doe, Jr <Al@b.test>".replace(b",", b""),
            b'"Doe, Al (Sales) \\"x\\"" <Al@b.test>',
            b"Al@b.test (Cron Daemon)",
            b"=?utf-8?q?J=C3=B6rg?= <Al@b.test>",
            b"\r\n =?utf-8?q?J=C3=B6rg?=\r\n =?utf-8?q?_Doe?= <Al@b.test>",
            "Jörg <Al@b.test>".encode(),
            b'"AL@b.test" <Al@b.test>',
            b'"Sales @ Acme" <Al@b.test>',
            b'"Al" <"Al"@b.test>',
            b"=?iso-2022-jp?b?GyRCOzNFRBsoQg==?= <Al@b.test>",
        ):
            with self.subTest(value=value):
                self.assertEqual(self.author(b"From: " + value), "Al@b.test")
        self.assertEqual(self.author(b"fROM:Al@b.test"), "Al@b.test")
        self.assertEqual(self.author(b"From: a@xn--bcher-kva.test"), "a@xn--bcher-kva.test")

    def test_ambiguous_values(self) -> None:
        """No value that two readers could read differently has an author."""
        for value in (
            # What lenient readers take for an encoded-word, what they decode twice, and UTF-7, which only some decode.
            b"=?utf-8?q?ceo=40bank.test hello?= <a@b.test>",
            b"=?utf-8?q?=3D=3Futf-8=3Fq=3Fceo=3D40bank.test=3F=3D?= <a@b.test>",
            b"=?utf-7?q?ceo+AEA-bank.test?= <a@b.test>",
            b'"Al\x0bDoe" <a@b.test>',
            b'"Al\x1c<ceo@bank>" <a@b.test>',
            b"=?UTF7?b?Y2VvK0FFQS1iYW5rLnRlc3Q=?= <a@b.test>",
            b"",
            b"Al",
            b"<>",
            b"a@b.test, c@d.test",
            b"<a@evil.test>,<b@good.test>",
            b"a@evil.test <b@good.test>",
            b"<a@evil.test> <b@good.test>",
            b"<a@evil.test>b@good.test",
            b"b@good.test <a@evil.test>",
            b"Doe, Al <a@b.test>",
            b"G: a@b.test;",
            b"G:;",
            b"<@evil.test,@x.test:a@b.test>",
            b"<@evil.test:a@b.test>",
            b"a@b.test,",
            b",a@b.test",
            b"a@b.test;",
            b"a@b.test x",
            b"<a@b.test> x",
            b"<a@b.test",
            b"a@b.test>",
            b"<<a@b.test>>",
            b"a@b@c.test",
            b'"a@evil.test"@b.test',
            b'<"a@evil.test"@b.test>',
            b'<"a\\"b"@c.test>',
            b'"a <x@evil.test>" <b@good.test>',
            b'"b@good.test" <a@evil.test>',
            b"'b@good.test' <a@evil.test>",
            b"b @ good.test <a@evil.test>",
            b"a@evil.test (b@good.test)",
            b"a@evil.test(b)",
            b"(b@good.test) a@evil.test",
            b"a(b)@evil.test",
            b"a@(b)evil.test",
            b"a@evil.test (x (y))",
            b"<a@evil.test(x)>",
            b64(b"b@good.test") + b" <a@evil.test>",
            b64(b"<b@good.test>\0") + b" <a@evil.test>",
            b64(b"x\r\nFrom: b@good.test") + b" <a@evil.test>",
            "b\uff20good.test <a@evil.test>".encode(),
            b64("b\uff20good\uff0etest".encode()) + b" <a@evil.test>",
            b64("moc.\u202etest".encode()) + b" <a@evil.test>",
            b64(b"Bank\0") + b" <a@evil.test>",
            b64(b"Bank\r\nX: y") + b" <a@evil.test>",
            "x\u200b <a@evil.test>".encode(),
            b64(b"a@b.test"),
            b"<" + b64(b"a@b.test") + b">",
            b"<=?utf-8?q?a?=@b.test>",
            b"a@=?utf-8?q?b?=.test",
            b"<a@b.test\0.evil.test>",
            b"a\0@b.test",
            b"a@b.test\0",
            b"a@b.te\tst",
            b"<a@b.\r\n test>",
            b"<a\r\n @b.test>",
            b"a@b.test\r\n ,c@d.test",
            b" \r\n \r\n a@b.test",
            b"a @ b.test",
            b"a@b.test.",
            b"a@b",
            b"a@.test",
            b"a@-b.test",
            b"a@[192.0.2.1]",
            b"a@192.0.2.1",
            b"a..b@c.test",
            b".a@b.test",
            "a@bücher.test".encode(),
            "ä@b.test".encode(),
            "a@b。test".encode(),
            b"\xff <a@b.test>",
            b'"Al <a@b.test>',
            b"Al\\ <a@b.test>",
            b"a" * 65 + b"@b.test",
            b"x" * 5000 + b" <a@b.test>",
        ):
            with self.subTest(value=value):
                self.assertIsNone(self.author(b"From: " + value))

    @settings(deadline=None, max_examples=400)
    @given(
        st.sampled_from(
            [("", ""), ("<", ">"), ("Ana <", ">"), ("Ana B. O'Neil <", ">"), ("x" * 4100 + "<", ">"), ("Ana <", "")]
        ),
        st.sampled_from(["ana", "A.b+c", "x_y", "y" * 64, "y" * 65, ".a"]),
        st.lists(st.sampled_from(["a", "b-C", "x1", "l" * 63, "_u", "0"]), max_size=5),
        st.sampled_from([".test", ".T", ".te-st", ".1", ".x-"]),
    )
    def test_the_short_way(self, around: tuple[str, str], local: str, labels: list[str], top: str) -> None:
        """Whom the pattern for usual fields finds, the full reading finds as well."""
        value = around[0] + local + "@" + ".".join(["a", *labels]) + top + around[1]
        field = scan(b"From: " + value.encode() + b"\r\n\r\n").fields[0]
        found = addresses._usual_from(field)
        if found is not None:
            self.assertEqual(addresses._strict_from(field), found)

    def test_ambiguous_blocks(self) -> None:
        """No header block that two readers could split differently has an author."""
        good = b"From: a@b.test"
        for lines in (
            (b"Subject: x",),
            (good, good),
            (good, b"FROM: c@d.test"),
            (good, b"From : c@d.test"),
            (b"From : a@b.test",),
            (b"From\t: a@b.test",),
            (b"From\xa0: c@d.test", good),
            (b" From: c@d.test", good),
            (b"junk", good),
            (b": c@d.test", good),
            (good + b"\nFrom: c@d.test",),
            (good + b"\rFrom: c@d.test",),
            (good + b"\r", b"X: y"),
            (b"Subject: x\nFrom: c@d.test", good),
            (b"Subject: \0", good),
            (good, b" "),
        ):
            with self.subTest(lines=lines):
                self.assertIsNone(self.author(*lines))

    @given(st.lists(st.sampled_from([*'ab@.,;:<>()"\\ =?[]é', "x@good.test", "<y@evil.test>"]), max_size=12))
    @settings(deadline=None, max_examples=200)
    def test_agrees_with_the_lenient_reader(self, parts: list[str]) -> None:
        """Whatever is found strictly is the one mailbox that the lenient reader finds."""
        value = "".join(parts)
        found = sole_from(scan(b"From: " + value.encode() + b"\r\n\r\n"))
        if found is not None:
            self.assertEqual([box.address for box in mailboxes(value)], [found])
