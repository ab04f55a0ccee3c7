"""An owner takes away everything their organisation has: one document, or an archive with the mail as files.

All of it is of one moment. It is read from the database as fast as the disk takes it (``spool``), so that the snapshot
is over soon whatever the client does; memory does not grow with the mailbox.
"""

from __future__ import annotations

import binascii
import zipfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import IO, Any, Literal, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from e2a.core.entities import Principal
from e2a.core.errors import TooManyRequests, Unavailable
from e2a.core.rules.permissions import require_whole_account
from e2a.store import audit, rawmail
from e2a.store import dataexport as store
from e2a.store.rows import Cursor

from .ports import Cpu, Now, Transactions
from .spool import Abandoned, Spool

Format = Literal["json", "zip"]
T = TypeVar("T")

#: Exports that this process reads from the database at a time, and those whose clients are still taking them.
SNAPSHOTS = 2
SPOOLS = 8
#: Seconds that reading one may take: an old snapshot keeps the database from tidying up.
LONGEST_SECONDS = 1800
#: Seconds after which who was refused should come again.
RETRY_SECONDS = 60


class Snapshots(Transactions, Protocol):
    """``store.database.Database`` as this flow sees it."""

    async def snapshot(self, name: str, work: Callable[..., Awaitable[T]], *args: Any) -> T:
        """As ``run``, read-only, with every statement seeing the same moment."""
        ...


class Exporting:
    """Keeps the number of exports in bounds, and lets each write to a file of its own.

    :param snapshots: how many may be read from the database at a time.
    :param directory: where the files are, see ``Spool``.
    """

    _log = Logger()

    def __init__(
        self, database: Snapshots, cpu: Cpu, now: Now, *, snapshots: int = SNAPSHOTS, directory: str | None = None
    ) -> None:
        self._database = database
        self._cpu = cpu
        self._now = now
        self._snapshots = snapshots
        self._directory = directory
        self._reading = 0
        self._open: dict[Spool, str] = {}

    async def start(self, organisation_id: str, name: str, make: Callable[[Cursor, Spool], Awaitable[object]]) -> Spool:
        """Begin an export.

        :param make: writes all of it, in one snapshot.
        :returns: what to read it from; ``close`` it in the end.
        :raises TooManyRequests: there are too many, or the organisation is taking one already.
        :raises Unavailable: the database cannot be reached.
        """
        if self._reading >= self._snapshots or len(self._open) >= SPOOLS or organisation_id in self._open.values():
            raise TooManyRequests("another export is being made, try again later", retry_after=RETRY_SECONDS)
        spool = _Counted(self._cpu, self._directory, self._open, self._now() + LONGEST_SECONDS, self._now)
        self._open[spool] = organisation_id
        self._reading += 1

        async def run() -> None:
            try:
                await spool.fill(lambda: self._database.snapshot(name, make, spool))
            finally:
                self._reading -= 1

        Deferred.fromCoroutine(run()).addErrback(self._failed)
        await spool.begin()
        return spool

    def _failed(self, failure: Failure) -> None:
        self._log.failure("an export", failure)


class _Counted(Spool):
    """A spool that is counted until it is closed, and written for a limited time."""

    def __init__(self, cpu: Cpu, directory: str | None, count: dict[Spool, str], deadline: float, now: Now) -> None:
        super().__init__(cpu, directory)
        self._count = count
        self._deadline = deadline
        self._now = now

    async def put(self, work: Callable[[IO[bytes]], object]) -> None:
        if self._now() > self._deadline:
            raise Unavailable("the export took too long")
        await super().put(work)

    def close(self) -> None:
        self._count.pop(self, None)
        super().close()


class DataExport:
    """:param exporting: shared with everything else that exports."""

    def __init__(self, database: Transactions, exporting: Exporting, now: Now) -> None:
        self._database = database
        self._exporting = exporting
        self._now = now

    async def start(self, principal: Principal, form: Format) -> Spool:
        """Begin the export of the caller's organisation, with the caller as its person.

        :returns: what to read it from; ``close`` it in the end.
        :raises Forbidden: the key sees only a part of the organisation.
        :raises TooManyRequests: too many exports are being made.
        :raises Unavailable: the database cannot be reached.
        """
        require_whole_account(principal)
        await self._database.run("export asked for", _asked, principal, form)
        make = self._json if form == "json" else self._zip

        async def work(cur: Cursor, spool: Spool) -> None:
            await make(cur, spool, principal)

        return await self._exporting.start(principal.organisation_id, "export", work)

    async def _json(self, cur: Cursor, spool: Spool, principal: Principal) -> None:
        await self._document(cur, _Text(spool, lambda file: file), principal, None)

    async def _zip(self, cur: Cursor, spool: Spool, principal: Principal) -> None:
        archive = _Archive(spool, self._moment())
        text = await archive.open("export.json")
        await self._document(cur, text, principal, _file_of)
        await archive.close_entry()
        async for batch in store.walk_messages(cur, principal.organisation_id, raw=True):
            for row in batch:
                if row.raw_id is None:
                    continue
                entry = await archive.open(_file_of(row), row.created_at)
                if row.data is not None:
                    await entry.add(bytes, row.data)
                else:
                    async for piece in rawmail.raw_slices(cur, row.raw_id):
                        await entry.add(bytes, piece)
                await archive.close_entry()
        await archive.close()

    async def _document(
        self, cur: Cursor, text: _Text, principal: Principal, file_of: Callable[[Any], str] | None
    ) -> None:
        organisation_id, user_id = principal.organisation_id, principal.user_id
        # A key belongs to one organisation: what the person is elsewhere is not its business.
        within = organisation_id if principal.key_id is not None else None
        head = await store.head(cur, organisation_id, user_id, within)
        await text.add(store.opening, self._moment(), head)
        for section in store.SECTIONS:
            await text.add(store.list_begin, section.name)
            first = True
            values = {"organisation": organisation_id, "user": user_id, "within": within}
            async for rows in store.walk(cur, section.sql, values):
                await text.add(store.entries, rows, section.optional, first)
                first = False
            await text.add(bytes, b"]")
        await text.add(store.list_begin, "messages")
        await _messages(cur, text, organisation_id, file_of)
        await text.add(bytes, b"]}\n")

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC)


async def _asked(cur: Cursor, principal: Principal, form: Format) -> None:
    await audit.record(cur, principal, "account.exported", "account", principal.organisation_id, format=form)


async def _messages(cur: Cursor, text: _Text, organisation_id: str, file_of: Callable[[Any], str] | None) -> None:
    first = True
    async for batch in store.walk_messages(cur, organisation_id, raw=file_of is None):
        files = None if file_of is None else {row.id: file_of(row) for row in batch}
        short: list[Any] = []
        for row in batch:
            if files is not None or row.raw_id is None or row.data is not None:
                short.append(row)
                continue
            if short:
                await text.add(store.messages, short, None, first)
                short, first = [], False
            await text.add(store.message_begin, row, first)
            await _base64(cur, text, row.raw_id)
            await text.add(bytes, store.message_end)
            first = False
        if short:
            await text.add(store.messages, short, files, first)
            first = False


async def _base64(cur: Cursor, text: _Text, raw_id: str) -> None:
    """Octets in thirds, so that base64 of the pieces is base64 of the whole."""
    left = b""
    async for piece in rawmail.raw_slices(cur, raw_id):
        whole = left + piece
        even = len(whole) - len(whole) % 3
        await text.add(_in_base64, whole[:even])
        left = whole[even:]
    await text.add(_in_base64, left)


def _in_base64(octets: bytes) -> bytes:
    return binascii.b2a_base64(octets, newline=False)


def _file_of(row: Any) -> str:
    """Where an archive has a message. An address may hold a slash, and never two dots in a row."""
    return f"mail/{row.agent_id.replace('/', '_')}/{row.id}.eml"


class _Text:
    """Where text goes, made and written in a thread."""

    def __init__(self, spool: Spool, target: Callable[[IO[bytes]], IO[bytes]]) -> None:
        self._spool = spool
        self._target = target

    async def add(self, make: Callable[..., bytes], *args: Any) -> None:
        """Write ``make(*args)``."""
        await self._spool.put(lambda file: self._target(file).write(make(*args)))


class _Archive:
    """A ZIP archive (APPNOTE 6.3) that is only ever written forward."""

    def __init__(self, spool: Spool, now: datetime) -> None:
        self._spool = spool
        self._now = now
        self._zip: zipfile.ZipFile | None = None
        self._entry: IO[bytes] | None = None

    async def open(self, name: str, at: datetime | None = None) -> _Text:
        """Begin a file; the one before must be closed."""

        def work(file: IO[bytes]) -> None:
            if self._zip is None:
                self._zip = zipfile.ZipFile(_Forward(file), "w", zipfile.ZIP_DEFLATED)
            info = zipfile.ZipInfo(name, (at or self._now).timetuple()[:6])
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o600 << 16
            self._entry = self._zip.open(info, "w", force_zip64=True)

        await self._spool.put(work)
        return _Text(self._spool, lambda file: self._current())

    def _current(self) -> IO[bytes]:
        if self._entry is None:
            raise Abandoned
        return self._entry

    async def close_entry(self) -> None:
        await self._spool.put(lambda file: self._current().close())

    async def close(self) -> None:
        """Write the directory."""
        if self._zip is not None:
            archive = self._zip
            await self._spool.put(lambda file: archive.close())


class _Forward:
    """A file without a position: what stands in it is not touched again, because it may have been sent."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, octets: bytes) -> int:
        return self._file.write(octets)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None: ...
