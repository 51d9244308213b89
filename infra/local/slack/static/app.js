/**
 * The page: it reads the workspace, shows what the address says, and passes live events to the panes.
 *
 * server/ speaks to the local workspace; render/ turns messages and Block Kit into nodes; panes/ are the parts of the
 * screen; overlays/ lie above it (a modal of the app goes there, on `showDialog`); styles/tokens.css has every colour.
 */
import { Directory } from "./directory.js";
import { showPictures } from "./overlays/lightbox.js";
import { Composer } from "./panes/composer.js";
import { MessageList } from "./panes/message_list.js";
import { Sidebar } from "./panes/sidebar.js";
import { StatusLine } from "./panes/status_line.js";
import { ThreadPanel } from "./panes/thread_panel.js";
import { welcome } from "./panes/welcome.js";
import { h, icon } from "./render/dom.js";
import { compareTs } from "./render/format.js";
import { Selections } from "./render/selections.js";
import { currentRoute, goTo, onRouteChange, startAt } from "./route.js";
import * as api from "./server/api.js";
import { errorWords } from "./server/errors.js";
import { followLive } from "./server/live.js";

/** Where a pointer hovers there is a keyboard too; a phone would only cover the page with one. */
const HAS_KEYBOARD = window.matchMedia("(hover: hover)");

const byId = (id) => document.getElementById(id);

class App {
  #state = null;
  #channel = null;
  /** Live events that came while the page was reading; they are applied on top of what was read. */
  #held = null;
  #reading = 0;
  #directory = new Directory();
  #selections = new Selections();

  constructor() {
    const context = this.#context();
    const list = byId("channel").querySelector(".message-list");
    this.messages = new MessageList({ root: list, context, place: "channel" });
    this.welcome = h("section", { class: "welcome" });
    list.append(this.welcome);
    this.sidebar = new Sidebar({ root: byId("sidebar"), opener: byId("sidebar-opener"), scrim: byId("scrim") });
    this.thread = new ThreadPanel({
      root: byId("thread"), behind: [byId("channel"), byId("sidebar")], context, close: () => goTo(this.#channel),
    });
    this.status = new StatusLine({ root: byId("status"), connection: byId("connection") });
    this.composer = new Composer({
      root: byId("composer"), send: (text) => this.#send(text, null), commands: () => this.#state?.commands ?? [],
    });
    this.replies = new Composer({
      root: byId("thread-composer"), send: (text) => this.#send(text, this.thread.shown), commands: () => null,
    });
  }

  start() {
    onRouteChange(() => this.#read());
    followLive({
      prepare: api.getState,
      opened: () => this.#read(),
      received: (event) => this.#receive(event),
      lost: () => this.status.showConnection(false),
    });
  }

  /** What message rows may ask of the page. */
  #context() {
    return {
      directory: this.#directory,
      selections: this.#selections,
      act: (message, action) => this.#act(message, action),
      openThread: (message) => goTo(message.channel, message.ts),
      dismiss: (message) => this.#dismiss(message),
      showPictures: (figure) => {
        const prints = [...figure.closest(".message").querySelectorAll(".print")].filter((print) => print.shown);
        showPictures(prints.map((print) => print.shown), prints.indexOf(figure));
      },
    };
  }

  /** Read everything the address names; the newest reading wins. */
  async #read() {
    this.#reading += 1;
    const turn = this.#reading;
    this.#held = [];
    const state = await api.getState();
    const { channel, thread } = startAt(currentRoute(), state.channels ?? []);
    const [messages, replies] = await Promise.all([
      channel ? api.getMessages(channel) : { messages: [] },
      channel && thread ? api.getThread(channel, thread) : { messages: [] },
    ]);
    if (turn !== this.#reading) return;
    if (state.ok !== false && messages.ok !== false) this.#show(state, { channel, thread }, messages, replies);
    const held = this.#held;
    this.#held = null;
    for (const event of held) this.#receive(event);
  }

  #show(state, { channel, thread }, { messages }, replies) {
    this.#directory.read(state);
    const moved = channel !== this.#channel;
    if (moved) this.messages.clear();
    this.#state = state;
    this.#channel = channel;
    this.status.showConnection(true);
    this.sidebar.show(state, channel);
    this.#nameChannel(state, channel);
    this.messages.replaceAll(messages);
    if (moved && HAS_KEYBOARD.matches) this.composer.focus();
    this.#showThread(replies.messages?.length ? thread : null, replies.messages ?? []);
  }

  #nameChannel({ team, channels, commands }, id) {
    const channel = channels.find((each) => each.id === id) ?? { name: "", topic: "", is_private: false };
    const name = this.#directory.channelName(channel.id);
    document.title = `${name} · ${team.name}`;
    byId("channel-name").replaceChildren(channel.is_private ? icon("lock") : h("span", { class: "hash" }, "#"), name);
    byId("channel-topic").textContent = channel.topic ?? "";
    this.composer.place(channel.id, `Message #${name}`);
    this.welcome.replaceChildren(...welcome(name, commands[0], (line) => this.composer.fill(line)));
  }

  #showThread(ts, replies) {
    this.thread.show(ts, this.#directory.channelName(this.#channel));
    if (ts === null) return;
    this.replies.place(ts, "Reply in thread");
    this.thread.list.replaceAll(replies);
    this.messages.markThreadNews(ts, false);
  }

  #receive(event) {
    if (this.#held) this.#held.push(event);
    else if (!this.#state) return;
    else if (event.type === "delivery") this.status.showDelivery(event.delivery, this.#state.bot.name);
    else if (event.channel !== this.#channel) this.#elsewhere(event);
    else if (event.type.endsWith("deleted")) this.#gone(event);
    else if (event.message) this.#came(event);
    else this.#read();
  }

  #elsewhere(event) {
    if (event.type === "message" || event.type === "ephemeral") this.sidebar.markUnread(event.channel);
  }

  #came({ type, message }) {
    const parent = message.thread_ts;
    if (!parent || parent === message.ts) return this.#topLevel(message);
    const isNew = type === "message" || type === "ephemeral";
    if (this.thread.shown === parent) this.thread.list.upsert(message);
    else if (isNew) this.messages.markThreadNews(parent, true);
    if (type === "message") this.messages.patch(parent, (known) => withReply(known, message.ts));
  }

  #topLevel(message) {
    this.messages.upsert(message);
    if (this.thread.shown === message.ts) this.thread.list.upsert(message);
  }

  #gone({ ts, thread_ts: parent }) {
    if (parent && parent !== ts && this.messages.get(parent)?.reply_count) this.#read();
    this.messages.remove(ts);
    this.thread.list.remove(ts);
    if (this.thread.shown === ts) goTo(this.#channel);
  }

  #send(text, threadTs) {
    (threadTs ? this.thread.list : this.messages).toEnd();
    return api.send({ channel: this.#channel, text, ...(threadTs && { thread_ts: threadTs }) });
  }

  async #act({ channel, ts, ephemeral, ...message }, action) {
    const state = this.#selections.state({ channel, ts, ...message });
    this.#alert(ts, "");
    const answer = await api.act({ channel, ts, ephemeral: Boolean(ephemeral), ...action, state });
    this.#alert(ts, answer.ok ? answer.warning ?? "" : errorWords(answer.error));
  }

  async #dismiss({ channel, ts }) {
    const answer = await api.dismiss(channel, ts);
    if (answer.ok === false) this.#alert(ts, errorWords(answer.error));
    else this.#gone({ ts });
  }

  #alert(ts, text) {
    this.messages.alert(ts, text);
    this.thread.list.alert(ts, text);
  }
}

/** What a new reply changes in its parent; nothing when the parent counts it already. */
function withReply(parent, ts) {
  if (parent.latest_reply && compareTs(parent.latest_reply, ts) >= 0) return {};
  return { reply_count: (parent.reply_count ?? 0) + 1, latest_reply: ts };
}

function drawIcons() {
  byId("sidebar-opener").append(icon("menu"));
  document.querySelector(".thread-close").append(icon("close"));
  for (const button of document.querySelectorAll(".send")) button.append(icon("send"));
}

drawIcons();
new App().start();
