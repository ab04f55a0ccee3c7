"""The configuration: one declaration of every key, and the way from text and environment to a checked value.

Each field, here and in ``settingsections``, is one key. Loading, ``deploy/config.example.yaml`` and
``docs/configuration.md`` all come from these fields (``core.settingsdoc``).
Precedence: a non-empty environment variable, the file, the default; an empty environment variable sets the default,
whatever the file says.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from . import settingchecks as checks
from .errors import SettingsError
from .settingsections import (
    Audit,
    Database,
    Dns,
    Feedback,
    Http,
    Limits,
    Log,
    Metrics,
    OAuth,
    Oidc,
    Outbound,
    OutboundSmtp,
    Quotas,
    Retention,
    Signing,
    SignUp,
    Smtp,
    Webhooks,
    key,
)


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
    usage_retention_days: int = key(
        400,
        "E2A_USAGE_RETENTION_DAYS",
        "Days for which usage records are kept, 60 to 3650; the sums of each day stay. 0: for ever.",
        check=checks.zero_or(60, 3650),
    )
    smtp: Smtp = field(default=Smtp())
    http: Http = field(default=Http())
    database: Database = field(default=Database())
    dns: Dns = field(default=Dns())
    signing: Signing = field(default=Signing())
    webhooks: Webhooks = field(default=Webhooks())
    outbound_smtp: OutboundSmtp = field(default=OutboundSmtp())
    outbound: Outbound = field(default=Outbound())
    oauth: OAuth = field(default=OAuth())
    oidc: Oidc = field(default=Oidc())
    sign_up: SignUp = field(default=SignUp())
    metrics: Metrics = field(default=Metrics())
    log: Log = field(default=Log())
    limits: Limits = field(default=Limits())
    quotas: Quotas = field(default=Quotas())
    retention: Retention = field(default=Retention())
    audit: Audit = field(default=Audit())
    feedback: Feedback = field(default=Feedback())
    warnings: tuple[str, ...] = ()

    @property
    def production(self) -> bool:
        return self.env == "production"

    @property
    def by_https(self) -> bool:
        """Whether people come by https, so that cookies need not go any other way."""
        return self.production or (self.oauth.redirect_url or self.http.public_url).startswith("https:")

    @property
    def open_sign_up(self) -> bool:
        """Whether everybody whom a provider vouches for may make an account."""
        return (self.sign_up.policy or ("invited" if self.production else "open")) == "open"

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
