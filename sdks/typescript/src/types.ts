// Names for what goes over the wire, all of it from the daemon's document. Members have their wire names.

import type { components } from "./generated/openapi.js";

/** Every schema of the document, by its own name. */
export type Schemas = components["schemas"];

export type Agent = Schemas["Agent"];
export type ListAgentsResponse = Schemas["Agents"];
/** Either `slug` (on the shared domain) or `email` (on a domain of the account). */
export type RegisterAgentRequest = Partial<Omit<Schemas["NewAgent"], "agent_mode">> & { agent_mode?: AgentMode };
export type RegisterAgentResponse = Schemas["CreatedAgent"];
export type UpdateAgentRequest = Schemas["ChangedAgent"];
export type AgentMode = Agent["agent_mode"];

export type Domain = Schemas["Domain"];
export type DnsRecords = Schemas["DnsRecords"];
export type DomainReport = Schemas["DomainReport"];
export type ListDomainsResponse = Schemas["Domains"];
export type RegisterDomainRequest = Schemas["NewDomain"];
export type VerifyDomainResponse = Schemas["VerifiedDomain"];

export type MessageSummary = Schemas["MessageSummary"];
export type MessageDetail = Schemas["MessageDetail"];
export type ListMessagesResponse = Schemas["MessagePage"];
export type MessageList = ListMessagesResponse;
export type AttachmentInfo = Schemas["Attachment"];
export type DeliveryRecord = Schemas["DeliveryRecord"];
export type DeliverySummary = Schemas["DeliverySummary"];
export type ListDeliveriesResponse = Schemas["DeliveryPage"];

export type Conversation = Schemas["ConversationEntry"];
export type ConversationMessage = Schemas["ConversationMessageEntry"];
export type ConversationThread = Schemas["ConversationThread"];
export type ListConversationsResponse = Schemas["ConversationList"];

export type OutgoingAttachment = Schemas["FileIn"];
export type SendEmailRequest = Schemas["NewMessage"];
export type ReplyToMessageRequest = Schemas["NewReply"];
export type ForwardMessageRequest = Schemas["NewForward"];
export type SendEmailResponse = Schemas["Outcome"];
export type SendResult = SendEmailResponse;
export type RecipientOutcome = Schemas["RecipientOutcome"];

export type PendingMessageSummary = Schemas["SubmittedSummary"];
export type PendingMessageDetail = Schemas["SubmittedDetail"];
export type ListPendingMessagesResponse = Schemas["SubmittedPage"];
export type ApprovePendingMessageRequest = Schemas["Approval"];
export type ApprovePendingMessageResponse = Schemas["Approved"];
export type RejectPendingMessageRequest = Schemas["Rejection"];
export type RejectPendingMessageResponse = Schemas["Rejected"];

export type CreateSigningSecretRequest = Schemas["NewSecret"];
export type CreateSigningSecretResponse = Schemas["CreatedSecret"];
export type SigningSecretSummary = Schemas["Secret"];
export type ListSigningSecretsResponse = Schemas["Secrets"];

export type ApiKey = Schemas["Key"];
export type CreateKeyRequest = Schemas["NewKey"];
export type CreateKeyResponse = Schemas["CreatedKey"];

export type Suppression = Schemas["SuppressionEntry"];
export type ListSuppressionsResponse = Schemas["SuppressionList"];

export type Delegation = Schemas["DelegationShape"];
export type ListDelegationsResponse = Schemas["DelegationList"];

export type Me = Schemas["WhoAmI"];
export type Organisation = Schemas["OrganisationShape"];
export type ListOrganisationsResponse = Schemas["OrganisationList"];
export type Member = Schemas["Member"];
export type Role = Member["role"];
export type ListMembersResponse = Schemas["MemberList"];
export type Invitation = Schemas["InvitationShape"];
export type CreatedInvitation = Schemas["CreatedInvitation"];
export type ListInvitationsResponse = Schemas["InvitationList"];
export type AuditEvent = Schemas["AuditLine"];
export type ListAuditEventsResponse = Schemas["AuditLines"];
export type UsageReport = Schemas["UsageReport"];
export type DeleteUserDataResult = Schemas["DeletedAccount"];

/** What `exportData()` streams, once it is read: each part of the account by its name. */
export interface UserExport {
  generated_at: string;
  schema_version: string;
  [part: string]: unknown;
}

export type DeploymentInfo = Schemas["Info"];

/** What a webhook request carries. Only what the signature covers is proven; see `InboundEmail`. */
export interface WebhookPayload
  extends Partial<Omit<MessageDetail, "message_id" | "from" | "recipient" | "auth_headers" | "raw_message">> {
  message_id: string;
  from: string;
  recipient: string;
  auth_headers: Record<string, string>;
  raw_message: string;
  received_at?: string;
}

/** What a WebSocket frame announces. Announcing marks nothing as read. */
export interface WSNotification {
  message_id: string;
  conversation_id?: string | null;
  from: string;
  to?: string;
  recipient: string;
  subject: string;
  received_at: string;
}
