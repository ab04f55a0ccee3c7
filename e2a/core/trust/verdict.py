"""What SPF, DKIM, DMARC and ARC together say about a message's author.

``verified`` is true when the message has exactly one From mailbox in a header block that every reader reads alike, and
SPF or DKIM passed for a domain aligned with that mailbox's domain (RFC 7489 section 3.1), and the domain's own DMARC
policy does not say otherwise. A published strict alignment therefore narrows it; a missing policy does not forbid it.
ARC is reported, never counted: it says what a forwarder claims to have seen.

``domain_check`` and ``authentication`` report every pass, aligned or not, because that is what the words mean (RFC
8601 section 2.7); only ``verified`` is a statement about the author.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from e2a.core.entities import Envelope
from e2a.core.mail.headers import HeaderBlock

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_TOKEN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\Z")
_HOST = re.compile(
    r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)+[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z"
)

#: SPF results that the two-part text of the domain check has another word for.
_SPF_WORDS = {"softfail": "fail", "neutral": "permerror"}

#: Fields that a message holds at most once (RFC 5322 section 3.6, RFC 2045): two of them let two readers see two
#: messages.
SINGLE_FIELDS = frozenset(
    {
        b"from",
        b"sender",
        b"reply-to",
        b"to",
        b"cc",
        b"subject",
        b"date",
        b"message-id",
        b"in-reply-to",
        b"references",
        b"mime-version",
        b"content-type",
        b"content-transfer-encoding",
        b"content-disposition",
    }
)


class SpfResult(NamedTuple):
    """:ivar result: RFC 7208 word.
    :ivar domain: the domain that was checked; ``""`` when the identity has none.
    :ivar identity: ``mailfrom``, or ``helo`` for the null sender (RFC 7208 section 2.4).
    """

    result: str
    domain: str = ""
    identity: Literal["mailfrom", "helo"] = "mailfrom"
    aligned: bool = False


class DkimResult(NamedTuple):
    """One DKIM-Signature. :ivar result: RFC 8601 word. :ivar reason: why it is not ``pass``, in a few fixed words."""

    result: str
    domain: str = ""
    selector: str = ""
    aligned: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DmarcResult:
    """:ivar result: RFC 8601 word; ``none`` when no policy is published.
    :ivar policy: what the domain asks for this message: ``none``, ``quarantine``, ``reject``; ``""`` without a policy.
    :ivar domain: the From domain.
    """

    result: str
    policy: str = ""
    domain: str = ""
    adkim: str = "r"
    aspf: str = "r"
    pct: int = 100


@dataclass(frozen=True, slots=True)
class ArcResult:
    """:ivar result: ``none``, ``pass``, ``fail`` or ``temperror``.
    :ivar instances: the highest instance number seen.
    :ivar sealer: ``d=`` of the newest seal; ``""`` unless the chain passed.
    """

    result: str
    instances: int = 0
    sealer: str = ""


class Verdict(NamedTuple):
    """:ivar sender: the sole From mailbox as written; the envelope sender when there is none; else ``""``.
    :ivar domain_check: ``spf=<word>; dkim=<word>``, the two-part text of ``X-E2A-Auth-Domain-Check``.
    :ivar authentication: JSON-ready detail.
    """

    verified: bool
    sender: str
    entity_type: Literal["human", "agent"]
    domain_check: str
    authentication: dict[str, Any]
    spf: SpfResult
    dkim: tuple[DkimResult, ...]
    dmarc: DmarcResult
    arc: ArcResult

    def authentication_results(self, authserv_id: str) -> str:
        """The value of an ``Authentication-Results`` field (RFC 8601), folded. Nothing from the message can end a
        value."""
        spf, dmarc = self.spf, self.dmarc
        parts = [f"spf={spf.result}" + (f" smtp.{spf.identity}={_value(spf.domain)}" if spf.domain else "")]
        parts += [
            f"dkim={one.result}"
            + (f' reason="{one.reason}"' if one.reason else "")
            + (f" header.d={_value(one.domain)}" if one.domain else "")
            + (f" header.s={_value(one.selector)}" if one.selector else "")
            for one in self.dkim
        ] or ["dkim=none"]
        parts.append(
            f"dmarc={dmarc.result}"
            + (f" (p={dmarc.policy})" if dmarc.policy else "")
            + (f" header.from={_value(dmarc.domain)}" if dmarc.domain else "")
        )
        parts.append(f"arc={self.arc.result}")
        return ";\r\n\t".join([_value(authserv_id), *parts])


def domain_of(address: str) -> str:
    """The lower-case domain of a mailbox or reverse-path; ``""`` unless it is a DNS host name with at least two
    labels."""
    domain = address.rpartition("@")[2]
    return domain.lower() if len(domain) <= 253 and _HOST.match(domain) else ""


def conclude(
    envelope: Envelope,
    block: HeaderBlock,
    author: str | None,
    spf: SpfResult,
    dkim: tuple[DkimResult, ...],
    dmarc: DmarcResult,
    arc: ArcResult,
) -> Verdict:
    """Combine the checks.

    :param author: the sole From mailbox, None when there is not exactly one (``core.mail.addresses.sole_from``).
    :param spf, dkim: with ``aligned`` already judged against the author's domain.
    """
    passed = (spf.aligned and spf.result == "pass") or any(one.aligned and one.result == "pass" for one in dkim)
    verified = (
        author is not None
        and domain_of(author) != ""
        and not _CONTROL.search(author)
        and not block.defects
        and len(block.by_key.get(b"from", ())) == 1
        and passed
        and dmarc.result != "fail"
    )
    return Verdict(
        verified=verified,
        sender=_CONTROL.sub("", author if author is not None else envelope.mail_from),
        entity_type="human",
        domain_check=f"spf={_SPF_WORDS.get(spf.result, spf.result)}; dkim={_dkim_word(dkim)}",
        authentication={
            "spf": {"result": spf.result, "domain": spf.domain, "client_ip": envelope.client_ip},
            "dkim": [
                {"result": one.result, "domain": one.domain, "selector": one.selector, "aligned": one.aligned}
                for one in dkim
            ],
            "dmarc": {
                "result": dmarc.result,
                "policy": dmarc.policy or None,
                "domain": dmarc.domain,
                "adkim": dmarc.adkim,
                "aspf": dmarc.aspf,
                "pct": dmarc.pct,
            },
            "arc": {"result": arc.result, "instances": arc.instances, "sealer": arc.sealer or None},
        },
        spf=spf,
        dkim=dkim,
        dmarc=dmarc,
        arc=arc,
    )


def _dkim_word(results: tuple[DkimResult, ...]) -> str:
    words = {one.result for one in results}
    for word in ("pass", "temperror"):
        if word in words:
            return word
    return "fail" if words - {"none"} else "none"


def _value(text: str) -> str:
    """RFC 2045 ``value``: a token when it is plain, else a quoted string without control or non-ASCII characters."""
    if _TOKEN.match(text):
        return text
    plain = "".join(char if " " <= char <= "~" else "?" for char in text[:255])
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
