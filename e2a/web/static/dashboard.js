// The pages work without this script. It keeps them current, copies, confirms, and adds keys.
"use strict";

// Parts with an id and "data-live" are replaced by what the server says now, unless somebody writes in them.
async function refresh(from = location.href) {
  const answer = await fetch(from, { headers: { Accept: "text/html" }, credentials: "same-origin" });
  if (!answer.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.title = fresh.title;
  for (const part of document.querySelectorAll("[data-live][id]")) {
    const next = fresh.getElementById(part.id);
    if (!next || part.innerHTML === next.innerHTML) continue;
    // What somebody may have written stays until it is of no use.
    if (part.dataset.live === "keep" && next.children.length) continue;
    const busy = part.contains(document.activeElement) ? document.activeElement : null;
    if (busy && writes(busy)) continue;
    const place = busy && (busy.getAttribute("href") || busy.textContent);
    part.replaceChildren(...next.childNodes);
    if (busy) [...part.querySelectorAll("a, button, summary")].find((one) => (one.getAttribute("href") || one.textContent) === place)?.focus();
  }
}

const writes = (element) => /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName);

const kinds = (document.body.dataset.live || "").split(" ").filter(Boolean);
if (kinds.length && "EventSource" in window) {
  let waiting = 0;
  let known = false;
  const later = () => { if (!waiting) waiting = setTimeout(() => { waiting = 0; refresh().catch(() => {}); }, 150); };
  let source = null;
  // A browser has few connections to one server, so only the page that is seen keeps a stream.
  const follow = () => {
    if (document.hidden) { source?.close(); source = null; return; }
    if (source) return;
    source = new EventSource("/dashboard/events");
    source.onmessage = (event) => { if (kinds.includes(event.data)) later(); };
    // What happened while there was no stream is read when there is one again.
    source.onopen = () => { if (known) later(); known = true; };
  };
  document.addEventListener("visibilitychange", follow);
  addEventListener("pagehide", () => { source?.close(); source = null; });
  addEventListener("pageshow", follow);
  follow();
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const said = button.textContent;
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
  if (button && !event.defaultPrevented) setTimeout(() => { button.disabled = true; }, 0);
});
addEventListener("pageshow", () => { for (const button of document.querySelectorAll("button[disabled]:not([data-off])")) button.disabled = false; });

for (const control of document.querySelectorAll("[data-submits]")) control.addEventListener("change", () => control.form.requestSubmit());

// "data-every" asks again after so many seconds, and once at the beginning, for as long as the page has it and is seen.
async function again() {
  const asking = document.querySelector("[data-every]");
  if (!asking) return;
  if (!document.hidden) await refresh(new URL(asking.dataset.from, location.href)).catch(() => {});
  setTimeout(again, 1000 * asking.dataset.every);
}
again();

// "data-key" on a link, button or field is pressed by its key, when nobody is writing; with "data-arm" by pressing it
// twice. Whoever is troubled by keys that act switches them off.
const keysOff = () => localStorage.getItem("keys") === "off";
const showKeys = () => { document.body.classList.toggle("keys-off", keysOff()); for (const box of document.querySelectorAll("[data-keys]")) box.checked = !keysOff(); };
showKeys();
document.addEventListener("change", (event) => {
  if (!event.target.matches("[data-keys]")) return;
  localStorage.setItem("keys", event.target.checked ? "on" : "off");
  showKeys();
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || keysOff() || (writes(event.target) && event.target.type !== "checkbox")) return;
  const target = document.querySelector(`[data-key~="${CSS.escape(event.key)}"]`);
  if (!target) return;
  event.preventDefault();
  const armed = !target.hasAttribute("data-arm") || document.activeElement === target;
  target.focus();
  if (armed && !writes(target)) target.click();
});
