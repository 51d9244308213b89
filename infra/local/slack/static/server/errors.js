/** The words for error codes the local workspace answers with. */
const WORDS = new Map(Object.entries({
  unreachable: "The local workspace did not answer. Is it still running?",
  option_not_found: "That choice is not offered any more.",
  action_not_found: "That control is gone.",
  operation_timeout: "The app did not answer within three seconds.",
  http_error: "The app answered with an error.",
  connection_failed: "The app could not be reached.",
  dispatch_failed: "The app could not be reached, or answered with an error.",
  message_not_found: "That message is gone.",
  channel_not_found: "That channel is gone.",
  thread_not_found: "That thread is gone.",
  is_archived: "That channel is archived.",
  no_text: "There is nothing to send.",
  msg_too_long: "That is too long: 40,000 characters is the limit.",
}));

/** A sentence for a code; what already is a sentence stays as it is. */
export function errorWords(code) {
  if (code?.includes(" ")) return code;
  return WORDS.get(code) ?? `That did not work (${code ?? "unknown error"}).`;
}
