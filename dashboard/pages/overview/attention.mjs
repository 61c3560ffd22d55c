// What needs somebody, the worst first: decided from what was read, no DOM in here.

import { href } from "../../lib/route.mjs";
import { count, plural } from "../../lib/time.mjs";

/** So many of the quarantine's entries are read at most. */
const MOST_KEPT = 100;
const ORDER = ["bad", "warn", "off"];
const WHY = {
  gone: "is paused: the service answered 410, gone",
  parked: "is paused: 20 deliveries in a row were given up",
  disabled: "is paused",
};

/** @returns {{ kind: string, name?: string, text: string, to: string, way: string }[]} `name` is text from outside */
export function attention({ stats, integrations = [], quarantine = [] }) {
  const found = [...integrations.flatMap(ofIntegration), ...ofStats(stats, quarantine)];
  if (quarantine.length) {
    const many =
      quarantine.length >= MOST_KEPT
        ? `${MOST_KEPT} events or more are`
        : `${plural(quarantine.length, "event")} ${quarantine.length === 1 ? "is" : "are"}`;
    found.push({
      kind: "warn",
      text: `${many} in quarantine: authenticated, and refused`,
      to: href("quarantine"),
      way: "See why",
    });
  }
  return found.sort((one, other) => ORDER.indexOf(one.kind) - ORDER.indexOf(other.kind));
}

function ofIntegration({ id, name, event, paused, counts }) {
  const to = href("integrations", [id]);
  const found = [];
  const say = (kind, text, way) => found.push({ kind, name: name ?? event, text, to, way });
  if (paused) say(paused.reason === "disabled" ? "off" : "bad", WHY[paused.reason] ?? "is paused", "Resume");
  // Being paused for it says as much.
  if (paused?.reason === "parked") return found;
  if (counts?.parked) say("bad", `gave up ${plural(counts.parked, "delivery", "deliveries")}`, "Replay");
  else if (counts?.today.failure) {
    say("warn", `failed ${plural(counts.today.failure, "attempt")} today, and tries again`, "See them");
  }
  return found;
}

function ofStats(stats, quarantine) {
  if (!stats) return [];
  const { days, devices } = stats;
  const date = new Date().toISOString().slice(0, 10);
  const today = days.find(({ day }) => day === date);
  const found = [];
  if (today?.errors) {
    found.push({
      kind: "bad",
      text: `${plural(today.errors, "request")} failed today; the Worker's log says why`,
      to: href("events"),
      way: "See what came through",
    });
  }
  if (devices.known && !devices.online) {
    found.push({
      kind: "bad",
      text: "no device was heard within 15 minutes",
      to: href("setup"),
      way: "Check the way in",
    });
  }
  // What is in quarantine is said by itself. A page full of today's may not be all of them.
  const kept = quarantine.filter(({ received_at: at }) => at.startsWith(date)).length;
  if (kept < MOST_KEPT && today?.refused > kept) {
    found.push({
      kind: "warn",
      text: `${plural(today.refused, "request")} ${today.refused === 1 ? "was" : "were"} refused today: a wrong token, or no event`,
      to: href("setup"),
      way: "Check the token",
    });
  }
  if (today?.limited) {
    found.push({
      kind: "warn",
      text: `${plural(today.limited, "request")} ${today.limited === 1 ? "was" : "were"} over a rate today`,
      to: href("devices"),
      way: "Find the device",
    });
  }
  const silent = devices.known - devices.online;
  if (devices.online && silent > 0) {
    found.push({
      kind: "off",
      text: `${count(silent)} of ${plural(devices.known, "device")} ${silent === 1 ? "is" : "are"} silent`,
      to: href("devices", [], { online: "false" }),
      way: "Which",
    });
  }
  return found;
}
