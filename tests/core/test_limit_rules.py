"""Whom a limit counts for."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from e2a.core.rules.limits import network_of


class NetworkTests(SynchronousTestCase):
    def test_networks(self) -> None:
        """An IPv4 address counts for itself, however it is written; an IPv6 address for its /64; other peers as they
        are called.
        """
        for address, whom in (
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3::4", "2001:db8:1:2::"),
            ("2001:db8:1:2:ffff::", "2001:db8:1:2::"),
            ("2001:db8:1:3::", "2001:db8:1:3::"),
            ("/run/x", "/run/x"),
            ("", ""),
        ):
            self.assertEqual(network_of(address), whom)
