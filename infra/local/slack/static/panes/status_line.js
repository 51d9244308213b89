/** One quiet line under the composer: how fast the app answered, and whether the page is connected. */
import { duration } from "../render/format.js";
import { errorWords } from "../server/errors.js";

/** Slack gives an app three seconds to answer; later is a failure, even if the answer comes. */
const DEADLINE_MS = 3000;

const KINDS = new Map([["slash_commands", "slash command"], ["interactive", "control"], ["events_api", "event"]]);

export class StatusLine {
  #root;
  #delivery;
  #connection;

  constructor({ root, connection }) {
    this.#root = root;
    this.#connection = connection;
    this.#delivery = root.querySelector(".delivery");
  }

  /** `delivery`: {kind, ms, ok, error} of one request to the app. */
  showDelivery(delivery, appName) {
    const { text, warns } = deliveryWords(delivery, appName);
    this.#delivery.textContent = text;
    this.#root.classList.toggle("warns", warns);
  }

  showConnection(connected) {
    this.#connection.hidden = connected;
  }
}

/** {text, warns} for a delivery. */
export function deliveryWords({ kind, ms, ok, error }, appName) {
  const what = KINDS.has(kind) ? ` (${KINDS.get(kind)})` : "";
  if (ms > DEADLINE_MS || error === "http_timeout") return { warns: true, text: `${appName} took ${duration(ms)}${what}; Slack gives up after 3 s` };
  if (!ok) return { warns: true, text: `${errorWords(error)}${what}` };
  return { warns: false, text: `${appName} answered in ${duration(ms)}${what}` };
}
