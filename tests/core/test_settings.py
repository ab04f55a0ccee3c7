"""The configuration: precedence, refusals, and the documents made from it."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings, strategies
from twisted.trial.unittest import TestCase

from e2a.core import settingchecks, settingsdoc
from e2a.core.errors import SettingsError
from e2a.core.settings import Settings, keys, load

ROOT = Path(__file__).resolve().parents[2]
SECRET = "6f1d0a5be28c4937ffee01b2c3d4a596"
OIDC = {
    "E2A_OIDC_ISSUER": "https://id.example.org",
    "E2A_OIDC_CLIENT_ID": "a",
    "E2A_PUBLIC_URL": "http://localhost:8080",
}
PRODUCTION = {
    "E2A_ENV": "production",
    "E2A_DATABASE_URL": "postgresql://e2a@db/e2a",
    "E2A_HMAC_SECRET": SECRET,
    "E2A_SMTP_DOMAIN": "mx.example.org",
    "E2A_SMTP_TLS_CERT": "/etc/e2a/cert.pem",
    "E2A_SMTP_TLS_KEY": "/etc/e2a/key.pem",
    "E2A_PUBLIC_URL": "https://e2a.example.org",
}


def complaints(text: str = "", environ: dict[str, str] | None = None) -> list[str]:
    try:
        load(text, environ or {})
    except SettingsError as error:
        return error.complaints
    return []


class Loading(TestCase):
    def test_nothing_given(self) -> None:
        """With neither file nor environment every key has its default."""
        found = load("", {"HOME": "/home/ann"})
        self.assertEqual(found.smtp.listen_addr, ":2525")
        self.assertEqual(found.data_dir, "/home/ann/.local/share/e2a")
        self.assertFalse(found.production)

    def test_precedence(self) -> None:
        """The environment wins over the file, the file over the default, and an empty variable clears the file's."""
        text = "http: {public_url: 'https://file.example'}\nshared_domain: file.example\n"
        found = load(text, {"E2A_PUBLIC_URL": "https://env.example", "E2A_SHARED_DOMAIN": ""})
        self.assertEqual(found.http.public_url, "https://env.example")
        self.assertEqual(found.shared_domain, "")
        self.assertEqual(load(text, {}).shared_domain, "file.example")

    def test_every_key_has_its_own_variable(self) -> None:
        """Each key can be set by a variable of its own."""
        names = [item.env for item in keys()]
        self.assertEqual(len(names), len(set(names)))
        for name in [
            "E2A_ENV",
            "E2A_DATABASE_URL",
            "E2A_DATA_DIR",
            "E2A_HTTP_LISTEN",
            "E2A_SMTP_LISTEN",
            "E2A_METRICS_LISTEN",
            "E2A_SMTP_DOMAIN",
            "E2A_SMTP_TLS_CERT",
            "E2A_SMTP_TLS_KEY",
            "E2A_DNS_SERVERS",
            "E2A_HMAC_SECRET",
            "E2A_SHARED_DOMAIN",
            "E2A_PUBLIC_URL",
            "E2A_USAGE_TRACKING",
            "E2A_LOG_FORMAT",
            "E2A_TRUSTED_PROXIES",
        ]:
            self.assertIn(name, names)

    def test_types_from_the_environment(self) -> None:
        """Numbers, switches and lists are read from text."""
        found = load(
            "",
            {
                "E2A_MAX_MESSAGE_BYTES": "1000000",
                "E2A_USAGE_TRACKING": "true",
                "E2A_DNS_SERVERS": "127.0.0.1:5353, [::1]:53",
                "E2A_TRUSTED_PROXIES": "10.0.0.0/8,::1",
            },
        )
        self.assertEqual(found.max_message_bytes, 1_000_000)
        self.assertIs(found.usage_tracking, True)
        self.assertEqual(found.dns.servers, ("127.0.0.1:5353", "[::1]:53"))
        self.assertEqual(found.http.trusted_proxies, ("10.0.0.0/8", "::1/128"))

    def test_normalised(self) -> None:
        """Domains are lower-cased without a final dot, URLs lose the final slash."""
        found = load("", {"E2A_SHARED_DOMAIN": "Agents.Example.ORG.", "E2A_PUBLIC_URL": "https://e2a.example.org/"})
        self.assertEqual(found.shared_domain, "agents.example.org")
        self.assertEqual(found.http.public_url, "https://e2a.example.org")

    def test_data_directory(self) -> None:
        """Data goes to /var/lib/e2a as root, else below the XDG data home; a given directory becomes absolute."""
        self.assertEqual(load("", {}, root=True).data_dir, "/var/lib/e2a")
        self.assertEqual(load("", {"XDG_DATA_HOME": "/x"}).data_dir, "/x/e2a")
        self.assertEqual(load("data_dir: ./data", {}, directory="/srv").data_dir, "/srv/data")
        self.assertEqual(load("data_dir: ~/data", {"HOME": "/home/ann"}).data_dir, "/home/ann/data")

    def test_secrets_stay_out_of_repr(self) -> None:
        """Printing settings shows no secret."""
        found = load("", {"E2A_HMAC_SECRET": SECRET, "E2A_DATABASE_URL": "postgresql://u:hunter2@h/d"})
        self.assertNotIn(SECRET, repr(found))
        self.assertNotIn("hunter2", repr(found))

    def test_unknown_variables_are_named(self) -> None:
        """A misspelt E2A_ variable is reported with the nearest known one; those of clients and tests are not."""
        found = load("", {"E2A_SMPT_LISTEN": ":1", "E2A_URL": "x", "E2A_TEST_DATABASE_URL": "y"})
        self.assertEqual(len(found.warnings), 1)
        self.assertIn("did you mean E2A_SMTP_LISTEN?", found.warnings[0])


class Refusals(TestCase):
    def test_all_at_once(self) -> None:
        """Every fault is named in one go, each with its key."""
        text = "smpt: {}\nhttp:\n  port: 8080\nmax_message_bytes: lots\nusage_tracking: 1\nshared_domain: 5\n"
        found = complaints(text, {"E2A_SMTP_LISTEN": "25", "E2A_LOG_LEVEL": "loud"})
        for part in (
            "smpt: unknown key; did you mean smtp?",
            "http.port: unknown key",
            "max_message_bytes: must be a whole number",
            "usage_tracking: must be true or false",
            "shared_domain: must be text",
            "smtp.listen_addr (from E2A_SMTP_LISTEN): must be like",
            "log.level (from E2A_LOG_LEVEL): must be debug, info, warn or error",
        ):
            self.assertTrue(any(complaint.startswith(part) for complaint in found), (part, found))
        self.assertEqual(len(found), 7)

    def test_ways_out(self) -> None:
        """Mail to people needs a server or the direct route, a sender domain, and TLS beyond this machine."""
        host = {"E2A_OUTBOUND_SMTP_HOST": "smtp.example.net", "E2A_OUTBOUND_SMTP_FROM_DOMAIN": "send.example.net"}
        direct = {"E2A_OUTBOUND_ROUTE": "direct", "E2A_OUTBOUND_SMTP_FROM_DOMAIN": "send.example.net"}
        local = {**host, "E2A_OUTBOUND_SMTP_HOST": "127.0.0.1", "E2A_OUTBOUND_SMTP_TLS": "none"}
        for environ in (host, direct, local):
            self.assertTrue(load("", environ).sending)
        self.assertFalse(load("", {}).sending)
        for environ, part in (
            ({"E2A_OUTBOUND_SMTP_FROM_DOMAIN": "send.example.net"}, "outbound_smtp.from_domain: needs"),
            ({"E2A_OUTBOUND_ROUTE": "direct"}, "outbound.route: direct needs"),
            ({**host, "E2A_OUTBOUND_SMTP_TLS": "none"}, "outbound_smtp.tls: none is for"),
            ({"E2A_OUTBOUND_UNKNOWN": "again"}, "outbound.unknown (from E2A_OUTBOUND_UNKNOWN): must be retry or hold"),
        ):
            found = complaints("", environ)
            self.assertTrue(len(found) == 1 and found[0].startswith(part), (part, found))

    def test_one_cap_alone(self) -> None:
        """The HTTP connections can be bounded by one setting: what one address may have need not be lowered with it."""
        self.assertEqual(load("", {"E2A_HTTP_MAX_CONNECTIONS": "100"}).http.max_connections, 100)

    def test_wrong_types(self) -> None:
        """A boolean is no number, a number no text, a mapping no list, a scalar no section."""
        for text in (
            "database: {pool_size: true}",
            "database: {pool_size: 2.5}",
            "database: {pool_size: '8'}",
            "usage_tracking: 'true'",
            "dns: {servers: {a: b}}",
            "dns: {servers: [1]}",
            "smtp: ':25'",
            "env: true",
            "- a list",
            "just text",
        ):
            self.assertEqual(len(complaints(text)), 1, text)

    def test_yaml_faults(self) -> None:
        """Broken YAML, a repeated key and a tag that makes objects are refused with the line."""
        self.assertIn("line 2", complaints("env: x\n  bad: [")[0])
        self.assertIn("given twice", complaints("smtp: {domain: a.b}\nsmtp: {domain: c.d}\n")[0])
        self.assertEqual(len(complaints("env: !!python/object/apply:os.system [ls]")), 1)

    def test_values(self) -> None:
        """Values that cannot work are refused."""
        for name, value in (
            ("E2A_ENV", "prod"),
            ("E2A_SHARED_DOMAIN", "-bad-.example"),
            ("E2A_SHARED_DOMAIN", "exämple.org"),
            ("E2A_PUBLIC_URL", "/relative"),
            ("E2A_PUBLIC_URL", "https://user@host/"),
            ("E2A_PUBLIC_URL", "ftp://host"),
            ("E2A_PUBLIC_URL", "https://[::1"),
            ("E2A_DATABASE_URL", "mysql://x"),
            ("E2A_DNS_SERVERS", "dns.example:53"),
            ("E2A_DNS_SERVERS", "127.0.0.1:99999"),
            ("E2A_TRUSTED_PROXIES", "10.0.0.1/8"),
            ("E2A_HTTP_LISTEN", "example.org:80"),
            ("E2A_HTTP_LISTEN", ":70000"),
            ("E2A_HTTP_LISTEN", "8080"),
            ("E2A_USAGE_TRACKING", "maybe"),
            ("E2A_MAX_MESSAGE_BYTES", "1e9"),
            ("E2A_MAX_MESSAGE_BYTES", "1"),
            ("E2A_SMTP_DOMAIN", "a\x00b"),
        ):
            self.assertEqual(len(complaints(environ={name: value})), 1, (name, value))

    def test_keys_that_need_each_other(self) -> None:
        """Half a pair is refused."""
        for environ in (
            {"E2A_SMTP_TLS_CERT": "/c"},
            {"E2A_OUTBOUND_SMTP_FROM_DOMAIN": "example.org"},
            {"E2A_OUTBOUND_SMTP_HOST": "smtp.example.org"},
            {"E2A_GOOGLE_CLIENT_ID": "a", "E2A_GOOGLE_CLIENT_SECRET": "b"},
            {"E2A_GOOGLE_CLIENT_SECRET": "b"},
            {"E2A_OIDC_CLIENT_ID": "a"},
            {"E2A_OIDC_ISSUER": "https://id.example.org", "E2A_PUBLIC_URL": "http://localhost:8080"},
            {"E2A_OIDC_ISSUER": "https://id.example.org", "E2A_OIDC_CLIENT_ID": "a"},
            {"E2A_OIDC_SCOPES": "email"},
            {**OIDC, "E2A_OIDC_ISSUER": "http://id.example.org"},
            {"GITHUB_FEEDBACK_TOKEN": "t"},
        ):
            self.assertEqual(len(complaints(environ=environ)), 1, environ)
        for environ in (OIDC, {**OIDC, "E2A_OIDC_ISSUER": "http://localhost:9000"}):
            self.assertEqual(complaints(environ=environ), [])

    def test_who_may_sign_up(self) -> None:
        """Sign-up is open in development and by invitation in production, unless the setting says otherwise."""
        for environ in ({}, PRODUCTION):
            self.assertEqual(load("", environ).open_sign_up, environ == {})
            self.assertFalse(load("", {**environ, "E2A_SIGN_UP": "invited"}).open_sign_up)
            self.assertTrue(load("", {**environ, "E2A_SIGN_UP": "open"}).open_sign_up)
        domains = load("", {"E2A_SIGN_UP_DOMAINS": "Example.ORG., b.test"}).sign_up.allowed_domains
        self.assertEqual(domains, ("example.org", "b.test"))
        self.assertEqual(len(complaints(environ={"E2A_SIGN_UP_DOMAINS": "a b"})), 1)

    def test_cookies(self) -> None:
        """Cookies are for https alone in production, and wherever people come by https."""
        self.assertFalse(load("", {}).by_https)
        self.assertFalse(load("", {"E2A_PUBLIC_URL": "http://localhost:8080"}).by_https)
        self.assertTrue(load("", {"E2A_PUBLIC_URL": "https://e2a.example.org"}).by_https)
        self.assertTrue(load("", PRODUCTION).by_https)
        both = {"E2A_PUBLIC_URL": "https://a.test", "E2A_OAUTH_REDIRECT_URL": "http://localhost:3000"}
        self.assertFalse(load("", both).by_https)


class Production(TestCase):
    def test_complete(self) -> None:
        """A complete production configuration is accepted."""
        self.assertTrue(load("", PRODUCTION).production)

    def test_each_requirement(self) -> None:
        """Leaving out anything that production needs is refused."""
        for name in set(PRODUCTION) - {"E2A_ENV"}:
            found = complaints(environ={**PRODUCTION, name: ""})
            self.assertTrue(found, name)
            self.assertTrue(any("production mode" in one or "without the other" in one for one in found), found)

    def test_nothing_given(self) -> None:
        """All requirements are named at once."""
        self.assertEqual(len(complaints("env: production")), 5)

    def test_weak_secrets(self) -> None:
        """Short, repetitive and placeholder secrets are refused."""
        for weak in ("x", "a" * 64, "change-me-in-production-change-me-in-production", "abab" * 16):
            self.assertEqual(len(complaints(environ={**PRODUCTION, "E2A_HMAC_SECRET": weak})), 1, weak)

    def test_plain_http(self) -> None:
        """A public URL without TLS is refused in production and fine in development."""
        environ = {**PRODUCTION, "E2A_PUBLIC_URL": "http://e2a.example.org"}
        self.assertEqual(len(complaints(environ=environ)), 1)
        self.assertEqual(complaints(environ={"E2A_PUBLIC_URL": "http://localhost:8080"}), [])
        environ = {**PRODUCTION, "E2A_OAUTH_REDIRECT_URL": "http://e2a.example.org"}
        self.assertEqual(len(complaints(environ=environ)), 1)


class Endpoints(TestCase):
    def test_forms(self) -> None:
        """Addresses become endpoint strings; endpoint strings stay as they are."""
        for given_address, expected in (
            (":8080", r"tcp6:8080:interface=\:\:"),
            ("127.0.0.1:8080", "tcp:8080:interface=127.0.0.1"),
            ("localhost:0", "tcp:0:interface=127.0.0.1"),
            ("[::1]:8080", r"tcp6:8080:interface=\:\:1"),
            ("tcp:8080", "tcp:8080"),
            ("haproxy:tcp:2525", "haproxy:tcp:2525"),
            ("systemd:domain=INET:index=0", "systemd:domain=INET:index=0"),
        ):
            self.assertEqual(settingchecks.endpoint(settingchecks.listen(given_address)), expected)

    def test_resolvers(self) -> None:
        """Resolver addresses take an optional port."""
        for text, expected in (
            ("192.0.2.1", ("192.0.2.1", 53)),
            ("192.0.2.1:5353", ("192.0.2.1", 5353)),
            ("2001:db8::1", ("2001:db8::1", 53)),
            ("[2001:db8::1]:54", ("2001:db8::1", 54)),
        ):
            self.assertEqual(settingchecks.host_port(text, 53), expected)


class Documents(TestCase):
    def test_example_is_current(self) -> None:
        """deploy/config.example.yaml is what the declaration says."""
        self.assertEqual((ROOT / "deploy/config.example.yaml").read_text(), settingsdoc.example())

    def test_reference_is_current(self) -> None:
        """docs/configuration.md is what the declaration says."""
        self.assertEqual((ROOT / "docs/configuration.md").read_text(), settingsdoc.reference())

    def test_example_loads_to_the_defaults(self) -> None:
        """The example file changes nothing and names every key."""
        text = settingsdoc.example()
        self.assertEqual(load(text, {}), load("", {}))
        for item in keys():
            self.assertIn(f"[{item.env}]", " ".join(text.replace("#", " ").split()))


class AnyInput(TestCase):
    @given(strategies.text(max_size=200))
    @settings(deadline=None, max_examples=200)
    def test_any_file(self, text: str) -> None:
        """Any text either loads or is refused with complaints."""
        try:
            self.assertIsInstance(load(text, {}), Settings)
        except SettingsError as error:
            self.assertTrue(error.complaints)

    @given(strategies.sampled_from([item.env for item in keys()]), strategies.text(max_size=60))
    @settings(deadline=None, max_examples=200)
    def test_any_variable(self, name: str, value: str) -> None:
        """Any value of any variable either loads or is refused with complaints."""
        try:
            self.assertIsInstance(load("", {name: value}), Settings)
        except SettingsError as error:
            self.assertTrue(error.complaints)
