// Where there is neither Buffer nor process nor Web Crypto, as in pages without TLS, mail is checked and read just the
// same. Run in a project that has the package installed, with a signed message of the API on standard input.

import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";

const body = readFileSync(0, "utf8");
const [secret, subject] = process.argv.slice(2);
// In this order: to make its WebSocket, Node 22 needs the others.
for (const name of ["WebSocket", "crypto", "process", "Buffer"]) {
  Object.defineProperty(globalThis, name, { value: undefined });
}

const { E2AClient } = await import("@e2a/sdk");
const client = new E2AClient({ apiKey: "e2a_key", agentEmail: "bot@agents.test" });
const email = await client.parseWebhook(body, secret);
assert.equal(email.subject, subject);
assert.equal(email.textBody.trim(), "How are you?");
assert.equal(Object.getPrototypeOf(email.rawMessage), Uint8Array.prototype);
await assert.rejects(client.parseWebhook(body, "wrong"), { name: "WebhookVerificationError" });
