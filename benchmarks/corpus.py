"""The mail that is sent: 2 KB of text as most mail is, signed as most mail is.

The signature covers everything but the Message-ID, so that one signed text serves for any number of different messages:
the generator writes the message's number over the mark in the Message-ID.
"""

from __future__ import annotations

import base64
import hashlib
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

MARK = "@" * 16
_WORDS = (
    "please",
    "find",
    "the",
    "figures",
    "for",
    "this",
    "week",
    "and",
    "tell",
    "me",
    "whether",
    "monday",
    "suits",
    "you",
)


@dataclass(frozen=True, slots=True)
class Letter:
    """One text to send. ``data`` is ready for the wire, with the final dot and one mark."""

    sender: str
    data: bytes


class Corpus:
    """Letters from ``sender0.test``, ``sender1.test`` …, all signed with one RSA-2048 key."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self._record = "v=DKIM1; k=rsa; p=" + base64.b64encode(public).decode("ascii")

    def zone(self) -> dict[str, dict[str, list[str]]]:
        """What DNS says about every sender domain, for ``tests.support.dnsstub``."""
        return {
            r"~sender\d+\.test": {"TXT": ["v=spf1 ip4:127.0.0.1 -all"]},
            r"~s1\._domainkey\.sender\d+\.test": {"TXT": [self._record]},
            r"~_dmarc\.sender\d+\.test": {"TXT": ["v=DMARC1; p=reject"]},
        }

    def letters(self, count: int, *, size: int = 2048, signed: bool = True, domains: int = 1) -> Iterator[Letter]:
        """Different texts of about ``size`` octets each, header included."""
        chance = random.Random(1)
        for number in range(count):
            domain = f"sender{number % domains}.test"
            fields = [
                ("From", f"Ana Example <ana@{domain}>"),
                ("To", "agent@agents.test"),
                ("Subject", f"The figures of week {number}"),
                ("Date", "Sat, 21 Nov 2026 10:00:00 +0000"),
                ("MIME-Version", "1.0"),
                ("Content-Type", "text/plain; charset=utf-8"),
            ]
            body = _text(chance, max(100, size - (800 if signed else 300)))
            head = "".join(f"{name}: {value}\r\n" for name, value in fields)
            head += f"Message-ID: <{MARK}@bench.test>\r\n"
            if signed:
                head = self._signature(domain, fields, body) + head
            yield Letter(f"ana@{domain}", head.encode("ascii") + b"\r\n" + body + b".\r\n")

    def _signature(self, domain: str, fields: list[tuple[str, str]], body: bytes) -> str:
        """A DKIM-Signature field, relaxed/relaxed: the texts above already are in canonical form (RFC 6376 3.4)."""
        body_hash = base64.b64encode(hashlib.sha256(body).digest()).decode("ascii")
        names = ":".join(name.lower() for name, _ in fields)
        tags = f"v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain}; s=s1; h={names}; bh={body_hash}; b="
        signed = "".join(f"{name.lower()}:{value}\r\n" for name, value in fields) + f"dkim-signature:{tags}"
        signature = self._key.sign(signed.encode("ascii"), padding.PKCS1v15(), hashes.SHA256())
        return f"DKIM-Signature: {tags}{base64.b64encode(signature).decode('ascii')}\r\n"


def _text(chance: random.Random, size: int) -> bytes:
    """Lines of words; no line begins with a dot, none ends with a space."""
    lines, length = [], 0
    while length < size:
        line = " ".join(chance.choices(_WORDS, k=12))
        lines.append(line)
        length += len(line) + 2
    return ("\r\n".join(lines) + "\r\n").encode("ascii")


def write(letters: Iterator[Letter], path: Path) -> None:
    """The file that the load generators read."""
    with path.open("wb") as file:
        for letter in letters:
            sender = letter.sender.encode("ascii")
            file.write(struct.pack("=II", len(sender), len(letter.data)) + sender + letter.data)


def read(path: Path) -> list[Letter]:
    text, at, letters = path.read_bytes(), 0, []
    while at < len(text):
        sender, data = struct.unpack_from("=II", text, at)
        at += 8 + sender + data
        letters.append(Letter(text[at - data - sender : at - data].decode("ascii"), text[at - data : at]))
    return letters
