/**
 * Building elements. This is the only way the page makes nodes, and it has no door for markup: a string child
 * becomes a text node, so what a person or a model wrote can never turn into elements.
 */

const SVG = "http://www.w3.org/2000/svg";

const ICONS = {
  menu: "M4 7h16M4 12h16M4 17h16",
  close: "M6 6l12 12M18 6L6 18",
  send: "M5 12h13M12 5.5l6.5 6.5-6.5 6.5",
  reply: "M5 6.5h14v9H11l-4 3.5v-3.5H5z",
  more: "M5.5 12h.01M12 12h.01M18.5 12h.01",
  download: "M12 4v11M7.5 11l4.5 4.5 4.5-4.5M5 19.5h14",
  previous: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  lock: "M7 11h10v8H7zM9 11V8.5a3 3 0 0 1 6 0V11",
  eye: "M3 12c2.5-4 5.5-6 9-6s6.5 2 9 6c-2.5 4-5.5 6-9 6s-6.5-2-9-6zM12 9.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z",
  down: "M12 5v14M6 13l6 6 6-6",
  file: "M7 3.5h7l4 4V20.5H7zM14 3.5v4h4",
};

/**
 * An element with attributes and children.
 *
 * `attributes`: `class`, `on` ({event: listener}), booleans (present or absent), anything else as is; null and
 * undefined are left out. `children`: nodes, strings (as text), arrays of them, null.
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") listen(element, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

function listen(element, listeners) {
  for (const [event, listener] of Object.entries(listeners)) element.addEventListener(event, listener);
}

/** One of the page's own line icons; decoration only, so the control around it carries the label. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("class", "icon");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** The address when it is one a link or picture may have (http or https, or a path of this page), else null. */
export function safeAddress(address) {
  if (typeof address !== "string" || address === "") return null;
  try {
    const url = new URL(address, document.baseURI);
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : null;
  } catch {
    return null;
  }
}

/** A link out of the page, or plain text when the address is not one to follow. */
export function link(address, ...children) {
  const href = isAbsolute(address) ? safeAddress(address) : null;
  if (href === null) return h("span", { class: "dead-link" }, ...children);
  return h("a", { href, target: "_blank", rel: "noopener noreferrer" }, ...children);
}

function isAbsolute(address) {
  return /^https?:\/\//i.test(address);
}
