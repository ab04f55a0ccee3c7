"""Secrets change while everything runs: signing secrets under the eyes of receivers, the deployment secret under two
daemons; and the doctor beside a daemon."""

from __future__ import annotations

import base64
import json
import os
import subprocess

from standardwebhooks import Webhook

from e2a.core.trust import signing
from tests.support.daemon import SECRET, Api, Daemon, e2a
from tests.support.postgres import sql
from tests.support.sinks import HookRequest, WebhookSink, auth_faults, library_secret
from tests.support.smtpclient import send
from tests.system.case import SystemCase, mail

NEW_SECRET = "another-deployment-secret-of-tests-9876543210-xyz"
PATH = "/api/v1/users/me/signing-secrets"


def accepted(request: HookRequest, *secrets: str) -> dict[str, bool]:
    """What a receiver that holds these secrets makes of a webhook, in each of the ways to check it."""
    raw = base64.b64decode(request.payload["raw_message"])
    return {
        "headers": signing.verify(request.headers, raw, secrets, request.at),
        "body": signing.verify(request.payload["auth_headers"], raw, secrets, request.at),
        "webhook-signature": any(_standard(request, secret) for secret in secrets),
    }


def _standard(request: HookRequest, secret: str) -> bool:
    try:
        Webhook(library_secret(secret)).verify(request.body, dict(request.headers))
    except Exception:
        return False
    return True


def post(daemon: Daemon, agent: str, number: int) -> None:
    """Send the agent a mail."""
    sender = f"ann{number}@people.test"
    reply = send(daemon.smtp_port, sender, [agent], mail(f"m{number}@people.test", sender, agent))
    assert reply.code == 250, reply


def run(daemon: Daemon, *arguments: str) -> tuple[int, str]:
    """A command with the daemon's configuration: its exit code, and what it printed."""
    done = subprocess.run(
        e2a(*arguments), env=daemon.environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


class SigningSecretTests(SystemCase):
    def setUp(self) -> None:
        super().setUp()
        self.hook = WebhookSink()
        self.addCleanup(self.hook.stop)

    def deliver(self, daemon: Daemon, agent: str, count: int) -> HookRequest:
        """Send the agent one more mail; the newest of that many requests at its webhook."""
        post(daemon, agent, count)
        return self.hook.wait_for(count)[-1]

    def test_overlap(self) -> None:
        """During a rotation a webhook convinces who holds the old secret, the new one or both; afterwards the new."""
        daemon = self.daemon().start()
        api: Api = self.owner(daemon)
        old = api.secret()
        agent = api.agent("bot", webhook_url=self.hook.url)
        created = api.post(f"{PATH}/rotate", {"name": "next", "overlap_seconds": 3600})
        new = created["secret"]
        self.assertIn("signs_from", created)
        api.request("POST", f"{PATH}/rotate", status=409)
        api.request("POST", f"{PATH}/rotate", status=400, json={"overlap_seconds": -1})

        request = self.deliver(daemon, agent, 1)
        every = dict.fromkeys(("headers", "body", "webhook-signature"), True)
        for held in ((old,), (new,), (old, new)):
            self.assertEqual(accepted(request, *held), every)
        self.assertEqual(accepted(request, "f" * 64), dict.fromkeys(every, False))
        # Receivers that read one signature alone, as older client libraries do, go on with the old secret.
        raw = base64.b64decode(request.payload["raw_message"])
        self.assertEqual(auth_faults(request.payload["auth_headers"], raw, old, now=request.at), [])
        self.assertNotEqual(auth_faults(request.payload["auth_headers"], raw, new, now=request.at), [])

        listed = api.get(PATH)["secrets"]
        self.assertEqual([secret["name"] for secret in listed], ["next", "test", "default"])
        self.assertEqual(["retires_at" in secret for secret in listed], [False, True, True])
        for secret in listed[1:]:
            api.request("DELETE", f"{PATH}/{secret['id']}", status=204)
        request = self.deliver(daemon, agent, 2)
        self.assertEqual(request.faults(new), [])
        self.assertEqual(accepted(request, old), dict.fromkeys(every, False))


class DeploymentSecretTests(SystemCase):
    def test_beside_two_generations(self) -> None:
        """With a daemon of each generation running, everything is sealed anew, and both go on working."""
        hook = WebhookSink()
        self.addCleanup(hook.stop)
        before = self.daemon(name="before", environment={"E2A_OLD_HMAC_SECRETS": NEW_SECRET}).start()
        values = {"E2A_HMAC_SECRET": NEW_SECRET, "E2A_OLD_HMAC_SECRETS": SECRET}
        after = self.daemon(name="after", environment=values).start()
        api = self.owner(before)
        secret = api.secret()
        agent = api.agent("bot", webhook_url=hook.url)
        page = api.get("/api/v1/agents", params={"page_size": "1"})

        status, text = run(after, "rotate-master-key", "--json")
        self.assertEqual(status, 0, text)
        self.assertTrue(json.loads(text)["complete"])
        self.assertGreater(json.loads(text)["resealed"]["signing secrets"], 0)
        self.assertEqual(run(after, "rotate-master-key", "--check")[0], 0)

        # Nothing is remembered of what was read before: both open what is there now.
        for number, daemon in enumerate((before, after), 1):
            sql("SELECT pg_notify('e2a_changed', 'secret ' || id) FROM organisations", self.dsn)
            post(daemon, agent, number)
            self.assertEqual(hook.wait_for(number)[-1].faults(secret), [])
        if "next_token" in page:
            query = {"page_size": "1", "token": page["next_token"]}
            after.api(api.key).get("/api/v1/agents", params=query)


class DoctorTests(SystemCase):
    def test_running_daemon(self) -> None:
        """Beside a running daemon the doctor sees its port, its database and its page, changes nothing, and tells no
        secret."""
        strong = os.urandom(32).hex()
        daemon = self.daemon(environment={"E2A_HMAC_SECRET": strong}).start()
        status, text = run(daemon, "doctor", "--json")
        found = {check["check"]: check["status"] for check in json.loads(text)["checks"]}
        self.assertIn(status, (10, 11))
        self.assertEqual({found[name] for name in ("secret", "database", "migrations", "seals", "smtp_port")}, {"ok"})
        self.assertEqual((found["public_url"], found["clock_http"], found["clock_database"]), ("ok", "ok", "ok"))
        self.assertNotIn(strong, text)
        # Without the daemon, which works by itself.
        self.assertEqual(daemon.stop(), 0)
        before = self.counts()
        self.assertEqual(run(daemon, "doctor")[0], 11)
        self.assertEqual(self.counts(), before)

    def counts(self) -> dict[str, int]:
        """How many rows each table has."""
        tables = sql("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'", self.dsn)
        return {name: sql(f"SELECT count(*) FROM {name}", self.dsn)[0][0] for (name,) in tables}
