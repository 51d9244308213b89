/** Buttons, select menus and overflow menus: drawing them, and saying what the person did with them. */
import { askToConfirm } from "../overlays/confirm.js";
import { openMenu } from "../overlays/menu.js";
import { h, icon, safeAddress } from "./dom.js";
import { plain } from "./text_object.js";

const CONTROLS = new Map([
  ["button", button],
  ["static_select", staticSelect],
  ["overflow", overflow],
]);

export const isControl = (type) => CONTROLS.has(type);

/** A node for an interactive element of the block `blockId`. */
export function renderControl(element, blockId, scope) {
  const node = CONTROLS.get(element.type)(element, blockId, scope);
  node.dataset.actionId = element.action_id;
  return node;
}

function button(element, blockId, scope) {
  const style = element.style === "primary" || element.style === "danger" ? element.style : "default";
  const press = async () => {
    if (element.url) openOutside(element.url);
    await perform(node, element, blockId, scope, { value: element.value });
  };
  const node = h("button", {
    type: "button", class: `button button-${style}`, "aria-label": element.accessibility_label, on: { click: press },
  }, plain(element.text));
  return node;
}

function openOutside(address) {
  const href = safeAddress(address);
  if (href) window.open(href, "_blank", "noopener,noreferrer");
}

function staticSelect(element, blockId, scope) {
  const { selections } = scope.context;
  const options = allOptions(element);
  const chosen = selections.get(scope.message, blockId, element);
  const change = async () => {
    const selected = options[node.selectedIndex - 1];
    const went = await perform(node, element, blockId, scope, { selected_option: selected }, () =>
      selections.set(scope.message, blockId, element, selected));
    if (!went) node.selectedIndex = 1 + options.indexOf(selections.get(scope.message, blockId, element));
  };
  const placeholder = element.placeholder ? plain(element.placeholder) : "Choose…";
  const node = h("select", { class: "select", "aria-label": placeholder, on: { change } },
    h("option", { value: "", disabled: true }, placeholder), optionNodes(element));
  node.selectedIndex = 1 + options.indexOf(chosen);
  return node;
}

/** The options of a select menu in order, out of their groups. */
export function allOptions(element) {
  return element.options ?? (element.option_groups ?? []).flatMap((group) => group.options);
}

function optionNodes(element) {
  if (element.options) return element.options.map(optionNode);
  return (element.option_groups ?? []).map((group) =>
    h("optgroup", { label: plain(group.label) }, group.options.map(optionNode)));
}

function optionNode(option) {
  return h("option", { value: option.value }, plain(option.text));
}

function overflow(element, blockId, scope) {
  const choose = async (selected) => {
    if (selected.url) openOutside(selected.url);
    await perform(node, element, blockId, scope, { selected_option: selected });
  };
  const items = element.options.map((option) => ({ label: plain(option.text), choose: () => choose(option) }));
  const node = h("button", {
    type: "button", class: "button button-icon", "aria-label": "More actions", "aria-haspopup": "menu",
    "aria-expanded": "false", on: { click: () => openMenu(node, items) },
  }, icon("more"));
  return node;
}

/**
 * Ask if the element wants it, then send the action, with the control shown as busy until the app answered.
 * Resolves to whether it was sent. `remember` runs just before sending.
 */
async function perform(node, element, blockId, scope, chosen, remember = () => {}) {
  if (node.getAttribute("aria-busy") === "true") return false;
  if (element.confirm && !(await askToConfirm(element.confirm, scope.context.directory))) return false;
  remember();
  node.setAttribute("aria-busy", "true");
  try {
    await scope.context.act(scope.message, {
      block_id: blockId, action_id: element.action_id, type: element.type, ...chosen,
    });
  } finally {
    node.removeAttribute("aria-busy");
  }
  return true;
}
