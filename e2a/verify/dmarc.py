"""DMARC (RFC 7489): alignment by the Public Suffix List, policy discovery, and the result word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from e2a.core.trust.verdict import DkimResult, DmarcResult, SpfResult

from .questions import Check, Question, ask

_VERSION = re.compile(rb"v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
_POLICIES = frozenset({"none", "quarantine", "reject"})
_MAX_RECORD = 8192


class Suffixes(Protocol):
    """``publicsuffixlist.PublicSuffixList``."""

    def privatesuffix(self, domain: str) -> str | None:
        """The public suffix of a name and one label more; None when the name is itself a public suffix."""
        ...


class Organisations:
    """Organisational domains (RFC 7489 section 3.2), remembered."""

    def __init__(self, suffixes: Suffixes) -> None:
        self.of = lru_cache(16_384)(suffixes.privatesuffix)

    def aligned(self, one: str, other: str, *, strict: bool = False) -> bool:
        """Whether two lower-case names belong to one organisation; strict: whether they are the same name.

        A public suffix is aligned with itself alone: nobody speaks for the names registered under it.
        """
        if not one or not other:
            return False
        if one == other:
            return True
        organisation = None if strict else self.of(one)
        return organisation is not None and organisation == self.of(other)


@dataclass(frozen=True, slots=True)
class Policy:
    """A published record. ``policy`` and ``subdomain`` are what it asks for the domain itself and for names below
    it."""

    policy: str
    subdomain: str
    adkim: str
    aspf: str
    pct: int


@dataclass(frozen=True, slots=True)
class Discovery:
    """What policy discovery found for a From domain (RFC 7489 section 6.6.3).

    :ivar policy: None when none is published, or when ``failed``.
    :ivar inherited: the policy is the organisational domain's, the From domain has none.
    """

    policy: Policy | None = None
    inherited: bool = False
    failed: bool = False


_NOTHING = Discovery()


def discover(domain: str, organisations: Organisations) -> Check[Discovery]:
    """Find the policy for a From domain, ``""`` when there is none; both places are asked at once."""
    if not domain:
        return _NOTHING
    questions = _places(domain, organisations.of(domain) or domain)
    answers = yield questions
    for question in questions:
        answer = answers[question]
        if answer.failure:
            return Discovery(failed=True)
        records = [text for text in answer.records if _VERSION.match(text)]
        if len(records) > 1:
            return _NOTHING
        if records:
            return Discovery(read_policy(records[0]), inherited=question is not questions[0])
    return _NOTHING


@lru_cache(4096)
def _places(domain: str, organisation: str) -> tuple[Question, ...]:
    """Where a policy may be published, the nearer place first."""
    return tuple(ask("_dmarc." + name, "TXT") for name in dict.fromkeys((domain, organisation)))


@lru_cache(4096)
def read_policy(text: bytes) -> Policy | None:
    """A record that begins with ``v=DMARC1``; None when it asks for nothing that can be understood."""
    if len(text) > _MAX_RECORD:
        return None
    tags: dict[str, str] = {}
    for part in text.decode("ascii", "replace").split(";"):
        name, _, value = part.partition("=")
        tags.setdefault(name.strip().lower(), value.strip())
    policy = tags.get("p", "").lower()
    subdomain = tags.get("sp", policy).lower()
    if policy not in _POLICIES or subdomain not in _POLICIES:
        if "rua" not in tags:
            return None
        policy = subdomain = "none"
    pct = tags.get("pct", "")
    return Policy(
        policy,
        subdomain,
        "s" if tags.get("adkim", "").lower() == "s" else "r",
        "s" if tags.get("aspf", "").lower() == "s" else "r",
        int(pct) if re.fullmatch("[0-9]{1,2}", pct) else 100,
    )


def align(
    domain: str, spf: SpfResult, dkim: Sequence[DkimResult], organisations: Organisations
) -> tuple[SpfResult, tuple[DkimResult, ...]]:
    """Mark the results whose domain is aligned, relaxed, with the From domain; ``""`` aligns with nothing."""
    aligned = organisations.aligned
    return (
        SpfResult(spf.result, spf.domain, spf.identity, aligned(domain, spf.domain)),
        tuple(
            DkimResult(one.result, one.domain, one.selector, aligned(domain, one.domain), one.reason) for one in dkim
        ),
    )


def conclude(
    domain: str, discovery: Discovery, spf: SpfResult, dkim: Sequence[DkimResult], organisations: Organisations
) -> DmarcResult:
    """The result word (RFC 8601 section 2.7.5 and RFC 7489 section 6.6.2), with the alignment that the policy asks for.

    :param domain: the domain of the sole From mailbox; ``""`` when the message has none.
    """
    if not domain:
        return DmarcResult("permerror")
    if discovery.failed:
        return DmarcResult("temperror", domain=domain)
    policy = discovery.policy
    if policy is None:
        return DmarcResult("none", domain=domain)
    words = {one.result for one in dkim if organisations.aligned(domain, one.domain, strict=policy.adkim == "s")}
    if organisations.aligned(domain, spf.domain, strict=policy.aspf == "s"):
        words.add(spf.result)
    result = "pass" if "pass" in words else "temperror" if "temperror" in words else "fail"
    asked = policy.subdomain if discovery.inherited else policy.policy
    return DmarcResult(result, asked, domain, policy.adkim, policy.aspf, policy.pct)
