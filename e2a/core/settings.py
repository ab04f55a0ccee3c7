"""The configuration: one declaration of every key, and the way from text and environment to a checked value.

Each field below is one key: its default (which fixes its type), its environment variable, its check and its meaning.
Loading, ``deploy/config.example.yaml`` and ``docs/configuration.md`` all come from these fields (``core.settingsdoc``).
Precedence: a non-empty environment variable, the file, the default; an empty environment variable sets the default,
whatever the file says.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import yaml

from . import settingchecks as checks
from .errors import SettingsError

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
        "Former values of `hmac_secret`, newest first: they still open what they sealed.",
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
        "Scheme and host of the callback; its path is always `/api/auth/callback`.",
        check=checks.url,
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
class Feedback:
    """Where feedback from the dashboard goes."""

    github_token: str = key("", "GITHUB_FEEDBACK_TOKEN", "Token that may open issues. Empty: off.", secret=True)
    github_repo: str = key("", "GITHUB_FEEDBACK_REPO", "`owner/name` of the repository.", check=checks.repository)


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration, checked.

    :ivar warnings: what was ignored, for the log.
    """

    env: str = key(
        "development",
        "E2A_ENV",
        "`production` demands what a public service needs; `development` runs without any setting.",
        check=checks.one_of("development", "production"),
    )
    shared_domain: str = key(
        "",
        "E2A_SHARED_DOMAIN",
        "Domain on which agents register by slug alone. Empty: slug registration is off.",
        check=checks.domain,
    )
    data_dir: str = key(
        "",
        "E2A_DATA_DIR",
        "Private directory for the embedded PostgreSQL and the development secret.",
        shown="/var/lib/e2a as root, else $XDG_DATA_HOME/e2a",
    )
    max_message_bytes: int = key(
        25 * 1024 * 1024,
        "E2A_MAX_MESSAGE_BYTES",
        "Largest message, in and out, in bytes.",
        check=checks.between(64 * 1024, 150 * 1024 * 1024),
    )
    usage_tracking: bool = key(False, "E2A_USAGE_TRACKING", "Keep one usage record per message and agent.")
    smtp: Smtp = Smtp()
    http: Http = Http()
    database: Database = Database()
    dns: Dns = Dns()
    signing: Signing = Signing()
    webhooks: Webhooks = Webhooks()
    outbound_smtp: OutboundSmtp = OutboundSmtp()
    outbound: Outbound = Outbound()
    oauth: OAuth = OAuth()
    metrics: Metrics = Metrics()
    log: Log = Log()
    feedback: Feedback = Feedback()
    warnings: tuple[str, ...] = ()

    @property
    def production(self) -> bool:
        return self.env == "production"

    @property
    def sending(self) -> bool:
        """Whether there is a way out for mail to people."""
        return bool(self.outbound_smtp.host) or (
            self.outbound.route == "direct" and bool(self.outbound_smtp.from_domain)
        )


@dataclass(frozen=True, slots=True)
class Key:
    """One key as loading and documentation see it. ``section`` is empty for a key at the top level."""

    section: str
    name: str
    env: str
    default: Any
    doc: str
    check: Callable[[Any], Any] | None
    shown: str

    @property
    def path(self) -> str:
        return f"{self.section}.{self.name}" if self.section else self.name


def sections() -> Iterator[tuple[str, type]]:
    """Each section's name and class, in order."""
    for item in dataclasses.fields(Settings):
        if dataclasses.is_dataclass(item.default):
            yield item.name, type(item.default)


def keys() -> Iterator[Key]:
    """Every key, the top level first, then section by section."""
    for section, cls in [("", Settings), *sections()]:
        for item in dataclasses.fields(cls):
            if "env" in item.metadata:
                yield Key(section, item.name, default=item.default, **item.metadata)


#: Variables that begin with ``E2A_`` and belong to clients, tests and benchmarks.
_FOREIGN = ("E2A_URL", "E2A_API_KEY", "E2A_AGENT_EMAIL", "E2A_WEBHOOK_SECRET", "E2A_BACKEND", "E2A_TEST_", "E2A_BENCH_")


def load(text: str, environ: Mapping[str, str], *, root: bool = False, directory: str = "/") -> Settings:
    """The checked configuration.

    :param text: the YAML file's content, ``""`` when there is none.
    :param root: whether the process runs as the superuser; decides where data goes by default.
    :param directory: the working directory, against which a relative ``data_dir`` is read.
    :raises SettingsError: with every complaint.
    """
    complaints: list[str] = []
    table = {item.path: item for item in keys()}
    given = _flatten(text, table, complaints)
    values: dict[str, Any] = {}
    for path, item in table.items():
        if item.env in environ:
            raw, where, convert = environ[item.env].strip() or None, f"{path} (from {item.env})", _from_environment
        else:
            raw, where, convert = given.get(path), path, _from_file
        if raw is None:
            continue
        try:
            value = convert(raw, item.default)
            values[path] = item.check(value) if item.check and value not in ("", ()) else value
        except ValueError as error:
            complaints.append(f"{where}: {error}")
    settings = _build(values, _warnings(environ, {item.env for item in table.values()}))
    settings = dataclasses.replace(
        settings, data_dir=checks.data_directory(settings.data_dir, environ, root, directory)
    )
    complaints += checks.complaints(settings)
    if complaints:
        raise SettingsError(complaints)
    return settings


def _build(values: Mapping[str, Any], warnings: tuple[str, ...]) -> Settings:
    def of(section: str) -> dict[str, Any]:
        return {path.rpartition(".")[2]: value for path, value in values.items() if path.rpartition(".")[0] == section}

    return Settings(**of(""), **{name: cls(**of(name)) for name, cls in sections()}, warnings=warnings)


def _warnings(environ: Mapping[str, str], known: set[str]) -> tuple[str, ...]:
    unknown = (
        name for name in environ if name.startswith("E2A_") and name not in known and not name.startswith(_FOREIGN)
    )
    return tuple(
        f"the environment variable {name} is not known and was ignored{_hint(name, known)}" for name in sorted(unknown)
    )


def _hint(word: str, known: set[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""


class _Loader(yaml.SafeLoader):
    """Safe YAML in which a repeated key is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for name, _ in node.value:
            if name.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {name.value} is given twice", name.start_mark
                )
            seen.add(name.value)
        return super().construct_mapping(node, deep)


def _flatten(text: str, table: Mapping[str, Key], complaints: list[str]) -> dict[str, Any]:
    """``section.key`` to value; complains about what is unknown or misplaced."""
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 - a subclass of SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        complaints.append(
            f"the configuration file is not valid YAML: {line}{getattr(error, 'problem', None) or 'unreadable'}"
        )
        return {}
    if document is None:
        return {}
    if not isinstance(document, dict):
        complaints.append("the configuration file must hold keys and values")
        return {}
    names = {name for name, _ in sections()}
    flat: dict[str, Any] = {}
    for name, value in document.items():
        if name not in names:
            flat[str(name)] = value
        elif isinstance(value, dict):
            flat |= {f"{name}.{inner}": leaf for inner, leaf in value.items()}
        elif value is not None:
            complaints.append(f"{name}: must be a section with keys of its own")
    known = set(table) | names
    complaints += [f"{path}: unknown key{_hint(path, known)}" for path in flat if path not in table]
    return flat


def _from_environment(raw: str, default: Any) -> Any:
    match default:
        case bool():
            return checks.boolean(raw)
        case int():
            return checks.whole_number(raw)
        case tuple():
            return tuple(part.strip() for part in raw.split(",") if part.strip())
        case _:
            return checks.text(raw)


def _from_file(raw: Any, default: Any) -> Any:
    match default, raw:
        case (bool(), bool()) | (str(), str()):
            return checks.text(raw.strip()) if isinstance(raw, str) else raw
        case int(), int() if not isinstance(default, bool) and not isinstance(raw, bool):
            return raw
        case tuple(), str():
            return _from_environment(raw, default)
        case tuple(), list() if all(isinstance(part, str) for part in raw):
            return tuple(checks.text(part.strip()) for part in raw)
    wanted = {bool: "true or false", int: "a whole number", str: "text (put it in quotes)", tuple: "a list of texts"}
    raise ValueError(f"must be {wanted[type(default)]}")
