/**
 * The page's side of the local workspace's HTTP interface. Every call goes through `request`, so the day the page
 * can act as another person this is the one place to say who.
 */

export const getState = () => request("/page/state");
export const getMessages = (channel) => request(`/page/messages?${new URLSearchParams({ channel })}`);
export const getThread = (channel, ts) => request(`/page/thread?${new URLSearchParams({ channel, ts })}`);
export const send = (message) => request("/page/send", message);
export const act = (action) => request("/page/action", action);
export const dismiss = (channel, ts) => request("/page/dismiss", { channel, ts });

/** GET, or POST when there is a body. Answers that are no JSON and dropped connections become {ok: false, error}. */
async function request(path, body) {
  const init = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  try {
    const response = await fetch(path, { cache: "no-store", ...init });
    const answer = await response.json();
    return response.ok ? answer : { ...answer, ok: false, error: answer.error ?? `http_${response.status}` };
  } catch {
    return { ok: false, error: "unreachable" };
  }
}
