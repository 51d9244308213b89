/** Writing: Enter sends, Shift+Enter starts a line, "/" offers the commands, ArrowUp in an empty field brings the last line back. */
import { errorWords } from "../server/errors.js";
import { CommandHint } from "./command_hint.js";

export class Composer {
  #form;
  #field;
  #alert;
  #hint;
  #send;
  #last = "";
  #place = null;
  #drafts = new Map();

  /** `send(text)` → {ok, error?}; `commands()`: the slash commands, or null where they do not work. */
  constructor({ root, send, commands }) {
    this.#form = root;
    this.#send = send;
    this.#field = root.querySelector("textarea");
    this.#alert = root.querySelector(".composer-alert");
    this.#hint = new CommandHint({ field: this.#field, root: root.querySelector(".command-hint"), commands });
    root.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#field.addEventListener("keydown", (event) => this.#key(event));
    this.#field.addEventListener("input", () => this.#changed());
    this.#field.disabled = true; // until there is a place: a line sent to nowhere would be refused
    this.#changed();
  }

  /** Write to another place (a channel or thread); what was begun here waits until the reader comes back. */
  place(key, label) {
    this.#field.placeholder = label;
    this.#field.setAttribute("aria-label", label);
    if (key === this.#place) return;
    if (this.#place !== null) {
      this.#drafts.set(this.#place, this.#field.value);
      this.#field.value = this.#drafts.get(key) ?? "";
    }
    this.#place = key;
    this.#field.disabled = false;
    this.#alert.textContent = "";
    this.#changed();
  }

  fill(text) {
    this.#field.value = text;
    this.#changed();
    this.#field.focus();
    this.#field.setSelectionRange(text.length, text.length);
  }

  focus() {
    this.#field.focus({ preventScroll: true });
  }

  #changed() {
    this.#fitHeight();
    this.#form.classList.toggle("is-empty", this.#field.value.trim() === "");
    this.#hint.update();
  }

  #fitHeight() {
    this.#field.style.setProperty("height", "auto");
    const height = this.#field.scrollHeight;
    if (height > 0) this.#field.style.setProperty("height", `${height}px`);
  }

  #key(event) {
    if (event.isComposing || this.#hint.key(event)) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.#submit();
    }
    if (event.key === "ArrowUp" && this.#field.value === "" && this.#last) {
      event.preventDefault();
      this.fill(this.#last);
    }
  }

  async #submit() {
    const text = this.#field.value.trim();
    if (text === "") return;
    this.#last = text;
    this.#alert.textContent = "";
    this.#field.value = "";
    this.#changed();
    const place = this.#place;
    const answer = await this.#send(text);
    if (!answer.ok && place === this.#place) this.#failed(text, answer.error);
  }

  #failed(text, error) {
    this.#alert.textContent = errorWords(error);
    if (this.#field.value === "") this.fill(text);
  }
}
