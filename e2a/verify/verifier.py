"""Who sent this? Runs every check on one message and never fails: what cannot be found out is ``temperror``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

from publicsuffixlist import PublicSuffixList
from twisted.logger import Logger

from e2a.core.entities import Envelope
from e2a.core.mail.addresses import sole_from
from e2a.core.mail.headers import HeaderBlock
from e2a.core.trust import verdict
from e2a.core.trust.verdict import ArcResult, DkimResult, SpfResult, Verdict

from . import arc, dkim, dmarc, spf
from .canonical import body_hashes
from .questions import Answers, Check, Outcome, Question, together

T = TypeVar("T")

#: Seconds for all DNS questions of one message (RFC 7208 section 4.6.4).
DEADLINE = 20.0
#: Octets from which a message is hashed in a thread: below, the hand-over costs more than it saves.
LARGE = 256 * 1024
#: Header fields from which reading them is left to a thread as well.
MANY_FIELDS = 1000


class Drives(Protocol):
    """``resolver.Resolver`` as this file sees it."""

    def seconds(self) -> float: ...

    async def drive(self, check: Check[T], deadline: float) -> T: ...


class Computes(Protocol):
    """``flows.ports.Cpu``."""

    async def run(self, work: Callable[..., T], *args: Any) -> T: ...


class Verifier:
    """:param now: Unix time, for the times in signatures.
    :param suffixes: the Public Suffix List; None loads the one that the package brings.
    """

    _log = Logger()

    def __init__(
        self, resolver: Drives, cpu: Computes, now: Callable[[], float], suffixes: dmarc.Suffixes | None = None
    ) -> None:
        self._resolver = resolver
        self._cpu = cpu
        self._now = now
        self._organisations = dmarc.Organisations(suffixes or cast(dmarc.Suffixes, PublicSuffixList()))

    async def verify(self, envelope: Envelope, raw: bytes, block: HeaderBlock) -> Verdict:
        """The verdict on a message as it arrived. Never raises, and no failure of a check can make it more favourable.

        :param raw: the DATA octets, before anything was stripped or added.
        :param block: ``scan(raw)``.
        """
        organisations = self._organisations
        large = len(raw) > LARGE or len(block.fields) > MANY_FIELDS
        author = self._guard("from", None, sole_from, block)
        domain = verdict.domain_of(author) if author else ""
        preparing: tuple[Any, ...] = ("signatures", None, _prepare, raw, block, self._now())
        prepared = await self._aside(*preparing) if large else self._guard(*preparing)
        signatures, chain, hashes = prepared or (None, ArcResult("temperror"), {})

        keys = dkim.questions(signatures or ()) + arc.questions(chain)
        sent, answers, discovery = await self._ask(envelope, domain, keys)

        if signatures is None or answers is None:
            signed: tuple[DkimResult, ...] = (DkimResult("temperror"),)
            sealed = ArcResult("temperror")
        else:
            judging: tuple[Any, ...] = (
                "dkim",
                (DkimResult("temperror"),),
                dkim.judge,
                signatures,
                answers,
                block,
                hashes,
            )
            signed = await self._aside(*judging) if large else self._guard(*judging)
            sealing: tuple[Any, ...] = ("arc", ArcResult("temperror"), arc.judge, chain, answers, block, hashes)
            sealed = await self._aside(*sealing) if large else self._guard(*sealing)
        sent, signed = dmarc.align(domain, sent, signed, organisations)
        policy = dmarc.conclude(domain, discovery, sent, signed, organisations)
        return verdict.conclude(envelope, block, author, sent, signed, policy, sealed)

    async def _ask(
        self, envelope: Envelope, domain: str, keys: tuple[Question, ...]
    ) -> tuple[SpfResult, Answers | None, dmarc.Discovery]:
        """Everything that needs the DNS, side by side and with one deadline."""
        checks = together(
            spf.check(envelope.client_ip, envelope.mail_from, envelope.helo),
            _keys(keys),
            dmarc.discover(domain, self._organisations),
        )
        try:
            outcomes = await self._resolver.drive(checks, self._resolver.seconds() + DEADLINE)
        except Exception as error:
            outcomes = (Outcome(error=error),) * 3
        sent, answers, discovery = outcomes
        if sent.error or answers.error or discovery.error:
            self._report(("spf", sent), ("keys", answers), ("dmarc", discovery))
        return (
            SpfResult("temperror") if sent.error else sent.value,
            None if answers.error else answers.value,
            dmarc.Discovery(failed=True) if discovery.error else discovery.value,
        )

    def _report(self, *checks: tuple[str, Outcome]) -> None:
        for name, outcome in checks:
            if outcome.error is not None:
                try:
                    raise outcome.error
                except Exception:
                    self._log.failure("The {check} check failed", check=name)

    def _guard(self, name: str, otherwise: Any, work: Callable[..., Any], *args: Any) -> Any:
        """``work(*args)``; ``otherwise`` and a log entry when it has a defect."""
        try:
            return work(*args)
        except Exception:
            self._log.failure("The {check} check failed", check=name)
            return otherwise

    async def _aside(self, name: str, otherwise: Any, work: Callable[..., Any], *args: Any) -> Any:
        """The same in a thread, for what would hold the reactor."""
        try:
            return await self._cpu.run(work, *args)
        except Exception:
            self._log.failure("The {check} check failed", check=name)
            return otherwise


def _prepare(
    raw: bytes, block: HeaderBlock, now: float
) -> tuple[tuple[dkim.Signature | dkim.Unusable, ...], arc.Chain | ArcResult, dict[bytes, bytes]]:
    """All that signatures need before their keys: parsed fields and body hashes."""
    signatures = dkim.read(block, now)
    chain = arc.read(block)
    wanted = dkim.wanted_hashes(signatures)
    if isinstance(chain, arc.Chain):
        wanted |= {chain.newest.body}
    return signatures, chain, body_hashes(raw, block.body_start, wanted)


def _keys(questions: tuple[Question, ...]) -> Check[Answers]:
    return (yield questions) if questions else {}
