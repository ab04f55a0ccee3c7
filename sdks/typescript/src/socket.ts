// A WebSocket of the platform, or of the `ws` package where there is none (Node before 22).

/** What is used of a WebSocket; the platform's and the package's are alike in it. */
export interface Socket {
  close(code?: number, reason?: string): void;
  addEventListener(type: "open", listener: () => void): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  addEventListener(type: "close", listener: (event: { code: number; reason: string }) => void): void;
  addEventListener(type: "error", listener: (event: { message?: string }) => void): void;
}

type Constructor = new (url: string) => Socket;

/**
 * @param url - ws: or wss:, without a credential.
 * @param key - sent as a header where headers can be set, else as `?token=`: URLs end up in logs.
 */
export async function connect(url: string, key: string): Promise<Socket> {
  const Platform = (globalThis as { WebSocket?: Constructor }).WebSocket;
  if (Platform) return new Platform(`${url}?token=${encodeURIComponent(key)}`);
  const { WebSocket } = await import("ws");
  return new WebSocket(url, { headers: { Authorization: `Bearer ${key}` } }) as unknown as Socket;
}
