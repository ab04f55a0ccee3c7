// Bodies and attachments of a raw message. The parser is loaded with the first message that is read.

import { bytes, type Bytes } from "./platform.js";

/** A file that came with a message. */
export interface Attachment {
  filename: string;
  contentType: string;
  data: Bytes;
  /** Decoded octets. */
  size: number;
}

export interface Content {
  /** Decoded `Subject`; null when there is no such header. */
  subject: string | null;
  textBody: string;
  htmlBody: string | null;
  attachments: Attachment[];
}

const NOTHING: Content = { subject: null, textBody: "", htmlBody: null, attachments: [] };

/** Lines that may begin a part, at most: each costs its time, and a message of 25 MiB has room for millions. */
const MOST_DELIMITERS = 20_000;

/** Plain-text parts joined, else the text of the HTML; line ends are LF. What cannot be parsed is empty. */
export async function parseMessage(raw: Uint8Array): Promise<Content> {
  if (!raw.length || delimiters(raw) > MOST_DELIMITERS) return NOTHING;
  const { default: PostalMime } = await import("postal-mime");
  try {
    const email = await PostalMime.parse(raw, { forceRfc822Attachments: true });
    return {
      subject: email.subject ?? null,
      textBody: lineFeeds(email.text ?? htmlToText(email.html ?? "")),
      htmlBody: email.html ? lineFeeds(email.html) : null,
      attachments: email.attachments.map(({ filename, mimeType, content }) => {
        const octets = typeof content === "string" ? new TextEncoder().encode(content) : new Uint8Array(content);
        return {
          filename: filename || "unnamed",
          contentType: mimeType || "application/octet-stream",
          data: bytes(octets),
          size: octets.length,
        };
      }),
    };
  } catch {
    return NOTHING;
  }
}

/** How many lines begin with two hyphens, as every delimiter of parts does (RFC 2046 5.1.1). */
function delimiters(raw: Uint8Array): number {
  let count = 0;
  for (let at = raw.indexOf(0x0a); at >= 0; at = raw.indexOf(0x0a, at + 1)) {
    if (raw[at + 1] === 0x2d && raw[at + 2] === 0x2d) count++;
  }
  return count;
}

function lineFeeds(text: string): string {
  return text.replaceAll("\r\n", "\n");
}

/** Elements whose content is not shown as text. */
const HIDDEN = new Set(["head", "script", "style", "template", "title"]);
/** Elements that begin and end a line. */
const BLOCKS = new Set(
  "address article blockquote dd div dl dt footer form h1 h2 h3 h4 h5 h6 header li main ol p pre section table tr ul".split(
    " ",
  ),
);
const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: " " };

/** What a person would read. One pass: a sender cannot make it slow. */
export function htmlToText(html: string): string {
  let text = "";
  for (let at = 0; at < html.length; ) {
    const open = html.indexOf("<", at);
    const end = open < 0 ? html.length : open;
    text += decode(html.slice(at, end)).replace(/\s+/g, " ");
    if (open < 0) break;
    if (!/[a-z/!?]/i.test(html[open + 1] ?? "")) {
      text += "<";
      at = open + 1;
      continue;
    }
    const comment = html.startsWith("<!--", open);
    const close = html.indexOf(comment ? "-->" : ">", open);
    if (close < 0) break;
    at = close + (comment ? 3 : 1);
    const [, slash = "", name = ""] = /^<(\/?)([a-z][a-z0-9]*)/i.exec(html.slice(open, open + 20)) ?? [];
    const tag = name.toLowerCase();
    if (tag === "br" || BLOCKS.has(tag)) text += "\n";
    if (HIDDEN.has(tag) && !slash) {
      const ending = new RegExp(`</${tag}`, "gi");
      ending.lastIndex = at;
      at = ending.exec(html)?.index ?? html.length;
    }
  }
  const lines = text.split("\n").map((line) => line.trim());
  return lines.join("\n").replace(/\n{3,}/g, "\n\n").trim();
}

function decode(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]{1,6})|#([0-9]{1,7})|([a-z]{2,6}));/gi, (whole, hex, decimal, name) => {
    if (name) return ENTITIES[String(name).toLowerCase()] ?? whole;
    const code = hex ? parseInt(hex, 16) : Number(decimal);
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}
