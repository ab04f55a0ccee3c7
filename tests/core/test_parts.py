"""What a message says and carries."""

from __future__ import annotations

import base64
import sys
import time
from email.message import EmailMessage

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from e2a.core.mail import parts
from e2a.core.mail.parts import attachment, content


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode("utf-8")


class BodyTests(SynchronousTestCase):
    def test_plain_message(self) -> None:
        """A message without MIME is text, with its own line ends."""
        found = content(b"Subject: x\r\n\r\nhello\r\nthere\r\n")
        self.assertEqual((found.text, found.html, found.attachments), ("hello\r\nthere\r\n", "", ()))

    def test_html_only(self) -> None:
        """A single HTML part fills the HTML alone."""
        found = content(b"Content-Type: text/html; charset=utf-8\r\n\r\n<p>h\xc3\xa9</p>")
        self.assertEqual((found.text, found.html), ("", "<p>h\u00e9</p>"))

    def test_what_the_standard_library_composes(self) -> None:
        """Text, HTML, an attachment and an inline image come out as they went in, in order."""
        mail = EmailMessage()
        mail["Subject"] = "all of it"
        mail.set_content("plain t\u00e4xt\n")
        mail.add_alternative("<p>html</p>\n", subtype="html")
        mail.get_payload()[1].add_related(b"\x89PNG", "image", "png", cid="<logo@x>", filename="logo.png")
        mail.add_attachment(b"\x00\x01\x02" * 1000, "application", "pdf", filename="b\u00e4r\u00f6.pdf")
        raw = mail.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        found = content(raw)
        self.assertEqual(found.text, "plain t\u00e4xt\r\n")
        self.assertEqual(found.html, "<p>html</p>\r\n")
        seen = [(a.index, a.filename, a.content_type, a.size, a.content_id) for a in found.attachments]
        self.assertEqual(
            seen,
            [
                (0, "logo.png", "image/png", 4, "logo@x"),
                (1, "b\u00e4r\u00f6.pdf", "application/pdf", 3000, ""),
            ],
        )
        self.assertEqual(attachment(raw, 1), (found.attachments[1], b"\x00\x01\x02" * 1000))
        self.assertIsNone(attachment(raw, 2))
        self.assertIsNone(attachment(raw, -1))

    def test_further_texts_are_not_lost(self) -> None:
        """A second text part and a calendar are listed as attachments; an empty part does not count as the text."""
        raw = crlf(
            "Content-Type: multipart/mixed; boundary=b\n\npreamble\n--b\n\n \n--b\n\none\n--b\n\ntwo\n"
            "--b\nContent-Type: text/calendar\n\nBEGIN:VCALENDAR\n--b--\nepilogue"
        )
        found = content(raw)
        self.assertEqual(found.text, "one")
        self.assertEqual([a.content_type for a in found.attachments], ["text/plain", "text/calendar"])
        self.assertEqual(attachment(raw, 0), (found.attachments[0], b"two"))

    def test_attached_text_is_no_body(self) -> None:
        """A text part with a file name or the word attachment is an attachment even when it comes first."""
        raw = crlf(
            "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Disposition: attachment\n\nlog\n"
            '--b\nContent-Type: text/plain; name="a.txt"\n\nfile\n--b\n\nbody\n--b--'
        )
        found = content(raw)
        self.assertEqual((found.text, [a.filename for a in found.attachments]), ("body", ["unnamed", "a.txt"]))

    def test_attached_message_stays_whole(self) -> None:
        """A forwarded message is one attachment; its own text does not become the text."""
        raw = crlf(
            "Content-Type: multipart/mixed; boundary=b\n\n"
            "--b\nContent-Type: message/rfc822\n\nSubject: in\n\ninner\n--b--"
        )
        found = content(raw)
        self.assertEqual((found.text, found.attachments[0].content_type), ("", "message/rfc822"))
        self.assertEqual(attachment(raw, 0), (found.attachments[0], b"Subject: in\r\n\r\ninner"))

    def test_boundary_that_begins_another(self) -> None:
        """A delimiter line is a whole line: the boundary "ab" does not end a part of the boundary "a"."""
        raw = crlf("Content-Type: multipart/mixed; boundary=a\n\n--a\n\nx\n--ab\ny\nz --a\n--a  \n\nw\n--a--")
        found = content(raw)
        self.assertEqual((found.text, found.attachments[0].size), ("x\r\n--ab\r\ny\r\nz --a", 1))

    def test_bare_line_feeds(self) -> None:
        """A message with bare line feeds is split all the same."""
        head = b"Content-Type: multipart/alternative; boundary=b\n\n"
        raw = head + b"--b\n\none\n--b\nContent-Type: text/html\n\n<b>\n--b--\n"
        self.assertEqual(content(raw), parts.Content("one", "<b>", ()))

    def test_broken_multiparts(self) -> None:
        """No boundary, an unused one and a missing final delimiter lose nothing."""
        self.assertEqual(content(b"Content-Type: multipart/mixed\r\n\r\nhi").text, "hi")
        self.assertEqual(content(b"Content-Type: multipart/mixed; boundary=x\r\n\r\nhi").text, "hi")
        self.assertEqual(content(b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nhi").text, "hi")


class DecodingTests(SynchronousTestCase):
    def text(self, header: str, body: bytes) -> str:
        return content(header.encode() + b"\r\n\r\n" + body).text

    def test_charsets(self) -> None:
        """Declared charsets are honoured; unknown and non-textual ones fall back to UTF-8, then Windows-1252."""
        for charset, body, expected in (
            ("iso-8859-1", b"\xe9", "\u00e9"),
            ("KOI8-U", b"\xa4", "\u0454"),
            ("gb18030", "\u6c49".encode("gb18030"), "\u6c49"),
            ("utf-8", b"a\xffb", "a\ufffdb"),
            ("us-ascii", "\u00e9".encode(), "\u00e9"),
            ("zlib", b"\x93x\x94", "\u201cx\u201d"),
            ("idna", b"caf\xc3\xa9", "caf\u00e9"),
            ("no-such", b"\xe9", "\u00e9"),
            # No browser decodes UTF-7, which has hidden markup from filters.
            ("utf-7", b"+ADw-b+AD4-", "+ADw-b+AD4-"),
            ("utf-16", b"h\x00i\x00", "hi"),
            ("utf-16-le", b"\x00\xd8x", "\ufffd\u00d8x"),
            ("windows-1253", b"\xe1\xff", "\u03b1\ufffd"),
            ("ibm424", b"\xc1\x80", "A\ufffd"),
        ):
            self.assertEqual(self.text(f"Content-Type: text/plain; charset={charset}", body), expected, charset)
        self.assertEqual(self.text("X: y", b"\x00"), "\ufffd")

    def test_unknown_charsets_leave_no_trace(self) -> None:
        """A charset name that the sender invents is not imported and not remembered."""
        import encodings

        before = len(encodings._cache)  # type: ignore[attr-defined]
        self.text("Content-Type: text/plain; charset=invented-by-sender-7", b"x")
        self.assertEqual(len(encodings._cache), before)  # type: ignore[attr-defined]
        self.assertNotIn("encodings.invented_by_sender_7", sys.modules)

    def test_transfer_encodings(self) -> None:
        """Base64 with junk, bad padding or none, and quoted-printable with errors, decode as far as they can."""
        for encoding, body, expected in (
            ("base64", b"aGVs\r\nbG8=\r\n", "hello"),
            ("BASE64 ", b"aGV*sbG8", "hello"),
            ("base64", b"aGVsbG8=b", "hello"),
            ("base64", b"", ""),
            ("quoted-printable", b"a=3Db=\r\nc=ZZ", "a=bc=ZZ"),
            ("8bit", b"=41", "=41"),
            ("x-unknown", b"aGVsbG8=", "aGVsbG8="),
        ):
            self.assertEqual(self.text(f"Content-Transfer-Encoding: {encoding}", body), expected)

    def test_file_names(self) -> None:
        """Every common way to write a file name is read, and none of them leaves its directory."""
        for disposition, expected in (
            ('attachment; filename="a;b \\"c\\".txt"', 'a;b "c".txt'),
            ("attachment; filename*=utf-8''%e2%82%ac.txt", "\u20ac.txt"),
            ("attachment; filename*0*=iso-8859-1'en'%e9; filename*1=t%20.txt", "\u00e9t%20.txt"),
            ('attachment; filename="=?utf-8?b?w6kudHh0?="', "\u00e9.txt"),
            ("inline; filename=x.txt", "x.txt"),
            ('attachment; filename="../../etc/pass\twd"', ".._.._etc_passwd"),
            ('attachment; filename=".."', "unnamed"),
            ('attachment; filename="gpj\u202eexe"', "gpjexe"),
            ("attachment; filename=", "unnamed"),
            ('attachment; filename="open', "open"),
        ):
            raw = f"Content-Type: image/png\r\nContent-Disposition: {disposition}\r\n\r\nx".encode()
            self.assertEqual(content(raw).attachments[0].filename, expected, disposition)


class HostileTests(SynchronousTestCase):
    def test_time_is_in_proportion(self) -> None:
        """Nothing that a sender can write makes a few megabytes take a second.

        Before: undefined octets of a charset, one error each; delimiter look-alikes in every one of many multiparts.
        """
        charsets = [b"Content-Type: text/plain; charset=%b\r\n\r\n" % name for name in (b"ibm424", b"utf-7", b"utf-32")]
        undefined = [head + b"\x80" * parts.MAX_TEXT for head in charsets]
        part = b"\r\n--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n" + b"\n--c x" * 1500
        many = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * 900
        for raw in (*undefined, many):
            began = time.thread_time()
            content(raw)
            self.assertLess(time.thread_time() - began, 0.8)

    def test_long_text(self) -> None:
        """A text over the limit is an attachment, whole; who made the message himself can read it as text."""
        raw = b"Content-Type: text/html\r\n\r\n" + b"x" * (parts.MAX_TEXT + 1)
        found = content(raw)
        self.assertEqual((found.html, [info.size for info in found.attachments]), ("", [parts.MAX_TEXT + 1]))
        fetched = attachment(raw, 0)
        assert fetched is not None
        self.assertEqual(len(fetched[1]), parts.MAX_TEXT + 1)
        self.assertEqual(len(content(raw, len(raw)).html), parts.MAX_TEXT + 1)

    def test_padded_delimiter(self) -> None:
        """White space may follow a delimiter, a line of it at the most."""
        for padding, count in ((b" \t", 2), (b" " * 2000, 1)):
            raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b" + padding + b"\r\n\r\ntwo"
            found = content(raw)
            self.assertEqual(bool(found.text) + len(found.attachments), count)

    def test_deep_nesting(self) -> None:
        """Ten thousand nested multiparts end in one attachment, without recursion."""
        raw = b"".join(b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (n, n) for n in range(10_000))
        found = content(raw)
        self.assertEqual(len(found.attachments), 1)
        self.assertEqual(found.attachments[0].content_type, "application/octet-stream")

    def test_many_parts(self) -> None:
        """Parts beyond the bound stay together in the last one."""
        raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\nContent-Type: a/b\r\n\r\nx\r\n" * 5000
        found = content(raw)
        self.assertEqual(len(found.attachments), parts.MAX_PARTS)
        self.assertGreater(found.attachments[-1].size, 4000 * len("x\r\n"))

    def test_many_headers(self) -> None:
        """Ten thousand header fields are no obstacle."""
        self.assertEqual(content(b"X-A: b\r\n" * 10_000 + b"\r\nhi").text, "hi")

    def test_long_parameter(self) -> None:
        """A megabyte of unclosed quotations is read up to the bound and no further."""
        raw = b'Content-Type: image/png; name="' + b';a="' * 250_000 + b"\r\n\r\nx"
        self.assertLessEqual(len(content(raw).attachments[0].filename), 255)

    @settings(deadline=None, max_examples=200)
    @given(st.binary(max_size=400))
    def test_any_octets(self, raw: bytes) -> None:
        """Whatever arrives, text comes out that UTF-8 can hold."""
        found = content(raw)
        (found.text + found.html).encode("utf-8")
        self.assertNotIn("\0", found.text + found.html)

    @settings(deadline=None, max_examples=200)
    @given(
        st.lists(
            st.sampled_from(
                [
                    b"Content-Type: multipart/mixed; boundary=b\r\n",
                    b"Content-Type: text/html; charset=utf-7\r\n",
                    b"Content-Disposition: attachment; filename*0*=u''%ff; filename*9=\r\n",
                    b"Content-Transfer-Encoding: base64\r\n",
                    b"\r\n",
                    b"\n",
                    b"--b\r\n",
                    b"--b--\r\n",
                    b"--b",
                    b"text =\xff\r\n",
                ]
            ),
            max_size=30,
        )
    )
    def test_any_arrangement(self, pieces: list[bytes]) -> None:
        """Each listed attachment can be fetched, with the size that was stated; nothing raises."""
        raw = b"".join(pieces)
        for info in content(raw).attachments:
            fetched = attachment(raw, info.index)
            assert fetched is not None
            self.assertEqual((fetched[0], len(fetched[1])), (info, info.size))

    @settings(deadline=None, max_examples=200)
    @given(st.binary(max_size=40), st.integers(1, 9))
    def test_search_in_slices(self, junk: bytes, width: int) -> None:
        """Where the slices of a search end makes no difference."""
        parted = b"\r\n--b\r\n\r\none\r\n--b\r\n\r\n"
        raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + junk + parted + junk
        self.patch(parts, "SEARCH_SLICE", 1_048_576)
        whole = content(raw)
        self.patch(parts, "SEARCH_SLICE", width)
        self.assertEqual(content(raw), whole)

    @settings(deadline=None, max_examples=60)
    @given(st.text(alphabet="ABCabc012+/\r\n !=", max_size=60), st.integers(1, 9))
    def test_base64_in_slices(self, text: str, width: int) -> None:
        """Where the slices end makes no difference, whatever stands between the letters."""
        raw = b"Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\n" + text.encode()
        self.patch(parts, "BASE64_SLICE", 262_144)
        whole = attachment(raw, 0)
        self.patch(parts, "BASE64_SLICE", width)
        self.assertEqual(attachment(raw, 0), whole)
        sizes = [info.size for info in content(raw).attachments]
        self.assertEqual(sizes, [len(whole[1])] if whole else [])

    @given(st.binary(max_size=300))
    def test_base64_round_trip(self, octets: bytes) -> None:
        """What was attached comes back octet for octet."""
        body = base64.encodebytes(octets).replace(b"\n", b"\r\n")
        raw = b"Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\n" + body
        fetched = attachment(raw, 0)
        assert fetched is not None
        self.assertEqual(fetched[1], octets)
