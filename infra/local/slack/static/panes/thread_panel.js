/** The thread beside the channel; on a narrow screen a sheet over it. */
import { MessageList } from "./message_list.js";

const SHEET = window.matchMedia("(max-width: 900px)");

export class ThreadPanel {
  #root;
  #behind;
  #list;
  #close;
  #opener = null;
  shown = null;

  /** `behind`: what the sheet covers; `close()`: leave the thread. */
  constructor({ root, behind, context, close }) {
    this.#root = root;
    this.#behind = behind;
    this.#close = root.querySelector(".thread-close");
    this.#list = new MessageList({ root: root.querySelector(".message-list"), context, place: "thread" });
    this.#close.addEventListener("click", close);
    root.addEventListener("keydown", (event) => event.key === "Escape" && !event.defaultPrevented && close());
    SHEET.addEventListener("change", () => this.#fit());
  }

  get list() {
    return this.#list;
  }

  /** Show the thread `ts` (its messages come with `list.replaceAll`), or nothing when null. */
  show(ts, channelName) {
    if (ts === this.shown) return;
    const wasHidden = this.shown === null;
    if (wasHidden) this.#opener = document.activeElement;
    this.shown = ts;
    this.#list.clear();
    this.#root.hidden = ts === null;
    this.#root.querySelector(".thread-place").textContent = `#${channelName}`;
    this.#fit();
    if (ts !== null) this.#close.focus({ preventScroll: true });
    else this.#giveFocusBack();
  }

  #fit() {
    const covers = this.shown !== null && SHEET.matches;
    this.#root.setAttribute("role", covers ? "dialog" : "complementary");
    if (covers) this.#root.setAttribute("aria-modal", "true");
    else this.#root.removeAttribute("aria-modal");
    for (const part of this.#behind) part.inert = covers;
    document.body.classList.toggle("thread-open", this.shown !== null);
  }

  #giveFocusBack() {
    if (this.#opener?.isConnected) this.#opener.focus({ preventScroll: true });
    this.#opener = null;
  }
}
