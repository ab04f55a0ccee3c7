"""From command line, file and environment to settings, and what follows from them alone: names, the secret."""

from __future__ import annotations

import dataclasses
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.python import usage

from .. import __version__
from ..core.errors import SettingsError
from ..core.rules.domains import OwnNames, system_name
from ..core.settings import Settings, load
from ..core.trust.sealing import Sealer

#: Where a configuration file is looked for when none is named.
PLACES = ("config.yaml", "/etc/e2a/config.yaml")


def read_settings(path: str | None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process.

    :param path: the file the operator named; None looks in :data:`PLACES`.
    :raises SettingsError: with every complaint; a named file that cannot be read is one.
    """
    environ = os.environ if environ is None else environ
    found = path or next((place for place in PLACES if os.path.exists(place)), None)
    text = ""
    if found:
        try:
            text = Path(found).read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise SettingsError([f"the configuration file {found} cannot be read: {reason}"]) from error
    return load(text, environ, root=os.geteuid() == 0, directory=os.getcwd())


def settings_or_exit(path: str | None) -> Settings:
    """As :func:`read_settings`; prints every complaint to standard error and ends the process with 1."""
    try:
        return read_settings(path)
    except SettingsError as error:
        complain(error)
        raise SystemExit(1) from None


def complain(error: SettingsError) -> None:
    """Print each complaint on a line of its own."""
    for complaint in error.complaints:
        sys.stderr.write(f"e2a: {complaint}\n")
    sys.stderr.flush()


class Options(usage.Options):
    """``twistd e2a [--config FILE]``."""

    longdesc = "An authenticated e-mail gateway for AI agents. Settings come from a YAML file and E2A_* variables."
    optParameters = [
        ["config", "c", None, "The YAML configuration file (default: ./config.yaml, /etc/e2a/config.yaml, or none)."]
    ]

    def __init__(self) -> None:
        super().__init__()
        self.settings = Settings()

    def opt_version(self) -> None:
        """Display the version and exit."""
        sys.stdout.write(f"e2a {__version__}\n")
        raise SystemExit(0)

    def parseArgs(self, *args: Any) -> None:
        if args:
            raise usage.UsageError(f"unexpected argument: {args[0]}")

    def postOptions(self) -> None:
        self.settings = settings_or_exit(self["config"])


def with_secret(settings: Settings) -> Settings:
    """``settings`` with a deployment secret: in development one is made once and kept in the data directory.

    :raises SettingsError: the data directory cannot be used.
    """
    if settings.signing.hmac_secret:
        return settings
    path = Path(settings.data_dir, "hmac_secret")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        value = _kept_secret(path)
    except OSError as error:
        complaint = f"data_dir (E2A_DATA_DIR): the deployment secret cannot be kept in {path}: {error.strerror}"
        raise SettingsError([complaint]) from error
    return dataclasses.replace(settings, signing=dataclasses.replace(settings.signing, hmac_secret=value))


def _kept_secret(path: Path) -> str:
    """The file's secret, made now if there is none; of several processes that start at once one wins."""
    if not path.exists():
        draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(32) + "\n")
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(draft, path)
            except FileExistsError:
                pass
        finally:
            draft.unlink()
    value = path.read_text(encoding="ascii").strip()
    if len(value) < 32:
        raise SettingsError([f"the deployment secret in {path} is damaged; remove the file to have a new one made"])
    return value


def own_names(settings: Settings) -> OwnNames:
    """The deployment's names in stored spelling."""
    return OwnNames(
        shared=system_name(settings.shared_domain),
        smtp=system_name(settings.smtp.domain),
        sender=system_name(settings.outbound_smtp.from_domain),
    )


def sealer_of(settings: Settings) -> Sealer:
    """The deployment secret at work; ``settings`` have one (``options.with_secret``)."""
    return Sealer(settings.signing.hmac_secret, os.urandom, settings.signing.old_hmac_secrets)
