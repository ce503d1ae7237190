// Runs the Solidity tests with forge: offline, writing nothing outside contracts/{out,cache}.
//   node run-forge.mjs
// Exits 0 only if every test function found in test/*.t.sol was run and passed. Forge calls a run in which it
// found nothing to do a success; here it is a failure.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { root } from "./standard-json.mjs";

const forge = join(root, "node_modules", "@foundry-rs", "forge-linux-amd64", "bin", "forge");
const timeoutMs = 9 * 60 * 1000;
// A fixed seed: the same commit gives the same verdict everywhere. `FORGE_SEED=0x… node run-forge.mjs` explores others.
const seed = process.env.FORGE_SEED ?? "0x2a";

function fail(message) {
  console.error(message);
  process.exit(1);
}

/** Names of all test functions in the sources, as "Contract.function". */
function declaredTests() {
  const names = [];
  for (const file of readdirSync(join(root, "test")).filter((name) => name.endsWith(".t.sol"))) {
    let contract = null;
    for (const line of readFileSync(join(root, "test", file), "utf8").split("\n")) {
      contract = line.match(/^contract (\w+)/)?.[1] ?? contract;
      const test = line.match(/^\s+function ((?:test|invariant)\w*)\(/)?.[1];
      if (test) names.push(`${contract}.${test}`);
    }
  }
  return names;
}

/** What forge needs and nothing else: no setting of the caller's, no home, this Node first for the compiler shim. */
function environment() {
  const home = join(root, "cache", "home");
  mkdirSync(home, { recursive: true });
  return {
    PATH: [dirname(process.execPath), process.env.PATH].filter(Boolean).join(delimiter),
    HOME: home,
    XDG_CACHE_HOME: home,
    XDG_CONFIG_HOME: home,
    TMPDIR: home,
    NO_COLOR: "1",
    FOUNDRY_DISABLE_NIGHTLY_WARNING: "1",
  };
}

/** Runs forge and returns Map("Contract.function" -> {status, reason, counterexample}). */
function runForge() {
  const run = spawnSync(forge, ["test", "--root", root, "--json", "--fuzz-seed", seed], {
    cwd: root,
    env: environment(),
    encoding: "utf8",
    maxBuffer: 256 * 1024 * 1024,
    timeout: timeoutMs,
  });
  if (run.error) fail(`forge did not run: ${run.error.message}`);
  const suites = parseReport(run);
  const results = new Map();
  for (const [suite, { test_results: tests }] of Object.entries(suites)) {
    for (const [signature, result] of Object.entries(tests)) {
      results.set(`${suite.split(":").at(-1)}.${signature.split("(")[0]}`, result);
    }
  }
  return { results, exitCode: run.status };
}

function parseReport(run) {
  try {
    return JSON.parse(run.stdout);
  } catch {
    return fail(`forge gave no report (exit ${run.status}):\n${run.stdout}\n${run.stderr}`);
  }
}

if (!existsSync(forge)) fail("contracts/node_modules is not installed: run `make contracts`");

const declared = declaredTests();
if (declared.length === 0) fail("no test functions found in contracts/test");
const { results, exitCode } = runForge();

const problems = [];
for (const name of declared.filter((name) => !results.has(name))) problems.push(`${name}: was not run`);
for (const [name, result] of results) {
  if (result.status === "Success") continue;
  const example = result.counterexample ? ` ${JSON.stringify(result.counterexample)}` : "";
  problems.push(`${name}: ${result.status} ${result.reason ?? ""}${example}`);
}
if (exitCode !== 0 && problems.length === 0) problems.push(`forge ended with exit code ${exitCode}`);

if (problems.length) fail(`${problems.join("\n")}\n${problems.length} of ${declared.length} tests have problems`);
console.log(`${results.size} tests passed (${declared.length} declared)`);
