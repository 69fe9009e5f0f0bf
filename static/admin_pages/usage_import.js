// Uploads a file in chunks, going on after a lost connection or a reload of the page; then shows how far an import is.
(function () {
  "use strict";
  const CHUNK = 4 * 1024 * 1024; // bytes
  const HEAD = 64 * 1024; // bytes of the beginning by which a file is known again
  const WAITS = [1, 2, 5, 10]; // seconds before the next try
  const POLL = 1000; // milliseconds

  class Refused extends Error {}

  // Not a secret: tells files of one name and size apart, also where the browser has no crypto (plain http).
  function hash(bytes) {
    let one = 0xdeadbeef;
    let two = 0x41c6ce57;
    for (const byte of bytes) {
      one = Math.imul(one ^ byte, 2654435761);
      two = Math.imul(two ^ byte, 1597334677);
    }
    return (one >>> 0).toString(16) + (two >>> 0).toString(16);
  }

  async function fingerprint(file) {
    const head = new Uint8Array(await file.slice(0, HEAD).arrayBuffer());
    return `${file.size}-${file.lastModified}-${hash(head)}`;
  }

  const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

  function startUpload(form) {
    const part = (selector) => form.querySelector(selector);
    const [bar, going, told, wrong] = ["progress", "[data-going]", "[data-told]", "[data-error]"].map(part);
    const [send, stop, input] = ["[type=submit]", "[data-stop]", "[type=file]"].map(part);
    input.hasChangeListener = true; // the theme would look for its own markup around the input
    let running = null; // an AbortController while a file is sent

    function say(words) {
      told.textContent = words;
    }
    function complain(words) {
      wrong.textContent = words;
      wrong.classList.toggle("ch-hidden", !words);
    }
    function show(isRunning) {
      going.classList.toggle("ch-hidden", !isRunning && !told.textContent);
      stop.classList.toggle("ch-hidden", !isRunning);
      for (const element of [send, input, form.elements.format, form.elements.dry_run]) element.disabled = isRunning;
    }
    function tell(offset, size) {
      const percent = size ? Math.floor((100 * offset) / size) : 100;
      bar.value = percent;
      say(`${(offset / 1e6).toFixed(1)} of ${(size / 1e6).toFixed(1)} MB, ${percent} %`);
    }

    async function post(url, body, type) {
      const headers = { "X-CSRFToken": form.elements.csrfmiddlewaretoken.value };
      if (type) headers["Content-Type"] = type;
      const answer = await fetch(url, { method: "POST", body, headers, signal: running.signal, redirect: "manual" });
      if (answer.ok) return answer.json();
      if (answer.type === "opaqueredirect") throw new Refused("You are signed out. Sign in again, and choose the file again.");
      const known = await answer.json().catch(() => null);
      // What the server refuses it will refuse again; a fault of its own, or a busy row, may pass.
      if (answer.status < 500 && answer.status !== 429) {
        throw new Refused((known && known.error && known.error.message) || "You may not upload this.");
      }
      throw new Error(`status ${answer.status}`);
    }

    async function persist(act) {
      for (let tries = 0; ; tries++) {
        try {
          return await act();
        } catch (error) {
          if (error instanceof Refused || running.signal.aborted) throw error;
          const wait = WAITS[Math.min(tries, WAITS.length - 1)];
          say(`The connection was lost. Trying again in ${wait} s.`);
          await pause(wait);
        }
      }
    }

    async function upload(file) {
      const fields = new FormData();
      fields.set("file_name", file.name);
      fields.set("size", file.size);
      fields.set("fingerprint", await fingerprint(file));
      fields.set("format", form.elements.format.value);
      if (form.elements.dry_run.checked) fields.set("dry_run", "on");
      const begun = await persist(() => post(form.dataset.begin, fields));
      let offset = begun.offset;
      while (offset < file.size) {
        tell(offset, file.size);
        const chunk = file.slice(offset, offset + CHUNK);
        const at = offset;
        offset = (await persist(() => post(`${begun.content}?offset=${at}`, chunk, "application/octet-stream"))).offset;
      }
      tell(file.size, file.size);
      window.location.assign(begun.page);
    }

    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const file = input.files[0];
      complain("");
      if (!file) return complain("Choose a file first.");
      if (file.size > Number(form.dataset.most)) return complain("The file is larger than 1 GB. Split it into several.");
      running = new AbortController();
      say("Starting…");
      show(true);
      try {
        await upload(file);
      } catch (error) {
        const stopped = running.signal.aborted;
        if (stopped) say(`Paused at ${bar.value} %. Press Upload to go on.`);
        else say("");
        if (!stopped) complain(error instanceof Refused ? error.message : "The file cannot be read any more. Choose it again.");
        show(false);
      }
    });
    stop.addEventListener("click", () => running && running.abort());
  }

  async function watch(panel) {
    for (;;) {
      await pause(POLL / 1000);
      if (document.hidden) continue;
      try {
        const answer = await fetch(panel.dataset.url, { redirect: "manual" });
        if (!answer.ok) continue;
        panel.innerHTML = await answer.text(); // escaped by the server
        if (!panel.querySelector("[data-open]")) return window.location.reload(); // with its refused rows
      } catch (error) {
        // The next look may find the server again.
      }
    }
  }

  function start() {
    const form = document.getElementById("usage-import-upload");
    const panel = document.getElementById("usage-import-progress");
    if (form) startUpload(form);
    if (panel && panel.dataset.url) watch(panel);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
