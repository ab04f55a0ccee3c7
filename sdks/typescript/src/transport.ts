// One HTTP request as the API wants it: key, JSON, deadline, and repetition where that cannot do harm twice.

import { decoded, failure, type E2AApiError } from "./errors.js";
import { environment, uuid } from "./platform.js";

export const DEFAULT_BASE_URL = "https://e2a.dev";
export const DEFAULT_TIMEOUT = 30_000;

const DEFAULT_RETRIES = 2;
/** Milliseconds before the first repetition; doubled for each further one. */
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 8_000;
/** The longest that a server may ask for. */
const LONGEST_WAIT = 60_000;
/** What timers can count to. */
const LONGEST_TIMER = 2 ** 31 - 1;

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;
export type Query = Record<string, string | number | boolean | undefined>;

/** Options of a single call. */
export interface RequestOptions {
  /** Ends the call, and what it waits for. */
  signal?: AbortSignal | undefined;
  /** Milliseconds for the whole call, repetitions included; instead of the client's. Infinity waits for ever. */
  timeout?: number | undefined;
}

/** Options of a call that makes mail go out. */
export interface SubmitOptions extends RequestOptions {
  /** Under which the server carries the request out once, however often it arrives; a fresh UUID when absent. */
  idempotencyKey?: string | undefined;
}

export interface TransportOptions {
  /** Without trailing slash, and without /api/v1. */
  baseUrl?: string | undefined;
  /** Milliseconds for a whole call; 30,000 when absent. */
  timeout?: number | undefined;
  /** How often a request that failed for the moment is repeated if it is safe to; 2 when absent, 0 for never. */
  maxRetries?: number | undefined;
  /** Instead of the platform's. */
  fetch?: Fetch | undefined;
}

export interface Call extends RequestOptions {
  query?: Query;
  body?: unknown;
  idempotencyKey?: string | undefined;
  /** Whether a repetition does no harm; reads and calls with a key need not say so. */
  harmless?: boolean;
  headers?: Record<string, string>;
  /** Milliseconds that the server may take on purpose, on top of the timeout. */
  extra?: number;
  /** Whether the body is read after the call has returned, so that `signal` must still end it and no deadline may. */
  streamed?: boolean;
}

export class Transport {
  readonly baseUrl: string;
  readonly timeout: number;
  private readonly key: string;
  private readonly retries: number;
  private readonly fetch: Fetch;

  /**
   * @param key - "" sends no credential.
   * @throws Error a base URL that is none.
   */
  constructor(key: string, options: TransportOptions = {}) {
    this.key = key;
    this.baseUrl = baseOf(options.baseUrl);
    this.timeout = options.timeout ?? DEFAULT_TIMEOUT;
    this.retries = options.maxRetries ?? DEFAULT_RETRIES;
    this.fetch = options.fetch ?? ((url, init) => globalThis.fetch(url, init));
  }

  /** The JSON of a successful answer. */
  json<T>(method: string, path: string, call: Call = {}): Promise<T> {
    return this.request(method, path, call, (response) => decoded<T>(response));
  }

  /** A successful answer whose body nobody needs. */
  nothing(method: string, path: string, call: Call = {}): Promise<void> {
    return this.request(method, path, call, async (response) => void (await response.arrayBuffer()));
  }

  /**
   * @param path - below /api/v1, or whole when it begins with /api/.
   * @param read - what becomes of a successful answer; the deadline holds for it as well.
   * @throws E2AApiError an answer outside 2xx.
   */
  async request<T>(method: string, path: string, call: Call, read: (response: Response) => Promise<T>): Promise<T> {
    const end = Date.now() + (call.timeout ?? this.timeout) + (call.extra ?? 0);
    const deadline = new Deadline(end, call.signal);
    try {
      const result = await this.attempts(method, path, call, read, deadline);
      deadline.clear(call.streamed);
      return result;
    } catch (error) {
      deadline.clear();
      throw error;
    }
  }

  private async attempts<T>(
    method: string,
    path: string,
    call: Call,
    read: (response: Response) => Promise<T>,
    deadline: Deadline,
  ): Promise<T> {
    const url = this.url(path, call.query);
    const init = this.init(method, call, deadline.signal);
    const repeatable = method === "GET" || call.harmless || call.idempotencyKey !== undefined;
    for (let attempt = 0; ; attempt++) {
      let refused: E2AApiError | undefined;
      try {
        const response = await this.fetch(url, init);
        if (response.ok) return await read(response);
        refused = await failure(response);
        throw refused;
      } catch (error) {
        // What fetch throws for a connection that failed is a TypeError on every platform.
        const passing = refused ? isPassing(refused) : error instanceof TypeError;
        if (!repeatable || !passing || attempt >= this.retries || deadline.signal.aborted) throw error;
        const pause = refused?.retryAfter != null ? refused.retryAfter * 1000 : backoff(attempt);
        // Asked to wait for longer than the caller does: the caller decides.
        if (pause > LONGEST_WAIT || !deadline.allows(pause)) throw error;
        await sleep(pause + Math.random() * 100, deadline.signal);
      }
    }
  }

  private url(path: string, query: Query = {}): string {
    const given = Object.entries(query).filter(([, value]) => value !== undefined);
    const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
    return `${this.baseUrl}${path.startsWith("/api/") ? "" : "/api/v1"}${path}${text && `?${text}`}`;
  }

  private init(method: string, call: Call, signal: AbortSignal): RequestInit {
    const headers: Record<string, string> = { Accept: "application/json, application/problem+json" };
    if (this.key) headers["Authorization"] = `Bearer ${this.key}`;
    if (call.idempotencyKey !== undefined) headers["Idempotency-Key"] = call.idempotencyKey;
    const init: RequestInit = { method, signal, headers: Object.assign(headers, call.headers) };
    if (call.body !== undefined) {
      headers["Content-Type"] = "application/json";
      init.body = JSON.stringify(call.body);
    }
    return init;
  }
}

/** The call options for something that must happen once: every repetition carries the same key. */
export function once(options: SubmitOptions): SubmitOptions & { idempotencyKey: string } {
  return { ...options, idempotencyKey: options.idempotencyKey || uuid() };
}

/**
 * The given key, or that of the environment.
 *
 * @throws Error there is none.
 */
export function keyOf(given?: string): string {
  const key = (given || environment("E2A_API_KEY")).trim();
  if (!key) throw new Error("an API key is required: pass apiKey or set E2A_API_KEY");
  return key;
}

/**
 * Without trailing slashes. In a browser it may be a path, or empty: then it is the page's server.
 *
 * @throws Error it is no URL of HTTP.
 */
export function baseOf(given: string = DEFAULT_BASE_URL): string {
  if (!/^(https?:\/\/|\/|$)/i.test(given)) {
    throw new Error(`baseUrl must begin with http:// or https://, not ${JSON.stringify(given)}`);
  }
  return given.replace(/\/+$/, "");
}

/** A signal that ends when the caller's does or at a moment, whichever comes first. */
class Deadline {
  readonly signal: AbortSignal;
  private readonly controller = new AbortController();
  private readonly timer: ReturnType<typeof setTimeout> | undefined;
  private readonly abort = () => this.controller.abort(this.caller?.reason);
  private readonly expire = () =>
    this.controller.abort(new DOMException("the request took too long", "TimeoutError"));

  constructor(
    private readonly end: number,
    private readonly caller?: AbortSignal,
  ) {
    this.signal = this.controller.signal;
    const left = end - Date.now();
    if (left <= LONGEST_TIMER) this.timer = setTimeout(this.expire, left);
    if (caller?.aborted) this.abort();
    else caller?.addEventListener("abort", this.abort, { once: true });
  }

  allows(pause: number): boolean {
    return Date.now() + pause < this.end;
  }

  clear(streamed = false): void {
    clearTimeout(this.timer);
    if (!streamed) this.caller?.removeEventListener("abort", this.abort);
  }
}

/** What a server or a proxy answers that is busy or away for the moment. */
const AWAY = [429, 502, 503, 504];

/** A deployment that cannot send at all will not be able to in a moment either. */
function isPassing({ statusCode, code }: E2AApiError): boolean {
  return AWAY.includes(statusCode) && code !== "sending_not_configured";
}

function backoff(attempt: number): number {
  return Math.min(FIRST_PAUSE * 2 ** attempt, LONGEST_PAUSE) * (0.5 + Math.random() / 2);
}

/** @throws the signal's reason when it ends first. */
export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

// --- what paths and queries are made of -----------------------------------------------------------------------------

export interface PageQuery {
  /** Entries that a page has at most. */
  pageSize?: number;
  /** `next_token` of the previous page. */
  token?: string;
}

export function page(query: PageQuery): Query {
  return { page_size: query.pageSize, token: query.token };
}

export function next(token: string | undefined): PageQuery {
  return token === undefined ? {} : { token };
}

/** RFC 3339, as queries have times. */
export function moment(time: Date | string | undefined): string | undefined {
  return time instanceof Date ? time.toISOString() : time;
}

/** The path of one entry of a list. */
export function named(list: string, name: string): string {
  // A URL would swallow these, and name the list or what is above it.
  if (["", ".", ".."].includes(name)) throw new TypeError(`"${name}" is no address, name or id`);
  return `${list}/${encodeURIComponent(name)}`;
}
