"use strict";
// Live updates and copying. Everything is there to read without this file.
(() => {
  for (const button of document.querySelectorAll("[data-copy]")) bind(button);

  function bind(button) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = document.getElementById(button.dataset.copy).textContent;
      try {
        await navigator.clipboard.writeText(text);
        said(button, "Copied");
      } catch {
        // Without TLS a browser lets nobody write: the text is selected for the keyboard.
        getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
        said(button, "Selected");
      }
    });
  }

  function said(button, word) {
    const before = button.firstChild.textContent;
    button.firstChild.textContent = word;
    setTimeout(() => (button.firstChild.textContent = before), 2000);
  }

  if (!document.body.hasAttribute("data-live") || !window.EventSource) return;
  const clock = document.getElementById("as-of");
  let due = false;
  let busy = false;
  let last = 0;

  // At most every 2 s, and only what differs.
  async function refresh() {
    if (busy || document.hidden) return (due = true);
    const wait = last + 2000 - Date.now();
    if (wait > 0) {
      if (!due) setTimeout(refresh, wait);
      return (due = true);
    }
    busy = true;
    due = false;
    last = Date.now();
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      // To the login. A reload would submit once more the form that led to this page.
      if (answer.redirected) return location.assign(answer.url);
      if (!answer.ok) return stale("Not updated since ");
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      swap(page);
    } catch {
      stale("No contact since ");
    } finally {
      busy = false;
    }
  }

  function swap(page) {
    list(page);
    for (const old of document.querySelectorAll("[data-card]")) {
      const fresh = page.getElementById(old.id);
      if (!fresh || fresh.outerHTML === old.outerHTML || isInUse(old)) continue;
      old.replaceWith(fresh);
      fresh.querySelectorAll("[data-copy]").forEach(bind);
    }
    document.title = page.title;
    const fresh = page.getElementById("as-of");
    if (clock && fresh) clock.innerHTML = fresh.innerHTML;
  }

  // The list of events does not move under a reader: it says how many are new.
  function list(page) {
    const old = document.querySelector("[data-list]");
    const fresh = old && page.getElementById(old.id);
    if (!fresh) return;
    const links = (of) => [...of.querySelectorAll("td.main a")].map((a) => a.getAttribute("href"));
    const known = new Set(links(old));
    const count = links(fresh).filter((link) => !known.has(link)).length;
    let note = document.getElementById("new-events");
    if (!count) return note && note.remove();
    if (!note) {
      note = document.createElement("p");
      note.id = "new-events";
      note.setAttribute("role", "status");
      old.before(note);
    }
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `${count} new: show`;
    button.addEventListener("click", () => {
      old.replaceWith(fresh);
      note.remove();
    });
    note.replaceChildren(button);
  }

  // What holds the focus, a selection, a ticked box or an open detail stays as it is.
  function isInUse(card) {
    const selection = getSelection();
    const selected = !selection.isCollapsed && selection.containsNode(card, true);
    return selected || card.contains(document.activeElement) || card.querySelector("details[open], :checked");
  }

  function stale(words) {
    if (clock) clock.firstChild.textContent = words;
  }

  // A stream ends once a minute and begins anew; only one that does not is lost.
  let waits = 0;
  const events = new EventSource("/live");
  events.addEventListener("open", () => clearTimeout(waits));
  events.addEventListener("changed", refresh);
  events.addEventListener("error", () => {
    clearTimeout(waits);
    waits = setTimeout(stale, 10000, "No contact since ");
  });
  document.addEventListener("visibilitychange", () => due && refresh());
})();
