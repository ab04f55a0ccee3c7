"""Where webhooks may go."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from e2a.core.rules import netpolicy

VECTORS = json.loads((Path(__file__).parent.parent / "data" / "vectors.json").read_text("utf-8"))


class AddressTests(SynchronousTestCase):
    def test_vectors(self) -> None:
        """Every address of the contract is judged as marked."""
        self.assertEqual(len(VECTORS["webhook_ip_policy"]), 24)
        for vector in VECTORS["webhook_ip_policy"]:
            self.assertEqual(netpolicy.is_public(vector["ip"]), not vector["should_refuse"], vector["ip"])

    def test_embeddings(self) -> None:
        """An IPv4 address wrapped into IPv6 opens no door; NAT64 of a public one is what DNS64 hosts dial."""
        for refused in (
            "::ffff:127.0.0.1",
            "::ffff:93.184.216.34",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::93.184.216.34",
            "2002:5db8:d822::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "ff02::1",
            "fec0::1",
            "fe80::1%eth0",
            "2606:2800:220:1::1%1",
            "100::1",
            "2001:db8::1",
            "3fff::1",
            "5f00::1",
            "4000::1",
            "",
            "example.com",
            "127.1",
        ):
            self.assertFalse(netpolicy.is_public(refused), refused)
        self.assertTrue(netpolicy.is_public("64:ff9b::93.184.216.34"))

    def test_loopback_in_development_only(self) -> None:
        """Development reaches loopback, not the private network; production reaches neither."""
        for address in ("127.0.0.1", "127.9.9.9", "::1"):
            self.assertTrue(netpolicy.may_connect(address, production=False))
            self.assertFalse(netpolicy.may_connect(address, production=True))
        for address in ("10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "::", "0.0.0.0"):
            self.assertFalse(netpolicy.may_connect(address, production=False), address)

    @settings(deadline=None, max_examples=200)
    @given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
    def test_never_laxer_than_the_standard_library(
        self, address: ipaddress.IPv4Address | ipaddress.IPv6Address
    ) -> None:
        """What the library calls private, loopback, link-local, multicast, reserved or unspecified is never public."""
        special = address.is_private or address.is_loopback or address.is_link_local or address.is_multicast
        if special or address.is_reserved or address.is_unspecified:
            nat64 = address.version == 6 and address in ipaddress.IPv6Network("64:ff9b::/96")
            self.assertTrue(nat64 or not netpolicy.is_public(str(address)), str(address))


class UrlTests(SynchronousTestCase):
    def test_good_urls(self) -> None:
        """An https URL with a full host name passes everywhere, with its host and port."""
        for url, host, port in (
            ("https://hooks.example.com/a?b=c#d", "hooks.example.com", 443),
            ("https://Hooks.Example.COM.:8443", "hooks.example.com", 8443),
            ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", 443),
        ):
            self.assertEqual(netpolicy.check_url(url, production=True), [])
            target = netpolicy.parse(url)
            self.assertEqual((target.host, target.port, target.literal), (host, port, False))

    def test_development_also_allows_http_and_loopback(self) -> None:
        """Plain http, localhost and loopback literals pass in development and are refused in production."""
        for url in (
            "http://hooks.example.com/",
            "http://localhost:9000/hook",
            "http://127.0.0.1:9000/hook",
            "https://[::1]/",
            "https://192.0.43.7/",
            "https://buildhost/",
        ):
            self.assertEqual(netpolicy.check_url(url, production=False), [], url)
            self.assertNotEqual(netpolicy.check_url(url, production=True), [], url)

    def test_refused_everywhere(self) -> None:
        """No scheme trick, user info, private literal, old address spelling or control character gets through."""
        for url in (
            "",
            "hooks.example.com",
            "ftp://hooks.example.com/",
            "file:///etc/passwd",
            "https://",
            "https:///path",
            "https://user@hooks.example.com/",
            "https://user:pw@hooks.example.com/",
            "https://hooks.example.com\\@10.0.0.1/",
            "https://10.0.0.1/",
            "https://[::ffff:127.0.0.1]/",
            "https://[fe80::1%25eth0]/",
            "https://[v1.x]/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://127.1/",
            "https://0177.0.0.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://hooks.example.com:0/",
            "https://hooks.example.com:99999/",
            "https://hooks.example.com:port/",
            "https://hooks..example.com/",
            "https://-bad.example.com/",
            "https://b\u00fccher.example/",
            "https://hooks.example.com/\r\nX: y",
            "https://hooks.example.com/a b",
            "https://hooks.example\t.com/",
            "https://" + "a" * 64 + ".example.com/",
            "https://hooks.example.com/" + "a" * 2048,
        ):
            self.assertNotEqual(netpolicy.check_url(url, production=False), [], url)
            self.assertNotEqual(netpolicy.check_url(url, production=True), [], url)

    @settings(deadline=None, max_examples=200)
    @given(st.text(max_size=80), st.booleans())
    def test_junk_never_raises(self, text: str, production: bool) -> None:
        """Any text gets complaints or a pass, never an exception."""
        for url in (text, "https://" + text, "https://[" + text):
            self.assertIsInstance(netpolicy.check_url(url, production), list)
