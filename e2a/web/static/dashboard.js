// The pages work without this script. It keeps them current, copies, confirms, and adds keys.
"use strict";

// Parts with an id and "data-live" are replaced by what the server says now, unless somebody is busy in them.
async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" });
  if (!answer.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.title = fresh.title;
  for (const part of document.querySelectorAll("[data-live][id]")) {
    const next = fresh.getElementById(part.id);
    if (!next || part.innerHTML === next.innerHTML || part.contains(document.activeElement)) continue;
    part.replaceChildren(...next.childNodes);
  }
}

const kinds = (document.body.dataset.live || "").split(" ").filter(Boolean);
if (kinds.length && "EventSource" in window) {
  let waiting = 0;
  let known = false;
  const later = () => { if (!waiting) waiting = setTimeout(() => { waiting = 0; refresh().catch(() => {}); }, 150); };
  const source = new EventSource("/dashboard/events");
  source.onmessage = (event) => { if (kinds.includes(event.data)) later(); };
  // What happened while there was no stream is read when there is one again.
  source.onopen = () => { if (known) later(); known = true; };
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

// "data-key" on a link or button is pressed by its key, when nobody is writing.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
  const target = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (target) { event.preventDefault(); target.click(); target.focus(); }
});
