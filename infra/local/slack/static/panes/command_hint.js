/**
 * The list of slash commands above the composer, and the usage of the one being typed. `commands()` gives them as
 * [{command, description, usage_hint}], or null where commands do not work.
 */
import { h } from "../render/dom.js";

export class CommandHint {
  #field;
  #root;
  #commands;
  #offers = [];
  #at = 0;
  #dismissed = "";

  constructor({ field, root, commands }) {
    this.#field = field;
    this.#root = root;
    this.#commands = commands;
    field.addEventListener("blur", () => this.#hide());
    field.addEventListener("focus", () => this.update());
  }

  update() {
    const text = this.#field.value;
    if (!text.startsWith("/") || text === this.#dismissed || document.activeElement !== this.#field) return this.#hide();
    const commands = this.#commands();
    if (commands === null) return this.#say("Slash commands do not work in threads. Write in the channel instead.");
    const word = text.split(/\s/, 1)[0];
    this.#offers = commands.filter(({ command }) => (text === word ? command.startsWith(word) : command === word));
    if (this.#offers.length === 0) return this.#hide();
    this.#at = Math.min(this.#at, this.#offers.length - 1);
    return this.#draw();
  }

  /** Whether the key was used up by the list. */
  key(event) {
    if (this.#root.hidden) return false;
    const complete = this.#offers.length > 0 && !/\s/.test(this.#field.value) && this.#field.value !== this.#offers[this.#at].command;
    if (event.key === "Escape") this.#dismiss();
    else if (event.key === "ArrowDown" && this.#offers.length > 1) this.#move(1);
    else if (event.key === "ArrowUp" && this.#offers.length > 1) this.#move(-1);
    else if ((event.key === "Enter" && !event.shiftKey && complete) || (event.key === "Tab" && !event.shiftKey && this.#offers.length > 0 && !/\s/.test(this.#field.value))) this.#choose(this.#at);
    else return false;
    event.preventDefault();
    return true;
  }

  #draw() {
    const id = (index) => `${this.#root.id}-${index}`;
    this.#root.setAttribute("role", "listbox");
    this.#root.replaceChildren(...this.#offers.map((offer, index) => h("div", {
      id: id(index), class: "command", role: "option", "aria-selected": String(index === this.#at),
      on: { mousedown: (event) => event.preventDefault(), click: () => this.#choose(index) },
    }, h("span", { class: "command-line" }, h("strong", {}, offer.command), " ", h("span", { class: "command-usage" }, offer.usage_hint ?? "")),
    h("span", { class: "command-what" }, offer.description ?? ""))));
    this.#field.setAttribute("aria-activedescendant", id(this.#at));
    this.#root.hidden = false;
  }

  #say(text) {
    this.#offers = [];
    this.#root.setAttribute("role", "note");
    this.#root.replaceChildren(h("div", { class: "command-none" }, text));
    this.#field.removeAttribute("aria-activedescendant");
    this.#root.hidden = false;
  }

  #move(by) {
    this.#at = (this.#at + by + this.#offers.length) % this.#offers.length;
    this.#draw();
  }

  #choose(index) {
    this.#field.value = `${this.#offers[index].command} `;
    this.#field.dispatchEvent(new Event("input", { bubbles: true }));
    this.#field.focus();
  }

  #dismiss() {
    this.#dismissed = this.#field.value;
    this.#hide();
  }

  #hide() {
    this.#root.hidden = true;
    this.#offers = [];
    this.#field.removeAttribute("aria-activedescendant");
  }
}
