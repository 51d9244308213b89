/**
 * What is chosen in the select menus of messages. An app may edit a message at any time, which redraws it: the
 * choice a person made stays, as long as the menu still offers it.
 */
import { allOptions } from "./controls.js";

export class Selections {
  #chosen = new Map();

  /** The chosen option object of `element`, else its initial one, else null. */
  get(message, blockId, element) {
    const value = this.#chosen.get(key(message, blockId, element));
    const offered = allOptions(element);
    const initial = element.initial_option?.value;
    return offered.find((option) => option.value === value) ?? offered.find((option) => option.value === initial) ?? null;
  }

  set(message, blockId, element, option) {
    this.#chosen.set(key(message, blockId, element), option.value);
  }

  /** `state.values` of an action payload: every stateful element of the message with its choice. */
  state(message) {
    const values = {};
    for (const [blockId, element] of statefulElements(message.blocks ?? [])) {
      values[blockId] ??= {};
      values[blockId][element.action_id] = {
        type: element.type, selected_option: this.get(message, blockId, element),
      };
    }
    return values;
  }
}

function key(message, blockId, element) {
  return JSON.stringify([message.channel, message.ts, blockId, element.action_id]);
}

function statefulElements(blocks) {
  return blocks.flatMap((block) => [...(block.type === "actions" ? block.elements : []), block.accessory]
    .filter((element) => element?.type === "static_select")
    .map((element) => [block.block_id, element]));
}
