"""Waiting for work that somebody else waits for as well."""

from __future__ import annotations

from twisted.internet.defer import Deferred


async def ended(work: Deferred[None]) -> None:
    """Returns once ``work`` has its result, which stays with it."""
    done: Deferred[None] = Deferred()

    def pass_on(result: object) -> object:
        done.callback(None)
        return result

    work.addBoth(pass_on)
    await done
