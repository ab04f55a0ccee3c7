import { createConnection } from "node:net";
import { createInterface } from "node:readline";

/** Hand one message to an SMTP server, as any mail program would. */
export async function deliver(port: number, from: string, to: string, message: string): Promise<void> {
  const socket = createConnection({ host: "127.0.0.1", port });
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  const expect = async (code: string) => {
    for (;;) {
      const { value, done } = await lines.next();
      if (done || !value.startsWith(code)) throw new Error(`SMTP: ${value}`);
      if (value[3] !== "-") return;
    }
  };
  try {
    await expect("220");
    for (const [command, code] of [
      ["EHLO client.test", "250"],
      [`MAIL FROM:<${from}>`, "250"],
      [`RCPT TO:<${to}>`, "250"],
      ["DATA", "354"],
      [`${message.replaceAll(/^\./gm, "..")}\r\n.`, "250"],
      ["QUIT", "221"],
    ] as const) {
      socket.write(`${command}\r\n`);
      await expect(code);
    }
  } finally {
    socket.destroy();
  }
}

let count = 0;

export function message(from: string, to: string, subject: string, body = "How are you?"): string {
  const id = `<t${++count}.${Date.now()}@sender.test>`;
  const head = [`From: ${from}`, `To: ${to}`, `Subject: ${subject}`, `Date: ${new Date().toUTCString()}`];
  return [...head, `Message-ID: ${id}`, "Content-Type: text/plain; charset=utf-8", "", body].join("\r\n");
}
