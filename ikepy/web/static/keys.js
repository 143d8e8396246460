// The keys: each step with its formula, what goes in and what comes out, recomputed from what was exchanged.

import { byId, get, h } from "./dom.js";
import { rfc } from "./layer.js";

const CUT = /^(SK_\w+|(en|inte)\w+ key, \w+ to \w+)$/; // a key that is cut from a longer output
const BLOCK = /(^|: )T\d+$/;

let list = null;
let shown = null;
let chosen = "";
let known = [];

export function begin() {
  list = h("div", { class: "layers", role: "group", "aria-label": "IKE_SAs" });
  shown = h("div", { class: "steps-of-keys" }, h("p", { class: "empty" }, "Nothing has been derived yet: the keys follow from IKE_SA_INIT, and from what a key log tells."));
  byId("keys").append(h("div", { class: "intro" }, list, h("p", {}, "Each step computed again from what was exchanged: formula, what goes in, what comes out. Point at a value, and all places where it is used light up.")), shown);
  shown.addEventListener("mouseover", (event) => light(event.target.closest("[data-hex]")));
  shown.addEventListener("focusin", (event) => light(event.target.closest("[data-hex]")));
  shown.addEventListener("mouseleave", () => light(null));
}

export function hear(name, value) {
  if (name !== "keys") return;
  const grown = JSON.stringify(value) !== JSON.stringify(known);
  known = value;
  const names = value.map((one) => one.name);
  if (!names.includes(chosen)) chosen = names[0] ?? "";
  list.replaceChildren(...names.map((one) => h("button", { type: "button", class: "pill", "aria-pressed": String(one === chosen), onclick: () => choose(one) }, `IKE_SA ${one.slice(0, 8)}… ${one.slice(17, 25)}…`)));
  if (grown && chosen) load();
}

function choose(name) {
  chosen = name;
  for (const [place, one] of [...list.children].entries()) one.setAttribute("aria-pressed", String(known[place].name === name));
  load();
}

async function load() {
  const name = chosen;
  const value = await get(`keys/${name}`);
  if (name === chosen) draw(value.steps);
}

// Steps that belong together: a heading each for the IKE_SA, AUTH and each CHILD_SA.
function draw(steps) {
  const groups = new Map();
  for (const step of steps) {
    const child = /^(CHILD_SA [^:]+): (.*)$/.exec(step.name);
    const group = child ? child[1] : /AUTH|MACed|signed octets|padded key/.test(step.name) ? "AUTH: who they are" : "IKE_SA: the seven keys";
    groups.set(group, [...(groups.get(group) ?? []), { ...step, name: child ? child[2] : step.name }]);
  }
  shown.replaceChildren(...[...groups].map(([title, members]) => h("section", { class: "key-group" }, h("h2", {}, title), ...parts(members))));
}

function parts(steps) {
  const found = [];
  let blocks = [];
  let pieces = [];
  const flush = () => {
    if (pieces.length) found.push(cake(pieces));
    pieces = [];
  };
  for (const step of steps) {
    if (BLOCK.test(step.name)) {
      flush();
      blocks.push(step);
    } else if (CUT.test(step.name) && !step.inputs.length) {
      pieces.push(step);
    } else {
      flush();
      found.push(card(step, blocks));
      blocks = [];
    }
  }
  flush();
  return found;
}

function card(step, blocks) {
  return h("article", { class: "step" }, h("h3", {}, step.name, rfc(step.rfc)), h("p", { class: "formula" }, "= ", step.formula),
    step.inputs.length > 0 && h("dl", {}, step.inputs.map(([name, hex]) => [h("dt", {}, name), h("dd", {}, octets(hex))])),
    h("p", { class: "output" }, h("b", {}, step.name), " ", octets(step.output)),
    step.note && h("p", { class: "note-of-step" }, step.note),
    blocks.length > 0 && h("details", {}, h("summary", {}, `prf+ in ${blocks.length} blocks`), blocks.map((block) => h("p", { class: "block" }, h("b", {}, block.name), ` = ${block.formula} `, octets(block.output)))));
}

// The output cut into keys, as a bar.
function cake(pieces) {
  const all = pieces.reduce((sum, piece) => sum + piece.output.length, 0);
  const bar = h("div", { class: "cake" });
  pieces.forEach((piece, place) => {
    const one = h("div", { class: `piece piece-${place % 7}`, title: piece.formula }, h("b", {}, piece.name), octets(piece.output), h("small", {}, piece.note));
    one.style.flexGrow = String(Math.max(piece.output.length / all, 0.1));
    bar.append(one);
  });
  return bar;
}

function octets(hex) {
  if (!hex) return h("code", {}, "nothing");
  return h("code", { "data-hex": hex, tabindex: 0, title: `${hex.length / 2} octets` }, hex.length > 160 ? `${hex.slice(0, 144)}… (${hex.length / 2} octets)` : hex);
}

function light(element) {
  const hex = element?.dataset.hex;
  for (const one of shown.querySelectorAll("[data-hex]")) one.classList.toggle("pointed", one.dataset.hex === hex);
}
