/** The words for error codes the local workspace answers with. */
const WORDS = new Map(Object.entries({
  unreachable: "The local workspace did not answer. Is it still running?",
  operation_timeout: "The app did not answer within three seconds.",
  dispatch_failed: "The app could not be reached, or answered with an error.",
  unknown_command: "No app here knows that command.",
  not_in_thread: "Slash commands do not work in threads.",
  message_not_found: "That message is gone.",
  channel_not_found: "That channel is gone.",
  no_text: "There is nothing to send.",
  msg_too_long: "That message is too long.",
}));

export function errorWords(code) {
  return WORDS.get(code) ?? `That did not work (${code ?? "unknown error"}).`;
}
