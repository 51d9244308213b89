/** Block Kit's text objects: plain_text shows every character as it is, mrkdwn is formatted. */
import { h } from "./dom.js";
import { withEmoji } from "./emoji.js";
import { renderMrkdwn } from "./mrkdwn.js";

/** The text of a plain_text object, short codes as emoji unless it says not to. */
export function plain(text) {
  return text.emoji === false ? text.text : withEmoji(text.text);
}

/** Nodes for a text object of either type. */
export function renderText(text, directory) {
  return text.type === "mrkdwn" ? renderMrkdwn(text.text, directory) : h("p", {}, plain(text));
}
