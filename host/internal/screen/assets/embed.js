// embed.js, for the pages of a CRM: it puts call buttons where an integration's info
// says (renderTooltip), reads what it says from the page (userInfo), and opens the
// screen of a call in an iframe.
//
//   <script src="https://HOST/embed.js" data-config="/jackfield.json" defer></script>
//
// data-config is an address of the page's own origin with the integration's info as the
// host's API tells it. A page that has the info says Jackfield.start({info}) itself. A
// click on a button is the event "jackfield:call" on the button, which bubbles: detail
// has number, userInfo and element. Jackfield.open({url, into}) shows a screen.
//
// It works under a page's Content-Security-Policy that allows script-src and frame-src
// of the host: it makes no markup of text, and has no inline script or style.
"use strict";
(() => {
  const schema = "jackfield.screen.v1";
  const me = document.currentScript;
  const most = { perRule: 200, buttons: 500, rules: 50, text: 1024 };
  const quiet = 250; // ms that a page has to be left alone after a change

  // number returns what of a text is a number to call, or "".
  function number(text) {
    text = (text || "").trim();
    if (text.length > 64 || !/^\+?[\d\s().\/*#\u00a0-]+$/.test(text)) return "";
    const digits = text.replace(/[^\d*#]/g, "");
    return digits.length < 3 || digits.length > 24 ? "" : (text.startsWith("+") ? "+" : "") + digits;
  }

  function textOf(el) {
    if (el instanceof HTMLAnchorElement && el.protocol === "tel:") {
      try {
        return decodeURIComponent(el.href.slice(4).split(";")[0]);
      } catch {
        return "";
      }
    }
    if ("value" in el && typeof el.value === "string") return el.value;
    return el.textContent.length > most.text * 16 ? "" : el.textContent;
  }

  function rules(list, keys) {
    return (Array.isArray(list) ? list : []).slice(0, most.rules).filter((r) => r && keys.every((k) => typeof r[k] === "string"));
  }

  // find returns the elements that a rule is for on this page.
  function find(rule, limit) {
    if (!location.href.includes(rule.path)) return [];
    try {
      const found = document.querySelectorAll(rule.element), out = [];
      for (let i = 0; i < found.length && out.length < limit; i++) out.push(found[i]);
      return out;
    } catch {
      if (!rule.bad) console.warn("jackfield: this is no selector:", rule.element);
      rule.bad = true;
      return [];
    }
  }

  // start puts buttons on the page, and keeps them right while it changes.
  function start(options) {
    const info = (options && options.info) || {};
    const tooltips = rules(info.renderTooltip, ["path", "element"]).map((r) => ({ ...r }));
    const wanted = rules(info.userInfo, ["field", "path", "element"]).map((r) => ({ ...r }));
    const buttons = new Map(); // by the element that they stand behind
    let timer = 0, stopped = false, scans = 0;

    function userInfo() {
      const out = Object.create(null);
      for (const rule of wanted) {
        const [el] = find(rule, 1);
        if (!el || rule.field in out) continue;
        const value = textOf(el).trim().slice(0, most.text);
        if (value) out[rule.field] = value;
      }
      return { ...out };
    }

    function button(el, digits) {
      const b = document.createElement("button");
      b.type = "button";
      b.className = "jackfield-call";
      b.textContent = "\u260e";
      b.style.marginInlineStart = "0.4em";
      b.style.font = "inherit";
      b.style.cursor = "pointer";
      b.addEventListener("click", (e) => {
        if (!e.isTrusted) return; // a person, not a script of the page
        e.preventDefault();
        e.stopPropagation();
        b.dispatchEvent(new CustomEvent("jackfield:call", { bubbles: true, composed: true, detail: { number: buttons.get(el)?.digits, userInfo: userInfo(), element: el } }));
      });
      label(b, digits);
      el.insertAdjacentElement("afterend", b);
      return b;
    }

    function label(b, digits) {
      b.setAttribute("aria-label", "Call " + digits);
      b.title = "Call " + digits;
    }

    function scan() {
      timer = 0;
      if (stopped) return;
      scans++;
      const here = new Map();
      for (const rule of tooltips) {
        for (const el of find(rule, Math.min(most.perRule, most.buttons - here.size))) {
          const digits = number(textOf(el));
          if (digits && el.parentNode && !el.classList.contains("jackfield-call")) here.set(el, digits);
        }
      }
      for (const [el, made] of buttons) {
        if (here.has(el) && made.b.previousElementSibling === el) continue;
        made.b.remove();
        buttons.delete(el);
      }
      for (const [el, digits] of here) {
        const made = buttons.get(el);
        if (!made) buttons.set(el, { b: button(el, digits), digits });
        else if (made.digits !== digits) {
          made.digits = digits;
          label(made.b, digits);
        }
      }
      observer.takeRecords(); // what was just done is no news
    }

    function soon() {
      if (!timer && !stopped) timer = setTimeout(() => (window.requestIdleCallback ? requestIdleCallback(scan, { timeout: 1000 }) : scan()), quiet);
    }

    const observer = new MutationObserver(soon);
    if (tooltips.length > 0) {
      observer.observe(document.documentElement, { childList: true, subtree: true, characterData: true });
      for (const name of ["popstate", "hashchange"]) window.addEventListener(name, soon);
      scan();
    }
    return {
      userInfo,
      scans: () => scans,
      stop() {
        stopped = true;
        clearTimeout(timer);
        observer.disconnect();
        for (const name of ["popstate", "hashchange"]) window.removeEventListener(name, soon);
        for (const made of buttons.values()) made.b.remove();
        buttons.clear();
      },
    };
  }

  function random() {
    return [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
  }

  // open shows the screen that a ticket's address opens, in an element of the page.
  // Options: url, into, title, on(type, message): ready, state, over.
  function open(options) {
    const at = new URL(options.url);
    if (at.protocol !== "https:" && at.protocol !== "http:") throw new Error("jackfield: not the address of a screen");
    const nonce = random();
    at.hash = nonce;
    const frame = document.createElement("iframe");
    frame.title = options.title || "Call";
    frame.setAttribute("sandbox", "allow-scripts allow-forms allow-same-origin allow-popups allow-popups-to-escape-sandbox");
    frame.style.width = "100%";
    frame.style.border = "0";
    frame.style.height = "420px";

    function hear(e) {
      const m = e.data;
      if (e.origin !== at.origin || e.source !== frame.contentWindow) return;
      if (m === null || typeof m !== "object" || m.schema !== schema || m.nonce !== nonce) return;
      switch (m.type) {
        case "ready":
          frame.contentWindow.postMessage({ schema, nonce, type: "hello" }, at.origin);
          break;
        case "height":
          if (Number.isFinite(m.height)) frame.style.height = Math.min(4000, Math.max(80, Math.ceil(m.height))) + "px";
          break;
        case "call": {
          const digits = number(m.number);
          if (digits) frame.dispatchEvent(new CustomEvent("jackfield:call", { bubbles: true, composed: true, detail: { number: digits, userInfo: {}, element: frame } }));
          break;
        }
        case "state":
        case "over":
          break;
        default:
          return;
      }
      if (typeof options.on === "function") options.on(m.type, { state: typeof m.state === "string" ? m.state : undefined });
    }

    window.addEventListener("message", hear);
    frame.src = at.href;
    options.into.append(frame);
    return {
      frame,
      close() {
        window.removeEventListener("message", hear);
        frame.remove();
      },
    };
  }

  const api = Object.freeze({ start, open });
  if (!window.Jackfield) Object.defineProperty(window, "Jackfield", { value: api });
  const config = me && me.dataset.config;
  if (!config) return;
  const at = new URL(config, location.href);
  if (at.origin !== location.origin) {
    console.warn("jackfield: data-config is of another origin:", at.origin);
    return;
  }
  fetch(at, { credentials: "same-origin", headers: { accept: "application/json" } })
    .then((r) => (r.ok ? r.json() : Promise.reject(new Error("status " + r.status))))
    .then((c) => start(c && c.info ? c : { info: c }))
    .catch((err) => console.warn("jackfield: data-config cannot be read:", err.message));
})();
