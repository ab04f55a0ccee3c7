import { createServer, type Server } from "node:http";
import { createServer as createTcpServer, type AddressInfo, type Socket } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import { WebSocket, WebSocketServer } from "ws";

import { PermissionDeniedError, WSListener, WSStream, type WSNotification } from "../../src/index.js";
import { Emitter } from "../../src/emitter.js";

const AGENT = "bot@agents.test";
const PATH = "/api/v1/agents/bot%40agents.test/ws";

/** A server for one agent's socket: what it was asked, and who is connected. */
class Fake {
  readonly asked: Array<{ url: string; authorization: string | undefined }> = [];
  readonly sockets: WebSocket[] = [];
  /** Status of the handshake, and of ordinary requests; 426 is what those get when all is well. */
  refusal = 0;
  /** Headers of a refusal. */
  more: Record<string, string> = {};
  private readonly http: Server = createServer((_, response) => {
    response.writeHead(this.refusal || 426, { "Content-Type": "text/plain", ...this.more }).end("refused\n");
  });
  private readonly ws: WebSocketServer;
  private arrivals: Array<(socket: WebSocket) => void> = [];

  /** @param autoPong - false leaves pings without an answer. */
  constructor(autoPong = true) {
    this.ws = new WebSocketServer({ noServer: true, autoPong });
    this.http.on("upgrade", (request, socket, head) => {
      this.asked.push({ url: request.url!, authorization: request.headers.authorization });
      if (this.refusal) return socket.end(`HTTP/1.1 ${this.refusal} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      this.ws.handleUpgrade(request, socket, head, (opened) => {
        this.sockets.push(opened);
        this.arrivals.shift()?.(opened);
      });
    });
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.http.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.http.address() as AddressInfo).port}`;
  }

  /** The next connection. */
  arrival(): Promise<WebSocket> {
    return new Promise((resolve) => this.arrivals.push(resolve));
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.terminate();
    this.http.closeAllConnections();
    await new Promise((resolve) => this.http.close(resolve));
  }
}

const cleanups: Array<() => unknown> = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  vi.unstubAllGlobals();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

async function server(fake = new Fake()): Promise<{ fake: Fake; baseUrl: string }> {
  cleanups.push(() => fake.stop());
  return { fake, baseUrl: await fake.start() };
}

/** The address of a server that does this with every connection, and does not speak HTTP. */
async function tcp(accepted: (socket: Socket) => void): Promise<string> {
  const sockets: Socket[] = [];
  const listening = createTcpServer((socket) => {
    sockets.push(socket.on("error", () => {}));
    accepted(socket);
  });
  await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    listening.close();
  });
  return `http://127.0.0.1:${(listening.address() as AddressInfo).port}`;
}

function stream(baseUrl: string, more = {}): WSStream {
  const made = new WSStream({ apiKey: "e2a_+key", agentEmail: AGENT, baseUrl, maxBackoffMs: 20, ...more });
  cleanups.push(() => made.close());
  return made;
}

function notice(id: string): string {
  return JSON.stringify({ message_id: id, from: "ana@corp.test", recipient: AGENT, subject: "s", received_at: "t" });
}

const event = (source: WSListener, name: "open" | "close" | "error" | "notification") =>
  new Promise<unknown[]>((resolve) => source.once(name, (...values: unknown[]) => resolve(values)));

/** This platform's own, where it has one (Node 22 and later). */
const own = globalThis.WebSocket;

describe.each([
  ["the ws package", undefined],
  ["a platform", WebSocket],
  ...(own ? ([["this platform", own]] as const) : []),
] as const)("a socket of %s", (kind, Platform) => {
  const use = () => vi.stubGlobal("WebSocket", Platform);

  it("loops over announcements in their order, across a lost connection", async () => {
    use();
    const { fake, baseUrl } = await server();
    const first = fake.arrival();
    const live = stream(baseUrl);
    (await first).send(notice("1"));
    expect((await live.next()).value!.message_id).toBe("1");
    const second = fake.arrival();
    fake.sockets[0]!.terminate();
    const again = await second;
    again.send(notice("2"));
    again.send(notice("3"));
    expect((await live.next()).value!.message_id).toBe("2");
    expect((await live.next()).value!.message_id).toBe("3");
  });

  it("shows the key as a header where that can be, else encoded in the URL", async () => {
    use();
    const { fake, baseUrl } = await server();
    const arrival = fake.arrival();
    stream(`${baseUrl}/`);
    await arrival;
    const header = kind === "the ws package";
    expect(fake.asked).toEqual([
      header
        ? { url: PATH, authorization: "Bearer e2a_+key" }
        : { url: `${PATH}?token=e2a_%2Bkey`, authorization: undefined },
    ]);
  });

  it("ends the loop with a typed error when the key is refused", async () => {
    use();
    const { fake, baseUrl } = await server();
    // Node 24 asks twice itself when it is told 401.
    fake.refusal = 403;
    const live = stream(baseUrl);
    await expect(live.next()).rejects.toBeInstanceOf(PermissionDeniedError);
    expect(await live.next()).toEqual({ done: true, value: undefined });
    expect(fake.asked).toHaveLength(1);
  });

  it("goes on trying while the server is away", async () => {
    use();
    const { fake, baseUrl } = await server();
    fake.refusal = 503;
    const live = stream(baseUrl);
    const next = live.next();
    await event(live, "error");
    live.on("error", () => {});
    fake.refusal = 0;
    (await fake.arrival()).send(notice("1"));
    expect((await next).value!.message_id).toBe("1");
  });

  it("goes on trying while every connection is dropped", async () => {
    use();
    const live = stream(await tcp((socket) => socket.destroy()));
    const errors: string[] = [];
    live.on("error", (error) => errors.push(error.message));
    expect(await event(live, "close")).toEqual([1006, ""]);
    await event(live, "close");
    expect(errors).toHaveLength(2);
    expect(errors[1]).toContain("WebSocket connection failed");
  });

  it("is closed while it is being opened, and says so", async () => {
    use();
    const { fake, baseUrl } = await server();
    const live = stream(baseUrl);
    const closed = event(live, "close");
    await vi.waitFor(() => expect(fake.asked).toHaveLength(1));
    live.close();
    expect([1000, 1006]).toContain((await closed)[0]);
    expect(await live.next()).toEqual({ done: true, value: undefined });
  });

  it("says good-bye with 1000 when the loop is left", async () => {
    use();
    const { fake, baseUrl } = await server();
    const arrival = fake.arrival();
    const live = stream(baseUrl);
    const socket = await arrival;
    const closed = new Promise<number>((resolve) => socket.on("close", resolve));
    socket.send(notice("1"));
    for await (const { message_id } of live) {
      expect(message_id).toBe("1");
      break;
    }
    expect(await closed).toBe(1000);
    expect(await live.next()).toEqual({ done: true, value: undefined });
  });
});

describe("a stream", () => {
  it("survives a frame that is no JSON", async () => {
    const { fake, baseUrl } = await server();
    const arrival = fake.arrival();
    const live = stream(baseUrl);
    const failed = event(live, "error");
    const socket = await arrival;
    socket.send("nonsense");
    socket.send(notice("1"));
    expect(String((await failed)[0])).toContain("not JSON");
    expect((await live.next()).value!.message_id).toBe("1");
  });

  it("skips a frame that announces nothing", async () => {
    const { fake, baseUrl } = await server();
    const arrival = fake.arrival();
    const live = stream(baseUrl);
    const errors: string[] = [];
    live.on("error", (error) => errors.push(error.message));
    const socket = await arrival;
    for (const frame of ["null", "[]", "7", "{}", '{"message_id":""}', notice("1")]) socket.send(frame);
    expect((await live.next()).value!.message_id).toBe("1");
    expect(errors).toHaveLength(5);
    expect(new Set(errors)).toEqual(new Set(["a frame of the WebSocket announces no message"]));
  });

  it("keeps a message that waits to be taken once, however often it is announced", async () => {
    const { fake, baseUrl } = await server();
    const first = fake.arrival();
    const live = stream(baseUrl);
    const socket = await first;
    const second = fake.arrival();
    for (const id of ["1", "2"]) socket.send(notice(id));
    socket.close(1001);
    const again = await second;
    for (const id of ["1", "2", "3"]) again.send(notice(id));
    again.close(1001);
    await fake.arrival();
    const ids = [];
    for await (const { message_id } of live) {
      ids.push(message_id);
      if (message_id === "3") break;
    }
    expect(ids).toEqual(["1", "2", "3"]);
  });

  it("warns of trouble that nobody listens for, and goes on", async () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    const { fake, baseUrl } = await server();
    fake.refusal = 503;
    const live = stream(baseUrl);
    const next = live.next();
    await event(live, "close");
    fake.refusal = 0;
    (await fake.arrival()).send(notice("1"));
    expect((await next).value!.message_id).toBe("1");
    expect(warn.mock.calls[0]![0]).toContain("e2a API error (503)");
  });

  it("leaves a signal alone once it is closed", async () => {
    const { baseUrl } = await server();
    const { signal } = new AbortController();
    const [added, removed] = [vi.spyOn(signal, "addEventListener"), vi.spyOn(signal, "removeEventListener")];
    stream(baseUrl, { signal }).close();
    expect(removed.mock.calls).toEqual(added.mock.calls);
    expect(added).toHaveBeenCalledTimes(1);
  });

  it("ends with the signal", async () => {
    const { baseUrl } = await server();
    const controller = new AbortController();
    const next = stream(baseUrl, { signal: controller.signal }).next();
    controller.abort();
    expect(await next).toEqual({ done: true, value: undefined });
    expect(await stream(baseUrl, { signal: controller.signal }).next()).toEqual({ done: true, value: undefined });
  });

  it("keeps nothing for a loop when events are listened to instead", async () => {
    const { fake, baseUrl } = await server();
    const arrival = fake.arrival();
    const live = stream(baseUrl);
    const heard = new Promise<WSNotification>((resolve) => live.on("notification", resolve));
    (await arrival).send(notice("1"));
    await heard;
    live.close();
    expect(await live.next()).toEqual({ done: true, value: undefined });
  });
});

describe("a listener", () => {
  function listener(baseUrl: string, more = {}): WSListener {
    const options = { apiKey: "k", agentEmail: AGENT, baseUrl, reconnectDelay: 5, maxBackoffMs: 10, ...more };
    const made = new WSListener(options);
    cleanups.push(() => made.close());
    return made;
  }

  it("connects again after every close, refusals included, until it is closed", async () => {
    const { fake, baseUrl } = await server();
    fake.refusal = 403;
    const live = listener(baseUrl);
    const errors: Error[] = [];
    live.on("error", (error) => errors.push(error));
    live.connect();
    live.connect();
    await event(live, "close");
    await event(live, "close");
    expect(errors[0]).toBeInstanceOf(PermissionDeniedError);
    fake.refusal = 0;
    const socket = await fake.arrival();
    const closed = event(live, "close");
    socket.close(1001, "server shutting down");
    expect(await closed).toEqual([1001, "server shutting down"]);
    await event(live, "open");
    const last = event(live, "close");
    live.close();
    expect(await last).toEqual([1000, "client close"]);
    expect(fake.asked).toHaveLength(4);
  });

  it("connects once when it is told to", async () => {
    const { fake, baseUrl } = await server();
    const live = listener(baseUrl, { reconnect: false });
    const arrival = fake.arrival();
    live.connect();
    (await arrival).close(1001);
    await event(live, "close");
    const second = fake.arrival();
    live.connect();
    await second;
    expect(fake.asked).toHaveLength(2);
  });

  it("may be told to connect again when it hears that it is closed", async () => {
    const { fake, baseUrl } = await server();
    const live = listener(baseUrl, { reconnect: false });
    live.once("close", () => live.connect());
    const first = fake.arrival();
    live.connect();
    const socket = await first;
    const second = fake.arrival();
    socket.close(1001);
    await second;
    expect(fake.asked).toHaveLength(2);
  });

  it("tries again where a failed handshake is an error and no close, as in Node 22", async () => {
    class Terse extends EventTarget {
      static made = 0;
      constructor() {
        super();
        Terse.made++;
        setImmediate(() => this.dispatchEvent(new Event("error")));
      }

      close(): void {
        this.dispatchEvent(new Event("error"));
      }
    }
    vi.stubGlobal("WebSocket", Terse);
    const live = listener("http://127.0.0.1:9");
    live.on("error", () => {});
    live.connect();
    await event(live, "close");
    await event(live, "close");
    expect(Terse.made).toBe(2);
    live.connect();
    live.close();
  });

  it("gives up a handshake that nobody answers, and tries again", async () => {
    vi.stubGlobal("WebSocket", undefined);
    let connected = () => {};
    const connection = () => new Promise<void>((resolve) => (connected = resolve));
    const live = listener(await tcp(() => connected()));
    const failed = event(live, "error");
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const first = connection();
    live.connect();
    await first;
    vi.advanceTimersByTime(10_000);
    expect(String((await failed)[0])).toContain("no answer within 10 s");
    live.on("error", () => {});
    const second = connection();
    vi.advanceTimersByTime(1_000);
    await second;
  });

  it("ends a connection whose other side is gone without a word", async () => {
    vi.stubGlobal("WebSocket", undefined);
    const { fake, baseUrl } = await server(new Fake(false));
    const live = listener(baseUrl);
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const arrival = fake.arrival();
    const opened = event(live, "open");
    live.connect();
    const socket = await arrival;
    await opened;
    const pinged = new Promise((resolve) => socket.on("ping", resolve));
    vi.advanceTimersByTime(20_000);
    await pinged;
    const closed = event(live, "close");
    vi.advanceTimersByTime(20_000);
    expect((await closed)[0]).toBe(1006);
  });

  it("keeps a connection that answers, and writes to it where it cannot ping", async () => {
    const { fake, baseUrl } = await server();
    for (const [Platform, sign] of [
      [undefined, "ping"],
      [WebSocket, "message"],
    ] as const) {
      vi.stubGlobal("WebSocket", Platform);
      vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
      const live = listener(baseUrl);
      const closed = vi.fn();
      live.on("close", closed);
      const arrival = fake.arrival();
      const opened = event(live, "open");
      live.connect();
      const socket = await arrival;
      await opened;
      for (let beat = 0; beat < 3; beat++) {
        const seen = new Promise((resolve) => socket.once(sign, resolve));
        vi.advanceTimersByTime(20_000);
        await seen;
        // Whatever answers the ping is there before what is sent after it.
        const heard = event(live, "notification");
        socket.send(notice(String(beat)));
        await heard;
      }
      expect(closed).not.toHaveBeenCalled();
      const last = event(live, "close");
      live.close();
      await last;
      vi.useRealTimers();
    }
  });

  it("does not take the agent back every second from another that took it over", async () => {
    vi.spyOn(Math, "random").mockReturnValue(1);
    const { fake, baseUrl } = await server();
    const pauses = vi.spyOn(globalThis, "setTimeout");
    const live = listener(baseUrl, { reconnectDelay: 3, maxBackoffMs: 13 });
    const errors: string[] = [];
    live.on("error", (error) => errors.push(error.message));
    live.connect();
    for (let round = 0; round < 4; round++) {
      const closed = event(live, "close");
      (await fake.arrival()).close(1008, "replaced by new connection");
      await closed;
    }
    const ours = pauses.mock.calls.map(([, delay]) => delay).filter((delay) => [3, 6, 12, 13].includes(delay!));
    expect(ours).toEqual([3, 6, 12, 13]);
    expect(errors[0]).toContain("only one can listen");
  });

  it("waits for as long as a server asks that is busy, within its own limit", async () => {
    const { fake, baseUrl } = await server();
    Object.assign(fake, { refusal: 429, more: { "Retry-After": "60" } });
    const pauses = vi.spyOn(globalThis, "setTimeout");
    const live = listener(baseUrl, { reconnectDelay: 1, maxBackoffMs: 77_000 });
    live.on("error", () => {});
    live.connect();
    await event(live, "close");
    expect(pauses.mock.calls.map(([, delay]) => delay)).toContain(60_000);
  });

  it("shows no key in what it says of a failure", async () => {
    class Talkative extends EventTarget {
      constructor(url: string) {
        super();
        setImmediate(() => {
          this.dispatchEvent(Object.assign(new Event("error"), { message: `cannot reach '${url}' now` }));
          this.dispatchEvent(Object.assign(new Event("close"), { code: 1006, reason: "" }));
        });
      }

      close(): void {}
    }
    vi.stubGlobal("WebSocket", Talkative);
    const live = listener("http://127.0.0.1:9", { reconnect: false, apiKey: "e2a_hidden" });
    const failed = event(live, "error");
    live.connect();
    const [error] = (await failed) as [Error];
    expect(error.message).toContain("token=…' now");
    expect(error.message).not.toContain("hidden");
  });

  it("waits longer and longer between attempts, up to a limit, and starts over once connected", async () => {
    const { fake, baseUrl } = await server();
    fake.refusal = 503;
    vi.spyOn(Math, "random").mockReturnValue(1);
    const pauses = vi.spyOn(globalThis, "setTimeout");
    const live = listener(baseUrl, { reconnectDelay: 3, maxBackoffMs: 13 });
    live.on("error", () => {});
    live.connect();
    for (let attempt = 0; attempt < 4; attempt++) await event(live, "close");
    fake.refusal = 0;
    (await fake.arrival()).terminate();
    await event(live, "close");
    const ours = pauses.mock.calls.map(([, delay]) => delay).filter((delay) => [3, 6, 12, 13].includes(delay!));
    expect(ours).toEqual([3, 6, 12, 13, 3]);
  });

  it("warns of an error that nobody listens for, and throws nothing", async () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    const { fake, baseUrl } = await server();
    fake.refusal = 403;
    const live = listener(baseUrl, { reconnect: false });
    live.connect();
    await event(live, "close");
    expect(warn.mock.calls[0]![0]).toContain("e2a API error (403)");
  });
});

describe("events", () => {
  it("are heard by those who listen, in order, once or as long as they want", () => {
    const emitter = new Emitter<{ a: [number] }>();
    const heard: string[] = [];
    const every = (value: number) => heard.push(`every ${value}`);
    emitter.on("a", every).once("a", (value) => heard.push(`once ${value}`));
    emitter.emit("a", 1);
    emitter.emit("a", 2);
    emitter.off("a", every);
    expect(emitter.emit("a", 3)).toBe(false);
    expect(heard).toEqual(["every 1", "once 1", "every 2"]);
    emitter.addListener("a", every).removeAllListeners();
    expect(emitter.listenerCount("a")).toBe(0);
  });
});
