"""``~/.e2a/config.json``: where the server is, the key, and the agent that is meant when none is named."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import CommandError

#: A daemon on this machine with its default settings. A key never goes to a host that was not named.
DEFAULT_URL = "http://localhost:8080"

#: The known keys, in the order of `e2a config list`, with the variable that overrides each.
KEYS = {
    "api_key": "E2A_API_KEY",
    "api_url": "E2A_URL",
    "agent_email": "",
    "shared_domain": "E2A_SHARED_DOMAIN",
}
_DEFAULTS = {"api_url": DEFAULT_URL}


def default_path(environ: Mapping[str, str]) -> Path:
    home = environ.get("HOME") or environ.get("USERPROFILE")
    return (Path(home) if home else Path.home()) / ".e2a" / "config.json"


@dataclass(slots=True)
class Config:
    """The file's values below the environment's.

    :ivar stored: what the file holds; members that this version does not know are kept as they are.
    """

    path: Path
    environ: Mapping[str, str]
    stored: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, environ: Mapping[str, str], path: Path | None = None) -> Config:
        """:raises CommandError: the file is there and cannot be read."""
        path = path or default_path(environ)
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            stored = {}
        except (OSError, ValueError) as error:
            raise CommandError(
                f"the configuration {path} cannot be read: {error}", hint="Mend it, or remove it and run: e2a login"
            ) from error
        if not isinstance(stored, dict):
            raise CommandError(f"the configuration {path} is not a JSON object", hint="Remove it and run: e2a login")
        return cls(path, environ, stored)

    def get(self, key: str) -> str:
        """The value that counts: variable, file, default; empty when there is none."""
        variable = KEYS[key]
        if variable and self.environ.get(variable):
            return self.environ[variable]
        value = self.stored.get(key)
        if isinstance(value, str) and value:
            return value
        return _DEFAULTS.get(key, "")

    @property
    def agent(self) -> str:
        """The agent that is meant when a command names none: the file's, else ``E2A_AGENT_EMAIL``."""
        return self.get("agent_email") or self.environ.get("E2A_AGENT_EMAIL", "")

    def set(self, key: str, value: str) -> None:
        """Change one value; an empty one, or the default, removes it. :meth:`save` writes it down."""
        if value and value != _DEFAULTS.get(key):
            self.stored[key] = value
        else:
            self.stored.pop(key, None)

    def discovered(self, key: str, value: str) -> None:
        """Keep what a server said, unless a variable rules it anyway."""
        if not self.environ.get(KEYS[key] or "\0"):
            self.set(key, value)

    def save(self) -> None:
        """Replace the file as a whole; only its owner may read it.

        :raises CommandError: it cannot be written.
        """
        directory = self.path.parent
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            # The key is in here: a directory that others can list gives away when it changes.
            with contextlib.suppress(OSError):
                directory.chmod(0o700)
            # mkstemp makes the file with mode 0600.
            handle, name = tempfile.mkstemp(dir=directory, prefix=".config-", suffix=".json")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump(self.stored, file, indent=2, ensure_ascii=False)
                    file.write("\n")
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(name, self.path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(name)
                raise
        except OSError as error:
            raise CommandError(f"the configuration {self.path} cannot be written: {error}") from error
