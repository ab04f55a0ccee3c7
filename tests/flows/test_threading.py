"""Replies find their conversation, and strangers do not."""

from __future__ import annotations

import json
from pathlib import Path

from e2a.core.entities import Automation, InboundMessage
from e2a.core.mail.conversations import ConversationMac
from e2a.flows import threading
from tests.support.postgres import ORGANISATION
from tests.support.tenants import execute

from .test_inbound import MACS, NOW, InboundCase

OURS = "<1@send.e2a.test>"
VECTORS = json.loads(Path(__file__).parents[1].joinpath("data", "vectors.json").read_text(encoding="utf-8"))
#: Where this gateway knows more than the vectors: it reads every id of an In-Reply-To.
OTHERWISE = {"R09": "conv_d"}


class ThreadingTests(InboundCase):
    """``Inbound.accept`` and conversations"""

    async def sent(
        self, message_id: str, conversation: str | None, *to: str, agent: str = "bot@agents.test", **ids: str
    ) -> None:
        """A message that the agent sent."""
        await execute(
            self.db,
            """
            INSERT INTO messages (id, agent_id, direction, status, organisation_id, to_recipients, conversation_id,
                email_message_id, provider_message_id)
            VALUES (%s, %s, 'outbound', 'sent', %s, %s, %s, %s, %s)
            """,
            message_id,
            agent,
            ORGANISATION,
            list(to),
            conversation,
            ids.get("own", ""),
            ids.get("told", ""),
        )

    async def received(self, headers: str, *addresses: str, author: str = "ana@corp.test") -> InboundMessage:
        """A message from Ana, proved, as the first agent has it."""
        self.judge.author = author
        raw = f"From: {author}\r\nSubject: Re: x\r\n{headers}\r\nyes\r\n".encode()
        await self.accept(raw, *addresses)
        return (await self.stored())[-1]

    async def test_reply(self) -> None:
        """A reply joins by our Message-ID, as Gmail, Outlook and Apple Mail quote it."""
        await self.sent("msg_1", "conv_1", "ana@corp.test", own=OURS)
        for headers in (
            f"In-Reply-To: {OURS}\r\nReferences: {OURS}\r\nMessage-ID: <CAx@mail.gmail.test>\r\n",
            f"References: <old@x.test>\r\n {OURS}\r\nIn-Reply-To: {OURS}\r\nThread-Topic: x\r\n",
            f"References:\r\n\t{OURS}\r\n",
            f"In-Reply-To: {OURS} (Bot's message of Friday)\r\n",
            f"In-Reply-To: <gone@x.test>\r\nReferences: {OURS} <between@x.test>\r\n",
        ):
            message = await self.received(headers)
            self.assertEqual((message.conversation_id, message.thread_hijack_suspected), ("conv_1", False), headers)

    async def test_upstream_id(self) -> None:
        """A reply joins by the id under which the upstream server sent our message, also when it told it bare."""
        await self.sent("msg_1", "conv_1", "ana@corp.test", own=OURS, told="<0100abc-1>")
        message = await self.received("In-Reply-To: <0100abc-1@eu-west-1.ses.test>\r\n")
        self.assertEqual(message.conversation_id, "conv_1")

    async def test_answer_to_an_answer(self) -> None:
        """Each message of a thread is an ancestor too, and the nearest one decides."""
        await self.sent("msg_1", "conv_1", "ana@corp.test", own=OURS)
        await self.sent("msg_2", "conv_2", "ana@corp.test", own="<2@send.e2a.test>")
        await self.received(f"Message-ID: <a@corp.test>\r\nIn-Reply-To: {OURS}\r\n")
        message = await self.received("In-Reply-To: <a@corp.test>\r\nReferences: <2@send.e2a.test> <a@corp.test>\r\n")
        self.assertEqual(message.conversation_id, "conv_1")

    async def test_first_contact(self) -> None:
        """A message that quotes nothing known has no conversation, and nothing is suspected."""
        for headers in ("", "In-Reply-To: <unknown@x.test>\r\n"):
            message = await self.received(headers)
            self.assertEqual((message.conversation_id, message.thread_hijack_suspected), (None, False))

    async def test_stranger(self) -> None:
        """Who learnt an id but takes no part stays outside, and the agent is told; so does an unproved sender."""
        await self.sent("msg_1", "conv_1", "ana@corp.test", own=OURS)
        message = await self.received(f"In-Reply-To: {OURS}\r\n", author="eve@corp.test")
        self.assertEqual((message.conversation_id, message.thread_hijack_suspected), (None, True))
        self.judge.spf = "fail"
        message = await self.received(f"In-Reply-To: {OURS}\r\n")
        self.assertEqual((message.conversation_id, message.thread_hijack_suspected), (None, True))

    async def test_claimed_header(self) -> None:
        """A conversation header without our MAC, or with another's, leads nowhere and is not kept."""
        forged = ConversationMac(b"x" * 32).make("conv_9", "ana@corp.test", NOW)
        copied = MACS.make("conv_9", "agent@send.e2a.test", NOW)
        for mac in ("", f"X-E2A-Conversation-Mac: {forged}\r\n", f"X-E2A-Conversation-Mac: {copied}\r\n"):
            message = await self.received(f"X-E2A-Conversation-Id: conv_9\r\n{mac}")
            self.assertIsNone(message.conversation_id)
            self.assertNotIn(b"conversation", (await self.raw(message)).lower())

    async def test_own_header(self) -> None:
        """Mail of ours that comes back keeps its conversation, for every recipient, unless its sender is unproved."""
        mac = MACS.make("conv_9", "ana@corp.test", NOW)
        headers = f"X-E2A-Conversation-Id: conv_9\r\nX-E2A-Conversation-Mac: {mac}\r\nIn-Reply-To: <other@x.test>\r\n"
        message = await self.received(headers, "bot@agents.test", "other@agents.test")
        self.assertEqual(message.conversation_id, "conv_9")
        (theirs,) = await self.stored("other@agents.test")
        self.assertEqual(theirs.conversation_id, "conv_9")
        self.judge.spf = "fail"
        self.assertIsNone((await self.received(headers)).conversation_id)

    async def test_one_question(self) -> None:
        """Every recipient's thread is its own, and all are found with one question; first contacts ask none."""
        await self.sent("msg_1", "conv_1", "ana@corp.test", own=OURS)
        await self.sent("msg_2", "conv_2", "ana@corp.test", agent="other@agents.test", own=OURS)
        asked = []
        find = threading.find_ancestors

        async def counted(*args: object) -> object:
            asked.append(args)
            return await find(*args)  # type: ignore[arg-type]

        self.patch(threading, "find_ancestors", counted)
        await self.received("", "bot@agents.test", "other@agents.test")
        self.assertEqual(len(asked), 0)
        mine = await self.received(f"In-Reply-To: {OURS}\r\n", "bot@agents.test", "other@agents.test")
        theirs = (await self.stored("other@agents.test"))[-1]
        self.assertEqual((mine.conversation_id, theirs.conversation_id), ("conv_1", "conv_2"))
        self.assertEqual(len(asked), 1)

    async def test_vectors(self) -> None:
        """Every published case of threading by header and by quoted ids."""
        for number, row in enumerate(VECTORS["conversation_table"], 1):
            own, told = row["email_message_id"], row["provider_message_id"]
            await self.sent(f"msg_{number}", row["conversation_id"] or None, "ana@corp.test", own=own, told=told)
        mac = MACS.make("conv_hdr", "ana@corp.test", NOW)
        for case in VECTORS["conversation_resolution"]:
            headers = ""
            if case["header_conversation_id"]:
                headers += f"X-E2A-Conversation-Id: {case['header_conversation_id']}\r\n"
                headers += f"X-E2A-Conversation-Mac: {mac}\r\n" if case["envelope_trusted"] else ""
            if case["in_reply_to"]:
                headers += f"In-Reply-To: {case['in_reply_to']}\r\n"
            if case["references"]:
                headers += f"References: {' '.join(case['references'])}\r\n"
            message = await self.received(headers)
            expected = OTHERWISE.get(case["id"], case["expect"]) or None
            self.assertEqual(message.conversation_id, expected, case["description"])

    async def test_automation(self) -> None:
        """Automatic mail is stored with its signs."""
        message = await self.received("Auto-Submitted: auto-replied\r\nPrecedence: bulk\r\n")
        self.assertEqual(message.automation, Automation(True, ("auto_submitted", "precedence")))
        self.assertEqual((await self.received("")).automation, Automation())
