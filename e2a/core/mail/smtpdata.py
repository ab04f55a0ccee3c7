"""Message octets on an SMTP connection, without the connection.

Only ``CRLF . CRLF`` ends DATA (RFC 5321 4.1.1.4 and 4.5.2). Bare CR and LF, NUL and lines of any length are kept as
they came. Both decoders count the octets of the message itself, dots of transparency excluded (RFC 1870 3), so DATA and
BDAT have the same limit; past the limit they keep reading and forget.
"""

from __future__ import annotations

_MARK = b"\r\n.\r\n"
# Small pieces are gathered, else a sender of two-octet segments would cost twenty times what it sends.
_SMALL = 2048
_GATHERED = 65_536


class MessageBuffer:
    """The octets of one message up to a limit.

    :ivar size: octets seen so far, kept or not.
    :ivar overflow: the limit was passed; nothing is kept any more.
    """

    __slots__ = ("_chunks", "_gathered", "limit", "overflow", "size")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self.overflow = False
        self._chunks: list[bytes] = []
        self._gathered = bytearray()

    def add(self, piece: bytes) -> None:
        """Take the next octets."""
        self.size += len(piece)
        if self.overflow:
            return
        if self.size > self.limit:
            self.discard()
            return
        gathered = self._gathered
        if len(piece) < _SMALL and (self._chunks or gathered):
            gathered += piece
            if len(gathered) < _GATHERED:
                return
            piece = b""
        if gathered:
            self._chunks.append(bytes(gathered))
            gathered.clear()
        if piece:
            self._chunks.append(piece)

    def discard(self) -> None:
        """Keep nothing of this message, now or later; it counts as too large."""
        self.overflow = True
        self._chunks.clear()
        self._gathered.clear()

    def message(self) -> bytes:
        """All that was taken; empty after an overflow."""
        if self._gathered:
            self._chunks.append(bytes(self._gathered))
            self._gathered.clear()
        if len(self._chunks) == 1:
            return self._chunks[0]
        return b"".join(self._chunks)


class DataDecoder:
    """Takes the octets behind a 354 in pieces of any size.

    :param buffer: where the un-stuffed message goes.
    """

    __slots__ = ("_tail", "_virtual", "buffer")

    def __init__(self, buffer: MessageBuffer) -> None:
        self.buffer = buffer
        # The message begins at the start of a line, as if behind a CRLF, which is not part of it.
        self._tail = _MARK[:2]
        self._virtual = True

    def feed(self, data: bytes) -> bytes | None:
        """Take more octets: None while the message goes on, else what followed its end (maybe ``b""``)."""
        data = self._tail + data
        end = data.find(_MARK)
        if end >= 0:
            self._keep(data[: end + 2])
            self._tail = b""
            return data[end + 5 :]
        # What may be the beginning of the mark, or of a stuffed dot, waits for its continuation.
        held = 0
        for length in (4, 3, 2, 1):
            if data.endswith(_MARK[:length]):
                held = length
                break
        if held:
            self._tail = data[-held:]
            data = data[:-held]
        else:
            self._tail = b""
        if data:
            self._keep(data)
        return None

    def _keep(self, data: bytes) -> None:
        data = data.replace(b"\r\n.", b"\r\n")
        if self._virtual:
            self._virtual = False
            data = data[2:]
        self.buffer.add(data)


class ChunkDecoder:
    """Takes the octets of one BDAT chunk (RFC 3030 2); a message may span several, each with its own decoder.

    :param size: octets the command announced.
    :param buffer: shared by the chunks of a message; None when the chunk is refused but must be read all the same.
    """

    __slots__ = ("_left", "buffer")

    def __init__(self, size: int, buffer: MessageBuffer | None) -> None:
        self._left = size
        self.buffer = buffer

    def feed(self, data: bytes) -> bytes | None:
        """Take more octets: None while the chunk goes on, else what followed it (maybe ``b""``)."""
        count = len(data)
        if count < self._left:
            self._left -= count
            if self.buffer is not None:
                self.buffer.add(data)
            return None
        rest = data[self._left :]
        if self.buffer is not None and self._left:
            self.buffer.add(data[: self._left])
        self._left = 0
        return rest


class DotStuffer:
    """Encodes a message for DATA, in pieces of any size: ``feed`` each piece, then send ``end``.

    A dot is doubled by the state of the line, not of the piece, so no choice of piece boundaries can end DATA early.
    """

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = b"\r\n"

    def feed(self, data: bytes) -> bytes:
        """The next octets as they go on the wire."""
        if not data:
            return b""
        # At most two octets of the past decide; what they already put on the wire is cut off again.
        past = self._last
        data = past + data
        self._last = data[-2:]
        return data.replace(b"\r\n.", b"\r\n..")[len(past) :]

    def end(self) -> bytes:
        """The end-of-data mark; a message that does not end in CRLF gets one, as the protocol cannot say otherwise."""
        return b".\r\n" if self._last == b"\r\n" else b"\r\n.\r\n"
