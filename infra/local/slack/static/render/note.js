import { h } from "./dom.js";

/** A visible, neutral remark in place of something this page cannot draw. */
export function note(text) {
  return h("div", { class: "block-note", "data-testid": "block-note" }, text);
}
