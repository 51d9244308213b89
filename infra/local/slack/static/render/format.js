/** Times, sizes and counts in words. Slack's `ts` is seconds since the epoch with six decimals, as a string. */

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

export const seconds = (ts) => Number.parseFloat(ts);
export const compareTs = (a, b) => seconds(a) - seconds(b);

const date = (ts) => new Date(seconds(ts) * 1000);

export const clockTime = (ts) => CLOCK.format(date(ts));
export const fullTime = (ts) => FULL.format(date(ts));
export const isoTime = (ts) => date(ts).toISOString();
export const dayKey = (ts) => date(ts).toDateString();

/** "Today", "Yesterday" or the date. */
export function dayName(ts) {
  const days = Math.round((startOfDay(new Date()) - startOfDay(date(ts))) / 86_400_000);
  if (days === 0) return "Today";
  return days === 1 ? "Yesterday" : DAY.format(date(ts));
}

function startOfDay(moment) {
  return new Date(moment.getFullYear(), moment.getMonth(), moment.getDate()).getTime();
}

/** 1536 → "1.5 kB". */
export function byteSize(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1_000_000) return `${(bytes / 1000).toFixed(1)} kB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** 120 → "120 ms", 3200 → "3.2 s". */
export function duration(milliseconds) {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

export const count = (number, noun, plural = `${noun}s`) => `${number} ${number === 1 ? noun : plural}`;
