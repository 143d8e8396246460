// One message: what each end saw, its layers as trees of fields, and their octets.

import { get, h } from "./dom.js";
import { layersView } from "./layer.js";

export class Detail {
  constructor(close) {
    this.close = close;
    this.element = h("section", { class: "detail", "aria-label": "The chosen message", hidden: true });
    this.element.addEventListener("keydown", (event) => { if (event.key === "Escape") this.close(); });
    this.number = null;
    this.layer = null;
  }

  hide() {
    this.element.hidden = true;
    this.number = null;
  }

  async show(number, both) {
    this.both = both;
    const again = this.number === number;
    this.number = number;
    let value;
    try {
      value = await get(`message/${number}`);
    } catch (error) {
      value = null;
      this.element.replaceChildren(h("p", { class: "problem" }, error.message));
    }
    if (this.number !== number) return; // another one was chosen meanwhile
    this.element.hidden = false;
    if (value) this.draw(value, again);
  }

  draw(value, again) {
    const layers = value.layers;
    const told = [views(value, this.both), ...value.findings.map((text) => h("p", { class: "finding" }, text)), ...value.problems.map((text) => h("p", { class: "problem" }, text))];
    const known = layers.map((layer) => layer.octets).join();
    if (again && known === this.known) { // another copy of it: the fields stay as they are, open and focused
      this.element.querySelector(".told-of-message").replaceChildren(...told);
      return;
    }
    this.known = known;
    if (!again || this.layer >= layers.length) this.layer = layers.length > 1 ? layers.length - 1 : 0;
    this.element.replaceChildren(
      h("header", {}, h("h2", {}, value.summary.replace(/ \[.*/, "")), h("button", { type: "button", class: "close", "aria-label": "Close the message", onclick: this.close }, "×")),
      h("div", { class: "told-of-message" }, told),
      ...layersView(layers, this.layer, (place) => { this.layer = place; }));
  }
}

// What each end saw: behind a NAT these differ, and on a bad link, too.
function views(value, both) {
  const begin = value.time;
  const rows = value.datagrams.flatMap((one) => [
    one.sent && row(one.sent, "sent"), ...one.arrivals.map((arrival) => row(arrival, "received")),
    ...one.fates.map((fate) => h("tr", { class: "fate" }, h("th", { scope: "row" }, "internet"), h("td", { colspan: 4 }, fate))),
    !one.arrivals.length && both && h("tr", { class: "fate" }, h("th", { scope: "row" }, one.sent?.node === "cgw" ? "c4" : "cgw"), h("td", { colspan: 4 }, "has not seen it")),
  ]).filter(Boolean);
  function row(view, verb) {
    return h("tr", {}, h("th", { scope: "row" }, view.node), h("td", {}, verb), h("td", {}, `+${((view.time - begin) * 1000).toFixed(2)} ms`),
      h("td", {}, `${view.source} → ${view.destination}`), h("td", {}, `${view.octets} octets`));
  }
  return h("table", { class: "views" }, h("caption", {}, both ? "What each end saw" : "What was seen here"), h("tbody", {}, rows));
}
