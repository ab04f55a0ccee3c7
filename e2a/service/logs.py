"""The log: text or JSON lines, each event once, with anything that looks like a credential blacked out."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO, cast

from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
)
from twisted.python.failure import Failure
from twisted.python.logfile import LogFile
from zope.interface import implementer

from ..core.settingsections import Log

_HIDDEN = "[redacted]"
#: What each rule hides, behind lower-case texts without which it cannot match: most lines are read for those alone.
_RULES = (
    # API keys and sessions keep the prefix by which their owner can tell them.
    (("e2a_",), re.compile(r"\b(e2a_[0-9a-f]{8})[0-9a-f]{8,}"), r"\1…"),
    (
        ("=",),
        re.compile(r"(?i)\b(token|t|code|state|key|secret|password|signature)=[^\s&\"'<>]+"),
        rf"\1={_HIDDEN}",
    ),
    (("bearer", "basic"), re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{6,}"), rf"\1 {_HIDDEN}"),
    (("whsec_",), re.compile(r"\bwhsec_[A-Za-z0-9+/=]+"), _HIDDEN),
    (("://",), re.compile(r"(://[^\s:/@]*):[^\s/@]+@"), rf"\1:{_HIDDEN}@"),
    (("",), re.compile(r"\b[0-9a-f]{64}\b"), _HIDDEN),
    # PostgreSQL quotes the offending row here.
    (("detail:", "context:"), re.compile(r"(?m)^(DETAIL|CONTEXT):.*$"), rf"\1: {_HIDDEN}"),
)
_HIDDEN_FIELDS = frozenset(
    ("authorization", "body", "code", "cookie", "data", "key", "password", "raw", "secret", "subject", "token")
)
#: Values that a JSON line holds as they are; ``bool`` is an ``int``.
_PLAIN = (str, int, float, type(None))
#: Libraries that report every socket at "info".
_QUIET = ("log_legacy", "twisted", "treq", "autobahn", "txpostgres")
_LEVELS = {"debug": "debug", "info": "info", "warn": "warn", "error": "error", "critical": "critical"}


def redact(text: str) -> str:
    """``text`` without credentials."""
    lower = text.lower()
    for marks, pattern, replacement in _RULES:
        for mark in marks:
            if mark in lower:
                text = pattern.sub(replacement, text)
                break
    return text


def _printable(text: str) -> str:
    """One line: control characters, which could forge further lines, become escapes."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _moment(event: LogEvent) -> str:
    moment = datetime.fromtimestamp(event.get("log_time", 0), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _level(event: LogEvent) -> str:
    return cast(str, event.get("log_level", LogLevel.info).name)


def _message(event: LogEvent) -> str:
    template = event.get("log_format")
    if isinstance(template, str) and "(" not in template:
        try:
            return redact(template.format_map(event))
        except Exception:
            # The library words it.
            pass
    return redact(formatEvent(event) or "")


def _traceback(event: LogEvent) -> str:
    failure = event.get("log_failure")
    return redact(failure.getTraceback(detail="brief")).rstrip() if isinstance(failure, Failure) else ""


def text_line(event: LogEvent) -> str:
    """``time level source message``; a traceback follows on indented lines."""
    trace = _traceback(event)
    line = f"{_moment(event)} {_level(event):<8} {event.get('log_namespace', '-')}: {_printable(_message(event))}\n"
    return line + "".join(f"    {_printable(part)}\n" for part in trace.splitlines())


def json_line(event: LogEvent) -> str:
    """One object: time, level, logger, message, the event's plain fields, and the exception whole in ``exception``."""
    entry: dict[str, Any] = {
        "time": _moment(event),
        "level": _level(event),
        "logger": event.get("log_namespace", "-"),
        "message": _message(event),
    }
    for name, value in event.items():
        if name.startswith("log_") or name in entry or not isinstance(value, _PLAIN):
            continue
        hidden = name.lower() in _HIDDEN_FIELDS
        entry[name] = _HIDDEN if hidden else redact(value) if isinstance(value, str) else value
    failure = event.get("log_failure")
    if isinstance(failure, Failure):
        entry["exception"] = {
            "type": getattr(failure.type, "__name__", str(failure.type)),
            "message": redact(failure.getErrorMessage()),
            "traceback": _traceback(event),
        }
    return json.dumps(entry, ensure_ascii=True, default=str) + "\n"


@implementer(ILogObserver)
class Output:
    """Writes events to a stream that is opened when the first one comes.

    A daemon's standard error is gone after it forked, and whether it will fork is not known while it is being built.
    """

    def __init__(self, line: Callable[[LogEvent], str], stream: Callable[[], TextIO]) -> None:
        self._line, self._open = line, stream
        self._stream: TextIO | None = None

    def __call__(self, event: LogEvent) -> None:
        if self._stream is None:
            self._stream = self._open()
        try:
            self._stream.write(self._line(event))
            self._stream.flush()
        except (OSError, ValueError):
            # A full disk or a closed terminal must not take the gateway down.
            pass


def observer(settings: Log, stream: Callable[[], TextIO]) -> ILogObserver:
    """The observer that ``settings`` ask for."""
    predicate = LogLevelFilterPredicate(defaultLogLevel=LogLevel.levelWithName(_LEVELS[settings.level]))
    if settings.level == "info":
        for namespace in _QUIET:
            predicate.setLogLevelForNamespace(namespace, LogLevel.warn)
    output = Output(json_line if settings.format == "json" else text_line, stream)
    return cast(ILogObserver, FilteringLogObserver(output, [predicate]))


def destination(logfile: str | None) -> Callable[[], TextIO]:
    """Where events go: a named file, ``-`` for standard output; else standard error, and ``twistd.log`` once forked."""
    error, started_as = sys.stderr, os.getpid()

    def stream() -> TextIO:
        if logfile == "-":
            return sys.__stdout__ or error
        if logfile or os.getpid() != started_as:
            path = os.path.abspath(logfile or "twistd.log")
            return cast(TextIO, LogFile.fromFullPath(path, rotateLength=100_000_000, maxRotatedFiles=10))
        return error

    return stream
