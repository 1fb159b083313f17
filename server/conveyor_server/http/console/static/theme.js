// Light or dark: as the system is, until the button says otherwise. Runs before the page is painted.
"use strict";

(() => {
  const KEY = "conveyor-theme";
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");

  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

  function show() {
    const button = document.getElementById("theme");
    button.setAttribute("aria-pressed", String(isDark()));
    document.dispatchEvent(new Event("theme-changed"));
  }

  // Storage may be forbidden; then the choice lasts as long as the page.
  try {
    const chosen = localStorage.getItem(KEY);
    if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;
  } catch {}

  document.addEventListener("DOMContentLoaded", () => {
    show();
    system.addEventListener("change", show);
    document.getElementById("theme").addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      try {
        localStorage.setItem(KEY, root.dataset.theme);
      } catch {}
      show();
    });
  });
})();
