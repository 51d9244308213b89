/** Where the reader is, kept in the address (`#/C1` or `#/C1/1700000000.000100`), so reload, Back and permalinks work. */

/** {channel, thread} of the address; both may be null. */
export function currentRoute() {
  const [, channel, thread] = /^#\/?([A-Z0-9]+)(?:\/([0-9.]+))?$/.exec(location.hash) ?? [];
  return { channel: channel ?? null, thread: thread ?? null };
}

export function goTo(channel, thread = null) {
  location.hash = thread ? `/${channel}/${thread}` : `/${channel}`;
}

export function onRouteChange(listener) {
  window.addEventListener("hashchange", listener);
}

/** The route made good against the channels there are: an unknown or missing channel becomes the first one. */
export function startAt({ channel, thread }, channels) {
  if (channels.some(({ id }) => id === channel)) return { channel, thread };
  return { channel: channels[0]?.id ?? null, thread: null };
}
