/** The `rich_text` block: sections, lists, quotes and preformatted text. Its text parses nothing, by definition. */
import { h, link } from "./dom.js";
import { emojiFor } from "./emoji.js";
import { mention } from "./mrkdwn.js";
import { note } from "./note.js";

const CONTAINERS = new Map([
  ["rich_text_section", (part, directory) => h("p", {}, inline(part.elements, directory))],
  ["rich_text_quote", (part, directory) => h("blockquote", {}, inline(part.elements, directory))],
  ["rich_text_preformatted", (part, directory) => h("pre", {}, h("code", {}, inline(part.elements, directory)))],
  ["rich_text_list", list],
]);

const INLINE = new Map([
  ["text", (piece) => styled(piece.text, piece.style)],
  ["link", (piece) => styled(link(piece.url, piece.text || piece.url), piece.style)],
  ["emoji", (piece) => emojiFor(piece.name) ?? `:${piece.name}:`],
  ["user", (piece, directory) => mention(directory.userName(piece.user_id), directory.isMe(piece.user_id))],
  ["usergroup", (piece) => mention(piece.usergroup_id, false)],
  ["broadcast", (piece) => mention(piece.range, true)],
  ["channel", (piece, directory) => h("span", { class: "mention" }, `#${directory.channelName(piece.channel_id)}`)],
  ["date", (piece) => piece.fallback ?? new Date(piece.timestamp * 1000).toLocaleString()],
]);

/** Nodes for one rich_text block. */
export function renderRichText(block, directory) {
  return h("div", { class: "mrkdwn rich-text" }, block.elements.map((part) => container(part, directory)));
}

function container(part, directory) {
  const render = CONTAINERS.get(part.type);
  return render ? render(part, directory) : note(`Text of type “${part.type}” is not shown here`);
}

function list(part, directory) {
  const items = part.elements.map((item) => h("li", {}, inline(item.elements, directory)));
  const ordered = part.style === "ordered";
  const start = ordered && part.offset ? part.offset + 1 : null;
  return h(ordered ? "ol" : "ul", { class: `indent-${Math.min(part.indent ?? 0, 4)}`, start }, items);
}

function inline(pieces, directory) {
  return pieces.map((piece) => INLINE.get(piece.type)?.(piece, directory) ?? `[${piece.type}]`);
}

function styled(content, style = {}) {
  let node = content;
  if (style.code) node = h("code", {}, node);
  if (style.strike) node = h("s", {}, node);
  if (style.italic) node = h("em", {}, node);
  if (style.bold) node = h("strong", {}, node);
  return node;
}
