// The X-E2A-Auth-* headers: what the gateway vouches for, under a secret that it shares with the receiver.
//
// The signature is HMAC-SHA256 over eight lines. Nothing escapes a line end, so a value that holds one is refused. The
// key is the text of the secret in UTF-8, never hex-decoded.

import { hmac } from "@noble/hashes/hmac";
import { sha256 as syncSha256 } from "@noble/hashes/sha2";

import { environment, equalTexts, sha256, toHex } from "./platform.js";

const PREFIX = "X-E2A-Auth-";
/** The signed headers in the order of the lines. */
const SIGNED = [
  "Verified",
  "Sender",
  "Entity-Type",
  "Domain-Check",
  "Delegation",
  "Timestamp",
  "Message-Id",
  "Body-Hash",
].map((name) => PREFIX + name);
const SIGNATURE = `${PREFIX}Signature`;
/** One signature for each secret that counts, separated by spaces; only there while there are several. */
const SIGNATURES = `${PREFIX}Signatures`;
/** How many of them are looked at. */
const MOST_SIGNATURES = 10;

/** Seconds that a signature may be old, and lie in the future; both limits themselves pass. */
export const MAX_AGE = 300;
export const FUTURE_SKEW = 30;

const RFC3339 =
  /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(\.\d+)?(?:[Zz]|([+-])(\d\d):(\d\d))$/;
const LONE_SURROGATE = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/;

/** One secret, or all that may sign while secrets are rotated. */
export type Secrets = string | readonly string[];

/** What a presented set of headers is worth, point by point. */
export interface Check {
  bodyHashOk: boolean;
  signatureOk: boolean;
  timestampOk: boolean;
  accepted: boolean;
}

export interface Window {
  /** Seconds; {@link MAX_AGE} when absent. */
  maxAge?: number;
  /** Seconds; {@link FUTURE_SKEW} when absent. */
  futureSkew?: number;
}

/** Lower-case hex SHA-256 of exactly the octets that `raw_message` stands for. */
export async function bodyHash(raw: Uint8Array): Promise<string> {
  return toHex(await sha256(raw));
}

/**
 * The signed text.
 *
 * @throws RangeError a value would make two different sets of values sign alike.
 */
export function canonical(values: readonly string[]): string {
  if (values.length !== SIGNED.length) throw new RangeError(`${SIGNED.length} values are signed`);
  values.forEach((value, index) => {
    if (/[\r\n\0]/.test(value) || LONE_SURROGATE.test(value)) {
      throw new RangeError(`${SIGNED[index]} holds a line break, NUL or half a character`);
    }
  });
  return values.join("\n");
}

/**
 * Judge presented headers. Their names match in any letter case; a header given twice under two spellings is refused.
 * Never throws for anything presented.
 *
 * @param hash - {@link bodyHash} of the message.
 * @param now - the receiver's Unix time in seconds.
 */
export function check(
  headers: Readonly<Record<string, string>>,
  hash: string,
  secrets: readonly string[],
  now: number,
  { maxAge = MAX_AGE, futureSkew = FUTURE_SKEW }: Window = {},
): Check {
  const presented = new Map<string, string>();
  let ambiguous = false;
  for (const [name, value] of Object.entries(headers)) {
    const key = name.toLowerCase();
    ambiguous ||= presented.has(key);
    presented.set(key, String(value));
  }
  const value = (name: string) => presented.get(name.toLowerCase()) ?? "";
  const age = now - unixTime(value(`${PREFIX}Timestamp`));
  const bodyHashOk = equalTexts(value(`${PREFIX}Body-Hash`), hash);
  const timestampOk = age >= -futureSkew && age <= maxAge;
  const offered = value(SIGNATURE)
    ? [value(SIGNATURE), ...value(SIGNATURES).split(/\s+/).slice(0, MOST_SIGNATURES)]
    : [];
  const signatureOk = !ambiguous && signatureMatches(offered, SIGNED.map(value), secrets);
  return { bodyHashOk, signatureOk, timestampOk, accepted: bodyHashOk && signatureOk && timestampOk };
}

let warned = false;

/**
 * The secrets to check with: those given, else those of `E2A_WEBHOOK_SECRET` (several are separated by commas or
 * blanks), else of its older name `E2A_HMAC_SECRET`.
 *
 * @throws Error there is none: a check that cannot be made is not a check that fails.
 */
export function secretsOf(given?: Secrets): string[] {
  let found = typeof given === "string" ? [given] : [...(given ?? [])];
  if (given === undefined) {
    found = split(environment("E2A_WEBHOOK_SECRET"));
    if (!found.length) {
      found = split(environment("E2A_HMAC_SECRET"));
      if (found.length && !warned) {
        warned = true;
        console.warn("E2A_HMAC_SECRET is deprecated: name the webhook secret E2A_WEBHOOK_SECRET");
      }
    }
  }
  found = found.filter(Boolean);
  if (!found.length) {
    throw new Error("no webhook secret: pass one or set E2A_WEBHOOK_SECRET");
  }
  return found;
}

function split(text: string): string[] {
  return text.split(/[\s,]+/).filter(Boolean);
}

function signatureMatches(signatures: string[], values: string[], secrets: readonly string[]): boolean {
  let text: string;
  try {
    text = canonical(values);
  } catch {
    return false;
  }
  const encoder = new TextEncoder();
  let matches = false;
  for (const secret of secrets) {
    if (!secret) continue;
    // A few hundred octets at most: not worth an asynchronous interface.
    const mac = toHex(hmac(syncSha256, encoder.encode(secret), encoder.encode(text)));
    for (const signature of signatures) matches = equalTexts(signature, mac) || matches;
  }
  return matches;
}

/** Unix time of an RFC 3339 text; NaN, which compares with nothing, when it is none. */
function unixTime(text: string): number {
  const match = RFC3339.exec(text);
  if (!match) return NaN;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const moment = new Date(0);
  moment.setUTCFullYear(year, month - 1, day);
  moment.setUTCHours(hour, minute, second);
  const exists =
    year > 0 &&
    moment.getUTCMonth() === month - 1 &&
    moment.getUTCDate() === day &&
    moment.getUTCHours() === hour &&
    moment.getUTCMinutes() === minute &&
    moment.getUTCSeconds() === second;
  const offsetHours = Number(match[9] ?? 0);
  const offsetMinutes = Number(match[10] ?? 0);
  if (!exists || offsetHours > 23 || offsetMinutes > 59) return NaN;
  const offset = (offsetHours * 60 + offsetMinutes) * 60 * (match[8] === "-" ? 1 : -1);
  return moment.getTime() / 1000 + offset + Number(match[7] ?? 0);
}
