"""A webhook receiver as a process of its own, commanded over its standard input.

Prints its port. Commands, one a line, each answered by one line of JSON:

* ``set {"delay": seconds, "silent": bool, "status": code}`` changes how requests are answered
* ``reset`` forgets what was received
* ``stats`` tells how many requests came, of how many messages, and how many were not signed
* ``ledger PATH`` writes one line ``message-id unix-time`` for the first arrival of each message
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from tests.support.sinks import HookRequest, WebhookSink

_ID = re.compile(rb'"message_id"\s*:\s*"(msg_[0-9a-f]{32})"')
_VERIFIED_SHARE = 100


class CountingSink(WebhookSink):
    """Counts instead of keeping, and checks both signatures of every hundredth request.

    :param secret: what the daemon signs with.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self.reset()
        super().__init__()

    def reset(self) -> None:
        self.arrivals: dict[bytes, float] = {}
        self.count = self.unsigned = self.wrong = 0

    def received(self, request: HookRequest) -> None:
        self.count += 1
        found = _ID.search(request.body)
        headers = request.headers
        if found is None or "x-e2a-auth-signature" not in headers or "webhook-signature" not in headers:
            self.unsigned += 1
        elif self.count % _VERIFIED_SHARE == 1 and request.faults(self._secret):
            self.wrong += 1
        if found is not None:
            self.arrivals.setdefault(found[1], request.at)

    def stats(self) -> dict[str, int]:
        return {
            "requests": self.count,
            "messages": len(self.arrivals),
            "unsigned": self.unsigned,
            "wrong_signature": self.wrong,
        }


def main(secret: str) -> None:
    sink = CountingSink(secret)
    print(sink.port, flush=True)
    for line in sys.stdin:
        command, _, argument = line.strip().partition(" ")
        answer: dict[str, int] = {}
        if command == "set":
            for name, value in json.loads(argument).items():
                setattr(sink, name, value)
        elif command == "reset":
            sink.reset()
        elif command == "ledger":
            arrivals = dict(sink.arrivals)
            Path(argument).write_text("".join(f"{key.decode()} {at:.6f}\n" for key, at in arrivals.items()))
        else:
            answer = sink.stats()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
