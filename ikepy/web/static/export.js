// What can be kept: the capture with its keys, and the ladder in several forms.

import { at, byId, h } from "./dom.js";

export function hear(name, value) {
  if (name !== "begin") return;
  const menu = byId("export");
  menu.hidden = value.exports.length === 0;
  menu.querySelector("ul").replaceChildren(...value.exports.map((one) => h("li", {}, h("a", { href: at(`export/${one.name}`), download: one.name }, one.title, h("small", {}, one.text)))));
}

export function begin() {
  const menu = byId("export");
  document.addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}
