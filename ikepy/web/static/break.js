// The buttons that break the lab, and what came of them.

import { byId, h, post } from "./dom.js";

const HINT = "Each button does one thing to the lab. What follows is in the ladder.";
let log = null;
let hint = null;

export function hear(name, value) {
  if (name === "actions") draw(value);
  else if (name === "outcome") tell(value.text, value.time);
}

function draw(actions) {
  const groups = new Map();
  for (const action of actions) groups.set(action.group, [...(groups.get(action.group) ?? []), action]);
  log = h("ol", { class: "outcomes", "aria-live": "polite", "aria-label": "What came of it" });
  const panel = byId("break");
  panel.hidden = actions.length === 0;
  hint = h("p", { class: "hint", id: "hint" }, HINT);
  panel.replaceChildren(h("h2", {}, "Break it"), hint, ...[...groups].map(([group, members]) => h("fieldset", {}, h("legend", {}, group), members.map(form))), h("h3", {}, "What came of it"), log);
}

function form(action) {
  const button = h("button", { type: "submit", "data-action": action.name, "aria-describedby": "hint" }, action.label);
  const fields = action.fields.map((field) => {
    const label = `${action.label}: ${field.label}`;
    return field.choices.length
      ? h("select", { name: field.name, "aria-label": label }, field.choices.map((one) => h("option", { value: one }, one)))
      : h("input", { name: field.name, type: "number", value: field.default, min: field.least, max: field.most, "aria-label": label, title: field.label });
  });
  const tell = () => { hint.textContent = action.why; };
  const untell = () => { hint.textContent = HINT; };
  return h("form", { onmouseenter: tell, onfocusin: tell, onmouseleave: untell, onfocusout: untell, onsubmit: (event) => submit(event, action) }, button, fields);
}

async function submit(event, action) {
  event.preventDefault();
  const value = { action: action.name };
  for (const element of event.target.elements) {
    if (element.name) value[element.name] = element.type === "number" ? element.valueAsNumber : element.value;
  }
  const button = event.submitter;
  if (button) button.disabled = true;
  try {
    await post("do", value);
  } catch (error) {
    tell(error.message, Date.now() / 1000);
  } finally {
    if (button) {
      button.disabled = false;
      button.focus();
    }
  }
}

function tell(text, time) {
  if (!log) return;
  log.prepend(h("li", {}, h("time", {}, new Date(time * 1000).toLocaleTimeString("en-GB")), ` ${text}`));
  while (log.children.length > 30) log.lastChild.remove();
}
