// A tree of fields (WAI-ARIA Authoring Practices, tree view): arrow keys move, open and close.

import { h } from "./dom.js";

export class Tree {
  constructor(root, { point, choose }) {
    this.pointed = point;
    this.chosen = choose;
    this.items = []; // { node, row, group, parent, depth }, in the order of the page
    this.element = h("ul", { class: "tree", role: "tree", "aria-label": "Fields" }, this.branch(root, null, 0));
    this.element.addEventListener("keydown", (event) => this.key(event));
    this.element.addEventListener("mouseleave", () => this.pointed(null));
    this.current = this.items[0];
  }

  branch(node, parent, depth) {
    const item = { node, parent, depth };
    this.items.push(item);
    const children = node.children ?? [];
    item.row = h("div", { class: "field" }, h("span", { class: "twist", "aria-hidden": "true" }), h("span", { class: "field-name" }, node.name),
      node.value ? h("span", { class: "field-value" }, node.value) : null);
    item.element = h("li", { role: "treeitem", tabindex: -1, "aria-level": depth + 1, "aria-selected": "false",
      "aria-expanded": children.length ? String(depth < 1) : null }, item.row);
    if (children.length) {
      item.group = h("ul", { role: "group", hidden: depth >= 1 }, children.map((child) => this.branch(child, item, depth + 1)));
      item.element.append(item.group);
    }
    item.row.addEventListener("mouseenter", () => this.pointed(node));
    item.row.addEventListener("click", () => {
      if (item.group) this.open(item, item.group.hidden || this.current !== item);
      this.select(item, true);
    });
    return item.element;
  }

  first() {
    this.items[0].element.tabIndex = 0;
    this.select(this.items[0], false);
  }

  open(item, is) {
    if (!item.group) return;
    item.group.hidden = !is;
    item.element.setAttribute("aria-expanded", String(is));
  }

  select(item, focus) {
    this.current.element.tabIndex = -1;
    this.current.element.setAttribute("aria-selected", "false");
    this.current = item;
    for (let above = item.parent; above; above = above.parent) this.open(above, true);
    item.element.tabIndex = 0;
    item.element.setAttribute("aria-selected", "true");
    if (focus) item.element.focus({ preventScroll: true });
    if (focus) item.row.scrollIntoView({ block: "nearest" });
    let told = item; // the closest one that says why it is there
    while (!told.node.note && told.parent) told = told.parent;
    this.chosen(item.node, told.node);
  }

  // The deepest field that an octet belongs to.
  at(place) {
    let found = null;
    for (const item of this.items) {
      if (item.node.start <= place && place < item.node.end && (!found || item.depth >= found.depth)) found = item;
    }
    return found;
  }

  point(place) {
    const found = place === null ? null : this.at(place);
    for (const item of this.items) item.row.classList.toggle("pointed", item === found || (found !== null && item === visible(found)));
    this.pointed(found?.node ?? null);
  }

  choose(place) {
    const found = this.at(place);
    if (found) this.select(found, true);
  }

  key(event) {
    const shown = this.items.filter((item) => item === visible(item));
    const place = shown.indexOf(this.current);
    const { group, parent } = this.current;
    switch (event.key) {
      case "ArrowDown": this.select(shown[Math.min(place + 1, shown.length - 1)], true); break;
      case "ArrowUp": this.select(shown[Math.max(place - 1, 0)], true); break;
      case "Home": this.select(shown[0], true); break;
      case "End": this.select(shown.at(-1), true); break;
      case "ArrowRight":
        if (group?.hidden) this.open(this.current, true);
        else if (group) this.select(shown[place + 1], true);
        break;
      case "ArrowLeft":
        if (group && !group.hidden) this.open(this.current, false);
        else if (parent) this.select(parent, true);
        break;
      case "Enter": case " ": this.open(this.current, Boolean(group?.hidden)); break;
      default: return;
    }
    event.preventDefault();
    event.stopPropagation();
  }
}

// An item, or the closed one that hides it.
function visible(item) {
  let shown = item;
  for (let above = item.parent; above; above = above.parent) if (above.group.hidden) shown = above;
  return shown;
}
