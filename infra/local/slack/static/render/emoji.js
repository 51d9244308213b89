/** The short codes our bot and common chat use. A code that is not here stays as text, which reads well enough. */
const EMOJI = new Map(Object.entries({
  "+1": "👍", "-1": "👎", art: "🎨", arrow_down: "⬇️", arrow_right: "➡️", arrow_up: "⬆️",
  arrows_counterclockwise: "🔄", bell: "🔔", bulb: "💡", camera: "📷", clock3: "🕒", eyes: "👀", fire: "🔥",
  fox_face: "🦊", frame_with_picture: "🖼️", framed_picture: "🖼️", game_die: "🎲", gear: "⚙️", grin: "😁",
  hand: "✋", heart: "❤️", heavy_check_mark: "✔️", hourglass: "⌛", hourglass_flowing_sand: "⏳",
  information_source: "ℹ️", joy: "😂", link: "🔗", lock: "🔒", mag: "🔍", moneybag: "💰", no_entry: "⛔",
  octagonal_sign: "🛑", paintbrush: "🖌️", pause_button: "⏸️", pencil2: "✏️", question: "❓", rainbow: "🌈",
  red_circle: "🔴", repeat: "🔁", robot_face: "🤖", rocket: "🚀", rotating_light: "🚨", slightly_smiling_face: "🙂",
  smile: "😄", snowflake: "❄️", sparkles: "✨", star: "⭐", stopwatch: "⏱️", sunny: "☀️", tada: "🎉",
  thinking_face: "🤔", thumbsdown: "👎", thumbsup: "👍", twisted_rightwards_arrows: "🔀", wastebasket: "🗑️",
  warning: "⚠️", wave: "👋", white_check_mark: "✅", x: "❌", zap: "⚡", zzz: "💤",
}));

const CODE = /:([a-z0-9_+'-]+):/g;

/** The character of a short code, or undefined. */
export const emojiFor = (name) => EMOJI.get(name);

/** The text with every known `:code:` replaced. */
export function withEmoji(text) {
  return text.replace(CODE, (code, name) => EMOJI.get(name) ?? code);
}
