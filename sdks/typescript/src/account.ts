import { entries } from "./paging.js";
import { moment, named, next, page, type PageQuery, type Query, type RequestOptions, type Transport } from "./transport.js";
import type * as t from "./types.js";

const SECRETS = "/users/me/signing-secrets";

export interface AuditQuery extends PageQuery {
  /** What was done, such as "key.created", or "key.*" for all that begins so. */
  action?: string;
  userId?: string;
  keyPrefix?: string;
  resourceType?: string;
  resourceId?: string;
  result?: "ok" | "refused" | "failed";
  /** At or after this time. */
  since?: Date | string;
  /** Before this time. */
  until?: Date | string;
}

/** What belongs to the account and not to one agent: secrets, keys, members, its data, its audit log. */
export abstract class AccountApi {
  protected abstract readonly http: Transport;

  /** What this key is, what it may do, and what is left of its limits. */
  me(options?: RequestOptions): Promise<t.Me> {
    return this.http.json("GET", "/me", options);
  }

  listSigningSecrets(options?: RequestOptions): Promise<t.ListSigningSecretsResponse> {
    return this.http.json("GET", SECRETS, options);
  }

  /** The answer shows the secret, once. It signs from now on, beside those that are there. */
  createSigningSecret(name = "", options?: RequestOptions): Promise<t.CreateSigningSecretResponse> {
    return this.http.json("POST", SECRETS, { ...options, body: { name } });
  }

  /**
   * Replace the secrets by a new one, which the answer shows, once.
   *
   * @param overlapSeconds - for how long the earlier ones sign as well; the server decides when absent.
   */
  rotateSigningSecrets(
    name = "",
    overlapSeconds?: number,
    options?: RequestOptions,
  ): Promise<t.CreateSigningSecretResponse> {
    const body = { name, overlap_seconds: overlapSeconds };
    return this.http.json("POST", `${SECRETS}/rotate`, { ...options, body });
  }

  deleteSigningSecret(id: string, options?: RequestOptions): Promise<void> {
    return this.http.nothing("DELETE", named(SECRETS, id), options);
  }

  listKeys(options?: RequestOptions): Promise<t.ApiKey[]> {
    return this.http.json("GET", "/api/keys", options);
  }

  /** The answer shows the key, once. It can do no more than the key that makes it. */
  createKey(body: t.CreateKeyRequest = {}, options?: RequestOptions): Promise<t.CreateKeyResponse> {
    return this.http.json("POST", "/api/keys", { ...options, body });
  }

  revokeKey(id: string, options?: RequestOptions): Promise<void> {
    return this.http.nothing("DELETE", named("/api/keys", id), options);
  }

  /** Addresses that the account's agents do not write to. */
  listSuppressions(query: PageQuery = {}, options?: RequestOptions): Promise<t.ListSuppressionsResponse> {
    return this.http.json("GET", "/suppressions", { ...options, query: page(query) });
  }

  iterSuppressions(query: PageQuery = {}, options?: RequestOptions): AsyncGenerator<t.Suppression, void, undefined> {
    return entries(
      (token) => this.listSuppressions({ ...query, ...next(token) }, options),
      (found) => found.suppressions,
    );
  }

  getSuppression(address: string, options?: RequestOptions): Promise<t.Suppression> {
    return this.http.json("GET", named("/suppressions", address), options);
  }

  addSuppression(address: string, reason = "", options?: RequestOptions): Promise<t.Suppression> {
    return this.http.json("POST", "/suppressions", { ...options, body: { address, reason }, harmless: true });
  }

  removeSuppression(address: string, options?: RequestOptions): Promise<void> {
    return this.http.nothing("DELETE", named("/suppressions", address), options);
  }

  /** For whom the agent acts, or has asked to act. */
  listDelegations(email: string, options?: RequestOptions): Promise<t.ListDelegationsResponse> {
    return this.http.json("GET", `${named("/agents", email)}/delegations`, options);
  }

  /** Ask a person, by mail, whether the agent may act for them. */
  proposeDelegation(email: string, person: string, options?: RequestOptions): Promise<t.Delegation> {
    return this.http.json("POST", `${named("/agents", email)}/delegations`, { ...options, body: { person } });
  }

  endDelegation(email: string, id: string, options?: RequestOptions): Promise<void> {
    return this.http.nothing("DELETE", named(`${named("/agents", email)}/delegations`, id), options);
  }

  // --- the organisation -----------------------------------------------------------------------------------------------

  /** Those that the caller belongs to; for a key, the key's own. */
  listOrganisations(options?: RequestOptions): Promise<t.ListOrganisationsResponse> {
    return this.http.json("GET", "/organisations", options);
  }

  /** The one that the key is for. */
  getOrganisation(options?: RequestOptions): Promise<t.Organisation> {
    return this.http.json("GET", "/organisation", options);
  }

  renameOrganisation(name: string, options?: RequestOptions): Promise<t.Organisation> {
    return this.http.json("PUT", "/organisation", { ...options, body: { name }, harmless: true });
  }

  listMembers(options?: RequestOptions): Promise<t.ListMembersResponse> {
    return this.http.json("GET", "/members", options);
  }

  /** Only an owner makes or changes an owner. */
  changeRole(userId: string, role: t.Role, options?: RequestOptions): Promise<t.Member> {
    return this.http.json("PUT", named("/members", userId), { ...options, body: { role }, harmless: true });
  }

  /** And revoke their keys. */
  removeMember(userId: string, options?: RequestOptions): Promise<void> {
    return this.http.nothing("DELETE", named("/members", userId), options);
  }

  listInvitations(options?: RequestOptions): Promise<t.ListInvitationsResponse> {
    return this.http.json("GET", "/invitations", options);
  }

  /** By mail, for seven days. Replaces an open invitation to the same address. */
  invite(email: string, role: t.Role = "member", options?: RequestOptions): Promise<t.CreatedInvitation> {
    return this.http.json("POST", "/invitations", { ...options, body: { email, role } });
  }

  revokeInvitation(id: string, options?: RequestOptions): Promise<void> {
    return this.http.nothing("DELETE", named("/invitations", id), options);
  }

  // --- data rights and the audit log ----------------------------------------------------------------------------------

  /**
   * Everything the account has, as a stream: it may not fit in memory.
   *
   * @param format - one JSON document, or an archive that holds the mail as .eml files.
   */
  exportData(format: "json" | "zip" = "json", options: RequestOptions = {}): Promise<ReadableStream<Uint8Array>> {
    return this.stream("/users/me/export", { format: format === "json" ? undefined : format }, options);
  }

  /**
   * Delete the key's owner, and every organisation that has no other member, with all they hold. Nothing brings it back.
   *
   * @param confirm - the word DELETE.
   */
  deleteAccount(confirm: "DELETE", options?: RequestOptions): Promise<t.DeleteUserDataResult> {
    return this.http.json("DELETE", "/users/me", { ...options, query: { confirm } });
  }

  /** Newest first. */
  listAuditEvents(query: AuditQuery = {}, options?: RequestOptions): Promise<t.ListAuditEventsResponse> {
    return this.http.json("GET", "/audit", { ...options, query: { ...filters(query), ...page(query) } });
  }

  iterAuditEvents(query: AuditQuery = {}, options?: RequestOptions): AsyncGenerator<t.AuditEvent, void, undefined> {
    return entries(
      (token) => this.listAuditEvents({ ...query, ...next(token) }, options),
      (found) => found.events,
    );
  }

  /** What the filters leave of the audit log, as JSON Lines. */
  exportAuditEvents(query: AuditQuery = {}, options: RequestOptions = {}): Promise<ReadableStream<Uint8Array>> {
    return this.stream("/audit/export", filters(query), options);
  }

  /**
   * How much mail was received and sent, day by day.
   *
   * @param query.from - the first day, as YYYY-MM-DD; `to` the last one.
   */
  getUsage(query: { from?: string; to?: string } = {}, options?: RequestOptions): Promise<t.UsageReport> {
    return this.http.json("GET", "/usage", { ...options, query: { from: query.from, to: query.to } });
  }

  private stream(path: string, query: Query, options: RequestOptions): Promise<ReadableStream<Uint8Array>> {
    const call = { ...options, query, streamed: true, headers: { Accept: "*/*, application/problem+json" } };
    return this.http.request("GET", path, call, async (response) => response.body!);
  }
}

function filters(query: AuditQuery): Query {
  return {
    action: query.action,
    user_id: query.userId,
    key_prefix: query.keyPrefix,
    resource_type: query.resourceType,
    resource_id: query.resourceId,
    result: query.result,
    since: moment(query.since),
    until: moment(query.until),
  };
}
