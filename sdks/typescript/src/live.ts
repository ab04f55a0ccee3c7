import { Emitter } from "./emitter.js";
import { E2AApiError, failure } from "./errors.js";
import { environment } from "./platform.js";
import { connect, type Connection, type Socket } from "./socket.js";
import { baseOf, keyOf } from "./transport.js";
import type { WSNotification } from "./types.js";

export interface WSStreamOptions {
  /** `E2A_API_KEY` when absent. */
  apiKey?: string | undefined;
  /** `E2A_AGENT_EMAIL` when absent. */
  agentEmail?: string | undefined;
  baseUrl?: string | undefined;
  /** Milliseconds between two attempts to connect, at most; 30,000 when absent. */
  maxBackoffMs?: number | undefined;
  /** Closes it. */
  signal?: AbortSignal | undefined;
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
/** What the server closes with when the agent connects a second time. */
const REPLACED = "replaced by new connection";
/** Milliseconds that a handshake may take. */
const OPENING = 10_000;
/** Milliseconds between two signs of life. */
const BEAT = 20_000;
/** A connection that held for so many milliseconds was a good one, even if another one took its place. */
const GOOD = 60_000;

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
  private readonly signal: AbortSignal | undefined;
  private readonly abort = () => this.close();
  private delay: number;
  private wanted = false;
  private socket: Socket | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** Counts connections, so that what an older one still says is not heard. */
  private generation = 0;

  /** @throws Error no key or no agent is known, or the base URL is none. */
  constructor(options: WSListenerOptions) {
    super();
    this.key = keyOf(options.apiKey);
    Object.defineProperty(this, "key", { enumerable: false });
    this.agentEmail = options.agentEmail || environment("E2A_AGENT_EMAIL");
    if (!this.agentEmail) throw new Error("an agent is required: pass agentEmail or set E2A_AGENT_EMAIL");
    this.baseUrl = baseOf(options.baseUrl);
    this.reconnect = options.reconnect ?? true;
    this.longestDelay = options.maxBackoffMs ?? 30_000;
    this.firstDelay = Math.min(options.reconnectDelay ?? 1_000, this.longestDelay);
    this.delay = this.firstDelay;
    this.signal = options.signal;
  }

  /** Does nothing while it is connected or connecting. */
  connect(): void {
    if (this.wanted || this.signal?.aborted) return;
    this.wanted = true;
    this.signal?.addEventListener("abort", this.abort);
    void this.dial();
  }

  /** For good, until `connect()` is called again. */
  close(): void {
    if (!this.wanted) return;
    this.stop();
    clearTimeout(this.timer);
    this.socket?.close(1000, "client close");
  }

  /** @returns whether there may be another attempt after this failure. */
  protected failed(error: Error, _final: boolean): boolean {
    if (!this.emit("error", error)) console.warn(`e2a: ${error.message}`);
    return true;
  }

  private stop(): void {
    this.wanted = false;
    this.signal?.removeEventListener("abort", this.abort);
  }

  private async dial(): Promise<void> {
    const generation = ++this.generation;
    const current = () => generation === this.generation;
    let connection: Connection;
    try {
      connection = await connect(`${this.baseUrl.replace(/^http/i, "ws")}${this.path}`, this.key);
    } catch (error) {
      if (current() && this.wanted) this.ended(1006, "", asError(error));
      return;
    }
    const { socket, beat } = connection;
    if (current()) this.socket = socket;
    let opened = 0;
    let trouble: Error | undefined;
    let beating: ReturnType<typeof setInterval> | undefined;
    let over = false;
    const end = (code: number, reason: string, late = false) => {
      if (over) return;
      over = true;
      clearTimeout(opening);
      clearInterval(beating);
      if (!current()) return;
      this.socket = undefined;
      // Two that take the agent from each other must not do so every second.
      if (opened && (reason !== REPLACED || Date.now() - opened >= GOOD)) this.delay = this.firstDelay;
      if (reason === REPLACED) trouble ??= new Error("another listener took this agent over; only one can listen at a time");
      if (opened || late || !this.wanted) this.ended(code, reason, trouble);
      else void this.refused(code, reason, trouble ?? new Error(`WebSocket connection failed (${code})`));
    };
    const opening = setTimeout(() => {
      trouble = new Error(`WebSocket connection failed: no answer within ${OPENING / 1000} s`);
      end(1006, "", true);
      socket.close();
    }, OPENING);
    socket.addEventListener("open", () => {
      if (over || !current()) return;
      opened = Date.now();
      clearTimeout(opening);
      beating = setInterval(beat, BEAT);
      this.emit("open");
    });
    socket.addEventListener("message", ({ data }) => {
      if (!over && current() && this.wanted) this.received(data);
    });
    socket.addEventListener("error", ({ message }) => {
      // Some platforms quote the URL, and with it the key.
      const said = message?.replace(/token=[^'"\s&]*/g, "token=…");
      trouble = new Error(`WebSocket connection failed${said ? `: ${said}` : ""}`);
      // A close follows, which tells what happens next; in Node 22 not for a connection that was never made.
      if (!opened) end(1006, "");
    });
    socket.addEventListener("close", ({ code, reason }) => end(code || 1006, reason ?? ""));
    // Told to meanwhile.
    if (!current() || !this.wanted) socket.close(1000, "client close");
  }

  /** A handshake failed. Platforms do not tell the status, but the same address answers an ordinary request with it. */
  private async refused(code: number, reason: string, trouble: Error): Promise<void> {
    const generation = this.generation;
    try {
      const answer = await fetch(`${this.baseUrl}${this.path}`, {
        headers: { Authorization: `Bearer ${this.key}`, Accept: "application/problem+json" },
        signal: AbortSignal.timeout(OPENING),
      });
      // 426 is what a good request gets that does not ask for an upgrade.
      if (answer.status !== 426 && !answer.ok) trouble = await failure(answer);
    } catch {
      // Not reachable either: what is known already says it.
    }
    if (generation === this.generation) this.ended(code, reason, trouble);
  }

  private received(data: unknown): void {
    let found: unknown;
    try {
      found = JSON.parse(typeof data === "string" ? data : new TextDecoder().decode(data as ArrayBuffer));
    } catch {
      this.failed(new Error("a frame of the WebSocket is not JSON"), false);
      return;
    }
    const { message_id: id } = (found ?? {}) as Partial<WSNotification>;
    if (id && typeof id === "string") this.emit("notification", found as WSNotification);
    else this.failed(new Error("a frame of the WebSocket announces no message"), false);
  }

  private ended(code: number, reason: string, trouble?: Error): void {
    const final = trouble instanceof E2AApiError && FINAL.includes(trouble.statusCode);
    const goOn = !trouble || !this.wanted || this.failed(trouble, final);
    if (this.wanted && this.reconnect && goOn) {
      const asked = trouble instanceof E2AApiError ? (trouble.retryAfter ?? 0) * 1000 : 0;
      // Not all at the same moment, after a server was restarted.
      const pause = Math.max(this.delay * (0.75 + Math.random() / 4), Math.min(asked, this.longestDelay));
      this.timer = setTimeout(() => void this.dial(), pause);
      this.delay = Math.min(this.delay * 2, this.longestDelay);
    } else if (this.wanted) {
      this.stop();
    }
    // Last, so that whoever hears it may connect again or close.
    this.emit("close", code, reason);
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
  /** By their ids: what waits here is announced once more after each connect. */
  private readonly unread = new Map<string, WSNotification>();
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
      else if (this.looped || !this.listenerCount("notification")) {
        this.unread.set(notification.message_id, notification);
      }
    }
    return super.emit(name, ...values);
  }

  override close(): void {
    super.close();
    this.end();
  }

  next(): Promise<IteratorResult<WSNotification, undefined>> {
    this.looped = true;
    for (const [id, value] of this.unread) {
      this.unread.delete(id);
      return Promise.resolve({ done: false, value });
    }
    if (this.reason) {
      const { reason } = this;
      this.reason = undefined;
      return Promise.reject(reason);
    }
    if (this.over) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<WSNotification, undefined>> {
    this.unread.clear();
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  protected override failed(error: Error, final: boolean): boolean {
    if (!final) return super.failed(error, final);
    this.emit("error", error);
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
