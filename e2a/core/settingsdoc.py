"""The two documents made from the declaration of settings: the example file and the reference table.

``python -m e2a.core.settingsdoc example`` or ``reference`` prints one of them.
"""

from __future__ import annotations

import sys
import textwrap
from itertools import groupby
from typing import Any

from .settings import Key, keys, sections

_EXAMPLE_HEAD = """\
# e2a configuration. Every key, its default and its environment variable.
#
# The environment wins over this file; an empty variable stands for the default. Everything is optional in development.
# The daemon reads the file named by --config, else ./config.yaml, else /etc/e2a/config.yaml, else the environment
# alone.
"""

_REFERENCE_HEAD = """\
# Configuration

Every setting has a key in the YAML file and an environment variable. A non-empty variable wins over the file, the file
over the default; an empty variable stands for the default. The file is the one named by `--config` (it must exist),
else `./config.yaml`, else `/etc/e2a/config.yaml`, else none. A `.env` file is not read. Lists are YAML lists or
comma-separated text.

The daemon refuses to start with unknown keys, values of the wrong type and combinations that cannot work: it names all
of them on standard error and exits with status 1. Unknown `E2A_*` variables are named in the log and ignored.
`deploy/config.example.yaml` is a file to start from.
"""

_REFERENCE_TAIL = """\
## Production mode

With `env: production` the daemon does not start without

- `database.url`, on a PostgreSQL whose `fsync`, `full_page_writes` and `synchronous_commit` are on,
- `signing.hmac_secret` of at least 32 random bytes,
- `smtp.tls_cert` and `smtp.tls_key`,
- an `https://` `http.public_url`,
- a real `smtp.domain`.

Webhook endpoints must then be `https`, with a host name that resolves to public addresses only, and a domain counts as
verified only when its DNS proves it. In development domains are verified without a proof, and `http` and loopback
webhooks are allowed.
"""


def _shown(default: Any) -> str:
    match default:
        case bool():
            return str(default).lower()
        case tuple():
            return "[]"
        case str():
            return f'"{default}"'
        case _:
            return str(default)


def _comment(item: Key, indent: str) -> list[str]:
    machine = f" Default: {item.shown}." if item.shown else ""
    body = f"{item.doc.replace('`', '')}{machine} [{item.env}]"
    return textwrap.wrap(
        body, 110, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ", break_on_hyphens=False
    )


def example() -> str:
    """``deploy/config.example.yaml``: loading it gives exactly the defaults."""
    about = {name: cls.__doc__ or "" for name, cls in sections()}
    lines = [_EXAMPLE_HEAD]
    for section, items in groupby(keys(), key=lambda item: item.section):
        indent = "  " if section else ""
        if section:
            lines += [f"# {about[section]}", f"{section}:"]
        for item in items:
            lines += [*_comment(item, indent), f"{indent}{item.name}: {_shown(item.default)}"]
            if not section:
                lines.append("")
        if section:
            lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def reference() -> str:
    """``docs/configuration.md``."""
    about = {name: cls.__doc__ or "" for name, cls in sections()}
    lines = [_REFERENCE_HEAD]
    for section, items in groupby(keys(), key=lambda item: item.section):
        lines += [f"## `{section}`: {about[section]}" if section else "## Top level", ""]
        lines += ["| key | environment | default | meaning |", "|---|---|---|---|"]
        for item in items:
            default = item.shown or ("" if item.default in ("", ()) else f"`{_shown(item.default).strip(chr(34))}`")
            lines.append(f"| `{item.path}` | `{item.env}` | {default} | {item.doc} |")
        lines.append("")
    return "\n".join([*lines, _REFERENCE_TAIL])


if __name__ == "__main__":
    sys.stdout.write({"example": example, "reference": reference}[sys.argv[1]]())
