// Standard Webhooks (https://www.standardwebhooks.com): a signature over a whole request body.

import { hmac } from "@noble/hashes/hmac";
import { sha256 } from "@noble/hashes/sha2";

import { equalTexts, toBase64 } from "./platform.js";

/** Seconds that a request's timestamp may lie on either side of this machine's clock. */
const TOLERANCE = 300;

/** Request headers as `fetch`, Node's http module or a framework have them. */
export type WebhookHeaders =
  | { get(name: string): string | null | undefined }
  | Record<string, string | readonly string[] | undefined>;

/**
 * Whether one of the `webhook-signature`s is right for this body under one of the secrets, and recent.
 *
 * @param body - the request's, as received.
 * @param now - Unix time in seconds.
 */
export async function verifyWebhook(
  headers: WebhookHeaders,
  body: Uint8Array,
  secrets: readonly string[],
  now: number = Date.now() / 1000,
): Promise<boolean> {
  const id = header(headers, "webhook-id");
  const moment = header(headers, "webhook-timestamp");
  if (!id || !/^\d{1,12}$/.test(moment) || !(Math.abs(now - Number(moment)) <= TOLERANCE)) return false;
  const prefix = new TextEncoder().encode(`${id}.${moment}.`);
  const signed = new Uint8Array(prefix.length + body.length);
  signed.set(prefix);
  signed.set(body, prefix.length);
  const offered = header(headers, "webhook-signature").split(/\s+/);
  let matches = false;
  for (const secret of secrets) {
    if (!secret) continue;
    const expected = `v1,${toBase64(await mac(secret, signed))}`;
    for (const signature of offered) matches = equalTexts(signature, expected) || matches;
  }
  return matches;
}

function header(headers: WebhookHeaders, name: string): string {
  if (typeof headers.get === "function") {
    return (headers as { get(name: string): string | null | undefined }).get(name) ?? "";
  }
  const found = Object.entries(headers as Record<string, unknown>).find(([key]) => key.toLowerCase() === name)?.[1];
  return Array.isArray(found) ? found.join(" ") : String(found ?? "");
}

/** By Web Crypto where there is one: bodies can be long. */
async function mac(secret: string, octets: Uint8Array): Promise<Uint8Array> {
  const key = new TextEncoder().encode(secret);
  const subtle = globalThis.crypto?.subtle;
  if (!subtle) return hmac(sha256, key, octets);
  const imported = await subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await subtle.sign("HMAC", imported, octets as BufferSource));
}
