/**
 * Block Kit to nodes. A block or element this page does not know becomes a visible note, never nothing.
 *
 * `scope` is what a block needs of its surroundings: {message, context}, see `message.js`.
 */
import { isControl, renderControl } from "./controls.js";
import { h, safeAddress } from "./dom.js";
import { note } from "./note.js";
import { picture } from "./picture.js";
import { renderRichText } from "./rich_text.js";
import { plain, renderText } from "./text_object.js";

const BLOCKS = new Map([
  ["section", section],
  ["context", context],
  ["divider", () => h("hr", { class: "block-divider" })],
  ["header", (block) => h("h2", { class: "block-header" }, plain(block.text))],
  ["image", image],
  ["actions", actions],
  ["rich_text", (block, scope) => renderRichText(block, scope.context.directory)],
]);

/** Nodes for a message's blocks, in order. */
export function renderBlocks(blocks, scope) {
  return blocks.map((block) => {
    const render = BLOCKS.get(block.type);
    const node = render ? render(block, scope) : note(`A block of type “${block.type}” is not shown here`);
    node.classList.add("block");
    if (block.block_id) node.dataset.blockId = block.block_id;
    return node;
  });
}

function section(block, scope) {
  const words = h("div", { class: "section-words" },
    block.text ? renderText(block.text, scope.context.directory) : null,
    block.fields ? fields(block.fields, scope) : null);
  const accessory = block.accessory ? element(block.accessory, block.block_id, scope) : null;
  return h("div", { class: "block-section" }, words, accessory && h("div", { class: "section-accessory" }, accessory));
}

function fields(list, scope) {
  return h("div", { class: "section-fields" }, list.map((field) => h("div", {}, renderText(field, scope.context.directory))));
}

function context(block, scope) {
  const parts = block.elements.map((part) => (part.type === "image" ? smallImage(part) : renderText(part, scope.context.directory)));
  return h("div", { class: "block-context" }, parts);
}

function image(block, scope) {
  const label = { title: block.title ? plain(block.title) : "", alt: block.alt_text ?? "" };
  const address = imageAddress(block);
  if (address === null) return note(`Picture not available: ${label.alt || label.title}`);
  return picture({ ...label, address, name: label.title || label.alt }, scope);
}

function imageAddress(source) {
  return safeAddress(source.page_url ?? source.slack_file?.page_url ?? source.image_url);
}

function smallImage(source) {
  const address = imageAddress(source);
  const attributes = { class: "small-image", src: address, alt: source.alt_text ?? "", referrerpolicy: "no-referrer" };
  return address ? h("img", attributes) : note(`Picture not available: ${source.alt_text ?? ""}`);
}

function actions(block, scope) {
  return h("div", { class: "block-actions", role: "group", "aria-label": "Actions" },
    block.elements.map((part) => element(part, block.block_id, scope)));
}

function element(part, blockId, scope) {
  if (part.type === "image") return smallImage(part);
  if (isControl(part.type)) return renderControl(part, blockId, scope);
  return note(`A control of type “${part.type}” is not shown here`);
}
