"""What to do next, ready to paste, for somebody who has just started e2a for the first time."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping

from ..core.settings import Settings

_TEXT = """
e2a is running, and nobody uses it yet. Paste this into another terminal of this machine:

  # a user and an API key{same}
  export E2A_API_KEY=$({bootstrap} | sed -n 's/^API key: *//p')
  api() {{ curl -sS -H "Authorization: Bearer $E2A_API_KEY" "$@"; }}

  # {what}
{register}

  # send it a mail
  printf 'From: me@example.com\\r\\nTo: {address}\\r\\nSubject: Hello\\r\\n\\r\\nCan you read this?\\r\\n' |
    curl -sS smtp://{smtp} --mail-from me@example.com --mail-rcpt {address} -T -

  # read it
  api {http}/api/v1/agents/{address}/messages

"""
_SLUG = """\
  api -d '{{"slug":"bot","agent_mode":"local"}}' {http}/api/v1/agents"""
_DOMAIN = """\
  api -d '{{"domain":"agents.example.org"}}' {http}/api/v1/domains
  api -X POST {http}/api/v1/domains/agents.example.org/verify
  api -d '{{"email":"bot@agents.example.org","agent_mode":"local"}}' {http}/api/v1/agents"""


def welcome(settings: Settings, smtp_port: int, http_port: int, environ: Mapping[str, str], config: str | None) -> str:
    """The text.

    :param environ: what the daemon was started with: the part of it that ``e2a bootstrap`` needs as well is repeated.
    :param config: the configuration file named on the command line.
    """
    http = f"http://localhost:{http_port}"
    address = f"bot@{settings.shared_domain or 'agents.example.org'}"
    return _TEXT.format(
        bootstrap=" ".join([*_exports(environ), _command(), "bootstrap", *_option(config), "you@example.com"]),
        same=_same(environ),
        what="an agent" if settings.shared_domain else "a domain (proved at once in development) and an agent",
        register=(_SLUG if settings.shared_domain else _DOMAIN).format(http=http),
        address=address,
        smtp=f"localhost:{smtp_port}",
        http=http,
    )


def _same(environ: Mapping[str, str]) -> str:
    """What the other terminal must have and a screen must not show."""
    names = [name for name in ("E2A_DATABASE_URL", "E2A_HMAC_SECRET") if environ.get(name)]
    return f" (export the daemon's {' and '.join(names)} first)" if names else ""


def _command() -> str:
    beside = os.path.join(os.path.dirname(sys.executable), "e2a")
    return shlex.quote(beside) if os.path.exists(beside) else "e2a"


def _option(config: str | None) -> list[str]:
    return ["--config", shlex.quote(os.path.abspath(config))] if config else []


def _exports(environ: Mapping[str, str]) -> list[str]:
    names = [name for name in ("E2A_DATA_DIR", "XDG_DATA_HOME") if environ.get(name)]
    return [f"{name}={shlex.quote(os.path.abspath(environ[name]))}" for name in names]
