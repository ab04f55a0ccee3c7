import type { E2AClient, ForwardOptions, ReplyOptions } from "./client.js";
import { UnverifiedEmailError } from "./errors.js";
import { parseMessage, type Attachment, type Content } from "./mime.js";
import { bytes, fromBase64, type Bytes } from "./platform.js";
import { bodyHash, check, secretsOf, type Secrets } from "./signing.js";
import type { MessageDetail, SendResult, WebhookPayload } from "./types.js";

/** What the server vouches for, as it was presented: true once the signature was checked. */
export interface AuthHeaders {
  /** Whether the server could show that the sender is who the From header says. */
  verified: boolean;
  sender: string;
  /** "human", or "agent" for an agent of the same deployment. */
  entityType: string;
  /** Such as "spf=pass; dkim=pass". */
  domainCheck: string;
  /** "agent=...;human=..." when the sending agent acts for a person. */
  delegation: string;
  signature: string;
  timestamp: string;
  messageId: string;
  bodyHash: string;
}

/** The fields without any check, for logs and for finding out why a check fails. */
export interface UnverifiedPayload {
  messageId: string;
  conversationId: string | null;
  sender: string;
  recipient: string;
  to: string[];
  cc: string[];
  replyTo: string[];
  subject: string;
  textBody: string;
  htmlBody: string | null;
  receivedAt: string | null;
  attachmentsCount: number;
}

type Payload = Partial<WebhookPayload> | Partial<MessageDetail>;

/**
 * A received e-mail.
 *
 * One from a webhook is closed: until `verifySignature` has succeeded, every member but `auth`, `rawMessage`,
 * `verified`, `isVerified` and `unverifiedPayload` throws {@link UnverifiedEmailError}. One that was fetched over the API
 * is open from the start.
 */
export class InboundEmail {
  /** As presented: before the check these are claims. */
  readonly auth: AuthHeaders;
  /** The message as the server stored it. */
  readonly rawMessage: Bytes;

  readonly #payload: Record<string, unknown>;
  readonly #headers: Record<string, string>;
  readonly #client: E2AClient;
  readonly #content: Content;
  readonly #hash: string;
  readonly #agent: string;
  /** Whether all of it is proven, and not only what the signature covers. */
  readonly #whole: boolean;
  #signed = false;

  private constructor(
    payload: Payload,
    client: E2AClient,
    raw: Bytes,
    content: Content,
    hash: string,
    whole: boolean,
    agent: string,
  ) {
    this.#payload = payload as Record<string, unknown>;
    const headers = payload.auth_headers ?? {};
    const texts = Object.entries(headers).filter(([, value]) => typeof value === "string");
    this.#headers = Object.fromEntries(texts);
    this.#client = client;
    this.#content = content;
    this.#hash = hash;
    this.#whole = whole;
    this.#agent = agent;
    this.auth = authOf(this.#headers);
    this.rawMessage = raw;
  }

  /**
   * @param detail - a webhook's body, or a message of the API.
   * @param trusted - whether it came by a way that needs no further check.
   * @param agentEmail - the agent that it was fetched for; that of the recipient when "".
   */
  static async fromPayload(
    detail: Payload,
    client: E2AClient,
    trusted = false,
    agentEmail = "",
  ): Promise<InboundEmail> {
    const text = detail.raw_message;
    const raw = fromBase64(typeof text === "string" ? text : "");
    const [content, hash] = await Promise.all([parseMessage(raw), bodyHash(raw)]);
    return new InboundEmail(detail, client, bytes(raw), content, hash, trusted, agentEmail);
  }

  /** Closed, wherever the detail is from. */
  static fromMessageDetail(detail: MessageDetail, client: E2AClient): Promise<InboundEmail> {
    return InboundEmail.fromPayload(detail, client);
  }

  // --- the gate -------------------------------------------------------------------------------------------------------

  /**
   * Check the signature over the message and who sent it; a success opens the e-mail for good.
   *
   * It covers the raw message and what `auth` says, and nothing else: after it `sender` and `messageId` are the signed
   * ones, while `recipient`, `to`, `cc` and `conversationId` are what the request said. `parseWebhook` with `headers`
   * checks those too. A signature is good for five minutes.
   *
   * @param secret - one, or several during a rotation; `E2A_WEBHOOK_SECRET` when absent.
   * @throws Error there is no secret.
   */
  verifySignature(secret?: Secrets): boolean {
    const { accepted } = check(this.#headers, this.#hash, secretsOf(secret), Date.now() / 1000);
    this.#signed ||= accepted;
    return accepted;
  }

  /** Whether a signature check has succeeded, or the e-mail came over the API. */
  get verified(): boolean {
    return this.#signed || this.#whole;
  }

  /** Whether the server could show that the sender is who the From header says. A claim before the check. */
  get isVerified(): boolean {
    return this.auth.verified;
  }

  get unverifiedPayload(): UnverifiedPayload {
    return {
      messageId: this.#text("message_id"),
      conversationId: this.#conversation,
      sender: this.#text("from"),
      recipient: this.#text("recipient"),
      to: this.#list("to"),
      cc: this.#list("cc"),
      replyTo: this.#list("reply_to"),
      subject: this.#subject,
      textBody: this.#content.textBody,
      htmlBody: this.#content.htmlBody,
      receivedAt: this.#receivedAt,
      attachmentsCount: this.#content.attachments.length,
    };
  }

  // --- behind the gate ------------------------------------------------------------------------------------------------

  /** The server's id of this message: the same for every delivery of it. */
  get messageId(): string {
    this.#enter("messageId");
    return this.#whole ? this.#text("message_id") : this.auth.messageId;
  }

  /** null when it belongs to none. */
  get conversationId(): string | null {
    this.#enter("conversationId");
    return this.#conversation;
  }

  /** The address in the From header. Whether it is true is what `isVerified` says. */
  get sender(): string {
    this.#enter("sender");
    return this.#whole ? this.#text("from") : this.auth.sender;
  }

  /** The address that this copy was sent to. */
  get recipient(): string {
    this.#enter("recipient");
    return this.#text("recipient");
  }

  /** The `+tag` of that address, without the plus; "" when it has none. */
  get tag(): string {
    this.#enter("tag");
    return this.#text("tag");
  }

  /** The agent that it came to: the recipient without a `+tag`. */
  get agentEmail(): string {
    this.#enter("agentEmail");
    if (this.#agent) return this.#agent;
    const [recipient, tag] = [this.#text("recipient"), this.#text("tag")];
    const at = recipient.lastIndexOf("@");
    const local = recipient.slice(0, at);
    return tag && local.endsWith(`+${tag}`) ? local.slice(0, -tag.length - 1) + recipient.slice(at) : recipient;
  }

  /** The addresses in the To header. */
  get to(): string[] {
    this.#enter("to");
    return this.#list("to");
  }

  get cc(): string[] {
    this.#enter("cc");
    return this.#list("cc");
  }

  get replyTo(): string[] {
    this.#enter("replyTo");
    return this.#list("reply_to");
  }

  /** Decoded. */
  get subject(): string {
    this.#enter("subject");
    return this.#subject;
  }

  /** The plain text, else the text of the HTML. Line ends are LF. */
  get textBody(): string {
    this.#enter("textBody");
    return this.#content.textBody;
  }

  /** null when there is none. It is the sender's: clean it before it is shown. */
  get htmlBody(): string | null {
    this.#enter("htmlBody");
    return this.#content.htmlBody;
  }

  get attachments(): Attachment[] {
    this.#enter("attachments");
    return this.#content.attachments;
  }

  /** When the server took it in, as RFC 3339. */
  get receivedAt(): string | null {
    this.#enter("receivedAt");
    return this.#receivedAt;
  }

  /** The SPF, DKIM, DMARC and ARC results; {} from a server that does not tell them. */
  get authentication(): Record<string, unknown> {
    this.#enter("authentication");
    return (this.#payload["authentication"] as Record<string, unknown> | undefined) ?? {};
  }

  /** Whether a program sent it. Programs should not answer programs. */
  get automation(): { is_auto: boolean; reasons: string[] } {
    this.#enter("automation");
    return (this.#payload["automation"] as MessageDetail["automation"]) ?? { is_auto: false, reasons: [] };
  }

  /** Answer it, as the agent that it came to. */
  async reply(body: string, options: ReplyOptions = {}): Promise<SendResult> {
    this.#enter("reply()");
    return this.#client.reply(this.messageId, body, { ...options, agentEmail: options.agentEmail || this.agentEmail });
  }

  /** Send it on, as the agent that it came to. */
  async forward(to: string[], options: ForwardOptions = {}): Promise<SendResult> {
    this.#enter("forward()");
    return this.#client.forward(this.messageId, to, { ...options, agentEmail: options.agentEmail || this.agentEmail });
  }

  // --- inside ---------------------------------------------------------------------------------------------------------

  #enter(member: string): void {
    if (!this.verified) throw new UnverifiedEmailError(member);
  }

  get #subject(): string {
    return this.#content.subject ?? this.#text("subject");
  }

  get #conversation(): string | null {
    return (this.#payload["conversation_id"] as string | null | undefined) ?? null;
  }

  get #receivedAt(): string | null {
    return this.#text("created_at") || this.#text("received_at") || null;
  }

  #text(name: string): string {
    const value = this.#payload[name];
    return typeof value === "string" ? value : "";
  }

  #list(name: string): string[] {
    const value = this.#payload[name];
    return Array.isArray(value) ? value.map(String) : typeof value === "string" ? [value] : [];
  }
}

function authOf(headers: Record<string, string>): AuthHeaders {
  const folded = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  const value = (name: string) => folded.get(`x-e2a-auth-${name}`) ?? "";
  return {
    verified: value("verified").toLowerCase() === "true",
    sender: value("sender"),
    entityType: value("entity-type"),
    domainCheck: value("domain-check"),
    delegation: value("delegation"),
    signature: value("signature"),
    timestamp: value("timestamp"),
    messageId: value("message-id"),
    bodyHash: value("body-hash"),
  };
}
