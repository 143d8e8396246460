// A layer: its fields as a tree beside its octets, and why the chosen field is there.

import { h } from "./dom.js";
import { Octets } from "./octets.js";
import { Tree } from "./tree.js";

// Buttons for the layers, and the chosen one below; `chosen` hears its place.
export function layersView(layers, place, chosen = () => {}) {
  const body = h("div", { class: "layer" }, ...layerView(layers[place]));
  const choice = h("div", { class: "layers", role: "group", "aria-label": "Layers" },
    layers.map((layer, number) => h("button", { type: "button", class: "pill", "aria-pressed": String(number === place), onclick: (event) => {
      for (const one of choice.children) one.setAttribute("aria-pressed", String(one === event.currentTarget));
      body.replaceChildren(...layerView(layer));
      chosen(number);
    } }, layer.name)));
  return [choice, body];
}

function layerView(layer) {
  const explain = h("div", { class: "explain", "aria-live": "polite" });
  const octets = new Octets(layer.octets, (place) => tree.point(place), (place) => tree.choose(place));
  const tree = new Tree(layer.node, {
    point: (node) => octets.mark(node, "pointed"),
    choose: (node, told) => {
      octets.mark(node, "chosen");
      explain.replaceChildren(...explanation(node, told));
    },
  });
  queueMicrotask(() => tree.first());
  return [h("div", { class: "split" }, tree.element, octets.element), explain];
}

function explanation(node, told) {
  const where = node.end > node.start ? `octets ${node.start} to ${node.end - 1}` : "no octets";
  return [
    h("p", { class: "what" }, h("b", {}, node.name), node.value ? `: ${node.value}` : "", h("span", { class: "where" }, ` ${where}`)),
    told.note ? h("p", {}, told === node ? null : h("i", {}, `${told.name}: `), told.note, " ", rfc(told.rfc)) : null,
  ].filter(Boolean);
}

export function rfc(text) {
  const found = /^RFC (\d+)(?: (\d+(?:\.\d+)*))?/.exec(text ?? "");
  if (!found) return text ? h("span", { class: "rfc" }, text) : "";
  const section = found[2] ? `#section-${found[2]}` : "";
  return h("a", { class: "rfc", href: `https://www.rfc-editor.org/rfc/rfc${found[1]}.html${section}`, rel: "noreferrer noopener", target: "_blank" }, text);
}
