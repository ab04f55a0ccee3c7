"""Signs of automatic mail."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import TestCase

from e2a.core.entities import Automation
from e2a.core.mail.automation import classify
from e2a.core.mail.headers import scan


def of(header: bytes = b"", mail_from: str = "ana@corp.test", sender: str = "ana@corp.test") -> Automation:
    return classify(scan(b"Subject: hi\r\n" + header + b"\r\nbody\r\n"), mail_from, sender)


class AutomationTests(TestCase):
    """``classify``"""

    def test_a_person(self) -> None:
        """Ordinary mail is nobody's automation, whatever receipts its writer wants."""
        self.assertEqual(of(), Automation(False, ()))
        for header in (
            b"Auto-Submitted: no\r\n",
            b"Auto-Submitted: NO; because=x\r\n",
            b"Auto-Submitted: (sent by hand) no\r\n",
            b"Precedence: first-class\r\n",
            b"X-Auto-Response-Suppress: DR, RN, NRN\r\n",
            b"X-Auto-Response-Suppress: None\r\n",
            b"Content-Type: multipart/mixed; boundary=x\r\n",
        ):
            self.assertEqual(of(header), Automation(False, ()), header)

    def test_every_sign(self) -> None:
        """Each sign is found alone and named."""
        for header, reason in (
            (b"Auto-Submitted: auto-replied\r\n", "auto_submitted"),
            (b"auto-submitted: auto-generated; owner-email=x@y\r\n", "auto_submitted"),
            (b"Auto-Submitted: something-new\r\n", "auto_submitted"),
            (b"Auto-Submitted: no\r\nAuto-Submitted: auto-notified\r\n", "auto_submitted"),
            (b"Precedence: bulk\r\n", "precedence"),
            (b"Precedence: Junk\r\n", "precedence"),
            (b"Precedence: list\r\n", "precedence"),
            (b"Precedence: auto_reply\r\n", "precedence"),
            (b"List-Id: News <news.corp.test>\r\n", "list_id"),
            (b"X-Auto-Response-Suppress: DR, OOF, AutoReply\r\n", "auto_response_suppress"),
            (b"X-Auto-Response-Suppress:\r\n All\r\n", "auto_response_suppress"),
            (b"X-Autoreply: yes\r\n", "auto_responder"),
            (b'Content-Type: multipart/report; report-type="delivery-status"\r\n', "delivery_report"),
            (b"Content-Type: (a (b)) Multipart/\r\n\tReport\r\n", None),
            (b"Content-Type:\r\n (a (b)) Multipart/Report\r\n", "delivery_report"),
            (b"Content-Type: multi(a)part/report\r\n", None),
        ):
            expected = Automation(True, (reason,)) if reason else Automation()
            self.assertEqual(of(header), expected, header)

    def test_nested_comments(self) -> None:
        """Comments in comments hide nothing, and long rows of brackets take no time to speak of."""
        self.assertEqual(of(b"Auto-Submitted: (a (b (c))) auto-replied\r\n").reasons, ("auto_submitted",))
        field = b"X-Auto-Response-Suppress: " + b"(" * 480 + b")" * 480 + b" x\r\n"
        began = time.thread_time()
        self.assertEqual(of(field * 256).reasons, ())
        self.assertLess(time.thread_time() - began, 0.2)

    def test_envelope_and_sender(self) -> None:
        """The null return path and addresses behind which nobody reads count as well."""
        self.assertEqual(of(mail_from="").reasons, ("null_return_path",))
        for address in (
            "MAILER-DAEMON@corp.test",
            "no-reply@corp.test",
            "NoReply+4711@corp.test",
            "do_not_reply@corp.test",
            "donotreply@corp.test",
        ):
            self.assertEqual(of(sender=address).reasons, ("no_reply_sender",), address)
            self.assertEqual(of(mail_from=address).reasons, ("no_reply_sender",), address)
        self.assertFalse(of(sender="noreplyhotel@corp.test").is_auto)

    def test_several(self) -> None:
        """All signs are listed, once each."""
        found = of(b"Precedence: bulk\r\nPrecedence: list\r\nList-Id: <a>\r\n", mail_from="")
        self.assertEqual(found.reasons, ("precedence", "list_id", "null_return_path"))

    @settings(deadline=None, max_examples=200)
    @given(st.binary(max_size=300), st.text(max_size=30), st.text(max_size=30))
    def test_junk(self, junk: bytes, mail_from: str, sender: str) -> None:
        """No message is too odd to be judged."""
        found = classify(scan(b"Auto-Submitted: " + junk + b"\r\n\r\n"), mail_from, sender)
        self.assertEqual(found.is_auto, bool(found.reasons))
