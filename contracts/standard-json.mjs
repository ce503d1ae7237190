// The one place that says how the contracts are compiled. `compile.mjs` uses it for the committed
// artefacts; foundry.toml repeats the same settings for the tests.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(fileURLToPath(import.meta.url));

// Later EVM versions use opcodes that not every chain has; cancun is what the sandbox chain runs.
export const evmVersion = "cancun";

/** Loads solc-js, or ends with one line that says what to do. */
export function loadCompiler() {
  try {
    return createRequire(import.meta.url)("solc");
  } catch (error) {
    if (error.code !== "MODULE_NOT_FOUND") throw error;
    console.error("contracts/node_modules is not installed: run `make contracts`");
    process.exit(1);
  }
}

/**
 * Standard JSON input for the given files of src/ (["CreditAggregator.sol", ...]).
 *
 * Source names are relative to contracts/ and no metadata hash is appended, so the bytecode depends on the
 * sources and the compiler alone, not on the machine or the path.
 */
export function standardInput(files) {
  const sources = files.map((file) => [`src/${file}`, { content: read(`src/${file}`) }]);
  return {
    language: "Solidity",
    sources: Object.fromEntries(sources),
    settings: {
      evmVersion,
      optimizer: { enabled: true, runs: 10000 },
      metadata: { appendCBOR: false, bytecodeHash: "none" },
      outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
    },
  };
}

/** Import callback of solc-js: our own files by their relative name, packages from node_modules. */
export function findImport(name) {
  try {
    return { contents: read(name.startsWith("@") ? `node_modules/${name}` : name) };
  } catch (error) {
    return { error: `cannot read ${name}: ${error.code}` };
  }
}

function read(name) {
  return readFileSync(join(root, name), "utf8");
}
