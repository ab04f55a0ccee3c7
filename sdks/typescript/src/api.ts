import { AccountApi } from "./account.js";
import { decoded } from "./errors.js";
import { entries } from "./paging.js";
import { bytes, type Bytes } from "./platform.js";
import {
  DEFAULT_TIMEOUT,
  keyOf,
  moment,
  named,
  next,
  once,
  page,
  Transport,
  type Call,
  type PageQuery,
  type Query,
  type RequestOptions,
  type SubmitOptions,
  type TransportOptions,
} from "./transport.js";
import type * as t from "./types.js";

export interface E2AApiOptions extends TransportOptions {
  /** `E2A_API_KEY` when absent. */
  apiKey?: string | undefined;
}

export interface MessageFilters {
  /** Only mail whose From mailbox is this address. */
  from?: string;
  /** Only mail whose subject contains this text. */
  subjectContains?: string;
}

export interface MessageQuery extends PageQuery, MessageFilters {
  /** "unread" when absent. */
  status?: "unread" | "read" | "all";
  /** Only mail of this conversation. */
  conversationId?: string;
  /** Only mail received at or after this time. */
  since?: Date | string;
  /** Only mail received before this time. */
  until?: Date | string;
  /** "asc", oldest first, when absent. */
  sort?: "asc" | "desc";
}

export interface SubmittedQuery extends PageQuery {
  /** "pending_approval" when absent; "all" for every state. */
  status?: string;
}

export interface WaitQuery extends MessageFilters {
  /** Seconds, 0 to 60; 30 when absent. */
  timeout?: number;
  /** A cursor: only mail that came after it. Without one everything unread counts. */
  after?: number;
  /** Only mail received since this time. */
  notBefore?: Date | string;
}

/** What a wait came to: the first message that matches, or null, and where to go on. */
export interface WaitResult {
  message: t.MessageSummary | null;
  cursor: number;
}

/** Seconds that the server waits for the outcome of a send unless it is told otherwise. */
const SERVER_WAIT = 20;

/** One method for each operation of the REST interface, with the wire's names in what goes in and comes out. */
export class E2AApi extends AccountApi {
  /** Without trailing slash. */
  readonly baseUrl: string;
  /** @internal */
  readonly apiKey: string;
  protected readonly http: Transport;
  /** Without the key. */
  private readonly open: Transport;

  /** @throws Error no key, neither given nor in `E2A_API_KEY`. */
  constructor(options: E2AApiOptions = {}) {
    super();
    this.apiKey = keyOf(options.apiKey);
    this.http = new Transport(this.apiKey, options);
    this.open = new Transport("", options);
    this.baseUrl = this.http.baseUrl;
    // The key is not for logs: nothing that prints or copies this object shows it.
    for (const name of ["apiKey", "http", "open"]) Object.defineProperty(this, name, { enumerable: false });
  }

  /**
   * Any request, with the key.
   *
   * @param path - below /api/v1, or whole when it begins with /api/.
   * @throws E2AApiError an answer outside 2xx.
   */
  raw(method: string, path: string, body?: unknown, options: SubmitOptions & { query?: Query } = {}): Promise<Response> {
    return this.http.request(method, path, { ...options, body, streamed: true }, async (response) => response);
  }

  // --- agents ---------------------------------------------------------------------------------------------------------

  listAgents(query: PageQuery = {}, options?: RequestOptions): Promise<t.ListAgentsResponse> {
    return this.http.json("GET", "/agents", { ...options, query: page(query) });
  }

  iterAgents(query: PageQuery = {}, options?: RequestOptions): AsyncGenerator<t.Agent, void, undefined> {
    const size = { pageSize: 100, ...query };
    return entries((token) => this.listAgents({ ...size, ...next(token) }, options), (found) => found.agents);
  }

  registerAgent(body: t.RegisterAgentRequest, options: SubmitOptions = {}): Promise<t.RegisterAgentResponse> {
    return this.http.json("POST", "/agents", { ...once(options), body });
  }

  getAgent(email: string, options?: RequestOptions): Promise<t.Agent> {
    return this.http.json("GET", agent(email), options);
  }

  updateAgent(email: string, body: t.UpdateAgentRequest, options?: RequestOptions): Promise<t.Agent> {
    return this.http.json("PUT", agent(email), { ...options, body });
  }

  /** With all its mail. */
  deleteAgent(email: string, options?: RequestOptions): Promise<void> {
    return this.http.nothing("DELETE", agent(email), options);
  }

  sendTestEmail(email: string, options: SubmitOptions & { wait?: number } = {}): Promise<t.SendEmailResponse> {
    return this.http.json("POST", `${agent(email)}/test`, { ...submitted(options, options.wait), query: wait(options) });
  }

  // --- received mail --------------------------------------------------------------------------------------------------

  /** Oldest first, unless sorted otherwise. Only what is given is sent. */
  listMessages(email: string, query: MessageQuery = {}, options?: RequestOptions): Promise<t.ListMessagesResponse> {
    return this.http.json("GET", `${agent(email)}/messages`, {
      ...options,
      query: {
        status: query.status,
        ...filters(query),
        conversation_id: query.conversationId,
        since: moment(query.since),
        until: moment(query.until),
        sort: query.sort,
        ...page(query),
      },
    });
  }

  iterMessages(
    email: string,
    query: MessageQuery = {},
    options?: RequestOptions,
  ): AsyncGenerator<t.MessageSummary, void, undefined> {
    return entries(
      (token) => this.listMessages(email, { ...query, ...next(token) }, options),
      (found) => found.messages,
    );
  }

  /**
   * Marks it read, unless told not to.
   *
   * @param options.markRead - false leaves an unread message unread.
   */
  getMessage(email: string, id: string, options: RequestOptions & { markRead?: boolean } = {}): Promise<t.MessageDetail> {
    const query = options.markRead === false ? { mark_read: "false" } : {};
    return this.http.json("GET", message(email, id), { ...options, query });
  }

  /** The message as stored (.eml). */
  getRawMessage(email: string, id: string, options?: RequestOptions): Promise<Bytes> {
    return this.octets(`${message(email, id)}/raw`, options);
  }

  /** The octets of one attachment, by the number that `attachments` of the message gives it. */
  getAttachment(email: string, id: string, index: number, options?: RequestOptions): Promise<Bytes> {
    return this.octets(`${message(email, id)}/attachments/${index}`, options);
  }

  /** One long poll of at most 60 seconds; marks nothing as read. */
  waitForMessage(email: string, query: WaitQuery = {}, options: RequestOptions = {}): Promise<WaitResult> {
    const call: Call = {
      ...options,
      query: { timeout: query.timeout, after: query.after, not_before: moment(query.notBefore), ...filters(query) },
      extra: (query.timeout ?? 30) * 1000,
    };
    return this.http.request("GET", `${agent(email)}/messages/wait`, call, async (response) => {
      if (response.status !== 204) return decoded<WaitResult>(response);
      return { message: null, cursor: Number(response.headers.get("X-E2A-Cursor") ?? query.after ?? 0) };
    });
  }

  /** How the message got to the agent's webhook, attempt by attempt. */
  getDelivery(email: string, id: string, options?: RequestOptions): Promise<t.DeliveryRecord> {
    return this.http.json("GET", `${message(email, id)}/delivery`, options);
  }

  /** Deliver it to the webhook again, now. */
  redeliver(email: string, id: string, options?: RequestOptions): Promise<t.DeliveryRecord> {
    return this.http.json("POST", `${message(email, id)}/redeliver`, options);
  }

  /** Webhook deliveries that ran out of attempts, newest first. */
  listDeliveries(email: string, query: PageQuery = {}, options?: RequestOptions): Promise<t.ListDeliveriesResponse> {
    return this.http.json("GET", `${agent(email)}/deliveries`, { ...options, query: page(query) });
  }

  iterDeliveries(
    email: string,
    query: PageQuery = {},
    options?: RequestOptions,
  ): AsyncGenerator<t.DeliverySummary, void, undefined> {
    return entries(
      (token) => this.listDeliveries(email, { ...query, ...next(token) }, options),
      (found) => found.deliveries,
    );
  }

  /** The one with the latest message first. */
  listConversations(
    email: string,
    query: PageQuery = {},
    options?: RequestOptions,
  ): Promise<t.ListConversationsResponse> {
    return this.http.json("GET", `${agent(email)}/conversations`, { ...options, query: page(query) });
  }

  iterConversations(
    email: string,
    query: PageQuery = {},
    options?: RequestOptions,
  ): AsyncGenerator<t.Conversation, void, undefined> {
    return entries(
      (token) => this.listConversations(email, { ...query, ...next(token) }, options),
      (found) => found.conversations,
    );
  }

  /** Received and sent messages of one conversation, oldest first; marks nothing as read. */
  getConversation(
    email: string,
    id: string,
    query: PageQuery = {},
    options?: RequestOptions,
  ): Promise<t.ConversationThread> {
    return this.http.json("GET", `${agent(email)}/conversations/${encodeURIComponent(id)}`, {
      ...options,
      query: page(query),
    });
  }

  iterConversation(
    email: string,
    id: string,
    query: PageQuery = {},
    options?: RequestOptions,
  ): AsyncGenerator<t.ConversationMessage, void, undefined> {
    return entries(
      (token) => this.getConversation(email, id, { ...query, ...next(token) }, options),
      (found) => found.messages,
    );
  }

  // --- mail out -------------------------------------------------------------------------------------------------------

  sendEmail(body: t.SendEmailRequest, options: SubmitOptions = {}): Promise<t.SendEmailResponse> {
    return this.http.json("POST", "/send", { ...submitted(options, body.wait), body });
  }

  replyToMessage(
    email: string,
    id: string,
    body: t.ReplyToMessageRequest,
    options: SubmitOptions = {},
  ): Promise<t.SendEmailResponse> {
    return this.http.json("POST", `${message(email, id)}/reply`, { ...submitted(options, body.wait), body });
  }

  forwardMessage(
    email: string,
    id: string,
    body: t.ForwardMessageRequest,
    options: SubmitOptions = {},
  ): Promise<t.SendEmailResponse> {
    return this.http.json("POST", `${message(email, id)}/forward`, { ...submitted(options, body.wait), body });
  }

  /** What agents send: held messages by urgency, others newest first. */
  listSubmittedMessages(query: SubmittedQuery = {}, options?: RequestOptions): Promise<t.ListPendingMessagesResponse> {
    return this.http.json("GET", "/messages", { ...options, query: { status: query.status, ...page(query) } });
  }

  iterSubmittedMessages(
    query: SubmittedQuery = {},
    options?: RequestOptions,
  ): AsyncGenerator<t.PendingMessageSummary, void, undefined> {
    return entries(
      (token) => this.listSubmittedMessages({ ...query, ...next(token) }, options),
      (found) => found.messages,
    );
  }

  listPendingMessages(options?: RequestOptions): Promise<t.ListPendingMessagesResponse> {
    return this.listSubmittedMessages({ status: "pending_approval" }, options);
  }

  /** A message that an agent sends, in whatever state, by our id or its Message-ID. */
  getPendingMessage(id: string, options?: RequestOptions): Promise<t.PendingMessageDetail> {
    return this.http.json("GET", submission(id), options);
  }

  /** The octets of one attachment of a held message. */
  getPendingAttachment(id: string, index: number, options?: RequestOptions): Promise<Bytes> {
    return this.octets(`${submission(id)}/attachments/${index}`, options);
  }

  /** @param overrides - what is given replaces what the message has. */
  approveMessage(
    id: string,
    overrides: t.ApprovePendingMessageRequest = {},
    options: SubmitOptions = {},
  ): Promise<t.ApprovePendingMessageResponse> {
    return this.http.json("POST", `${submission(id)}/approve`, { ...submitted(options, overrides.wait), body: overrides });
  }

  /**
   * Send a message that nobody is known to have taken once more, the same bytes. Whoever has it already gets a second
   * copy: that is why it never happens by itself. Anything but `unknown` and `failed` is a `ConflictError`.
   */
  resendMessage(id: string, options: SubmitOptions = {}): Promise<t.SendEmailResponse> {
    return this.http.json("POST", `${submission(id)}/resend`, { ...submitted(options), body: {} });
  }

  rejectMessage(id: string, reason = "", options?: RequestOptions): Promise<t.RejectPendingMessageResponse> {
    return this.http.json("POST", `${submission(id)}/reject`, { ...options, body: { reason } });
  }

  // --- domains --------------------------------------------------------------------------------------------------------

  listDomains(options?: RequestOptions): Promise<t.ListDomainsResponse> {
    return this.http.json("GET", "/domains", options);
  }

  registerDomain(body: t.RegisterDomainRequest, options?: RequestOptions): Promise<t.Domain> {
    return this.http.json("POST", "/domains", { ...options, body, harmless: true });
  }

  /** With what DNS says of each of its records now. */
  getDomain(domain: string, options?: RequestOptions): Promise<t.DomainReport> {
    return this.http.json("GET", named("/domains", domain), options);
  }

  verifyDomain(domain: string, options?: RequestOptions): Promise<t.VerifyDomainResponse> {
    return this.http.json("POST", `${named("/domains", domain)}/verify`, { ...options, harmless: true });
  }

  /** Make a new DKIM key, which signs once its record is in DNS; until then the present one does. */
  rotateDomainKey(domain: string, options?: RequestOptions): Promise<t.Domain> {
    return this.http.json("POST", `${named("/domains", domain)}/dkim/rotate`, { ...options, harmless: true });
  }

  deleteDomain(domain: string, options?: RequestOptions): Promise<void> {
    return this.http.nothing("DELETE", named("/domains", domain), options);
  }

  // --- the deployment -------------------------------------------------------------------------------------------------

  /** Sent without the key. */
  getInfo(options?: RequestOptions): Promise<t.DeploymentInfo> {
    return this.open.json("GET", "/info", options);
  }

  /** What a deployment is, for who has no key yet. */
  static fetchInfo(baseUrl: string, timeoutMs: number = DEFAULT_TIMEOUT): Promise<t.DeploymentInfo> {
    return new Transport("", { baseUrl, timeout: timeoutMs }).json("GET", "/info");
  }

  private octets(path: string, options: RequestOptions = {}): Promise<Bytes> {
    const call = { ...options, headers: { Accept: "*/*, application/problem+json" } };
    return this.http.request("GET", path, call, async (response) => bytes(new Uint8Array(await response.arrayBuffer())));
  }
}

function agent(email: string): string {
  return named("/agents", email);
}

function message(email: string, id: string): string {
  return named(`${agent(email)}/messages`, id);
}

function submission(id: string): string {
  return named("/messages", id);
}

function filters(query: MessageFilters): Query {
  return { from: query.from, subject_contains: query.subjectContains };
}

function wait(options: { wait?: number }): Query {
  return { wait: options.wait };
}

/** A call that is carried out once and may take as long as the server was asked to wait for the outcome. */
function submitted(options: SubmitOptions, seconds?: number | null): Call {
  return { ...once(options), extra: Math.max(0, (seconds ?? SERVER_WAIT) - SERVER_WAIT) * 1000 };
}
