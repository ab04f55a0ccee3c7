"""``e2a demo``: one mail through a running daemon and back, with what each step proves and what it does not."""

from __future__ import annotations

import base64
import secrets
import signal
import smtplib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any

import click

from ..core.trust import signing
from .errors import FAILED, NOT_AUTHENTICATED, REFUSED, UNAVAILABLE, USAGE, ApiError, CommandError
from .inbox import verdict, wait_for
from .output import one_line
from .session import Session, client_command
from .urls import path_of

#: Seconds that a mail may take.
PATIENCE = 30
_SECRETS = path_of("users", "me", "signing-secrets")


def commands(group: click.Group) -> None:
    """Register the command."""

    @client_command(group, "demo")
    @click.option(
        "--smtp", default="localhost:2525", show_default=True, metavar="HOST:PORT", help="Where it takes mail."
    )
    @click.option(
        "--bootstrap", metavar="EMAIL", help="Make a user and a key first, on the daemon's machine, and keep the key."
    )
    def demo(session: Session, smtp: str, bootstrap: str | None) -> None:
        """Send a real mail through a running daemon.

        Its signature is checked, and it is answered. The command makes two agents, a signing secret and, where there is
        no shared domain, a domain, and deletes all of them again, also when it is interrupted.
        """
        host, port = _address(smtp)
        info = _reachable(session)
        if bootstrap:
            _bootstrap(session, bootstrap)
        if not session.key:
            raise CommandError(
                "the demo needs an API key, and none is configured",
                exit_code=NOT_AUTHENTICATED,
                hint="On the daemon's machine, in its directory: e2a demo --bootstrap you@example.com\n"
                "Anywhere else: e2a login",
            )
        run = _Demo(session, str(info.get("shared_domain", "")))
        try:
            run.steps(host, port)
        finally:
            run.clean_up()
        run.finish()


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise CommandError(f"{text!r} is not HOST:PORT", exit_code=USAGE)
    return host.strip("[]"), int(port)


def _reachable(session: Session) -> dict[str, Any]:
    server = session.server_with("")
    try:
        return server.info()
    except CommandError as error:
        error.hint = "Start a daemon in another terminal: e2a serve"
        raise
    finally:
        server.close()


def _bootstrap(session: Session, email: str) -> None:
    """A key made beside the daemon, stored as `e2a login` stores one."""
    from ..v1.hosts import is_loopback

    if not is_loopback(session.url):
        raise CommandError(
            f"--bootstrap is for a daemon on this machine, and {session.url} is not",
            exit_code=USAGE,
            hint="Sign in instead: e2a login",
        )
    from . import serve

    key = serve.key_for(email)
    session.config.set("api_key", key)
    session.config.save()
    session.out.hint(f"Made a user {email}; the key is kept in {session.config.path}.")


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait: what was made must be known as made before anything ends."""
    waiting: list[int] = []
    previous = signal.signal(signal.SIGINT, lambda number, frame: waiting.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
    if waiting:
        raise KeyboardInterrupt


class _Demo:
    """The steps, what they made, and what they found."""

    def __init__(self, session: Session, shared_domain: str) -> None:
        self._session = session
        self._server = session.server
        self._out = session.out
        self._domain = shared_domain
        self._shared = bool(shared_domain)
        self._made: list[tuple[str, Callable[[], object]]] = []
        self._left: list[str] = []
        self._steps: list[dict[str, Any]] = []
        self._tag = secrets.token_hex(3)

    def steps(self, host: str, port: int) -> None:
        if not self._domain:
            self._claim()
        bot, pal = self._register("bot"), self._register("pal")
        secret = self._secret()
        subject = f"Demo {self._tag}"
        _send(host, port, pal, bot, subject)
        self._done(
            "sent", f"Sent a mail to {bot} through SMTP at {host}:{port}; the daemon answered 250: it is stored."
        )
        first = self._received(bot, subject)
        self._done(
            "received",
            f"It arrived. From {first['from']}, verified: {verdict(first)}.",
            "Yes: DNS says that this machine may send for that domain."
            if first["verified"]
            else "No: it says that it comes from the other agent, and neither SPF nor DKIM shows that. With DNS "
            "records for the sender's domain the answer would be yes.",
            message_id=first["message_id"],
            verified=first["verified"],
            authentication=first["authentication"],
        )
        self._check(first, secret)
        path = path_of("agents", bot, "messages", first["message_id"], "reply")
        sent = self._server.post(path, {"body": "Yes, I can read you."}, once=True)
        self._done("replied", f"Answered it as {bot}: {sent['status']}.", message_id=sent["message_id"])
        answer = self._received(pal, subject)
        self._done(
            "reply_received",
            f"The answer arrived at {pal}. Verified: {verdict(answer)}.",
            "Yes this time: it came from an agent of this deployment, through its API, with its key.",
            message_id=answer["message_id"],
            verified=answer["verified"],
            conversation_id=answer["conversation_id"],
        )
        self._check(answer, secret)
        if not answer["verified"]:
            raise CommandError("the answer is not verified, and it should be", exit_code=FAILED)

    def clean_up(self) -> None:
        """Delete what was made, newest first, whatever happened before."""
        with _uninterrupted():
            while self._made:
                what, undo = self._made.pop()
                try:
                    undo()
                except CommandError as error:
                    self._left.append(what)
                    self._out.warning(f"Not deleted: {what}: {error.message}")

    def finish(self) -> None:
        """The last line, and the document for programs.

        :raises CommandError: something could not be deleted.
        """
        if not self._left:
            self._done("cleaned_up", "Deleted everything again.")
        if self._out.as_json:
            self._out.document({"steps": self._steps, "left": self._left})
        if self._left:
            raise CommandError("not everything could be deleted", hint="Left: " + ", ".join(self._left))
        self._out.hint(
            "\nYour own: e2a agents register NAME, then e2a listen"
            if self._shared
            else "\nYour own: e2a domains register DOMAIN, e2a domains verify DOMAIN, e2a agents register NAME@DOMAIN"
        )

    def _claim(self) -> None:
        domain = f"demo-{self._tag}.example.org"
        with _uninterrupted():
            self._server.post(path_of("domains"), {"domain": domain})
            self._made.append((f"domain {domain}", lambda: self._server.delete(path_of("domains", domain))))
        try:
            self._server.post(path_of("domains", domain, "verify"))
        except ApiError as error:
            raise CommandError(
                f"the demo needs a domain for its agents: {error.message}",
                exit_code=error.exit_code,
                hint="Set shared_domain in the daemon's configuration; in production a domain made up is not proven.",
            ) from error
        self._domain = domain
        self._done("domain", f"Claimed {domain}; in development a domain counts as proven at once.", domain=domain)

    def _register(self, role: str) -> str:
        address = f"demo-{role}-{self._tag}@{self._domain}"
        shared = not any(what.startswith("domain") for what, _ in self._made)
        wanted = {"slug": address.partition("@")[0]} if shared else {"email": address}
        with _uninterrupted():
            self._server.post(path_of("agents"), {**wanted, "agent_mode": "local"}, once=True)
            self._made.append((f"agent {address}", lambda: self._server.delete(path_of("agents", address))))
        self._done("agent", f"Registered the agent {address}.", email=address)
        return address

    def _secret(self) -> str:
        """A secret of the demo's own, or the one that the environment names; empty when neither is possible."""
        given = self._session.surroundings.environ.get("E2A_WEBHOOK_SECRET", "")
        if given:
            return given
        agents = [each for page in self._server.pages(path_of("agents")) for each in page["agents"]]
        if any(each["agent_mode"] == "cloud" for each in agents):
            # The newest secret signs everything, and their receivers would not know it.
            self._done(
                "secret",
                "This account has agents with webhooks, so no new signing secret is made. To have the demo check "
                "signatures, set E2A_WEBHOOK_SECRET.",
            )
            return ""
        with _uninterrupted():
            made = self._server.post(_SECRETS, {"name": f"demo {self._tag}"})
            path = path_of("users", "me", "signing-secrets", made["id"])
            self._made.append((f"signing secret {made['id']}", lambda: self._server.delete(path)))
        self._done("secret", "Made a signing secret. What the daemon says of a mail is signed with it.", id=made["id"])
        return str(made["secret"])

    def _received(self, agent: str, subject: str) -> dict[str, Any]:
        found = wait_for(self._session, agent, PATIENCE, subject=subject)
        if found is None:
            raise CommandError(f"no mail arrived at {agent} within {PATIENCE} seconds", hint="See the daemon's log.")
        message: dict[str, Any] = self._server.get(path_of("agents", agent, "messages", found["message"]["message_id"]))
        return message

    def _check(self, message: dict[str, Any], secret: str) -> None:
        if not secret:
            return
        raw, headers = base64.b64decode(message["raw_message"]), message["auth_headers"]
        secrets_held = secret.replace(",", " ").split()
        check = signing.check(headers, raw, secrets_held, time.time())
        forged = signing.verify(headers, raw + b"!", secrets_held, time.time())
        if not check.accepted or forged:
            raise CommandError(
                f"the signature is wrong: hash {check.body_hash_ok}, signature {check.signature_ok}, "
                f"time {check.timestamp_ok}",
                exit_code=REFUSED,
                hint="If the time is what is wrong, compare the clocks of the two machines.",
            )
        self._done(
            "signature",
            "Its signature holds: HMAC-SHA256 over the verdict, the sender, the time and the hash of the mail's "
            f"{len(raw)} octets. With one octet more it does not.",
            signature=True,
        )

    def _done(self, step: str, *lines: str, **found: Any) -> None:
        self._steps.append({"step": step, **found})
        if not self._out.as_json:
            first, *rest = lines
            self._out.line(f"{self._out.good('✓')} {one_line(first)}")
            for line in rest:
                self._out.line(f"  {line}")
            sys.stdout.flush()


def _send(host: str, port: int, sender: str, recipient: str, subject: str) -> None:
    """One mail, as any mail server would bring it.

    :raises CommandError: nobody is there, or it was not taken.
    """
    message = EmailMessage()
    message["From"] = sender
    message["To"] = recipient
    message["Subject"] = subject
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{secrets.token_hex(12)}@{sender.partition('@')[2]}>"
    message.set_content("Can you read this?\n")
    try:
        with smtplib.SMTP(host, port, timeout=15) as client:
            client.send_message(message, sender, [recipient])
    except smtplib.SMTPResponseException as error:
        text = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        raise CommandError(f"the daemon did not take the mail: {error.smtp_code} {text}", exit_code=REFUSED) from error
    except smtplib.SMTPRecipientsRefused as error:
        code, reply = next(iter(error.recipients.values()))
        text = reply.decode("utf-8", "replace")
        raise CommandError(
            f"the daemon at {host}:{port} does not take mail for {recipient}: {code} {text}",
            exit_code=REFUSED,
            hint="Is it the same daemon as the one of the API? Name its SMTP port: e2a demo --smtp HOST:PORT",
        ) from error
    except (OSError, smtplib.SMTPException) as error:
        raise CommandError(
            f"no SMTP at {host}:{port}: {getattr(error, 'strerror', None) or error}",
            exit_code=UNAVAILABLE,
            hint="Name the daemon's SMTP port: e2a demo --smtp HOST:PORT",
        ) from error
