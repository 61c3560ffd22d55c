// `node scripts/firmware.mjs`: compiles what is in firmware/ as a device would see it and runs its tests with
// sanitizers. A source that is as it was is neither compiled nor run again. The last line counts all tests.
//
// End-to-end tests import `buildReplay`, a device on stdin and stdout (firmware/tests/replay.cpp).

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ask, CommandFailed, main, Missing, run, say, step } from "./lib/console.mjs";
import { sum, withCrash } from "./lib/counts.mjs";
import { inRoot, NATIVE_TARGET } from "./lib/paths.mjs";
import { fingerprint, once } from "./lib/stamps.mjs";

const FIRMWARE = inRoot("firmware");
const TESTS = join(FIRMWARE, "tests");
const OUT = join(NATIVE_TARGET, "firmware");
const SLOWEST_TEST_MS = 120_000;
const COMPILERS_AT_ONCE = 2;

/** What Device OS compiles with, in effect, and no warning let pass. */
const STRICT = ["-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fno-exceptions", "-fno-rtti"];
const SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-g1", "-O1"];
const INCLUDES = ["-I", FIRMWARE, "-I", join(TESTS, "stub")];
/** So that random_test.cpp sees each allocation. */
const WRAPPED = ["malloc", "calloc", "realloc"].map((name) => `-Wl,--wrap=${name}`);

/** All that the header may need from a device: nothing that allocates, prints, throws or reads a clock. */
const ALLOWED_SYMBOLS = /^(mem(cpy|move|cmp|set)|strlen|strchr|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_)$/;

/** Compiles and runs every test in firmware/tests. */
export async function testFirmware() {
  const compiler = await findCompiler();
  mkdirSync(OUT, { recursive: true });
  const names = readdirSync(TESTS)
    .filter((file) => file.endsWith("_test.cpp"))
    .map((file) => file.slice(0, -".cpp".length));
  return step("Testing the firmware", async () => {
    const counts = [await testSymbols(compiler), await testReplay()];
    const waiting = [...names.sort()];
    const work = async () => {
      for (let name = waiting.shift(); name; name = waiting.shift())
        counts.push(await testOne(compiler, name));
    };
    await Promise.all(Array.from({ length: COMPILERS_AT_ONCE }, work));
    return sum(counts);
  });
}

/** Compiles the device on stdin and stdout; returns the path of its program. */
export async function buildReplay() {
  const compiler = await findCompiler();
  const program = join(OUT, "replay");
  await compileOnce(compiler, "replay", program, [...STRICT, ...SANITIZED]);
  return program;
}

async function findCompiler() {
  const compiler = process.env.CXX ?? "g++";
  const version = await ask(compiler, ["--version"]);
  if (version === undefined) {
    throw new Missing(
      `${compiler} is missing: it compiles the tests in firmware/.`,
      "on Debian and Ubuntu: sudo apt-get install g++\non Fedora: sudo dnf install gcc-c++ libasan libubsan\non macOS: xcode-select --install",
    );
  }
  return { command: compiler, version: version.split("\n")[0] };
}

/** Runs one test program and counts; what passed once is only counted until something changes. */
async function testOne(compiler, name) {
  const program = join(OUT, name);
  const counted = `${program}.counts`;
  const flags = name === "random_test" ? WRAPPED : [];
  try {
    const changed = await compileOnce(compiler, name, program, [...STRICT, ...SANITIZED, ...INCLUDES], flags);
    if (!changed && existsSync(counted)) return countsOf(readFileSync(counted, "utf8"));
    rmSync(counted, { force: true });
    const output = await run(program, [], { timeout: SLOWEST_TEST_MS });
    writeFileSync(counted, output);
    say(`  ${name}: ${output.trimEnd().split("\n").at(-1)}`);
    return countsOf(output);
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    say(error.message);
    return withCrash(countsOf(error.output), true);
  }
}

/** One test: an object file with all of the header in it needs nothing from outside that it should not. */
async function testSymbols(compiler) {
  const object = join(OUT, "header_only.o");
  try {
    await compileOnce(compiler, "header_only", object, [...STRICT, "-Wconversion", "-Wshadow", "-Os", "-c"]);
    const symbols = (await run("nm", ["--undefined-only", object])).trim().split("\n").filter(Boolean);
    const wrong = symbols.map((line) => line.trim().split(/\s+/).at(-1)).filter((name) => !allowed(name));
    if (!wrong.length) return { passed: 1, failed: 0 };
    say(
      `firmware/fieldhook.h needs ${wrong.join(", ")}: it may need nothing but memory and string functions`,
    );
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    say(error.message);
  }
  return { passed: 0, failed: 1 };
}

/** One test: the device on stdin and stdout applies a reply and reports it. */
async function testReplay() {
  const reply = Buffer.from('{"v":17,"d":{"target":22.5},"c":[{"id":5,"n":"go"}]}').toString("hex");
  const expected = [
    '{"leaf":"/target","value":22.5}',
    '{"command":5,"name":"go","done":true}',
    '{"heard":"applied","v":17,"more":false,"due":true}',
    '{"report":{"target":22.5,"_v":17,"_ack":[5]}}',
    "",
  ].join("\n");
  try {
    const { stdout } = spawnSync(await buildReplay(), {
      input: `part 0 ${reply}\nreport\n`,
      encoding: "utf8",
    });
    if (stdout === expected) return { passed: 1, failed: 0 };
    say(`replay said\n${stdout}\ninstead of\n${expected}`);
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    say(error.message);
  }
  return { passed: 0, failed: 1 };
}

/** Mach-O puts an underscore before each name, and glibc a version behind it. */
function allowed(symbol) {
  const name = symbol.replace(/@.*$/, "");
  return ALLOWED_SYMBOLS.test(name) || ALLOWED_SYMBOLS.test(name.replace(/^_/, ""));
}

/** Compiles firmware/tests/<name>.cpp unless it, the headers, the flags and the compiler are as before. */
async function compileOnce({ command, version }, name, program, flags, linking = []) {
  mkdirSync(OUT, { recursive: true });
  const headers = [join(FIRMWARE, "fieldhook.h"), join(FIRMWARE, "examples"), join(TESTS, "stub")];
  const own = ["check.h", "cloud.h", `${name}.cpp`].map((file) => join(TESTS, file));
  const print = fingerprint([...headers, ...own], [command, version, ...flags, ...linking]);
  const args = [...flags, join(TESTS, `${name}.cpp`), "-o", program, ...linking];
  const stamp = `${program}.stamp`;
  if (!existsSync(program)) rmSync(stamp, { force: true });
  return once(stamp, print, () => run(command, args));
}

function countsOf(output) {
  const [, passed, failed] = /^(\d+) passed, (\d+) failed$/m.exec(output) ?? [undefined, 0, 0];
  return { passed: Number(passed), failed: Number(failed) };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main(async () => {
    const { passed, failed } = await testFirmware();
    process.exitCode = failed === 0 ? 0 : 1;
    console.log(`${passed} passed, ${failed} failed`);
  });
}
