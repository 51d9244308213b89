/** The confirm dialog of a Block Kit element. */
import { h } from "../render/dom.js";
import { plain, renderText } from "../render/text_object.js";
import { closeDialog, showDialog } from "./dialog.js";

/** Whether the person confirmed. `confirm` is Slack's confirmation dialog object. */
export async function askToConfirm(confirm, directory) {
  const answer = (value) => ({ click: (event) => closeDialog(event.currentTarget, value) });
  const style = confirm.style === "danger" ? "danger" : "primary";
  const value = await showDialog({ class: "dialog", "aria-labelledby": "confirm-title", "data-testid": "confirm" },
    h("h2", { id: "confirm-title" }, plain(confirm.title)),
    renderText(confirm.text, directory),
    h("div", { class: "dialog-buttons" },
      h("button", { type: "button", class: "button button-default", autofocus: true, on: answer("") }, plain(confirm.deny)),
      h("button", { type: "button", class: `button button-${style}`, on: answer("yes") }, plain(confirm.confirm))));
  return value === "yes";
}
