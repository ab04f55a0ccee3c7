import { Emitter } from "./emitter.js";
import { E2AApiError, failure } from "./errors.js";
import { environment } from "./platform.js";
import { connect, type Socket } from "./socket.js";
import { DEFAULT_BASE_URL } from "./transport.js";
import type { WSNotification } from "./types.js";

export interface WSStreamOptions {
  /** `E2A_API_KEY` when absent. */
  apiKey?: string;
  /** `E2A_AGENT_EMAIL` when absent. */
  agentEmail?: string;
  baseUrl?: string;
  /** Milliseconds between two attempts to connect, at most; 30,000 when absent. */
  maxBackoffMs?: number;
  /** Closes it. */
  signal?: AbortSignal;
}

export interface WSListenerOptions extends WSStreamOptions {
  /** Whether to connect again after the connection ended; true when absent. */
  reconnect?: boolean;
  /** Milliseconds before the first attempt to connect again; doubled for each further one. 1,000 when absent. */
  reconnectDelay?: number;
}

/** What can be listened to with `on` and `once`. */
export interface WSEvents {
  notification: [notification: WSNotification];
  open: [];
  close: [code: number, reason: string];
  error: [error: Error];
}

/** Statuses of a refusal that will not pass: the key, the agent or its mode is wrong. */
const FINAL = [400, 401, 403, 404];

/**
 * Mail of one agent, announced by events. Connects again after every close until `close()` is called.
 *
 * The server announces all that is unread on each connect, so that nothing is missed in between; a message that is
 * announced twice has the same `message_id`. An `error` that nobody listens for is a warning on the console.
 */
export class WSListener extends Emitter<WSEvents> {
  private readonly key: string;
  private readonly baseUrl: string;
  private readonly agentEmail: string;
  private readonly reconnect: boolean;
  private readonly firstDelay: number;
  private readonly longestDelay: number;
  private delay: number;
  private wanted = false;
  private socket: Socket | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** Counts connections, so that what an older one still says is not heard. */
  private generation = 0;

  /** @throws Error no key or no agent is known. */
  constructor(options: WSListenerOptions) {
    super();
    this.key = options.apiKey || environment("E2A_API_KEY");
    if (!this.key) throw new Error("an API key is required: pass apiKey or set E2A_API_KEY");
    Object.defineProperty(this, "key", { enumerable: false });
    this.agentEmail = options.agentEmail || environment("E2A_AGENT_EMAIL");
    if (!this.agentEmail) throw new Error("an agent is required: pass agentEmail or set E2A_AGENT_EMAIL");
    this.baseUrl = (options.baseUrl ?? DEFAULT_BASE_URL).replace(/\/+$/, "");
    this.reconnect = options.reconnect ?? true;
    this.longestDelay = options.maxBackoffMs ?? 30_000;
    this.firstDelay = Math.min(options.reconnectDelay ?? 1_000, this.longestDelay);
    this.delay = this.firstDelay;
    options.signal?.addEventListener("abort", () => this.close(), { once: true });
  }

  /** Does nothing while it is connected or connecting. */
  connect(): void {
    if (this.wanted) return;
    this.wanted = true;
    void this.dial();
  }

  /** For good, until `connect()` is called again. */
  close(): void {
    if (!this.wanted) return;
    this.wanted = false;
    clearTimeout(this.timer);
    this.socket?.close(1000, "client close");
  }

  /** @returns whether there may be another attempt after this failure. */
  protected failed(error: Error, _final: boolean): boolean {
    if (!this.emit("error", error)) console.warn(`e2a: ${error.message}`);
    return true;
  }

  private async dial(): Promise<void> {
    const generation = ++this.generation;
    const current = () => generation === this.generation;
    let socket: Socket;
    try {
      socket = await connect(`${this.baseUrl.replace(/^http/, "ws")}${this.path}`, this.key);
    } catch (error) {
      if (current() && this.wanted) this.ended(1006, "", asError(error));
      return;
    }
    if (current()) this.socket = socket;
    let opened = false;
    let trouble: Error | undefined;
    socket.addEventListener("open", () => {
      if (!current()) return;
      opened = true;
      this.delay = this.firstDelay;
      this.emit("open");
    });
    socket.addEventListener("message", ({ data }) => {
      if (current() && this.wanted) this.received(data);
    });
    // Always followed by a close, which tells what happens next.
    socket.addEventListener("error", ({ message }) => {
      // Some platforms quote the URL, and with it the key.
      const said = message?.replace(/token=[^'"\s&]*/g, "token=…");
      trouble = new Error(`WebSocket connection failed${said ? `: ${said}` : ""}`);
    });
    socket.addEventListener("close", ({ code, reason }) => {
      if (!current()) return;
      this.socket = undefined;
      if (opened || !this.wanted) this.ended(code, reason, trouble);
      else void this.refused(code, reason, trouble ?? new Error(`WebSocket connection failed (${code})`));
    });
    // Told to meanwhile.
    if (!current() || !this.wanted) socket.close(1000, "client close");
  }

  /** A handshake failed. Platforms do not tell the status, but the same address answers an ordinary request with it. */
  private async refused(code: number, reason: string, trouble: Error): Promise<void> {
    const generation = this.generation;
    try {
      const answer = await fetch(`${this.baseUrl}${this.path}`, {
        headers: { Authorization: `Bearer ${this.key}`, Accept: "application/problem+json" },
        signal: AbortSignal.timeout(10_000),
      });
      // 426 is what a good request gets that does not ask for an upgrade.
      if (answer.status !== 426 && !answer.ok) trouble = await failure(answer);
    } catch {
      // Not reachable either: what is known already says it.
    }
    if (generation === this.generation) this.ended(code, reason, trouble);
  }

  private received(data: unknown): void {
    try {
      const text = typeof data === "string" ? data : new TextDecoder().decode(data as ArrayBuffer);
      this.emit("notification", JSON.parse(text) as WSNotification);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      this.failed(new Error("a frame of the WebSocket is not JSON"), false);
    }
  }

  private ended(code: number, reason: string, trouble?: Error): void {
    const final = trouble instanceof E2AApiError && FINAL.includes(trouble.statusCode);
    const goOn = !trouble || !this.wanted || this.failed(trouble, final);
    this.emit("close", code, reason);
    if (!this.wanted) return;
    if (!this.reconnect || !goOn) {
      this.wanted = false;
      return;
    }
    this.timer = setTimeout(() => void this.dial(), this.delay);
    this.delay = Math.min(this.delay * 2, this.longestDelay);
  }

  private get path(): string {
    return `/api/v1/agents/${encodeURIComponent(this.agentEmail)}/ws`;
  }
}

/**
 * The same events, and a loop: `for await (const notification of stream)`. It is connected from the start and closed
 * when the loop is left.
 *
 * A connection that ends or cannot be made is made again, and the loop waits. The loop throws, and the stream is over,
 * when the server refuses for good: the key is wrong (401, 403), there is no such agent (404), it is not in local mode
 * (400).
 */
export class WSStream extends WSListener implements AsyncIterableIterator<WSNotification> {
  private readonly unread: WSNotification[] = [];
  private readonly waiting: Array<{
    resolve: (result: IteratorResult<WSNotification, undefined>) => void;
    reject: (error: Error) => void;
  }> = [];
  private over = false;
  private looped = false;
  private reason: Error | undefined;

  constructor(options: WSStreamOptions) {
    super(options);
    if (options.signal?.aborted) this.over = true;
    else this.connect();
  }

  override emit<Name extends keyof WSEvents>(name: Name, ...values: WSEvents[Name]): boolean {
    if (name === "notification") {
      const [notification] = values as WSEvents["notification"];
      const waiter = this.waiting.shift();
      if (waiter) waiter.resolve({ done: false, value: notification });
      // Who only listens for events does not want them kept for a loop as well.
      else if (this.looped || !this.listenerCount("notification")) this.unread.push(notification);
    }
    return super.emit(name, ...values);
  }

  override close(): void {
    super.close();
    this.end();
  }

  next(): Promise<IteratorResult<WSNotification, undefined>> {
    this.looped = true;
    const notification = this.unread.shift();
    if (notification) return Promise.resolve({ done: false, value: notification });
    if (this.reason) {
      const { reason } = this;
      this.reason = undefined;
      return Promise.reject(reason);
    }
    if (this.over) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<WSNotification, undefined>> {
    this.unread.length = 0;
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  protected override failed(error: Error, final: boolean): boolean {
    this.emit("error", error);
    if (!final) return true;
    const waiter = this.waiting.shift();
    if (waiter) waiter.reject(error);
    else this.reason = error;
    this.end();
    return false;
  }

  private end(): void {
    this.over = true;
    for (const waiter of this.waiting.splice(0)) waiter.resolve({ done: true, value: undefined });
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
