"""Write ``openapi.json`` beside ``package.json``: the API's document as this checkout builds it, for generated types.

``python scripts/openapi.py`` writes; ``--check`` only says whether what is committed is current. No daemon is needed,
but the package's ``server`` extra is.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
SNAPSHOT = Path(__file__).resolve().parents[1] / "openapi.json"

sys.path.insert(0, str(CHECKOUT))

import e2a.api  # noqa: E402
from e2a.api.openapi import document  # noqa: E402
from e2a.api.routing import Route, routes_of  # noqa: E402


def routes() -> Iterator[Route]:
    """Every route that a resource class of ``e2a.api`` declares."""
    for module in pkgutil.iter_modules(e2a.api.__path__):
        loaded = importlib.import_module(f"e2a.api.{module.name}")
        for _, kind in inspect.getmembers(loaded, inspect.isclass):
            declares = any(hasattr(value, "__e2a_routes__") for value in vars(kind).values())
            if declares and kind.__module__ == loaded.__name__:
                # Declarations belong to the class: nothing that an instance would need is asked for.
                yield from (declared for declared, _ in routes_of(object.__new__(kind)))


def built() -> str:
    """The document as text. Versions and addresses of a deployment are left out: types do not depend on them."""
    return json.dumps(document(routes(), version="v1", server=""), indent=2, sort_keys=True) + "\n"


def main() -> int:
    text = built()
    if "--check" not in sys.argv[1:]:
        SNAPSHOT.write_text(text, "utf-8")
        return 0
    if SNAPSHOT.read_text("utf-8") != text:
        sys.stderr.write(f"{SNAPSHOT.name} is not current: run `npm run generate` in sdks/typescript\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
