// The CRM's page: it asks its own server each second which call there is, shows the
// call's screen in a frame, and shows what the CRM holds as it changes.
"use strict";
(() => {
  const records = document.getElementById("records"), wait = document.getElementById("wait");
  const into = document.getElementById("screen"), wrong = document.getElementById("wrong");
  let shown = "", open = null;

  async function calls() {
    const answer = await fetch("/call?shown=" + encodeURIComponent(shown));
    const call = await answer.json();
    wrong.hidden = answer.ok;
    if (!answer.ok) {
      wrong.textContent = call.message;
      return;
    }
    if (!call.screen || !window.Jackfield) return;
    if (open) open.close();
    shown = call.id;
    wait.hidden = true;
    open = window.Jackfield.open({ url: call.screen, into, title: "The call" });
  }

  async function holdings() {
    const answer = await fetch("/records");
    const text = await answer.text();
    const next = new DOMParser().parseFromString(text, "text/html").body;
    const old = records.cloneNode(true);
    old.querySelectorAll(".jackfield-call").forEach((b) => b.remove()); // embed.js put them there
    if (answer.ok && next.textContent.trim() !== old.textContent.trim()) records.replaceChildren(...next.childNodes);
  }

  async function turn() {
    try {
      await calls();
      await holdings();
    } catch {
      // the CRM is away; it is asked again
    }
    setTimeout(turn, 1000);
  }

  document.addEventListener("jackfield:call", async (e) => {
    await fetch("/dial", { method: "POST", body: JSON.stringify({ number: e.detail.number, userInfo: e.detail.userInfo }) });
  });
  turn();
})();
