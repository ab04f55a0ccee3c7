"""SPF (RFC 7208): pyspf as a pure function of what is known, started again until it misses nothing.

pyspf asks the DNS in the middle of its evaluation. Here its one DNS method reads a table instead; a missing entry ends
the run, the question is yielded, and a fresh run starts with the answer in the table. A run costs some 20-60
microseconds, so records that hold nothing but addresses, plain includes and ``all`` take a shorter way first; whatever
is not plain is pyspf's to judge.

Texts come from strangers: explanations (``exp=``) are never fetched, and records or terms of a size that would make
pyspf's regular expressions slow are ``permerror``.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import spf

from e2a.core.trust.verdict import SpfResult, domain_of

from .questions import Answer, Check, Question, ask, askable

#: Fresh runs of one check. RFC 7208 section 4.6.4 bounds lookups at 10 terms, 10 MX or PTR hosts each.
_ROUNDS = 40
_MAX_RECORD, _MAX_TERM = 4096, 512
_LONG_RUN = re.compile(rb"[0-9A-Za-z-]{129}")

_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
_QUALIFIERS = {"": "pass", "+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}
_PLAIN = re.compile(
    r"([+?~-]?)(?:(all)|ip4:([0-9.]{7,15}(?:/[0-9]{1,2})?)|ip6:([0-9a-f:]{2,39}(?:/[0-9]{1,3})?)"
    r"|include:((?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z](?:[a-z0-9]{0,62})))\Z",
    re.IGNORECASE,
)


class _Missing(Exception):
    """The run needs an answer that is not known yet."""

    def __init__(self, question: Question) -> None:
        super().__init__(question)
        self.question = question


class _Query(spf.query):
    """pyspf over a table of answers. ``dns`` is its only door to the world."""

    def __init__(self, ip: str, local: str, domain: str, helo: str, answers: dict[Question, Answer]) -> None:
        super().__init__(i=ip, s=f"{local}@{domain}", h=helo)
        # Its own splitting takes the first "@", which a quoted local part may contain.
        self.s, self.l, self.o, self.d = f"{local}@{domain}", local, domain, domain
        self.answers = answers

    def get_explanation(self, spec: str) -> None:
        # Its caller has a bare "except" that would swallow _Missing, and nobody wants a text that the sender chose.
        return None

    def dns(self, name: object, qtype: str, cnames: object = None, ignore_void: bool = False) -> list[Any]:
        question = ask(str(name), qtype)  # type: ignore[arg-type]
        if not askable(question.name):
            return []
        answer = self.answers.get(question)
        if answer is None:
            raise _Missing(question)
        if answer.failure:
            raise spf.TempError("DNS " + answer.failure)
        if not answer.records and not ignore_void:
            self.void_lookups += 1
            if self.void_lookups > spf.MAX_VOID_LOOKUPS:
                raise spf.PermError("Void lookup limit exceeded")
        if qtype == "TXT":
            for text in answer.records:
                if spf.RE_SPF.match(text) and _excessive(text):
                    raise spf.PermError("record too long")
            return [(text,) for text in answer.records]
        # A new list: pyspf sorts MX answers in place.
        return list(answer.records)


def check(client_ip: str, mail_from: str, helo: str) -> Check[SpfResult]:
    """The SPF result for the reverse-path, or for the HELO name when that is null (RFC 7208 section 2.4).

    :param client_ip: the peer's address as text; an IPv4-mapped one counts as IPv4.
    """
    identity: Literal["mailfrom", "helo"] = "mailfrom" if mail_from else "helo"
    local, _, domain = mail_from.rpartition("@") if mail_from else ("postmaster", "@", helo)
    domain = domain.rstrip(".").lower()
    if not domain_of("@" + domain):
        return SpfResult("none", "", identity)
    ip = _address(client_ip)
    if ip is None:
        return SpfResult("none", domain, identity)
    known: dict[Question, Answer] = {}
    word = yield from _plain(ip, domain, known)
    if word is None:
        word = yield from _full(str(ip), local or "postmaster", domain, helo, known)
    return SpfResult(word, domain, identity)


@lru_cache(1024)
def _address(client_ip: str) -> _Ip | None:
    try:
        ip = ipaddress.ip_address(client_ip.partition("%")[0])
    except ValueError:
        return None
    return (isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped) or ip


def _full(ip: str, local: str, domain: str, helo: str, known: dict[Question, Answer]) -> Check[str]:
    for _ in range(_ROUNDS):
        try:
            result, _code, _text = _Query(ip, local, domain, helo, known).check()
            return str(result)
        except _Missing as missing:
            known |= yield (missing.question,)
        except UnicodeError:
            return "permerror"
    return "permerror"


class _Term(NamedTuple):
    """A directive: an address matches when ``number & mask == base``; ``version`` is 0 for ``all`` and ``include``."""

    word: str
    version: int = 0
    mask: int = 0
    base: int = 0
    include: str = ""


@lru_cache(4096)
def _terms(record: bytes) -> tuple[_Term, ...] | None:
    """The directives of a record that holds only plain ones, in order; None when any is something else, or wrong."""
    if _excessive(record):
        return None
    found = []
    try:
        for term in record.decode("ascii").split(" ")[1:]:
            if not term:
                continue
            match = _PLAIN.match(term)
            if match is None:
                return None
            qualifier, everything, ip4, ip6, include = match.groups()
            word = _QUALIFIERS[qualifier]
            if everything:
                found.append(_Term(word))
            elif include:
                found.append(_Term(word, include=include.lower()))
            else:
                network: ipaddress.IPv4Network | ipaddress.IPv6Network
                network = ipaddress.IPv4Network(ip4, strict=False) if ip4 else ipaddress.IPv6Network(ip6, strict=False)
                mask, base = int(network.netmask), int(network.network_address)
                found.append(_Term(word, network.version, mask, base))
    except ValueError:
        return None
    return tuple(found)


def _plain(ip: _Ip, domain: str, known: dict[Question, Answer]) -> Check[str | None]:
    """The result where plain records lead to one, else None. ``known`` collects what was heard."""
    return (yield from _plain_record(ip, int(ip), domain, known, []))


def _plain_record(
    ip: _Ip, number: int, name: str, known: dict[Question, Answer], lookups: list[str], depth: int = 0
) -> Check[str | None]:
    """:param number: ``int(ip)``. :param lookups: the includes followed so far."""
    question = Question(name, "TXT")
    if question not in known:
        known.update((yield (question,)))
    records = [text for text in known[question].records if spf.RE_SPF.match(text)]
    terms = _terms(records[0]) if len(records) == 1 and len(records[0]) <= _MAX_RECORD else None
    if terms is None:
        return None
    for term in terms:
        if term.include == name:
            return None
    for term in terms:
        if term.include:
            lookups.append(term.include)
            if len(lookups) > spf.MAX_LOOKUP or depth > spf.MAX_LOOKUP:
                return None
            inner = yield from _plain_record(ip, number, term.include, known, lookups, depth + 1)
            if inner is None:
                return None
            if inner == "pass":
                return term.word
        elif not term.version or (term.version == ip.version and number & term.mask == term.base):
            return term.word
    return "neutral"


def _excessive(record: bytes) -> bool:
    return (
        len(record) > _MAX_RECORD
        or any(len(term) > _MAX_TERM for term in record.split(b" "))
        or bool(_LONG_RUN.search(record))
    )
