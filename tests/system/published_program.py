"""A program as users of the published 2.x package have it: nothing in it is of this package alone.

    published_program.py URL KEY

Run by ``tests.system.test_sdk_faults``; it ends with 1 when something is not as the published package has it.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import sys
import threading
import urllib.request
import warnings
from http.server import BaseHTTPRequestHandler, HTTPServer

import pydantic

from e2a import (
    AsyncE2AApi,
    AsyncE2AClient,
    AsyncInboundEmail,
    Attachment,
    E2AApi,
    E2AApiError,
    E2AClient,
    InboundEmail,
    MessageList,
    MessageSummary,
    SendResult,
    UnverifiedEmailError,
    WSNotification,
    fetch_info,
    fetch_info_async,
)
from e2a.v1 import (
    ApprovePendingMessageRequest,
    DeploymentInfo,
    ListMessagesResponse,
    MessageDetail,
    RegisterAgentRequest,
    RegisterDomainRequest,
    ReplyToMessageRequest,
    SendEmailRequest,
    SendEmailResponse,
    UpdateAgentRequest,
)

URL, KEY = sys.argv[1:]
BOT = os.environ["E2A_AGENT_EMAIL"]


def expect(found, wanted):
    if found != wanted:
        raise SystemExit(f"{found!r} instead of {wanted!r}")


def raises(kind, act):
    try:
        act()
    except kind as error:
        return error
    raise SystemExit(f"no {kind.__name__}")


def signing_secret():
    request = urllib.request.Request(
        f"{URL}/api/v1/users/me/signing-secrets",
        json.dumps({"name": "2.x"}).encode(),
        {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["secret"]


class Hook:
    """A webhook receiver as the package's README has it."""

    def __init__(self, client):
        self.bodies = queue.Queue()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                try:
                    email = client.parse_webhook(body, hook.secret)
                except PermissionError:
                    self.send_response(401)
                else:
                    hook.bodies.put((body, email))
                    self.send_response(200)
                self.end_headers()

            def log_message(self, *arguments):
                pass

        self.secret = signing_secret()
        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def deployment():
    info = fetch_info(URL, timeout=30)
    expect((type(info), info.shared_domain), (DeploymentInfo, BOT.partition("@")[2]))
    expect(fetch_info(base_url=URL).slug_registration_enabled, True)


def raw_layer():
    with E2AApi(KEY, URL, 30) as api:
        claimed = api.register_domain(RegisterDomainRequest(domain="published.test"))
        expect((claimed.verified, claimed.dns_records.mx.priority), (False, 10))
        expect(claimed.dns_records.txt.value, claimed.verification_token)
        expect(api.verify_domain("published.test").verified, True)
        expect([one.domain for one in api.list_domains().domains], ["published.test"])
        made = api.register_agent(RegisterAgentRequest(email="Raw@published.test", agent_mode="local"))
        expect((made.email, made.domain), ("raw@published.test", "published.test"))
        expect(api.get_agent(made.email).agent_mode, "local")
        changed = api.update_agent(made.email, UpdateAgentRequest(hitl_enabled=True, hitl_ttl_seconds=900))
        expect((changed.hitl_enabled, changed.hitl_ttl_seconds), (True, 900))
        held = api.send_email(SendEmailRequest(**{"from": made.email, "to": [BOT], "subject": "Raw", "body": "1"}))
        expect((type(held), held.status, bool(held.approval_expires_at)), (SendEmailResponse, "pending_approval", True))
        (waiting,) = api.list_pending_messages().messages
        expect((waiting.id, waiting.type, waiting.to), (held.message_id, "send", [BOT]))
        edited = api.approve_message(waiting.id, ApprovePendingMessageRequest(body_text="2"))
        expect((edited.status, edited.edited), ("sent", True))
        page = api.list_messages(BOT, status="unread", page_size=50)
        expect((type(page), [one.from_ for one in page.messages]), (ListMessagesResponse, [made.email]))
        detail = api.get_message(BOT, page.messages[0].message_id)
        expect((type(detail), detail.recipient, detail.to), (MessageDetail, BOT, [BOT]))
        expect(detail.auth_headers["X-E2A-Auth-Sender"], made.email)
        answer = api.reply_to_message(BOT, detail.message_id, ReplyToMessageRequest(body="3"))
        expect((answer.status, answer.method), ("sent", "loopback"))
        expect(api.send_test_email(BOT)["status"], "sent")
        expect(api.delete_agent(made.email), None)
        expect(api.delete_domain("published.test"), None)
        expect(raises(E2AApiError, lambda: api.get_message(BOT, "msg_none")).status_code, 404)
        error = raises(E2AApiError, lambda: E2AApi("e2a_wrong", base_url=URL).list_agents())
        expect((error.status_code, str(error)), (401, f"e2a API error (401): {error.message}"))


def mail_and_webhooks(client):
    hook = Hook(client)
    expect(client.register_agent("hook", webhook_url=hook.url, agent_mode="cloud").email, f"hook@{BOT.split('@')[1]}")
    cloud = f"hook@{BOT.split('@')[1]}"
    file = Attachment(filename="a.txt", content_type="text/plain", data=b"octets", size=6)
    sent = client.send([cloud], "Hello", "Body", html_body="<p>Body</p>", attachments=[file], conversation_id="c-1")
    expect((type(sent), sent.status, sent.method), (SendResult, "sent", "loopback"))
    body, email = hook.bodies.get(timeout=60)
    expect((type(email), email.sender, email.recipient, email.to, email.cc), (InboundEmail, BOT, cloud, [cloud], []))
    expect((email.subject, email.html_body.strip(), email.conversation_id), ("Hello", "<p>Body</p>", "c-1"))
    expect([(each.filename, each.content_type, each.data, each.size) for each in email.attachments], [tuple_of(file)])
    expect((email.verified, email.is_verified, email.auth.entity_type), (True, True, "agent"))
    expect(email.message_id, json.loads(body)["message_id"])
    expect(email.reply("Thanks", html_body="<b>Thanks</b>").status, "sent")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        closed = client.parse(json.loads(body), headers={"X-Any": "thing"})
    expect([each.category for each in caught], [DeprecationWarning])
    for name in ("message_id", "sender", "subject", "text_body", "attachments", "to", "cc", "received_at"):
        raises(UnverifiedEmailError, lambda name=name: getattr(closed, name))
    raises(RuntimeError, lambda: closed.reply("no"))
    expect((closed.verified, closed.is_verified, closed.unverified_payload["subject"]), (False, True, "Hello"))
    expect((closed.verify_signature("wrong"), closed.verify_signature(secret=hook.secret)), (False, True))
    expect(closed.text_body.strip(), "Body")
    raises(PermissionError, lambda: client.parse_webhook(body, "wrong"))
    forged = {**json.loads(body), "raw_message": "QUFB"}
    raises(PermissionError, lambda: client.parse_webhook(forged, hook.secret))
    raises(TypeError, lambda: client.parse_webhook(5, "s"))
    for junk in (b"[]", b"junk"):
        raises(ValueError, lambda junk=junk: client.parse_webhook(junk, "s"))
    raises(ValueError, lambda: client.parse_webhook(body))
    os.environ["E2A_WEBHOOK_SECRET"] = hook.secret
    expect(client.parse_webhook(body.decode()).subject, "Hello")
    client.delete_agent(cloud)


def tuple_of(file):
    return file.filename, file.content_type, file.data, file.size


def reading_and_review(client):
    page = client.get_messages(status="all", page_size=1)
    expect((type(page), type(page.messages[0]), bool(page.next_token)), (MessageList, MessageSummary, True))
    following = client.get_messages("all", 1, page.next_token)
    first = page.messages[0]
    expect(first.message_id != following.messages[0].message_id, True)
    expect((first.recipient, first.status, first.cc), (BOT, "read", []))
    email = client.get_message(first.message_id)
    expect((email.verified, email.verify_signature(), b"Subject: " in email.raw_message), (True, True, True))
    raises(pydantic.ValidationError, lambda: client.send("ana@people.test", "s", "b"))
    raises(ValueError, lambda: client.update_agent(BOT, agent_mode="both"))
    expect(raises(E2AApiError, lambda: client.update_agent(BOT)).status_code, 400)
    expect(client.update_agent(BOT, hitl_enabled=True, hitl_expiration_action="reject").hitl_enabled, True)
    peer = client.register_agent("peer", name="Peer", agent_mode="local").email
    held = [client.send([peer], f"Offer {number}", "100") for number in (1, 2)]
    expect([(each.status, each.method) for each in held], [("pending_approval", "")] * 2)
    expect({each.id for each in client.list_pending_messages().messages}, {each.message_id for each in held})
    expect(client.get_pending_message(held[0].message_id).body_text.strip(), "100")
    approved = client.approve_message(held[0].message_id, subject="Better offer", body_text="90")
    expect((approved.status, approved.edited), ("sent", True))
    expect(client.reject_message(held[1].message_id, "no").rejection_reason, "no")
    expect(raises(E2AApiError, lambda: client.approve_message(held[1].message_id)).status_code, 409)
    client.update_agent(BOT, hitl_enabled=False)
    with E2AClient(KEY, "", URL) as other:
        expect(other.agent_email, BOT)


async def listening():
    expect((await fetch_info_async(URL)).shared_domain, BOT.partition("@")[2])
    async with AsyncE2AApi(KEY, URL) as api:
        expect((await api.get_info()).slug_registration_enabled, True)
    async with AsyncE2AClient(KEY, base_url=URL) as client:
        pal = (await client.register_agent("listener", agent_mode="local")).email
        await client.send([pal], "One", "1")
        subjects = []
        async for notice in client.listen(pal, reconnect=True, max_backoff=30.0):
            expect((type(notice), notice.from_, notice.recipient), (WSNotification, BOT, pal))
            email = await client.get_message(notice.message_id, agent_email=pal)
            expect((type(email), email.verified, email.subject), (AsyncInboundEmail, True, notice.subject))
            subjects.append(email.subject)
            if len(subjects) == 2:
                break
            await client.send([pal], "Two", "2")
        expect(subjects, ["One", "Two"])
        expect((await email.reply("Both came.")).status, "sent")
        expect(len((await client.get_messages(agent_email=pal)).messages), 0)


def main():
    raises(ValueError, lambda: E2AClient(base_url=URL))
    deployment()
    raw_layer()
    with E2AClient(api_key=KEY, base_url=URL + "/", timeout=30) as client:
        mail_and_webhooks(client)
        reading_and_review(client)
    asyncio.run(listening())
    print(json.dumps({"done": True}))


main()
