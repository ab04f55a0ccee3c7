"""Who outgoing mail is from, and its DKIM signature.

An agent writes under its own address once its domain's key was seen in DNS, because receivers can then check that the
domain vouches for it (DMARC). Until then its mail comes from the deployment's sender domain, and answers are directed
to the agent by Reply-To.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twisted.logger import Logger

from e2a.core.entities import Agent
from e2a.core.trust.sealing import Sealer, SealingError
from e2a.store import dkimkeys
from e2a.verify import dkimsign

from .answers import Answers
from .ports import Cpu, Now, Transactions

#: Messages above this are hashed outside the reactor's thread even when their key is known.
INLINE_BYTES = 64 * 2**10
#: Seconds for which a domain's key, or that it has none, is kept in memory without a notification.
CACHE_SECONDS = 60.0
CAPACITY = 5_000
#: The local part of the sender address of agents that cannot write under their own.
SHARED_SENDER = "agent"


@dataclass(frozen=True, slots=True)
class SenderIdentity:
    """How an agent appears to those it writes to.

    :ivar from_address: the address of the From header.
    :ivar display_name: the name of the From header, not encoded; ``""`` for none.
    :ivar reply_to: the address of the Reply-To header, None for none.
    """

    from_address: str
    display_name: str
    reply_to: str | None


@dataclass(frozen=True, slots=True)
class _Signer:
    selector: str
    key: Any


#: Of a domain without a key that could be used, which is believed for as long as a key.
_UNSIGNED = _Signer("", None)


class Signing:
    """:param sender_domain: the deployment's sender domain, ``""`` when it has none."""

    _log = Logger()

    def __init__(self, database: Transactions, sealer: Sealer, cpu: Cpu, now: Now, *, sender_domain: str) -> None:
        self._database = database
        self._sealer = sealer
        self._cpu = cpu
        self._now = now
        self._sender_domain = sender_domain
        self._signers: Answers[_Signer] = Answers(now, CACHE_SECONDS, CAPACITY)

    async def sender_for(self, agent: Agent) -> SenderIdentity:
        """Who the agent's mail is from, now.

        :raises Unavailable: the database cannot be asked.
        """
        if not self._sender_domain or (agent.domain_verified and await self._signer(agent.domain) is not None):
            return SenderIdentity(agent.id, agent.name, None)
        return SenderIdentity(
            f"{SHARED_SENDER}@{self._sender_domain}",
            f"{agent.name or agent.id} via e2a",
            agent.id,
        )

    async def sign(self, raw: bytes, domain: str, at: float | None = None) -> bytes:
        """The message with a DKIM-Signature of ``domain`` on top; as it was when the domain has no active key.

        :param raw: lines end with CRLF.
        :param domain: the domain of the From address, lower-case.
        :param at: the signature's Unix time, so that a later attempt sends the same bytes; None: now.
        :raises Unavailable: the database cannot be asked.
        """
        signer = await self._signer(domain)
        if signer is None:
            return raw
        arguments = (raw, domain, signer.selector, signer.key, self._now() if at is None else at)
        try:
            if len(raw) <= INLINE_BYTES:
                return dkimsign.signed(*arguments)
            return await self._cpu.run(dkimsign.signed, *arguments)
        except dkimsign.Unsignable as error:
            self._log.error("a message of {domain} cannot be signed: {reason}", domain=domain, reason=str(error))
            return raw

    async def _signer(self, domain: str) -> _Signer | None:
        found = await self._signers.find(domain, lambda: self._find(domain))
        return None if found is _UNSIGNED else found

    async def _find(self, domain: str) -> _Signer:
        found = await self._database.run("DKIM key", dkimkeys.signing_key, domain)
        if found is None:
            return _UNSIGNED
        try:
            key = await self._cpu.run(dkimsign.load_key, self._sealer.open(found.row_id, found.sealed))
        except (SealingError, ValueError) as error:
            # Unsigned mail under the sender domain still arrives; refusing all mail would help nobody.
            self._log.error("the DKIM key of {domain} cannot be used: {error}", domain=domain, error=str(error))
            return _UNSIGNED
        return _Signer(found.selector, key)

    def changed(self, payload: str) -> None:
        """Take in a notification of ``e2a_changed``."""
        kind, _, domain = payload.partition(" ")
        if kind == "domain":
            self._signers.changed(domain)

    def clear(self) -> None:
        """Forget everything: notifications may have been missed."""
        self._signers.clear()
