/** Pictures at full size, over the page. Arrow keys walk through the pictures of one message. */
import { h, icon, safeAddress } from "../render/dom.js";
import { byteSize } from "../render/format.js";
import { closeDialog, showDialog } from "./dialog.js";

/** `pictures`: what `picture.js` shows, [{address, title, alt, name, size?}]; `index`: the one to start with. */
export function showPictures(pictures, index) {
  const stage = h("div", { class: "lightbox-stage" });
  let at = index;
  const turn = (by) => {
    at = (at + by + pictures.length) % pictures.length;
    stage.replaceChildren(...view(pictures[at], pictures.length > 1 ? `${at + 1} of ${pictures.length}` : null));
  };
  const keys = (event) => {
    if (pictures.length > 1 && event.key === "ArrowRight") turn(1);
    if (pictures.length > 1 && event.key === "ArrowLeft") turn(-1);
  };
  turn(0);
  return showDialog({ class: "lightbox", "aria-label": "Picture at full size", "data-testid": "lightbox", on: { keydown: keys } },
    stage,
    pictures.length > 1 ? [control("previous", "Previous picture", () => turn(-1)), control("next", "Next picture", () => turn(1))] : null,
    control("close", "Close", (event) => closeDialog(event.currentTarget)));
}

function view(shown, position) {
  const address = safeAddress(shown.address);
  const image = h("img", { src: address, alt: shown.alt || shown.title, referrerpolicy: "no-referrer" });
  const facts = h("span", { class: "lightbox-facts" });
  image.addEventListener("load", () => {
    facts.textContent = [position, `${image.naturalWidth} × ${image.naturalHeight}`, shown.size ? byteSize(shown.size) : null]
      .filter(Boolean).join("  ·  ");
  });
  return [
    h("div", { class: "lightbox-image" }, image),
    h("div", { class: "lightbox-label" },
      h("p", { class: "lightbox-title" }, shown.title || shown.alt),
      facts,
      h("a", { class: "button button-default", href: address, download: fileName(shown), "data-testid": "download" }, icon("download"), "Download")),
  ];
}

function fileName(shown) {
  return shown.fileId ? shown.name : "";
}

function control(name, label, press) {
  return h("button", { type: "button", class: `button button-icon lightbox-${name}`, "aria-label": label, on: { click: press } }, icon(name));
}
