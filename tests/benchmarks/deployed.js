// k6: what Slack sends for a command, signed. URL and SECRET come from the environment; each command is a new one.
import crypto from "k6/crypto";
import exec from "k6/execution";
import http from "k6/http";
import { check } from "k6";
import { Trend } from "k6/metrics";

const took = new Trend("ack", true);
const steady = { executor: "constant-arrival-rate", rate: 5, timeUnit: "1s", duration: __ENV.SECONDS + "s",
                 preAllocatedVUs: 10, maxVUs: 20, gracefulStop: "30s" };
const people = { executor: "shared-iterations", vus: 5, iterations: Number(__ENV.COMMANDS), maxDuration: "8m" };

export const options = {
  scenarios: { commands: __ENV.COMMANDS ? people : steady },
};

export default function () {
  const number = `${__ENV.RUN}-${exec.scenario.iterationInTest}`;
  const body = [
    "command=%2Fimagine", `text=a+red+fox+number+${number}`, `team_id=${__ENV.TEAM}`,
    `user_id=U00000000${10 + (exec.vu.idInTest % 5)}`, `channel_id=${__ENV.CHANNEL}`,
    `trigger_id=${number}`, "response_url=http%3A%2F%2F127.0.0.1%3A9%2Fnone",
  ].join("&");
  const stamp = String(Math.floor(Date.now() / 1000));
  const reply = http.post(__ENV.URL, body, {
    headers: {
      "Content-Type": "application/x-www-form-urlencoded",
      "X-Slack-Request-Timestamp": stamp,
      "X-Slack-Signature": "v0=" + crypto.hmac("sha256", __ENV.SECRET, `v0:${stamp}:${body}`, "hex"),
    },
    timeout: "30s",
  });
  took.add(reply.timings.duration);
  check(reply, {
    acked: (r) => r.status === 200 && !r.body,
    "within 3 s": (r) => r.timings.duration < 3000,
  });
}

export function handleSummary(data) {
  return { stdout: JSON.stringify(data.root_group.checks) };
}
