export type { AuditQuery } from "./account.js";
export {
  E2AApi,
  type E2AApiOptions,
  type MessageFilters,
  type MessageQuery,
  type SubmittedQuery,
  type WaitQuery,
  type WaitResult,
} from "./api.js";
export {
  E2AClient,
  type AgentOptions,
  type AttachmentInput,
  type E2AClientOptions,
  type ForwardOptions,
  type ListenOptions,
  type ListOptions,
  type MailOptions,
  type OutcomeOptions,
  type ParseOptions,
  type ReplyOptions,
  type SendOptions,
  type WaitOptions,
  type WebhookBody,
} from "./client.js";
export {
  AuthenticationError,
  ConflictError,
  E2AApiError,
  InvalidRequestError,
  NotFoundError,
  PermissionDeniedError,
  QuotaExceededError,
  RateLimitError,
  ServerError,
  TimeoutError,
  UnexpectedAnswerError,
  UnverifiedEmailError,
  WebhookVerificationError,
  type FailureDetails,
} from "./errors.js";
export { InboundEmail, type AuthHeaders, type UnverifiedPayload } from "./inbound.js";
export { WSListener, WSStream, type WSEvents, type WSListenerOptions, type WSStreamOptions } from "./live.js";
export type { Attachment } from "./mime.js";
export type { Bytes } from "./platform.js";
export type { Secrets } from "./signing.js";
export type { Fetch, PageQuery, Query, RequestOptions, SubmitOptions, TransportOptions } from "./transport.js";
export type * from "./types.js";
export type { WebhookHeaders } from "./webhooks.js";
