
"use strict";
(() => {
  // Everything is in the document without this script, too: it exchanges what has changed, and keeps where the reader is.
  const interval = 5000;
  const summary = document.getElementById("summary");
  const live = document.getElementById("live");
  const fresh = document.getElementById("fresh");
  const filter = document.getElementById("filter");
  const dialog = document.getElementById("drain");
  let turn = 0;

  function isBusy() {
    const selection = getSelection();
    return document.hidden || (selection && selection.type === "Range" && live.parentElement.contains(selection.anchorNode));
  }

  // What the focus is on, so that its successor gets it.
  function mark(element) {
    if (!element || !live.contains(element)) return null;
    const kind = element.tagName.toLowerCase();
    return {selector: kind, index: [...live.querySelectorAll(kind)].indexOf(element), text: element.textContent};
  }

  async function refresh() {
    const own = ++turn;
    try {
      const answer = await fetch(location.href, {headers: {Accept: "text/html"}});
      if (!answer.ok) throw new Error("HTTP " + answer.status);
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (own !== turn || isBusy()) return;
      const open = new Set([...live.querySelectorAll("details[open]")].map(item => item.dataset.key));
      const focus = mark(document.activeElement);
      live.replaceChildren(...next.getElementById("live").childNodes);
      // Only what is new is read aloud.
      const told = next.getElementById("summary");
      if (summary.innerHTML !== told.innerHTML) summary.replaceChildren(...told.childNodes);
      for (const item of live.querySelectorAll("details")) item.open = open.has(item.dataset.key);
      if (focus) {
        const all = [...live.querySelectorAll(focus.selector)];
        const same = all.filter(item => item.textContent === focus.text);
        (same.length === 1 ? same[0] : all[focus.index] || live).focus({preventScroll: true});
      }
      fresh.replaceChildren(...next.getElementById("fresh").childNodes);
      fresh.classList.remove("stale");
    } catch (error) {
      if (own !== turn) return;
      fresh.classList.add("stale");
      fresh.textContent = "The agent does not answer (" + error.message + "); this is what was last known.";
    }
  }

  function go(address) {
    history.replaceState(null, "", address);
    return refresh();
  }

  let typing;
  function search() {
    clearTimeout(typing);
    go("/?" + new URLSearchParams(new FormData(filter)));
  }
  filter.addEventListener("submit", event => { event.preventDefault(); search(); });
  filter.addEventListener("change", search);
  filter.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(search, 200); });

  document.addEventListener("click", event => {
    const link = event.target.closest("a");
    if (!link) return;
    if (link.closest("thead")) {
      event.preventDefault();
      filter.elements.sort.value = new URL(link.href).searchParams.get("sort") || "state";
      go(link.href);
    } else if ("drain" in link.dataset && dialog) {
      event.preventDefault();
      const form = dialog.querySelector("form");
      form.elements.mark.value = link.dataset.drain;
      complain("");
      dialog.showModal();
      form.elements[link.dataset.drain ? "reason" : "mark"].focus();
    } else if ("close" in link.dataset && dialog) {
      event.preventDefault();
      dialog.close();
    }
  });

  function complain(sentence) {
    const notice = dialog && dialog.querySelector(".notice");
    if (!notice) return sentence && alert(sentence);
    notice.textContent = sentence;
    notice.hidden = !sentence;
    if (sentence && !dialog.open) dialog.showModal();
  }

  // Downtimes: sent without leaving the page.
  document.addEventListener("submit", async event => {
    const form = event.target;
    if (form.method !== "post") return;
    event.preventDefault();
    const fields = new URLSearchParams(new FormData(form));
    if (event.submitter) fields.set(event.submitter.name, event.submitter.value);
    try {
      const answer = await fetch("/", {method: "POST", headers: {Accept: "text/html"}, body: fields});
      if (!answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const notice = page.querySelector("body > .notice");
        return complain(notice ? notice.textContent : "HTTP " + answer.status);
      }
      if (dialog && dialog.open) dialog.close();
      await refresh();
    } catch (error) {
      complain("The agent does not answer: " + error.message);
    }
  });

  // Opened by a link without this script.
  if (dialog && dialog.open) { dialog.close(); dialog.showModal(); }
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  setInterval(() => { if (!isBusy()) refresh(); }, interval);
})();
