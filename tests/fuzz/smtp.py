"""Fuzz target for the SMTP front.

``python -m tests.fuzz.smtp [ITERATIONS] [SEED]`` runs mutated sessions; with atheris installed,
``python -m tests.fuzz.smtp --atheris [libFuzzer options]`` runs under coverage guidance. An input that breaks a
promise raises; with the plain runner it is printed first.
"""

from __future__ import annotations

import random
import re
import sys

from twisted.internet.task import Clock

from tests.receive.peer import Gateway, Peer, make_factory

_LIMIT = 300
_REPLY = re.compile(rb"(?:[2-5][0-9][0-9][ -][ -~]*\r\n)*\Z")

_WORDS = [
    b"EHLO c\r\n",
    b"HELO c\r\n",
    b"MAIL FROM:<a@s.test>\r\n",
    b"MAIL FROM:<> SIZE=301 BODY=8BITMIME\r\n",
    b"RSET\r\n",
    b"RCPT TO:<bot@x.test>\r\n",
    b"RCPT TO:<no@x.test>\r\n",
    b'RCPT TO:<"a\\"> "@x.test>\r\n',
    b"RCPT TO:<postmaster>\r\n",
    b"DATA\r\n",
    b".\r\n",
    b"\r\n.\r\n",
    b"\n.\n",
    b"\r.\r",
    b"..",
    b"BDAT 5\r\n",
    b"BDAT 7 LAST\r\n",
    b"BDAT 0 LAST\r\n",
    b"STARTTLS\r\n",
    b"QUIT\r\n",
    b"NOOP\r\n",
    b"VRFY x\r\n",
    b"x" * 90,
    b"\0",
    b"\r",
    b"\n",
    b"\xff",
    b" ",
    b"<",
    b">",
]


def one_input(data: bytes) -> None:
    """Run one session. The first octet steers: segment length, waiting lookups; the rest is what the client sends.

    :raises AssertionError: a promise is broken.
    """
    if not data:
        return
    step, hold = (data[0] & 0x3F) + 1, bool(data[0] & 0x40)
    gateway = Gateway()
    gateway.hold = hold
    factory = make_factory(gateway, Clock(), max_message_bytes=_LIMIT, max_recipients=2)
    peer = Peer(factory)
    for start in range(1, len(data), step):
        peer.protocol.dataReceived(data[start : start + step])
        if gateway.held and data[start] & 1:
            gateway.release()
    while gateway.held:
        gateway.release()
    said = peer.heard()
    assert _REPLY.match(said), said
    assert said.count(b"250 2.0.0 OK msg_") == len(gateway.accepted), "a 250 without its message"
    for envelope, message in gateway.accepted:
        assert len(message) <= _LIMIT, "the limit does not hold"
        assert 1 <= len(envelope.recipients) <= 2
        assert not re.search(r"[\r\n\0]", envelope.mail_from + envelope.helo), "a line break in the envelope"
    peer.hang_up()
    assert factory.budget.used == 0, "memory is accounted for after the end"
    assert factory.sessions == 0
    assert not factory.clock.getDelayedCalls(), "a timer is left"  # type: ignore[attr-defined]


def sessions(seed: int) -> random.Random:
    """A source of sessions that is the same for the same seed."""
    return random.Random(seed)


def session(source: random.Random) -> bytes:
    """A session somewhere between sense and noise."""
    words = [source.choice(_WORDS) for _ in range(source.randrange(1, 40))]
    if source.random() < 0.7:
        words[:0] = _WORDS[0:1] + _WORDS[2:3] + _WORDS[5:6] + [source.choice(_WORDS[9:18])]
    data = bytearray([source.randrange(256)]) + b"".join(words)
    for _ in range(source.choice((0, 0, 1, 5))):
        data[source.randrange(1, len(data))] = source.randrange(256)
    return bytes(data)


def main(arguments: list[str]) -> None:
    if "--atheris" in arguments:
        import atheris

        atheris.Setup([argument for argument in sys.argv if argument != "--atheris"], one_input)
        atheris.Fuzz()
        return
    iterations = int(arguments[0]) if arguments else 10_000
    source = sessions(int(arguments[1]) if len(arguments) > 1 else 0)
    for _ in range(iterations):
        data = session(source)
        try:
            one_input(data)
        except Exception:
            print(repr(data))
            raise
    print(f"{iterations} sessions, no promise broken")


if __name__ == "__main__":
    main(sys.argv[1:])
