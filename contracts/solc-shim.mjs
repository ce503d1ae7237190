#!/usr/bin/env node
// Stands in for a native solc towards forge, which only ever asks for the version and for standard JSON:
// the native compiler would have to be downloaded from outside the package registry.
import { readFileSync } from "node:fs";
import { loadCompiler } from "./standard-json.mjs";

const solc = loadCompiler();
if (process.argv.includes("--version")) {
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}`);
} else if (process.argv.includes("--standard-json")) {
  process.stdout.write(solc.compile(readFileSync(0, "utf8")));
} else {
  console.error(`solc-shim: unsupported arguments: ${process.argv.slice(2).join(" ")}`);
  process.exit(1);
}
