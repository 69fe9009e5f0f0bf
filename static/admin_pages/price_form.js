// Shows the fields that the chosen scheme has, and asks the server what the price would cost while it is filled in.
(function () {
  "use strict";
  const PAUSE = 250; // milliseconds without typing before the server is asked

  function rowOf(form, name) {
    const field = form.querySelector(`[name="${name}"]`);
    return field && (field.closest(".field-" + name) || field.closest(".field-row") || field.closest(".form-row"));
  }

  function fit(form) {
    const scheme = form.elements.scheme.value;
    const tiered = scheme === "graduated" || scheme === "volume";
    const show = (element, wanted) => element && element.classList.toggle("ch-hidden", !wanted);
    show(rowOf(form, "unit_amount_decimal"), !tiered);
    show(rowOf(form, "transform_divide_by"), scheme === "package");
    show(rowOf(form, "transform_round"), scheme === "package");
    show(document.getElementById("tiers-group"), tiered);
  }

  function start() {
    const panel = document.getElementById("price-samples");
    const form = panel && panel.closest("form");
    if (!form || !form.elements.scheme) return;
    const shown = panel.querySelector("[data-samples]");
    let timer = 0;
    let latest = 0;

    async function ask() {
      const number = ++latest;
      try {
        const answer = await fetch(panel.dataset.url, { method: "POST", body: new FormData(form) });
        const text = await answer.text();
        if (number === latest && answer.ok) shown.innerHTML = text; // escaped by the server
      } catch (error) {
        if (number === latest) shown.textContent = "The server did not answer; what is shown here may be old.";
      }
    }
    function changed() {
      fit(form);
      clearTimeout(timer);
      timer = setTimeout(ask, PAUSE);
    }
    form.addEventListener("input", changed);
    form.addEventListener("change", changed);
    document.addEventListener("formset:added", changed);
    document.addEventListener("formset:removed", changed);
    changed();
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
