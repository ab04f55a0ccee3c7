// What the package promises for every platform, with nothing of any: the same program runs in Node, Deno, Bun and pages.

/** A fact that must hold. */
function is(actual, expected, what) {
  const [found, wanted] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (found !== wanted) throw new Error(`${what}: ${found} instead of ${wanted}`);
}

async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("it was not refused");
}

function hex(octets) {
  return Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
}

/** The headers of the Standard Webhooks. */
async function signed(body, secret, subtle) {
  const moment = String(Math.floor(Date.now() / 1000));
  const usage = { name: "HMAC", hash: "SHA-256" };
  const key = await subtle.importKey("raw", new TextEncoder().encode(secret), usage, false, ["sign"]);
  const mac = await subtle.sign("HMAC", key, new TextEncoder().encode(`msg_1.${moment}.${body}`));
  const signature = `v1,${btoa(String.fromCharCode(...new Uint8Array(mac)))}`;
  return new Headers({ "webhook-id": "msg_1", "webhook-timestamp": moment, "webhook-signature": signature });
}

/**
 * @param sdk - the package.
 * @param where - `baseUrl`, `apiKey` and `secret` of a daemon, a `name` for two new agents; `subtle` of Web Crypto; `away`: an address where
 *   nothing listens, if the platform lets it be asked.
 */
export async function everywhere(sdk, { baseUrl, apiKey, secret, name, subtle, away }) {
  is((await sdk.E2AApi.fetchInfo(baseUrl)).slug_registration_enabled, true, "info");
  const open = async (slug) => {
    const { email } = await new sdk.E2AApi({ baseUrl, apiKey }).registerAgent({ slug, agent_mode: "local" });
    return new sdk.E2AClient({ baseUrl, apiKey, agentEmail: email });
  };
  const [bot, peer] = [await open(`${name}-bot`), await open(`${name}-peer`)];

  const file = { filename: "grüße.bin", contentType: "application/octet-stream", data: new Uint8Array([0, 255, 10, 13]) };
  const sent = await peer.send([bot.agentEmail], "Grüße ✉", "How much?", { attachments: [file], conversationId: "c-1" });
  is([sent.status, sent.method], ["sent", "loopback"], "send");
  const email = await bot.waitForMessage({ subjectContains: "grüße", timeout: 20_000 });
  is([email.subject, email.sender, email.textBody.trim()], ["Grüße ✉", peer.agentEmail, "How much?"], "e-mail");
  is([email.verified, email.auth.entityType, email.conversationId], [true, "agent", "c-1"], "proof");
  is(email.attachments.map((each) => [each.filename, hex(each.data)]), [["grüße.bin", "00ff0a0d"]], "attachments");
  is(hex(await bot.getAttachment(email.messageId, 0)), "00ff0a0d", "attachment");
  is(hex(await bot.getRawMessage(email.messageId)), hex(email.rawMessage), "raw message");

  is((await email.reply("Seven.")).status, "sent", "reply");
  for await (const { message_id: id, subject } of peer.listen()) {
    is([subject, (await peer.getMessage(id)).textBody.trim()], ["Re: Grüße ✉", "Seven."], "listen");
    break;
  }
  const refused = peer.listen({ agentEmail: "nobody@agents.test" });
  is((await refusal(refused.next())) instanceof sdk.NotFoundError, true, "refused listener");
  if (away) {
    const failures = [];
    const lost = new sdk.E2AClient({ baseUrl: away, apiKey, agentEmail: "x@agents.test" }).listen({ maxBackoffMs: 10 });
    lost.on("error", (error) => failures.push(error.message));
    await new Promise((resolve) => lost.on("close", () => failures.length > 1 && resolve()));
    lost.close();
    is(failures.some((text) => text.includes(apiKey)), false, "no key in what is said");
  }

  const body = JSON.stringify(await bot.api.getMessage(bot.agentEmail, email.messageId));
  const proven = await bot.parseWebhook(new TextEncoder().encode(body), ["another", secret]);
  is([proven.verified, proven.subject], [true, "Grüße ✉"], "webhook");
  const closed = await bot.parse(body);
  is((await refusal((async () => closed.subject)())).name, "UnverifiedEmailError", "gate");
  is((await refusal(bot.parseWebhook(body, "another"))).name, "WebhookVerificationError", "wrong secret");
  const headers = await signed(body, secret, subtle);
  is((await bot.parseWebhook(body, secret, { headers })).recipient, bot.agentEmail, "whole body");
  const other = `${body} `;
  is((await refusal(bot.parseWebhook(other, secret, { headers }))).name, "WebhookVerificationError", "another body");

  const missing = await refusal(bot.getMessage("msg_unknown"));
  is([missing instanceof sdk.NotFoundError, missing.code, missing.requestId !== ""], [true, "not_found", true], "error");
  const controller = new AbortController();
  const waiting = bot.waitForMessage({ timeout: 60_000, signal: controller.signal });
  setTimeout(() => controller.abort(new Error("enough")), 50);
  is((await refusal(waiting)).message, "enough", "signal");
  is((await refusal(bot.api.me({ timeout: 0 }))).name, "TimeoutError", "timeout");
  const subjects = [];
  for await (const { subject } of bot.iterMessages({ status: "all", pageSize: 1 })) subjects.push(subject);
  is(subjects, ["Grüße ✉"], "pages");
  const data = await new Response(await bot.api.exportData()).json();
  is(data.agents.some(({ email }) => email === bot.agentEmail), true, "stream");
  return "everywhere: all well";
}
