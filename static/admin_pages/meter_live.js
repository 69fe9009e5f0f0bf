// Keeps the figures of a meter's page current while the page is looked at. Without it they are as of the page's load.
(function () {
  "use strict";
  const PAUSE = 4000; // milliseconds between an answer and the next question
  const SHARE = 10; // the server rests this many times as long as it worked

  function start() {
    const panel = document.querySelector("[data-live-url]");
    if (!panel) return;
    const state = panel.querySelector("[data-live-state]");
    const figures = panel.querySelector("[data-live-figures]");
    let shown = "";

    function say(words, on) {
      state.textContent = words;
      state.classList.toggle("ch-good", on);
    }
    async function ask() {
      if (document.hidden) return wait(PAUSE);
      const began = Date.now();
      try {
        const answer = await fetch(panel.dataset.liveUrl, { headers: { Accept: "application/json" } });
        if (!answer.ok || answer.redirected) return say("Not live: sign in again and reload the page", false);
        const told = await answer.json();
        if (told.html !== shown && !figures.contains(document.activeElement)) {
          figures.innerHTML = told.html; // escaped by the server
          shown = told.html;
        }
        if (!told.more) return say("Not live: too many events", false);
        say("Live", true);
      } catch (error) {
        say("The server does not answer; trying again", false);
      }
      wait(Math.max(PAUSE, SHARE * (Date.now() - began)));
    }
    function wait(pause) {
      setTimeout(ask, pause);
    }
    ask();
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
