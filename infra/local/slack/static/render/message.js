/**
 * One message as a row.
 *
 * `context` is shared by all rows: {directory, selections, act(message, action), openThread(message),
 * dismiss(message), showPictures(figure)}. `place` is "channel" or "thread".
 */
import { avatar } from "./avatar.js";
import { renderBlocks } from "./blocks.js";
import { h, icon } from "./dom.js";
import { renderFiles } from "./files.js";
import { clockTime, count, fullTime, isoTime } from "./format.js";
import { renderMrkdwn } from "./mrkdwn.js";

export function renderMessage(message, context, place) {
  const scope = { message, context };
  const classes = message.ephemeral ? "message message-ephemeral" : "message";
  return h("article", { class: classes, "data-ts": message.ts, "data-testid": "message", "aria-label": label(scope) },
    h("div", { class: "message-side" }, avatar({ ...message.user, name: authorName(message, context) }), time(message, "message-side-time")),
    h("div", { class: "message-main" },
      message.ephemeral ? ephemeralMark() : null,
      heading(scope),
      body(message, scope),
      message.files?.length ? renderFiles(message.files, scope) : null,
      h("div", { class: "message-alert", role: "alert" }),
      message.ephemeral ? dismissal(scope) : null,
      place === "channel" && !message.ephemeral ? threadLink(scope) : null),
    place === "channel" && !message.ephemeral ? tools(scope) : null);
}

/** Show a sentence under a message, for instance that the app did not answer. */
export function showAlert(row, text) {
  row.querySelector(".message-alert").textContent = text;
}

function authorName({ user }, { directory }) {
  return directory.userName(user.id, user.name);
}

function label({ message, context }) {
  return `${authorName(message, context)}, ${clockTime(message.ts)}${message.ephemeral ? ", only visible to you" : ""}`;
}

function heading({ message, context }) {
  const name = authorName(message, context);
  return h("header", { class: "message-heading" },
    h("span", { class: "message-author" }, name),
    message.user.is_bot ? h("span", { class: "badge" }, "app") : null,
    time(message, "message-time"));
}

function time(message, className) {
  return h("time", { class: className, datetime: isoTime(message.ts), title: fullTime(message.ts) }, clockTime(message.ts));
}

function body(message, scope) {
  const content = message.blocks?.length ? renderBlocks(message.blocks, scope) : words(message, scope);
  const edited = message.edited && !message.user.is_bot ? h("span", { class: "faint message-edited" }, "edited") : null;
  return h("div", { class: "message-body", "data-testid": "message-body" }, content, edited);
}

function words(message, scope) {
  return message.text ? renderMrkdwn(message.text, scope.context.directory) : null;
}

function ephemeralMark() {
  return h("p", { class: "ephemeral-mark" }, icon("eye"), "Only visible to you");
}

function dismissal({ message, context }) {
  const dismiss = () => context.dismiss(message);
  return h("button", { type: "button", class: "quiet-button", "data-testid": "dismiss", on: { click: dismiss } }, "Dismiss message");
}

/** Also there, but hidden, without replies: a private note may arrive in the thread of a message nobody answered. */
function threadLink({ message, context }) {
  const replies = message.reply_count ?? 0;
  const last = message.latest_reply ? h("span", { class: "faint" }, `last at ${clockTime(message.latest_reply)}`) : null;
  return h("button", {
    type: "button", class: replies ? "thread-link" : "thread-link thread-link-empty", "data-testid": "open-thread",
    on: { click: () => context.openThread(message) },
  }, icon("reply"), h("strong", {}, replies ? count(replies, "reply", "replies") : "Thread"), last,
  h("span", { class: "thread-news" }, "new"));
}

function tools({ message, context }) {
  return h("div", { class: "message-tools" },
    h("button", {
      type: "button", class: "button button-icon", "aria-label": "Reply in thread", title: "Reply in thread",
      "data-testid": "reply", on: { click: () => context.openThread(message) },
    }, icon("reply")));
}
