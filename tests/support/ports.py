"""Ports for the servers of tests that nobody else takes before, while or after they listen."""

from __future__ import annotations

import itertools
import os
import socket
from collections import deque

#: Below what Linux gives to connections, and to servers that leave the choice to it (net.ipv4.ip_local_port_range).
_FIRST, _COUNT = 10_000, 22_000
#: Test runs and trial's workers have process ids that are close: this far apart they begin.
_STRIDE = 1_499
_offsets = itertools.count(os.getpid() * _STRIDE)
#: The claims: no other process that runs these tests takes a port while its UDP twin is bound.
_claims: deque[socket.socket] = deque()
_MOST_CLAIMS = 100


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody uses, and that no other test is given while this one's test runs.

    A port that the kernel picks is free for a moment only: between its choice and the start of a daemon it may go to
    another worker's server, and while a server is down to any connection.
    """
    for offset in itertools.islice(_offsets, _COUNT):
        port = _FIRST + offset % _COUNT
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        if len(_claims) > _MOST_CLAIMS:
            _claims.popleft().close()
        return port
    raise OSError(f"no port from {_FIRST} to {_FIRST + _COUNT - 1} is free")
