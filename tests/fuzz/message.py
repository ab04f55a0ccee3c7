"""Fuzz the message reader: ``python -m tests.fuzz.message [iterations] [seed]``; coverage-guided with atheris.

Whatever the bytes, the reader must not raise, must give text that PostgreSQL holds, and must leave no foreign ``X-E2A``
header.
"""

from __future__ import annotations

import random
import sys

from e2a.core.mail.headers import scan
from e2a.core.mail.message import kept_bytes, parse
from e2a.core.mail.parts import content

_SEEDS = (
    b"From: Ana <ana@corp.test>\r\nTo: bot@agents.test\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Message-ID: <1@corp.test>\r\nReferences: <a@x> <b@x>\r\n\r\nHello\r\n",
    b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/html\r\n\r\n<p>x\r\n"
    b"--b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n"
    b"Content-Disposition: attachment; filename*=utf-8''a%00.pdf\r\n\r\nAAAA\r\n--b--\r\n",
    b"X-E2A-Auth-Verified: true\r\nAuthentication-Results: mx.e2a.test; spf=pass\r\n\r\n",
)
_TOKENS = (
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b"<",
    b">",
    b"(",
    b")",
    b'"',
    b"\\",
    b"=?",
    b"?=",
    b"@",
    b"--b",
    b"\xff",
    b";",
)


def check(raw: bytes) -> None:
    """The promise, for one input."""
    block = scan(raw)
    message = parse(block)
    for text in (message.subject, message.email_message_id, *message.to, *message.cc, *message.references):
        text.encode("utf-8")
        assert "\0" not in text
    stored = kept_bytes(raw, block, b"Received: by us\r\n", "mx.e2a.test")
    assert not [field for field in scan(stored).fields if field.key.startswith(b"x-e2a-")]
    content(stored)


def mutate(raw: bytes, source: random.Random) -> bytes:
    """One to eight edits: insert a token, cut, repeat or flip."""
    data = bytearray(raw)
    for _ in range(source.randrange(1, 9)):
        at = source.randrange(len(data) + 1)
        kind = source.randrange(4)
        if kind == 0:
            data[at:at] = source.choice(_TOKENS)
        elif kind == 1:
            del data[at : at + source.randrange(1, 20)]
        elif kind == 2:
            data[at:at] = data[at : at + source.randrange(1, 40)]
        elif at < len(data):
            data[at] = source.randrange(256)
    return bytes(data)


def main(iterations: int = 20_000, seed: int = 1) -> None:
    """Mutate the seeds; the failing input is printed."""
    source = random.Random(seed)
    for _ in range(iterations):
        raw = mutate(source.choice(_SEEDS), source)
        try:
            check(raw)
        except Exception:
            print(repr(raw))
            raise


if __name__ == "__main__":
    try:
        import atheris
    except ImportError:
        main(*map(int, sys.argv[1:3]))
    else:
        atheris.Setup(sys.argv, check)
        atheris.Fuzz()
