// The machine: where processes run, what each has used, and whether others were busy meanwhile.

import { spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism, cpus, release, totalmem } from "node:os";

/** Clock ticks per second in /proc, on every Linux there is. */
const TICKS = 100;
/** Of one core's time in a window: from here on the window says more about others than about the subject. */
const BUSY_SHARE = 0.15;

const canPin = availableParallelism() > 1 && spawnSync("taskset", ["-V"]).status === 0;
/** The server has the first core to itself, the load the second. */
const CORES = { server: "0", load: "1" };

/** Starts a program on the core of its role, where the machine lets us choose; without a role, on all of them. */
export function start(role, program, args, options) {
  const pinned = role && canPin ? ["taskset", "-c", CORES[role]] : [];
  const [command, ...rest] = [...pinned, program, ...args];
  return spawn(command, rest, options);
}

/** Seconds of CPU that a process has used, its threads included. */
export function cpuSeconds(pid) {
  const [, , ...fields] = statFields(`/proc/${pid}/stat`);
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

/** The same from the scheduler's own clock, which counts in nanoseconds. Threads that have ended are not in it. */
export function cpuNanoseconds(pid) {
  const spent = (task) => Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]);
  return readdirSync(`/proc/${pid}/task`).reduce((sum, task) => sum + spent(task), 0);
}

/** Bytes of memory that a process has in use. */
export function residentBytes(pid) {
  const line = readFileSync(`/proc/${pid}/status`, "utf8").match(/^VmRSS:\s+(\d+) kB/m);
  return Number(line[1]) * 1024;
}

/** Runs `work` and says what share of one core others took meanwhile: neither the server nor the load. */
export async function watched(pids, work) {
  const before = [busySeconds(), ...pids.map(cpuSeconds)];
  const began = performance.now();
  const result = await work();
  const seconds = (performance.now() - began) / 1000;
  const [all, ...ours] = [busySeconds(), ...pids.map(cpuSeconds)].map((now, index) => now - before[index]);
  const others = Math.max(0, all - ours.reduce((sum, one) => sum + one, 0)) / seconds;
  return { ...result, others, isDisturbed: others > BUSY_SHARE };
}

/** What all cores have done but wait: user, nice, system, interrupts, and what the host took (steal). */
function busySeconds() {
  const [user, nice, system, , , irq, softirq, steal] = readFileSync("/proc/stat", "utf8")
    .split("\n", 1)[0]
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + softirq + steal) / TICKS;
}

/** The fields of a stat file: a program's name, the second one, may hold spaces. */
function statFields(path) {
  const text = readFileSync(path, "utf8");
  const end = text.lastIndexOf(")");
  return [
    text.slice(0, text.indexOf(" ")),
    text.slice(text.indexOf("(") + 1, end),
    ...text.slice(end + 2).split(" "),
  ];
}

/** In one line, for the table. */
export function describeMachine() {
  const memory = Math.round(totalmem() / 2 ** 30);
  const pinned = canPin ? "server and load on a core each" : "no core of their own";
  return `${cpus()[0].model.trim()}, ${availableParallelism()} cores, ${memory} GB, Linux ${release()}; ${pinned}`;
}
