import { E2AApi, type E2AApiOptions, type MessageFilters, type MessageQuery } from "./api.js";
import { TimeoutError, WebhookVerificationError } from "./errors.js";
import { InboundEmail } from "./inbound.js";
import { WSStream } from "./live.js";
import type { Attachment } from "./mime.js";
import { environment, toBase64, type Bytes } from "./platform.js";
import { secretsOf, type Secrets } from "./signing.js";
import { sleep, type PageQuery, type RequestOptions, type SubmitOptions } from "./transport.js";
import type * as t from "./types.js";
import { verifyWebhook, type WebhookHeaders } from "./webhooks.js";

export interface E2AClientOptions extends E2AApiOptions {
  /** The agent that is meant where none is named; `E2A_AGENT_EMAIL` when absent. */
  agentEmail?: string | undefined;
}

export interface AgentOptions extends RequestOptions {
  /** Instead of the client's agent. */
  agentEmail?: string;
}

/** In wire form, or as received e-mails and {@link Attachment} have them. */
export type AttachmentInput = t.OutgoingAttachment | Pick<Attachment, "filename" | "contentType"> & { data: Uint8Array };

/** What every message that goes out can have. */
export interface MailOptions extends SubmitOptions {
  agentEmail?: string;
  htmlBody?: string;
  cc?: string[];
  bcc?: string[];
  conversationId?: string;
  attachments?: AttachmentInput[];
  /** A program sends this without a person's doing (Auto-Submitted). */
  auto?: boolean;
  /** The person for whom the agent acts, if it acts for several. */
  onBehalfOf?: string;
  /** Seconds to wait for the outcome, 0 to 60; 20 when absent. */
  wait?: number;
}

export interface SendOptions extends MailOptions {
  /** The Message-ID of the message that this one answers. */
  replyToMessageId?: string;
}

export interface ReplyOptions extends MailOptions {
  replyAll?: boolean;
  /** Answer even a message that a program sent. */
  force?: boolean;
}

export interface ForwardOptions extends MailOptions {
  subject?: string;
  body?: string;
  /** "inline" quotes the message and carries its attachments along, "attachment" encloses it whole. */
  as?: "inline" | "attachment";
  includeAttachments?: boolean;
}

export interface ListOptions extends MessageQuery, AgentOptions {}

export interface WaitOptions extends MessageFilters {
  agentEmail?: string;
  /** Milliseconds to wait in all; 60,000 when absent. */
  timeout?: number;
  /** A cursor of `api.waitForMessage`: mail that came after it, read or not, instead of unread mail. */
  after?: number;
  /** false leaves it unread. */
  markRead?: boolean;
  /** Only mail received since this time. */
  notBefore?: Date | string;
  signal?: AbortSignal;
}

export interface OutcomeOptions {
  /** Milliseconds to wait in all; 300,000 when absent. */
  timeout?: number;
  signal?: AbortSignal;
}

export interface ListenOptions {
  agentEmail?: string;
  /** Milliseconds between two attempts to connect, at most; 30,000 when absent. */
  maxBackoffMs?: number;
  /** Ends it. */
  signal?: AbortSignal;
}

export interface ParseOptions {
  /** The request's headers: then it is the Standard Webhooks signature over the whole body that must be right. */
  headers?: WebhookHeaders;
}

/** A webhook's body: as received, or decoded. */
export type WebhookBody = string | Uint8Array | ArrayBuffer | t.WebhookPayload | t.MessageDetail;

/** Seconds that one long poll takes at most: less than what proxies wait for. */
const LONGEST_POLL = 50;
/** Milliseconds between two looks at a message that is being sent: the first, and the longest. */
const FIRST_LOOK = 1_000;
const LONGEST_LOOK = 15_000;
const UNDECIDED = ["pending_approval", "queued"];

/** What agents do all day; everything else is in `api`. */
export class E2AClient {
  readonly api: E2AApi;
  /** The agent that is meant where none is named; "" when there is none. */
  agentEmail: string;

  /** @throws Error no key, neither given nor in `E2A_API_KEY`. */
  constructor(options: E2AClientOptions = {}) {
    this.api = new E2AApi(options);
    this.agentEmail = options.agentEmail || environment("E2A_AGENT_EMAIL");
  }

  // --- receiving ------------------------------------------------------------------------------------------------------

  /** A webhook's body as an e-mail that is closed until its signature was checked. */
  async parse(body: WebhookBody): Promise<InboundEmail> {
    return InboundEmail.fromPayload(payloadOf(body), this);
  }

  /**
   * A webhook's body as an e-mail whose signature is right.
   *
   * @param secret - one, or several during a rotation; `E2A_WEBHOOK_SECRET` when absent.
   * @throws WebhookVerificationError the signature is wrong or over five minutes old.
   * @throws Error there is no secret.
   */
  async parseWebhook(body: WebhookBody, secret?: Secrets, options: ParseOptions = {}): Promise<InboundEmail> {
    const secrets = secretsOf(secret);
    const { headers } = options;
    if (headers) {
      const whole = await verifyWebhook(headers, octetsOf(body), secrets);
      if (!whole) throw new WebhookVerificationError("webhook signature verification failed");
      return InboundEmail.fromPayload(payloadOf(body), this, true);
    }
    const email = await this.parse(body);
    if (!email.verifySignature(secrets)) throw new WebhookVerificationError();
    return email;
  }

  /** Raw entries, oldest first, with their wire names. */
  async listMessages(options: ListOptions = {}): Promise<t.ListMessagesResponse> {
    const { agentEmail, signal, timeout, ...query } = options;
    return this.api.listMessages(this.agent(agentEmail), query, { signal, timeout });
  }

  iterMessages(options: ListOptions = {}): AsyncGenerator<t.MessageSummary, void, undefined> {
    const { agentEmail, signal, timeout, ...query } = options;
    return this.api.iterMessages(this.agent(agentEmail), query, { signal, timeout });
  }

  /** Marks it read, unless told not to. */
  async getMessage(
    id: string,
    agentEmail?: string,
    options: RequestOptions & { markRead?: boolean } = {},
  ): Promise<InboundEmail> {
    const agent = this.agent(agentEmail);
    return InboundEmail.fromPayload(await this.api.getMessage(agent, id, options), this, true, agent);
  }

  /**
   * The first unread message that matches, fetched and so marked read: the next call waits for the next one.
   *
   * @throws TimeoutError none came in time.
   */
  async waitForMessage(options: WaitOptions = {}): Promise<InboundEmail> {
    const { agentEmail, timeout = 60_000, signal, markRead, after, ...filters } = options;
    const agent = this.agent(agentEmail);
    const end = Date.now() + timeout;
    let cursor = after;
    for (;;) {
      const left = Math.max(0, Math.ceil((end - Date.now()) / 1000));
      const poll = { ...filters, after: cursor, timeout: Math.min(left, LONGEST_POLL) };
      const found = await this.api.waitForMessage(agent, poll, { signal });
      if (found.message) return this.getMessage(found.message.message_id, agent, { signal, markRead });
      if (Date.now() >= end) throw new TimeoutError(`no message came within ${timeout} ms`);
      // Without a cursor it is unread mail that is waited for, and stays so.
      if (after !== undefined) cursor = found.cursor;
    }
  }

  /**
   * Every unread message and every new one, announced: `for await (const notification of client.listen())`.
   *
   * @throws Error no agent is known.
   */
  listen(options: ListenOptions = {}): WSStream {
    const { apiKey, baseUrl } = this.api;
    const { maxBackoffMs, signal } = options;
    return new WSStream({ apiKey, baseUrl, agentEmail: this.agent(options.agentEmail), maxBackoffMs, signal });
  }

  /** A received message as stored (.eml); marks nothing as read. */
  async getRawMessage(id: string, agentEmail?: string, options?: RequestOptions): Promise<Bytes> {
    return this.api.getRawMessage(this.agent(agentEmail), id, options);
  }

  /** The octets of one attachment, by the number that `attachments` of the message gives it; marks nothing as read. */
  async getAttachment(id: string, index: number, agentEmail?: string, options?: RequestOptions): Promise<Bytes> {
    return this.api.getAttachment(this.agent(agentEmail), id, index, options);
  }

  async listConversations(options: PageQuery & AgentOptions = {}): Promise<t.ListConversationsResponse> {
    return this.api.listConversations(this.agent(options.agentEmail), options, options);
  }

  iterConversations(options: PageQuery & AgentOptions = {}): AsyncGenerator<t.Conversation, void, undefined> {
    return this.api.iterConversations(this.agent(options.agentEmail), options, options);
  }

  async getConversation(id: string, options: PageQuery & AgentOptions = {}): Promise<t.ConversationThread> {
    return this.api.getConversation(this.agent(options.agentEmail), id, options, options);
  }

  /** Received and sent messages of one conversation, oldest first; marks nothing as read. */
  iterConversation(
    id: string,
    options: PageQuery & AgentOptions = {},
  ): AsyncGenerator<t.ConversationMessage, void, undefined> {
    return this.api.iterConversation(this.agent(options.agentEmail), id, options, options);
  }

  // --- sending --------------------------------------------------------------------------------------------------------

  async send(to: string[], subject: string, body: string, options: SendOptions = {}): Promise<t.SendResult> {
    const answers = truthy({ reply_to_message_id: options.replyToMessageId });
    const request = { from: this.agent(options.agentEmail), to, subject, body, ...content(options), ...answers };
    return this.api.sendEmail(request, options);
  }

  async reply(id: string, body: string, options: ReplyOptions = {}): Promise<t.SendResult> {
    const request = { body, ...content(options), ...truthy({ reply_all: options.replyAll, force: options.force }) };
    return this.api.replyToMessage(this.agent(options.agentEmail), id, request, options);
  }

  async forward(id: string, to: string[], options: ForwardOptions = {}): Promise<t.SendResult> {
    const { body, subject, as, includeAttachments } = options;
    const request = { to, ...content(options), ...truthy({ body, subject, as }) };
    const whole = includeAttachments === undefined ? request : { ...request, include_attachments: includeAttachments };
    return this.api.forwardMessage(this.agent(options.agentEmail), id, whole, options);
  }

  /**
   * What became of a message that was held or queued: sent, failed, unknown, rejected or expired.
   *
   * @throws TimeoutError it is still held or queued.
   */
  async waitForOutcome(id: string, { timeout = 300_000, signal }: OutcomeOptions = {}): Promise<t.PendingMessageDetail> {
    const end = Date.now() + timeout;
    for (let pause = FIRST_LOOK; ; pause = Math.min(pause * 1.5, LONGEST_LOOK)) {
      const found = await this.api.getPendingMessage(id, { signal });
      if (!UNDECIDED.includes(found.status)) return found;
      const left = end - Date.now();
      if (left <= 0) throw new TimeoutError(`the message is ${found.status} after ${timeout} ms`);
      await sleep(Math.min(pause, left), signal);
    }
  }

  listPendingMessages(options?: RequestOptions): Promise<t.ListPendingMessagesResponse> {
    return this.api.listPendingMessages(options);
  }

  /** Every message that waits for approval, the most urgent first. */
  iterPendingMessages(options?: RequestOptions): AsyncGenerator<t.PendingMessageSummary, void, undefined> {
    return this.api.iterSubmittedMessages({ status: "pending_approval" }, options);
  }

  getPendingMessage(id: string, options?: RequestOptions): Promise<t.PendingMessageDetail> {
    return this.api.getPendingMessage(id, options);
  }

  approveMessage(
    id: string,
    overrides: t.ApprovePendingMessageRequest = {},
    options?: SubmitOptions,
  ): Promise<t.ApprovePendingMessageResponse> {
    return this.api.approveMessage(id, overrides, options);
  }

  resendMessage(id: string, options?: SubmitOptions): Promise<t.SendEmailResponse> {
    return this.api.resendMessage(id, options);
  }

  rejectMessage(id: string, reason?: string, options?: RequestOptions): Promise<t.RejectPendingMessageResponse> {
    return this.api.rejectMessage(id, reason, options);
  }

  // --- agents and domains ---------------------------------------------------------------------------------------------

  listAgents(options?: RequestOptions): Promise<t.ListAgentsResponse> {
    return this.api.listAgents({}, options);
  }

  registerAgent(body: t.RegisterAgentRequest, options?: SubmitOptions): Promise<t.RegisterAgentResponse> {
    return this.api.registerAgent(body, options);
  }

  async getAgent(email?: string, options?: RequestOptions): Promise<t.Agent> {
    return this.api.getAgent(this.agent(email), options);
  }

  async updateAgent(body: t.UpdateAgentRequest, options: AgentOptions = {}): Promise<t.Agent> {
    return this.api.updateAgent(this.agent(options.agentEmail), body, options);
  }

  async deleteAgent(email?: string, options?: RequestOptions): Promise<void> {
    return this.api.deleteAgent(this.agent(email), options);
  }

  listDomains(options?: RequestOptions): Promise<t.ListDomainsResponse> {
    return this.api.listDomains(options);
  }

  registerDomain(domain: string, options?: RequestOptions): Promise<t.Domain> {
    return this.api.registerDomain({ domain }, options);
  }

  verifyDomain(domain: string, options?: RequestOptions): Promise<t.VerifyDomainResponse> {
    return this.api.verifyDomain(domain, options);
  }

  rotateDomainKey(domain: string, options?: RequestOptions): Promise<t.Domain> {
    return this.api.rotateDomainKey(domain, options);
  }

  deleteDomain(domain: string, options?: RequestOptions): Promise<void> {
    return this.api.deleteDomain(domain, options);
  }

  getInfo(options?: RequestOptions): Promise<t.DeploymentInfo> {
    return this.api.getInfo(options);
  }

  /** @throws Error none is known. */
  private agent(given?: string): string {
    const agent = given || this.agentEmail;
    if (!agent) throw new Error("an agent is required: pass agentEmail or set E2A_AGENT_EMAIL");
    return agent;
  }
}

function payloadOf(body: WebhookBody): t.WebhookPayload {
  const octets = body instanceof ArrayBuffer || ArrayBuffer.isView(body);
  const text = octets ? new TextDecoder().decode(body) : body;
  const payload: unknown = typeof text === "string" ? JSON.parse(text) : text;
  if (payload === null || typeof payload !== "object" || Array.isArray(payload)) {
    throw new TypeError("a webhook's body must be a JSON object");
  }
  return payload as t.WebhookPayload;
}

function octetsOf(body: WebhookBody): Uint8Array {
  if (typeof body === "string") return new TextEncoder().encode(body);
  if (body instanceof ArrayBuffer) return new Uint8Array(body);
  if (body instanceof Uint8Array) return body;
  throw new TypeError("headers can be checked with the body as received only, not with one that was decoded");
}

/** What every message can say; what is empty is left out. */
function content(options: MailOptions): Partial<t.SendEmailRequest> {
  const given = truthy({
    html_body: options.htmlBody,
    cc: options.cc,
    bcc: options.bcc,
    conversation_id: options.conversationId,
    attachments: options.attachments?.length ? options.attachments.map(wireForm) : undefined,
    auto: options.auto,
    on_behalf_of: options.onBehalfOf,
  });
  return options.wait === undefined ? given : { ...given, wait: options.wait };
}

function truthy<Members extends object>(members: Members): Partial<Members> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value)) as Partial<Members>;
}

function wireForm(file: AttachmentInput): t.OutgoingAttachment {
  if (typeof file.data === "string") return file as t.OutgoingAttachment;
  const { filename, contentType, data } = file as Attachment;
  return { filename, content_type: contentType, data: toBase64(data) };
}
