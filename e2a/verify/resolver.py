"""The one place that asks the DNS: a caching stub resolver over twisted.names, and the driver of checks.

Answers, the empty ones too, are remembered for their time to live in a cache bounded by entries and octets. Equal
questions in flight are asked once. Failures (SERVFAIL, time-outs) are remembered for a few seconds (RFC 9520 section
3.2), so that a silent server holds up one message of a sender and not each. Names are absolute: search lists do not
apply to mail.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.names import client, dns

from e2a.core.errors import Unavailable

from .questions import NOTHING, Answer, Check, Question, Type, ask, askable

T = TypeVar("T")

#: ``(name, type) -> Deferred[dns.Message]``: one exchange with a server, retries and TCP included.
Exchange = Callable[[str, int], "Deferred[dns.Message]"]

_TYPES = {"A": dns.A, "AAAA": dns.AAAA, "MX": dns.MX, "TXT": dns.TXT, "PTR": dns.PTR}
_MAX_CNAMES = 10
_SHORTEST, _LONGEST = 5, 3600
#: Seconds for which an empty answer holds, at most, and when no SOA says (RFC 2308 section 5).
_EMPTY_LONGEST, _EMPTY_DEFAULT = 900, 60
#: Seconds for which a failure holds.
_FAILED = 5
#: Exchanges under way at once; each needs a socket.
_PARALLEL = 400


class Resolver:
    """:param reactor: for sockets and time.
    :param servers: ``(address, port)`` of recursive servers; None reads ``resolv_conf`` and ``hosts``.
    :param timeout: seconds for each round over all servers.
    :param entries, octets: bounds of the cache.
    :param exchange: replaces the network in tests.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        servers: Sequence[tuple[str, int]] | None = None,
        *,
        timeout: tuple[int, ...] = (1, 2),
        entries: int = 20_000,
        octets: int = 32 * 1024 * 1024,
        exchange: Exchange | None = None,
        resolv_conf: str = "/etc/resolv.conf",
        hosts: str = "/etc/hosts",
    ) -> None:
        self._reactor = reactor
        self._hosts: dict[str, tuple[str, ...]] = read_hosts(hosts) if servers is None else {}
        found = list(servers) if servers is not None else read_servers(resolv_conf)
        self._stub = _Stub(found, timeout, reactor)
        self._exchange = exchange or self._stub.exchange
        self._slots = DeferredSemaphore(_PARALLEL)
        self._entries, self._octets = entries, octets
        self._cache: OrderedDict[Question, tuple[float, int, Answer]] = OrderedDict()
        self._held = 0
        self._waiting: dict[Question, list[Deferred[Answer]]] = {}

    def seconds(self) -> float:
        """The clock that deadlines are read from."""
        return float(self._reactor.seconds())

    async def stop(self) -> None:
        """Close what is kept open to the servers. Questions in flight end at their own time-outs."""
        await self._stub.stop()

    async def drive(self, check: Check[T], deadline: float, *, fresh: bool = False) -> T:
        """Answer a check's questions until it returns.

        When every answer is remembered this finishes without giving up the reactor's turn.

        :param deadline: on ``seconds()``; what is not answered by then fails, and the check goes on with that.
        :param fresh: ask the servers even where an answer is remembered.
        """
        try:
            questions = next(check)
            remembered = self._remembered
            while True:
                answers: dict[Question, Answer] = {}
                missing = []
                now = self._reactor.seconds()
                for question in questions:
                    answer = None if fresh else remembered(question, now)
                    if answer is None:
                        missing.append(question)
                    else:
                        answers[question] = answer
                if missing:
                    answers.update(zip(missing, await self._ask(missing, deadline), strict=True))
                questions = check.send(answers)
        except StopIteration as stop:
            return cast(T, stop.value)
        finally:
            check.close()

    async def lookup(self, name: str, type: Type, deadline: float | None = None) -> Answer:
        """One question. :param deadline: default: ten seconds from now."""

        def check() -> Check[Answer]:
            question = ask(name, type)
            return (yield (question,))[question]

        return await self.drive(check(), self.seconds() + 10 if deadline is None else deadline)

    async def addresses(self, host: str, deadline: float | None = None) -> tuple[str, ...]:
        """Every IPv4 and IPv6 address of a host, as texts, IPv4 first; empty when it has none.

        Literal addresses, ``localhost`` and, with the system's servers, ``/etc/hosts`` are answered without the DNS.

        :raises Unavailable: the DNS did not answer.
        """
        host = host.strip("[]").rstrip(".").lower()
        try:
            return (str(ipaddress.ip_address(host)),)
        except ValueError:
            pass
        if host == "localhost" or host.endswith(".localhost"):
            return ("127.0.0.1", "::1")
        if host in self._hosts:
            return self._hosts[host]

        def check() -> Check[tuple[Answer, ...]]:
            questions = ask(host, "A"), ask(host, "AAAA")
            answers = yield questions
            return tuple(answers[question] for question in questions)

        answers = await self.drive(check(), self.seconds() + 10 if deadline is None else deadline)
        found = tuple(address for answer in answers for address in answer.records)
        if not found and any(answer.failure for answer in answers):
            raise Unavailable("the host name cannot be resolved now")
        return found

    def _remembered(self, question: Question, now: float) -> Answer | None:
        entry = self._cache.get(question)
        if entry is None:
            return NOTHING if not askable(question.name) else None
        until, size, answer = entry
        if until <= now:
            del self._cache[question]
            self._held -= size
            return None
        self._cache.move_to_end(question)
        return answer

    def _remember(self, question: Question, answer: Answer, ttl: float) -> None:
        old = self._cache.pop(question, None)
        if old is not None:
            self._held -= old[1]
        size = 300 + len(question.name) + sum(len(record) for record in answer.records)
        self._cache[question] = self.seconds() + ttl, size, answer
        self._held += size
        while len(self._cache) > self._entries or self._held > self._octets:
            self._held -= self._cache.popitem(last=False)[1][1]

    async def _ask(self, questions: Iterable[Question], deadline: float) -> list[Answer]:
        """Ask all at once; whoever is not answered by the deadline gets a failure."""
        left = deadline - self.seconds()
        waiters: list[Deferred[Answer]] = []
        for question in questions:
            waiter: Deferred[Answer] = Deferred()
            waiters.append(waiter)
            if not askable(question.name):
                waiter.callback(NOTHING)
            elif left <= 0:
                waiter.callback(Answer(failure="deadline"))
            elif question in self._waiting:
                self._waiting[question].append(waiter)
            else:
                self._waiting[question] = [waiter]
                Deferred.fromCoroutine(self._settle(question))

        def expire() -> None:
            for waiter in waiters:
                if not waiter.called:
                    waiter.callback(Answer(failure="deadline"))

        timer: IDelayedCall | None = None
        if not all(waiter.called for waiter in waiters):
            timer = self._reactor.callLater(left, expire)
        try:
            return await gatherResults(waiters, consumeErrors=True)
        finally:
            if timer is not None and timer.active():
                timer.cancel()

    async def _settle(self, question: Question) -> None:
        """Fetch one answer and hand it to everybody who waits."""
        try:
            answer, ttl = await self._fetch(question)
        except Exception as error:
            self._log.debug("DNS lookup failed: {error}", error=type(error).__name__)
            answer, ttl = Answer(failure=type(error).__name__), _FAILED
        # A failure to look afresh takes nothing away from an answer that still holds.
        if not answer.failure or self._remembered(question, self.seconds()) is None:
            self._remember(question, answer, ttl)
        for waiter in self._waiting.pop(question, ()):
            if not waiter.called:
                waiter.callback(answer)

    async def _fetch(self, question: Question) -> tuple[Answer, float]:
        """The answer and for how long it holds. CNAMEs are followed; a server that does not follow them is asked
        again."""
        name, ttl = question.name, float(_LONGEST)
        for _ in range(_MAX_CNAMES):
            message = await self._slots.run(self._exchange, name, _TYPES[question.type])
            if message.rCode not in (dns.OK, dns.ENAME):
                return Answer(failure=f"rcode {message.rCode}"), _FAILED
            start = name
            aliases = {_name(rr.name): rr for rr in message.answers if rr.type == dns.CNAME}
            while name in aliases:
                rr = aliases.pop(name)
                ttl = min(ttl, rr.ttl)
                name = _name(cast(Any, rr.payload).name)
            found = [rr for rr in message.answers if rr.type == _TYPES[question.type] and _name(rr.name) == name]
            if found:
                ttl = min(ttl, *(rr.ttl for rr in found))
                return Answer(tuple(_record(rr.payload, question.type) for rr in found)), max(ttl, _SHORTEST)
            if name == start or message.rCode == dns.ENAME:
                ttl = min(ttl, _EMPTY_LONGEST, _empty_ttl(message.authority))
                return NOTHING, max(ttl, _SHORTEST)
            if not askable(name):
                return NOTHING, _EMPTY_DEFAULT
        return Answer(failure="too many aliases"), _FAILED


class _Stub(client.Resolver):
    """twisted.names' client, asked by message: the answer's question is compared, and truncation is followed to TCP."""

    def __init__(self, servers: Sequence[tuple[str, int]], timeout: tuple[int, ...], reactor: Any) -> None:
        super().__init__(servers=list(servers), timeout=timeout, reactor=reactor)
        self._gone: Deferred[None] | None = None

    def exchange(self, name: str, type: int) -> Deferred[dns.Message]:
        return Deferred.fromCoroutine(self._exchange(dns.Query(name.encode("ascii"), type, dns.IN)))

    async def _exchange(self, query: dns.Query) -> dns.Message:
        message = await self.queryUDP([query], self.timeout)
        if message.trunc:
            message = await self.queryTCP([query], 3)
        if message.queries != [query]:
            raise ValueError("an answer to another question")
        return message

    async def stop(self) -> None:
        self._gone = Deferred() if self.connections else None
        for connection in list(self.connections):
            connection.transport.loseConnection()
        if self._gone is not None:
            await self._gone

    def connectionLost(self, protocol: Any) -> None:
        super().connectionLost(protocol)
        if self._gone is not None and not self.connections and not self._gone.called:
            self._gone.callback(None)

    def messageReceived(self, message: dns.Message, protocol: Any, address: Any = None) -> None:
        # An answer that came after its time-out: nobody waits for it.
        pass


def read_servers(path: str) -> list[tuple[str, int]]:
    """The name servers of a ``resolv.conf``; the local host when it names none or cannot be read."""
    servers = []
    for words in _lines(path):
        if words[0] == "nameserver" and len(words) > 1:
            try:
                ipaddress.ip_address(words[1])
            except ValueError:
                continue
            servers.append((words[1], dns.PORT))
    return servers or [("127.0.0.1", dns.PORT)]


def read_hosts(path: str) -> dict[str, tuple[str, ...]]:
    """Addresses by lower-case name from a ``hosts`` file; empty when it cannot be read."""
    found: dict[str, tuple[str, ...]] = {}
    for words in _lines(path):
        try:
            address = str(ipaddress.ip_address(words[0]))
        except ValueError:
            continue
        for name in words[1:]:
            name = name.lower()
            found[name] = (*found.get(name, ()), address)
    return found


def _lines(path: str) -> list[list[str]]:
    try:
        text = Path(path).read_text("utf-8", "replace")
    except OSError:
        return []
    stripped = (line.partition("#")[0].split() for line in text.splitlines())
    return [words for words in stripped if words]


def _name(name: Any) -> str:
    return bytes(name.name).decode("ascii", "replace").rstrip(".").lower()


def _record(payload: Any, type: Type) -> Any:
    match type:
        case "TXT":
            return b"".join(payload.data)
        case "A" | "AAAA":
            return str(ipaddress.ip_address(payload.address))
        case "MX":
            return payload.preference, _name(payload.name)
        case _:
            return _name(payload.name)


def _empty_ttl(authority: Iterable[Any]) -> float:
    times: list[float] = [min(rr.ttl, rr.payload.minimum) for rr in authority if rr.type == dns.SOA]
    return min(times, default=_EMPTY_DEFAULT)
