"""Server-sent events: told to whoever looks, for as long as their session lasts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from e2a.core.entities import Principal
from e2a.core.errors import TooManyRequests, Unavailable
from e2a.flows.events import Events
from e2a.web.dashboard.events import HEARTBEAT, MOST_STREAMS, EventStreams
from tests.web.test_dashboard import OWNER, Gate, Request


class StreamTests(TestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.gate = Gate()
        self.events = Events(mock.Mock(), self.clock)
        self.streams = EventStreams(self.events, self.gate, self.clock)

    async def look(self) -> Request:
        request = Request(b"GET", "/dashboard/events")
        stream = await self.streams.stream(mock.Mock(principal=OWNER))
        stream.render(request)
        return request

    async def test_told(self) -> None:
        """Every event of the organisation is one line of data."""
        request = await self.look()
        self.events.gap()
        self.assertIn("data: mail\n\ndata: outbound\n\n", request.text)
        self.assertEqual(request.header("content-type"), "text/event-stream; charset=utf-8")

    async def test_session_ends(self) -> None:
        """The stream ends with the session, within seconds, and so it does when the person changes organisation."""
        for who in (None, replace(OWNER, organisation_id="org_2")):
            self.gate.who = OWNER
            request = await self.look()
            self.clock.advance(HEARTBEAT)
            self.assertFalse(request.finished)
            self.gate.who = who
            self.clock.advance(HEARTBEAT)
            self.assertTrue(request.finished)
        self.assertEqual((self.events.hearers, self.clock.getDelayedCalls()), (0, []))

    async def test_database_away(self) -> None:
        """When nobody can say whether the session lasts, the stream goes on."""
        request = await self.look()

        async def away(_: Any) -> Principal | None:
            raise Unavailable

        self.patch(self.gate, "principal", away)
        self.clock.advance(HEARTBEAT)
        self.assertFalse(request.finished)
        self.streams.close()
        self.assertTrue(request.finished)

    async def test_too_many(self) -> None:
        """One person cannot hold any number of streams; those that closed do not count."""
        requests = [await self.look() for _ in range(MOST_STREAMS)]
        await self.assertFailure(Deferred.fromCoroutine(self.look()), TooManyRequests)
        requests[0].finish()
        await self.look()
        self.streams.close()
