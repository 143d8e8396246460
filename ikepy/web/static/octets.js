// Octets in hexadecimal and as text, sixteen in a row; a range can be marked.

import { h } from "./dom.js";

const WIDTH = 16;
const MOST = 8192;

export class Octets {
  constructor(hex, pointed, chosen) {
    const bytes = hex.match(/../g) ?? [];
    const shown = bytes.slice(0, MOST);
    this.spans = shown.map((byte, place) => h("span", { "data-place": place }, byte));
    this.signs = shown.map((byte, place) => h("span", { "data-place": place }, sign(Number.parseInt(byte, 16))));
    const rows = [];
    for (let start = 0; start < shown.length; start += WIDTH) {
      rows.push(h("div", { class: "octet-row" }, h("span", { class: "offset" }, start.toString(16).padStart(4, "0")),
        h("span", { class: "hex" }, this.spans.slice(start, start + WIDTH)), h("span", { class: "signs" }, this.signs.slice(start, start + WIDTH))));
    }
    if (bytes.length > MOST) rows.push(h("p", {}, `and ${bytes.length - MOST} octets more`));
    this.element = h("div", { class: "octets", role: "group", "aria-label": `${bytes.length} octets`, tabindex: 0 }, rows);
    const place = (event) => event.target.dataset?.place;
    this.element.addEventListener("mouseover", (event) => pointed(place(event) === undefined ? null : Number(place(event))));
    this.element.addEventListener("mouseleave", () => pointed(null));
    this.element.addEventListener("click", (event) => { if (place(event) !== undefined) chosen(Number(place(event))); });
  }

  mark(node, mark) {
    for (const list of [this.spans, this.signs]) {
      list.forEach((span, place) => span.classList.toggle(mark, node !== null && node.start <= place && place < node.end));
    }
    if (mark === "chosen" && node !== null && node.end > node.start) {
      const span = this.spans[Math.min(node.start, this.spans.length - 1)];
      const top = span.offsetTop - this.element.offsetTop;
      if (top < this.element.scrollTop || top > this.element.scrollTop + this.element.clientHeight - 30) this.element.scrollTop = top - 30;
    }
  }
}

function sign(code) {
  return code > 32 && code < 127 ? String.fromCharCode(code) : "·";
}
