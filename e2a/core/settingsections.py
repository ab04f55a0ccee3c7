"""The sections of the configuration: every key below the top level, each declared once.

A field is one key: its default (which fixes its type), its environment variable, its check and its meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from . import settingchecks as checks

T = TypeVar("T")


def key(
    default: T, env: str, doc: str, *, check: Callable[[Any], Any] | None = None, secret: bool = False, shown: str = ""
) -> T:
    """Declare one key.

    :param check: gets the value and returns it, normalised; raises ``ValueError`` with what is wrong. Empty values are
        not shown to it.
    :param secret: kept out of ``repr``.
    :param shown: how the documentation words a default that depends on the machine.
    """
    metadata = {"env": env, "doc": doc, "check": check, "shown": shown}
    return field(default=default, repr=not secret, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Smtp:
    """Mail in."""

    listen_addr: str = key(
        ":2525",
        "E2A_SMTP_LISTEN",
        "Where mail is received: `:25`, `192.0.2.1:25`, `[2001:db8::1]:25`, or a Twisted endpoint string such as "
        "`haproxy:tcp:2525` (PROXY protocol) or `systemd:domain=INET6:index=0`.",
        check=checks.listen,
    )
    domain: str = key(
        "e2a.example.com",
        "E2A_SMTP_DOMAIN",
        "This host's public name: in the SMTP greeting, as the MX target shown for domains, and as the authserv-id of "
        "`Authentication-Results`.",
        check=checks.domain,
    )
    tls_cert: str = key(
        "", "E2A_SMTP_TLS_CERT", "PEM file with the certificate chain. With `tls_key` STARTTLS is offered."
    )
    tls_key: str = key("", "E2A_SMTP_TLS_KEY", "PEM file with the private key of `tls_cert`.")
    max_recipients: int = key(
        100,
        "E2A_SMTP_MAX_RECIPIENTS",
        "Recipients of one message; RFC 5321 4.5.3.1.8 asks for 100 at least.",
        check=checks.between(1, 10_000),
    )
    max_connections: int = key(
        1000,
        "E2A_SMTP_MAX_CONNECTIONS",
        "SMTP sessions at one time; more are answered 421.",
        check=checks.between(1, 100_000),
    )
    max_connections_per_address: int = key(
        50,
        "E2A_SMTP_MAX_CONNECTIONS_PER_ADDRESS",
        "SMTP sessions at one time from one address.",
        check=checks.between(1, 100_000),
    )
    idle_timeout: int = key(
        300,
        "E2A_SMTP_IDLE_TIMEOUT",
        "Seconds without a byte from the client after which a session ends (RFC 5321 4.5.3.2.7: 300).",
        check=checks.between(5, 3600),
    )


@dataclass(frozen=True, slots=True)
class Http:
    """API and WebSockets."""

    listen_addr: str = key(
        ":8080", "E2A_HTTP_LISTEN", "Where the API listens; forms as in `smtp.listen_addr`.", check=checks.listen
    )
    public_url: str = key(
        "",
        "E2A_PUBLIC_URL",
        "The API's address as users see it; `https` in production. A trailing slash is dropped.",
        check=checks.url,
    )
    trusted_proxies: tuple[str, ...] = key(
        (),
        "E2A_TRUSTED_PROXIES",
        "Addresses or networks of reverse proxies whose `X-Forwarded-For` is believed.",
        check=checks.networks,
    )
    max_connections: int = key(
        4096,
        "E2A_HTTP_MAX_CONNECTIONS",
        "HTTP connections at one time; more are closed at once. WebSockets are not counted.",
        check=checks.between(16, 100_000),
    )
    max_connections_per_address: int = key(
        1024,
        "E2A_HTTP_MAX_CONNECTIONS_PER_ADDRESS",
        "HTTP connections at one time from one address (IPv6: one /64), loopback and `trusted_proxies` left out.",
        check=checks.between(1, 100_000),
    )
    max_websockets_per_address: int = key(
        1024,
        "E2A_HTTP_MAX_WEBSOCKETS_PER_ADDRESS",
        "WebSockets at one time from one client address (IPv6: one /64), as `trusted_proxies` report it, loopback left "
        "out. More are answered 429.",
        check=checks.between(1, 100_000),
    )


@dataclass(frozen=True, slots=True)
class Database:
    """PostgreSQL 14 or newer."""

    url: str = key(
        "",
        "E2A_DATABASE_URL",
        "`postgresql://user:password@host/database` or a libpq string. Empty: in development, the embedded PostgreSQL "
        "under `data_dir`.",
        check=checks.database_url,
        secret=True,
    )
    pool_size: int = key(
        8, "E2A_DATABASE_POOL_SIZE", "Connections per daemon, besides one for LISTEN.", check=checks.between(2, 200)
    )


@dataclass(frozen=True, slots=True)
class Dns:
    """Name resolution for SPF, DKIM, DMARC, domain proofs and webhook hosts."""

    servers: tuple[str, ...] = key(
        (),
        "E2A_DNS_SERVERS",
        "`address:port` of each resolver, asked in order. Empty: those of the system.",
        check=checks.servers,
    )


@dataclass(frozen=True, slots=True)
class Signing:
    """The deployment's secret."""

    hmac_secret: str = key(
        "",
        "E2A_HMAC_SECRET",
        "Root of every key this deployment derives: at least 32 bytes in production, the same on every replica. "
        "Empty in development: one is made and kept in `data_dir`. `openssl rand -hex 32` makes one.",
        secret=True,
    )
    old_hmac_secrets: tuple[str, ...] = key(
        (),
        "E2A_OLD_HMAC_SECRETS",
        "Former values of `hmac_secret`, newest first: what they sealed and signed is still good. See `Changing the "
        "deployment secret` in operations.md.",
        secret=True,
    )


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Delivery to agents in cloud mode."""

    ca_file: str = key(
        "",
        "E2A_WEBHOOK_CA_FILE",
        "PEM file of the certificate authorities trusted for webhook endpoints, instead of the system's.",
    )


@dataclass(frozen=True, slots=True)
class OutboundSmtp:
    """The upstream server that carries mail to people."""

    host: str = key("", "E2A_OUTBOUND_SMTP_HOST", "Host name. Empty: mail to people cannot be sent.")
    port: int = key(
        587,
        "E2A_OUTBOUND_SMTP_PORT",
        "Port: 587 uses STARTTLS, 465 TLS from the first byte.",
        check=checks.between(1, 65535),
    )
    tls: str = key(
        "auto",
        "E2A_OUTBOUND_SMTP_TLS",
        "`auto`: TLS from the first byte on port 465, else STARTTLS, which a `username` makes obligatory; not used "
        "towards this machine itself. `required`: STARTTLS or nothing. `implicit`: TLS from the first byte. `none`: "
        "never; only towards this machine. Certificates are always checked.",
        check=checks.one_of("auto", "required", "implicit", "none"),
    )
    ca_file: str = key(
        "",
        "E2A_OUTBOUND_SMTP_CA_FILE",
        "PEM file of the certificate authorities trusted for the upstream server, instead of the system's.",
    )
    connections: int = key(
        16,
        "E2A_OUTBOUND_SMTP_CONNECTIONS",
        "Connections to the upstream server at one time; each is used for many messages.",
        check=checks.between(1, 1000),
    )
    username: str = key("", "E2A_OUTBOUND_SMTP_USERNAME", "Empty: no authentication.")
    password: str = key("", "E2A_OUTBOUND_SMTP_PASSWORD", "Password of `username`.", secret=True)
    from_domain: str = key(
        "", "E2A_OUTBOUND_SMTP_FROM_DOMAIN", "Domain of the sender address of mail to people.", check=checks.domain
    )


@dataclass(frozen=True, slots=True)
class Outbound:
    """How mail to people goes out."""

    route: str = key(
        "upstream",
        "E2A_OUTBOUND_ROUTE",
        "`upstream`: through `outbound_smtp.host`. `direct`: straight to the servers of each recipient's domain, which "
        "needs port 25 outwards, a host name with matching reverse DNS, and an address of good repute.",
        check=checks.one_of("upstream", "direct"),
    )
    unknown: str = key(
        "retry",
        "E2A_OUTBOUND_UNKNOWN",
        "When the connection is lost after a message was transmitted whole, nobody knows whether it was taken. "
        "`retry`: transmit it once more, after 15 minutes at least, which may make a second copy. `hold`: never "
        "transmit it again by itself, which may lose it.",
        check=checks.one_of("retry", "hold"),
    )


@dataclass(frozen=True, slots=True)
class OAuth:
    """Sign-in to the dashboard."""

    google_client_id: str = key("", "E2A_GOOGLE_CLIENT_ID", "Empty: no sign-in with Google.")
    google_client_secret: str = key("", "E2A_GOOGLE_CLIENT_SECRET", "Secret of `google_client_id`.", secret=True)
    redirect_url: str = key(
        "",
        "E2A_OAUTH_REDIRECT_URL",
        "Scheme and host of the callback, for every provider; its path is always `/api/auth/callback`.",
        check=checks.url,
        shown="that of `http.public_url`",
    )


@dataclass(frozen=True, slots=True)
class Oidc:
    """Sign-in to the dashboard with an OpenID Connect provider of your choice, beside Google or without it."""

    issuer: str = key(
        "",
        "E2A_OIDC_ISSUER",
        "The provider's issuer URL, under which its `/.well-known/openid-configuration` is found. Empty: off.",
        check=checks.url,
    )
    client_id: str = key("", "E2A_OIDC_CLIENT_ID", "This deployment's client id at the provider.")
    client_secret: str = key(
        "", "E2A_OIDC_CLIENT_SECRET", "Secret of `client_id`. Empty: a public client, protected by PKCE.", secret=True
    )
    name: str = key("", "E2A_OIDC_NAME", "What the sign-in page calls the provider.", shown="the issuer's host name")
    scopes: str = key("openid email profile", "E2A_OIDC_SCOPES", "Scopes to ask for, `openid` among them.")
    trust_email: bool = key(
        False,
        "E2A_OIDC_TRUST_EMAIL",
        "Take the provider's addresses as verified when it does not say whether they are. Only for a provider whose "
        "users cannot choose their address.",
    )
    link_accounts: str = key(
        "auto",
        "E2A_OIDC_LINK_ACCOUNTS",
        "Whether the first sign-in with a verified address opens the account that has this address. `auto`: unless "
        "people sign in to that account with another provider. `always`: the provider's word about addresses is worth "
        "as much as the others'; needed when people move here from Google. `never`: it opens only accounts that it "
        "made itself.",
        check=checks.one_of("auto", "always", "never"),
    )


@dataclass(frozen=True, slots=True)
class SignUp:
    """Who may make an account by signing in. People with an account, and invited people, always can sign in."""

    policy: str = key(
        "",
        "E2A_SIGN_UP",
        "`open`: everybody whom a provider vouches for. `invited`: only people who were invited.",
        check=checks.one_of("open", "invited"),
        shown="`open` in development, `invited` in production",
    )
    allowed_domains: tuple[str, ...] = key(
        (),
        "E2A_SIGN_UP_DOMAINS",
        "If given, everybody with a verified address in one of these domains may make an account, and nobody else but "
        "invited people.",
        check=checks.domains,
    )


@dataclass(frozen=True, slots=True)
class Metrics:
    """Prometheus metrics and probes."""

    listen_addr: str = key(
        "",
        "E2A_METRICS_LISTEN",
        "Where `/metrics`, `/livez` and `/readyz` are served, without authentication: keep it private, for example "
        "`127.0.0.1:9464`. Empty: off.",
        check=checks.listen,
    )


@dataclass(frozen=True, slots=True)
class Log:
    """The log on standard error."""

    format: str = key(
        "text", "E2A_LOG_FORMAT", "`text`, or `json` for one object a line.", check=checks.one_of("text", "json")
    )
    level: str = key(
        "info",
        "E2A_LOG_LEVEL",
        "`debug`, `info`, `warn` or `error`.",
        check=checks.one_of("debug", "info", "warn", "error"),
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """How often things may be done, exact over all daemons, and how many at one time in this one."""

    send_per_minute: int = key(
        60,
        "E2A_LIMITS_SEND_PER_MINUTE",
        "Messages that one agent sends, answers, forwards and tests in any minute.",
        check=checks.between(1, 100_000),
    )
    poll_per_minute: int = key(
        60,
        "E2A_LIMITS_POLL_PER_MINUTE",
        "Lists of received messages and single messages that one user reads in any minute, all keys together. 0: no "
        "limit. Programs that wait for mail use the WebSocket or the long poll, which are not counted.",
        check=checks.between(0, 100_000),
    )
    registrations_per_hour: int = key(
        20,
        "E2A_LIMITS_REGISTRATIONS_PER_HOUR",
        "Attempts to register an agent from one client address in any hour. 0: no limit.",
        check=checks.between(0, 100_000),
    )
    feedback_per_hour: int = key(
        10,
        "E2A_LIMITS_FEEDBACK_PER_HOUR",
        "Messages to the operator from one client address in any hour. 0: no limit.",
        check=checks.between(0, 100_000),
    )
    concurrent: int = key(
        500,
        "E2A_LIMITS_CONCURRENT",
        "Expensive requests at one time: sends, decisions, exports, raw messages and attachments. More are answered "
        "503.",
        check=checks.between(1, 100_000),
    )
    concurrent_per_organisation: int = key(
        100,
        "E2A_LIMITS_CONCURRENT_PER_ORGANISATION",
        "The same for one organisation. More are answered 429.",
        check=checks.between(1, 100_000),
    )
    waiting: int = key(
        5000, "E2A_LIMITS_WAITING", "Long polls at one time. More are answered 503.", check=checks.between(1, 1_000_000)
    )
    waiting_per_organisation: int = key(
        1000,
        "E2A_LIMITS_WAITING_PER_ORGANISATION",
        "The same for one organisation. More are answered 429.",
        check=checks.between(1, 1_000_000),
    )


@dataclass(frozen=True, slots=True)
class Quotas:
    """What one organisation may have, unless the operator gave it quotas of its own. 0: no limit."""

    agents: int = key(0, "E2A_QUOTAS_AGENTS", "Agents.", check=checks.between(0, 10**12))
    domains: int = key(0, "E2A_QUOTAS_DOMAINS", "Claimed domains.", check=checks.between(0, 10**12))
    storage_bytes: int = key(
        0,
        "E2A_QUOTAS_STORAGE_BYTES",
        "Octets of received mail that are kept, each recipient's copy counted. Held to within what arrives in ten "
        "seconds.",
        check=checks.between(0, 10**15 - 1),
    )
    messages_per_day: int = key(
        0,
        "E2A_QUOTAS_MESSAGES_PER_DAY",
        "Messages that its agents send on a day (UTC), tests left out. What is received is never counted.",
        check=checks.between(0, 10**12),
    )


@dataclass(frozen=True, slots=True)
class Retention:
    """How long mail is kept."""

    message_days: int = key(
        30,
        "E2A_RETENTION_MESSAGE_DAYS",
        "Days for which messages are kept, in and out, with their bytes: 14 to 3650. Fewer would take mail that is "
        "still being reviewed or tried. Counts for what comes and goes from now on.",
        check=checks.between(14, 3650),
    )


@dataclass(frozen=True, slots=True)
class Audit:
    """The log of what was done in each organisation."""

    retention_days: int = key(
        365,
        "E2A_AUDIT_RETENTION_DAYS",
        "Days for which lines of the audit log are kept, 7 to 730. 0: for ever.",
        check=checks.zero_or(7, 730),
    )


@dataclass(frozen=True, slots=True)
class Feedback:
    """Where feedback goes, besides the database."""

    email: str = key(
        "",
        "E2A_FEEDBACK_EMAIL",
        "Address that is written to. Empty: off. Needs a way out for mail and `outbound_smtp.from_domain`.",
        check=checks.mailbox,
    )
    github_token: str = key("", "GITHUB_FEEDBACK_TOKEN", "Token that may open issues. Empty: off.", secret=True)
    github_repo: str = key("", "GITHUB_FEEDBACK_REPO", "`owner/name` of the repository.", check=checks.repository)
