// The simulation by its seed: gateways in virtual time, stepped forward and back.

import { byId, count, get, h } from "./dom.js";
import { layersView } from "./layer.js";

const SITES = ["a", "b", "c"];
let run = null;
let here = 0;
let parts = null;

export function begin() {
  const seed = h("input", { type: "number", min: 0, max: 9999999999, value: 7, id: "seed", "aria-label": "Seed" });
  const form = h("form", { class: "intro", onsubmit: (event) => { event.preventDefault(); load(seed.value); } },
    h("label", { for: "seed" }, "Seed"), seed, h("button", { type: "submit", class: "primary" }, "Run"),
    h("button", { type: "button", onclick: () => { seed.value = Math.floor(Math.random() * 1e6); load(seed.value); } }, "Any"),
    h("p", {}, "Two or three gateways in virtual time, over a network that loses, repeats and delays. The same seed is the same run, to the last octet."));
  parts = {
    told: h("p", { class: "told", role: "status" }),
    slider: h("input", { type: "range", min: 0, max: 0, value: 0, "aria-label": "Step", oninput: (event) => step(Number(event.target.value)) }),
    back: h("button", { type: "button", onclick: () => step(here - 1) }, "◀ Back"),
    forward: h("button", { type: "button", onclick: () => step(here + 1) }, "Forward ▶"),
    list: h("ol", { class: "steps", "aria-label": "Steps", tabindex: 0, onkeydown: keys }),
    states: h("div", { class: "states", "aria-live": "polite" }),
    detail: h("section", { class: "hop-detail", "aria-label": "The message of this step" }),
  };
  byId("simulation").append(form, parts.told, h("div", { class: "controls", hidden: true }, parts.back, parts.slider, parts.forward), h("div", { class: "stepping" }, parts.list, h("div", { class: "beside" }, parts.states, parts.detail)));
}

async function load(seed) {
  parts.told.textContent = "it runs …";
  try {
    let found = await get(`simulation/${seed}`);
    while (found.running) found = await get(`simulation/${seed}`);
    run = found;
  } catch (error) {
    parts.told.textContent = error.message;
    return;
  }
  parts.told.textContent = `Seed ${run.seed}: ${run.error || "all laws hold"}; ${count(run.messages, "message")}, ${count(run.packets, "packet")}, ${run.lost} of them lost where they may be.`
    + (run.left_out ? ` ${run.left_out} later steps are left out.` : "");
  parts.slider.max = run.steps.length - 1;
  parts.slider.parentElement.hidden = false;
  parts.list.replaceChildren(...run.steps.map(line));
  step(0);
}

function line(one, place) {
  const words = one.to
    ? h("span", { class: "step-message" }, h("b", {}, one.exchange), ` ${one.is_response ? "response" : "request"} ${one.message_id}`,
      h("span", { class: one.lost ? "mark bad" : "mark" }, one.lost ? "lost" : one.delays.map((delay) => `${Math.round(delay * 1000)} ms`).join(" and ")))
    : h("span", { class: "step-text" }, one.text);
  return h("li", { class: one.to ? "message" : "event", onclick: () => step(place) }, h("time", {}, one.time.toFixed(3)), h("span", { class: "step-ends" }, one.to ? `${one.site} → ${one.to}` : one.site), words);
}

async function step(place) {
  if (!run) return;
  here = Math.max(0, Math.min(place, run.steps.length - 1));
  parts.slider.value = here;
  parts.back.disabled = here === 0;
  parts.forward.disabled = here === run.steps.length - 1;
  for (const one of parts.list.querySelectorAll("[aria-current]")) one.removeAttribute("aria-current");
  const element = parts.list.children[here];
  [...parts.list.children].forEach((one, number) => one.classList.toggle("later", number > here));
  element.setAttribute("aria-current", "step");
  element.scrollIntoView({ block: "nearest" });
  const one = run.steps[here];
  const before = run.steps[here - 1]?.sas ?? {};
  parts.states.replaceChildren(...SITES.filter((site) => site in one.sas).map((site) => h("div", { class: "site-state" }, h("b", {}, site),
    one.sas[site].length ? h("ul", {}, one.sas[site].map((text) => h("li", { class: (before[site] ?? []).includes(text) ? "" : "new" }, text))) : h("span", {}, " no SA"))));
  parts.detail.replaceChildren();
  if (!one.to) return;
  const value = await get(`step/${run.seed}/${here}`);
  if (run.steps[here] === one) parts.detail.replaceChildren(h("h2", {}, value.summary.replace(/ \[.*/, "")), ...layersView(value.layers, 0));
}

function keys(event) {
  const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, PageDown: 10, PageUp: -10 }[event.key];
  if (!by) return;
  step(here + by);
  event.preventDefault();
}
