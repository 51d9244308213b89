/** What an empty channel shows: one line to try. */
import { h } from "../render/dom.js";

const EXAMPLE = "a red fox in the snow";

/** Nodes; `fill(line)` puts a line in the composer. */
export function welcome(channelName, command, fill) {
  const greeting = h("h2", {}, `#${channelName} is empty`);
  if (!command) return [greeting, h("p", {}, "Write something below.")];
  const line = `${command.command} ${EXAMPLE}`;
  return [
    greeting,
    h("p", {}, "Describe a picture, and it is drawn into a thread here."),
    h("button", { type: "button", class: "welcome-line", "data-testid": "welcome", on: { click: () => fill(line) } },
      h("strong", {}, command.command), ` ${EXAMPLE}`),
  ];
}
