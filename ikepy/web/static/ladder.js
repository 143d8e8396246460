// The ladder: each message an arrow while it happens, with both ends' views beside it.

import { byId, count, h } from "./dom.js";
import { Detail } from "./detail.js";

const LATE = 1.5; // seconds after which a datagram that has not arrived is shown as lost
const NOTES = 400; // log lines in the page
const MESSAGES = 500; // as many as the server remembers

const early = []; // log lines
const rungs = new Map(); // number -> { value, element }
let ends = ["", ""];
let both = true; // whether we see what arrives
let begun = 0; // seconds of the first thing that is shown
let list = null;
let detail = null;
let chosen = null;
let follows = true;
let clock = 0; // the server's time minus ours

export function begin() {
  list = h("ol", { class: "rungs", "aria-label": "Messages, oldest first", onkeydown: keys });
  const scroll = h("div", { class: "scroll", onscroll: () => { follows = scroll.scrollTop + scroll.clientHeight > scroll.scrollHeight - 40; } },
    h("div", { class: "heads" }, h("b", { id: "left-end" }), h("label", { id: "logs" }, h("input", { type: "checkbox", checked: true, onchange: (event) => list.classList.toggle("quiet", !event.target.checked) }), " both logs"), h("b", { id: "right-end" })),
    h("p", { id: "left-out" }), list, h("p", { class: "empty" }, "Nothing has been said yet."));
  detail = new Detail(() => choose(null));
  byId("ladder").append(scroll, detail.element);
  setInterval(lateOnes, 500);
}

export function hear(name, value) {
  if (name === "begin") {
    clock = value.time - Date.now() / 1000;
    [ends, both] = [value.ends, value.both];
    byId("left-end").textContent = ends[0];
    byId("right-end").textContent = ends[1];
    byId("logs").hidden = !both;
    rungs.clear();
    begun = 0;
    early.length = 0;
    list.replaceChildren();
  } else if (name === "messages") {
    for (const one of value) put(one, false);
    earlyNotes();
    scroll();
  } else if (name === "message") {
    put(value, true);
    earlyNotes();
    scroll();
  } else if (name === "traffic") {
    packets(value.uplink ?? value.L3);
    scroll();
  } else if (name === "log") {
    if (!begun) early.push(...value);
    else for (const line of value) note(line);
    scroll();
  }
}

// Times are counted from the first message: lines from before wait for it.
function earlyNotes() {
  if (begun) for (const line of early.splice(0)) note(line);
}

function scroll() {
  if (follows) list.parentElement.scrollTop = list.parentElement.scrollHeight;
}

function seconds(time) {
  if (!begun) begun = time;
  return (time - begun).toFixed(3);
}

function put(value, fresh) {
  const known = rungs.get(value.number);
  seconds(value.time);
  const element = row(value, fresh && !known);
  rungs.set(value.number, { value, element });
  if (known) {
    const focused = known.element.contains(document.activeElement);
    known.element.replaceWith(element);
    if (focused) element.firstChild.focus({ preventScroll: true });
  } else {
    insert(element, value.time);
    if (rungs.size > MESSAGES) {
      const [oldest] = rungs.keys();
      rungs.get(oldest).element.remove();
      rungs.delete(oldest);
    }
  }
  if (chosen === value.number) {
    element.firstChild.setAttribute("aria-current", "true");
    if (!known || known.value.decrypted !== value.decrypted || known.value.datagrams.length !== value.datagrams.length) detail.show(value.number, both);
  }
}

function insert(element, time) {
  element.dataset.time = time;
  let after = list.lastElementChild;
  while (after && Number(after.dataset.time) > time) after = after.previousElementSibling;
  if (after) after.after(element);
  else list.prepend(element);
}

function note(line) {
  if (line.level === "debug" || line.subject === "audit") return;
  const element = h("li", { class: `note ${line.node === ends[0] ? "" : "at-right"} ${line.level}` }, h("span", {}, h("time", {}, seconds(line.time)), ` ${line.subject}: ${line.text}`));
  insert(element, line.time);
  const notes = list.querySelectorAll(".note");
  if (notes.length > NOTES) notes[0].remove();
}

// What goes through the tunnel between two messages: a line that counts.
function packets(told) {
  const counts = [0, 0];
  for (const [kind, toC4, number] of told?.kinds ?? []) if (kind === "esp") counts[toC4 ? 0 : 1] += number;
  if (!counts[0] && !counts[1]) return;
  let last = list.lastElementChild;
  while (last?.classList.contains("note")) last = last.previousElementSibling;
  if (!last?.classList.contains("packets")) {
    last = h("li", { class: "packets" }, h("span", {}));
    last.counts = [0, 0];
    insert(last, Date.now() / 1000 + clock);
  }
  last.counts = last.counts.map((number, way) => number + counts[way]);
  last.firstChild.textContent = `ESP  ${last.counts[0]} →  ← ${last.counts[1]}`;
}

function row(value, fresh) {
  const kind = value.is_response ? "response" : "request";
  const [told, payloads] = split(value.summary);
  const copies = value.datagrams.length;
  const first = value.datagrams[0];
  const button = h("button", { class: "rung", type: "button", "data-number": value.number, onclick: () => choose(value.number),
    "aria-label": `${told || `${value.exchange} ${kind}`}, from ${value.sender || (both ? "nobody here" : ends[1])}` },
  h("span", { class: "title" }, h("b", {}, value.exchange), ` ${kind} ${value.message_id}`,
    value.decrypted && h("span", { class: "mark good", title: "decrypted" }, "decrypted"),
    copies > 1 && h("span", { class: "mark" }, count(copies, "datagram")),
    first?.fates.length > 0 && h("span", { class: "mark bad" }, "meddled with"),
    value.findings.map((text) => h("span", { class: "mark good", title: text }, `✓ ${text.split(":")[0]}`)),
    value.problems.length > 0 && h("span", { class: "mark bad" }, count(value.problems.length, "problem"))),
  payloads && h("span", { class: "payloads" }, payloads.split(" ").map((one) => h("span", {}, one))),
  value.datagrams.map((one) => arrow(one, value.sender)));
  const element = h("li", { class: `message ${fresh ? "fresh" : ""}` }, button);
  element.dataset.time = value.time;
  return element;
}

// "IKE_AUTH request 1 [ SK ]" -> its words, and the payloads' names.
function split(summary) {
  const found = /^(.*?) \[ (.*) \]$/.exec(summary);
  return found ? [found[1], found[2]] : [summary, ""];
}

function arrow(datagram, sender) {
  const from = datagram.sent?.node ?? (datagram.arrivals[0]?.node === ends[0] ? ends[1] : ends[0]);
  const right = from === ends[0];
  const arrived = datagram.arrivals.length > 0;
  const dropped = datagram.fates.some((fate) => fate.startsWith("dropped"));
  const state = arrived || !both ? "arrived" : dropped || isLate(datagram) ? "lost" : "flying";
  const times = { sent: datagram.sent ? seconds(datagram.sent.time) : "", arrived: arrived ? seconds(datagram.arrivals[0].time) : !both ? "" : state === "lost" ? "never" : "…" };
  const note = [!both && (datagram.sent?.destination ?? datagram.arrivals[0]?.source), ...datagram.fates, datagram.arrivals.length > 1 && `arrived ${datagram.arrivals.length} times`, datagram.changed && !datagram.fates.length && "changed on the way"].filter(Boolean).join(", ");
  return h("span", { class: `crossing ${both ? "" : "one-sided"} ${right ? "right" : "left"} ${state} ${datagram.changed ? "changed" : ""} ${sender ? "" : "stray"}`, "data-sent": datagram.sent?.time ?? "" },
    h("time", {}, right ? times.sent : times.arrived), h("span", { class: "shaft" }, note && h("em", {}, note)), h("time", {}, right ? times.arrived : times.sent));
}

function isLate(datagram) {
  return both && datagram.sent !== null && Date.now() / 1000 + clock - datagram.sent.time > LATE;
}

function lateOnes() {
  for (const { value, element } of rungs.values()) {
    if (element.querySelector(".flying") && value.datagrams.some((one) => !one.arrivals.length && isLate(one))) put(value, false);
  }
}

function choose(number) {
  for (const { element } of rungs.values()) element.firstChild.removeAttribute("aria-current");
  const before = chosen;
  chosen = number;
  byId("ladder").classList.toggle("open", number !== null);
  if (number === null) {
    detail.hide();
    rungs.get(before)?.element.firstChild.focus();
    return;
  }
  rungs.get(number).element.firstChild.setAttribute("aria-current", "true");
  detail.show(number, both);
}

function keys(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  const all = [...list.querySelectorAll(".rung")];
  all[all.indexOf(document.activeElement) + step]?.focus();
  event.preventDefault();
}
