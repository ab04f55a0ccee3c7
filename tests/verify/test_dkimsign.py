"""Our own DKIM signatures, judged by our own verifier and by dkimpy."""

from __future__ import annotations

import re

import dkim as dkimpy
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial import unittest

from e2a.core.mail.headers import scan
from e2a.verify import dkim, dkimsign
from e2a.verify.canonical import body_hashes
from e2a.verify.questions import Answer

from .signing import message
from .zone import Zone

NOW = 1_790_000_000.0
PRIVATE, PUBLIC = dkimsign.make_key()
KEY = dkimsign.load_key(PRIVATE)
RECORD = f"v=DKIM1; k=rsa; p={PUBLIC}".encode()


def judged(raw: bytes) -> tuple[str, str]:
    """What our verifier says of the topmost signature, with its reason."""
    zone = Zone()
    zone.put("e2a202611a._domainkey.a.test", "TXT", RECORD)
    block = scan(raw)
    signatures = dkim.read(block, NOW)
    hashes = body_hashes(raw, block.body_start, dkim.wanted_hashes(signatures))
    answers = {question: zone.answers.get(question, Answer()) for question in dkim.questions(signatures)}
    result = dkim.judge(signatures, answers, block, hashes)[0]
    return result.result, result.reason


def dkimpy_passes(raw: bytes) -> bool:
    return bool(dkimpy.DKIM(raw).verify(dnsfunc=lambda name, timeout=5: RECORD))


def signed(raw: bytes) -> bytes:
    return dkimsign.signed(raw, "a.test", "e2a202611a", KEY, NOW)


class DkimSignTests(unittest.TestCase):
    def test_passes(self) -> None:
        """Our verifier and dkimpy accept the signature, which stands on top of the unchanged message."""
        for body in (
            b"",
            b"\r\n",
            b"Hello.\r\n",
            b"no line end",
            b"a \t b  \r\n\r\n\r\n",
            b"\xc3\xa4" * 5000 + b"\r\n",
        ):
            raw = message(body, Cc="c@c.test", Reply_To="bot@a.test", References="<1@x.test>\r\n <2@x.test>")
            done = signed(raw)
            self.assertTrue(done.startswith(b"DKIM-Signature: ") and done.endswith(raw))
            self.assertEqual(judged(done), ("pass", ""))
            self.assertTrue(dkimpy_passes(done))

    def test_tags(self) -> None:
        """The signature says who, how and when, and its lines stay short."""
        done = signed(message())
        field = scan(done).fields[0]
        for tag in (b"v=1", b"a=rsa-sha256", b"c=relaxed/relaxed", b"d=a.test", b"s=e2a202611a", b"t=1790000000"):
            self.assertIn(tag, re.split(rb";\s*", field.unfolded))
        self.assertNotIn(b" l=", field.unfolded)
        self.assertTrue(all(len(line) <= 80 for line in field.raw.split(b"\r\n")))

    def test_oversigned(self) -> None:
        """A field that may occur once can be added nowhere without breaking the signature, whether it was there or
        not.
        """
        done = signed(message())
        for name in ("From", "To", "Cc", "Subject", "Date", "Message-ID", "Reply-To", "In-Reply-To", "References"):
            for name_of_type in (name, name.lower()):
                added = f"{name_of_type}: evil@evil.test\r\n".encode() + done
                self.assertNotEqual(judged(added)[0], "pass", name)
                self.assertFalse(dkimpy_passes(added), name)

    def test_every_field_counts(self) -> None:
        """Changing any signed field, or the body, breaks the signature."""
        fields = {
            "Cc": "c@c.test",
            "Reply_To": "r@a.test",
            "In_Reply_To": "<1@x.test>",
            "References": "<1@x.test>",
            "MIME_Version": "1.0",
            "Content_Type": "text/plain",
            "Content_Transfer_Encoding": "7bit",
            "Auto_Submitted": "auto-replied",
            "List_Unsubscribe": "<https://a.test/u>",
            "List_Unsubscribe_Post": "List-Unsubscribe=One-Click",
        }
        done = signed(message(**fields))
        names = {field.key for field in scan(message(**fields)).fields}
        self.assertEqual(len(names), 5 + len(fields))
        for field in scan(done).fields[1:]:
            changed = done[: field.end - 2] + b"x" + done[field.end - 2 :]
            self.assertNotEqual(judged(changed)[0], "pass", field.key)
        self.assertEqual(judged(done + b"x")[0], "fail")

    def test_unsignable(self) -> None:
        """What readers may take apart differently is not signed."""
        for raw in (
            b"From: a@a.test\nTo: b@b.test\r\n\r\n",
            b"junk\r\nFrom: a@a.test\r\n\r\n",
            message(From=None),  # type: ignore[arg-type]
            b"From: x@x.test\r\n" + message(),
        ):
            self.assertRaises(dkimsign.Unsignable, signed, raw)

    def test_long_runs(self) -> None:
        """A long run of spaces costs no more than other bytes do."""
        raw = message(b" " * 3_000_000 + b"x\r\n")
        self.assertEqual(judged(signed(raw)), ("pass", ""))

    @settings(deadline=None, max_examples=60)
    @given(
        st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"\xff", b".", b"\0"]), max_size=40).map(b"".join),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=300),
    )
    def test_any_message(self, body: bytes, subject: str) -> None:
        """Whatever body and subject are, both verifiers agree that the signature holds."""
        done = signed(message(body, Subject=subject))
        self.assertEqual(judged(done), ("pass", ""))
        self.assertTrue(dkimpy_passes(done))

    def test_only_rsa(self) -> None:
        """A key of another kind is not loaded."""
        self.assertRaises(ValueError, dkimsign.load_key, "junk")
        self.assertEqual(KEY.key_size, 2048)
