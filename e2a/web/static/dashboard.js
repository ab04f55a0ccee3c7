// The pages work without this script. It keeps them current, copies, confirms, and adds keys.
"use strict";

// Parts with an id and "data-live" are replaced by what the server says now, unless somebody writes in them.
const served = new Map([...document.querySelectorAll("[data-live][id]")].map((part) => [part.id, still(part)]));
const here = new URL(document.body.dataset.at || location.href, location.href);
async function refresh(from = here) {
  const answer = await fetch(from, { headers: { Accept: "text/html" }, credentials: "same-origin", redirect: "manual" });
  if (answer.type === "opaqueredirect") signedOut();
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.title = fresh.title;
  for (const part of document.querySelectorAll("[data-live][id]")) {
    const next = fresh.getElementById(part.id);
    if (!next || served.get(part.id) === still(next)) continue;
    // What somebody may have written stays until it is of no use.
    if (part.dataset.live === "keep" && (next.children.length || written(part))) continue;
    const busy = part.contains(document.activeElement) ? document.activeElement : null;
    if (busy && writes(busy)) continue;
    const place = busy && placeOf(busy);
    const open = new Set([...part.querySelectorAll("details[open] > summary")].map(placeOf));
    served.set(part.id, still(next));
    part.replaceChildren(...next.childNodes);
    for (const one of part.querySelectorAll("details > summary")) if (open.has(placeOf(one))) one.parentElement.open = true;
    if (busy) [...part.querySelectorAll("a, button, summary")].find((one) => placeOf(one) === place)?.focus();
  }
  tell();
}

// What a part says, however long ago that is by now.
function still(part) { return part.innerHTML.replace(/(<time class="ago"[^>]*>)[^<]*/g, "$1"); }
const placeOf = (element) => element.getAttribute("href") || element.textContent;
const written = (part) => [...part.querySelectorAll("textarea")].some((one) => one.value !== one.defaultValue);
const writes = (element) => /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName);

// How long ago, as the server says it; the whole time is in the title, in the reader's own zone as well.
function tell() {
  for (const time of document.querySelectorAll("time.ago")) {
    const at = new Date(time.dateTime), away = (Date.now() - at) / 1000, far = Math.abs(away);
    if (!time.dataset.said) {
      time.dataset.said = "1";
      time.title += "\n" + at.toLocaleString([], { dateStyle: "medium", timeStyle: "short" }) + ", your time";
    }
    if (far >= 7 * 86400) continue;
    const [number, unit] = far < 3600 ? [far / 60, "min"] : far < 86400 ? [far / 3600, "h"] : [far / 86400, "day"];
    const words = `${Math.floor(number)} ${unit}${unit === "day" && number >= 2 ? "s" : ""}`;
    const text = far < 60 ? (away >= 0 ? "just now" : "in a moment") : away > 0 ? `${words} ago` : `in ${words}`;
    if (time.textContent !== text) time.textContent = text;
  }
}
tell();
setInterval(() => { if (!document.hidden) tell(); }, 30000);

// What the page says about its own connection.
const toast = document.getElementById("connection");
const signedOut = () => say("You are signed out.", "Sign in again");
function say(text, link = "") {
  if (!toast || toast.dataset.text === text) return;
  toast.dataset.text = text;
  toast.textContent = text;
  if (!link) return;
  const again = document.createElement("a");
  again.href = `/api/auth/login?next=${encodeURIComponent(here.pathname + here.search)}`;
  again.textContent = link;
  toast.append(" ", again);
}

const kinds = (document.body.dataset.live || "").split(" ").filter(Boolean);
if (kinds.length && "EventSource" in window) {
  let waiting = 0, trouble = 0, known = false, over = false;
  const later = () => { if (!waiting) waiting = setTimeout(() => { waiting = 0; refresh().catch(() => {}); }, 150); };
  let source = null;
  const lost = () => {
    if (!trouble) trouble = setTimeout(() => say("The connection is interrupted. What is shown may be old."), 4000);
    // A browser tries again by itself unless the answer was no stream.
    if (source?.readyState === EventSource.CLOSED) { source = null; setTimeout(probe, 2000); }
  };
  const probe = async () => {
    if (document.hidden || source) return;
    const answer = await fetch(here, { method: "HEAD", redirect: "manual" }).catch(() => null);
    over = answer?.type === "opaqueredirect";
    if (over) { clearTimeout(trouble); signedOut(); } else follow();
  };
  // A browser has few connections to one server, so only the page that is seen keeps a stream.
  const follow = () => {
    if (document.hidden) { source?.close(); source = null; return; }
    if (source || over) return;
    source = new EventSource("/dashboard/events");
    source.onmessage = (event) => { if (kinds.includes(event.data)) later(); };
    source.onerror = lost;
    source.onopen = () => {
      clearTimeout(trouble);
      trouble = 0;
      say("");
      // What happened while there was no stream is read when there is one again.
      if (known) later();
      known = true;
    };
  };
  document.addEventListener("visibilitychange", follow);
  addEventListener("pagehide", () => { source?.close(); source = null; });
  addEventListener("pageshow", follow);
  follow();
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const said = button.dataset.label || (button.dataset.label = button.textContent);
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Press Ctrl+C";
    const range = document.createRange();
    const source = button.previousElementSibling;
    if (source) { range.selectNodeContents(source); getSelection().removeAllRanges(); getSelection().addRange(range); }
  }
  setTimeout(() => { button.textContent = said; }, 1600);
});

document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !confirm(question)) { event.preventDefault(); return; }
  const button = event.submitter;
  if (button && !event.defaultPrevented && event.target.method === "post") setTimeout(() => { button.disabled = true; }, 0);
});
addEventListener("pageshow", () => { for (const button of document.querySelectorAll("button[disabled]:not([data-off])")) button.disabled = false; });

// On a phone the menu is one line, which may begin before this page.
document.querySelector(".side [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

for (const control of document.querySelectorAll("[data-submits]")) control.addEventListener("change", () => control.form.requestSubmit());

// "data-every" asks again after so many seconds, and once at the beginning, for as long as the page has it and is seen.
async function again() {
  const asking = document.querySelector("[data-every]");
  if (!asking) return;
  if (!document.hidden) await refresh(new URL(asking.dataset.from, here)).catch(() => {});
  setTimeout(again, 1000 * asking.dataset.every);
}
again();

// "data-key" on a link, button or field is pressed by its key, when nobody is writing; with "data-arm" by pressing it
// twice. Where nothing has them, j and k go through the rows of the page. Whoever is troubled by keys that act switches
// them off.
const help = document.getElementById("help");
const keysOff = () => localStorage.getItem("keys") === "off";
const showKeys = () => { document.body.classList.toggle("keys-off", keysOff()); for (const box of document.querySelectorAll("[data-keys]")) box.checked = !keysOff(); };
showKeys();
for (const button of document.querySelectorAll("[data-help]")) button.addEventListener("click", () => help.showModal());
document.addEventListener("change", (event) => {
  if (!event.target.matches("[data-keys]")) return;
  localStorage.setItem("keys", event.target.checked ? "on" : "off");
  showKeys();
});
function step(by) {
  const rows = [...document.querySelectorAll(".letter .what a, table.cards > tbody > tr > td:first-child > a")];
  const at = rows.indexOf(document.activeElement);
  rows[at < 0 ? 0 : Math.min(Math.max(at + by, 0), rows.length - 1)]?.focus();
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || keysOff() || (writes(event.target) && event.target.type !== "checkbox")) return;
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "?" && help) { event.preventDefault(); help.showModal(); return; }
  const target = document.querySelector(`[data-key~="${CSS.escape(event.key)}"]`);
  if (!target && (event.key === "j" || event.key === "k")) { step(event.key === "j" ? 1 : -1); return; }
  if (!target) return;
  event.preventDefault();
  const armed = !target.hasAttribute("data-arm") || document.activeElement === target;
  target.focus();
  if (armed && !writes(target)) target.click();
});
