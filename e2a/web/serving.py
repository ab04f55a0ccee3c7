"""A request that a coroutine answers."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

_log = Logger()


def answered_by(request: Any, work: Coroutine[Any, Any, None]) -> None:
    """Let ``work`` write the whole answer. It is cancelled when the client leaves; where it fails, nobody is left
    waiting for an answer that will not come: the connection is dropped.
    """
    left = request.notifyFinish()
    serving = Deferred.fromCoroutine(work)
    left.addErrback(lambda _: serving.cancel())
    serving.addErrback(_broken, request)


def _broken(failure: Failure, request: Any) -> None:
    if failure.check(CancelledError):
        return
    _log.failure("no answer to {method} {path}", failure, method=request.method, path=request.path)
    request.loseConnection()
