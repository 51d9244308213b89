/** The workspace's name, its channels and the person using the page. Further people and the app's Home get their rows here. */
import { avatar } from "../render/avatar.js";
import { h, icon } from "../render/dom.js";

export class Sidebar {
  #root;
  #opener;
  #scrim;
  #unread = new Set();

  constructor({ root, opener, scrim }) {
    this.#root = root;
    this.#opener = opener;
    this.#scrim = scrim;
    opener.addEventListener("click", () => this.#toggle(opener.getAttribute("aria-expanded") !== "true"));
    scrim.addEventListener("click", () => this.#toggle(false));
    root.addEventListener("click", (event) => event.target.closest("a") && this.#toggle(false));
    root.addEventListener("keydown", (event) => event.key === "Escape" && this.#leave());
  }

  show(state, current) {
    this.#unread.delete(current);
    this.#root.replaceChildren(
      h("div", { class: "workspace" }, h("span", { class: "workspace-mark", "aria-hidden": "true" }), h("p", { class: "workspace-name" }, state.team.name)),
      h("nav", { class: "channels", "aria-label": "Channels" },
        h("h2", {}, "Channels"),
        h("ul", {}, state.channels.map((channel) => this.#row(channel, current)))),
      h("div", { class: "me" }, avatar({ ...state.me, name: state.me.display_name || state.me.name }),
        h("div", {}, h("strong", {}, state.me.display_name || state.me.name), h("span", { class: "faint" }, "in this browser"))),
    );
  }

  /** Mark a channel as holding something new. */
  markUnread(channel) {
    this.#unread.add(channel);
    const row = this.#root.querySelector(`[data-channel="${CSS.escape(channel)}"]`);
    row?.classList.add("channel-unread");
  }

  #row(channel, current) {
    const unread = this.#unread.has(channel.id) ? " channel-unread" : "";
    return h("li", {}, h("a", {
      class: `channel${unread}`, href: `#/${channel.id}`, "data-channel": channel.id,
      "aria-current": channel.id === current ? "page" : null,
    }, channel.is_private ? icon("lock") : h("span", { class: "hash", "aria-hidden": "true" }, "#"), h("span", {}, channel.name)));
  }

  #leave() {
    this.#toggle(false);
    this.#opener.focus();
  }

  #toggle(open) {
    document.body.classList.toggle("sidebar-open", open);
    this.#opener.setAttribute("aria-expanded", String(open));
    this.#scrim.hidden = !open;
    if (open) this.#root.querySelector("a")?.focus();
  }
}
