"""A DNS server whose zone is a dictionary: in a thread for tests, or as a process of its own.

Run as ``python -m tests.support.dnsstub ZONE.json [--delay-ms N]`` it prints its port and serves until its standard
input closes. It knows what verifying mail asks for: TXT, MX, A, AAAA and CNAME, truncation over UDP, anything over TCP.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import re
import socket
import struct
import sys
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_TYPES = {"A": 1, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28}
_NAMES = {number: name for name, number in _TYPES.items()}
_NOERROR, _SERVFAIL, _NXDOMAIN = 0, 2, 3
_UDP_LIMIT = 512

#: name -> type -> records as texts. A name that starts with ``~`` is a regular expression for whole names. The special
#: type ``FAIL`` with ``["servfail"]`` or ``["silent"]`` makes every question about that name fail.
Zone = Mapping[str, Mapping[str, Sequence[str]]]


def _wire_name(name: str) -> bytes:
    labels = [label.encode("ascii") for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def _rdata(kind: str, text: str) -> bytes:
    if kind == "TXT":
        data = text.encode("utf-8")
        parts = [data[at : at + 255] for at in range(0, len(data), 255)] or [b""]
        return b"".join(bytes([len(part)]) + part for part in parts)
    if kind == "MX":
        preference, host = text.split()
        return struct.pack("!H", int(preference)) + _wire_name(host)
    if kind in ("CNAME", "PTR"):
        return _wire_name(text)
    return ipaddress.ip_address(text).packed


class DNSStub:
    """Serves a zone on one port of 127.0.0.1, UDP and TCP.

    :param zone: may be replaced at any time by :meth:`load`.
    :param delay: seconds before every answer.
    """

    def __init__(self, zone: Zone, *, delay: float = 0.0) -> None:
        self.delay = delay
        self.questions: Counter[tuple[str, str]] = Counter()
        self._records: dict[str, dict[str, list[bytes]]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, list[bytes]]]] = []
        self._failing: dict[str, str] = {}
        self.load(zone)
        self._udp, self._tcp = _pair()
        self.port: int = self._udp.getsockname()[1]
        for serve in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=serve, daemon=True).start()

    def load(self, zone: Zone) -> None:
        """Replace the zone."""
        records: dict[str, dict[str, list[bytes]]] = {}
        patterns: list[tuple[re.Pattern[str], dict[str, list[bytes]]]] = []
        failing: dict[str, str] = {}
        for name, kinds in zone.items():
            data = {kind: [_rdata(kind, text) for text in texts] for kind, texts in kinds.items() if kind != "FAIL"}
            if "FAIL" in kinds:
                failing[name.lower()] = kinds["FAIL"][0]
            elif name.startswith("~"):
                patterns.append((re.compile(name[1:]), data))
            else:
                records[name.lower()] = data
        self._records, self._patterns, self._failing = records, patterns, failing

    @property
    def address(self) -> str:
        """``host:port`` as the daemon's configuration wants it."""
        return f"127.0.0.1:{self.port}"

    def stop(self) -> None:
        for each in (self._udp, self._tcp):
            # A thread that waits in recv or accept does not notice a close, only a shutdown.
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()

    def _serve_udp(self) -> None:
        while True:
            try:
                query, peer = self._udp.recvfrom(4096)
            except OSError:
                return
            if len(query) < 17:
                if not query:  # what a socket reads after its shutdown
                    return
                continue
            if self.delay:
                threading.Timer(self.delay, self._reply_udp, (query, peer)).start()
            else:
                self._reply_udp(query, peer)

    def _reply_udp(self, query: bytes, peer: Any) -> None:
        answer = self._answer(query, _UDP_LIMIT)
        try:
            if answer:
                self._udp.sendto(answer, peer)
        except OSError:
            pass

    def _serve_tcp(self) -> None:
        while True:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            connection.settimeout(10)
            try:
                while len(head := stream.read(2)) == 2:
                    answer = self._answer(stream.read(int.from_bytes(head, "big")), 65_535)
                    if not answer:
                        return
                    connection.sendall(struct.pack("!H", len(answer)) + answer)
            except OSError:
                return

    def _find(self, name: str) -> dict[str, list[bytes]] | None:
        found = self._records.get(name)
        if found is None:
            found = next((data for pattern, data in self._patterns if pattern.fullmatch(name)), None)
        return found

    def _answer(self, query: bytes, limit: int) -> bytes | None:
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii", "replace"))
            at += 1 + query[at]
        question = query[12 : at + 5]
        number = int.from_bytes(query[at + 1 : at + 3], "big")
        name, kind = ".".join(labels).lower(), _NAMES.get(number, str(number))
        self.questions[name, kind] += 1
        failure = self._failing.get(name)
        if failure == "silent":
            return None
        found = None if failure else self._find(name)
        answers: list[tuple[int, bytes]] = []
        if found is not None:
            answers = [(number, data) for data in found.get(kind, ())]
            answers = answers or [(_TYPES["CNAME"], data) for data in found.get("CNAME", ())]
        code = _SERVFAIL if failure else _NXDOMAIN if found is None else _NOERROR
        body = b"".join(struct.pack("!HHHIH", 0xC00C, kind, 1, 300, len(data)) + data for kind, data in answers)
        flags = 0x8580 | code
        if 12 + len(question) + len(body) > limit:
            flags, answers, body = flags | 0x0200, [], b""
        return query[:2] + struct.pack("!HHHHH", flags, 1, len(answers), 0, 0) + question + body


def _pair() -> tuple[socket.socket, socket.socket]:
    """A UDP and a TCP socket on the same free port of 127.0.0.1."""
    for _ in range(50):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        udp.bind(("127.0.0.1", 0))
        try:
            return udp, socket.create_server(udp.getsockname())
        except OSError:
            udp.close()
    raise OSError("no port is free for both UDP and TCP")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("zone", type=Path)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    options = parser.parse_args()
    stub = DNSStub(json.loads(options.zone.read_text()), delay=options.delay_ms / 1000)
    print(stub.port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
