/** One picture as a mounted print: a mat, the image, and its title below like a label on a gallery wall. */
import { h, safeAddress } from "./dom.js";
import { note } from "./note.js";

const WIDEST = 460;
const TALLEST = 520;

/**
 * A figure for `shown`: {address, title, alt, name, width?, height?, download?, fileId?}. A press opens the picture
 * at full size, with the other pictures of the same message a key press away.
 */
export function picture(shown, scope) {
  const { width, height } = shown;
  const image = h("img", {
    class: "print-image", src: safeAddress(shown.address), alt: shown.alt || shown.title || shown.name, width, height,
    decoding: "sync", referrerpolicy: "no-referrer", on: { error: () => missing(figure, shown) },
  });
  if (width && height) image.style.setProperty("--print-width", `${printWidth(width, height)}px`);
  const open = () => scope.context.showPictures(figure);
  const figure = h("figure", { class: "print", "data-file-id": shown.fileId },
    h("button", { type: "button", class: "print-open", "aria-label": `Open picture: ${shown.title || shown.alt}`, on: { click: open } }, image),
    shown.title ? h("figcaption", {}, shown.title) : null);
  figure.shown = shown;
  return figure;
}

function printWidth(width, height) {
  return Math.round(Math.min(WIDEST, TALLEST * (width / height)));
}

function missing(figure, shown) {
  figure.replaceChildren(note(`Picture could not be loaded: ${shown.alt || shown.title || shown.name}`));
}
