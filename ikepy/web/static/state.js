// The state of the SAs, in the bar at the top.

import { byId, h } from "./dom.js";

export function hear(name, value) {
  if (name === "sas") byId("state").replaceChildren(...chips(value));
  if (name === "ping") {
    byId("ping-label").hidden = false;
    byId("ping").checked = value;
  }
}

function chips(sas) {
  return Object.entries(sas).map(([node, value]) => {
    const { state, text } = summary(value);
    return h("span", { class: `chip ${state}` }, h("b", {}, node), ` ${text}`);
  });
}

// What a gateway has: "good", "half" or "bad", and words for it. A daemon of others says only whether it has a child.
export function summary(value) {
  if (value === null) return { state: "bad", text: "does not answer", short: "no answer" };
  if (typeof value === "boolean") return value ? { state: "good", text: "has a CHILD_SA", short: "CHILD_SA installed" } : { state: "bad", text: "no CHILD_SA", short: "no SA" };
  if (!value.length) return { state: "bad", text: "no IKE_SA", short: "no SA" };
  const children = value.flatMap((sa) => sa.children);
  const installed = children.filter((child) => child.state === "INSTALLED");
  const last = value.at(-1).state;
  return {
    state: installed.length ? "good" : "half",
    text: `${value.map((sa) => sa.state).join(", ")} · ${children.length ? children.map((child) => child.state).join(", ") : "no CHILD_SA"}`,
    short: installed.length ? `${last} · ESP ${installed.at(-1).spi_in}` : `${last}, no child`,
  };
}
