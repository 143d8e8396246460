// Tabs that arrow keys move through (WAI-ARIA Authoring Practices, tabs).

import { byId } from "./dom.js";

export function tabs(list, chosen = () => {}) {
  const all = () => [...list.querySelectorAll("[role=tab]")];

  function choose(tab, focus) {
    for (const one of all()) {
      const is = one === tab;
      one.setAttribute("aria-selected", String(is));
      one.tabIndex = is ? 0 : -1;
      const panel = byId(one.getAttribute("aria-controls"));
      if (panel) panel.hidden = !is;
    }
    if (focus) tab.focus();
    chosen(tab);
  }

  list.addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (tab) choose(tab, false);
  });
  list.addEventListener("keydown", (event) => {
    const steps = { ArrowRight: 1, ArrowLeft: -1 };
    const here = all();
    if (event.key in steps) {
      const place = here.indexOf(document.activeElement) + steps[event.key];
      choose(here[(place + here.length) % here.length], true);
    } else if (event.key === "Home" || event.key === "End") {
      choose(here.at(event.key === "Home" ? 0 : -1), true);
    } else {
      return;
    }
    event.preventDefault();
  });
  return choose;
}
