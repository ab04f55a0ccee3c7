// A WebSocket of the platform, or of the `ws` package where there is none (Node before 22).

/** What is used of a WebSocket; the platform's and the package's are alike in it. */
export interface Socket {
  close(code?: number, reason?: string): void;
  addEventListener(type: "open", listener: () => void): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  addEventListener(type: "close", listener: (event: { code: number; reason: string }) => void): void;
  addEventListener(type: "error", listener: (event: { message?: string }) => void): void;
}

export interface Connection {
  socket: Socket;
  /** Called every now and then while it is open, so that a connection which is no longer there comes to its end. */
  beat(): void;
}

type Constructor = new (url: string) => Socket & { send(data: string): void };

/**
 * @param url - ws: or wss:, without a credential.
 * @param key - sent as a header where headers can be set, else as `?token=`: URLs end up in logs.
 */
export async function connect(url: string, key: string): Promise<Connection> {
  const Platform = (globalThis as { WebSocket?: Constructor }).WebSocket;
  if (Platform) {
    const socket = new Platform(`${url}?token=${encodeURIComponent(key)}`);
    // Platforms let nobody ping. The server ignores what it is sent; that nobody acknowledges it ends the connection.
    return { socket, beat: () => socket.send("") };
  }
  const { WebSocket } = await import("ws");
  const socket = new WebSocket(url, { headers: { Authorization: `Bearer ${key}` } });
  let answered = true;
  socket.on("pong", () => (answered = true));
  const beat = () => {
    if (!answered) return socket.terminate();
    answered = false;
    socket.ping();
  };
  return { socket: socket as unknown as Socket, beat };
}
