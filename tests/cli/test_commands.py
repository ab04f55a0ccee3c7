"""The commands: what they ask, what they print, how they end."""

from __future__ import annotations

import json

import httpx
from click.shell_completion import ShellComplete

from e2a.cli.main import main
from tests.cli.case import BOT, MESSAGE, CommandCase, problem

AGENT = {
    "id": BOT,
    "email": BOT,
    "name": "",
    "webhook_url": "",
    "agent_mode": "local",
    "hitl_enabled": False,
    "hitl_ttl_seconds": 604_800,
    "hitl_expiration_action": "reject",
}
MESSAGES = f"/api/v1/agents/{BOT.replace('@', '%40')}/messages"
SENT = {"status": "sent", "message_id": "msg_9", "provider_message_id": "<9@x>", "recipients": []}
HELD = {
    "id": "msg_2",
    "agent_id": BOT,
    "subject": "Offer",
    "type": "send",
    "to": ["ana@corp.test"],
    "cc": ["c@corp.test"],
    "status": "pending_approval",
    "approval_expires_at": "2020-01-01T00:00:00Z",
    "body_text": "Hello\r\n",
    "body_html": "<p>Hello</p>",
    "attachments": [{"index": 0, "filename": "a.pdf", "size": 3}],
    "recipients": [],
    "edited": False,
}


class Agents(CommandCase):
    def test_list(self) -> None:
        """Agents come one a line, over all pages, with their mode and which one is active."""
        second = {**AGENT, "email": "two@agents.test", "agent_mode": "cloud"}
        self.environ["E2A_AGENT_EMAIL"] = BOT
        self.server.answers["GET /api/v1/agents"] = [{"agents": [AGENT], "next_token": "t"}, {"agents": [second]}]
        self.assertEqual(self.run_e2a("agents", "list").stdout, f"{BOT}  local (active)\ntwo@agents.test  cloud\n")
        self.assertEqual(self.server.lines[1], "GET /api/v1/agents?token=t")

    def test_none(self) -> None:
        """Where there is no agent, the next step is named on standard error."""
        self.server.answers["GET /api/v1/agents"] = {"agents": []}
        result = self.run_e2a("agents", "list")
        self.assertEqual((result.stdout, "e2a agents register" in result.stderr), ("", True))

    def test_register(self) -> None:
        """A slug or an address is registered in local mode, with a webhook in cloud mode, and becomes the default."""
        self.server.answers["POST /api/v1/agents"] = httpx.Response(201, json={"id": BOT, "email": BOT})
        self.assertEqual(self.run_e2a("agents", "register", "bot", "--name", "Bot").stdout, f"Registered: {BOT}\n")
        self.assertEqual(self.server.body(), {"slug": "bot", "name": "Bot", "agent_mode": "local"})
        self.assertEqual(json.loads(self.config.read_text()), {"agent_email": BOT})
        self.run_e2a("agents", "register", "bot@corp.test", "--webhook-url", "https://x.test/")
        wanted = {"email": "bot@corp.test", "agent_mode": "cloud", "webhook_url": "https://x.test/"}
        self.assertEqual(self.server.body(), wanted)

    def test_update(self) -> None:
        """Only what is given is sent; a slug is one of the shared domain; nothing given is a usage error."""
        self.server.answers["PUT /api/v1/agents/bot%40agents.test"] = {**AGENT, "hitl_enabled": True}
        self.server.answers["GET /api/v1/info"] = {"shared_domain": "agents.test"}
        shown = self.run_e2a("agents", "update", "bot", "--hitl", "--hitl-ttl", "60").stdout
        self.assertEqual(self.server.body(), {"hitl_enabled": True, "hitl_ttl_seconds": 60})
        self.assertIn("enabled · 604800s · auto-reject", shown)
        self.run_e2a("agents", "update", "bot", "--no-hitl", "--hitl")
        self.run_e2a("agents", "update", "bot", code=2)

    def test_delete(self) -> None:
        """Deleting the active agent forgets it."""
        self.config.parent.mkdir()
        self.config.write_text(json.dumps({"agent_email": BOT, "colour": "blue"}))
        self.server.answers["DELETE /api/v1/agents/bot%40agents.test"] = {"status": "deleted"}
        self.assertEqual(self.run_e2a("agents", "delete", BOT).stdout, f"Deleted: {BOT}\n")
        self.assertEqual(json.loads(self.config.read_text()), {"colour": "blue"})


class WhichAgent(CommandCase):
    def test_order(self) -> None:
        """The option goes before the configuration, that before the environment, and the only agent is enough."""
        listing = {"messages": []}
        for name in ("a", "b", "c", "d"):
            self.server.answers[f"GET /api/v1/agents/{name}%40x.test/messages"] = listing
        self.server.answers["GET /api/v1/agents"] = {"agents": [{**AGENT, "email": "d@x.test"}]}
        self.run_e2a("inbox")
        self.environ["E2A_AGENT_EMAIL"] = "c@x.test"
        self.run_e2a("inbox")
        self.config.parent.mkdir()
        self.config.write_text('{"agent_email": "b@x.test"}')
        self.run_e2a("inbox")
        self.run_e2a("inbox", "--agent", "a@x.test")
        used = [line.split("/")[4].partition("%")[0] for line in self.server.lines if "/messages" in line]
        self.assertEqual(used, ["d", "c", "b", "a"])

    def test_choice(self) -> None:
        """Of several agents none is guessed."""
        self.server.answers["GET /api/v1/agents"] = {"agents": [AGENT, AGENT]}
        self.assertIn("--agent", self.run_e2a("inbox", code=2).stderr)


class Mail(CommandCase):
    def setUp(self) -> None:
        super().setUp()
        self.environ["E2A_AGENT_EMAIL"] = BOT

    def test_inbox(self) -> None:
        """The list is a table with whole ids, cut senders and subjects, and the way to the next page."""
        long = {
            **MESSAGE,
            "message_id": "msg_2",
            "from": "a-very-long-local-part@corp.test",
            "subject": "\x1b[31mred" * 9,
            "verified": None,
        }
        self.server.answers[f"GET {MESSAGES}"] = {"messages": [MESSAGE, long], "next_token": "tok"}
        result = self.run_e2a("inbox", "--unread", "--limit", "2", "--from", "ana@corp.test")
        head, first, second, last = result.stdout.splitlines()
        self.assertEqual(head.split(), ["ID", "FROM", "SUBJECT", "RECEIVED", "VERIFIED"])
        self.assertTrue(first.startswith("msg_1  ana@corp.test") and first.endswith(f"{MESSAGE['created_at']}  yes"))
        self.assertTrue(second.endswith("—"), second)
        self.assertIn("a-very-long-local-part@c…", second)
        self.assertNotIn("\x1b", second)
        self.assertEqual(last, "2 messages (use --token tok for next page)")
        self.assertEqual(self.server.lines, [f"GET {MESSAGES}?status=unread&from=ana%40corp.test&page_size=2"])

    def test_inbox_json(self) -> None:
        """--json gives what the server said, over as many pages as the limit needs."""
        self.server.answers[f"GET {MESSAGES}"] = [
            {"messages": [MESSAGE] * 100, "next_token": "a"},
            {"messages": [MESSAGE]},
        ]
        found = json.loads(self.run_e2a("inbox", "--json", "--limit", "150").stdout)
        self.assertEqual((len(found["messages"]), found["messages"][0]), (101, MESSAGE))
        self.assertTrue(self.server.lines[1].endswith("status=all&page_size=50&token=a"), self.server.lines)

    def test_empty(self) -> None:
        """An empty inbox says so."""
        self.server.answers[f"GET {MESSAGES}"] = {"messages": []}
        self.assertEqual(self.run_e2a("inbox").stdout, "No messages.\n")

    def test_read(self) -> None:
        """A message is shown with labels, a blank line and its text; --keep-unread does not mark it."""
        self.server.answers[f"GET {MESSAGES}/msg_1"] = MESSAGE
        head, _, text = self.run_e2a("read", "msg_1").stdout.partition("\n\n")
        labels = [line.partition(":")[0] for line in head.splitlines()]
        self.assertEqual(labels, ["Message ID", "From", "To", "Also-To", "Cc", "Date", "Subject", "Verified"])
        self.assertEqual(text, "How are you?\n")
        self.assertIn("yes (spf=pass; dkim=pass)", head)
        self.run_e2a("read", "msg_1", "--keep-unread")
        self.assertEqual(self.server.lines, [f"GET {MESSAGES}/msg_1", f"GET {MESSAGES}/msg_1?mark_read=false"])

    def test_raw(self) -> None:
        """--raw gives the message's octets, unchanged."""
        self.server.answers[f"GET {MESSAGES}/msg_1/raw"] = httpx.Response(200, content=b"a\r\n\xff\x1b")
        self.assertEqual(self.run_e2a("read", "msg_1", "--raw").stdout_bytes, b"a\r\n\xff\x1b")

    def test_send(self) -> None:
        """A message goes out once, with an Idempotency-Key, its files and the text of standard input."""
        file = self.home / "a.txt"
        file.write_bytes(b"octets")
        self.server.answers["POST /api/v1/send"] = SENT
        arguments = ("send", "--to", "ana@corp.test", "--cc", "b@corp.test", "--subject", "Hi", "--body", "-")
        result = self.run_e2a(*arguments, "--attach", str(file), stdin="Text")
        self.assertEqual((result.stdout, result.stderr), ("Sent: msg_9\n", ""))
        attached = {"filename": "a.txt", "content_type": "text/plain", "data": "b2N0ZXRz"}
        wanted = {"from": BOT, "to": ["ana@corp.test"], "cc": ["b@corp.test"], "subject": "Hi", "body": "Text"}
        self.assertEqual(self.server.body(), {**wanted, "attachments": [attached]})
        self.assertEqual(len(self.server.asked[0].headers["Idempotency-Key"]), 32)

    def test_held(self) -> None:
        """Of a held message the id is the result; that it is held is said beside it."""
        held = {**SENT, "status": "pending_approval", "approval_expires_at": "2999-01-01T00:00:00Z"}
        self.server.answers[f"POST {MESSAGES}/msg_1/reply"] = httpx.Response(202, json=held)
        result = self.run_e2a("reply", "msg_1", "--body", "Yes", "--reply-all")
        self.assertEqual(result.stdout, "Sent: msg_9\n")
        self.assertIn("Held until a person approves it", result.stderr)
        self.assertEqual(self.server.body(), {"body": "Yes", "reply_all": True})

    def test_usage(self) -> None:
        """A message without recipient or text is a usage error, before anything is asked."""
        self.run_e2a("send", "--subject", "Hi", "--body", "x", code=2)
        self.run_e2a("send", "--subject", "Hi", "--to", "a@b.test", code=2)
        self.run_e2a("reply", "msg_1", code=2)
        self.run_e2a("read", "..", code=2)
        self.assertEqual(self.server.asked, [])

    def test_wait(self) -> None:
        """Waiting asks until something comes; when nothing does, the command ends with 8."""
        found = {"message": MESSAGE, "cursor": 7}
        self.server.answers[f"GET {MESSAGES}/wait"] = [httpx.Response(204), found]
        shown = self.run_e2a("wait", "--subject", "question").stdout
        self.assertIn("msg_1", shown)
        self.assertRegex(shown, r"Verified: +yes\n")
        self.assertEqual(len(self.server.asked), 2)
        self.server.answers[f"GET {MESSAGES}/wait"] = httpx.Response(204)
        self.run_e2a("wait", "--timeout", "0", code=8)

    def test_attachments(self) -> None:
        """Attachments are saved under safe names, beside what is there already, without marking the message."""
        names = ("../../etc/passwd", "a.pdf")
        listed = [{"index": i, "filename": name, "content_type": "x/y", "size": 2} for i, name in enumerate(names)]
        self.server.answers[f"GET {MESSAGES}/msg_1"] = {**MESSAGE, "attachments": listed}
        for index in (0, 1):
            self.server.answers[f"GET {MESSAGES}/msg_1/attachments/{index}"] = httpx.Response(200, content=b"hi")
        target = self.home / "files"
        for _ in range(2):
            self.run_e2a("attachments", "save", "msg_1", "--dir", str(target))
        self.assertEqual(sorted(path.name for path in target.iterdir())[-2:], ["a-2.pdf", "a.pdf"])
        self.assertEqual({path.read_bytes() for path in target.iterdir()}, {b"hi"})
        self.assertEqual(len(list(self.home.rglob("*passwd*"))), 2)
        self.assertTrue(all("mark_read=false" in line for line in self.server.lines if line.endswith("msg_1")))
        self.run_e2a("attachments", "save", "msg_1", "5", code=4)


class Pending(CommandCase):
    def setUp(self) -> None:
        super().setUp()
        self.server.answers["GET /api/v1/messages"] = {"messages": [HELD]}
        self.server.answers["GET /api/v1/messages/msg_2"] = HELD
        approved = {**SENT, "message_id": "msg_2", "edited": False}
        self.server.answers["POST /api/v1/messages/msg_2/approve"] = approved

    def editor(self, *edits: str) -> None:
        """An editor that replaces texts in the form."""
        script = self.home / "editor.sh"
        script.write_text("#!/bin/sh\n" + "".join(f"sed -i '{edit}' \"$1\"\n" for edit in edits))
        script.chmod(0o700)
        self.environ["EDITOR"] = str(script)

    def test_list(self) -> None:
        """What is held comes one a line, with recipients, subject and the time left."""
        shown = self.run_e2a("pending", "list").stdout
        self.assertEqual(shown, f'msg_2  {BOT} → ana@corp.test, c@corp.test  "Offer"  expired\n')
        self.server.answers["GET /api/v1/messages"] = {"messages": []}
        self.assertEqual(self.run_e2a("pending", "list").stdout, "No messages pending approval.\n")

    def test_show(self) -> None:
        """A held message is shown with its recipients, texts and files."""
        shown = self.run_e2a("pending", "show", "msg_2").stdout
        for part in ("Agent:", "Expires: 2020-01-01", "\nHello\n", "<p>Hello</p>", "Attachments: a.pdf"):
            self.assertIn(part, shown)

    def test_approve(self) -> None:
        """Approving sends no edits unless there are some."""
        self.assertEqual(self.run_e2a("pending", "approve", "msg_2").stdout, "Approved: msg_2 → <9@x>\n")
        self.assertEqual(self.server.body(), {})

    def test_edit(self) -> None:
        """Only what was changed in the editor is sent; a changed text drops the HTML that no longer says the same."""
        self.editor("s/Offer/Better offer/", "s/^Cc:.*/Cc:/")
        self.run_e2a("pending", "approve", "msg_2", "--edit")
        self.assertEqual(self.server.body(), {"subject": "Better offer", "cc": []})
        self.editor("s/^Hello/Good day/")
        self.run_e2a("pending", "approve", "msg_2", "--edit")
        self.assertEqual(self.server.body(), {"body_text": "Good day\n", "body_html": ""})
        self.editor()
        self.run_e2a("pending", "approve", "msg_2", "--edit")
        self.assertEqual(self.server.body(), {})

    def test_editor_says_no(self) -> None:
        """An emptied or broken form, and an editor that fails, approve nothing."""
        self.editor("d")
        self.run_e2a("pending", "approve", "msg_2", "--edit", code=1)
        self.editor("s/^To:/Tow:/")
        self.assertIn("nothing was approved", self.run_e2a("pending", "approve", "msg_2", "--edit", code=2).stderr)
        self.environ["EDITOR"] = "false"
        self.run_e2a("pending", "approve", "msg_2", "--edit", code=1)
        self.environ["EDITOR"] = "/no/such/editor"
        self.run_e2a("pending", "approve", "msg_2", "--edit", code=2)
        self.assertFalse(any(line.startswith("POST") for line in self.server.lines))

    def test_reject(self) -> None:
        """Rejecting passes the reason on."""
        done = {"status": "rejected", "message_id": "msg_2", "rejection_reason": "no"}
        self.server.answers["POST /api/v1/messages/msg_2/reject"] = done
        self.assertEqual(self.run_e2a("pending", "reject", "msg_2", "--reason", "no").stdout, "Rejected: msg_2\n")
        self.assertEqual(self.server.body(), {"reason": "no"})


class Others(CommandCase):
    def test_domains(self) -> None:
        """A claim shows its records in the documented form; a check shows what DNS says of each;
        another DKIM key is shown beside the others."""
        records = {
            "mx": {"host": "@", "value": "mx.test", "priority": 10},
            "txt": {"host": "@", "value": "e2a-verify=1"},
            "dkim": {"host": "k._domainkey", "value": "v=DKIM1", "active": False},
        }
        made = {"domain": "corp.test", "verified": False, "dns_records": records}
        self.server.answers["POST /api/v1/domains"] = httpx.Response(201, json=made)
        lines = self.run_e2a("domains", "register", "corp.test").stdout.splitlines()
        self.assertEqual(
            lines,
            [
                "corp.test  unverified",
                "MX  @  mx.test  (priority 10)",
                "TXT  @  e2a-verify=1",
                "TXT  k._domainkey  v=DKIM1",
            ],
        )
        report = {"purpose": "mx", "type": "MX", "name": "corp.test", "expected": "mx.test", "status": "mismatch"}
        report |= {"found": ["other.test"], "hint": "Change it."}
        self.server.answers["GET /api/v1/domains/corp.test"] = {**made, "records": [report]}
        shown = self.run_e2a("domains", "check", "corp.test").stdout
        self.assertIn("mx: mismatch", shown)
        self.assertIn("DNS has: other.test", shown)
        waiting = {"host": "n._domainkey", "value": "v=DKIM1; p=b", "active": False, "state": "pending"}
        former = {"host": "k._domainkey", "value": "v=DKIM1; p=a", "active": False, "state": "retiring"}
        former["removable_at"] = "2026-11-28T00:00:00Z"
        rotated = {**made, "dkim_keys": [waiting, former]}
        self.server.answers["POST /api/v1/domains/corp.test/dkim/rotate"] = rotated
        done = self.run_e2a("domains", "rotate-key", "corp.test")
        self.assertEqual(
            done.stdout.splitlines(),
            [
                "pending: TXT  n._domainkey  v=DKIM1; p=b",
                "retiring: TXT  k._domainkey  v=DKIM1; p=a",
                "  Leave it in DNS until 2026-11-28T00:00:00Z",
            ],
        )
        self.assertIn("e2a domains verify corp.test", done.stderr)
        self.server.answers["POST /api/v1/domains/corp.test/verify"] = {"domain": "corp.test", "verified": False}
        hint = self.run_e2a("domains", "verify", "corp.test")
        self.assertEqual((hint.stdout, "Not verified yet" in hint.stderr), ("", True))

    def test_keys(self) -> None:
        """A key is made with what is asked for; a short time means from now on."""
        self.server.answers["POST /api/keys"] = httpx.Response(201, json={"id": "apk_1", "key": "e2a_new"})
        result = self.run_e2a("keys", "create", "ci", "--permission", "messages:read", "--expires", "30d")
        self.assertEqual(result.stdout, "API key: e2a_new\n")
        self.assertEqual(self.server.body()["permissions"], ["messages:read"])
        self.assertIn("T", self.server.body()["expires_at"])

    def test_secrets(self) -> None:
        """A rotation passes its overlap on; the list says which secrets end when."""
        self.server.answers["POST /api/v1/users/me/signing-secrets/rotate"] = {"id": "wsec_1", "secret": "5ec"}
        self.assertEqual(self.run_e2a("secrets", "rotate", "new", "--overlap", "60").stdout, "Secret: 5ec\n")
        self.assertEqual(self.server.body(), {"name": "new", "overlap_seconds": 60})
        old = {"id": "wsec_0", "name": "old", "secret_prefix": "abc", "created_at": "2026-01-01T00:00:00Z"}
        listed = {"secrets": [{**old, "retires_at": "2026-01-02T00:00:00Z"}]}
        self.server.answers["GET /api/v1/users/me/signing-secrets"] = listed
        self.assertIn("never        2026-01-02T00:00:00Z", self.run_e2a("secrets", "list").stdout)

    def test_people(self) -> None:
        """Members are listed, and changed by address or id; an invitation that was not mailed gives its whole link."""
        member = {
            "user_id": "u1",
            "email": "a@b.test",
            "name": "Ana",
            "role": "owner",
            "joined_at": "2026-01-01T00:00:00Z",
        }
        self.server.answers["GET /api/v1/members"] = {"members": [member]}
        self.assertIn("u1       a@b.test  Ana   owner", self.run_e2a("members", "list").stdout)
        self.server.answers["PUT /api/v1/members/u1"] = {**member, "role": "admin"}
        self.assertEqual(self.run_e2a("members", "role", "u1", "admin").stdout, "u1: admin\n")
        self.assertEqual(self.run_e2a("members", "role", "A@B.test", "admin").stdout, "A@B.test: admin\n")
        self.assertIn("is no member", self.run_e2a("members", "remove", "--yes", "z@b.test", code=4).stderr)
        self.server.answers["DELETE /api/v1/members/u1"] = httpx.Response(204)
        self.assertEqual(self.run_e2a("members", "remove", "--yes", "a@b.test").stdout, "Removed: a@b.test\n")
        invited = {"id": "inv_1", "email": "c@d.test", "link": "https://mail.test/join"}
        self.server.answers["POST /api/v1/invitations"] = httpx.Response(201, json=invited)
        result = self.run_e2a("invitations", "create", "c@d.test")
        self.assertEqual((result.stdout, "https://mail.test/join" in result.stderr), ("Invited: c@d.test\n", True))
        self.server.answers["POST /api/v1/invitations"] = httpx.Response(201, json=invited | {"link": "/join?token=t"})
        self.assertRegex(self.run_e2a("invitations", "create", "c@d.test").stderr, r" http\S+[^/]/join\?token=t\n")
        self.server.answers["GET /api/v1/invitations"] = {"invitations": []}
        self.assertEqual(self.run_e2a("invitations", "list").stdout, "No open invitations.\n")

    def test_whoami(self) -> None:
        """An older server is asked what it can answer."""
        self.server.answers["GET /api/v1/agents"] = {"agents": [AGENT]}
        self.assertIn(BOT, self.run_e2a("whoami").stdout)
        self.server.answers["GET /api/v1/me"] = {
            "user": {"email": "me@x.test"},
            "organisation": {"name": "Home", "role": "owner"},
            "key": {"key_prefix": "e2a_1234", "name": "ci", "agent": None, "expires_at": None},
            "permissions": ["agents:read"],
            "limits": [{"name": "send", "limit": 60, "window_seconds": 60, "remaining": None}],
            "quotas": [{"name": "agents", "limit": 5, "used": 2, "remaining": 3}],
        }
        shown = self.run_e2a("whoami").stdout
        for part in ("me@x.test", "agents:read", "send: 60 in 1m 0s", "agents: 2 used, 5, 3 left"):
            self.assertIn(part, shown)

    def test_export(self) -> None:
        """The export becomes a private file once it is whole, and nothing when it breaks off."""
        self.server.answers["GET /api/v1/users/me/export"] = httpx.Response(200, content=b'{"user": {}}')
        path = self.home / "out.json"
        self.run_e2a("export", "-o", str(path))
        self.assertEqual((path.read_bytes(), path.stat().st_mode & 0o777), (b'{"user": {}}', 0o600))
        self.assertEqual(self.run_e2a("export", "-o", "-").stdout, '{"user": {}}')

        def broken() -> object:
            yield b"{"
            raise httpx.ReadError("gone")

        self.server.answers["GET /api/v1/users/me/export"] = httpx.Response(200, content=broken())  # type: ignore[arg-type]
        other = self.home / "other.zip"
        self.run_e2a("export", "--format", "zip", "-o", str(other), code=7)
        self.assertEqual(sorted(path.name for path in self.home.iterdir()), ["out.json"])
        self.assertTrue(self.server.lines[-1].endswith("?format=zip"))

    def test_audit(self) -> None:
        """The audit log comes as one object a line for programs, as a table for people that names them by address."""
        event = {"id": "1", "action": "key.created", "at": "2026-01-01T00:00:00.123456Z", "resource_type": "key"}
        event |= {"resource_id": "apk_1", "key_prefix": "", "user_id": "u1", "client_ip": "::1", "result": "ok"}
        self.server.answers["GET /api/v1/audit"] = [{"events": [event], "next_token": "a"}, {"events": [event]}]
        lines = self.run_e2a("audit", "--json").stdout.splitlines()
        self.assertEqual([json.loads(line) for line in lines], [event, event])
        self.server.answers["GET /api/v1/members"] = {"members": [{"user_id": "u1", "email": "Ana@corp.test"}]}
        _, shown = self.run_e2a("audit").stdout.splitlines()
        self.assertEqual(
            shown.split(), ["2026-01-01T00:00:00Z", "key.created", "apk_1", "Ana@corp.test", "—", "::1", "ok"]
        )
        self.run_e2a("audit", "--user", "ana@corp.test")
        self.assertIn("user_id=u1", self.server.lines[-2])
        self.server.answers["GET /api/v1/members"] = problem(403, "no")
        self.assertIn("  u1  ", self.run_e2a("audit").stdout)


class Failures(CommandCase):
    def test_codes(self) -> None:
        """Each kind of refusal has its exit code, its message on standard error, and nothing on standard output."""
        for status, code in ((400, 5), (401, 3), (402, 6), (403, 5), (404, 4), (409, 5), (422, 5), (429, 6), (500, 7)):
            self.server.answers["GET /api/v1/domains"] = problem(status, "because")
            if status == 429:
                self.server.answers["GET /api/v1/domains"].headers["Retry-After"] = "3600"
            result = self.run_e2a("domains", "list", code=code)
            self.assertEqual(result.stdout, "")
            self.assertTrue(result.stderr.startswith("Error: because\n"), result.stderr)

    def test_plain(self) -> None:
        """A server that answers plain text is quoted as it is."""
        self.server.answers["GET /api/v1/domains"] = httpx.Response(403, text="not yours\n")
        self.assertTrue(self.run_e2a("domains", "list", code=5).stderr.startswith("Error: not yours\n"))

    def test_json(self) -> None:
        """With --json the error is one JSON object on standard error."""
        self.server.answers["GET /api/v1/domains"] = problem(404, "not found", "not_found", field="domain")
        error = json.loads(self.run_e2a("domains", "list", "--json", code=4).stderr)["error"]
        self.assertEqual(
            (error["code"], error["status"], error["field"], error["exit_code"]), ("not_found", 404, "domain", 4)
        )

    def test_no_key(self) -> None:
        """Without a key nothing is asked, and the way to one is named."""
        del self.environ["E2A_API_KEY"]
        result = self.run_e2a("domains", "list", code=3)
        self.assertIn("Error: Not authenticated. Run: e2a login", result.stderr)
        self.assertEqual(self.server.asked, [])

    def test_unreachable(self) -> None:
        """A server that is not there is 7, with the setting to look at; a URL that is none is a usage error."""
        self.server.answers["GET /api/v1/domains"] = httpx.ConnectTimeout("no")
        self.assertIn("api_url", self.run_e2a("domains", "list", code=7).stderr)
        self.run_e2a("domains", "list", "--url", "ftp://x", code=2)
        self.run_e2a("domains", "list", "--key", "ä", code=3)

    def test_not_e2a(self) -> None:
        """A page instead of JSON, and a redirect, are named as a wrong URL."""
        self.server.answers["GET /api/v1/domains"] = httpx.Response(200, text="<html>")
        self.assertIn("Is the URL right?", self.run_e2a("domains", "list", code=7).stderr)
        self.server.answers["GET /api/v1/domains"] = httpx.Response(301, headers={"Location": "https://y.test"})
        self.assertIn("y.test", self.run_e2a("domains", "list", code=7).stderr)

    def test_usage(self) -> None:
        """Unknown commands and options are 2; no command, help and version are 0."""
        self.run_e2a("nonsense", code=2)
        self.run_e2a("inbox", "--nonsense", code=2)
        self.assertIn("Commands:", self.run_e2a().stdout)
        self.assertIn("rate limit", self.run_e2a("help", "exit-codes").stdout)
        self.assertIn("--hitl-ttl", self.run_e2a("help", "agents", "update").stdout)
        self.run_e2a("help", "nonsense", code=2)
        self.assertEqual(self.run_e2a("-v").stdout, self.run_e2a("--version").stdout)
        for shell in ("bash", "zsh", "fish"):
            self.assertIn("_E2A_COMPLETE", self.run_e2a("completion", shell).stdout)
        # With the shell's own script every other completion in zsh is empty.
        self.assertNotIn("loadautofunc", self.run_e2a("completion", "zsh").stdout)

    def test_completion(self) -> None:
        """Commands, options and the words that arguments take are completed."""
        for words, expected in (
            (("e2a", "dom"), "domains"),
            (("e2a", "inbox", "--unr"), "--unread"),
            (("e2a", "config", "get", "api_u"), "api_url"),
            (("e2a", "pending", "list", "--status", "rej"), "rejected"),
        ):
            completer = ShellComplete(main, {}, "e2a", "_E2A_COMPLETE")
            found = completer.get_completions(list(words[1:-1]), words[-1])
            self.assertEqual([each.value for each in found], [expected])
