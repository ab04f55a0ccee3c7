import { afterEach, describe, expect, it, vi } from "vitest";

import {
  AuthenticationError,
  ConflictError,
  E2AApi,
  E2AApiError,
  E2AClient,
  InvalidRequestError,
  NotFoundError,
  PermissionDeniedError,
  QuotaExceededError,
  RateLimitError,
  ServerError,
  TimeoutError,
  UnexpectedAnswerError,
} from "../../src/index.js";
import { answering, client, json, problem } from "./support.js";

const AGENT = "/api/v1/agents/bot%40agents.test";
const SENT = { status: "sent", message_id: "msg_1", provider_message_id: "<a@b>", method: "smtp", recipients: [] };

afterEach(() => {
  vi.unstubAllEnvs();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("requests", () => {
  it("go where the contract says, with every parameter encoded", async () => {
    const { fetch, seen } = answering(() => json({ messages: [], agents: [], domains: [] }));
    const { api } = client(fetch);
    const bot = "bot@agents.test";
    await api.listAgents();
    await api.registerAgent({ slug: "bot" });
    await api.updateAgent(bot, { hitl_enabled: false });
    await api.deleteAgent(bot);
    await api.sendTestEmail(bot);
    await api.listMessages(bot);
    await api.listMessages(bot, { status: "all", pageSize: 5, token: "t/1", from: "a+b@c.test" });
    const since = new Date("2026-01-02T03:04:05Z");
    await api.listMessages(bot, { conversationId: "c 1", since, until: "2026-02-01T00:00:00+01:00", sort: "desc" });
    await api.getMessage(bot, "msg_1/x");
    await api.replyToMessage(bot, "msg_1", { body: "b" });
    await api.sendEmail({ to: ["a@b.test"], subject: "s", body: "b" });
    await api.registerDomain({ domain: "a.test" });
    await api.verifyDomain("a.test");
    await api.listPendingMessages();
    await api.rotateDomainKey("a.test");
    await api.approveMessage("msg_1");
    await api.resendMessage("msg_1");
    await api.rejectMessage("msg_1");
    await api.listOrganisations();
    await api.listKeys();
    expect(seen.map(({ method, url }) => `${method} ${url.pathname}${url.search}`)).toEqual([
      "GET /api/v1/agents",
      "POST /api/v1/agents",
      `PUT ${AGENT}`,
      `DELETE ${AGENT}`,
      `POST ${AGENT}/test`,
      `GET ${AGENT}/messages`,
      `GET ${AGENT}/messages?status=all&from=a%2Bb%40c.test&page_size=5&token=t%2F1`,
      `GET ${AGENT}/messages?conversation_id=c+1&since=2026-01-02T03%3A04%3A05.000Z` +
        "&until=2026-02-01T00%3A00%3A00%2B01%3A00&sort=desc",
      `GET ${AGENT}/messages/msg_1%2Fx`,
      `POST ${AGENT}/messages/msg_1/reply`,
      "POST /api/v1/send",
      "POST /api/v1/domains",
      "POST /api/v1/domains/a.test/verify",
      "GET /api/v1/messages?status=pending_approval",
      "POST /api/v1/domains/a.test/dkim/rotate",
      "POST /api/v1/messages/msg_1/approve",
      "POST /api/v1/messages/msg_1/resend",
      "POST /api/v1/messages/msg_1/reject",
      "GET /api/v1/organisations",
      "GET /api/keys",
    ]);
    expect(seen.every(({ headers }) => headers.get("Authorization") === "Bearer e2a_key")).toBe(true);
    expect(seen.at(-4)!.body).toEqual({});
    expect(seen.at(-3)!.body).toEqual({ reason: "" });
  });

  it("never name the list above by an id made of dots", () => {
    const { api } = client();
    for (const id of ["", ".", ".."]) expect(() => api.deleteAgent(id)).toThrow("no address");
  });

  it("leave out options that say nothing, and convert attachments", async () => {
    const { fetch, seen } = answering(json(SENT));
    const agent = client(fetch);
    await agent.send(["a@b.test"], "s", "b", { htmlBody: "", cc: ["c@d.test"], attachments: [] });
    const wire = { filename: "a.txt", content_type: "text/plain", data: "YQ==" };
    const own = { filename: "b.txt", contentType: "text/plain", data: new Uint8Array([98]) };
    await agent.reply("msg_1", "b", { replyAll: true, wait: 0, attachments: [wire, own] });
    await agent.forward("msg_1", ["a@b.test"], { as: "attachment", includeAttachments: false });
    await agent.send(["a@b.test"], "s", "b", { replyToMessageId: "<m@b.test>" });
    const [send, reply, forward, answer] = seen.map(({ body }) => body);
    expect(send).toEqual({ from: "bot@agents.test", to: ["a@b.test"], subject: "s", body: "b", cc: ["c@d.test"] });
    const files = [wire, { filename: "b.txt", content_type: "text/plain", data: "Yg==" }];
    expect(reply).toEqual({ body: "b", reply_all: true, wait: 0, attachments: files });
    expect(forward).toEqual({ to: ["a@b.test"], as: "attachment", include_attachments: false });
    expect(answer).toMatchObject({ subject: "s", reply_to_message_id: "<m@b.test>" });
  });

  it("mean the client's agent, or the one that is named", async () => {
    const { fetch, seen } = answering(() => json({ messages: [] }));
    const bot = client(fetch);
    await bot.getRawMessage("msg_1");
    await bot.getAttachment("msg_1", 2, "peer@agents.test");
    for await (const _ of bot.iterConversation("c/1", { pageSize: 7 }));
    for await (const _ of bot.iterPendingMessages());
    expect(seen.map(({ url }) => url.pathname + url.search)).toEqual([
      `${AGENT}/messages/msg_1/raw`,
      "/api/v1/agents/peer%40agents.test/messages/msg_1/attachments/2",
      `${AGENT}/conversations/c%2F1?page_size=7`,
      "/api/v1/messages?status=pending_approval",
    ]);
  });

  it("for the deployment's information carry no key", async () => {
    const { fetch, seen } = answering(json({ shared_domain: "agents.test" }));
    await client(fetch).getInfo();
    vi.stubGlobal("fetch", fetch);
    await E2AApi.fetchInfo("https://e2a.test/");
    vi.unstubAllGlobals();
    expect(seen.map(({ url, headers }) => [url.href, headers.get("Authorization")])).toEqual([
      ["https://e2a.test/api/v1/info", null],
      ["https://e2a.test/api/v1/info", null],
    ]);
  });

  it("can be made as they are, whole paths included", async () => {
    const { fetch, seen } = answering(json({ a: 1 }), json({ a: 2 }), problem(404, "not_found", "not found"));
    const { api } = client(fetch);
    expect(await (await api.raw("GET", "/agents")).json()).toEqual({ a: 1 });
    await api.raw("PUT", "/api/v1/agents/x", { name: "n" });
    await expect(api.raw("GET", "/agents/x")).rejects.toThrow(NotFoundError);
    expect(seen.map(({ url }) => url.pathname)).toEqual(["/api/v1/agents", "/api/v1/agents/x", "/api/v1/agents/x"]);
  });

  it("need a key, from the options or the environment", async () => {
    vi.stubEnv("E2A_API_KEY", "");
    expect(() => new E2AApi()).toThrow("E2A_API_KEY");
    vi.stubEnv("E2A_API_KEY", "e2a_env");
    vi.stubEnv("E2A_AGENT_EMAIL", "env@agents.test");
    const { fetch, seen } = answering(json({ messages: [] }));
    await new E2AClient({ fetch }).listMessages();
    expect(seen[0]!.url.href).toBe("https://e2a.dev/api/v1/agents/env%40agents.test/messages");
    expect(seen[0]!.headers.get("Authorization")).toBe("Bearer e2a_env");
  });

  it("have a key without the line end that a file adds", async () => {
    vi.stubEnv("E2A_API_KEY", "e2a_env\n");
    const { fetch, seen } = answering(json({ agents: [] }));
    await new E2AApi({ fetch }).listAgents();
    expect(seen[0]!.headers.get("Authorization")).toBe("Bearer e2a_env");
  });

  it("go to an address of HTTP, or in a browser to the page's server", () => {
    for (const baseUrl of ["localhost:8080", "ftp://e2a.test", "e2a.test"]) {
      expect(() => client(undefined, { baseUrl })).toThrow("baseUrl must begin with http:// or https://");
    }
    for (const [baseUrl, expected] of [["/", ""], ["", ""], ["/mail/", "/mail"], ["HTTPS://e2a.test//", "HTTPS://e2a.test"]]) {
      expect(client(undefined, { baseUrl }).api.baseUrl).toBe(expected);
    }
  });

  it("need an agent where one is meant", async () => {
    vi.stubEnv("E2A_AGENT_EMAIL", "");
    const nobody = client(undefined, { agentEmail: "" });
    await expect(nobody.send(["a@b.test"], "s", "b")).rejects.toThrow("agent is required");
    await expect(nobody.getAgent()).rejects.toThrow("agent is required");
    expect(() => nobody.listen()).toThrow("agent is required");
  });

  it("do not show the key when the client is printed", () => {
    expect(JSON.stringify(client()) + Object.keys(client().api)).not.toContain("e2a_key");
  });
});

describe("errors", () => {
  it.each([
    [400, InvalidRequestError],
    [401, AuthenticationError],
    [402, QuotaExceededError],
    [403, PermissionDeniedError],
    [404, NotFoundError],
    [409, ConflictError],
    [410, NotFoundError],
    [412, ConflictError],
    [413, InvalidRequestError],
    [422, InvalidRequestError],
    [429, RateLimitError],
    [500, ServerError],
    [418, E2AApiError],
  ])("%i has its class, and the line that people are shown", async (status, kind) => {
    const { fetch } = answering(problem(status, "some_code", "the reason", { field: "to", recipients: [] }));
    const error = await client(fetch, { maxRetries: 0 }).api.listAgents().catch((thrown: E2AApiError) => thrown);
    expect(error).toBeInstanceOf(kind);
    expect(error).toMatchObject({
      name: "E2AApiError",
      message: `e2a API error (${status}): the reason`,
      statusCode: status,
      code: "some_code",
      field: "to",
      requestId: "r1",
      details: { recipients: [] },
    });
  });

  it("show the whole body of an answer that is plain text", async () => {
    const { fetch } = answering(new Response("agent not found\n", { status: 404, headers: { "X-Request-Id": "r2" } }));
    const error = await client(fetch).getAgent().catch((thrown: E2AApiError) => thrown);
    expect(error).toMatchObject({ message: "e2a API error (404): agent not found", requestId: "r2", code: "" });
  });

  it("show the title of a problem without details", async () => {
    const { fetch } = answering(problem(400, "bad", "", { title: "Bad Request" }));
    await expect(client(fetch).getAgent()).rejects.toThrow("e2a API error (400): Bad Request");
  });

  it("tell an answer that no e2a server gives", async () => {
    const { fetch } = answering(() => new Response("<html>", { headers: { "X-Request-Id": "r3" } }));
    for (const call of [client(fetch).getAgent(), client(fetch).waitForMessage({ timeout: 0 })]) {
      const error = await call.catch((thrown: UnexpectedAnswerError) => thrown);
      expect(error).toBeInstanceOf(UnexpectedAnswerError);
      expect(error).toMatchObject({ statusCode: 200, requestId: "r3", message: expect.stringContaining("is baseUrl right?") });
    }
  });

  it("say when to come back", async () => {
    const answer = () => problem(429, "rate_limited", "slow down");
    const limited = answer();
    limited.headers.set("Retry-After", "60");
    const { fetch, seen } = answering(limited);
    const error = await client(fetch).api.listAgents().catch((thrown: E2AApiError) => thrown);
    expect(error).toMatchObject({ retryAfter: 60 });
    // Longer than the call may take: not waited for.
    expect(seen).toHaveLength(1);
    limited.headers.set("Retry-After", "61");
    await expect(client(fetch, { timeout: Infinity }).api.listAgents()).rejects.toThrow(RateLimitError);
    expect(seen).toHaveLength(2);
  });
});

describe("repetition", () => {
  const down = () => problem(503, "unavailable", "away");
  /** Asks for a repetition at once. */
  const busy = () => {
    const answer = down();
    answer.headers.set("Retry-After", "0");
    return answer;
  };

  it("makes up for what passes, with the same key", async () => {
    const { fetch, seen } = answering(new TypeError("fetch failed"), busy(), json(SENT));
    expect((await client(fetch).send(["a@b.test"], "s", "b")).message_id).toBe("msg_1");
    const keys = seen.map(({ headers }) => headers.get("Idempotency-Key"));
    expect(keys).toHaveLength(3);
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it("has a key of its own for each call, or the caller's", async () => {
    const { fetch, seen } = answering(json(SENT));
    const agent = client(fetch);
    await agent.send(["a@b.test"], "s", "b");
    await agent.reply("msg_1", "b", { idempotencyKey: "" });
    await agent.approveMessage("msg_1", {}, { idempotencyKey: "mine" });
    await agent.registerAgent({ slug: "x" });
    const keys = seen.map(({ headers }) => headers.get("Idempotency-Key"));
    expect(keys[2]).toBe("mine");
    expect(new Set(keys).size).toBe(4);
    expect(keys.every((key) => key)).toBe(true);
  });

  it.each([
    ["claiming a domain", (agent: E2AClient) => agent.registerDomain("a.test")],
    ["proving it", (agent: E2AClient) => agent.verifyDomain("a.test")],
    ["changing its key", (agent: E2AClient) => agent.rotateDomainKey("a.test")],
    ["suppressing an address", (agent: E2AClient) => agent.api.addSuppression("a@b.test")],
    ["renaming", (agent: E2AClient) => agent.api.renameOrganisation("n")],
    ["changing a role", (agent: E2AClient) => agent.api.changeRole("user_1", "admin")],
  ])("is for what comes to the same when it is asked for twice: %s", async (_, call) => {
    const { fetch, seen } = answering(busy(), json({}));
    await call(client(fetch));
    expect(seen).toHaveLength(2);
  });

  it.each([
    ["PUT", (agent: E2AClient) => agent.updateAgent({ name: "n" })],
    ["DELETE", (agent: E2AClient) => agent.deleteAgent()],
    ["POST", (agent: E2AClient) => agent.rejectMessage("msg_1")],
  ])("leaves alone what could happen twice: %s", async (_, call) => {
    const { fetch, seen } = answering(busy());
    await expect(call(client(fetch))).rejects.toThrow(ServerError);
    expect(seen).toHaveLength(1);
  });

  it("ends: after two, or with the time", async () => {
    const { fetch, seen } = answering(busy());
    await expect(client(fetch).api.listAgents()).rejects.toThrow(ServerError);
    expect(seen).toHaveLength(3);
    const later = down();
    later.headers.set("Retry-After", "30");
    const short = answering(later);
    await expect(client(short.fetch, { timeout: 29_000 }).api.listAgents()).rejects.toThrow(ServerError);
    expect(short.seen).toHaveLength(1);
  });

  it("is not for a deployment that cannot send", async () => {
    const { fetch, seen } = answering(problem(503, "sending_not_configured", "sending is not configured"));
    await expect(client(fetch).send(["a@b.test"], "s", "b")).rejects.toThrow(ServerError);
    expect(seen).toHaveLength(1);
  });

  it("is not for errors that stay", async () => {
    const { fetch, seen } = answering(problem(500, "internal", "internal error"));
    await expect(client(fetch).api.listAgents()).rejects.toThrow(ServerError);
    expect(seen).toHaveLength(1);
  });
});

describe("time", () => {
  const never = () => new Promise<Response>(() => {});

  it("ends a call that takes longer than its timeout", async () => {
    const { fetch } = answering(never);
    const error = await client(fetch, { timeout: 20 }).api.listAgents().catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ name: "TimeoutError" });
  });

  it("is without end when the timeout is", async () => {
    const timers = vi.spyOn(globalThis, "setTimeout");
    for (const timeout of [Infinity, 2 ** 31]) {
      const { fetch } = answering(json({ agents: [] }));
      expect(await client(fetch, { timeout }).api.listAgents()).toEqual({ agents: [] });
    }
    expect(timers).not.toHaveBeenCalled();
  });

  it("ends a call when the caller's signal does", async () => {
    const { fetch, seen } = answering(never);
    const controller = new AbortController();
    const call = client(fetch).listMessages({ signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(call).rejects.toThrow("enough");
    await expect(client(fetch).listMessages({ signal: controller.signal })).rejects.toThrow("enough");
    expect(seen.length).toBeLessThanOrEqual(1);
  });

  it("lets the signal end a stream that is still read, and no deadline", async () => {
    const signals: AbortSignal[] = [];
    const fetch = async (_: string, init: RequestInit) => {
      signals.push(init.signal!);
      return new Response("data");
    };
    const controller = new AbortController();
    const { api } = client(fetch, { timeout: 10 });
    await api.exportData("zip", { signal: controller.signal });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(signals[0]!.aborted).toBe(false);
    controller.abort();
    expect(signals[0]!.aborted).toBe(true);
  });

  it("gives the server the time that it was asked to take", async () => {
    vi.useFakeTimers();
    const slow = () => new Promise<Response>((resolve) => setTimeout(resolve, 59_000, new Response(null, { status: 204 })));
    const { fetch } = answering(slow);
    const waited = client(fetch).api.waitForMessage("bot@agents.test", { timeout: 59, after: 7 });
    await vi.runAllTimersAsync();
    expect(await waited).toEqual({ message: null, cursor: 7 });
  });
});

describe("lists", () => {
  it("are iterated over all their pages, each asked for when it is wanted", async () => {
    const { fetch, seen } = answering(
      json({ messages: [{ message_id: "1" }, { message_id: "2" }], next_token: "t" }),
      json({ messages: [{ message_id: "3" }] }),
    );
    const ids: string[] = [];
    for await (const { message_id } of client(fetch).iterMessages({ status: "all" })) {
      ids.push(message_id);
      if (ids.length === 2) expect(seen).toHaveLength(1);
    }
    expect(ids).toEqual(["1", "2", "3"]);
    expect(seen.map(({ url }) => url.search)).toEqual(["?status=all", "?status=all&token=t"]);
  });
});

describe("waiting for a message", () => {
  it("asks again until there is one, and fetches it", async () => {
    const { fetch, seen } = answering(
      new Response(null, { status: 204, headers: { "X-E2A-Cursor": "5" } }),
      json({ message: { message_id: "msg_1" }, cursor: 6 }),
      json({ message_id: "msg_1", subject: "found", auth_headers: {}, raw_message: "" }),
    );
    const email = await client(fetch).waitForMessage({ from: "ana@corp.test", timeout: 5_000 });
    expect(email.subject).toBe("found");
    // Unread mail is waited for, whenever it came.
    expect(seen[1]!.url.searchParams.get("after")).toBeNull();
    expect(seen[1]!.url.searchParams.get("from")).toBe("ana@corp.test");
  });

  it("goes on from the cursor when it began with one", async () => {
    const { fetch, seen } = answering(
      new Response(null, { status: 204, headers: { "X-E2A-Cursor": "5" } }),
      json({ message: { message_id: "msg_1" }, cursor: 6 }),
      json({ message_id: "msg_1", subject: "found", auth_headers: {}, raw_message: "" }),
    );
    await client(fetch).waitForMessage({ after: 3, timeout: 5_000 });
    expect(seen.slice(0, 2).map(({ url }) => url.searchParams.get("after"))).toEqual(["3", "5"]);
  });

  it("is an error when none came in time", async () => {
    const { fetch } = answering(new Response(null, { status: 204, headers: { "X-E2A-Cursor": "5" } }));
    await expect(client(fetch).waitForMessage({ timeout: 0 })).rejects.toBeInstanceOf(TimeoutError);
  });
});

describe("waiting for an outcome", () => {
  const state = (status: string) => json({ id: "msg_1", status });

  it("looks again until the message is decided", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { fetch, seen } = answering(state("pending_approval"), state("queued"), state("sent"));
    const outcome = client(fetch).waitForOutcome("msg_1");
    let found: { status: string } | undefined;
    void outcome.then((result) => (found = result));
    while (!found) {
      // A body may take several turns to be read; only then there is a pause to be gone through.
      await new Promise((resolve) => setImmediate(resolve));
      vi.advanceTimersByTime(500);
    }
    expect(found.status).toBe("sent");
    expect(seen.map(({ url }) => url.pathname)).toEqual(Array(3).fill("/api/v1/messages/msg_1"));
  });

  it("is an error while the message is still held", async () => {
    const { fetch } = answering(state("pending_approval"));
    const failed = client(fetch).waitForOutcome("msg_1", { timeout: 0 });
    await expect(failed).rejects.toBeInstanceOf(TimeoutError);
    await expect(failed).rejects.toThrow("the message is pending_approval after 0 ms");
  });

  it("ends with the signal", async () => {
    const controller = new AbortController();
    const { fetch } = answering(() => {
      setImmediate(() => controller.abort(new Error("enough")));
      return state("queued");
    });
    await expect(client(fetch).waitForOutcome("msg_1", { signal: controller.signal })).rejects.toThrow("enough");
  });
});
