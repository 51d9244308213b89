/** A small menu beside the button that opened it: arrows move, Enter chooses, Escape or a press elsewhere closes. */
import { h } from "../render/dom.js";

const GAP = 6;

/** `items`: [{label, choose()}]. */
export function openMenu(opener, items) {
  const menu = h("div", { class: "menu", role: "menu", popover: "auto", "data-testid": "menu" }, items.map((item) =>
    h("button", { type: "button", class: "menu-item", role: "menuitem", tabindex: "-1", on: { click: () => {
      menu.hidePopover();
      item.choose();
    } } }, item.label)));
  menu.addEventListener("keydown", moveFocus);
  menu.addEventListener("toggle", (event) => {
    if (event.newState === "open") return;
    opener.setAttribute("aria-expanded", "false");
    menu.remove();
  });
  document.body.append(menu);
  menu.showPopover();
  place(menu, opener);
  opener.setAttribute("aria-expanded", "true");
  menu.firstElementChild.focus();
}

function place(menu, opener) {
  const box = opener.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  const below = box.bottom + GAP + height <= window.innerHeight;
  menu.style.setProperty("left", `${Math.max(GAP, Math.min(box.left, window.innerWidth - width - GAP))}px`);
  menu.style.setProperty("top", `${below ? box.bottom + GAP : Math.max(GAP, box.top - GAP - height)}px`);
}

function moveFocus(event) {
  const items = [...event.currentTarget.children];
  const at = items.indexOf(document.activeElement);
  const target = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
  if (event.key === "Tab") event.currentTarget.hidePopover();
  if (target === undefined) return;
  event.preventDefault();
  items[(target + items.length) % items.length].focus();
}
