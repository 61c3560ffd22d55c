// What must hold after any faults, as a pure function over what was seen: so that it can be shown to notice what is
// wrong (check.test.mjs). It knows no Worker and no clock.

/**
 * Compares what was acknowledged with what is there.
 *
 * @param {object} seen
 * @param {Record<string, string[]>} seen.acknowledged by device, the ids of the events that were answered 2xx
 * @param {Record<string, { seq: number, id: string }[]>} seen.logs by device, its log
 * @param {Record<string, { only?: string, items: { device: string, seq: number, id: string }[], gaps: number }>}
 *   seen.streams what came through each, in that order; `only` names the device of a device's stream
 * @param {{ device: string, id: string, ok: boolean }[]} seen.attempts the deliveries, as they came
 * @param {Record<string, { desired: object, reported: object, delta: object, version: number }>} seen.twins
 * @param {Record<string, { version: number, desired: object }>} seen.written the newest write of each twin that was
 *   acknowledged
 * @param {Record<string, { id: number, state: string }[]>} seen.commands
 * @param {Record<string, number[]>} seen.ordered the commands that were acknowledged
 * @returns {{ problems: string[], counts: Record<string, number> }}
 */
export function check(seen) {
  const problems = [];
  const tell = (what) => problems.push(what);
  const counts = {
    ...checkLogs(seen, tell),
    ...checkStreams(seen, tell),
    ...checkDeliveries(seen, tell),
    ...checkTwins(seen, tell),
    ...checkCommands(seen, tell),
  };
  return { problems, counts };
}

/** Every acknowledged event is in its device's log, none is there twice, and the log counts without a gap. */
function checkLogs({ acknowledged, logs }, tell) {
  const counts = { acknowledged: 0, logged: 0, lost: 0, doubled: 0 };
  for (const device of new Set([...Object.keys(acknowledged), ...Object.keys(logs)])) {
    const log = logs[device] ?? [];
    const ids = new Map();
    for (const [index, { seq, id }] of log.entries()) {
      if (seq !== index + 1) tell(`${device}: ${id} has seq ${seq} in the place of ${index + 1}`);
      ids.set(id, (ids.get(id) ?? 0) + 1);
    }
    for (const [id, rows] of ids) {
      if (rows === 1) continue;
      counts.doubled += 1;
      tell(`${device}: ${id} is in the log ${rows} times`);
    }
    const promised = acknowledged[device] ?? [];
    for (const id of promised) {
      if (ids.has(id)) continue;
      counts.lost += 1;
      tell(`${device}: ${id} was acknowledged and is not in the log`);
    }
    counts.acknowledged += promised.length;
    counts.logged += log.length;
  }
  return counts;
}

/** A stream has every event of the logs it is of, once, each device's in the order of its log. */
function checkStreams({ logs, streams }, tell) {
  const counts = { streams: 0, streamed: 0, missing: 0, repeated: 0, shuffled: 0 };
  for (const [name, { only, items, gaps }] of Object.entries(streams)) {
    counts.streams += 1;
    counts.streamed += items.length;
    if (gaps) tell(`${name}: ${gaps} gap notices`);
    const came = Map.groupBy(items, ({ device }) => device);
    for (const device of came.keys()) {
      const wanted = logs[device] && (only === undefined || only === device);
      if (!wanted) tell(`${name}: events of ${device}, whose log this is not`);
    }
    for (const [device, log] of Object.entries(logs)) {
      if (only !== undefined && only !== device) continue;
      const own = came.get(device) ?? [];
      const times = new Map();
      let newest = 0;
      for (const { seq, id } of own) {
        times.set(seq, (times.get(seq) ?? 0) + 1);
        if (log[seq - 1]?.id !== id) tell(`${name}: ${device} ${seq} is ${id} here and not in the log`);
        if (times.get(seq) > 1) continue;
        if (seq < newest) {
          counts.shuffled += 1;
          tell(`${name}: ${device} ${seq} came behind ${newest}`);
        }
        newest = Math.max(newest, seq);
      }
      for (const { seq } of log) {
        const often = times.get(seq) ?? 0;
        if (often === 1) continue;
        counts[often ? "repeated" : "missing"] += 1;
        tell(`${name}: ${device} ${seq} came ${often} times`);
      }
    }
  }
  return counts;
}

/** Everything is delivered, and nothing is tried before what is before it in its log has been delivered. */
function checkDeliveries({ logs, attempts }, tell) {
  const counts = { attempts: attempts.length, refused: 0, delivered: 0, redelivered: 0, undelivered: 0 };
  const places = new Map();
  const done = new Map();
  for (const [device, log] of Object.entries(logs)) {
    done.set(device, 0);
    for (const { seq, id } of log) places.set(`${device} ${id}`, seq);
  }
  for (const { device, id, ok } of attempts) {
    const [seq, behind] = [places.get(`${device} ${id}`), done.get(device)];
    if (seq === undefined) {
      tell(`delivered ${device} ${id}, which is not in the log`);
      continue;
    }
    if (seq > behind + 1) tell(`tried ${device} ${seq} with only ${behind} delivered`);
    counts.refused += ok ? 0 : 1;
    if (ok && seq === behind + 1) {
      done.set(device, seq);
      counts.delivered += 1;
    } else if (ok && seq <= behind) counts.redelivered += 1;
  }
  for (const [device, log] of Object.entries(logs)) {
    const missing = log.length - done.get(device);
    counts.undelivered += missing;
    if (missing) tell(`${device}: ${missing} of ${log.length} not delivered in order`);
  }
  return counts;
}

/** Every device holds what is desired, and what is desired is not older than what was acknowledged. */
function checkTwins({ twins, written }, tell) {
  const counts = { twins: 0, converged: 0 };
  for (const [device, { desired, reported, delta, version }] of Object.entries(twins)) {
    counts.twins += 1;
    if (same(desired, reported) && same(delta, {})) counts.converged += 1;
    else tell(`${device}: desired ${JSON.stringify(desired)}, reported ${JSON.stringify(reported)}`);
    const newest = written[device];
    if (
      newest &&
      (version < newest.version || (version === newest.version && !same(desired, newest.desired)))
    )
      tell(`${device}: version ${version} of the twin, and ${newest.version} was acknowledged`);
  }
  for (const device of Object.keys(written))
    if (!twins[device]) tell(`${device}: a twin was acknowledged and there is none`);
  return counts;
}

/** Every command that was acknowledged is listed, and each is acked or expired. */
function checkCommands({ commands, ordered }, tell) {
  const counts = { commands: 0, acked: 0, expired: 0 };
  for (const [device, list] of Object.entries(commands)) {
    for (const { id, state } of list) {
      counts.commands += 1;
      if (state === "acked" || state === "expired") counts[state] += 1;
      else tell(`${device}: command ${id} is ${state}`);
    }
    if (new Set(list.map(({ id }) => id)).size !== list.length) tell(`${device}: a command is listed twice`);
  }
  for (const [device, ids] of Object.entries(ordered))
    for (const id of ids)
      if (!commands[device]?.some((command) => command.id === id))
        tell(`${device}: command ${id} was acknowledged and is not listed`);
  return counts;
}

/** Equal as JSON, whatever the order of members. */
const same = (a, b) => sorted(a) === sorted(b);
const sorted = (value) =>
  JSON.stringify(value, (_, inner) =>
    inner && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
