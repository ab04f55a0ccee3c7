// Generated from openapi.json, the daemon's own document. Do not edit: run `npm run generate`.

export interface paths {
    "/api/auth/logout": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Sign out; without a session there is nothing to do */
        post: operations["post_auth_logout"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/auth/me": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Who is signed in, in which organisation, and the token that changes need
         * @description For a signed-in person; keys are refused.
         */
        get: operations["get_auth_me"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/feedback": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Write to the operator */
        post: operations["post_feedback"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether the process answers */
        get: operations["get_health"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/keys": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the account's API keys; without keys:write a person's own, and a key alone
         * @description Any credential will do.
         */
        get: operations["get_keys"];
        put?: never;
        /**
         * Make an API key that can do no more than its creator
         * @description Needs the permission `keys:write`.
         */
        post: operations["post_keys"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/keys/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Revoke an API key at once; without keys:write a person's own, and a key itself
         * @description Any credential will do.
         */
        delete: operations["delete_keys_id"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/ready": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether requests and mail can be served now */
        get: operations["get_ready"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/agents": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the account's agents
         * @description Needs the permission `agents:read`.
         */
        get: operations["get_agents"];
        put?: never;
        /**
         * Register an agent, by slug on the shared domain or by address on a domain of the account
         * @description Needs the permission `agents:write`.
         */
        post: operations["post_agents"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/agents/{email}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * One agent
         * @description Needs the permission `agents:read`.
         */
        get: operations["get_agents_email"];
        /**
         * Change what is given, all of it or nothing; the hitl fields need `reviews:decide` as well
         * @description Needs the permission `agents:write`.
         */
        put: operations["put_agents_email"];
        post?: never;
        /**
         * Delete an agent with its mail
         * @description Needs the permission `agents:write`.
         */
        delete: operations["delete_agents_email"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/agents/{email}/conversations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List an agent's conversations, the one with the latest message first
         * @description Needs the permission `messages:read`.
         */
        get: operations["get_agents_email_conversations"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/agents/{email}/conversations/{conversation}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * One conversation: received and sent messages, oldest first; does not mark them read
         * @description Needs the permission `messages:read`.
         */
        get: operations["get_agents_email_conversations_conversation"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/agents/{email}/delegations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * For whom the agent acts, or has asked to act
         * @description Needs the permission `agents:read`.
         */
        get: operations["get_agents_email_delegations"];
        put?: never;
        /**
         * Ask a person, by mail, whether the agent may act for them
         * @description Needs the permission `agents:write`.
         */
        post: operations["post_agents_email_delegations"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/agents/{email}/delegations/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * End a delegation, or withdraw a proposal
         * @description Needs the permission `agents:write`.
         */
        delete: operations["delete_agents_email_delegations_id"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/agents/{email}/deliveries": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List webhook deliveries, newest first
         * @description Needs the permission `messages:read`.
         */
        get: operations["get_agents_email_deliveries"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/agents/{email}/messages": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List received messages, oldest first unless sorted otherwise
         * @description Needs the permission `messages:read`.
         */
        get: operations["get_agents_email_messages"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/agents/{email}/messages/wait": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Wait for a message: the first that matches, or 204 with the header X-E2A-Cursor
         * @description Needs the permission `messages:read`.
         */
        get: operations["get_agents_email_messages_wait"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/agents/{email}/messages/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read one message, signed now; an unread one becomes read
         * @description Needs the permission `messages:read`.
         */
        get: operations["get_agents_email_messages_id"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/agents/{email}/messages/{id}/attachments/{index}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The octets of one attachment; does not mark the message read
         * @description Needs the permission `messages:read`.
         */
        get: operations["get_agents_email_messages_id_attachments_index"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/agents/{email}/messages/{id}/delivery": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The webhook delivery of one message, attempt by attempt
         * @description Needs the permission `messages:read`.
         */
        get: operations["get_agents_email_messages_id_delivery"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/agents/{email}/messages/{id}/forward": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Send a received message on, in a conversation of its own
         * @description Needs the permission `messages:send`.
         */
        post: operations["post_agents_email_messages_id_forward"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/agents/{email}/messages/{id}/raw": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The message as stored; does not mark it read
         * @description Needs the permission `messages:read`.
         */
        get: operations["get_agents_email_messages_id_raw"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/agents/{email}/messages/{id}/redeliver": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Deliver one message to the agent's webhook again, now
         * @description Needs the permission `agents:write`.
         */
        post: operations["post_agents_email_messages_id_redeliver"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/agents/{email}/messages/{id}/reply": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Answer a received message, in its conversation
         * @description Needs the permission `messages:send`.
         */
        post: operations["post_agents_email_messages_id_reply"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/agents/{email}/test": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Send a test message to the agent, through review, hand-over and delivery as real mail
         * @description Needs the permission `messages:send`.
         */
        post: operations["post_agents_email_test"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/agents/{email}/ws": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Connect a WebSocket that announces every unread and every new message
         * @description Needs the permission `messages:read`.
         */
        get: operations["get_agents_email_ws"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/audit": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List what was done in the organisation, newest first
         * @description Needs the permission `audit:read`.
         */
        get: operations["get_audit"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/audit/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The whole audit log, or what the filters leave of it, as JSON Lines
         * @description Needs the permission `audit:read`.
         */
        get: operations["get_audit_export"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/domains": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the account's domains
         * @description Needs the permission `domains:read`.
         */
        get: operations["get_domains"];
        put?: never;
        /**
         * Claim a domain; asking again answers the same claim
         * @description Needs the permission `domains:write`.
         */
        post: operations["post_domains"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/domains/{domain}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * One domain, with what DNS says of each of its records now
         * @description Needs the permission `domains:read`.
         */
        get: operations["get_domains_domain"];
        put?: never;
        post?: never;
        /**
         * Give a domain up; not while agents are on it
         * @description Needs the permission `domains:write`.
         */
        delete: operations["delete_domains_domain"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/domains/{domain}/dkim/rotate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Make another DKIM key; the present one signs until the record of the new one is seen in DNS
         * @description Needs the permission `domains:write`.
         */
        post: operations["post_domains_domain_dkim_rotate"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/domains/{domain}/verify": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Prove a claim by its TXT record
         * @description Needs the permission `domains:write`.
         */
        post: operations["post_domains_domain_verify"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/info": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What this deployment is */
        get: operations["get_info"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/invitations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the open invitations
         * @description Needs the permission `members:write`.
         */
        get: operations["get_invitations"];
        put?: never;
        /**
         * Invite a person by mail, for seven days; replaces an open invitation to the same address
         * @description Needs the permission `members:write`.
         */
        post: operations["post_invitations"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/invitations/accept": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Join an organisation, as the signed-in person who was invited
         * @description For a signed-in person; keys are refused.
         */
        post: operations["post_invitations_accept"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/invitations/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Revoke an invitation
         * @description Needs the permission `members:write`.
         */
        delete: operations["delete_invitations_id"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/me": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What this credential is, what it may do, and what is left of its limits
         * @description Any credential will do.
         */
        get: operations["get_me"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/members": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the members
         * @description Needs the permission `account:read`.
         */
        get: operations["get_members"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/members/{user_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Change a member's role; only an owner makes or changes an owner
         * @description Needs the permission `members:write`.
         */
        put: operations["put_members_user_id"];
        post?: never;
        /**
         * Remove a member, and revoke their keys
         * @description Needs the permission `members:write`.
         */
        delete: operations["delete_members_user_id"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/messages": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List what agents send: held messages by urgency, others newest first
         * @description Needs the permission `messages:read`.
         */
        get: operations["get_messages"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/messages/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * One message that an agent sends, by our id or its Message-ID
         * @description Needs the permission `messages:read`.
         */
        get: operations["get_messages_id"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/messages/{id}/approve": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Send a held message, as it is or with edits
         * @description Needs the permission `reviews:decide`.
         */
        post: operations["post_messages_id_approve"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/messages/{id}/attachments/{index}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The octets of one attachment of a held message
         * @description Needs the permission `messages:read`.
         */
        get: operations["get_messages_id_attachments_index"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/messages/{id}/reject": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Decide that a held message is not sent
         * @description Needs the permission `reviews:decide`.
         */
        post: operations["post_messages_id_reject"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/messages/{id}/resend": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Send an unknown or failed message once more, the same bytes: who has it already gets a second copy
         * @description Needs the permission `messages:send`.
         */
        post: operations["post_messages_id_resend"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** This document as JSON */
        get: operations["get_openapi_json"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/openapi.yaml": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** This document as YAML */
        get: operations["get_openapi_yaml"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/operator/organisations/{id}/quotas": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * An organisation's quotas, and how much it has of each; for the operator
         * @description Needs the permission `account:read`.
         */
        get: operations["get_operator_organisations_id_quotas"];
        /**
         * Give an organisation quotas of its own; for the operator
         * @description Needs the permission `account:write`.
         */
        put: operations["put_operator_organisations_id_quotas"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/organisation": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The organisation that the credential is for
         * @description Needs the permission `account:read`.
         */
        get: operations["get_organisation"];
        /**
         * Rename the organisation
         * @description Needs the permission `account:write`.
         */
        put: operations["put_organisation"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/organisation/leave": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Leave the organisation, as the signed-in person; the last owner cannot
         * @description For a signed-in person; keys are refused.
         */
        post: operations["post_organisation_leave"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/organisations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The organisations that the person belongs to; for a key, the key's own
         * @description Any credential will do.
         */
        get: operations["get_organisations"];
        put?: never;
        /**
         * Make an organisation that the signed-in person owns
         * @description For a signed-in person; keys are refused.
         */
        post: operations["post_organisations"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/send": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Send a message: to people, to agents of this deployment, or both
         * @description Needs the permission `messages:send`.
         */
        post: operations["post_send"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/session/organisation": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Go on in another of the person's organisations
         * @description For a signed-in person; keys are refused.
         */
        put: operations["put_session_organisation"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sessions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the browsers in which the person is signed in
         * @description For a signed-in person; keys are refused.
         */
        get: operations["get_sessions"];
        put?: never;
        post?: never;
        /**
         * Sign every other browser out at once
         * @description For a signed-in person; keys are refused.
         */
        delete: operations["delete_sessions"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sessions/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Sign one browser out at once
         * @description For a signed-in person; keys are refused.
         */
        delete: operations["delete_sessions_id"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/suppressions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List addresses that the account's agents do not write to
         * @description Needs the permission `account:read`.
         */
        get: operations["get_suppressions"];
        put?: never;
        /**
         * Suppress an address; one that is suppressed already stays as it is
         * @description Needs the permission `account:write`.
         */
        post: operations["post_suppressions"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/suppressions/{address}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * One suppressed address
         * @description Needs the permission `account:read`.
         */
        get: operations["get_suppressions_address"];
        put?: never;
        post?: never;
        /**
         * Let the account's agents write to an address again
         * @description Needs the permission `account:write`.
         */
        delete: operations["delete_suppressions_address"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/usage": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * How much mail the account received and sent, day by day
         * @description Needs the permission `account:read`.
         */
        get: operations["get_usage"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/users/me": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Delete the person, and every organisation that has no other member, with all they hold
         * @description Needs the permission `account:write`.
         */
        delete: operations["delete_users_me"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/users/me/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Everything the account has, for its owner: one JSON document, or a ZIP archive with the mail as files
         * @description Needs the permission `account:write`.
         */
        get: operations["get_users_me_export"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/users/me/signing-secrets": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the signing secrets
         * @description Needs the permission `secrets:write`.
         */
        get: operations["get_users_me_signing_secrets"];
        put?: never;
        /**
         * Make a signing secret, which signs from now on
         * @description Needs the permission `secrets:write`.
         */
        post: operations["post_users_me_signing_secrets"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/users/me/signing-secrets/rotate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Replace the signing secrets by a new one; until the overlap ends all of them sign
         * @description Needs the permission `secrets:write`.
         */
        post: operations["post_users_me_signing_secrets_rotate"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/users/me/signing-secrets/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Delete a signing secret; the last one stays
         * @description Needs the permission `secrets:write`.
         */
        delete: operations["delete_users_me_signing_secrets_id"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** Acceptance */
        Acceptance: {
            /**
             * Token
             * @description From the link in the mail.
             */
            token: string;
        };
        /** Agent */
        Agent: {
            /**
             * Agent Mode
             * @description cloud: mail is posted to the webhook; local: the agent fetches it.
             * @enum {string}
             */
            agent_mode: "cloud" | "local";
            /** Created At */
            created_at: string;
            /** Domain */
            domain: string;
            /**
             * Domain Verified
             * @description Whether mail for its domain is accepted.
             */
            domain_verified: boolean;
            /** Email */
            email: string;
            /**
             * Hitl Enabled
             * @description Whether what the agent sends is held until a person decides.
             */
            hitl_enabled: boolean;
            /**
             * Hitl Expiration Action
             * @description What happens when nobody decides in time.
             * @enum {string}
             */
            hitl_expiration_action: "approve" | "reject";
            /**
             * Hitl Ttl Seconds
             * @description How long it is held, in seconds.
             */
            hitl_ttl_seconds: number;
            /** Id */
            id: string;
            /**
             * Label
             * @description Groups agents; a key can be limited to labels that begin alike.
             */
            label: string;
            /**
             * Name
             * @description What people see in the From header.
             */
            name: string;
            /**
             * Webhook Url
             * @description Where mail is posted; empty in local mode.
             */
            webhook_url: string;
        };
        /** Agents */
        Agents: {
            /**
             * Agents
             * @description Newest first.
             */
            agents: components["schemas"]["Agent"][];
            /**
             * Next Token
             * @description Absent on the last page.
             * @default
             */
            next_token?: string;
        };
        /**
         * Approval
         * @description Edits. What is absent stays as it is; an empty value clears.
         */
        Approval: {
            /**
             * Attachments
             * @description replace all that the message has
             * @default null
             */
            attachments?: components["schemas"]["FileIn"][] | null;
            /**
             * Bcc
             * @default null
             */
            bcc?: string[] | null;
            /**
             * Body Html
             * @default null
             */
            body_html?: string | null;
            /**
             * Body Text
             * @default null
             */
            body_text?: string | null;
            /**
             * Cc
             * @default null
             */
            cc?: string[] | null;
            /**
             * Subject
             * @default null
             */
            subject?: string | null;
            /**
             * To
             * @default null
             */
            to?: string[] | null;
            /**
             * Wait
             * @description seconds to wait for the outcome; 0 to 60, 20 when absent
             * @default null
             */
            wait?: number | null;
        };
        /** Approved */
        Approved: {
            /**
             * Approval Expires At
             * @description when nobody will have decided; only while held
             * @default null
             */
            approval_expires_at?: string | null;
            /**
             * Conversation Id
             * @description the conversation it belongs to; null when it is in none
             */
            conversation_id: string | null;
            /**
             * Edited
             * @description whether anything was changed before it was sent
             */
            edited: boolean;
            /**
             * Message Id
             * @description our id, under which the message is found
             */
            message_id: string;
            /**
             * Method
             * @description loopback: every recipient is an agent of this deployment
             * @enum {string}
             */
            method: "smtp" | "loopback";
            /**
             * Provider Message Id
             * @description the RFC 5322 Message-ID
             */
            provider_message_id: string;
            /**
             * Recipients
             * @description empty while the message is held
             */
            recipients: components["schemas"]["RecipientOutcome"][];
            /**
             * Status
             * @description sent, queued, unknown, or pending_approval when a human must approve it first
             */
            status: string;
        };
        /**
         * Attachment
         * @description An attachment, without its octets.
         */
        Attachment: {
            /**
             * Content Id
             * @description the Content-ID by which HTML refers to it; empty when there is none
             */
            content_id: string;
            /**
             * Content Type
             * @description as the sender declared it, such as application/pdf
             */
            content_type: string;
            /**
             * Filename
             * @description as the sender named it; may be empty
             */
            filename: string;
            /**
             * Index
             * @description counts from 0 in MIME order; fetch the octets under this number
             */
            index: number;
            /**
             * Size
             * @description decoded octets
             */
            size: number;
        };
        /**
         * Attempt
         * @description One attempt to deliver to the webhook.
         */
        Attempt: {
            /** Duration Ms */
            duration_ms: number;
            /**
             * Error
             * @description why it failed; empty when it succeeded
             */
            error: string;
            /**
             * Number
             * @description counts from 1
             */
            number: number;
            /** Started At */
            started_at: string;
            /**
             * Status Code
             * @description null when no HTTP answer arrived
             */
            status_code: number | null;
        };
        /**
         * AuditLine
         * @description One line of the audit log.
         */
        AuditLine: {
            /**
             * Action
             * @description `<what>.<past participle>`
             */
            action: string;
            /** At */
            at: string;
            /** Client Ip */
            client_ip: string;
            /** Detail */
            detail: {
                [key: string]: unknown;
            };
            /** Id */
            id: string;
            /**
             * Key Prefix
             * @description the key that was used; empty for a session
             */
            key_prefix: string;
            /** Organisation Id */
            organisation_id: string;
            /**
             * Request Id
             * @description the X-Request-Id of the answer
             */
            request_id: string;
            /** Resource Id */
            resource_id: string;
            /** Resource Type */
            resource_type: string;
            /**
             * Result
             * @enum {string}
             */
            result: "ok" | "refused" | "failed";
            /** User Agent */
            user_agent: string;
            /**
             * User Id
             * @description who did it, or whose key; null: nobody who was signed in
             */
            user_id: string | null;
        };
        /** AuditLines */
        AuditLines: {
            /**
             * Events
             * @description Newest first.
             */
            events: components["schemas"]["AuditLine"][];
            /**
             * Next Token
             * @description Absent on the last page.
             * @default
             */
            next_token?: string;
        };
        /**
         * Automation
         * @description Whether a program sent a message. Programs should not answer programs.
         */
        Automation: {
            /**
             * Is Auto
             * @description whether a program wrote it
             */
            is_auto: boolean;
            /**
             * Reasons
             * @description the signs that were found; empty unless is_auto
             */
            reasons: string[];
        };
        /** ChangedAgent */
        ChangedAgent: {
            /**
             * Agent Mode
             * @description cloud needs webhook_url in the same request; local without it drops the webhook.
             * @default null
             */
            agent_mode?: ("cloud" | "local") | null;
            /**
             * Hitl Enabled
             * @description Whether what the agent sends is held until a person decides.
             * @default null
             */
            hitl_enabled?: boolean | null;
            /**
             * Hitl Expiration Action
             * @description What happens when nobody decides in time.
             * @default null
             */
            hitl_expiration_action?: ("approve" | "reject") | null;
            /**
             * Hitl Ttl Seconds
             * @description How long it is held, in seconds.
             * @default null
             */
            hitl_ttl_seconds?: number | null;
            /**
             * Label
             * @default null
             */
            label?: string | null;
            /**
             * Name
             * @description What people see in the From header.
             * @default null
             */
            name?: string | null;
            /**
             * Webhook Url
             * @description Where mail is posted.
             * @default null
             */
            webhook_url?: string | null;
        };
        /**
         * ConversationEntry
         * @description A conversation as the list shows it.
         */
        ConversationEntry: {
            /** Id */
            id: string;
            /** Last Message At */
            last_message_at: string;
            /**
             * Message Count
             * @description received and sent; counting stops at 1000
             */
            message_count: number;
            /**
             * Participants
             * @description addresses in recent messages, without the agent's own
             */
            participants: string[];
            /**
             * Subject
             * @description of its oldest message
             */
            subject: string;
            /**
             * Unread
             * @description of the messages counted
             */
            unread: number;
        };
        /**
         * ConversationList
         * @description A page of conversations, the one with the latest message first.
         */
        ConversationList: {
            /** Conversations */
            conversations: components["schemas"]["ConversationEntry"][];
            /**
             * Next Token
             * @description give it as token to go on; absent on the last page. A page before that may be short
             * @default null
             */
            next_token?: string | null;
        };
        /**
         * ConversationMessageEntry
         * @description A message as its conversation shows it.
         */
        ConversationMessageEntry: {
            /** Cc */
            cc: string[];
            /** Created At */
            created_at: string;
            /**
             * Direction
             * @enum {string}
             */
            direction: "inbound" | "outbound";
            /**
             * Email Message Id
             * @description the RFC 5322 Message-ID
             */
            email_message_id: string;
            /** From */
            from: string;
            /** Message Id */
            message_id: string;
            /** Recipient */
            recipient: string;
            /** Size */
            size: number;
            /**
             * Status
             * @description unread or read for received mail, else how sending stands
             */
            status: string;
            /** Subject */
            subject: string;
            /** To */
            to: string[];
            /**
             * Verified
             * @description for received mail: whether the sender is who the From header says
             */
            verified: boolean;
        };
        /**
         * ConversationThread
         * @description A page of a conversation, oldest message first.
         */
        ConversationThread: {
            /** Id */
            id: string;
            /** Messages */
            messages: components["schemas"]["ConversationMessageEntry"][];
            /**
             * Next Token
             * @description give it as token to go on; absent on the last page
             * @default null
             */
            next_token?: string | null;
        };
        /** CreatedAgent */
        CreatedAgent: {
            /** Domain */
            domain: string;
            /** Email */
            email: string;
            /** Id */
            id: string;
        };
        /** CreatedInvitation */
        CreatedInvitation: {
            /** Created At */
            created_at: string;
            /** Email */
            email: string;
            /** Expires At */
            expires_at: string;
            /** Id */
            id: string;
            /**
             * Invited By
             * @description The id of the user who asked.
             */
            invited_by: string | null;
            /**
             * Link
             * @description Only when the deployment cannot send mail: hand it to the person yourself.
             * @default
             */
            link?: string;
            /**
             * Role
             * @enum {string}
             */
            role: "owner" | "admin" | "member";
        };
        /** CreatedKey */
        CreatedKey: {
            /**
             * Agent
             * @description The only agent that the key can see; null: all of the account.
             */
            agent: string | null;
            /** Created At */
            created_at: string;
            /** Expires At */
            expires_at: string | null;
            /** Id */
            id: string;
            /**
             * Key
             * @description The key itself. It is not shown again.
             */
            key: string;
            /**
             * Key Prefix
             * @description The first 12 characters of the key.
             */
            key_prefix: string;
            /**
             * Label Prefix
             * @description What the label of every agent that the key can see begins with.
             */
            label_prefix: string | null;
            /**
             * Last Used At
             * @description To the minute, more or less.
             */
            last_used_at: string | null;
            /** Name */
            name: string;
            /** Permissions */
            permissions: string[];
            /**
             * Read Only
             * @description Whether every one of its permissions only looks.
             */
            read_only: boolean;
            /**
             * User Id
             * @description Who made it; empty for a key that sees only a part of the agents.
             */
            user_id: string;
        };
        /** CreatedSecret */
        CreatedSecret: {
            /** Created At */
            created_at: string;
            /** Id */
            id: string;
            /** Name */
            name: string;
            /**
             * Secret
             * @description The secret itself. Its ASCII octets are the HMAC key. It is not shown again.
             */
            secret: string;
            /** Secret Prefix */
            secret_prefix: string;
            /**
             * Signs From
             * @description When it takes over, after a rotation; absent: now.
             * @default
             */
            signs_from?: string;
        };
        /** DelegationList */
        DelegationList: {
            /**
             * Delegations
             * @description Newest first, without those that have ended.
             */
            delegations: components["schemas"]["DelegationShape"][];
        };
        /** DelegationShape */
        DelegationShape: {
            /** Agent */
            agent: string;
            /** Confirmed At */
            confirmed_at: string | null;
            /** Created At */
            created_at: string;
            /** Id */
            id: string;
            /** Person */
            person: string;
            /**
             * State
             * @description proposed: the person has been asked, and has seven days to confirm.
             * @enum {string}
             */
            state: "proposed" | "expired" | "active";
        };
        /** Deleted */
        Deleted: {
            /**
             * Status
             * @constant
             */
            status: "deleted";
        };
        /**
         * DeletedAccount
         * @description How many rows of each kind went.
         */
        DeletedAccount: {
            /** Agents Deleted */
            agents_deleted: number;
            /** Api Keys Deleted */
            api_keys_deleted: number;
            /** Audit Events Deleted */
            audit_events_deleted: number;
            /** Delegations Deleted */
            delegations_deleted: number;
            /** Domains Deleted */
            domains_deleted: number;
            /** Invitations Deleted */
            invitations_deleted: number;
            /** Messages Deleted */
            messages_deleted: number;
            /** Sessions Deleted */
            sessions_deleted: number;
            /** Signing Secrets Deleted */
            signing_secrets_deleted: number;
            /** Suppressions Deleted */
            suppressions_deleted: number;
            /** Usage Events Deleted */
            usage_events_deleted: number;
            /** Usage Summaries Deleted */
            usage_summaries_deleted: number;
            /**
             * User Deleted
             * @description The credential that was used is dead.
             * @constant
             */
            user_deleted: true;
            /** Webhook Deliveries Deleted */
            webhook_deliveries_deleted: number;
        };
        /**
         * DeliveryPage
         * @description A page of deliveries, newest first.
         */
        DeliveryPage: {
            /** Deliveries */
            deliveries: components["schemas"]["DeliverySummary"][];
            /**
             * Next Token
             * @description give it as token to go on; absent on the last page
             * @default null
             */
            next_token?: string | null;
        };
        /**
         * DeliveryRecord
         * @description The webhook delivery of one message.
         */
        DeliveryRecord: {
            /**
             * Attempts
             * @description how many were made
             */
            attempts: number;
            /** Created At */
            created_at: string;
            /**
             * Delivered At
             * @description null until it was delivered
             */
            delivered_at: string | null;
            /**
             * Last Error
             * @description why the latest attempt failed
             */
            last_error: string;
            /**
             * Log
             * @description attempts, oldest first
             */
            log: components["schemas"]["Attempt"][];
            /** Message Id */
            message_id: string;
            /**
             * Next Attempt At
             * @description null when there will be none
             */
            next_attempt_at: string | null;
            /**
             * Status
             * @enum {string}
             */
            status: "pending" | "delivered" | "failed";
        };
        /**
         * DeliverySummary
         * @description A webhook delivery as lists show it.
         */
        DeliverySummary: {
            /**
             * Attempts
             * @description how many were made
             */
            attempts: number;
            /** Created At */
            created_at: string;
            /**
             * Delivered At
             * @description null until it was delivered
             */
            delivered_at: string | null;
            /**
             * Last Error
             * @description why the latest attempt failed
             */
            last_error: string;
            /** Message Id */
            message_id: string;
            /**
             * Next Attempt At
             * @description null when there will be none
             */
            next_attempt_at: string | null;
            /**
             * Status
             * @enum {string}
             */
            status: "pending" | "delivered" | "failed";
        };
        /**
         * DkimKey
         * @description A DKIM key of a domain, by the record to publish.
         */
        DkimKey: {
            /**
             * Active
             * @description Whether mail is signed with it: it was seen in DNS, and the domain is verified.
             */
            active: boolean;
            /** Host */
            host: string;
            /**
             * Removable At
             * @description Absent unless another key took over.
             * @default
             */
            removable_at?: string;
            /**
             * State
             * @description pending: signs once its record is seen in DNS; active: signs; retiring: the former key, whose record is to stay until removable_at; removable: its record is of no use any more.
             * @enum {string}
             */
            state: "pending" | "active" | "retiring" | "removable";
            /** Value */
            value: string;
        };
        /** DkimRecord */
        DkimRecord: {
            /**
             * Active
             * @description Whether mail is signed with it: it was seen in DNS, and the domain is verified.
             */
            active: boolean;
            /** Host */
            host: string;
            /** Value */
            value: string;
        };
        /** DnsRecords */
        DnsRecords: {
            /** @description null until its key is made, shortly after the domain was claimed. */
            dkim: components["schemas"]["DkimRecord"] | null;
            mx: components["schemas"]["MxRecord"];
            txt: components["schemas"]["TxtRecord"];
        };
        /** Domain */
        Domain: {
            /** Created At */
            created_at: string;
            /**
             * Dkim Keys
             * @description All of them: the one that signs, the next one, former ones.
             */
            dkim_keys: components["schemas"]["DkimKey"][];
            /** @description What to publish; @ is the domain itself. dkim is the key that signs, or the first one. */
            dns_records: components["schemas"]["DnsRecords"];
            /** Domain */
            domain: string;
            /**
             * Verification Token
             * @description The text of the TXT record that proves the claim.
             */
            verification_token: string;
            /**
             * Verified
             * @description Whether the claim is proven, and mail for the domain accepted.
             */
            verified: boolean;
            /**
             * Verified At
             * @description Absent until verified.
             * @default
             */
            verified_at?: string;
        };
        /** DomainReport */
        DomainReport: {
            /** Created At */
            created_at: string;
            /**
             * Dkim Keys
             * @description All of them: the one that signs, the next one, former ones.
             */
            dkim_keys: components["schemas"]["DkimKey"][];
            /** @description What to publish; @ is the domain itself. dkim is the key that signs, or the first one. */
            dns_records: components["schemas"]["DnsRecords"];
            /** Domain */
            domain: string;
            /** Records */
            records: components["schemas"]["RecordReport"][];
            /**
             * Verification Token
             * @description The text of the TXT record that proves the claim.
             */
            verification_token: string;
            /**
             * Verified
             * @description Whether the claim is proven, and mail for the domain accepted.
             */
            verified: boolean;
            /**
             * Verified At
             * @description Absent until verified.
             * @default
             */
            verified_at?: string;
        };
        /** Domains */
        Domains: {
            /**
             * Domains
             * @description Newest first.
             */
            domains: components["schemas"]["Domain"][];
        };
        /** EndedSessions */
        EndedSessions: {
            /** Revoked */
            revoked: number;
        };
        /**
         * FileIn
         * @description A file to attach.
         */
        FileIn: {
            /**
             * Content Type
             * @default application/octet-stream
             */
            content_type?: string;
            /**
             * Data
             * @description the octets in base64, without line breaks
             */
            data: string;
            /** Filename */
            filename: string;
        };
        /**
         * FirstMatch
         * @description What a long poll waited for.
         */
        FirstMatch: {
            /**
             * Cursor
             * @description give it as after to wait for what comes next
             */
            cursor: number;
            message: components["schemas"]["MessageSummary"];
        };
        /**
         * Health
         * @description The process answers. Nothing else was asked.
         */
        Health: {
            /**
             * Status
             * @constant
             */
            status: "ok";
        };
        /**
         * Info
         * @description What a client may want to know before it has a key.
         */
        Info: {
            /**
             * Max Message Bytes
             * @description the longest message taken in or sent, in octets
             */
            max_message_bytes: number;
            /**
             * Public Url
             * @description where the dashboard and the API are reached; empty when not configured
             */
            public_url: string;
            /**
             * Shared Domain
             * @description the domain under which agents can be made by slug; empty: none
             */
            shared_domain: string;
            /** Slug Registration Enabled */
            slug_registration_enabled: boolean;
            /** Version */
            version: string;
        };
        /** InvitationList */
        InvitationList: {
            /**
             * Invitations
             * @description Those that can still be accepted, newest first.
             */
            invitations: components["schemas"]["InvitationShape"][];
        };
        /** InvitationShape */
        InvitationShape: {
            /** Created At */
            created_at: string;
            /** Email */
            email: string;
            /** Expires At */
            expires_at: string;
            /** Id */
            id: string;
            /**
             * Invited By
             * @description The id of the user who asked.
             */
            invited_by: string | null;
            /**
             * Role
             * @enum {string}
             */
            role: "owner" | "admin" | "member";
        };
        /** Kept */
        Kept: {
            /**
             * Status
             * @constant
             */
            status: "ok";
        };
        /** Key */
        Key: {
            /**
             * Agent
             * @description The only agent that the key can see; null: all of the account.
             */
            agent: string | null;
            /** Created At */
            created_at: string;
            /** Expires At */
            expires_at: string | null;
            /** Id */
            id: string;
            /**
             * Key Prefix
             * @description The first 12 characters of the key.
             */
            key_prefix: string;
            /**
             * Label Prefix
             * @description What the label of every agent that the key can see begins with.
             */
            label_prefix: string | null;
            /**
             * Last Used At
             * @description To the minute, more or less.
             */
            last_used_at: string | null;
            /** Name */
            name: string;
            /** Permissions */
            permissions: string[];
            /**
             * Read Only
             * @description Whether every one of its permissions only looks.
             */
            read_only: boolean;
            /**
             * User Id
             * @description Who made it; empty for a key that sees only a part of the agents.
             */
            user_id: string;
        };
        /**
         * Keys
         * @description Newest first, without revoked keys.
         */
        Keys: components["schemas"]["Key"][];
        /** ListedSession */
        ListedSession: {
            /**
             * Client Ip
             * @description Where it was last used from.
             */
            client_ip: string;
            /** Created At */
            created_at: string;
            /**
             * Current
             * @description Whether it is the one that asks.
             */
            current: boolean;
            /** Expires At */
            expires_at: string;
            /** Id */
            id: string;
            /**
             * Last Used At
             * @description Exact to five minutes.
             */
            last_used_at: string;
            /**
             * User Agent
             * @description The browser that signed in.
             */
            user_agent: string;
        };
        /** Member */
        Member: {
            /** Email */
            email: string;
            /** Joined At */
            joined_at: string;
            /** Name */
            name: string;
            /**
             * Role
             * @enum {string}
             */
            role: "owner" | "admin" | "member";
            /** User Id */
            user_id: string;
        };
        /** MemberList */
        MemberList: {
            /**
             * Members
             * @description In the order in which they joined.
             */
            members: components["schemas"]["Member"][];
        };
        /**
         * MessageDetail
         * @description A whole received message.
         */
        MessageDetail: {
            /** Attachments */
            attachments: components["schemas"]["Attachment"][];
            /**
             * Auth Headers
             * @description X-E2A-Auth-* headers, signed at the moment of this answer
             */
            auth_headers: {
                [key: string]: string;
            };
            /**
             * Authentication
             * @description spf, dkim, dmarc and arc results in RFC 8601 words
             */
            authentication: {
                [key: string]: unknown;
            };
            automation: components["schemas"]["Automation"];
            /**
             * Cc
             * @description addresses of the Cc header
             */
            cc: string[];
            /**
             * Conversation Id
             * @description the conversation it belongs to; null when it is in none
             */
            conversation_id: string | null;
            /**
             * Created At
             * @description when it was received: RFC 3339, UTC, whole seconds
             */
            created_at: string;
            /**
             * Defects
             * @description why parsing was incomplete; empty for a well-formed message
             */
            defects: string[];
            /**
             * Email Message Id
             * @description the RFC 5322 Message-ID
             */
            email_message_id: string;
            /**
             * Expires At
             * @description when it is deleted
             */
            expires_at: string;
            /**
             * From
             * @description the From header's mailbox, never Reply-To
             */
            from: string;
            /**
             * Html
             * @description the first text/html part as it came: make it harmless before a browser shows it
             */
            html: string;
            /** Message Id */
            message_id: string;
            /**
             * Raw Message
             * @description the message as stored, in base64
             */
            raw_message: string;
            /**
             * Recipient
             * @description the address this copy was sent to
             */
            recipient: string;
            /**
             * Reply To
             * @description addresses of the Reply-To header
             */
            reply_to: string[];
            /**
             * Size
             * @description octets of the raw message
             */
            size: number;
            /**
             * Status
             * @description read once its detail was fetched
             * @enum {string}
             */
            status: "unread" | "read";
            /** Subject */
            subject: string;
            /**
             * Tag
             * @description the +tag of the recipient address, without the plus; empty when none
             */
            tag: string;
            /**
             * Text
             * @description the first text/plain part; empty when there is none
             */
            text: string;
            /**
             * Thread Hijack Suspected
             * @description it quotes a known conversation, but its sender could not be shown to take part; it was left out
             */
            thread_hijack_suspected: boolean;
            /**
             * To
             * @description addresses of the To header
             */
            to: string[];
            /**
             * Verified
             * @description whether the sender is who the From header says
             */
            verified: boolean;
        };
        /**
         * MessagePage
         * @description A page of messages, oldest first.
         */
        MessagePage: {
            /** Messages */
            messages: components["schemas"]["MessageSummary"][];
            /**
             * Next Token
             * @description give it as token to go on; absent on the last page
             * @default null
             */
            next_token?: string | null;
        };
        /**
         * MessageSummary
         * @description A received message as lists show it.
         */
        MessageSummary: {
            automation: components["schemas"]["Automation"];
            /**
             * Cc
             * @description addresses of the Cc header
             */
            cc: string[];
            /**
             * Conversation Id
             * @description the conversation it belongs to; null when it is in none
             */
            conversation_id: string | null;
            /**
             * Created At
             * @description when it was received: RFC 3339, UTC, whole seconds
             */
            created_at: string;
            /**
             * From
             * @description the From header's mailbox, never Reply-To
             */
            from: string;
            /** Message Id */
            message_id: string;
            /**
             * Recipient
             * @description the address this copy was sent to
             */
            recipient: string;
            /**
             * Reply To
             * @description addresses of the Reply-To header
             */
            reply_to: string[];
            /**
             * Size
             * @description octets of the raw message
             */
            size: number;
            /**
             * Status
             * @description read once its detail was fetched
             * @enum {string}
             */
            status: "unread" | "read";
            /** Subject */
            subject: string;
            /**
             * Tag
             * @description the +tag of the recipient address, without the plus; empty when none
             */
            tag: string;
            /**
             * Thread Hijack Suspected
             * @description it quotes a known conversation, but its sender could not be shown to take part; it was left out
             */
            thread_hijack_suspected: boolean;
            /**
             * To
             * @description addresses of the To header
             */
            to: string[];
            /**
             * Verified
             * @description whether the sender is who the From header says
             */
            verified: boolean;
        };
        /** MxRecord */
        MxRecord: {
            /** Host */
            host: string;
            /** Priority */
            priority: number;
            /** Value */
            value: string;
        };
        /** MyKey */
        MyKey: {
            /**
             * Agent
             * @description The only agent that the key can see; null: all of the account.
             */
            agent: string | null;
            /** Created At */
            created_at: string;
            /** Expires At */
            expires_at: string | null;
            /** Id */
            id: string;
            /**
             * Key Prefix
             * @description The first 12 characters of the key.
             */
            key_prefix: string;
            /**
             * Label Prefix
             * @description What the label of every agent that the key can see begins with.
             */
            label_prefix: string | null;
            /** Name */
            name: string;
        };
        /** MyLimit */
        MyLimit: {
            /** Limit */
            limit: number;
            /** Name */
            name: string;
            /**
             * Remaining
             * @description How many are left in the window; null: each agent has its own.
             */
            remaining: number | null;
            /** Window Seconds */
            window_seconds: number;
        };
        /** MyOrganisation */
        MyOrganisation: {
            /** Id */
            id: string;
            /** Name */
            name: string;
            /**
             * Role
             * @description Of the person who holds or made the credential.
             * @enum {string}
             */
            role: "owner" | "admin" | "member";
        };
        /** MyQuota */
        MyQuota: {
            /**
             * Limit
             * @description null: no limit.
             */
            limit: number | null;
            /** Name */
            name: string;
            /**
             * Remaining
             * @description null: no limit.
             */
            remaining: number | null;
            /** Used */
            used: number;
        };
        /** MyUser */
        MyUser: {
            /** Email */
            email: string;
            /** Id */
            id: string;
            /** Name */
            name: string;
        };
        /** NewAgent */
        NewAgent: {
            /**
             * Agent Mode
             * @description `cloud`: mail is posted to the webhook; `local`: the agent fetches it.
             * @default cloud
             */
            agent_mode?: string;
            /**
             * Email
             * @description The whole address, on a verified domain of the account.
             * @default
             */
            email?: string;
            /**
             * Label
             * @description Groups agents; a key can be limited to labels that begin alike.
             * @default
             */
            label?: string;
            /**
             * Name
             * @description What people see in the From header.
             * @default
             */
            name?: string;
            /**
             * Slug
             * @description The local part on the shared domain; wins over email.
             * @default
             */
            slug?: string;
            /**
             * Webhook Url
             * @description Where mail is posted; needed in cloud mode.
             * @default
             */
            webhook_url?: string;
        };
        /** NewDelegation */
        NewDelegation: {
            /**
             * Person
             * @description The person's address; a mail asks them to confirm.
             */
            person: string;
        };
        /** NewDomain */
        NewDomain: {
            /** Domain */
            domain: string;
        };
        /** NewFeedback */
        NewFeedback: {
            /**
             * Category
             * @description bug, feature, general
             * @default general
             */
            category?: string;
            /**
             * Email
             * @description where an answer may go, at most 254 octets; absent: the account's
             * @default
             */
            email?: string;
            /**
             * Message
             * @description at most 5000 characters
             * @default
             */
            message?: string;
        };
        /**
         * NewForward
         * @description A received message to send on.
         */
        NewForward: {
            /**
             * As
             * @description quote the message's text, or enclose the whole message
             * @default inline
             * @enum {string}
             */
            as?: "inline" | "attachment";
            /**
             * Attachments
             * @description files to send along
             * @default []
             */
            attachments?: components["schemas"]["FileIn"][];
            /**
             * Auto
             * @description a program sends this without a person's doing (Auto-Submitted)
             * @default false
             */
            auto?: boolean;
            /**
             * Bcc
             * @description addresses that get a copy and are not shown
             * @default []
             */
            bcc?: string[];
            /**
             * Body
             * @description plain text
             * @default
             */
            body?: string;
            /**
             * Cc
             * @description addresses that get a copy
             * @default []
             */
            cc?: string[];
            /**
             * Conversation Id
             * @description 1 to 256 printable characters
             * @default null
             */
            conversation_id?: string | null;
            /**
             * Html Body
             * @description HTML, beside the plain text
             * @default
             */
            html_body?: string;
            /**
             * Include Attachments
             * @description whether inline carries its attachments along
             * @default true
             */
            include_attachments?: boolean;
            /**
             * On Behalf Of
             * @description the person for whom the agent acts, if it acts for several
             * @default
             */
            on_behalf_of?: string;
            /**
             * Subject
             * @description absent: Fwd: and the subject of the message
             * @default
             */
            subject?: string;
            /**
             * To
             * @description addresses, of people or of agents
             * @default []
             */
            to?: string[];
            /**
             * Wait
             * @description seconds to wait for the outcome; 0 to 60, 20 when absent
             * @default null
             */
            wait?: number | null;
        };
        /** NewInvitation */
        NewInvitation: {
            /** Email */
            email: string;
            /**
             * Role
             * @default member
             * @enum {string}
             */
            role?: "owner" | "admin" | "member";
        };
        /** NewKey */
        NewKey: {
            /**
             * Agent
             * @description The only agent that the key can see; absent: all of the account.
             * @default null
             */
            agent?: string | null;
            /**
             * Expires At
             * @description When the key ends; absent: never, or with the key that makes it.
             * @default null
             */
            expires_at?: string | null;
            /**
             * Label Prefix
             * @description What the label of every agent that the key can see begins with; absent: as the creator's own.
             * @default null
             */
            label_prefix?: string | null;
            /**
             * Name
             * @default
             */
            name?: string;
            /**
             * Permissions
             * @description Among agents:read, agents:write, domains:read, domains:write, messages:read, messages:send, reviews:decide, keys:write, secrets:write, account:read, account:write, members:write, audit:read; never more than the creator holds. Absent: everything the creator can give.
             * @default null
             */
            permissions?: string[] | null;
            /**
             * Read Only
             * @description Short for every permission that only looks; instead of permissions.
             * @default false
             */
            read_only?: boolean;
        };
        /**
         * NewMessage
         * @description A message to send.
         */
        NewMessage: {
            /**
             * Attachments
             * @description files to send along
             * @default []
             */
            attachments?: components["schemas"]["FileIn"][];
            /**
             * Auto
             * @description a program sends this without a person's doing (Auto-Submitted)
             * @default false
             */
            auto?: boolean;
            /**
             * Bcc
             * @description addresses that get a copy and are not shown
             * @default []
             */
            bcc?: string[];
            /**
             * Body
             * @description plain text
             * @default
             */
            body?: string;
            /**
             * Cc
             * @description addresses that get a copy
             * @default []
             */
            cc?: string[];
            /**
             * Conversation Id
             * @description 1 to 256 printable characters
             * @default null
             */
            conversation_id?: string | null;
            /**
             * From
             * @description an agent; may be absent if the account has only one
             * @default
             */
            from?: string;
            /**
             * Html Body
             * @description HTML, beside the plain text
             * @default
             */
            html_body?: string;
            /**
             * On Behalf Of
             * @description the person for whom the agent acts, if it acts for several
             * @default
             */
            on_behalf_of?: string;
            /**
             * Reply To Message Id
             * @description the Message-ID of the message this one answers
             * @default
             */
            reply_to_message_id?: string;
            /**
             * Subject
             * @default
             */
            subject?: string;
            /**
             * To
             * @description addresses, of people or of agents
             * @default []
             */
            to?: string[];
            /**
             * Wait
             * @description seconds to wait for the outcome; 0 to 60, 20 when absent
             * @default null
             */
            wait?: number | null;
        };
        /** NewOrganisation */
        NewOrganisation: {
            /**
             * Name
             * @description One line of text.
             */
            name: string;
        };
        /**
         * NewQuotas
         * @description What an organisation may have. 0: no limit; absent or null: as the deployment has it.
         */
        NewQuotas: {
            /**
             * Agents
             * @default null
             */
            agents?: number | null;
            /**
             * Domains
             * @default null
             */
            domains?: number | null;
            /**
             * Messages Per Day
             * @default null
             */
            messages_per_day?: number | null;
            /**
             * Storage Bytes
             * @default null
             */
            storage_bytes?: number | null;
        };
        /**
         * NewReply
         * @description An answer to a received message.
         */
        NewReply: {
            /**
             * Attachments
             * @description files to send along
             * @default []
             */
            attachments?: components["schemas"]["FileIn"][];
            /**
             * Auto
             * @description a program sends this without a person's doing (Auto-Submitted)
             * @default false
             */
            auto?: boolean;
            /**
             * Bcc
             * @description addresses that get a copy and are not shown
             * @default []
             */
            bcc?: string[];
            /**
             * Body
             * @description plain text
             * @default
             */
            body?: string;
            /**
             * Cc
             * @description addresses that get a copy
             * @default []
             */
            cc?: string[];
            /**
             * Conversation Id
             * @description 1 to 256 printable characters
             * @default null
             */
            conversation_id?: string | null;
            /**
             * Force
             * @description answer even a message that a program sent
             * @default false
             */
            force?: boolean;
            /**
             * Html Body
             * @description HTML, beside the plain text
             * @default
             */
            html_body?: string;
            /**
             * On Behalf Of
             * @description the person for whom the agent acts, if it acts for several
             * @default
             */
            on_behalf_of?: string;
            /**
             * Reply All
             * @description answer everybody whom the message was addressed to as well
             * @default false
             */
            reply_all?: boolean;
            /**
             * Wait
             * @description seconds to wait for the outcome; 0 to 60, 20 when absent
             * @default null
             */
            wait?: number | null;
        };
        /** NewRole */
        NewRole: {
            /**
             * Role
             * @enum {string}
             */
            role: "owner" | "admin" | "member";
        };
        /** NewSecret */
        NewSecret: {
            /**
             * Name
             * @default
             */
            name?: string;
        };
        /** NewSuppression */
        NewSuppression: {
            /**
             * Address
             * @description A bare e-mail address, in any case.
             */
            address: string;
            /**
             * Reason
             * @description For the list; manual when empty.
             * @default
             */
            reason?: string;
        };
        /**
         * NewTest
         * @description A test message.
         */
        NewTest: {
            /**
             * Wait
             * @description seconds to wait for the outcome; 0 to 60, 20 when absent
             * @default null
             */
            wait?: number | null;
        };
        /** OrganisationList */
        OrganisationList: {
            /**
             * Organisations
             * @description In the order in which the person joined.
             */
            organisations: components["schemas"]["OwnOrganisation"][];
        };
        /** OrganisationShape */
        OrganisationShape: {
            /** Created At */
            created_at: string;
            /** Id */
            id: string;
            /** Name */
            name: string;
            /** Personal */
            personal: boolean;
        };
        /** OtherOrganisation */
        OtherOrganisation: {
            /** Organisation Id */
            organisation_id: string;
        };
        /**
         * Outcome
         * @description A message that was taken in, and how it stands.
         */
        Outcome: {
            /**
             * Approval Expires At
             * @description when nobody will have decided; only while held
             * @default null
             */
            approval_expires_at?: string | null;
            /**
             * Conversation Id
             * @description the conversation it belongs to; null when it is in none
             */
            conversation_id: string | null;
            /**
             * Message Id
             * @description our id, under which the message is found
             */
            message_id: string;
            /**
             * Method
             * @description loopback: every recipient is an agent of this deployment
             * @enum {string}
             */
            method: "smtp" | "loopback";
            /**
             * Provider Message Id
             * @description the RFC 5322 Message-ID
             */
            provider_message_id: string;
            /**
             * Recipients
             * @description empty while the message is held
             */
            recipients: components["schemas"]["RecipientOutcome"][];
            /**
             * Status
             * @description sent, queued, unknown, or pending_approval when a human must approve it first
             */
            status: string;
        };
        /** OwnOrganisation */
        OwnOrganisation: {
            /** Created At */
            created_at: string;
            /**
             * Current
             * @description Whether the credential is for this one.
             */
            current: boolean;
            /** Id */
            id: string;
            /** Name */
            name: string;
            /** Personal */
            personal: boolean;
            /**
             * Role
             * @description The caller's role in it.
             * @enum {string}
             */
            role: "owner" | "admin" | "member";
        };
        /**
         * OwnQuotas
         * @description 0: no limit; null: as the deployment has it.
         */
        OwnQuotas: {
            /** Agents */
            agents: number | null;
            /** Domains */
            domains: number | null;
            /** Messages Per Day */
            messages_per_day: number | null;
            /** Storage Bytes */
            storage_bytes: number | null;
        };
        /**
         * Problem
         * @description RFC 9457. Sent instead of one line of text when Accept names application/problem+json.
         */
        Problem: {
            /**
             * Code
             * @description stable, for programs
             */
            code: string;
            /** Detail */
            detail: string;
            /**
             * Field
             * @description the request field at fault, if one is
             * @default null
             */
            field?: string | null;
            /** Request Id */
            request_id: string;
            /** Status */
            status: number;
            /** Title */
            title: string;
            /** Type */
            type: string;
        };
        /**
         * QuotaNumbers
         * @description 0: no limit.
         */
        QuotaNumbers: {
            /** Agents */
            agents: number;
            /** Domains */
            domains: number;
            /** Messages Per Day */
            messages_per_day: number;
            /** Storage Bytes */
            storage_bytes: number;
        };
        /**
         * QuotaReport
         * @description An organisation's quotas.
         */
        QuotaReport: {
            in_force: components["schemas"]["QuotaNumbers"];
            own: components["schemas"]["OwnQuotas"];
            /** @description messages_per_day: today's, counted only while there is a quota */
            used: components["schemas"]["QuotaNumbers"];
        };
        /**
         * Readiness
         * @description Whether requests and mail can be served now.
         */
        Readiness: {
            /**
             * Failing
             * @description what is wrong, by the name of the check; empty when ready
             */
            failing: {
                [key: string]: string;
            };
            /**
             * Status
             * @enum {string}
             */
            status: "ready" | "unavailable";
        };
        /**
         * RecipientOutcome
         * @description How one recipient's copy stands.
         */
        RecipientOutcome: {
            /** Address */
            address: string;
            /**
             * Code
             * @description the SMTP reply code; absent when there was no reply
             * @default null
             */
            code?: number | null;
            /**
             * Kind
             * @enum {string}
             */
            kind: "to" | "cc" | "bcc";
            /**
             * Reply
             * @description that reply's text; absent when there was none
             * @default null
             */
            reply?: string | null;
            /**
             * State
             * @description sent: a server took it; unknown: its answer was lost; bounced: reported undeliverable later
             * @enum {string}
             */
            state: "pending" | "sent" | "failed" | "unknown" | "bounced";
        };
        /**
         * RecordReport
         * @description What DNS says of one record.
         */
        RecordReport: {
            /**
             * Expected
             * @description The value that it should have.
             */
            expected: string;
            /**
             * Found
             * @description The values that DNS has.
             */
            found: string[];
            /**
             * Hint
             * @description What to do; empty when there is nothing to do.
             */
            hint: string;
            /** Name */
            name: string;
            /**
             * Purpose
             * @enum {string}
             */
            purpose: "ownership" | "mx" | "spf" | "dkim" | "dmarc";
            /**
             * Status
             * @description deferred: DNS gave no answer, ask again later.
             * @enum {string}
             */
            status: "found" | "missing" | "mismatch" | "deferred";
            /** Type */
            type: string;
        };
        /** Rejected */
        Rejected: {
            /** Message Id */
            message_id: string;
            /** Rejection Reason */
            rejection_reason: string;
            /**
             * Status
             * @constant
             */
            status: "rejected";
        };
        /** Rejection */
        Rejection: {
            /**
             * Reason
             * @default
             */
            reason?: string;
        };
        /** Repetition */
        Repetition: {
            /**
             * Wait
             * @description seconds to wait for the outcome; 0 to 60, 20 when absent
             * @default null
             */
            wait?: number | null;
        };
        /** RotateSecrets */
        RotateSecrets: {
            /**
             * Name
             * @default
             */
            name?: string;
            /**
             * Overlap Seconds
             * @description For how long the earlier secrets still count; 0 retires them at once.
             * @default 86400
             */
            overlap_seconds?: number;
        };
        /** Secret */
        Secret: {
            /** Created At */
            created_at: string;
            /** Id */
            id: string;
            /**
             * Last Signed At
             * @description Absent until it has signed; to the minute, more or less.
             * @default
             */
            last_signed_at?: string;
            /** Name */
            name: string;
            /**
             * Retires At
             * @description When it stops counting and is removed; absent while it stays.
             * @default
             */
            retires_at?: string;
            /**
             * Secret Prefix
             * @description The first 12 characters of the secret.
             */
            secret_prefix: string;
            /**
             * Signs From
             * @description When it takes over, for the new secret of a rotation; otherwise absent: since it was made.
             * @default
             */
            signs_from?: string;
        };
        /** Secrets */
        Secrets: {
            /**
             * Secrets
             * @description Newest first; the newest whose time to sign has come signs.
             */
            secrets: components["schemas"]["Secret"][];
        };
        /** SessionList */
        SessionList: {
            /**
             * Sessions
             * @description The last used first.
             */
            sessions: components["schemas"]["ListedSession"][];
        };
        /** SignedInPerson */
        SignedInPerson: {
            /** Created At */
            created_at: string;
            /**
             * Csrf Token
             * @description For the header X-CSRF-Token of every request that changes something.
             */
            csrf_token: string;
            /** Email */
            email: string;
            /** Id */
            id: string;
            /** Name */
            name: string;
            /**
             * Organisation Id
             * @description The organisation that the session is in.
             */
            organisation_id: string;
            /**
             * Role
             * @description The person's role there.
             */
            role: string;
        };
        /**
         * SubmittedDetail
         * @description One message that an agent sends, with what it says while it is held and how it stands afterwards.
         */
        SubmittedDetail: {
            /**
             * Agent Id
             * @description the agent that sends
             */
            agent_id: string;
            /**
             * Approval Expires At
             * @description when nobody will have decided
             * @default null
             */
            approval_expires_at?: string | null;
            /**
             * Attachments
             * @description while it is pending
             * @default null
             */
            attachments?: components["schemas"]["Attachment"][] | null;
            /**
             * Bcc
             * @default null
             */
            bcc?: string[] | null;
            /**
             * Body Html
             * @description while it is pending
             * @default null
             */
            body_html?: string | null;
            /**
             * Body Text
             * @description while it is pending
             * @default null
             */
            body_text?: string | null;
            /**
             * Cc
             * @default null
             */
            cc?: string[] | null;
            /**
             * Conversation Id
             * @default null
             */
            conversation_id?: string | null;
            /** Created At */
            created_at: string;
            /**
             * Direction
             * @constant
             */
            direction: "outbound";
            /**
             * Edited
             * @description whether a reviewer changed it
             */
            edited: boolean;
            /**
             * Email Message Id
             * @description the Message-ID of the message it answers
             * @default null
             */
            email_message_id?: string | null;
            /**
             * Expiration Action
             * @description approve or reject: what happens if nobody decides
             * @default null
             */
            expiration_action?: string | null;
            /** Id */
            id: string;
            /**
             * Method
             * @enum {string}
             */
            method: "smtp" | "loopback";
            /**
             * Provider Message Id
             * @description its own Message-ID, or the one that the upstream server gave it
             */
            provider_message_id: string;
            /**
             * Recipients
             * @description how each one's copy stands; empty before it is released
             */
            recipients: components["schemas"]["RecipientOutcome"][];
            /**
             * Rejection Reason
             * @description what the reviewer gave as the reason
             * @default null
             */
            rejection_reason?: string | null;
            /**
             * Reviewed At
             * @description when it was decided
             * @default null
             */
            reviewed_at?: string | null;
            /** Size */
            size: number;
            /**
             * Status
             * @description pending_approval, queued, sent, failed, unknown, rejected, expired_approved, expired_rejected
             */
            status: string;
            /** Subject */
            subject: string;
            /** To */
            to: string[];
            /**
             * Type
             * @enum {string}
             */
            type: "send" | "reply" | "forward" | "test";
        };
        /** SubmittedPage */
        SubmittedPage: {
            /** Messages */
            messages: components["schemas"]["SubmittedSummary"][];
            /**
             * Next Token
             * @description for the next page; absent on the last one
             * @default null
             */
            next_token?: string | null;
        };
        /**
         * SubmittedSummary
         * @description A message that an agent sends, as lists show it. Keys without a value are absent.
         */
        SubmittedSummary: {
            /**
             * Agent Id
             * @description the agent that sends
             */
            agent_id: string;
            /**
             * Approval Expires At
             * @description when nobody will have decided
             * @default null
             */
            approval_expires_at?: string | null;
            /**
             * Bcc
             * @default null
             */
            bcc?: string[] | null;
            /**
             * Cc
             * @default null
             */
            cc?: string[] | null;
            /**
             * Conversation Id
             * @default null
             */
            conversation_id?: string | null;
            /** Created At */
            created_at: string;
            /**
             * Direction
             * @constant
             */
            direction: "outbound";
            /** Id */
            id: string;
            /**
             * Status
             * @description pending_approval, queued, sent, failed, unknown, rejected, expired_approved, expired_rejected
             */
            status: string;
            /** Subject */
            subject: string;
            /** To */
            to: string[];
            /**
             * Type
             * @enum {string}
             */
            type: "send" | "reply" | "forward" | "test";
        };
        /**
         * SuppressionEntry
         * @description An address that is not written to.
         */
        SuppressionEntry: {
            /** Address */
            address: string;
            /** Created At */
            created_at: string;
            /**
             * Message Id
             * @description the message whose bounce suppressed it; null when it was done by hand
             */
            message_id: string | null;
            /**
             * Reason
             * @description hard_bounce, manual, or what was given when it was added
             */
            reason: string;
        };
        /**
         * SuppressionList
         * @description A page of suppressed addresses, in their order.
         */
        SuppressionList: {
            /**
             * Next Token
             * @description give it as token to go on; absent on the last page
             * @default null
             */
            next_token?: string | null;
            /** Suppressions */
            suppressions: components["schemas"]["SuppressionEntry"][];
        };
        /** TxtRecord */
        TxtRecord: {
            /** Host */
            host: string;
            /** Value */
            value: string;
        };
        /** UsageReport */
        UsageReport: {
            /**
             * Days
             * @description every day asked for, oldest first
             */
            days: components["schemas"]["UsedDay"][];
            /** From */
            from: string;
            /** To */
            to: string;
            total: components["schemas"]["UsedTotal"];
            /**
             * Tracking
             * @description whether this deployment counts; if not, all of this is 0
             */
            tracking: boolean;
        };
        /**
         * UsedDay
         * @description One day (UTC). Tests count for neither, nor messages that could not be sent.
         */
        UsedDay: {
            /** Date */
            date: string;
            /**
             * Inbound
             * @description copies received
             */
            inbound: number;
            /**
             * Outbound
             * @description messages sent
             */
            outbound: number;
            /** Total */
            total: number;
        };
        /** UsedTotal */
        UsedTotal: {
            /** Inbound */
            inbound: number;
            /** Outbound */
            outbound: number;
            /** Total */
            total: number;
        };
        /** VerifiedDomain */
        VerifiedDomain: {
            /** Domain */
            domain: string;
            /** Records */
            records: components["schemas"]["RecordReport"][];
            /**
             * Verified
             * @constant
             */
            verified: true;
            /** Verified At */
            verified_at: string;
        };
        /**
         * WhoAmI
         * @description The caller's credential.
         */
        WhoAmI: {
            /**
             * Credential
             * @enum {string}
             */
            credential: "key" | "session";
            /** @description Null for a session. */
            key: components["schemas"]["MyKey"] | null;
            /** Limits */
            limits: components["schemas"]["MyLimit"][];
            organisation: components["schemas"]["MyOrganisation"];
            /**
             * Permissions
             * @description What it may do now; for a key, what its creator's role allows of it.
             */
            permissions: string[];
            /**
             * Quotas
             * @description The organisation's.
             */
            quotas: components["schemas"]["MyQuota"][];
            /**
             * Read Only
             * @description Whether every one of the permissions only looks.
             */
            read_only: boolean;
            /** @description Null for a key that sees only a part of the agents. */
            user: components["schemas"]["MyUser"] | null;
        };
    };
    responses: {
        /** @description Bad Request */
        400: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
                "text/plain": string;
            };
        };
        /** @description Unauthorized */
        401: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
                "text/plain": string;
            };
        };
        /** @description Payment Required */
        402: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
                "text/plain": string;
            };
        };
        /** @description Forbidden */
        403: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
                "text/plain": string;
            };
        };
        /** @description Not Found */
        404: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
                "text/plain": string;
            };
        };
        /** @description Conflict */
        409: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
                "text/plain": string;
            };
        };
        /** @description Gone */
        410: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
                "text/plain": string;
            };
        };
        /** @description Precondition Failed */
        412: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
                "text/plain": string;
            };
        };
        /** @description Content Too Large */
        413: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
                "text/plain": string;
            };
        };
        /** @description Unprocessable Content */
        422: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
                "text/plain": string;
            };
        };
        /** @description Upgrade Required */
        426: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
                "text/plain": string;
            };
        };
        /** @description Too Many Requests */
        429: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
                "text/plain": string;
            };
        };
        /** @description Internal Server Error */
        500: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
                "text/plain": string;
            };
        };
        /** @description Service Unavailable */
        503: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
                "text/plain": string;
            };
        };
    };
    parameters: never;
    requestBodies: never;
    headers: {
        /** @description how many requests there may be in the window */
        "X-RateLimit-Limit": number;
        /** @description how many of them are left */
        "X-RateLimit-Remaining": number;
        /** @description the Unix time at which the oldest of those counted stops to count */
        "X-RateLimit-Reset": number;
    };
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    post_auth_logout: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            403: components["responses"]["403"];
            500: components["responses"]["500"];
        };
    };
    get_auth_me: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SignedInPerson"];
                };
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    post_feedback: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["NewFeedback"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    "X-RateLimit-Limit": components["headers"]["X-RateLimit-Limit"];
                    "X-RateLimit-Remaining": components["headers"]["X-RateLimit-Remaining"];
                    "X-RateLimit-Reset": components["headers"]["X-RateLimit-Reset"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Kept"];
                };
            };
            400: components["responses"]["400"];
            413: components["responses"]["413"];
            429: components["responses"]["429"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_health: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Health"];
                };
            };
            500: components["responses"]["500"];
        };
    };
    get_keys: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Keys"];
                };
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    post_keys: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["NewKey"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CreatedKey"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            409: components["responses"]["409"];
            413: components["responses"]["413"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    delete_keys_id: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description an identifier as lists show it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_ready: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Readiness"];
                };
            };
            500: components["responses"]["500"];
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Readiness"];
                };
            };
        };
    };
    get_agents: {
        parameters: {
            query?: {
                /** @description how many agents to answer; all when absent */
                page_size?: number;
                /** @description the next_token of the previous page */
                token?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Agents"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    post_agents: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["NewAgent"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    "X-RateLimit-Limit": components["headers"]["X-RateLimit-Limit"];
                    "X-RateLimit-Remaining": components["headers"]["X-RateLimit-Remaining"];
                    "X-RateLimit-Reset": components["headers"]["X-RateLimit-Reset"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CreatedAgent"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            402: components["responses"]["402"];
            403: components["responses"]["403"];
            409: components["responses"]["409"];
            413: components["responses"]["413"];
            422: components["responses"]["422"];
            429: components["responses"]["429"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_agents_email: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description an agent's address; @ may be sent as it is or as %40 */
                email: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Agent"];
                };
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    put_agents_email: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description an agent's address; @ may be sent as it is or as %40 */
                email: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["ChangedAgent"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Agent"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            413: components["responses"]["413"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    delete_agents_email: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description an agent's address; @ may be sent as it is or as %40 */
                email: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Deleted"];
                };
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            409: components["responses"]["409"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_agents_email_conversations: {
        parameters: {
            query?: {
                /** @description entries a page has at most */
                page_size?: number;
                /** @description `next_token` of the previous page */
                token?: string;
            };
            header?: never;
            path: {
                /** @description an agent's address; @ may be sent as it is or as %40 */
                email: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ConversationList"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_agents_email_conversations_conversation: {
        parameters: {
            query?: {
                /** @description entries a page has at most */
                page_size?: number;
                /** @description `next_token` of the previous page */
                token?: string;
            };
            header?: never;
            path: {
                /** @description an agent's address; @ may be sent as it is or as %40 */
                email: string;
                /** @description a conversation's id */
                conversation: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ConversationThread"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_agents_email_delegations: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description an agent's address; @ may be sent as it is or as %40 */
                email: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DelegationList"];
                };
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    post_agents_email_delegations: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description an agent's address; @ may be sent as it is or as %40 */
                email: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewDelegation"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DelegationShape"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            409: components["responses"]["409"];
            413: components["responses"]["413"];
            422: components["responses"]["422"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    delete_agents_email_delegations_id: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description an agent's address; @ may be sent as it is or as %40 */
                email: string;
                /** @description an identifier as lists show it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description No Content */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_agents_email_deliveries: {
        parameters: {
            query?: {
                /** @description which deliveries */
                status?: "failed";
                /** @description messages a page has at most */
                page_size?: number;
                /** @description `next_token` of the previous page, made with the same filters */
                token?: string;
            };
            header?: never;
            path: {
                /** @description an agent's address; @ may be sent as it is or as %40 */
                email: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeliveryPage"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_agents_email_messages: {
        parameters: {
            query?: {
                /** @description which messages; listing does not change it */
                status?: "unread" | "read" | "all";
                /** @description messages a page has at most */
                page_size?: number;
                /** @description `next_token` of the previous page, made with the same filters */
                token?: string;
                /** @description only mail whose From mailbox is this address, in any case */
                from?: string;
                /** @description only mail whose subject contains this text, in any case */
                subject_contains?: string;
                /** @description only mail of this conversation */
                conversation_id?: string;
                /** @description only mail received at or after this time */
                since?: string;
                /** @description only mail received before this time */
                until?: string;
                /** @description by age */
                sort?: "asc" | "desc";
            };
            header?: never;
            path: {
                /** @description an agent's address; @ may be sent as it is or as %40 */
                email: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    "X-RateLimit-Limit": components["headers"]["X-RateLimit-Limit"];
                    "X-RateLimit-Remaining": components["headers"]["X-RateLimit-Remaining"];
                    "X-RateLimit-Reset": components["headers"]["X-RateLimit-Reset"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["MessagePage"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            429: components["responses"]["429"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_agents_email_messages_wait: {
        parameters: {
            query?: {
                /** @description seconds to wait */
                timeout?: number;
                /** @description a cursor: only mail that came after it; without it, all that is unread */
                after?: number;
                /** @description only mail received since this time */
                not_before?: string;
                /** @description only mail whose From mailbox is this address, in any case */
                from?: string;
                /** @description only mail whose subject contains this text, in any case */
                subject_contains?: string;
            };
            header?: never;
            path: {
                /** @description an agent's address; @ may be sent as it is or as %40 */
                email: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FirstMatch"];
                };
            };
            /** @description No Content */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            429: components["responses"]["429"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_agents_email_messages_id: {
        parameters: {
            query?: {
                /** @description false leaves it unread, for a program that hands it on and marks it when that worked */
                mark_read?: boolean;
            };
            header?: never;
            path: {
                /** @description an agent's address; @ may be sent as it is or as %40 */
                email: string;
                /** @description an identifier as lists show it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    "X-RateLimit-Limit": components["headers"]["X-RateLimit-Limit"];
                    "X-RateLimit-Remaining": components["headers"]["X-RateLimit-Remaining"];
                    "X-RateLimit-Reset": components["headers"]["X-RateLimit-Reset"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["MessageDetail"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            429: components["responses"]["429"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_agents_email_messages_id_attachments_index: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description an agent's address; @ may be sent as it is or as %40 */
                email: string;
                /** @description an identifier as lists show it */
                id: string;
                /** @description the number of an attachment, from 0 */
                index: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": string;
                };
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            429: components["responses"]["429"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_agents_email_messages_id_delivery: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description an agent's address; @ may be sent as it is or as %40 */
                email: string;
                /** @description an identifier as lists show it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeliveryRecord"];
                };
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    post_agents_email_messages_id_forward: {
        parameters: {
            query?: {
                /** @description seconds to wait for the outcome before the answer is 202 */
                wait?: number;
            };
            header?: never;
            path: {
                /** @description an agent's address; @ may be sent as it is or as %40 */
                email: string;
                /** @description an identifier as lists show it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["NewForward"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    "X-RateLimit-Limit": components["headers"]["X-RateLimit-Limit"];
                    "X-RateLimit-Remaining": components["headers"]["X-RateLimit-Remaining"];
                    "X-RateLimit-Reset": components["headers"]["X-RateLimit-Reset"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    "X-RateLimit-Limit": components["headers"]["X-RateLimit-Limit"];
                    "X-RateLimit-Remaining": components["headers"]["X-RateLimit-Remaining"];
                    "X-RateLimit-Reset": components["headers"]["X-RateLimit-Reset"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            402: components["responses"]["402"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            409: components["responses"]["409"];
            413: components["responses"]["413"];
            422: components["responses"]["422"];
            429: components["responses"]["429"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_agents_email_messages_id_raw: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description an agent's address; @ may be sent as it is or as %40 */
                email: string;
                /** @description an identifier as lists show it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "message/rfc822": string;
                };
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            429: components["responses"]["429"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    post_agents_email_messages_id_redeliver: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description an agent's address; @ may be sent as it is or as %40 */
                email: string;
                /** @description an identifier as lists show it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeliveryRecord"];
                };
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            409: components["responses"]["409"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    post_agents_email_messages_id_reply: {
        parameters: {
            query?: {
                /** @description seconds to wait for the outcome before the answer is 202 */
                wait?: number;
            };
            header?: never;
            path: {
                /** @description an agent's address; @ may be sent as it is or as %40 */
                email: string;
                /** @description an identifier as lists show it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["NewReply"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    "X-RateLimit-Limit": components["headers"]["X-RateLimit-Limit"];
                    "X-RateLimit-Remaining": components["headers"]["X-RateLimit-Remaining"];
                    "X-RateLimit-Reset": components["headers"]["X-RateLimit-Reset"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    "X-RateLimit-Limit": components["headers"]["X-RateLimit-Limit"];
                    "X-RateLimit-Remaining": components["headers"]["X-RateLimit-Remaining"];
                    "X-RateLimit-Reset": components["headers"]["X-RateLimit-Reset"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            402: components["responses"]["402"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            409: components["responses"]["409"];
            413: components["responses"]["413"];
            422: components["responses"]["422"];
            429: components["responses"]["429"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    post_agents_email_test: {
        parameters: {
            query?: {
                /** @description seconds to wait for the outcome before the answer is 202 */
                wait?: number;
            };
            header?: never;
            path: {
                /** @description an agent's address; @ may be sent as it is or as %40 */
                email: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["NewTest"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    "X-RateLimit-Limit": components["headers"]["X-RateLimit-Limit"];
                    "X-RateLimit-Remaining": components["headers"]["X-RateLimit-Remaining"];
                    "X-RateLimit-Reset": components["headers"]["X-RateLimit-Reset"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    "X-RateLimit-Limit": components["headers"]["X-RateLimit-Limit"];
                    "X-RateLimit-Remaining": components["headers"]["X-RateLimit-Remaining"];
                    "X-RateLimit-Reset": components["headers"]["X-RateLimit-Reset"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            413: components["responses"]["413"];
            422: components["responses"]["422"];
            429: components["responses"]["429"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_agents_email_ws: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description an agent's address; @ may be sent as it is or as %40 */
                email: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Switching Protocols */
            101: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            426: components["responses"]["426"];
            429: components["responses"]["429"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_audit: {
        parameters: {
            query?: {
                /** @description this action, or all that begin with it when it ends in `.` or `*`: `key.created`, `key.*` */
                action?: string;
                /** @description only what this person did, or a key of theirs */
                user_id?: string;
                /** @description only what was done with this key */
                key_prefix?: string;
                /** @description only what was done to things of this kind: `key`, `agent`, `domain`... */
                resource_type?: string;
                /** @description only what was done to this thing */
                resource_id?: string;
                /** @description only with this result */
                result?: "ok" | "refused" | "failed";
                /** @description not before this time */
                since?: string;
                /** @description before this time */
                until?: string;
                /** @description lines a page has at most */
                page_size?: number;
                /** @description `next_token` of the previous page, made with the same filters */
                token?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuditLines"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_audit_export: {
        parameters: {
            query?: {
                /** @description this action, or all that begin with it when it ends in `.` or `*`: `key.created`, `key.*` */
                action?: string;
                /** @description only what this person did, or a key of theirs */
                user_id?: string;
                /** @description only what was done with this key */
                key_prefix?: string;
                /** @description only what was done to things of this kind: `key`, `agent`, `domain`... */
                resource_type?: string;
                /** @description only what was done to this thing */
                resource_id?: string;
                /** @description only with this result */
                result?: "ok" | "refused" | "failed";
                /** @description not before this time */
                since?: string;
                /** @description before this time */
                until?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/x-ndjson": string;
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            429: components["responses"]["429"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_domains: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Domains"];
                };
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    post_domains: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewDomain"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Domain"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            402: components["responses"]["402"];
            403: components["responses"]["403"];
            409: components["responses"]["409"];
            413: components["responses"]["413"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_domains_domain: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description a domain name */
                domain: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DomainReport"];
                };
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            429: components["responses"]["429"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    delete_domains_domain: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description a domain name */
                domain: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description No Content */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    post_domains_domain_dkim_rotate: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description a domain name */
                domain: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Domain"];
                };
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            409: components["responses"]["409"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    post_domains_domain_verify: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description a domain name */
                domain: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["VerifiedDomain"];
                };
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            409: components["responses"]["409"];
            412: components["responses"]["412"];
            429: components["responses"]["429"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_info: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Info"];
                };
            };
            500: components["responses"]["500"];
        };
    };
    get_invitations: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["InvitationList"];
                };
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    post_invitations: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewInvitation"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CreatedInvitation"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            409: components["responses"]["409"];
            413: components["responses"]["413"];
            422: components["responses"]["422"];
            429: components["responses"]["429"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    post_invitations_accept: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Acceptance"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["InvitationShape"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            409: components["responses"]["409"];
            410: components["responses"]["410"];
            413: components["responses"]["413"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    delete_invitations_id: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description an identifier as lists show it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description No Content */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_me: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WhoAmI"];
                };
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_members: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["MemberList"];
                };
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    put_members_user_id: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description a member's user id */
                user_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewRole"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Member"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            409: components["responses"]["409"];
            413: components["responses"]["413"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    delete_members_user_id: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description a member's user id */
                user_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description No Content */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            409: components["responses"]["409"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_messages: {
        parameters: {
            query?: {
                /** @description which messages */
                status?: "pending_approval" | "queued" | "sent" | "failed" | "unknown" | "rejected" | "expired_approved" | "expired_rejected" | "all";
                /** @description messages a page has at most */
                page_size?: number;
                /** @description `next_token` of the previous page, made with the same status */
                token?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SubmittedPage"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_messages_id: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description an identifier as lists show it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SubmittedDetail"];
                };
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    post_messages_id_approve: {
        parameters: {
            query?: {
                /** @description seconds to wait for the outcome before the answer is 202 */
                wait?: number;
            };
            header?: never;
            path: {
                /** @description an identifier as lists show it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["Approval"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Approved"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Approved"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            409: components["responses"]["409"];
            413: components["responses"]["413"];
            422: components["responses"]["422"];
            429: components["responses"]["429"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_messages_id_attachments_index: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description an identifier as lists show it */
                id: string;
                /** @description the number of an attachment, from 0 */
                index: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": string;
                };
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            429: components["responses"]["429"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    post_messages_id_reject: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description an identifier as lists show it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["Rejection"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Rejected"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            409: components["responses"]["409"];
            413: components["responses"]["413"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    post_messages_id_resend: {
        parameters: {
            query?: {
                /** @description seconds to wait for the outcome before the answer is 202 */
                wait?: number;
            };
            header?: never;
            path: {
                /** @description an identifier as lists show it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["Repetition"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    "X-RateLimit-Limit": components["headers"]["X-RateLimit-Limit"];
                    "X-RateLimit-Remaining": components["headers"]["X-RateLimit-Remaining"];
                    "X-RateLimit-Reset": components["headers"]["X-RateLimit-Reset"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    "X-RateLimit-Limit": components["headers"]["X-RateLimit-Limit"];
                    "X-RateLimit-Remaining": components["headers"]["X-RateLimit-Remaining"];
                    "X-RateLimit-Reset": components["headers"]["X-RateLimit-Reset"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            402: components["responses"]["402"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            409: components["responses"]["409"];
            413: components["responses"]["413"];
            422: components["responses"]["422"];
            429: components["responses"]["429"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_openapi_json: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            500: components["responses"]["500"];
        };
    };
    get_openapi_yaml: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/yaml": string;
                };
            };
            500: components["responses"]["500"];
        };
    };
    get_operator_organisations_id_quotas: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description an identifier as lists show it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["QuotaReport"];
                };
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    put_operator_organisations_id_quotas: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description an identifier as lists show it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["NewQuotas"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["QuotaReport"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            413: components["responses"]["413"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_organisation: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OrganisationShape"];
                };
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    put_organisation: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewOrganisation"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OrganisationShape"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            413: components["responses"]["413"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    post_organisation_leave: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description No Content */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            409: components["responses"]["409"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_organisations: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OrganisationList"];
                };
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    post_organisations: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewOrganisation"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OrganisationShape"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            409: components["responses"]["409"];
            413: components["responses"]["413"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    post_send: {
        parameters: {
            query?: {
                /** @description seconds to wait for the outcome before the answer is 202 */
                wait?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["NewMessage"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    "X-RateLimit-Limit": components["headers"]["X-RateLimit-Limit"];
                    "X-RateLimit-Remaining": components["headers"]["X-RateLimit-Remaining"];
                    "X-RateLimit-Reset": components["headers"]["X-RateLimit-Reset"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    "X-RateLimit-Limit": components["headers"]["X-RateLimit-Limit"];
                    "X-RateLimit-Remaining": components["headers"]["X-RateLimit-Remaining"];
                    "X-RateLimit-Reset": components["headers"]["X-RateLimit-Reset"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            402: components["responses"]["402"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            409: components["responses"]["409"];
            413: components["responses"]["413"];
            422: components["responses"]["422"];
            429: components["responses"]["429"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    put_session_organisation: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["OtherOrganisation"];
            };
        };
        responses: {
            /** @description No Content */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            413: components["responses"]["413"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_sessions: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SessionList"];
                };
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    delete_sessions: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EndedSessions"];
                };
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    delete_sessions_id: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description an identifier as lists show it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description No Content */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_suppressions: {
        parameters: {
            query?: {
                /** @description entries a page has at most */
                page_size?: number;
                /** @description `next_token` of the previous page */
                token?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SuppressionList"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    post_suppressions: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewSuppression"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SuppressionEntry"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            413: components["responses"]["413"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_suppressions_address: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description an e-mail address */
                address: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SuppressionEntry"];
                };
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    delete_suppressions_address: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description an e-mail address */
                address: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description No Content */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_usage: {
        parameters: {
            query?: {
                /** @description first day; absent: 30 days are shown */
                from?: string;
                /** @description last day, at most a year later; absent: today (UTC) */
                to?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UsageReport"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    delete_users_me: {
        parameters: {
            query?: {
                /** @description `DELETE`, to show that it is meant */
                confirm?: "DELETE";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeletedAccount"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            409: components["responses"]["409"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_users_me_export: {
        parameters: {
            query?: {
                /** @description `json`: one document, each message with its bytes in base64; `zip`: the document as `export.json`, the mail as `.eml` files */
                format?: "json" | "zip";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            429: components["responses"]["429"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    get_users_me_signing_secrets: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Secrets"];
                };
            };
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    post_users_me_signing_secrets: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["NewSecret"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CreatedSecret"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            413: components["responses"]["413"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    post_users_me_signing_secrets_rotate: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["RotateSecrets"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CreatedSecret"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            409: components["responses"]["409"];
            413: components["responses"]["413"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
    delete_users_me_signing_secrets_id: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description an identifier as lists show it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description No Content */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            404: components["responses"]["404"];
            500: components["responses"]["500"];
            503: components["responses"]["503"];
        };
    };
}
