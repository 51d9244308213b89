/** A list of messages in time order, kept at its end while the reader is there. Used by the channel and by a thread. */
import { h, icon } from "../render/dom.js";
import { compareTs, dayKey, dayName, seconds } from "../render/format.js";
import { renderMessage, showAlert } from "../render/message.js";

const NEAR_END_PX = 80;
const SAME_BREATH_S = 300;

export class MessageList {
  #root;
  #rows;
  #context;
  #place;
  #atEnd = true;
  #messages = new Map();
  #pressed = false;
  /** What came while a button was held down: in a row that is replaced under it the click would be lost. */
  #late = new Map();
  #jump;

  /** `root` scrolls; `place` is "channel" or "thread". */
  constructor({ root, context, place }) {
    this.#root = root;
    this.#context = context;
    this.#place = place;
    this.#rows = h("div", { class: "rows" });
    this.#jump = h("button", { type: "button", class: "button button-default jump", hidden: true, on: { click: () => this.toEnd() } },
      icon("down"), "Latest");
    root.append(this.#rows, this.#jump);
    root.addEventListener("scroll", () => this.#scrolled());
    root.addEventListener("pointerdown", ({ button, target }) => { this.#pressed = button === 0 && target.closest("button") !== null; });
    for (const end of ["pointerup", "pointercancel", "blur"]) window.addEventListener(end, () => setTimeout(() => this.#released()));
    const resized = new ResizeObserver(() => this.#atEnd && this.toEnd());
    resized.observe(this.#rows);
    resized.observe(root);
  }

  get(ts) {
    return this.#late.get(ts) ?? this.#messages.get(ts)?.message ?? null;
  }

  /** Show exactly these messages; rows that did not change are kept, so nothing flickers on a resync. */
  replaceAll(messages) {
    const wanted = new Set(messages.map((message) => message.ts));
    for (const ts of [...this.#messages.keys()]) if (!wanted.has(ts)) this.#drop(ts);
    for (const message of messages) this.#put(message);
    this.#arrange();
  }

  clear() {
    this.replaceAll([]);
    this.#atEnd = true;
  }

  upsert(message) {
    this.#put(message);
    this.#arrange();
  }

  remove(ts) {
    this.#drop(ts);
    this.#arrange();
  }

  /** Change a message that is shown; nothing happens if it is not. */
  patch(ts, change) {
    const message = this.get(ts);
    if (message) this.upsert({ ...message, ...change(message) });
  }

  /** Say something under a message, and point at its thread. */
  alert(ts, text) {
    const entry = this.#messages.get(ts);
    if (entry) showAlert(entry.row, text);
  }

  markThreadNews(ts, news) {
    this.#messages.get(ts)?.row.classList.toggle("has-news", news);
  }

  toEnd() {
    this.#root.scrollTop = this.#root.scrollHeight;
  }

  #scrolled() {
    this.#atEnd = this.#root.scrollHeight - this.#root.scrollTop - this.#root.clientHeight < NEAR_END_PX;
    this.#jump.hidden = this.#atEnd;
  }

  #put(message) {
    const known = this.#messages.get(message.ts);
    if (known && this.#pressed) {
      this.#late.set(message.ts, message);
      return;
    }
    const content = JSON.stringify(message);
    if (known?.content === content) return;
    const row = renderMessage(message, this.#context, this.#place);
    if (known) swap(known.row, row);
    this.#messages.set(message.ts, { message, content, row });
  }

  /** After the click, which follows the pointer's release at once. */
  #released() {
    this.#pressed = false;
    const late = [...this.#late.values()];
    this.#late.clear();
    for (const message of late) this.#put(message);
    if (late.length) this.#arrange();
  }

  #drop(ts) {
    this.#late.delete(ts);
    this.#messages.get(ts)?.row.remove();
    this.#messages.delete(ts);
  }

  /** Put the rows in order, with a rule between days and without repeating the author of one breath. */
  #arrange() {
    const entries = [...this.#messages.values()].sort((a, b) => compareTs(a.message.ts, b.message.ts));
    for (const rule of this.#rows.querySelectorAll(":scope > .rule")) rule.remove();
    let before = null;
    let previous = null;
    for (const { message, row } of entries) {
      const rule = this.#ruleBetween(previous, message, entries.length);
      row.classList.toggle("message-follows", !rule && this.#follows(previous, message));
      for (const node of [rule, row]) before = node ? insertAfter(this.#rows, before, node) : before;
      previous = message;
    }
  }

  /** In a channel every card stands under its author's name; in a thread a card may follow its pictures. */
  #follows(previous, message) {
    const isCard = this.#place === "channel" && Boolean(message.blocks?.length);
    return !isCard && isSameBreath(previous, message);
  }

  #ruleBetween(previous, message, total) {
    if (this.#place === "thread") return previous && compareTs(previous.ts, message.thread_ts ?? message.ts) === 0 ? replyRule(total - 1) : null;
    if (previous && dayKey(previous.ts) === dayKey(message.ts)) return null;
    return h("div", { class: "rule", role: "separator" }, h("span", {}, dayName(message.ts)));
  }
}

function replyRule(replies) {
  return h("div", { class: "rule rule-replies" }, h("span", {}, replies === 1 ? "1 reply" : `${replies} replies`));
}

function isSameBreath(previous, message) {
  return previous !== null && previous.user.id === message.user.id && !previous.ephemeral && !message.ephemeral
    && seconds(message.ts) - seconds(previous.ts) < SAME_BREATH_S;
}

function insertAfter(parent, before, node) {
  const expected = before ? before.nextSibling : parent.firstChild;
  if (node !== expected) parent.insertBefore(node, expected);
  return node;
}

/** Replace a row, keeping its loaded images (no flicker), the focused control and marks on the row. */
function swap(old, row) {
  const loaded = new Map([...old.querySelectorAll("img")].map((image) => [image.src, image]));
  for (const image of row.querySelectorAll("img.print-image")) keepImage(image, loaded);
  row.classList.toggle("has-news", old.classList.contains("has-news"));
  const focused = old.contains(document.activeElement) ? controlOf(document.activeElement) : null;
  old.replaceWith(row);
  if (focused) [...row.querySelectorAll("[data-action-id]")].find((node) => controlOf(node) === focused)?.focus();
}

function keepImage(image, loaded) {
  const same = loaded.get(image.src);
  if (!same?.complete || same.alt !== image.alt) return;
  loaded.delete(image.src);
  image.replaceWith(same);
}

function controlOf(node) {
  return node.dataset.actionId && `${node.closest("[data-block-id]")?.dataset.blockId} ${node.dataset.actionId}`;
}
