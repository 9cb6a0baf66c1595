// The script of a screen: it follows the call, and talks to the page that embeds the
// screen. It makes no markup of text: what is new is read as a page of its own, whose
// nodes take the place of those that changed.
"use strict";
(() => {
  const root = document.documentElement;
  const here = "/screen/c/" + root.dataset.screen;
  const origin = root.dataset.origin; // of the page that embeds this one
  const nonce = location.hash.slice(1); // from that page alone: fragments are not sent
  const schema = "jackfield.screen.v1";
  const embedded = window.parent !== window && Boolean(origin) && nonce.length >= 16;

  function say(type, more) {
    if (embedded) window.parent.postMessage({ schema, nonce, type, ...more }, origin);
  }

  let greeted = false; // the page answered: it takes calls
  window.addEventListener("message", (e) => {
    const m = e.data;
    if (!embedded || e.origin !== origin || e.source !== window.parent) return;
    if (m === null || typeof m !== "object" || m.schema !== schema || m.nonce !== nonce) return;
    if (m.type === "hello") greeted = true;
  });

  // The nonce stays in the address whatever is sent or followed here.
  function keepNonce() {
    for (const form of document.forms) {
      const at = new URL(form.getAttribute("action"), location.href);
      at.hash = location.hash;
      form.setAttribute("action", at.href);
    }
  }

  function localTimes(within) {
    for (const el of within.querySelectorAll("time[datetime]")) {
      const at = new Date(el.dateTime);
      if (!Number.isNaN(at.getTime())) el.textContent = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
    }
  }

  // busy reports whether somebody types in a part, or has typed.
  function busy(part) {
    if (part.contains(document.activeElement) && part.querySelector("form[data-form], form fieldset")) return true;
    if (part.querySelector("form[data-wrong]")) return true;
    for (const el of part.querySelectorAll("input:not([type=hidden]), textarea, select")) {
      if (el.type === "checkbox" || el.type === "radio") {
        if (el.checked !== el.defaultChecked) return true;
      } else if (el.tagName === "SELECT") {
        const was = [...el.options].findIndex((o) => o.defaultSelected);
        if (el.selectedIndex !== Math.max(was, 0)) return true;
      } else if (el.value !== el.defaultValue) return true;
    }
    return false;
  }

  // take makes the parts of this page those of another: by their ids, in their order.
  function take(page) {
    localTimes(page);
    if (page.documentElement.dataset.screen !== root.dataset.screen) return;
    if (document.title !== page.title) document.title = page.title;
    replace(document.getElementById("call"), page.getElementById("call"));
    const main = document.getElementById("main");
    const fresh = page.getElementById("main");
    if (!main || !fresh) return;
    let after = null;
    for (const part of [...fresh.children]) {
      const old = document.getElementById(part.id);
      const stays = old && old.parentNode === main ? replace(old, part) : document.importNode(part, true);
      const next = after ? after.nextElementSibling : main.firstElementChild;
      if (next !== stays) main.insertBefore(stays, next);
      after = stays;
    }
    for (const part of [...main.children]) {
      if (!page.getElementById(part.id) && !busy(part)) part.remove();
    }
    keepNonce();
    tellHeight();
  }

  function bare(node) {
    const copy = node.cloneNode(true);
    for (const form of copy.querySelectorAll("form")) form.removeAttribute("action");
    for (const once of copy.querySelectorAll("input[name=once]")) once.removeAttribute("value"); // each page has its own
    return copy;
  }

  function replace(old, part) {
    if (!old || !part) return old;
    if (bare(old).isEqualNode(bare(part)) || busy(old)) return old;
    if (old.id === "told" && document.querySelector("form[data-wrong]")) return old;
    if (old.id === "call") { // the status is read out if it changes, not when it is put there
      const was = old.querySelector("#status"), is = part.querySelector("#status");
      old.dataset.state = part.dataset.state;
      if (was && is && was.textContent !== is.textContent) was.replaceChildren(...document.importNode(is, true).childNodes);
      for (const what of ["h1", ".facts"]) {
        const a = old.querySelector(what), b = part.querySelector(what);
        if (a && b && !a.isEqualNode(b)) a.replaceWith(document.importNode(b, true));
      }
      return old;
    }
    const fresh = document.importNode(part, true);
    old.replaceWith(fresh);
    return fresh;
  }

  let reading = false, again = false;
  function read() {
    if (reading) {
      again = true;
      return;
    }
    reading = true;
    const ask = new XMLHttpRequest();
    ask.open("GET", here);
    ask.responseType = "document"; // parsed without being run
    ask.timeout = 15000;
    ask.onloadend = () => {
      reading = false;
      if (done) return; // it was told of the end meanwhile
      if (ask.status === 200 && ask.response) {
        take(ask.response);
        say("state", { state: document.getElementById("call").dataset.state });
      } else if (ask.status === 410) over(ask.response && ask.response.querySelector("main.problem h1")?.textContent);
      else if (ask.status >= 400 && ask.status < 500) over();
      if (again) {
        again = false;
        read();
      }
    };
    ask.send();
  }

  let stream = null, timer = 0, done = false;
  function follow() {
    stream = new EventSource(here + "/events");
    stream.addEventListener("open", () => lost(false));
    stream.addEventListener("changed", read);
    stream.addEventListener("over", (e) => over(JSON.parse(e.data).why));
    stream.addEventListener("error", () => {
      lost(true);
      if (stream.readyState !== EventSource.CLOSED || done) return; // it tries again by itself
      read(); // no place to follow: look now and then
      timer = setTimeout(follow, 5000);
    });
  }

  function lost(is) {
    const el = document.getElementById("lost");
    if (el) el.hidden = !is || done;
  }

  function over(why) {
    if (done) return;
    done = true;
    clearTimeout(timer);
    if (stream) stream.close();
    lost(false);
    for (const el of document.querySelectorAll("button, input, select, textarea")) el.disabled = true;
    const p = document.createElement("p");
    p.className = "note";
    p.textContent = why || "This screen is over.";
    document.getElementById("told").replaceChildren(p);
    say("over");
    tellHeight();
  }

  let height = 0;
  function tellHeight() {
    const now = Math.ceil(document.body.getBoundingClientRect().height);
    if (now !== height) say("height", { height: now });
    height = now;
  }

  document.addEventListener("click", (e) => {
    const a = e.target instanceof Element && e.target.closest("a[data-dial]");
    if (!a || !greeted) return;
    e.preventDefault();
    say("call", { number: a.dataset.dial });
  });
  document.addEventListener("submit", (e) => { // once
    for (const b of e.target.querySelectorAll("button")) setTimeout(() => { b.disabled = true; }, 0);
  });

  if (location.hash) keepNonce();
  localTimes(document);
  const wrong = document.querySelector("[aria-invalid]");
  if (wrong) wrong.focus();
  new ResizeObserver(tellHeight).observe(document.body);
  say("ready", { state: document.getElementById("call").dataset.state });
  follow();
})();
