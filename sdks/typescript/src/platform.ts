// What differs between Node, Deno, Bun, browsers and workers, asked for when it is needed and never on import.

import { randomBytes } from "@noble/hashes/utils";
import { sha256 as slowSha256 } from "@noble/hashes/sha2";

/** Octets: a `Buffer` where the platform has it (and its types are installed), else a `Uint8Array`. */
export type Bytes = typeof globalThis extends { Buffer: { alloc(size: number): infer B } } ? B : Uint8Array;

interface Platform {
  Buffer?: { from(octets: ArrayBufferLike, start: number, length: number): Uint8Array };
  process?: { env?: Record<string, string | undefined> };
}

const platform = globalThis as unknown as Platform;

/** The same octets as this platform's {@link Bytes}, without a copy. */
export function bytes(octets: Uint8Array): Bytes {
  const { Buffer } = platform;
  return (Buffer ? Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength) : octets) as Bytes;
}

/** An environment variable; "" where it is not set, there are none, or they may not be read. */
export function environment(name: string): string {
  try {
    return platform.process?.env?.[name] ?? "";
  } catch {
    return "";
  }
}

/** What base64 text stands for. Foreign characters and missing padding are tolerated, as they are in mail. */
export function fromBase64(text: string): Uint8Array {
  const standard = text.replaceAll("-", "+").replaceAll("_", "/").replace(/[^A-Za-z0-9+/]/g, "");
  const binary = atob(standard.length % 4 === 1 ? standard.slice(0, -1) : standard);
  const octets = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index++) octets[index] = binary.charCodeAt(index);
  return octets;
}

/** Standard base64 on one line. */
export function toBase64(octets: Uint8Array): string {
  let binary = "";
  // More arguments than this overflow the stack of some engines.
  for (let start = 0; start < octets.length; start += 0x8000) {
    binary += String.fromCharCode(...octets.subarray(start, start + 0x8000));
  }
  return btoa(binary);
}

export function toHex(octets: Uint8Array): string {
  return Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
}

/** A random UUID (RFC 9562, version 4), also where `crypto.randomUUID` is missing. */
export function uuid(): string {
  const octets = randomBytes(16);
  octets[6] = (octets[6]! & 0x0f) | 0x40;
  octets[8] = (octets[8]! & 0x3f) | 0x80;
  return toHex(octets).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** SHA-256 by Web Crypto, or in JavaScript where the platform has none: Node 18, pages without TLS. */
export async function sha256(octets: Uint8Array): Promise<Uint8Array> {
  const subtle = globalThis.crypto?.subtle;
  return subtle ? new Uint8Array(await subtle.digest("SHA-256", octets as BufferSource)) : slowSha256(octets);
}

/** Whether two texts are equal, in a time that does not tell where they differ. */
export function equalTexts(left: string, right: string): boolean {
  const a = new TextEncoder().encode(left);
  const b = new TextEncoder().encode(right);
  let difference = a.length ^ b.length;
  for (let index = 0; index < b.length; index++) difference |= (a[index] ?? 0) ^ b[index]!;
  return difference === 0;
}
