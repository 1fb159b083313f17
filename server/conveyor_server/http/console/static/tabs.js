// Tabs, by mouse and by keyboard, as ARIA has them.

import { h } from "./dom.js";

let made = 0;

/** `parts` are {name, content}; `content()` gives the element when its tab is first chosen. */
export function tabs(label, parts) {
  const group = `tabs-${(made += 1)}`;
  const panels = parts.map((part, index) =>
    h("div", { role: "tabpanel", id: `${group}-panel-${index}`, "aria-labelledby": `${group}-${index}`, hidden: true }),
  );
  const buttons = parts.map((part, index) =>
    h(
      "button",
      {
        type: "button",
        role: "tab",
        id: `${group}-${index}`,
        "aria-controls": `${group}-panel-${index}`,
        onclick: () => choose(index),
      },
      part.name,
    ),
  );

  function choose(chosen) {
    buttons.forEach((button, index) => {
      button.setAttribute("aria-selected", String(index === chosen));
      button.tabIndex = index === chosen ? 0 : -1;
      panels[index].hidden = index !== chosen;
    });
    if (!panels[chosen].hasChildNodes()) panels[chosen].append(parts[chosen].content());
  }

  const list = h("div", { class: "tabs", role: "tablist", "aria-label": label }, buttons);
  list.addEventListener("keydown", (event) => {
    const now = buttons.indexOf(document.activeElement);
    const to = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (now < 0 || to === undefined) return;
    event.preventDefault();
    const next = (to + buttons.length) % buttons.length;
    choose(next);
    buttons[next].focus();
  });
  choose(0);
  return { element: h("div", {}, list, panels), choose };
}
