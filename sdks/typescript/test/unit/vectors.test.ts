import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

import { fromBase64 } from "../../src/platform.js";
import { bodyHash, canonical, check } from "../../src/signing.js";
import { verifyWebhook } from "../../src/webhooks.js";
import { client } from "./support.js";

const file = new URL("../../../../tests/data/vectors.json", import.meta.url);
const vectors = JSON.parse(readFileSync(file, "utf8"));
const unix = (text: string) => Date.parse(text) / 1000;

describe("the vectors that every language passes", () => {
  it("has all of them", () => {
    expect(vectors.canonical_strings).toHaveLength(5);
    expect(vectors.header_signatures).toHaveLength(32);
    expect(vectors.several_signatures).toHaveLength(10);
    expect(vectors.webhook_signatures).toHaveLength(18);
    expect(vectors.inbound_emails).toHaveLength(12);
  });

  it.each(vectors.canonical_strings as any[])("canonical string $id", (vector) => {
    const fields = Object.values<string>(vector.fields);
    if (vector.line_count !== 8) expect(() => canonical(fields)).toThrow(RangeError);
    else expect(Buffer.from(canonical(fields)).toString("hex")).toBe(vector.canonical_utf8_hex);
  });

  it.each(vectors.header_signatures as any[])("signature $id", async (vector) => {
    const raw = fromBase64(vector.raw_message_b64);
    const window = { maxAge: vector.max_age_seconds, futureSkew: vector.future_skew_seconds };
    const now = unix(vector.verifier_clock);
    const found = check(vector.presented_headers, await bodyHash(raw), vector.verifier_secrets, now, window);
    expect(found).toEqual({
      bodyHashOk: vector.expect.body_hash_ok,
      signatureOk: vector.expect.signature_ok,
      timestampOk: vector.expect.timestamp_ok,
      accepted: vector.expect.accept,
    });
  });

  it.each(vectors.several_signatures as any[])("signatures of several secrets: $id", async (vector) => {
    const hash = await bodyHash(fromBase64(vector.raw_message_b64));
    const found = check(vector.presented_headers, hash, vector.verifier_secrets, unix(vector.verifier_clock));
    expect(found.accepted).toBe(vector.expect);
  });

  it.each(vectors.webhook_signatures as any[])("webhook $id", async (vector) => {
    const body = new TextEncoder().encode(vector.body);
    const now = unix(vector.verifier_clock);
    expect(await verifyWebhook(vector.headers, body, vector.verifier_secrets, now)).toBe(vector.expect);
  });

  it.each(vectors.inbound_emails as any[])("e-mail $id", async (vector) => {
    const closed = (await client().parse(JSON.stringify(vector.payload))).unverifiedPayload;
    expect(closed).toMatchObject({
      messageId: vector.expect.message_id,
      conversationId: vector.expect.conversation_id,
      sender: vector.expect.sender,
      recipient: vector.expect.recipient,
      to: vector.expect.to,
      cc: vector.expect.cc,
      replyTo: vector.expect.reply_to,
      subject: vector.expect.subject,
      receivedAt: vector.expect.received_at,
      attachmentsCount: vector.expect.attachments_count,
    });
    // Line ends are LF here and those of the message in Python.
    expect(closed.textBody.trim()).toBe(vector.expect.text_body.trim().replaceAll("\r\n", "\n"));
    expect(closed.htmlBody?.trim() ?? null).toBe(vector.expect.html_body?.trim().replaceAll("\r\n", "\n") ?? null);
  });
});
