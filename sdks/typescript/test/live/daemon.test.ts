// Against a real daemon, whose address and owner's key are in the environment; `tests/system/test_typescript.py` of the
// repository starts one.

import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { beforeAll, describe, expect, it } from "vitest";

import {
  AuthenticationError,
  ConflictError,
  E2AApi,
  E2AClient,
  InvalidRequestError,
  NotFoundError,
  PermissionDeniedError,
  TimeoutError,
  type Agent,
  type UserExport,
} from "../../src/index.js";
import { deliver, message } from "./smtp.js";

const { E2A_TEST_URL: baseUrl = "", E2A_TEST_KEY: apiKey = "", E2A_TEST_SMTP_PORT: port = "" } = process.env;
const ANA = "ana@sender.test";
const KEY = { baseUrl, apiKey };

let number = 0;

/** A client with a new agent of its own. */
async function agent(more: object = {}): Promise<E2AClient> {
  const { email } = await new E2AApi(KEY).registerAgent({ slug: `ts-${++number}`, agent_mode: "local", ...more });
  return new E2AClient({ ...KEY, agentEmail: email });
}

function mail(to: string, subject: string, body?: string): Promise<void> {
  return deliver(Number(port), ANA, to, message(`Ana <${ANA}>`, to, subject, body));
}

describe.skipIf(!baseUrl)("with a daemon", () => {
  beforeAll(async () => {
    expect((await E2AApi.fetchInfo(baseUrl)).shared_domain).toBe("agents.test");
  });

  it("receives, reads, answers, and finds the conversation", async () => {
    const [bot, peer] = [await agent(), await agent()];
    const sent = await peer.send([bot.agentEmail], "Quote", "How much?", { conversationId: "c-9" });
    expect(sent).toMatchObject({ status: "sent", method: "loopback", conversation_id: "c-9" });
    const email = (await bot.waitForMessage({ subjectContains: "quote", timeout: 10_000 }));
    expect([email.sender, email.auth.entityType, email.conversationId]).toEqual([peer.agentEmail, "agent", "c-9"]);
    const answer = await email.reply("Seven.", { htmlBody: "<b>Seven.</b>" });
    expect(answer.status).toBe("sent");
    const back = (await peer.waitForMessage({ from: bot.agentEmail, timeout: 10_000 }));
    expect([back.subject, back.textBody.trim(), back.htmlBody?.trim()]).toEqual(["Re: Quote", "Seven.", "<b>Seven.</b>"]);
    const { messages } = await bot.getConversation("c-9");
    expect(messages.map(({ direction }) => direction)).toEqual(["inbound", "outbound"]);
    expect((await bot.listConversations()).conversations.map(({ id }) => id)).toEqual(["c-9"]);
  });

  it("is told by SMTP mail from outside who wrote, truthfully", async () => {
    const bot = await agent();
    await mail(bot.agentEmail, "Hello", "line one\r\n.line two");
    const { messages } = await bot.listMessages();
    expect(messages).toMatchObject([{ from: ANA, verified: true, status: "unread", recipient: bot.agentEmail }]);
    const id = messages[0]!.message_id;
    const peeked = await bot.getMessage(id, undefined, { markRead: false });
    expect(peeked.textBody.trim()).toBe("line one\n.line two");
    expect((await bot.listMessages({ status: "read" })).messages).toEqual([]);
    const email = await bot.getMessage(id);
    expect([email.isVerified, email.sender, email.subject]).toEqual([true, ANA, "Hello"]);
    const raw = await bot.api.getRawMessage(bot.agentEmail, id);
    expect(raw.equals(email.rawMessage)).toBe(true);
    expect((await bot.listMessages({ status: "read" })).messages).toHaveLength(1);
  });

  it("verifies what the webhook gets, with the secret of the account and every header", async () => {
    const requests: Array<{ body: Buffer; headers: IncomingHttpHeaders }> = [];
    let arrived = () => {};
    const arrival = new Promise<void>((resolve) => (arrived = resolve));
    const server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      requests.push({ body: Buffer.concat(chunks), headers: request.headers });
      response.writeHead(204).end();
      arrived();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const webhook_url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
      const bot = await agent({ agent_mode: "cloud", webhook_url });
      const { secret, id } = await bot.api.createSigningSecret("vitest");
      await mail(bot.agentEmail, "To the hook");
      await arrival;
      const { body, headers } = requests[0]!;
      const email = await bot.parseWebhook(body, [secret, "another"], { headers });
      expect([email.subject, email.sender, email.recipient]).toEqual(["To the hook", ANA, bot.agentEmail]);
      await expect(bot.parseWebhook(body, "another")).rejects.toThrow("HMAC signature verification failed");
      expect((await bot.api.listSigningSecrets()).secrets.map((each) => each.id)).toContain(id);
      await bot.api.deleteSigningSecret(id);
      expect((await bot.api.getDelivery(bot.agentEmail, email.messageId)).status).toMatch(/delivered|pending/);
    } finally {
      server.close();
    }
  });

  it("listens: what is unread first, then what comes", async () => {
    const bot = await agent();
    await mail(bot.agentEmail, "before");
    const seen: string[] = [];
    for await (const { message_id, recipient, subject } of bot.listen()) {
      expect(recipient).toBe(bot.agentEmail);
      seen.push(subject);
      await bot.getMessage(message_id);
      if (seen.length === 2) break;
      await mail(bot.agentEmail, "while listening");
    }
    expect(seen).toEqual(["before", "while listening"]);
  });

  it("is told why listening is refused", async () => {
    const bot = await agent();
    const nobody = bot.listen({ agentEmail: "nobody@agents.test" });
    await expect(nobody.next()).rejects.toBeInstanceOf(NotFoundError);
    const stranger = new E2AClient({ ...KEY, apiKey: `e2a_${"0".repeat(64)}`, agentEmail: bot.agentEmail });
    await expect(stranger.listen().next()).rejects.toBeInstanceOf(AuthenticationError);
  });

  it("holds mail for a person, who changes it, sends it, or does not", async () => {
    const [bot, peer] = [await agent(), await agent()];
    await bot.updateAgent({ hitl_enabled: true });
    const file = { filename: "a.txt", content_type: "text/plain", data: "Zmlyc3Q=" };
    const held = await bot.send([peer.agentEmail], "Draft", "first", { attachments: [file] });
    expect(held.status).toBe("pending_approval");
    expect(held.approval_expires_at).toBeTruthy();
    const mine = async () => (await bot.listPendingMessages()).messages.filter((each) => each.agent_id === bot.agentEmail);
    expect((await mine()).map(({ id }) => id)).toEqual([held.message_id]);
    expect(await bot.getPendingMessage(held.message_id)).toMatchObject({ subject: "Draft", body_text: "first" });
    expect((await bot.api.getPendingAttachment(held.message_id, 0)).toString("utf8")).toBe("first");
    const approved = await bot.approveMessage(held.message_id, { subject: "Better" });
    expect(approved).toMatchObject({ status: "sent", edited: true, message_id: held.message_id });
    const email = (await peer.waitForMessage({ timeout: 10_000 }));
    expect(email.subject).toBe("Better");
    expect(email.attachments.map(({ filename, data }) => [filename, data.toString("utf8")])).toEqual([["a.txt", "first"]]);
    const octets = await peer.api.getAttachment(peer.agentEmail, email.messageId, 0);
    expect(octets.toString("utf8")).toBe("first");

    const other = await bot.send([peer.agentEmail], "Never", "x");
    expect(await bot.rejectMessage(other.message_id, "no")).toMatchObject({ status: "rejected", rejection_reason: "no" });
    await expect(bot.approveMessage(other.message_id)).rejects.toBeInstanceOf(ConflictError);
    expect(await mine()).toEqual([]);
  });

  it("sends once, however often it asks", async () => {
    const [bot, peer] = [await agent(), await agent()];
    const options = { idempotencyKey: `once-${Date.now()}` };
    const first = await bot.send([peer.agentEmail], "Once", "x", options);
    const second = await bot.send([peer.agentEmail], "Once", "x", options);
    expect(second.message_id).toBe(first.message_id);
    const other = bot.send([peer.agentEmail], "Another", "x", options);
    await expect(other).rejects.toMatchObject({ statusCode: 422, code: "idempotency_key_reuse" });
    expect((await peer.listMessages()).messages).toHaveLength(1);
  });

  it("sends a message on, whole or quoted", async () => {
    const [bot, peer] = [await agent(), await agent()];
    await mail(bot.agentEmail, "Pass it on", "the original");
    const email = (await bot.waitForMessage({ timeout: 10_000 }));
    await email.forward([peer.agentEmail], { body: "see below" });
    await email.forward([peer.agentEmail], { as: "attachment" });
    const got = [];
    for await (const { message_id } of peer.iterMessages({ pageSize: 1 })) got.push(await peer.getMessage(message_id));
    expect(got.map(({ subject }) => subject)).toEqual(["Fwd: Pass it on", "Fwd: Pass it on"]);
    expect(got[0]!.textBody).toContain("see below");
    expect(got[0]!.textBody).toContain("the original");
    expect(got[1]!.attachments.map(({ contentType }) => contentType)).toEqual(["message/rfc822"]);
  });

  it("iterates over every page", async () => {
    const bot = await agent();
    for (const subject of ["1", "2", "3"]) await mail(bot.agentEmail, subject);
    const subjects: string[] = [];
    for await (const each of bot.iterMessages({ status: "all", pageSize: 2 })) subjects.push(each.subject);
    expect(subjects).toEqual(["1", "2", "3"]);
    const names = new Set<string>();
    for await (const each of bot.api.iterAgents({ pageSize: 2 })) names.add(each.email);
    expect(names.size).toBe((await bot.listAgents()).agents.length);
  });

  it("waits no longer than it was told to", async () => {
    await expect((await agent()).waitForMessage({ timeout: 0 })).rejects.toBeInstanceOf(TimeoutError);
  });

  it("manages keys, which can do what they were given", async () => {
    const bot = await agent();
    const made = await bot.api.createKey({ name: "reader", permissions: ["messages:read"], agent: bot.agentEmail });
    const reader = new E2AClient({ ...KEY, apiKey: made.key, agentEmail: bot.agentEmail });
    expect((await reader.listMessages()).messages).toEqual([]);
    await expect(reader.send(["a@b.test"], "s", "b")).rejects.toBeInstanceOf(PermissionDeniedError);
    expect((await bot.api.listKeys()).map(({ id }) => id)).toContain(made.id);
    await bot.api.revokeKey(made.id);
    await expect(reader.listMessages()).rejects.toBeInstanceOf(AuthenticationError);
  });

  it("manages domains, suppressions and delegations", async () => {
    const bot = await agent();
    const domain = await bot.registerDomain("vitest.example");
    expect(domain.dns_records.mx.value).toBe("mx.gateway.test");
    expect((await bot.listDomains()).domains.map((each) => each.domain)).toContain("vitest.example");
    expect((await bot.api.getDomain("vitest.example")).records.map(({ purpose }) => purpose)).toContain("ownership");
    await bot.deleteDomain("vitest.example");
    await expect(bot.api.getDomain("vitest.example")).rejects.toBeInstanceOf(NotFoundError);

    await bot.api.addSuppression("gone@people.test", "asked us");
    await expect(bot.send(["gone@people.test"], "s", "b")).rejects.toMatchObject({ code: "recipient_suppressed" });
    const listed = [];
    for await (const each of bot.api.iterSuppressions()) listed.push(each.address);
    expect(listed).toContain("gone@people.test");
    await bot.api.removeSuppression("gone@people.test");
    await expect(bot.api.getSuppression("gone@people.test")).rejects.toBeInstanceOf(NotFoundError);
    expect((await bot.api.listDelegations(bot.agentEmail)).delegations).toEqual([]);
  });

  it("tells what is wrong with a request", async () => {
    const bot = await agent();
    await expect(bot.api.sendEmail({ from: bot.agentEmail, subject: "s", body: "b" })).rejects.toBeInstanceOf(InvalidRequestError);
    const error = await bot.getAgent("nobody@agents.test").catch((thrown: NotFoundError) => thrown);
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({ statusCode: 404, code: "not_found", message: expect.stringContaining("e2a API error (404): ") });
    expect((error as NotFoundError).requestId).not.toBe("");
  });

  it("knows whose key it has, and gives the account's data as a stream", async () => {
    const { api, agentEmail } = await agent();
    expect((await api.me()).permissions).toContain("messages:send");
    expect((await api.listMembers()).members.map(({ role }) => role)).toEqual(["owner"]);
    const text = await new Response(await api.exportData()).text();
    const data = JSON.parse(text) as UserExport;
    expect((data["agents"] as Agent[]).map(({ email }) => email)).toContain(agentEmail);
    const archive = new Uint8Array(await new Response(await api.exportData("zip")).arrayBuffer());
    expect(new TextDecoder().decode(archive.subarray(0, 2))).toBe("PK");
    const actions = [];
    for await (const each of api.iterAuditEvents({ resourceId: agentEmail })) actions.push(each.action);
    expect(actions).toContain("agent.created");
    const lines = await new Response(await api.exportAuditEvents({ resourceId: agentEmail })).text();
    expect(JSON.parse(lines.split("\n")[0]!).action).toBe("agent.created");
    expect(await api.getUsage()).toBeTruthy();
  });

  it("rotates the secret while both are good", async () => {
    const { api } = await agent();
    const { secret, id } = await api.rotateSigningSecrets("rotated", 60);
    expect(secret).toMatch(/^[0-9a-f]{64}$/);
    expect((await api.listSigningSecrets()).secrets[0]!.id).toBe(id);
  });

  it("deletes an agent with its mail", async () => {
    const bot = await agent();
    await bot.deleteAgent();
    await expect(bot.getAgent()).rejects.toBeInstanceOf(NotFoundError);
  });
});
