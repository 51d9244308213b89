/** The live socket: it reconnects by itself, and says when a gap has to be filled. */

const FIRST_WAIT_MS = 400;
const LONGEST_WAIT_MS = 8000;

/**
 * Follow the workspace. `prepare()` runs before a reconnection: a server that started anew knows no session of this
 * browser, and gives it one on an ordinary request. `opened()` runs at every connection, also the first: read everything anew there, for what
 * happened in between was missed. `received(event)` gets each event, `lost()` runs when the connection drops.
 */
export function followLive({ prepare, opened, received, lost }) {
  let wait = FIRST_WAIT_MS;
  const connect = () => {
    const socket = new WebSocket(liveAddress());
    socket.addEventListener("open", () => {
      wait = FIRST_WAIT_MS;
      opened();
    });
    socket.addEventListener("message", (event) => received(JSON.parse(event.data)));
    socket.addEventListener("close", () => {
      lost();
      setTimeout(() => prepare().then(connect), wait * (0.75 + Math.random() / 2));
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    });
  };
  connect();
}

function liveAddress() {
  const address = new URL("/page/live", document.baseURI);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  return address;
}
