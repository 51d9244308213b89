/** Modal dialogs on the browser's own <dialog>: focus stays inside, Escape closes, focus returns. */
import { h } from "../render/dom.js";

/**
 * Show `content` in a modal dialog and resolve with its return value once it is closed ("" for Escape and for a
 * press beside it). Modals of the app will stand on this too.
 */
export function showDialog(attributes, ...content) {
  const dialog = h("dialog", attributes, ...content);
  document.body.append(dialog);
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close("");
  });
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
  });
}

/** Close the dialog that `node` stands in. */
export function closeDialog(node, value = "") {
  node.closest("dialog").close(value);
}
