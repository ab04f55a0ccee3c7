"""Which conversation a message belongs to, by what it carries and quotes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import TestCase

from e2a.core.mail.conversations import (
    Ancestor,
    ConversationMac,
    Quoted,
    Thread,
    new_id,
    quoted,
    thread,
    valid_id,
)
from e2a.core.mail.headers import scan

NOW = 1_777_636_800.0
MACS = ConversationMac(b"k" * 32)
DAY = 86_400.0


class MacTests(TestCase):
    """``ConversationMac``"""

    def test_ours(self) -> None:
        """What was made here is believed for as long as mail may wait in queues, however the sender is written."""
        value = MACS.make("conv_1", "agent@send.test", NOW)
        self.assertTrue(MACS.check(value, "conv_1", "Agent@Send.Test", NOW + 5 * DAY))
        self.assertTrue(MACS.check(f" {value}\r\n", "conv_1", "agent@send.test", NOW - 60))

    def test_not_ours(self) -> None:
        """Another id, sender, time, deployment or digit is not believed, nor an old or a future one."""
        value = MACS.make("conv_1", "agent@send.test", NOW)
        for text, identity, sender, now in (
            (value, "conv_2", "agent@send.test", NOW),
            (value, "conv_1", "eve@send.test", NOW),
            (value, "conv_1", "agent@send.test", NOW + 9 * DAY),
            (value, "conv_1", "agent@send.test", NOW - 3600),
            (f"{int(NOW) + 1}{value[10:]}", "conv_1", "agent@send.test", NOW),
            (value[:-1] + ("0" if value[-1] != "0" else "1"), "conv_1", "agent@send.test", NOW),
            (value[:-1], "conv_1", "agent@send.test", NOW),
            (ConversationMac(b"x" * 32).make("conv_1", "agent@send.test", NOW), "conv_1", "agent@send.test", NOW),
        ):
            self.assertFalse(MACS.check(text, identity, sender, now), (text, identity, sender, now))

    def test_header(self) -> None:
        """Both headers together, once each, prove the conversation; one alone or two of a kind prove nothing."""
        mac = MACS.make("conv ü 1", "agent@send.test", NOW).encode()
        ours = b"X-E2A-Conversation-ID: =?utf-8?q?conv_=C3=BC_1?=\r\n"
        proof = b"x-e2a-conversation-mac: " + mac + b"\r\n"

        def of(header: bytes, sender: str = "agent@send.test") -> str | None:
            return MACS.conversation_of(scan(header + b"\r\n"), sender, NOW)

        self.assertEqual(of(ours + proof), "conv ü 1")
        self.assertIsNone(of(ours + proof, "eve@send.test"))
        self.assertIsNone(of(ours))
        self.assertIsNone(of(proof))
        self.assertIsNone(of(b"X-E2A-Conversation-Id: other\r\n" + ours + proof))
        self.assertIsNone(of(ours + proof + proof))

    @settings(deadline=None, max_examples=200)
    @given(st.text(max_size=80), st.text(max_size=40), st.text(max_size=40))
    def test_junk(self, value: str, identity: str, sender: str) -> None:
        """Nothing that was not made here passes, and nothing raises."""
        self.assertFalse(MACS.check(value, identity, sender, NOW))

    @settings(deadline=None, max_examples=100)
    @given(st.text(max_size=60), st.text(max_size=40))
    def test_round_trip(self, identity: str, sender: str) -> None:
        """Whatever the id and the sender are, what was made for them passes."""
        self.assertTrue(MACS.check(MACS.make(identity, sender, NOW), identity, sender, NOW))


class IdTests(TestCase):
    """Conversation ids and the ids that messages quote."""

    def test_new(self) -> None:
        """A new id is one that a caller could choose, too."""
        made = new_id(lambda count: b"\x01" * count)
        self.assertEqual(made, "conv_" + "01" * 16)
        self.assertTrue(valid_id(made))

    def test_valid(self) -> None:
        """Ids are short and printable, so that they fit a header."""
        for text in ("x", "order 17", "ü", "a" * 256):
            self.assertTrue(valid_id(text), text)
        for text in ("", "a" * 257, "a\r\nb", "a\0", " a", "a ", "a\u2028b", "\ud800"):
            self.assertFalse(valid_id(text), repr(text))

    def test_quoted(self) -> None:
        """Each id is looked up as it is, and in the bare form that some upstream servers tell."""
        self.assertEqual(
            quoted(("<a@x.test>", "<bare>")),
            [Quoted(0, "<a@x.test>", True), Quoted(0, "<a>", False), Quoted(1, "<bare>", True)],
        )

    def test_thread(self) -> None:
        """Only a proved participant gets in; whoever else quotes the conversation is named as a suspect."""
        self.assertEqual(thread(None, True), Thread(None, False))
        self.assertEqual(thread(Ancestor("c", True), True), Thread("c", False))
        for verified, participant in ((True, False), (False, True), (False, False)):
            self.assertEqual(thread(Ancestor("c", participant), verified), Thread(None, True))
