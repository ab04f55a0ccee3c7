"""Writing a long download to a file, so that a half of one never looks whole."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

#: Where a download goes: a path, or a file opened for writing octets.
Destination = str | os.PathLike[str] | BinaryIO
#: Called with the octets written so far.
Progress = Callable[[int], object]


@contextmanager
def saving(destination: Destination) -> Iterator[BinaryIO]:
    """The file to write to. A path appears once everything is written, readable by its owner alone."""
    if not isinstance(destination, str | os.PathLike):
        yield destination
        return
    target = os.path.abspath(os.fspath(destination))
    # Made with mode 0600, as it holds mail.
    descriptor, partial = tempfile.mkstemp(prefix=".e2a-", dir=os.path.dirname(target))
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        os.replace(partial, target)
    except BaseException:
        os.unlink(partial)
        raise
