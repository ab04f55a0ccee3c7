// What can go wrong, as types. Failures below HTTP (DNS, TLS, a reset) stay what `fetch` makes of them.

/** What an answer said beside its text. */
export interface FailureDetails {
  code?: string;
  field?: string;
  requestId?: string;
  retryAfter?: number;
  details?: Record<string, unknown>;
}

/** Every answer outside 2xx. Its subclasses say which kind; `name` is the same for all of them. */
export class E2AApiError extends Error {
  override readonly name = "E2AApiError";
  /** The HTTP status. */
  readonly statusCode: number;
  /** Stable and meant for programs, such as `not_found` or `recipient_suppressed`; "" when the server names none. */
  readonly code: string;
  /** The request field at fault; "" when none is. */
  readonly field: string;
  /** Under which the server's log has more; "" when it was not given. */
  readonly requestId: string;
  /** Seconds after which trying again makes sense; null when the server does not say. */
  readonly retryAfter: number | null;
  /** Further members of the problem object (RFC 9457), such as each recipient's outcome. */
  readonly details: Record<string, unknown>;

  /** @param text - the server's one line, as it is. */
  constructor(statusCode: number, text: string, failure: FailureDetails = {}) {
    super(`e2a API error (${statusCode}): ${text}`);
    this.statusCode = statusCode;
    this.code = failure.code ?? "";
    this.field = failure.field ?? "";
    this.requestId = failure.requestId ?? "";
    this.retryAfter = failure.retryAfter ?? null;
    this.details = failure.details ?? {};
  }
}

/** 400, 413 and 422: the request must change before it can succeed. */
export class InvalidRequestError extends E2AApiError {}
/** 401: no credential, or one that is not (or no longer) good. */
export class AuthenticationError extends E2AApiError {}
/** 402: the account has as much as it may have; `details` names the quota. Waiting does not help. */
export class QuotaExceededError extends E2AApiError {}
/** 403: the credential lacks a permission. */
export class PermissionDeniedError extends E2AApiError {}
/** 404: unknown, or another account's. 410: it is over. */
export class NotFoundError extends E2AApiError {}
/** 409 and 412: the object is in a state that does not allow this. */
export class ConflictError extends E2AApiError {}
/** 429: too many requests; see `retryAfter`. */
export class RateLimitError extends E2AApiError {}
/** 5xx. */
export class ServerError extends E2AApiError {}
/** A success that no e2a server gives, such as a page of HTML: `baseUrl` names something else. */
export class UnexpectedAnswerError extends E2AApiError {}

const KINDS = new Map<number, typeof E2AApiError>([
  [400, InvalidRequestError],
  [413, InvalidRequestError],
  [422, InvalidRequestError],
  [401, AuthenticationError],
  [402, QuotaExceededError],
  [403, PermissionDeniedError],
  [404, NotFoundError],
  [410, NotFoundError],
  [409, ConflictError],
  [412, ConflictError],
  [429, RateLimitError],
]);

/** A member of an inbound e-mail was read before its signature was checked. */
export class UnverifiedEmailError extends Error {
  override readonly name = "UnverifiedEmailError";

  constructor(member: string) {
    super(
      `${member} is not available before the e-mail is verified: use client.parseWebhook(body), or check ` +
        "verifySignature() first; unverifiedPayload shows what has not been proven",
    );
  }
}

/** A webhook's signature is wrong, too old, or not made with any secret at hand. */
export class WebhookVerificationError extends Error {
  override readonly name = "WebhookVerificationError";

  constructor(message = "HMAC signature verification failed") {
    super(message);
  }
}

/** What was waited for did not come. */
export class TimeoutError extends Error {
  override readonly name = "TimeoutError";
}

/** The error for an answer outside 2xx; reads its body. */
export async function failure(response: Response): Promise<E2AApiError> {
  let text = (await response.text().catch(() => "")).trim();
  const found: FailureDetails = {
    requestId: response.headers.get("X-Request-Id") ?? "",
    retryAfter: retryAfter(response.headers.get("Retry-After")),
  };
  if (response.headers.get("Content-Type")?.startsWith("application/problem+json")) {
    try {
      const { type, title, status, code, detail, field, request_id, ...details } = JSON.parse(text);
      text = [detail, title].find((line) => line && typeof line === "string") ?? text;
      Object.assign(found, { code, field, details, requestId: request_id ?? found.requestId });
    } catch {
      // A proxy's body under a borrowed type: its text is what can be shown.
    }
  }
  const Kind = KINDS.get(response.status) ?? (response.status >= 500 ? ServerError : E2AApiError);
  return new Kind(response.status, text || response.statusText, found);
}

/**
 * The JSON of a successful answer.
 *
 * @throws UnexpectedAnswerError it is none.
 */
export async function decoded<T>(response: Response): Promise<T> {
  try {
    return (await response.json()) as T;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const requestId = response.headers.get("X-Request-Id") ?? "";
    throw new UnexpectedAnswerError(response.status, "the answer is not JSON: is baseUrl right?", { requestId });
  }
}

/** Seconds, from a number or a date (RFC 9110 10.2.3). */
function retryAfter(value: string | null): number | undefined {
  if (!value) return undefined;
  if (/^\d+$/.test(value.trim())) return Number(value);
  const moment = Date.parse(value);
  return Number.isNaN(moment) ? undefined : Math.max(0, (moment - Date.now()) / 1000);
}
