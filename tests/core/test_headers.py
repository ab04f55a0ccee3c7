"""The one header scan that everything else reads."""

from __future__ import annotations

import time

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from e2a.core.mail import headers
from e2a.core.mail.headers import scan

JUNK = st.lists(
    st.sampled_from(
        [b"From: a@b.test", b"X: y", b" fold", b"\t", b":", b"no colon", b"\0", b"\r", b"\n", b"\r\n", b"\xff", b" "]
    ),
    max_size=30,
).map(b"".join)


class ScanTests(SynchronousTestCase):
    """``scan``"""

    def test_fields_and_body(self) -> None:
        """Fields keep their order, folds and exact bytes; the body begins after the empty line."""
        raw = b"From: a@b.test\r\nSubject: one\r\n two\r\n\r\nbody\r\n"
        block = scan(raw)
        self.assertEqual([field.key for field in block.fields], [b"from", b"subject"])
        self.assertEqual(block.fields[1].raw, b"Subject: one\r\n two\r\n")
        self.assertEqual(block.fields[1].unfolded, b"one two")
        self.assertEqual(raw[block.body_start :], b"body\r\n")
        self.assertEqual(block.defects, ())

    def test_no_header(self) -> None:
        """A message that begins with an empty line has no fields and all the rest as body."""
        self.assertEqual(scan(b"\r\nbody").body_start, 2)
        self.assertEqual(scan(b"").fields, ())

    def test_bare_newline_is_a_defect(self) -> None:
        """A field behind a bare LF or CR is seen, as lenient readers would see it, and the message is marked."""
        for newline in (b"\n", b"\r"):
            block = scan(b"Subject: x" + newline + b"From: ceo@bank.test\r\n\r\n")
            self.assertEqual([field.key for field in block.fields], [b"subject", b"from"])
            self.assertIn("bare_newline", block.defects)

    def test_bare_newline_inside_a_fold(self) -> None:
        """A bare CR in a fold line belongs to the field that it continues."""
        block = scan(b"A: b\r\n x\rfoo\r\n\r\n")
        self.assertEqual(block.fields[0].raw, b"A: b\r\n x\r")
        self.assertEqual(block.defects, ("bare_newline", "bad_field"))

    def test_nul_and_bad_field_are_defects(self) -> None:
        """NUL and a line that is neither field nor fold are reported, and the other fields still read."""
        block = scan(b"junk line\r\nFrom: a\0@b.test\r\n\r\n")
        self.assertEqual(block.defects, ("bad_field", "nul"))
        self.assertEqual([field.key for field in block.fields], [b"from"])

    def test_space_before_the_colon(self) -> None:
        """``From :`` is a From field: some readers take it for one, so it must count."""
        self.assertEqual(scan(b"From : a@b.test\r\n\r\n").fields[0].key, b"from")

    def test_many_headers(self) -> None:
        """Ten thousand fields are read, each once."""
        raw = b"".join(b"X-%d: v\r\n" % number for number in range(10_000)) + b"\r\n"
        self.assertEqual(len(scan(raw).fields), 10_000)

    def test_time_is_linear(self) -> None:
        """An eighth of a megabyte of header is read at once, whatever it is made of."""
        for unit in (b"x", b"x ", b":", b"\r\n x", b"x\r\n", b"\r", b"\n", b"x:\r", b"x:\r\n \n"):
            block = b"A: b\r\n" + unit * (2**17 // len(unit))
            began = time.thread_time()
            scan(block)
            scan(block + b"\r\n\r\n")
            self.assertLess(time.thread_time() - began, 1.5, unit)

    @settings(deadline=None, max_examples=400)
    @given(
        st.lists(
            st.sampled_from(
                [b"From: a@b.test\r\n", b"X:\r\n", b"Y :\xff\r\n", b" fold\r\n", b"\t\r\n"] * 3 + [b"x\r\n", b"Z: \r"]
            ),
            max_size=6,
        ).map(b"".join)
    )
    def test_the_short_way(self, block: bytes) -> None:
        """A block of fields alone is read by one pattern as it is read line by line."""
        found = scan(block)
        self.assertEqual((found.fields, found.defects), headers._scan_odd(block))

    @settings(deadline=None, max_examples=200)
    @given(JUNK)
    @example(b"A: b\r\n x\rfoo\r\n")
    def test_any_bytes(self, raw: bytes) -> None:
        """Whatever the bytes, nothing raises, offsets match the field text and fields do not overlap."""
        block = scan(raw)
        position = 0
        for field in block.fields:
            self.assertGreaterEqual(field.start, position)
            self.assertIn(field.raw, (raw[field.start : field.end], raw[field.start : field.end] + b"\r\n"))
            position = field.end
        self.assertLessEqual(position, block.body_start)

    @settings(deadline=None, max_examples=200)
    @given(st.lists(st.tuples(st.from_regex(rb"\A[!-9;-~]{1,20}\Z"), st.binary(max_size=40)), max_size=8))
    def test_well_formed(self, pairs: list[tuple[bytes, bytes]]) -> None:
        """What was written as fields comes back as the same fields."""
        values = [(name, value.translate(None, b"\r\n\0")) for name, value in pairs]
        raw = b"".join(name + b":" + value + b"\r\n" for name, value in values) + b"\r\nbody"
        block = scan(raw)
        self.assertEqual([(field.key, field.value[:-2]) for field in block.fields], [(n.lower(), v) for n, v in values])
        self.assertEqual(block.defects, ())
