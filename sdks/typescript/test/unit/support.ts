import { createHmac, createHash } from "node:crypto";

import { E2AClient, type E2AClientOptions, type WebhookPayload } from "../../src/index.js";

export interface Seen {
  method: string;
  url: URL;
  headers: Headers;
  body: unknown;
}

export type Answer = Response | Error | ((seen: Seen) => Response | Promise<Response>);

/** A `fetch` that gives these answers in turn, the last one again and again, and what it was asked. */
export function answering(...answers: Answer[]) {
  const seen: Seen[] = [];
  const fetch = async (url: string, init: RequestInit): Promise<Response> => {
    if (init.signal?.aborted) throw init.signal.reason;
    const body = typeof init.body === "string" ? JSON.parse(init.body) : init.body;
    seen.push({ method: init.method ?? "GET", url: new URL(url), headers: new Headers(init.headers), body });
    const answer = answers.length > 1 ? answers.shift()! : answers[0]!;
    if (answer instanceof Error) throw answer;
    const response = typeof answer === "function" ? answer(seen.at(-1)!) : answer.clone();
    return Promise.race([
      response,
      new Promise<never>((_, reject) => init.signal?.addEventListener("abort", () => reject(init.signal!.reason))),
    ]);
  };
  return { fetch, seen };
}

export function json(value: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(value), { status, headers: { "Content-Type": "application/json", ...headers } });
}

export function problem(status: number, code: string, detail: string, more: Record<string, unknown> = {}): Response {
  const headers = { "Content-Type": "application/problem+json", "X-Request-Id": "r1" };
  return new Response(JSON.stringify({ type: "about:blank", title: "t", status, code, detail, request_id: "r1", ...more }), {
    status,
    headers,
  });
}

export function client(fetch?: E2AClientOptions["fetch"], more: E2AClientOptions = {}): E2AClient {
  return new E2AClient({ apiKey: "e2a_key", baseUrl: "https://e2a.test/", agentEmail: "bot@agents.test", fetch, ...more });
}

export const SECRET = "d56a17ee58eb5a2cd136c630083d89b593e15fdf559ed4b12b05314e87c7b1ba";
export const RAW = [
  "From: Ana <ana@corp.test>",
  "To: bot@agents.test",
  "Subject: =?utf-8?q?Caf=C3=A9?=",
  "MIME-Version: 1.0",
  "Content-Type: text/plain; charset=utf-8",
  "",
  "Hello",
  "there",
  "",
].join("\r\n");

/** A webhook body as the server makes it, signed now. */
export function webhook(raw: string = RAW, more: Partial<WebhookPayload> = {}, secret = SECRET): WebhookPayload {
  const values = {
    Verified: "true",
    Sender: "ana@corp.test",
    "Entity-Type": "human",
    "Domain-Check": "spf=pass; dkim=pass",
    Delegation: "",
    Timestamp: new Date().toISOString().replace(/\.\d+Z$/, "Z"),
    "Message-Id": "msg_1",
    "Body-Hash": createHash("sha256").update(raw).digest("hex"),
  };
  const signature = createHmac("sha256", secret).update(Object.values(values).join("\n")).digest("hex");
  const headers = Object.entries({ ...values, Signature: signature }).filter(([, value]) => value);
  return {
    message_id: "msg_1",
    conversation_id: "c-1",
    from: "ana@corp.test",
    to: ["bot@agents.test"],
    cc: [],
    recipient: "bot@agents.test",
    subject: "Café",
    received_at: "2026-04-20T08:00:00.123456Z",
    auth_headers: Object.fromEntries(headers.map(([name, value]) => [`X-E2A-Auth-${name}`, value])),
    raw_message: Buffer.from(raw).toString("base64"),
    ...more,
  };
}
