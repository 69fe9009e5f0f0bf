// A button with data-copy copies the text of the element of that id, and says whether it could.
(function () {
  "use strict";

  // The clipboard of a page without https is closed; there the older way is tried, on the selected text.
  async function copy(source) {
    if (navigator.clipboard) return navigator.clipboard.writeText(source.textContent);
    window.getSelection().selectAllChildren(source);
    if (!document.execCommand("copy")) throw new Error("refused");
  }

  document.querySelectorAll("[data-copy]").forEach((button) => {
    const status = button.parentElement.querySelector("[role=status]");
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy);
      try {
        await copy(source);
        status.textContent = "Copied.";
      } catch (error) {
        window.getSelection().selectAllChildren(source);
        status.textContent = "The browser did not allow it: the key is selected, copy it by hand.";
      }
    });
  });
})();
