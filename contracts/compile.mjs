// Compiles the contracts into artifacts/, byte-identical on every machine.
//   node compile.mjs           write the artefacts
//   node compile.mjs --check   compile and compare with the committed ones; exit 1 on any difference
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { evmVersion, findImport, loadCompiler, root, standardInput } from "./standard-json.mjs";

const contracts = ["CreditAggregator", "CreditPool", "TestUSD"];
const compilerRelease = "0.8.37";

function fail(message) {
  console.error(message);
  process.exit(1);
}

/** Compiles and returns [[contract name, artefact text], ...]; ends the process on any error or empty output. */
function compile() {
  const solc = loadCompiler();
  if (!solc.version().startsWith(`${compilerRelease}+`)) {
    fail(`solc ${compilerRelease} is wanted, ${solc.version()} is installed: run \`make contracts\``);
  }
  const input = standardInput(contracts.map((name) => `${name}.sol`));
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: findImport }));
  // A warning is refused like an error: in a contract that moves money each one is looked at.
  if (output.errors?.length) fail(output.errors.map((error) => error.formattedMessage).join("\n"));
  return contracts.map((name) => [name, artefact(name, output, solc.version())]);
}

function artefact(contractName, output, compiler) {
  const compiled = output.contracts?.[`src/${contractName}.sol`]?.[contractName];
  const bytecode = compiled?.evm?.bytecode?.object;
  const deployedBytecode = compiled?.evm?.deployedBytecode?.object;
  // A wrong output selection compiles "successfully" to nothing, and an unlinked library leaves a placeholder.
  for (const code of [bytecode, deployedBytecode]) {
    if (!/^([0-9a-f]{2})+$/.test(code ?? "")) fail(`${contractName}: the compiler produced no usable bytecode`);
  }
  if (!compiled.abi?.length) fail(`${contractName}: the compiler produced no ABI`);
  const record = {
    contractName,
    abi: compiled.abi,
    bytecode: `0x${bytecode}`,
    deployedBytecode: `0x${deployedBytecode}`,
    compiler,
    evmVersion,
  };
  return `${JSON.stringify(record, null, 2)}\n`;
}

function committed(path) {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error.code === "ENOENT") return null;
    throw error;
  }
}

const [mode, ...rest] = process.argv.slice(2);
if (rest.length || (mode !== undefined && mode !== "--check")) fail("usage: node compile.mjs [--check]");

let differences = 0;
for (const [name, text] of compile()) {
  const path = join(root, "artifacts", `${name}.json`);
  if (mode !== "--check") {
    mkdirSync(join(root, "artifacts"), { recursive: true });
    writeFileSync(path, text);
    console.log(`wrote artifacts/${name}.json`);
  } else if (committed(path) === text) {
    console.log(`artifacts/${name}.json is what the sources compile to`);
  } else {
    differences += 1;
    console.error(`artifacts/${name}.json differs from what the sources compile to: run \`node compile.mjs\``);
  }
}
process.exit(differences ? 1 : 0);
