"""The resolver: cache, deadlines, shared lookups, and one conversation with a real server."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.names import dns
from twisted.trial import unittest

from e2a.core.errors import Unavailable
from e2a.verify.questions import Answer, Check, ask, askable
from e2a.verify.resolver import Resolver, read_hosts, read_servers
from tests.support.dnsstub import DNSStub


class Network:
    """Exchanges that the test answers. ``answers``: immediate ones by name; else ``pending`` holds a Deferred."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.answers: dict[str, Any] = {}
        self.pending: list[Deferred[dns.Message]] = []

    def exchange(self, name: str, type: int) -> Deferred[dns.Message]:
        self.asked.append((name, type))
        answer = self.answers.get(name)
        if isinstance(answer, Exception):
            return fail(answer)
        if answer is not None:
            return succeed(answer)
        self.pending.append(Deferred())
        return self.pending[-1]


def reply(*records: tuple[str, Any], rcode: int = dns.OK, ttl: int = 100, soa: int | None = None) -> dns.Message:
    message = dns.Message(rCode=rcode)
    message.answers = [dns.RRHeader(name, record.TYPE, dns.IN, ttl, record) for name, record in records]
    if soa is not None:
        message.authority = [
            dns.RRHeader("test", dns.SOA, dns.IN, 9999, dns.Record_SOA("ns.test", "h.test", minimum=soa))
        ]
    return message


class ResolverTests(unittest.TestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.network = Network()
        self.resolver = Resolver(self.clock, [("192.0.2.53", 53)], exchange=self.network.exchange, entries=100)

    def start(self, name: str, type: Any = "TXT", deadline: float | None = None) -> Deferred[Answer]:
        return Deferred.fromCoroutine(self.resolver.lookup(name, type, deadline))

    def now(self, name: str, type: Any = "TXT") -> Answer:
        return self.successResultOf(self.start(name, type))

    def test_record_forms(self) -> None:
        """Each type comes in its documented form; TXT strings are joined; names are lower-case without a dot."""
        self.network.answers = {
            "t.test": reply(("T.test", dns.Record_TXT(b"v=spf1 ", b"-all")), ("t.test", dns.Record_TXT(b"two"))),
            "m.test": reply(("m.test", dns.Record_MX(10, "MX.m.test"))),
            "a.test": reply(("a.test", dns.Record_A("192.0.2.1"))),
            "six.test": reply(("six.test", dns.Record_AAAA("2001:db8::1"))),
            "1.2.0.192.in-addr.arpa": reply(("1.2.0.192.in-addr.arpa", dns.Record_PTR("H.test"))),
        }
        self.assertEqual(self.now("T.test.").records, (b"v=spf1 -all", b"two"))
        self.assertEqual(self.now("m.test", "MX").records, ((10, "mx.m.test"),))
        self.assertEqual(self.now("a.test", "A").records, ("192.0.2.1",))
        self.assertEqual(self.now("six.test", "AAAA").records, ("2001:db8::1",))
        self.assertEqual(self.now("1.2.0.192.in-addr.arpa", "PTR").records, ("h.test",))

    def test_remembered_for_its_time(self) -> None:
        """An answer is asked for once within its time to live and again after it."""
        self.network.answers["a.test"] = reply(("a.test", dns.Record_TXT(b"x")), ttl=100)
        self.now("a.test")
        self.clock.advance(99)
        self.now("A.TEST")
        self.assertEqual(len(self.network.asked), 1)
        self.clock.advance(2)
        self.now("a.test")
        self.assertEqual(len(self.network.asked), 2)

    def test_empty_answers(self) -> None:
        """Names that do not exist are remembered as the SOA says, a minute without one."""
        for name, soa, ttl in (("a.test", 30, 30), ("b.test", None, 60), ("c.test", 99_999, 900)):
            self.network.answers[name] = reply(rcode=dns.ENAME, soa=soa)
            for wait, count in ((0, 1), (ttl - 1, 1), (2, 2)):
                self.clock.advance(wait)
                self.assertEqual(self.now(name), Answer())
                self.assertEqual(self.network.asked.count((name, dns.TXT)), count, name)

    def test_failures_are_remembered_for_seconds(self) -> None:
        """SERVFAIL and exceptions are failures for five seconds, then the question goes out again."""
        self.network.answers = {"a.test": reply(rcode=dns.ESERVER), "b.test": TimeoutError()}
        for name in ("a.test", "b.test"):
            for wait, count in ((0, 1), (4.9, 1), (0.2, 2)):
                self.clock.advance(wait)
                self.assertTrue(self.now(name).failure)
                self.assertEqual(self.network.asked.count((name, dns.TXT)), count, name)
            self.network.answers[name] = reply((name, dns.Record_TXT(b"x")))
            self.clock.advance(5.1)
            self.assertEqual(self.now(name).records, (b"x",))

    def test_failing_afresh(self) -> None:
        """An answer that still holds outlives a failure to ask afresh."""
        self.network.answers["a.test"] = reply(("a.test", dns.Record_TXT(b"x")))
        self.now("a.test")
        self.network.answers["a.test"] = TimeoutError()
        question = ask("a.test", "TXT")

        def check() -> Check[Answer]:
            return (yield (question,))[question]

        answer = self.successResultOf(Deferred.fromCoroutine(self.resolver.drive(check(), 10.0, fresh=True)))
        self.assertTrue(answer.failure)
        self.assertEqual(self.now("a.test").records, (b"x",))

    def test_shared(self) -> None:
        """Equal questions in flight are one exchange, and all who asked get its answer."""
        waiting = [self.start("a.test") for _ in range(3)]
        self.assertEqual(len(self.network.asked), 1)
        self.network.pending[0].callback(reply(("a.test", dns.Record_TXT(b"x"))))
        for one in waiting:
            self.assertEqual(self.successResultOf(one).records, (b"x",))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_deadline(self) -> None:
        """At the deadline the check goes on with a failure, and a late answer still fills the cache."""
        waiting = self.start("a.test", deadline=20.0)
        self.clock.advance(19)
        self.assertNoResult(waiting)
        self.clock.advance(2)
        self.assertEqual(self.successResultOf(waiting), Answer(failure="deadline"))
        self.assertTrue(self.successResultOf(self.start("b.test", deadline=20.0)).failure)
        self.assertEqual(len(self.network.asked), 1)
        self.network.pending[0].callback(reply(("a.test", dns.Record_TXT(b"x"))))
        self.assertEqual(self.now("a.test").records, (b"x",))

    def test_one_deadline_for_all_rounds(self) -> None:
        """A check that asks one question after another does not get more time by it."""

        def endless() -> Check[int]:
            for count in range(1000):
                question = ask(f"n{count}.test", "TXT")
                answers = yield (question,)
                if answers[question].failure:
                    return count
            return -1

        done = Deferred.fromCoroutine(self.resolver.drive(endless(), 20.0))
        for _ in range(20):
            self.clock.advance(1.5)
            if self.network.pending:
                self.network.pending.pop().callback(reply())
        self.assertLess(self.successResultOf(done), 14)

    def test_cancelled_waiter(self) -> None:
        """One who gives up takes nothing from the others."""
        first, second = self.start("a.test"), self.start("a.test")
        first.cancel()
        self.failureResultOf(first)
        self.network.pending[0].callback(reply(("a.test", dns.Record_TXT(b"x"))))
        self.assertEqual(self.successResultOf(second).records, (b"x",))

    def test_fresh(self) -> None:
        """A fresh check asks even what is remembered."""
        self.network.answers["a.test"] = reply(("a.test", dns.Record_TXT(b"old")))
        self.now("a.test")
        self.network.answers["a.test"] = reply(("a.test", dns.Record_TXT(b"new")))
        question = ask("a.test", "TXT")

        def check() -> Check[Answer]:
            return (yield (question,))[question]

        answer = self.successResultOf(Deferred.fromCoroutine(self.resolver.drive(check(), 10.0, fresh=True)))
        self.assertEqual(answer.records, (b"new",))
        self.assertEqual(self.now("a.test").records, (b"new",))

    def test_cache_is_bounded(self) -> None:
        """The cache holds no more entries and octets than allowed, and drops what was used least recently."""
        for number in range(150):
            self.network.answers[f"n{number}.test"] = reply(("x", dns.Record_TXT(b"x")))
            self.now(f"n{number}.test")
            self.now("n0.test")
        self.assertEqual(len(self.resolver._cache), 100)
        self.assertEqual(self.network.asked.count(("n0.test", dns.TXT)), 1)
        small = Resolver(self.clock, [("192.0.2.53", 53)], exchange=self.network.exchange, octets=50_000)
        for number in range(20):
            name = f"big{number}.test"
            self.network.answers[name] = reply((name, dns.Record_TXT(*[b"x" * 200] * 50)))
            self.successResultOf(Deferred.fromCoroutine(small.lookup(name, "TXT")))
        self.assertLessEqual(small._held, 50_000)
        self.assertGreater(len(small._cache), 2)
        self.assertEqual(small._held, sum(entry[1] for entry in small._cache.values()))

    def test_aliases(self) -> None:
        """CNAMEs are followed inside an answer and across answers; loops end; foreign records are ignored."""
        self.network.answers = {
            "a.test": reply(
                ("a.test", dns.Record_CNAME("b.test")),
                ("b.test", dns.Record_TXT(b"x")),
                ("c.test", dns.Record_TXT(b"y")),
            ),
            "d.test": reply(("d.test", dns.Record_CNAME("e.test"))),
            "e.test": reply(("e.test", dns.Record_TXT(b"z"))),
            "l.test": reply(("l.test", dns.Record_CNAME("m.test"))),
            "m.test": reply(("m.test", dns.Record_CNAME("l.test"))),
        }
        self.assertEqual(self.now("a.test").records, (b"x",))
        self.assertEqual(self.now("d.test").records, (b"z",))
        self.assertTrue(self.now("l.test").failure)

    def test_unaskable_names(self) -> None:
        """Names that fit into no DNS message exist nowhere and are never asked."""
        for name in ("", "a" * 64 + ".test", "a..test", "b\xfc.test", "a." * 127 + "test", ".".join(["!" * 63] * 60)):
            self.assertFalse(askable(name))
            self.assertEqual(self.now(name), Answer())
        self.assertEqual(self.network.asked, [])

    def test_addresses(self) -> None:
        """Both families are asked at once, literals and localhost are not asked, no answer at all is an error."""

        def addresses(host: str) -> Deferred[tuple[str, ...]]:
            return Deferred.fromCoroutine(self.resolver.addresses(host))

        self.assertEqual(self.successResultOf(addresses("192.0.2.1")), ("192.0.2.1",))
        self.assertEqual(self.successResultOf(addresses("[2001:DB8::1]")), ("2001:db8::1",))
        self.assertEqual(self.successResultOf(addresses("LOCALHOST.")), ("127.0.0.1", "::1"))
        self.assertEqual(self.network.asked, [])
        waiting = addresses("a.test")
        four, six = self.network.pending
        four.callback(reply(("a.test", dns.Record_A("192.0.2.7"))))
        six.errback(TimeoutError())
        self.assertEqual(self.successResultOf(waiting), ("192.0.2.7",))
        self.network.answers = {"b.test": TimeoutError(), "c.test": reply(rcode=dns.ENAME)}
        self.failureResultOf(addresses("b.test"), Unavailable)
        self.assertEqual(self.successResultOf(addresses("c.test")), ())

    def test_system_files(self) -> None:
        """Servers and hosts are read from the usual files, and their absence is no error."""
        path = self.mktemp()
        with open(path, "w") as file:
            file.write("# c\nnameserver 192.0.2.1\nnameserver nonsense\nnameserver 2001:db8::1\noptions ndots:1\n")
        self.assertEqual(read_servers(path), [("192.0.2.1", 53), ("2001:db8::1", 53)])
        self.assertEqual(read_servers(path + "x"), [("127.0.0.1", 53)])
        with open(path, "w") as file:
            file.write("127.0.0.1 localhost # c\n192.0.2.9 Box box.test\nbad line\n::1 box\n")
        self.assertEqual(
            read_hosts(path), {"localhost": ("127.0.0.1",), "box": ("192.0.2.9", "::1"), "box.test": ("192.0.2.9",)}
        )
        resolver = Resolver(self.clock, exchange=self.network.exchange, resolv_conf=path + "x", hosts=path)
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(resolver.addresses("box"))), ("192.0.2.9", "::1"))


class RealServerTests(unittest.TestCase):
    async def test_conversation(self) -> None:
        """Over real sockets: an answer, a truncated one by TCP, a missing name, and a server failure."""
        stub = DNSStub({"a.test": {"TXT": ["x"]}, "big.test": {"TXT": ["y" * 900]}, "bad.test": {"FAIL": ["servfail"]}})
        self.addCleanup(stub.stop)
        resolver = Resolver(reactor, [("127.0.0.1", stub.port)])
        self.addCleanup(lambda: Deferred.fromCoroutine(resolver.stop()))
        self.assertEqual((await resolver.lookup("a.test", "TXT")).records, (b"x",))
        self.assertEqual((await resolver.lookup("big.test", "TXT")).records, (b"y" * 900,))
        self.assertEqual(await resolver.lookup("none.test", "TXT"), Answer())
        self.assertTrue((await resolver.lookup("bad.test", "TXT")).failure)
