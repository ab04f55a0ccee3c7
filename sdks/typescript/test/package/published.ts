// A program as the 2.x releases of the package had it: it must compile and run unchanged. Run in a project that has the
// package installed, against a daemon, for an agent in local mode with one unread message.

import { strict as assert } from "node:assert";
import * as path from "@e2a/sdk/v1";
import {
  E2AApi,
  E2AApiError,
  E2AClient,
  InboundEmail,
  UnverifiedEmailError,
  v1,
  WSListener,
  WSStream,
  type Agent,
  type Attachment,
  type AuthHeaders,
  type DeploymentInfo,
  type MessageDetail,
  type MessageList,
  type MessageSummary,
  type SendResult,
  type WebhookPayload,
  type WSNotification,
} from "@e2a/sdk";

assert.equal(path.E2AClient, E2AClient);
assert.equal(v1.E2AApi, E2AApi);

const baseUrl = process.env.E2A_URL!;
const client = new E2AClient({ apiKey: process.env.E2A_API_KEY, agentEmail: process.env.E2A_AGENT_EMAIL, baseUrl, timeout: 20000 });
const api: E2AApi = client.api;

const info: DeploymentInfo = await E2AApi.fetchInfo(baseUrl, 5000);
assert.equal(info.slug_registration_enabled, true);
assert.equal((await api.getInfo()).shared_domain, info.shared_domain);

const agent: Agent = await client.getAgent();
assert.equal(agent.agent_mode, "local");
const list: MessageList = await client.listMessages({ status: "unread", pageSize: 10 });
const summary: MessageSummary = list.messages[0]!;
assert.equal(summary.subject, "A question");

const detail: MessageDetail = await api.getMessage(client.agentEmail, summary.message_id);
const closed: InboundEmail = await client.parse(detail as unknown as WebhookPayload);
assert.throws(() => closed.textBody, UnverifiedEmailError);
assert.equal(closed.verifySignature("wrong"), false);
assert.equal(closed.unverifiedPayload.subject, "A question");
const auth: AuthHeaders = closed.auth;
assert.equal(auth.entityType, "human");

const secret = process.env.E2A_WEBHOOK_SECRET!;
const email = await client.parseWebhook(Buffer.from(JSON.stringify(detail)), secret);
assert.equal(email.textBody.trim(), "How are you?");
assert.equal(email.htmlBody, null);
const files: Attachment[] = email.attachments;
assert.deepEqual(files, []);
assert.ok(Buffer.isBuffer(email.rawMessage));
await assert.rejects(client.parseWebhook(JSON.stringify(detail), "wrong"), /HMAC signature verification failed/);

const open = await client.getMessage(summary.message_id);
assert.ok(open.verified && open.receivedAt && open.to.includes(client.agentEmail));

const sent: SendResult = await client.send([process.env.PEER!], "Hello", "text", {
  htmlBody: "<p>text</p>",
  cc: [],
  attachments: [{ filename: "a.txt", content_type: "text/plain", data: "YQ==" }],
});
assert.equal(sent.status, "sent");

try {
  await api.raw("GET", "/agents/nobody@agents.test");
  assert.fail("it answered");
} catch (error) {
  assert.ok(error instanceof E2AApiError);
  assert.equal(error.statusCode, 404);
  assert.match(error.message, /^e2a API error \(404\): /);
}

const listener = new WSListener({ apiKey: process.env.E2A_API_KEY, agentEmail: process.env.E2A_AGENT_EMAIL, baseUrl });
listener.on("notification", (notification: WSNotification) => assert.ok(notification.message_id));
await new Promise<void>((resolve) => {
  listener.on("open", () => listener.close());
  listener.on("close", (code, reason) => {
    assert.deepEqual([code, reason], [1000, "client close"]);
    resolve();
  });
  listener.connect();
});
const stream: WSStream = client.listen({ maxBackoffMs: 1000 });
stream.close();
for await (const notification of stream) assert.fail(notification.message_id);
console.log("published: all well");
