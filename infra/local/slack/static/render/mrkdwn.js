/**
 * Slack's mrkdwn, in two steps: `parseMrkdwn` makes a tree of plain objects, `renderMrkdwn` makes nodes of it.
 *
 * The source is escaped text as Slack stores it (`&amp; &lt; &gt;`), in which a raw `<…>` is an entity: a link, a
 * mention or a broadcast. Rules followed: docs.slack.dev/messaging/formatting-message-text.
 */
import { h, link } from "./dom.js";
import { withEmoji } from "./emoji.js";

const MARKS = new Map([["*", "bold"], ["_", "italic"], ["~", "strike"]]);
const TAGS = { bold: "strong", italic: "em", strike: "s" };
const DEEPEST = 6;
const BROADCASTS = new Set(["channel", "here", "everyone"]);

export function unescapeText(text) {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}

/** [{kind: "lines" | "quote", lines: [inline…][]} | {kind: "pre", text}] */
export function parseMrkdwn(source) {
  const pieces = source.split(/```([\s\S]+?)```/);
  return pieces.flatMap((piece, index) => (index % 2 ? [{ kind: "pre", text: preText(piece) }] : parseLines(piece)));
}

function preText(piece) {
  return unescapeText(piece.replace(/^\n|\n$/g, "").replace(/<(?:[^<>|\n]*\|)?([^<>|\n]*)>/g, "$1"));
}

function parseLines(piece) {
  const text = piece.replace(/^\n|\n$/g, "");
  if (text === "") return [];
  const blocks = [];
  for (const line of text.split("\n")) {
    const quoted = /^(?:&gt;|>) ?(.*)$/.exec(line);
    const kind = quoted ? "quote" : "lines";
    if (blocks.at(-1)?.kind !== kind) blocks.push({ kind, lines: [] });
    blocks.at(-1).lines.push(parseInline(quoted ? quoted[1] : line));
  }
  return blocks;
}

/** One line's inline nodes. */
export function parseInline(line, depth = 0) {
  const nodes = [];
  const unclosed = new Set();
  let text = "";
  let at = 0;
  const flush = () => {
    if (text) nodes.push({ kind: "text", text: unescapeText(text) });
    text = "";
  };
  while (at < line.length) {
    const span = spanAt(line, at, depth, unclosed);
    if (span) {
      flush();
      nodes.push(span.node);
      at = span.end;
    } else {
      text += line[at];
      at += 1;
    }
  }
  flush();
  return nodes;
}

function spanAt(line, at, depth, unclosed) {
  const character = line[at];
  if (character === "<") return entitySpan(line, at);
  if (character === "`") return codeSpan(line, at);
  if (MARKS.has(character) && depth < DEEPEST && !unclosed.has(character)) return markSpan(line, at, depth, unclosed);
  return null;
}

function entitySpan(line, at) {
  const end = line.indexOf(">", at);
  const body = end < 0 ? "" : line.slice(at + 1, end);
  return /^[^\s|<][^<]*$/.test(body) ? { node: entity(body), end: end + 1 } : null;
}

function codeSpan(line, at) {
  const end = line.indexOf("`", at + 1);
  return end > at + 1 ? { node: { kind: "code", text: preText(line.slice(at + 1, end)) }, end: end + 1 } : null;
}

function markSpan(line, at, depth, unclosed) {
  const mark = line[at];
  if (isWord(line[at - 1]) || line[at - 1] === mark || /\s|^$/.test(line[at + 1] ?? "")) return null;
  const end = closingMark(line, at + 1, mark);
  if (end < 0) {
    unclosed.add(mark);
    return null;
  }
  const inner = line.slice(at + 1, end);
  return inner ? { node: { kind: MARKS.get(mark), children: parseInline(inner, depth + 1) }, end: end + 1 } : null;
}

/** Where the mark closes: after a non-space, before a non-word, never inside a link or code. */
function closingMark(line, from, mark) {
  for (let at = from; at < line.length; at += 1) {
    const skip = line[at] === "<" ? ">" : line[at] === "`" ? "`" : null;
    const end = skip ? line.indexOf(skip, at + 1) : -1;
    if (end > 0) at = end;
    else if (line[at] === mark && !/\s/.test(line[at - 1]) && !isWord(line[at + 1])) return at;
  }
  return -1;
}

function isWord(character) {
  return character !== undefined && /[\p{L}\p{N}]/u.test(character);
}

function entity(body) {
  const bar = body.indexOf("|");
  const target = bar < 0 ? body : body.slice(0, bar);
  const label = bar < 0 ? null : unescapeText(body.slice(bar + 1));
  if (target.startsWith("@")) return { kind: "user", id: target.slice(1), label };
  if (target.startsWith("#")) return { kind: "channel", id: target.slice(1), label };
  if (target.startsWith("!")) return special(target.slice(1), label);
  return { kind: "link", address: unescapeText(target), label };
}

function special(target, label) {
  const [name] = target.split("^");
  if (BROADCASTS.has(name)) return { kind: "broadcast", name };
  return { kind: "text", text: label ?? `<!${unescapeText(target)}>` };
}

/** Nodes for a message's or text object's mrkdwn. `directory` names people and channels. */
export function renderMrkdwn(source, directory) {
  return h("div", { class: "mrkdwn" }, parseMrkdwn(source).map((block) => renderBlock(block, directory)));
}

function renderBlock(block, directory) {
  if (block.kind === "pre") return h("pre", {}, h("code", {}, block.text));
  const lines = block.lines.flatMap((line, index) => [index ? "\n" : null, renderInline(line, directory)]);
  return h(block.kind === "quote" ? "blockquote" : "p", {}, lines);
}

function renderInline(nodes, directory) {
  return nodes.map((node) => renderNode(node, directory));
}

function renderNode(node, directory) {
  switch (node.kind) {
    case "text": return withEmoji(node.text);
    case "code": return h("code", {}, node.text);
    case "link": return renderLink(node);
    case "user": return mention(directory.userName(node.id, node.label), directory.isMe(node.id));
    case "channel": return h("span", { class: "mention" }, `#${directory.channelName(node.id, node.label)}`);
    case "broadcast": return mention(node.name, true);
    default: return h(TAGS[node.kind], {}, renderInline(node.children, directory));
  }
}

/** A mention of a person, group or everyone; drawn stronger when it calls the reader. */
export function mention(name, callsReader) {
  return h("span", { class: callsReader ? "mention mention-me" : "mention" }, `@${name}`);
}

function renderLink({ address, label }) {
  const anchor = link(address, label || address);
  const hidden = anchor.tagName !== "A" && label && label !== address;
  return hidden ? h("span", { class: "dead-link" }, `${label} (${address})`) : anchor;
}
