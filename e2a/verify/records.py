"""The DNS records a domain needs, one by one: which are there, which are missing or say something else, and what to
publish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .dmarc import read_policy
from .keys import Refused, decode_base64, read_key, tag_list
from .questions import Answer, Check, Type, ask

Purpose = Literal["ownership", "mx", "spf", "dkim", "dmarc"]
Status = Literal["found", "missing", "mismatch", "deferred"]

#: Texts shown of one record, and records shown at all: strangers' zones may hold a lot.
_SHOWN, _SHOWN_LENGTH = 10, 512


@dataclass(frozen=True, slots=True)
class RecordReport:
    """One record. :ivar expected: what to publish. :ivar found: what stands there now, cleaned for display.
    :ivar status: ``deferred`` when the DNS gave no answer.
    :ivar hint: one sentence about what to do; ``""`` when nothing is.
    """

    purpose: Purpose
    type: Type
    name: str
    expected: str
    found: tuple[str, ...]
    status: Status
    hint: str = ""


def check(name: str, token: str, mx_host: str, keys: Sequence[tuple[str, str]]) -> Check[tuple[RecordReport, ...]]:
    """Report on a domain: ownership and MX, which receiving needs, and SPF, DKIM and DMARC, which sending needs.

    :param token: the whole ownership text, expected as a TXT record of its own at the domain itself.
    :param mx_host: the host that receives mail for this deployment.
    :param keys: of each DKIM key where it is published, below the domain (``e2a202611a._domainkey``), and its record.
    """
    texts, exchangers = ask(name, "TXT"), ask(name, "MX")
    policies = ask(f"_dmarc.{name}", "TXT")
    published = [(ask(f"{host}.{name}", "TXT"), record) for host, record in keys]
    answers = yield (texts, exchangers, *(question for question, _ in published), policies)
    return (
        _ownership(name, token, answers[texts]),
        _mx(name, mx_host, answers[exchangers]),
        _spf(name, answers[texts]),
        *(_dkim(question.name, record, answers[question]) for question, record in published),
        _dmarc(policies.name, answers[policies]),
    )


def check_key(name: str, host: str, record: str) -> Check[RecordReport]:
    """Report on one DKIM key record of a domain alone.

    :param host: where it is published, below the domain.
    """
    keys = ask(f"{host}.{name}", "TXT")
    answers = yield (keys,)
    return _dkim(keys.name, record, answers[keys])


def _ownership(name: str, token: str, answer: Answer) -> RecordReport:
    prefix = token.partition("=")[0].encode() + b"="
    status: Status = "missing"
    hint = "Publish this TXT record at the domain itself; changes in the DNS may take some time to be seen."
    if token.encode() in [text.strip() for text in answer.records]:
        status, hint = "found", ""
    elif any(text.strip().startswith(prefix) for text in answer.records):
        status, hint = "mismatch", "A record of this kind stands there with another value; publish this one beside it."
    return _report("ownership", "TXT", name, token, _texts(answer), status, hint, answer)


def _mx(name: str, host: str, answer: Answer) -> RecordReport:
    hosts = [exchange for _, exchange in sorted(answer.records)]
    status: Status = "missing"
    hint = "Without this MX record no mail for the domain arrives here."
    if host.rstrip(".").lower() in hosts:
        status, hint = "found", ""
        if hosts[0] != host.rstrip(".").lower():
            hint = "Another host is preferred over this one and gets the mail first."
    elif hosts:
        status, hint = "mismatch", "Mail for the domain goes to another host."
    shown = tuple(f"{preference} {exchange}" for preference, exchange in sorted(answer.records)[:_SHOWN])
    return _report("mx", "MX", name, f"10 {host}", shown, status, hint, answer)


def _spf(name: str, answer: Answer) -> RecordReport:
    found = tuple(text for text in _texts(answer) if text.lower().partition(" ")[0] == "v=spf1")
    status: Status = "found" if len(found) == 1 else "mismatch" if found else "missing"
    hint = {
        "found": "",
        "mismatch": "A domain has at most one SPF record; with several, none counts.",
        "missing": "Needed only to send from this domain: list the servers that may.",
    }[status]
    return _report("spf", "TXT", name, "v=spf1 … -all", found, status, hint, answer)


def _dkim(name: str, record: str, answer: Answer) -> RecordReport:
    status: Status = "missing"
    hint = "Needed to send from this domain with its own signature; a long text may have to be split into strings."
    if answer.records:
        status, hint = "mismatch", "Not this key, or not it alone, stands there; publish exactly this record."
        if len(answer.records) == 1 and _same_key(answer.records[0], record.encode("ascii")):
            status, hint = "found", ""
    return _report("dkim", "TXT", name, record, _texts(answer), status, hint, answer)


def _same_key(found: bytes, wanted: bytes) -> bool:
    """Whether verifiers that read ``found`` accept what the key of ``wanted`` has signed."""
    if isinstance(read_key(found), tuple):
        return False
    try:
        values = [decode_base64(tag_list(text).get(b"p"), "p=") for text in (found, wanted)]
    except Refused:
        return False
    return values[0] == values[1]


def _dmarc(name: str, answer: Answer) -> RecordReport:
    policies = [text for text in answer.records if text.strip().lower().startswith(b"v=dmarc1")]
    status: Status = "missing"
    hint = "Recommended, so that receivers refuse mail that only pretends to come from this domain."
    if policies:
        good = len(policies) == 1 and read_policy(policies[0]) is not None
        status, hint = (
            ("found", "") if good else ("mismatch", "This is not one DMARC policy that receivers understand.")
        )
    return _report("dmarc", "TXT", name, "v=DMARC1; p=quarantine", _texts(answer), status, hint, answer)


def _report(
    purpose: Purpose,
    type: Type,
    name: str,
    expected: str,
    found: tuple[str, ...],
    status: Status,
    hint: str,
    answer: Answer,
) -> RecordReport:
    if answer.failure:
        return RecordReport(purpose, type, name, expected, (), "deferred", "The DNS did not answer; try again later.")
    return RecordReport(purpose, type, name, expected, found, status, hint)


def _texts(answer: Answer) -> tuple[str, ...]:
    return tuple(
        "".join(char if " " <= char <= "~" else "?" for char in text[:_SHOWN_LENGTH].decode("ascii", "replace"))
        for text in answer.records[:_SHOWN]
    )
