"""Tests for e2a.core.mail.smtpdata."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import TestCase

from e2a.core.mail.smtpdata import ChunkDecoder, DataDecoder, DotStuffer, MessageBuffer

# Octets that matter to the end-of-data mark, over-represented.
tricky = st.lists(
    st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"..", b"a", b"\0", b"\xff"]), max_size=40
).map(b"".join)


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def decode(pieces: list[bytes], limit: int = 10_000) -> tuple[bytes, bytes | None, MessageBuffer]:
    buffer = MessageBuffer(limit)
    decoder = DataDecoder(buffer)
    rest: bytes | None = None
    for piece in pieces:
        if rest is not None:
            rest += piece
        else:
            rest = decoder.feed(piece)
    return buffer.message(), rest, buffer


class DataDecoderTests(TestCase):
    def test_only_crlf_dot_crlf_ends(self) -> None:
        """No line ending but CRLF makes a lone dot the end of data."""
        for before in (b"\r\n", b"\n", b"\r", b"\n\r", b"\r\r\n"):
            for after in (b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r\n"):
                with self.subTest(before=before, after=after):
                    _, rest, _ = decode([b"x" + before + b"." + after + b"MAIL"])
                    ends = before.endswith(b"\r\n") and after == b"\r\n"
                    self.assertEqual(rest, b"MAIL" if ends else None)

    def test_first_line(self) -> None:
        """A dot in the very first line is stuffing, and alone it is an empty message."""
        self.assertEqual(decode([b".\r\nQUIT"])[:2], (b"", b"QUIT"))
        self.assertEqual(decode([b"..a\r\n.\r\n"])[:2], (b".a\r\n", b""))

    @given(tricky, st.lists(st.integers(0, 500), max_size=8))
    @settings(deadline=None, max_examples=200)
    def test_segmentation(self, data: bytes, cuts: list[int]) -> None:
        """The decoded message and what follows it do not depend on how the octets were cut."""
        whole = data + b"\r\n.\r\nREST"
        expected = decode([whole])[:2]
        self.assertEqual(decode(pieces_of(whole, cuts))[:2], expected)
        self.assertEqual(decode([whole[i : i + 1] for i in range(len(whole))])[:2], expected)

    @given(tricky, st.lists(st.integers(0, 500), max_size=8), st.lists(st.integers(0, 500), max_size=8))
    @settings(deadline=None, max_examples=200)
    def test_round_trip(self, data: bytes, cuts: list[int], more_cuts: list[int]) -> None:
        """Decoding what the stuffer wrote gives the message back, however both were cut; a final CRLF is added."""
        stuffer = DotStuffer()
        wire = b"".join(stuffer.feed(piece) for piece in pieces_of(data, cuts)) + stuffer.end()
        expected = data if not data or data.endswith(b"\r\n") else data + b"\r\n"
        self.assertEqual(decode(pieces_of(wire, more_cuts))[:2], (expected, b""))

    def test_dot_at_the_boundary_of_pieces(self) -> None:
        """A line that begins with a dot exactly where a piece begins is stuffed."""
        stuffer = DotStuffer()
        wire = stuffer.feed(b"a" * 16382 + b"\r\n") + stuffer.feed(b".\r\nMAIL FROM:<x@y>\r\n") + stuffer.end()
        self.assertIn(b"\r\n..\r\nMAIL", wire)
        self.assertEqual(wire.count(b"\r\n.\r\n"), 1)


class LimitTests(TestCase):
    def test_same_limit_for_both(self) -> None:
        """DATA and BDAT accept exactly the limit and refuse one octet more; stuffed dots do not count."""
        message = b".a" * 49 + b"\r\n"
        for limit, overflow in ((100, False), (99, True)):
            with self.subTest(limit=limit):
                stuffer = DotStuffer()
                _, rest, buffer = decode([stuffer.feed(message) + stuffer.end()], limit)
                self.assertEqual((rest, buffer.overflow, buffer.size), (b"", overflow, 100))
                chunks = MessageBuffer(limit)
                self.assertEqual(ChunkDecoder(100, chunks).feed(message), b"")
                self.assertEqual(chunks.overflow, overflow)

    def test_nothing_is_kept_after_an_overflow(self) -> None:
        """An over-large message is read to its end and holds no memory."""
        message, rest, buffer = decode([b"x" * 60, b"y" * 60, b"\r\n.\r\nQUIT"], 100)
        self.assertEqual((message, rest, buffer.size), (b"", b"QUIT", 122))

    def test_tiny_pieces_are_gathered(self) -> None:
        """Two-octet pieces do not stay as that many objects."""
        buffer = MessageBuffer(10**6)
        for _ in range(100_000):
            buffer.add(b"ab")
        self.assertLess(len(buffer._chunks), 10)
        buffer.add(b"c" * 5000)
        buffer.add(b"d")
        self.assertEqual(buffer.message(), b"ab" * 100_000 + b"c" * 5000 + b"d")


class ChunkDecoderTests(TestCase):
    @given(st.binary(max_size=60), st.binary(max_size=10), st.lists(st.integers(0, 100), max_size=6))
    @settings(deadline=None, max_examples=100)
    def test_counts_octets(self, chunk: bytes, behind: bytes, cuts: list[int]) -> None:
        """A chunk ends after the announced octets, whatever they are."""
        buffer = MessageBuffer(1000)
        decoder = ChunkDecoder(len(chunk), buffer)
        rest: bytes | None = None
        for piece in pieces_of(chunk + behind, cuts):
            rest = decoder.feed(piece) if rest is None else rest + piece
        self.assertEqual((buffer.message(), rest), (chunk, behind))

    def test_refused_chunk_is_read(self) -> None:
        """A chunk without a buffer is swallowed to its announced end."""
        decoder = ChunkDecoder(5, None)
        self.assertIsNone(decoder.feed(b"QUI"))
        self.assertEqual(decoder.feed(b"T\r\nNOOP"), b"\nNOOP")
