"""One program of the TypeScript client on every platform that is on this machine: Node, Deno, Bun and a page."""

from __future__ import annotations

import os
import shutil
from typing import Any
from urllib.parse import urlsplit

from tests.support.browser import BrowserCase
from tests.support.ports import free_port
from tests.support.typescript import MISSING, NODE, PACKAGE, TypeScriptCase, installed, run

WELL = "everywhere: all well"
PROGRAMS = PACKAGE / "test" / "package"
#: Where a page finds what it imports, as a bundler would.
IMPORTS = {
    "@e2a/sdk": "@e2a/sdk/dist/index.js",
    "@noble/hashes/crypto": "@noble/hashes/esm/crypto.js",
    "@noble/hashes/hmac": "@noble/hashes/esm/hmac.js",
    "@noble/hashes/sha2": "@noble/hashes/esm/sha2.js",
    "@noble/hashes/utils": "@noble/hashes/esm/utils.js",
    "postal-mime": "postal-mime/dist/esm/postal-mime.js",
}
#: How a page uses it: the result, or what went wrong.
SCRIPT = """async ({ imports, where }) => {
  const map = document.createElement("script");
  map.type = "importmap";
  map.textContent = JSON.stringify({ imports });
  document.head.append(map);
  const work = (async () => {
    const [sdk, { everywhere }] = await Promise.all([import("@e2a/sdk"), import("/client/everywhere.js")]);
    return everywhere(sdk, { ...where, subtle: crypto.subtle, baseUrl: location.origin });
  })();
  const late = new Promise((resolve) => setTimeout(resolve, 60_000, "it took over 60 s"));
  return Promise.race([work, late]).catch((error) => String(error.stack));
}"""


def program(name: str, variable: str) -> tuple[str, str | None]:
    """Where a platform's program is, and why there is none."""
    found = os.environ.get(variable) or shutil.which(name)
    return found or "", None if found else f"no {name} on this machine: set {variable} or put it on PATH"


DENO, NO_DENO = program("deno", "E2A_TEST_DENO")
BUN, NO_BUN = program("bun", "E2A_TEST_BUN")


class RuntimeTests(TypeScriptCase):
    def check(self, *command: str) -> None:
        daemon, api = self.started()
        project = installed(self.directory)
        for name in ("everywhere.js", "runtime.js"):
            shutil.copy(PROGRAMS / name, project)
        variables = {
            "E2A_URL": daemon.url,
            "E2A_API_KEY": api.key,
            "E2A_WEBHOOK_SECRET": api.secret(),
            "NAME": "everywhere",
            "AWAY": f"http://127.0.0.1:{free_port()}",
        }
        output = run(command[0], project, *command[1:], "runtime.js", environment=variables)
        self.assertEqual(output.strip(), WELL)

    def test_node(self) -> None:
        """In Node."""
        assert NODE
        self.check(NODE)

    def test_deno(self) -> None:
        """In Deno, with leave to use the network, the environment and the project's files only."""
        self.check(DENO, "run", "--allow-net=127.0.0.1", "--allow-env", "--allow-read=.", "--no-prompt")

    def test_bun(self) -> None:
        """In Bun."""
        self.check(BUN, "run")


RuntimeTests.test_deno.skip = MISSING or NO_DENO  # type: ignore[attr-defined]
RuntimeTests.test_bun.skip = MISSING or NO_BUN  # type: ignore[attr-defined]


class PageTests(TypeScriptCase, BrowserCase):
    def test_page(self) -> None:
        """In a page of the daemon's own address, with nothing but the package's files as they are packed."""
        daemon, api = self.started()
        modules = installed(self.directory) / "node_modules"

        def answer(route: Any) -> None:
            name = urlsplit(route.request.url).path.removeprefix("/client/")
            file = PROGRAMS / name if name == "everywhere.js" else modules / name
            route.fulfill(path=file, content_type="text/javascript")

        self.page.route(f"{daemon.url}/client/**", answer)
        # What the browser says of the listener that is refused, of the message that is not there, and of the call
        # that is given no time.
        self.expect_complaint(r"nobody%40agents\.test/ws|/messages/msg_unknown")
        # A page that no policy restricts, from the daemon itself: the browser lets it open sockets to this machine.
        self.page.goto(f"{daemon.url}/api/v1/info")
        where = {"apiKey": api.key, "secret": api.secret(), "name": "page"}
        imports = {name: f"/client/{path}" for name, path in IMPORTS.items()}
        self.assertEqual(self.page.evaluate(SCRIPT, {"imports": imports, "where": where}), WELL)
