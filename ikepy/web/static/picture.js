// Draws the lab: nodes, links, and what crosses them.

import { byId, h, s } from "./dom.js";
import { summary } from "./state.js";

const PLACES = {
  pod1: [18, 34, 128, 54], pod2: [18, 190, 128, 54], segment: [226, 110, 112, 58], cgw: [428, 60, 218, 118],
  nat: [540, 226, 100, 48], internet: [706, 218, 150, 64], c4: [890, 60, 218, 118], site: [1212, 92, 128, 54],
};
const COLOURS = { ike: "ike", esp: "esp", vxlan: "vxlan", ip: "ip" };
const TITLES = { pod1: "pod1", pod2: "pod2", segment: "C1", cgw: "cgw", nat: "NAT", internet: "internet", c4: "c4", site: "site" };
const STILL = matchMedia("(prefers-reduced-motion: reduce)");
const FLYING = 60; // dots at once

const links = new Map();
const badges = new Map();
let dots = null;

export function hear(name, value) {
  if (name === "picture") draw(value);
  else if (name === "traffic") traffic(value);
  else if (name === "sas") sas(value);
}

function draw(value) {
  links.clear();
  badges.clear();
  dots = s("g", { "aria-hidden": "true" });
  const drawing = s("svg", { viewBox: "0 0 1360 300", role: "img", "aria-label": "pods, gateways, internet and site" },
    s("defs", {}, s("linearGradient", { id: "tube", x1: 0, x2: 0, y1: 0, y2: 1 },
      s("stop", { offset: 0, class: "tube-edge" }), s("stop", { offset: 0.5, class: "tube-middle" }), s("stop", { offset: 1, class: "tube-edge" }))),
    value.links.map(link), dots, value.nodes.map(node));
  byId("picture").replaceChildren(drawing, legend());
}

function legend() {
  const words = [["ike", "IKE"], ["esp", "ESP"], ["vxlan", "VXLAN"], ["ip", "IP in the clear"]];
  return h("p", { class: "legend" }, words.map(([kind, text]) => h("span", { class: kind }, text)));
}

function node(one) {
  const [x, y, width, height] = PLACES[one.name];
  const group = s("g", { class: `node ${one.kind}`, id: `node-${one.name}` });
  group.append(one.kind === "network"
    ? s("path", { class: "box", d: cloud(x, y, width, height) })
    : s("rect", { class: "box", x, y, width, height, rx: one.kind === "gateway" ? 14 : 10 }));
  const role = one.role === one.name || one.kind === "host" || one.kind === "network" || one.kind === "router" ? "" : one.role;
  if (one.kind === "gateway") {
    group.append(s("text", { class: "name", x: x + 16, y: y + 28 }, TITLES[one.name], s("tspan", { class: "kind", dx: 8 }, one.rows[0])),
      s("text", { class: "role", x: x + width - 14, y: y + 27, "text-anchor": "end" }, role));
    one.rows.slice(1).forEach((row, place) => group.append(s("text", { class: "row", x: x + 16, y: y + 50 + 17 * place }, row)));
    const badge = s("g", { class: "badge" },
      s("circle", { cx: x + 22, cy: y + 98, r: 5.5 }), s("text", { class: "sa", x: x + 36, y: y + 102 }, "no SA"));
    badges.set(one.name, badge);
    group.append(badge);
  } else {
    const middle = x + width / 2;
    group.append(s("text", { class: "name", x: middle, y: y + (one.rows.length ? 24 : height / 2 + 6), "text-anchor": "middle" }, TITLES[one.name]));
    one.rows.forEach((row, place) => group.append(s("text", { class: "row", x: middle, y: y + 42 + 15 * place, "text-anchor": "middle" }, row)));
  }
  return group;
}

function cloud(x, y, width, height) {
  const [r, b] = [x + width, y + height];
  return `M${x + 30} ${b} C${x - 12} ${b} ${x - 8} ${y + 22} ${x + 30} ${y + 24} C${x + 34} ${y - 6} ${x + 84} ${y - 10} ${x + 92} ${y + 14} `
    + `C${x + 116} ${y} ${r - 6} ${y + 14} ${r - 16} ${y + 30} C${r + 12} ${y + 36} ${r + 6} ${b} ${r - 22} ${b} Z`;
}

function side(name) {
  const [x, y, width, height] = PLACES[name];
  return { left: [x, y + height / 2], right: [x + width, y + height / 2], bottom: [x + width / 2, y + height], top: [x + width / 2, y] };
}

// The course of a link, and where its words stand.
function course(one) {
  const [a, b] = [side(one.a), side(one.b)];
  if (one.name === "L4") return { points: [[646, 112], [890, 112]], words: [768, 58] };
  if (one.a === "cgw") return { points: [[500, 178], [500, 250], b.left], words: [410, 226] };
  if (one.b === "c4") return { points: [a.right, [1036, 250], [1036, 178]], words: [1140, 226] };
  if (one.a === "nat") return { points: [a.right, b.left], words: [690, 188] };
  if (one.name === "pod1") return { points: [a.right, [186, a.right[1]], [226, 130]], words: [226, 40] };
  if (one.name === "pod2") return { points: [a.right, [186, a.right[1]], [226, 148]], words: [226, 226] };
  if (one.name === "C1") return { points: [[338, 139], [428, 139]], words: [383, 92] };
  return { points: [[1108, 119], [1212, 119]], words: [1160, 60] };
}

function link(one) {
  const { points, words } = course(one);
  const d = points.map(([x, y], place) => `${place ? "L" : "M"}${x} ${y}`).join(" ");
  const path = s("path", { class: one.name === "L4" ? "wire tunnel" : "wire", d });
  const glow = s("path", { class: "glow", d });
  const [x, y] = words;
  const numbers = s("text", { class: "numbers", x, y: y + 16, "text-anchor": "middle" }, "");
  const rtt = s("text", { class: "rtt", x, y: y + 31, "text-anchor": "middle" }, "");
  links.set(one.name, { path, glow, numbers, rtt, title: s("title", {}, one.carries) });
  const label = one.name === "site" ? "behind C4" : one.name.startsWith("pod") ? "" : one.name;
  return s("g", { class: "link", "data-link": one.name }, links.get(one.name).title, path, glow,
    s("text", { class: "label", x, y, "text-anchor": "middle" }, label), numbers, rtt);
}

function traffic(value) {
  for (const [name, told] of Object.entries(value)) {
    const one = links.get(name);
    if (!one) continue;
    const [to, from] = told.packets;
    one.numbers.textContent = to + from ? `${to.toLocaleString("en")} → ← ${from.toLocaleString("en")}` : "";
    one.rtt.textContent = told.rtt === null ? "" : `RTT ${told.rtt < 10 ? told.rtt.toFixed(2) : told.rtt.toFixed(0)} ms`;
    if (told.stack) one.title.textContent = told.stack;
    for (const [kind, toB] of told.kinds) light(one, COLOURS[kind], toB);
  }
}

function light(one, kind, toB) {
  one.glow.setAttribute("class", `glow lit ${kind}`);
  clearTimeout(one.timer);
  one.timer = setTimeout(() => one.glow.setAttribute("class", `glow ${kind}`), 450);
  if (STILL.matches || document.hidden || dots.childElementCount >= FLYING) return;
  const dot = s("circle", { class: `dot ${kind}`, r: kind === "ike" ? 6 : 4.5 });
  dots.append(dot);
  const length = one.path.getTotalLength();
  const begin = performance.now();
  const frame = (now) => {
    const share = Math.min((now - begin) / 700, 1);
    const point = one.path.getPointAtLength(length * (toB ? share : 1 - share));
    dot.setAttribute("cx", point.x);
    dot.setAttribute("cy", point.y);
    if (share < 1) requestAnimationFrame(frame);
    else dot.remove();
  };
  requestAnimationFrame(frame);
}

function sas(value) {
  let up = false;
  for (const [node, told] of Object.entries(value)) {
    const badge = badges.get(node);
    if (!badge) continue;
    const { state, short } = summary(told);
    up ||= state === "good";
    badge.setAttribute("class", `badge ${state}`);
    badge.lastChild.textContent = short;
  }
  links.get("L4")?.path.setAttribute("class", `wire tunnel ${up ? "up" : "down"}`);
}
