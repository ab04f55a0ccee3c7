import { createHmac } from "node:crypto";
import { afterEach, describe, expect, it, vi } from "vitest";

import { InboundEmail, UnverifiedEmailError, WebhookVerificationError } from "../../src/index.js";
import { htmlToText } from "../../src/mime.js";
import { answering, client, json, RAW, SECRET, webhook } from "./support.js";

const GATED = [
  "messageId",
  "conversationId",
  "sender",
  "recipient",
  "tag",
  "agentEmail",
  "to",
  "cc",
  "replyTo",
  "subject",
  "textBody",
  "htmlBody",
  "attachments",
  "receivedAt",
  "authentication",
  "automation",
] as const;

afterEach(() => {
  vi.unstubAllEnvs();
  vi.useRealTimers();
});

describe("the gate", () => {
  it("keeps every member closed until a check has succeeded, and open from then on", async () => {
    const email = await client().parse(webhook());
    for (const member of GATED) expect(() => email[member], member).toThrow(UnverifiedEmailError);
    await expect(email.reply("x")).rejects.toThrow(UnverifiedEmailError);
    await expect(email.forward(["a@b.test"])).rejects.toThrow(UnverifiedEmailError);
    expect(email.verifySignature("another secret")).toBe(false);
    expect(() => email.subject).toThrow(UnverifiedEmailError);
    expect(email.verifySignature(SECRET)).toBe(true);
    expect(email.verifySignature("another secret")).toBe(false);
    expect([email.subject, email.sender, email.messageId]).toEqual(["Café", "ana@corp.test", "msg_1"]);
  });

  it("shows what is not gated from the start", async () => {
    const email = await client().parse(webhook());
    expect(email.verified).toBe(false);
    expect(email.isVerified).toBe(true);
    expect(email.auth.domainCheck).toBe("spf=pass; dkim=pass");
    expect(email.rawMessage.toString("utf8")).toBe(RAW);
    expect(email.unverifiedPayload.subject).toBe("Café");
  });

  it("trusts what is signed and not what stands beside it", async () => {
    const email = await client().parseWebhook(webhook(RAW, { from: "boss@corp.test", message_id: "msg_2" }), SECRET);
    expect([email.sender, email.messageId]).toEqual(["ana@corp.test", "msg_1"]);
  });

  it("is open for mail fetched over the API, which can still be checked", async () => {
    const { fetch } = answering(json(webhook()));
    const email = await client(fetch).getMessage("msg_1");
    expect(email.subject).toBe("Café");
    expect(email.verifySignature("another secret")).toBe(false);
    expect(email.subject).toBe("Café");
  });

  it("is shut for a detail that is not vouched for", async () => {
    const email = await InboundEmail.fromMessageDetail(webhook() as never, client());
    expect(() => email.subject).toThrow(UnverifiedEmailError);
  });

  it("checks nothing synchronously with a promise: a false answer is false", async () => {
    const email = await client().parse(webhook());
    expect(email.verifySignature("wrong")).toStrictEqual(false);
  });
});

describe("parseWebhook", () => {
  it("takes text, octets and objects", async () => {
    const text = JSON.stringify(webhook());
    for (const body of [text, Buffer.from(text), new TextEncoder().encode(text).buffer as ArrayBuffer, webhook()]) {
      expect((await client().parseWebhook(body, SECRET)).textBody.trim()).toBe("Hello\nthere");
    }
  });

  it("throws an Error with the published text for a bad signature", async () => {
    const failed = client().parseWebhook(webhook(), "another secret");
    await expect(failed).rejects.toThrow("HMAC signature verification failed");
    await expect(failed).rejects.toBeInstanceOf(WebhookVerificationError);
  });

  it("throws, and is not false, without a secret", async () => {
    vi.stubEnv("E2A_WEBHOOK_SECRET", "");
    vi.stubEnv("E2A_HMAC_SECRET", "");
    for (const secret of [undefined, "", []]) {
      await expect(client().parseWebhook(webhook(), secret)).rejects.toThrow(/E2A_WEBHOOK_SECRET/);
      const email = await client().parse(webhook());
      expect(() => email.verifySignature(secret)).toThrow(/E2A_WEBHOOK_SECRET/);
    }
  });

  it("tries every secret that is given or in the environment", async () => {
    await client().parseWebhook(webhook(), ["old", SECRET]);
    vi.stubEnv("E2A_WEBHOOK_SECRET", `old, ${SECRET}`);
    expect((await client().parseWebhook(webhook())).verified).toBe(true);
  });

  it("reads the older variable with one warning in all", async () => {
    vi.stubEnv("E2A_WEBHOOK_SECRET", "");
    vi.stubEnv("E2A_HMAC_SECRET", SECRET);
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    await client().parseWebhook(webhook());
    await client().parseWebhook(webhook());
    expect(warn).toHaveBeenCalledTimes(1);
  });

  it("refuses what is older than five minutes", async () => {
    const payload = webhook();
    vi.useFakeTimers({ now: Date.now() + 302_000, toFake: ["Date"] });
    await expect(client().parseWebhook(payload, SECRET)).rejects.toThrow(WebhookVerificationError);
  });

  it("is no for a signature that is not hex", async () => {
    const payload = webhook();
    payload.auth_headers["X-E2A-Auth-Signature"] = "ü".repeat(64);
    await expect(client().parseWebhook(payload, SECRET)).rejects.toThrow(WebhookVerificationError);
  });

  it("takes header names in any letter case, and refuses two spellings of one", async () => {
    const payload = webhook();
    const names = Object.entries(payload.auth_headers).map(([name, value]) => [name.toLowerCase(), value]);
    payload.auth_headers = Object.fromEntries(names);
    expect((await client().parseWebhook(payload, SECRET)).sender).toBe("ana@corp.test");
    payload.auth_headers["X-E2A-AUTH-SENDER"] = "ana@corp.test";
    await expect(client().parseWebhook(payload, SECRET)).rejects.toThrow(WebhookVerificationError);
  });

  it("with headers proves the whole body, or throws", async () => {
    const body = JSON.stringify(webhook());
    const moment = String(Math.floor(Date.now() / 1000));
    const mac = createHmac("sha256", SECRET).update(`msg_1.${moment}.${body}`).digest("base64");
    const headers = { "webhook-id": "msg_1", "webhook-timestamp": moment, "webhook-signature": `v1,x v1,${mac}` };
    const email = await client().parseWebhook(body, SECRET, { headers: new Headers(headers) });
    expect(email.verified).toBe(true);
    const tampered = body.replace('"c-1"', '"c-2"');
    await client().parseWebhook(tampered, SECRET);
    await expect(client().parseWebhook(tampered, SECRET, { headers })).rejects.toThrow(WebhookVerificationError);
    await expect(client().parseWebhook(body, SECRET, { headers: {} })).rejects.toThrow(WebhookVerificationError);
    await expect(client().parseWebhook(JSON.parse(body), SECRET, { headers })).rejects.toThrow(TypeError);
  });

  it("with headers needs no other proof, so that a clock may be as wrong as their standard allows", async () => {
    const body = JSON.stringify(webhook());
    vi.useFakeTimers({ now: Date.now() - 120_000, toFake: ["Date"] });
    await expect(client().parseWebhook(body, SECRET)).rejects.toThrow(WebhookVerificationError);
    const moment = String(Math.floor(Date.now() / 1000) + 120);
    const mac = createHmac("sha256", SECRET).update(`msg_1.${moment}.${body}`).digest("base64");
    const headers = { "webhook-id": "msg_1", "webhook-timestamp": moment, "webhook-signature": `v1,${mac}` };
    const email = await client().parseWebhook(body, SECRET, { headers });
    expect([email.verified, email.sender]).toEqual([true, "ana@corp.test"]);
  });

  it("says what is wrong with a body that is none", async () => {
    await expect(client().parseWebhook("nonsense", SECRET)).rejects.toThrow(SyntaxError);
    await expect(client().parseWebhook("[]", SECRET)).rejects.toThrow("JSON object");
  });
});

describe("members", () => {
  const open = (raw: string, more = {}) => client().parseWebhook(webhook(raw, more), SECRET);

  it("has null for a conversation that is absent, and what the server said otherwise", async () => {
    expect((await open(RAW, { conversation_id: undefined })).conversationId).toBeNull();
    expect((await open(RAW, { conversation_id: null })).conversationId).toBeNull();
    expect((await open(RAW, { conversation_id: "" })).conversationId).toBe("");
  });

  it("answers as the agent, without the tag of the address", async () => {
    const email = await open(RAW, { recipient: "bot+shop@agents.test", tag: "shop" });
    expect([email.recipient, email.agentEmail]).toEqual(["bot+shop@agents.test", "bot@agents.test"]);
  });

  it("gives attachments as a Buffer where there is one", async () => {
    const raw = [
      "Subject: files",
      "MIME-Version: 1.0",
      "Content-Type: multipart/mixed; boundary=b",
      "",
      "--b",
      "Content-Type: text/plain",
      "",
      "one",
      "--b",
      "Content-Type: application/pdf; name=a.pdf",
      "Content-Disposition: attachment; filename=a.pdf",
      "Content-Transfer-Encoding: base64",
      "",
      "JVBERg==",
      "--b",
      "Content-Type: message/rfc822",
      "Content-Disposition: attachment",
      "",
      "Subject: inner",
      "",
      "not part of the text",
      "--b--",
      "",
    ].join("\r\n");
    const { attachments, textBody } = await open(raw);
    expect(textBody.trim()).toBe("one");
    expect(attachments.map((file) => [file.filename, file.contentType])).toEqual([
      ["a.pdf", "application/pdf"],
      ["unnamed", "message/rfc822"],
    ]);
    expect(attachments[0]!.data.toString("utf8")).toBe("%PDF");
    expect(attachments[0]!.size).toBe(4);
  });

  it("derives the text of mail that is HTML only", async () => {
    const email = await open("Subject: x\r\nContent-Type: text/html\r\n\r\n<p>Hello</p>\r\n<p>a &amp; b</p>\r\n");
    expect(email.textBody).toBe("Hello\n\na & b");
    expect(email.htmlBody).toBe("<p>Hello</p>\n<p>a &amp; b</p>\n");
  });

  it("is empty, and no error, for what is no message", async () => {
    const email = await open("\0\xff");
    expect([email.textBody.trim(), email.htmlBody, email.attachments]).toEqual(["", null, []]);
  });
});

describe("a hostile message", () => {
  it.each([
    ["many parts", `Content-Type: multipart/mixed; boundary=b\r\n\r\n${"--b\r\n\r\nx\r\n".repeat(400_000)}--b--`],
    ["HTML among text", `Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\nContent-Type: text/html\r\n\r\n${"<a &amp".repeat(60_000)}`],
    ["parts in parts", Array.from({ length: 5000 }, (_, n) => `Content-Type: multipart/mixed; boundary=b${n}\r\n\r\n--b${n}\r\n`).join("")],
    ["messages in messages", "Content-Type: message/rfc822\r\n\r\n".repeat(20_000)],
    ["words in its subject", `Subject: ${"=?utf-8?q?a?= ".repeat(100_000)}\r\n\r\nx`],
    ["addresses", `To: ${"a@b.c, ".repeat(100_000)}\r\n\r\nx`],
  ])("takes no longer than others of its length: %s", async (_, raw) => {
    const before = process.cpuUsage();
    const { unverifiedPayload } = await client().parse(webhook(raw));
    expect(unverifiedPayload.messageId).toBe("msg_1");
    expect(process.cpuUsage(before).user).toBeLessThan(10_000_000);
  });

  it("has no text when it has more parts than can be looked at, and is signed all the same", async () => {
    const raw = `Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n${"--b\r\n\r\nx\r\n".repeat(20_001)}--b--`;
    const email = await client().parseWebhook(webhook(raw, { subject: "from the server" }), SECRET);
    expect([email.subject, email.textBody, email.attachments]).toEqual(["from the server", "", []]);
  });
});

describe("the text of HTML", () => {
  it.each([
    ["<style>p{}</style><b>a</b><!-- x -->b", "ab"],
    ["a<br>b<script>1<2</script>c", "a\nbc"],
    ["<ul><li>x<li>y</ul>", "x\ny"],
    ["&#65;&#x42;&nbsp;&unknown;", "AB &unknown;"],
    ["a < b <3", "a < b <3"],
    ["a<style>never ends", "a"],
    ["", ""],
  ])("%s", (html, text) => expect(htmlToText(html)).toBe(text));

  it("takes time in proportion to the HTML", () => {
    const start = performance.now();
    for (const piece of ["<style>", "<!--", "<", "&", "<p", "\n"]) htmlToText(piece.repeat(300_000));
    expect(performance.now() - start).toBeLessThan(3000);
  });
});
