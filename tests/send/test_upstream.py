"""Mail through an upstream server, over real connections."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.internet.task import deferLater

from e2a.send.protocol import Waits
from tests.send.support import MAIL, QUICK, SENDER, Allowed, SinkCase, states
from tests.support.selfsigned import certificate
from tests.support.smtpsink import DROP, HANG

#: Every step that comes before anything of the message is transmitted.
BEFORE_DATA = ("connect", "EHLO", "MAIL", "RCPT", "DATA")


class Sending(SinkCase):
    async def test_what_arrives(self) -> None:
        """The sink gets the envelope and exactly the bytes that were given, over one session."""
        sink = self.sink()
        done = await self.one(self.upstream(sink), "ann@people.test", "bob@people.test")
        self.assertEqual(states(done), {"ann@people.test": ("sent", 250), "bob@people.test": ("sent", 250)})
        copy = sink.wait_for(1)[0]
        self.assertEqual((copy.sender, copy.recipients), (SENDER, ("ann@people.test", "bob@people.test")))
        self.assertEqual(copy.data, MAIL)
        self.assertIn((1, "EHLO mx.gateway.test"), sink.lines)

    async def test_transparency(self) -> None:
        """Dots at line starts and at every boundary of the writer's blocks arrive as they were, in one message."""
        sink = self.sink()
        filler = b"x" * 1022 + b"\r\n"
        big = b"Subject: dots\r\n\r\n" + b".\r\n..\r\n" + filler * 63
        big += b"y" * (65_536 - len(big) - 2) + b"\r\n.\r\nQUIT\r\n" + filler * 64 + b".last\r\n"
        done = await self.one(self.upstream(sink), data=big)
        self.assertEqual(states(done), {"ann@people.test": ("sent", 250)})
        self.assertEqual([copy.data for copy in sink.wait_for(1)], [big])
        self.assertNotIn("QUIT", sink.verbs(1))

    async def test_without_extensions(self) -> None:
        """A server that pipelines nothing is spoken to one command at a time, without parameters."""
        sink = self.sink(extensions=())
        await self.one(self.upstream(sink), "ann@people.test", "bob@people.test")
        self.assertEqual(sink.wait_for(1)[0].recipients, ("ann@people.test", "bob@people.test"))
        self.assertIn((1, f"MAIL FROM:<{SENDER}>"), sink.lines)

    async def test_old_server(self) -> None:
        """A server that does not know EHLO is greeted with HELO."""
        sink = self.sink()
        sink.always("EHLO", "502 5.5.1 what?")
        done = await self.one(self.upstream(sink))
        self.assertEqual(states(done), {"ann@people.test": ("sent", 250)})

    async def test_parameters(self) -> None:
        """SIZE is told, and 8BITMIME used, where they are offered."""
        sink = self.sink()
        data = MAIL + "Grüße\r\n".encode()
        await self.one(self.upstream(sink), data=data)
        self.assertIn((1, f"MAIL FROM:<{SENDER}> SIZE={len(data)} BODY=8BITMIME"), sink.lines)
        self.assertEqual(sink.wait_for(1)[0].data, data)

    async def test_too_big(self) -> None:
        """A message over the server's SIZE is refused without asking."""
        sink = self.sink(extensions=("SIZE 50",))
        done = await self.one(self.upstream(sink))
        self.assertEqual(states(done), {"ann@people.test": ("refused", 552)})
        self.assertEqual(sink.copies, [])

    async def test_strange_address(self) -> None:
        """An address that could end the command line, or needs SMTPUTF8, is refused here; the others go on."""
        sink = self.sink()
        done = await self.one(self.upstream(sink), "a@b.test>\r\nRCPT TO:<evil@c.test", "jö@b.test", "ok@b.test")
        self.assertEqual([state for state, _ in states(done).values()].count("refused"), 2)
        self.assertEqual(sink.wait_for(1)[0].recipients, ("ok@b.test",))


class Faults(SinkCase):
    async def test_drop_before_data(self) -> None:
        """A connection lost at any step before the message leaves it for later, with nothing received."""
        for step in BEFORE_DATA:
            sink = self.sink()
            sink.always(step, DROP)
            done = await self.one(self.upstream(sink))
            self.assertEqual(states(done), {"ann@people.test": ("deferred", None)}, step)
            self.assertEqual(done.unreachable, step in ("connect", "EHLO"), step)
            self.assertEqual(sink.copies, [], step)

    async def test_temporary(self) -> None:
        """A 4xx at any step leaves the message for later."""
        for step in (*BEFORE_DATA, "end"):
            sink = self.sink()
            sink.always(step, "451 4.3.0 later")
            done = await self.one(self.upstream(sink))
            self.assertEqual(states(done), {"ann@people.test": ("deferred", 451)}, step)

    async def test_permanent(self) -> None:
        """A 5xx about the mail is final; one about the session is not the message's fault."""
        for step in (*BEFORE_DATA, "end"):
            sink = self.sink(extensions=())
            sink.always(step, "554 5.7.1 never")
            if step == "EHLO":
                sink.always("HELO", "554 5.7.1 never")
            done = await self.one(self.upstream(sink))
            state = "deferred" if step in ("connect", "EHLO") else "refused"
            self.assertEqual(states(done), {"ann@people.test": (state, 554)}, step)

    async def test_tarpit(self) -> None:
        """A server that stays silent at any step costs its time-out and no more; only after the final dot is the
        outcome unknown."""
        for step in (*BEFORE_DATA, "end"):
            # The steps before the last one take the time that they need.
            waits = replace(QUICK, final=0.3) if step == "end" else Waits(*[0.3] * 9)
            sink = self.sink()
            sink.always(step, HANG)
            done = await self.one(self.upstream(sink, waits=waits))
            self.assertEqual(states(done)["ann@people.test"][0], "unknown" if step == "end" else "deferred", step)

    async def test_drop_in_the_message(self) -> None:
        """A connection lost in the middle of the message leaves it for later: it was never whole."""
        sink = self.sink()
        sink.always("body", DROP)
        done = await self.one(self.upstream(sink), data=MAIL + b"x" * 5_000_000 + b"\r\n")
        self.assertEqual(states(done), {"ann@people.test": ("deferred", None)})
        self.assertEqual(sink.copies, [])

    async def test_reply_in_the_message(self) -> None:
        """A server that refuses in the middle of the message gets no final dot, and its word counts."""
        sink = self.sink()
        sink.always("body", "552 5.3.4 too much")
        done = await self.one(self.upstream(sink), data=MAIL + (b"x" * 900 + b"\r\n") * 20_000)
        self.assertEqual(states(done), {"ann@people.test": ("refused", 552)})
        self.assertEqual(sink.copies, [])

    async def test_drop_after_the_final_dot(self) -> None:
        """A connection lost after the final dot makes the outcome unknown, and nothing is repeated."""
        sink = self.sink()
        sink.always("end", DROP)
        done = await self.one(self.upstream(sink))
        self.assertEqual(states(done), {"ann@people.test": ("unknown", None)})
        self.assertEqual(len(sink.copies), 1)

    async def test_nonsense_after_the_final_dot(self) -> None:
        """An answer to the final dot that is no SMTP is no answer."""
        for reply in ("hello", "354 more?"):
            sink = self.sink()
            sink.always("end", reply)
            done = await self.one(self.upstream(sink))
            self.assertEqual(states(done)["ann@people.test"][0], "unknown")

    async def test_each_recipient_for_itself(self) -> None:
        """Refused and deferred recipients do not keep the message from the others."""
        for extensions in ((), ("PIPELINING",)):
            sink = self.sink(extensions=extensions)
            sink.refuse("gone@people.test", "550 5.1.1 who?")
            sink.refuse("grey@people.test", "450 4.2.0 later")
            sink.refuse("many@people.test", "552 5.5.3 too many recipients")
            names = ("gone@people.test", "ann@people.test", "grey@people.test", "many@people.test")
            done = await self.one(self.upstream(sink), *names)
            self.assertEqual(
                states(done),
                {
                    "gone@people.test": ("refused", 550),
                    "ann@people.test": ("sent", 250),
                    "grey@people.test": ("deferred", 450),
                    "many@people.test": ("deferred", 552),
                },
            )
            self.assertEqual(sink.wait_for(1)[0].recipients, ("ann@people.test",))

    async def test_nobody_left(self) -> None:
        """When every recipient is refused DATA is not opened, and the session serves the next message."""
        sink = self.sink()
        sink.refuse("gone@people.test", "550 5.1.1 who?")
        upstream = self.upstream(sink)
        permit = Allowed()
        done = await self.one(upstream, "gone@people.test", permit=permit)
        self.assertEqual(states(done), {"gone@people.test": ("refused", 550)})
        self.assertEqual(permit.asked, [])
        self.assertEqual(states(await self.one(upstream)), {"ann@people.test": ("sent", 250)})
        self.assertEqual(sink.sessions, 1)
        self.assertIn("RSET", sink.verbs(1))

    async def test_nobody_listens(self) -> None:
        """A refused connection leaves the message for later and says that nobody could be reached."""
        sink = self.sink()
        upstream = self.upstream(sink)
        sink.stop()
        done = await self.one(upstream)
        self.assertEqual(states(done), {"ann@people.test": ("deferred", None)})
        self.assertTrue(done.unreachable)


class Permits(SinkCase):
    async def test_no_permit(self) -> None:
        """Without the permit DATA is never opened."""
        sink = self.sink()
        done = await self.one(self.upstream(sink), permit=Allowed(begin=False))
        self.assertTrue(done.withheld)
        self.assertNotIn("DATA", sink.verbs(1))

    async def test_permit_that_ends(self) -> None:
        """A permit that ended while the message was transmitted withholds the final dot: the sink has no message."""
        sink = self.sink()
        permit = Allowed(valid=False)
        done = await self.one(self.upstream(sink), permit=permit)
        self.assertTrue(done.withheld)
        self.assertEqual(permit.asked, ["begin", "valid"])
        self.assertEqual(sink.copies, [])

    async def test_cancelled_before(self) -> None:
        """An attempt that is cut off before the final dot is withheld."""
        sink = self.sink()
        sink.always("MAIL", HANG)
        sending = Deferred.fromCoroutine(self.one(self.upstream(sink)))
        await self._until(lambda: any(line.startswith("MAIL") for _, line in sink.lines))
        sending.cancel()
        self.assertTrue((await sending).withheld)

    async def test_cancelled_after(self) -> None:
        """An attempt that is cut off after the final dot has an unknown outcome."""
        sink = self.sink()
        sink.always("end", HANG)
        sending = Deferred.fromCoroutine(self.one(self.upstream(sink)))
        await self._until(lambda: bool(sink.copies))
        sending.cancel()
        self.assertEqual(states(await sending), {"ann@people.test": ("unknown", None)})

    async def _until(self, true: Any) -> None:
        for _ in range(6000):
            if true():
                return
            await deferLater(reactor, 0.01)
        self.fail("it did not happen")


class Sessions(SinkCase):
    async def test_reuse(self) -> None:
        """Messages one after the other share a session."""
        sink = self.sink()
        upstream = self.upstream(sink)
        for _ in range(3):
            await self.one(upstream)
        self.assertEqual((sink.sessions, len(sink.wait_for(3))), (1, 3))

    async def test_limit(self) -> None:
        """However many messages there are, there are no more sessions than allowed."""
        sink = self.sink()
        upstream = self.upstream(sink, size=2)
        done = await gatherResults([Deferred.fromCoroutine(self.one(upstream)) for _ in range(12)])
        self.assertEqual([states(one)["ann@people.test"][0] for one in done], ["sent"] * 12)
        self.assertEqual(sink.sessions, 2)

    async def test_stale_session(self) -> None:
        """A kept session that the server has left, or leaves now, costs nothing: a new one takes the message."""
        for action in (DROP, "421 4.4.2 too long idle"):
            sink = self.sink()
            upstream = self.upstream(sink)
            await self.one(upstream)
            sink.plan("MAIL", action)
            self.assertEqual(states(await self.one(upstream)), {"ann@people.test": ("sent", 250)})
            self.assertEqual((sink.sessions, len(sink.wait_for(2))), (2, 2))

    async def test_failure_of_a_reused_session(self) -> None:
        """What a kept session answers to the message is not asked again."""
        sink = self.sink()
        upstream = self.upstream(sink)
        await self.one(upstream)
        sink.plan("end", DROP)
        self.assertEqual(states(await self.one(upstream)), {"ann@people.test": ("unknown", None)})
        self.assertEqual(len(sink.wait_for(2)), 2)

    async def test_recovery(self) -> None:
        """Sessions that failed free their places."""
        sink = self.sink()
        upstream = self.upstream(sink, size=1)
        sink.plan("connect", DROP, "421 busy")
        sink.plan("DATA", DROP)
        for _ in range(3):
            await self.one(upstream)
        self.assertEqual(states(await self.one(upstream)), {"ann@people.test": ("sent", 250)})


class Tls(SinkCase):
    def setUp(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        self.context, self.trust = self._context(directory, "localhost")

    def _context(self, directory: Path, host: str) -> tuple[ssl.SSLContext, Any]:
        cert, key, _ = certificate(directory, host)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        return context, trustRootFromCertificates([Certificate.loadPEM(cert.read_bytes())])

    def secure(self, sink: Any, **server: Any) -> Any:
        return self.upstream(sink, **{"host": "localhost", "tls": "required", "trust_root": self.trust, **server})

    async def test_starttls(self) -> None:
        """STARTTLS comes before the password and the mail; the certificate is checked."""
        sink = self.sink(tls=self.context, users={"bot": "pässword"})
        done = await self.one(self.secure(sink, username="bot", password="pässword"))
        self.assertEqual(states(done), {"ann@people.test": ("sent", 250)})
        copy = sink.wait_for(1)[0]
        self.assertEqual((copy.secure, copy.user), (True, "bot"))
        self.assertEqual(sink.verbs(1)[:4], ["EHLO", "STARTTLS", "EHLO", "AUTH"])

    async def test_implicit(self) -> None:
        """TLS from the first octet."""
        sink = self.sink(tls=self.context, implicit=True)
        done = await self.one(self.secure(sink, tls="implicit"))
        self.assertEqual(states(done), {"ann@people.test": ("sent", 250)})
        self.assertTrue(sink.wait_for(1)[0].secure)

    async def test_big_message(self) -> None:
        """Megabytes go through TLS unchanged."""
        sink = self.sink(tls=self.context)
        data = MAIL + (b"." * 70 + b"\r\n") * 50_000
        await self.one(self.secure(sink), data=data)
        self.assertEqual(sink.wait_for(1)[0].data, data)

    async def test_wrong_certificates(self) -> None:
        """A certificate for another host, or of an unknown authority, gets neither password nor mail."""
        directory = Path(self.mktemp())
        directory.mkdir()
        other, other_trust = self._context(directory, "elsewhere.test")
        for context, trust in ((other, other_trust), (self.context, other_trust)):
            for tls in ("required", "implicit"):
                sink = self.sink(tls=context, implicit=tls == "implicit", users={"bot": "pw"})
                upstream = self.secure(sink, tls=tls, trust_root=trust, username="bot", password="pw")
                done = await self.one(upstream)
                self.assertEqual(states(done), {"ann@people.test": ("deferred", None)})
                self.assertTrue(done.unreachable)
                self.assertIn("TLS", done.answers["ann@people.test"].text)
                self.assertEqual([line for _, line in sink.lines if line[:4] in ("AUTH", "MAIL")], [])

    async def test_stripped(self) -> None:
        """When STARTTLS is not offered or fails, nothing is sent in clear."""
        for tls in (None, self.context):
            sink = self.sink(tls=tls)
            if tls is not None:
                sink.always("STARTTLS", "454 4.7.0 not now")
            done = await self.one(self.secure(sink))
            self.assertTrue(done.unreachable)
            self.assertEqual([line for _, line in sink.lines if line.startswith("MAIL")], [])

    async def test_words_ahead_of_tls(self) -> None:
        """What a man in the middle adds behind the answer to STARTTLS ends the session."""
        sink = self.sink(tls=self.context)
        sink.always("STARTTLS", "220 go on\r\n250 forged")
        done = await self.one(self.secure(sink))
        self.assertTrue(done.unreachable)
        self.assertEqual(sink.copies, [])

    async def test_password_needs_tls(self) -> None:
        """A password never goes in clear to another machine, whatever the setting."""
        sink = self.sink(users={"bot": "pw"})
        upstream = self.upstream(sink, username="bot", password="pw", tls="auto")
        self.patch(type(upstream._server), "local", False)
        done = await self.one(upstream)
        self.assertTrue(done.unreachable)
        self.assertNotIn("AUTH", sink.verbs(1))

    async def test_auth_login(self) -> None:
        """AUTH LOGIN where PLAIN is not offered; on this machine also without TLS."""
        sink = self.sink(extensions=("AUTH LOGIN",))
        sink.users = {}
        upstream = self.upstream(sink, username="bot", password="pw")
        sink.users = {"bot": "pw"}
        sink.extensions = ()
        sink._always["EHLO"] = "250-sink.test\r\n250 AUTH=LOGIN"
        await self.one(upstream)
        self.assertEqual(sink.wait_for(1)[0].user, "bot")
        self.assertIn((1, "AUTH LOGIN"), sink.lines)

    async def test_bad_password(self) -> None:
        """A refused password keeps the mail for later, and the words for the operator hold no password."""
        sink = self.sink(users={"bot": "right"})
        done = await self.one(self.upstream(sink, username="bot", password="wrong"))
        self.assertEqual(states(done), {"ann@people.test": ("deferred", 535)})
        self.assertNotIn("wrong", done.answers["ann@people.test"].text)
