// A meter whose values are levels has no window: hides that field while such a formula is chosen.
(function () {
  "use strict";
  function start() {
    const formulas = document.querySelectorAll('input[name="formula"]');
    const field = document.querySelector('select[name="event_time_window"]');
    const row = field && (field.closest(".field-event_time_window") || field.closest(".form-row"));
    if (!formulas.length || !row) return;
    function fit() {
      const chosen = document.querySelector('input[name="formula"]:checked');
      const held = Boolean(chosen) && chosen.value === "time_weighted_sum";
      const wrong = row.querySelector(".errorlist");
      if (held && !wrong) field.value = "";
      row.classList.toggle("ch-hidden", held && !wrong);
    }
    formulas.forEach((formula) => formula.addEventListener("change", fit));
    fit();
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
