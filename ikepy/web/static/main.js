// Hears what happens, and gives it to the parts of the page.

import { at, byId, h, post } from "./dom.js";
import * as breaking from "./break.js";
import * as exporting from "./export.js";
import * as keys from "./keys.js";
import * as ladder from "./ladder.js";
import * as picture from "./picture.js";
import * as simulation from "./simulation.js";
import * as state from "./state.js";
import { tabs } from "./tabs.js";
import * as way from "./way.js";

const HEARERS = [picture, state, ladder, keys, way, breaking, simulation, exporting];
const NAMES = [
  "begin", "picture", "actions", "traffic", "ping", "sas", "log", "messages", "message", "outcome", "keys",
];

function hear() {
  const source = new EventSource(at("events"));
  for (const name of NAMES) {
    source.addEventListener(name, (event) => {
      const value = JSON.parse(event.data);
      for (const hearer of [views, ...HEARERS]) hearer.hear?.(name, value);
    });
  }
  source.addEventListener("open", () => document.body.classList.remove("alone"));
  source.addEventListener("error", () => document.body.classList.add("alone"));
}

// What is not offered here is not there: a daemon has a ladder alone.
const views = {
  hear(name, value) {
    if (name !== "begin") return;
    for (const tab of document.querySelectorAll("[role=tab]")) tab.hidden = !value.views.includes(tab.getAttribute("aria-controls"));
    byId("picture").hidden = !value.views.includes("picture");
    document.querySelector("main").classList.toggle("alone-with-it", !value.views.includes("break"));
    byId("left-out").textContent = value.left_out ? `There were more messages than can be shown: ${value.left_out} are left out.` : "";
  },
};

function pinging() {
  const box = byId("ping");
  box.addEventListener("change", () => post("ping", { on: box.checked }).catch(() => { box.checked = false; }));
}

tabs(document.querySelector("[role=tablist]"));
for (const hearer of HEARERS) hearer.begin?.();
pinging();
hear();
document.body.append(h("p", { class: "lost", role: "alert" }, "The window is closed: the program that serves it has ended, or does not answer."));
