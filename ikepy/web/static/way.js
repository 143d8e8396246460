// A packet's way: one ping from pod to site and back, device by device.

import { byId, h, post } from "./dom.js";
import { layersView } from "./layer.js";

// Headers that are worth a colour; what ESP hides is hatched until it is opened.
const KINDS = [
  [/^Ethernet/, "ethernet"], [/^IPv[46]/, "ip"], [/^UDP/, "udp"], [/^VXLAN/, "vxlan"], [/^ICMP/, "icmp"],
  [/^(SPI|Sequence number)/, "esp"], [/^Initialization/, "iv"], [/^Integrity/, "icv"], [/^(Padding|Pad length|Next header)/, "padding"],
];
let result = null;
let button = null;

export function begin() {
  button = h("button", { type: "button", class: "primary", id: "follow", onclick: follow }, "Follow one ping");
  result = h("div", { class: "way-result" });
  byId("way").append(h("div", { class: "intro" }, button, h("p", {}, "One ping from pod1 to the site, seen on every device that it passes: what is put around it, what ESP hides, and how it comes back.")), result);
}

async function follow() {
  button.disabled = true;
  result.replaceChildren(h("p", { class: "waiting", role: "status" }, "pinging …"));
  try {
    draw((await post("follow", {})).hops);
  } catch (error) {
    result.replaceChildren(h("p", { class: "problem", role: "alert" }, error.message));
  } finally {
    button.disabled = false;
  }
}

function draw(hops) {
  if (!hops.length) {
    result.replaceChildren(h("p", { class: "problem", role: "alert" }, "The ping was seen nowhere: is the tunnel up?"));
    return;
  }
  const widest = Math.max(...hops.map((hop) => hop.octets));
  const shown = h("section", { class: "hop-detail", "aria-label": "The chosen device" });
  const rows = hops.map((hop, place) => h("li", {}, h("button", { type: "button", class: "hop", onclick: (event) => choose(event.currentTarget, hop), onkeydown: move },
    h("span", { class: "hop-head" }, h("b", {}, `${place + 1}. ${hop.node} ${hop.device}`), ` ${hop.outgoing ? "out" : "in"} `, h("time", {}, `${(hop.microseconds / 1000).toFixed(3)} ms`)),
    h("span", { class: "hop-title" }, hop.heading), bar(hop, widest))));
  const list = h("ol", { class: "hops", "aria-label": "Devices in the order of time" }, rows);
  result.replaceChildren(list, shown);
  function choose(element, hop) {
    for (const one of list.querySelectorAll(".hop")) one.removeAttribute("aria-current");
    element.setAttribute("aria-current", "true");
    const place = hop.layers.length > 2 ? 2 : 0;
    shown.replaceChildren(h("header", {}, h("h2", {}, hop.heading)), h("p", { class: "lead" }, hop.text), ...layersView(hop.layers, Math.min(place, hop.layers.length - 1)));
  }
  choose(list.querySelector(".hop"), hops[0]);
}

function move(event) {
  const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
  if (!step) return;
  event.currentTarget.parentElement[step]?.firstChild.focus();
  event.preventDefault();
}

// The packet as a bar: a header each in its colour, as wide as its octets.
function bar(hop, widest) {
  const element = h("span", { class: "bar-row", "aria-hidden": "true" });
  for (const part of parts(hop)) {
    const one = h("i", { class: part.kind, title: `${part.name}: ${part.size} octets` }, part.size > widest / 16 ? part.name : "");
    one.style.width = `${(100 * part.size) / widest}%`;
    element.append(one);
  }
  return h("span", { class: "bar-line" }, element, h("small", {}, `${hop.octets} octets`));
}

function parts(hop) {
  const found = [];
  flatten(hop.layers[0].node, found, "");
  if (hop.layers.length < 2) return found;
  const esp = found.pop(); // is opened
  const inside = [];
  flatten(hop.layers.at(-1).node, inside, "sealed ");
  const outer = hop.layers[1].node.children ?? [];
  for (const node of outer) {
    if (/^Encrypted/.test(node.name)) {
      found.push(...inside);
      const trailer = (hop.layers[2]?.node.children ?? []).filter((one) => /^(Padding|Pad length|Next header)/.test(one.name));
      for (const one of trailer) found.push({ name: one.name, size: one.end - one.start, kind: "sealed padding" });
    } else {
      found.push({ name: short(node.name), size: node.end - node.start, kind: kind(node.name) });
    }
  }
  return outer.length ? found : [...found, esp];
}

function flatten(node, found, prefix) {
  for (const child of node.children ?? []) {
    if (/^Frame of/.test(child.name)) flatten(child, found, prefix);
    else found.push({ name: short(child.name), size: child.end - child.start, kind: prefix + kind(child.name) });
  }
}

function short(name) {
  return { "Initialization vector": "IV", "Integrity check value": "ICV", "Sequence number": "Seq" }[name] ?? name.replace(" header", "");
}

function kind(name) {
  return KINDS.find(([pattern]) => pattern.test(name))?.[1] ?? "data";
}
