// Makes elements. Text goes in as text nodes alone: nothing that comes from a peer is ever HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}

export function h(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

export function s(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

export function byId(id) {
  return document.getElementById(id);
}

// An address within this window: the token is in the page's own path.
export function at(path) {
  return new URL(path, document.baseURI).href;
}

export async function get(path) {
  const answer = await fetch(at(path));
  if (!answer.ok) throw new Error((await answer.text()).trim());
  return answer.json();
}

export async function post(path, value) {
  const answer = await fetch(at(path), { method: "POST", body: JSON.stringify(value) });
  if (!answer.ok) throw new Error((await answer.text()).trim());
  return answer.json();
}

export function count(number, one, many = `${one}s`) {
  return `${number} ${number === 1 ? one : many}`;
}
