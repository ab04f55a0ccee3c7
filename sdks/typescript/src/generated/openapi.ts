// Generated from openapi.json, the daemon's own document. Do not edit: run `npm run generate`.

export interface paths {
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
         * List the account's API keys
         * @description Needs the permission `keys:write`.
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
         * Revoke an API key at once
         * @description Needs the permission `keys:write`.
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
         * Change what is given, all of it or nothing; hitl fields need reviews:decide as well
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
         * List received messages, oldest first
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
        /** Agent */
        Agent: {
            /**
             * Agent Mode
             * @enum {string}
             */
            agent_mode: "cloud" | "local";
            /** Created At */
            created_at: string;
            /** Domain */
            domain: string;
            /** Domain Verified */
            domain_verified: boolean;
            /** Email */
            email: string;
            /** Hitl Enabled */
            hitl_enabled: boolean;
            /**
             * Hitl Expiration Action
             * @enum {string}
             */
            hitl_expiration_action: "approve" | "reject";
            /** Hitl Ttl Seconds */
            hitl_ttl_seconds: number;
            /** Id */
            id: string;
            /** Name */
            name: string;
            /** Webhook Url */
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
            /** Conversation Id */
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
            /** Content Id */
            content_id: string;
            /** Content Type */
            content_type: string;
            /** Filename */
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
            /** Error */
            error: string;
            /** Number */
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
         * Automation
         * @description Whether a program sent a message. Programs should not answer programs.
         */
        Automation: {
            /** Is Auto */
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
             * @default null
             */
            hitl_enabled?: boolean | null;
            /**
             * Hitl Expiration Action
             * @default null
             */
            hitl_expiration_action?: ("approve" | "reject") | null;
            /**
             * Hitl Ttl Seconds
             * @default null
             */
            hitl_ttl_seconds?: number | null;
            /**
             * Name
             * @default null
             */
            name?: string | null;
            /**
             * Webhook Url
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
             * Last Used At
             * @description To the minute, more or less.
             */
            last_used_at: string | null;
            /** Name */
            name: string;
            /** Permissions */
            permissions: string[];
            /** User Id */
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
            /** Attempts */
            attempts: number;
            /** Created At */
            created_at: string;
            /** Delivered At */
            delivered_at: string | null;
            /** Last Error */
            last_error: string;
            /**
             * Log
             * @description attempts, oldest first
             */
            log: components["schemas"]["Attempt"][];
            /** Message Id */
            message_id: string;
            /** Next Attempt At */
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
            /** Attempts */
            attempts: number;
            /** Created At */
            created_at: string;
            /** Delivered At */
            delivered_at: string | null;
            /** Last Error */
            last_error: string;
            /** Message Id */
            message_id: string;
            /** Next Attempt At */
            next_attempt_at: string | null;
            /**
             * Status
             * @enum {string}
             */
            status: "pending" | "delivered" | "failed";
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
            /** @description What to publish; @ is the domain itself. */
            dns_records: components["schemas"]["DnsRecords"];
            /** Domain */
            domain: string;
            /** Verification Token */
            verification_token: string;
            /** Verified */
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
            /** @description What to publish; @ is the domain itself. */
            dns_records: components["schemas"]["DnsRecords"];
            /** Domain */
            domain: string;
            /** Records */
            records: components["schemas"]["RecordReport"][];
            /** Verification Token */
            verification_token: string;
            /** Verified */
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
             * Last Used At
             * @description To the minute, more or less.
             */
            last_used_at: string | null;
            /** Name */
            name: string;
            /** Permissions */
            permissions: string[];
            /** User Id */
            user_id: string;
        };
        /**
         * Keys
         * @description Newest first, without revoked keys.
         */
        Keys: components["schemas"]["Key"][];
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
            /** Cc */
            cc: string[];
            /** Conversation Id */
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
            /** Expires At */
            expires_at: string;
            /**
             * From
             * @description the From header's mailbox, never Reply-To
             */
            from: string;
            /** Html */
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
            /** Reply To */
            reply_to: string[];
            /**
             * Size
             * @description octets of the raw message
             */
            size: number;
            /**
             * Status
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
            /** Text */
            text: string;
            /**
             * Thread Hijack Suspected
             * @description it quotes a known conversation, but its sender could not be shown to take part; it was left out
             */
            thread_hijack_suspected: boolean;
            /** To */
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
            /** Cc */
            cc: string[];
            /** Conversation Id */
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
            /** Reply To */
            reply_to: string[];
            /**
             * Size
             * @description octets of the raw message
             */
            size: number;
            /**
             * Status
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
            /** To */
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
        /** NewAgent */
        NewAgent: {
            /**
             * Agent Mode
             * @description cloud or local.
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
             * Name
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
             * @description When the key ends; absent: never.
             * @default null
             */
            expires_at?: string | null;
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
        };
        /**
         * NewMessage
         * @description A message to send.
         */
        NewMessage: {
            /**
             * Attachments
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
        /**
         * NewReply
         * @description An answer to a received message.
         */
        NewReply: {
            /**
             * Attachments
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
             * @default null
             */
            wait?: number | null;
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
            /** Conversation Id */
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
             * @enum {string}
             */
            state: "pending" | "sent" | "failed" | "unknown" | "bounced";
        };
        /**
         * RecordReport
         * @description What DNS says of one record.
         */
        RecordReport: {
            /** Expected */
            expected: string;
            /** Found */
            found: string[];
            /** Hint */
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
             * Secret Prefix
             * @description The first 12 characters of the secret.
             */
            secret_prefix: string;
        };
        /** Secrets */
        Secrets: {
            /**
             * Secrets
             * @description Newest first; the newest signs.
             */
            secrets: components["schemas"]["Secret"][];
        };
        /**
         * SubmittedDetail
         * @description One message that an agent sends, with what it says while it is held and how it stands afterwards.
         */
        SubmittedDetail: {
            /** Agent Id */
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
            /** Edited */
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
             * @default null
             */
            rejection_reason?: string | null;
            /**
             * Reviewed At
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
            /** Agent Id */
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
        /** @description Request Entity Too Large */
        413: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
                "text/plain": string;
            };
        };
        /** @description Unprocessable Entity */
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
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
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
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CreatedAgent"];
                };
            };
            400: components["responses"]["400"];
            401: components["responses"]["401"];
            403: components["responses"]["403"];
            409: components["responses"]["409"];
            413: components["responses"]["413"];
            422: components["responses"]["422"];
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
                /** @description an identifier */
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
                    "application/json": components["schemas"]["MessagePage"];
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
    get_agents_email_messages_wait: {
        parameters: {
            query?: {
                /** @description seconds */
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
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
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
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
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
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
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
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
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
            409: components["responses"]["409"];
            413: components["responses"]["413"];
            422: components["responses"]["422"];
            429: components["responses"]["429"];
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
                /** @description an identifier */
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
                /** @description an identifier */
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
