"""What the command says when something is not as it should be: never a traceback, always what to do next."""

from __future__ import annotations

import io
import json
import os
import sys
from typing import Any
from unittest import mock

import httpx
from click.testing import CliRunner, Result

from e2a.cli.main import main
from e2a.cli.session import Surroundings
from e2a.cli.urls import listing_of, path_of
from tests.cli.case import BOT, MESSAGE, CommandCase, problem

#: Commands that read their answers in different ways, each with what it asks.
COMMANDS = (
    ("GET /api/v1/agents", ("agents", "list")),
    ("GET /api/v1/domains", ("domains", "list")),
    ("GET /api/v1/audit", ("audit",)),
    ("GET /api/keys", ("keys", "list")),
    ("GET /api/v1/me", ("whoami",)),
    (f"GET {path_of('agents', BOT, 'messages')}", ("inbox", "--agent", BOT)),
    (f"GET {path_of('agents', BOT, 'messages', 'msg_1')}", ("read", "msg_1", "--agent", BOT)),
    ("POST /api/v1/send", ("send", "--to", "a@b.test", "--subject", "s", "--body", "b", "--agent", BOT)),
    ("POST /api/v1/messages/msg_1/approve", ("pending", "approve", "msg_1")),
)


class Answers(CommandCase):
    def test_other_shapes(self) -> None:
        """JSON of another shape, from whatever server it is, ends every command with a line and what to look at."""
        shapes: tuple[Any, ...] = ({"ok": True}, [1, 2], None, "hello", {"agents": [3], "messages": [{}], "domains": 1})
        for asked, words in COMMANDS:
            for shape in shapes:
                self.server.answers[asked] = httpx.Response(200, content=json.dumps(shape))
                self.failed(words)
            self.server.answers[asked] = httpx.Response(200, content=b"")
            self.failed(words)

    def failed(self, words: tuple[str, ...]) -> None:
        result = self.invoked(words)
        self.assertIn(result.exit_code, (1, 7), (words, result.output))
        self.assertRegex(result.stderr, r"\AError: .*\n.*e2a config get api_url.*\n\Z")
        self.assertEqual(result.stdout, "")

    def invoked(self, words: tuple[str, ...]) -> Result:
        surroundings = Surroundings(environ=self.environ, transport=httpx.MockTransport(self.server))
        return CliRunner().invoke(main, list(words), obj=surroundings, catch_exceptions=False)

    def test_fault(self) -> None:
        """A fault of the command's own is one line too, and E2A_TRACEBACK shows where it is."""
        self.server.answers["GET /api/v1/domains"] = {"domains": [{"domain": 3, "verified": True}]}
        with mock.patch("e2a.cli.domains._state", side_effect=LookupError("x")):
            self.assertIn("E2A_TRACEBACK=1", self.run_e2a("domains", "list", code=1).stderr)
            error = json.loads(self.run_e2a("whoami", "--json", code=4).stderr)["error"]
            self.assertEqual(error["exit_code"], 4)
            self.environ["E2A_TRACEBACK"] = "1"
            self.assertRaises(LookupError, self.invoked, ("domains", "list"))

    def test_page(self) -> None:
        """A web page that comes with an error status, as of a proxy, is named by its title."""
        page = "<html>\n<head><title>502 Bad\n Gateway</title></head><body>" + "x" * 5000
        self.server.answers["GET /api/v1/domains"] = httpx.Response(502, html=page)
        self.assertEqual(
            self.run_e2a("domains", "list", code=7).stderr,
            "Error: https://mail.test answered 502 with a web page: 502 Bad Gateway\n"
            "Is the URL right? See: e2a config get api_url\n",
        )

    def test_not_found(self) -> None:
        """Where something is not there, the command that lists what is there is named."""
        for path, listing in (
            (path_of("agents", BOT), "e2a agents list"),
            (path_of("agents", BOT, "messages"), "e2a agents list"),
            (path_of("agents", BOT, "messages", "msg_1", "reply"), f"e2a inbox --agent {BOT}"),
            (path_of("messages", "msg_1") + "?a=b", "e2a pending list --status all"),
            (path_of("domains", "a.test", "verify"), "e2a domains list"),
            ("/api/keys/key_1", "e2a keys list"),
            (path_of("send"), ""),
            (path_of("agents"), ""),
        ):
            self.assertEqual(listing_of(path), listing)
        result = self.run_e2a("read", "msg_1", "--agent", BOT, code=4)
        self.assertIn(f"What there is: e2a inbox --agent {BOT}\n", result.stderr)

    def test_field(self) -> None:
        """A refusal names the field at fault, once, and what helps where the command knows."""
        for detail, shown in (("not a valid name", "domain: not a valid name"), ("domain is odd", "domain is odd")):
            self.server.answers["POST /api/v1/domains"] = problem(400, detail, field="domain")
            result = self.run_e2a("domains", "register", "a b", code=5)
            self.assertTrue(result.stderr.startswith(f"Error: {shown}\n"), result.stderr)
        self.server.answers["POST /api/v1/send"] = problem(400, "from is not an agent of this account", field="from")
        send = ("send", "--to", "a@b.test", "--subject", "s", "--body", "b", "--agent", "other@corp.test")
        self.assertIn("e2a agents list", self.run_e2a(*send, code=5).stderr)

    def test_certificate(self) -> None:
        """A certificate that nobody vouches for, and http where https is meant, have their own advice."""
        for text, advice in (
            ("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate", "SSL_CERT_FILE"),
            ("[SSL: WRONG_VERSION_NUMBER] wrong version number", "http there instead of https"),
        ):
            self.server.answers["GET /api/v1/domains"] = httpx.ConnectError(text)
            with mock.patch("time.sleep"):
                self.assertIn(advice, self.run_e2a("domains", "list", code=7).stderr)

    def test_hostile(self) -> None:
        """Whatever a server says, in errors, warnings, results and JSON, moves no cursor of a terminal."""
        evil = "a\x1b]0;x\x07\x9b2J\u202eb"
        self.server.answers["GET /api/v1/domains"] = problem(409, evil)
        refused = {"address": evil, "state": "failed", "code": 550, "reply": evil}
        sent = {"status": "queued", "message_id": evil, "recipients": [refused]}
        self.server.answers["POST /api/v1/send"] = sent
        self.server.answers[f"GET {path_of('agents', BOT, 'messages', 'msg_1')}"] = {**MESSAGE, "text": evil}
        send = ("send", "--to", "a@b.test", "--subject", "s", "--body", "b", "--agent", BOT)
        read = ("read", "msg_1", "--agent", BOT)
        shown = [self.run_e2a("domains", "list", code=5).output, self.run_e2a(*send).output, self.run_e2a(*read).output]
        shown += [self.run_e2a("domains", "list", "--json", code=5).output]
        as_json = [self.run_e2a(*send, "--json").stdout, self.run_e2a(*read, "--json").stdout]
        for text in shown + as_json:
            for char in "\x1b\x07\x9b\u202e":
                self.assertNotIn(char, text)
        self.assertEqual(json.loads(as_json[0])["recipients"][0]["reply"], evil)
        self.assertEqual(json.loads(as_json[1])["text"], evil)


class Input(CommandCase):
    def test_no_text(self) -> None:
        """Arguments and standard input that are no text in UTF-8 are usage errors, before anything is asked."""
        broken = os.fsdecode(b"\xff")
        for words in (
            ("read", broken, "--agent", BOT),
            ("inbox", "--agent", broken),
            ("send", "--to", broken, "--subject", "s", "--body", "b", "--agent", BOT),
            ("whoami", "--key", broken),
        ):
            self.assertIn("UTF-8", self.run_e2a(*words, code=2).stderr)
        surroundings = Surroundings(environ=self.environ, transport=httpx.MockTransport(self.server))
        words = ("send", "--to", "a@b.test", "--subject", "s", "--body", "-", "--agent", BOT)
        result = CliRunner().invoke(main, list(words), obj=surroundings, input=b"a\xff", catch_exceptions=False)
        self.assertEqual((result.exit_code, self.server.asked), (2, []))
        self.assertIn("--attach", result.stderr)

    def test_urls(self) -> None:
        """A host that cannot be one is no URL of a server."""
        for url in ("http://a..b", "http://exa mple", "http://" + "a" * 64 + ".test"):
            self.assertIn("not the URL of a server", self.run_e2a("whoami", "--url", url, code=2).stderr)


class Output(CommandCase):
    def test_full(self) -> None:
        """Output that cannot be written ends the command with the reason."""
        self.server.answers["GET /api/v1/domains"] = {"domains": [{"domain": "a.test", "verified": True}]}
        full = OSError(28, "No space left on device")
        with mock.patch("e2a.cli.output.Output.line", side_effect=full):
            self.assertEqual(self.run_e2a("domains", "list", code=1).stderr, "Error: No space left on device\n")

    def test_other_encoding(self) -> None:
        """On a terminal of another encoding a text is shown as far as it goes, and JSON says everything."""
        self.server.answers[f"GET {path_of('agents', BOT, 'messages', 'msg_1')}"] = {**MESSAGE, "subject": "é日"}
        surroundings = Surroundings(environ=self.environ, transport=httpx.MockTransport(self.server))
        for words, expected in (((), b"Subject:    \xe9?\n"), (("--json",), b'"subject": "\\u00e9\\u65e5"')):
            written = io.BytesIO()
            with mock.patch.object(sys, "stdout", io.TextIOWrapper(written, "latin-1", newline="\n")):
                arguments = ["read", "msg_1", "--agent", BOT, *words]
                main.main(arguments, obj=surroundings, standalone_mode=False)
                sys.stdout.flush()
                self.assertIn(expected, written.getvalue())
