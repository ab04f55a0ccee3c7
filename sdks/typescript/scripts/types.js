// Write src/generated/openapi.ts from openapi.json; with --check only say whether what is committed is current.
import { readFile, writeFile } from "node:fs/promises";
import openapiTS, { astToString } from "openapi-typescript";

const source = new URL("../openapi.json", import.meta.url);
const target = new URL("../src/generated/openapi.ts", import.meta.url);
const header = "// Generated from openapi.json, the daemon's own document. Do not edit: run `npm run generate`.\n\n";

const document = JSON.parse(await readFile(source, "utf8"));
// A field with a default may be left out of a request; answers say themselves what they always hold.
const text = header + astToString(await openapiTS(document, { defaultNonNullable: false }));

if (!process.argv.includes("--check")) {
  await writeFile(target, text);
} else if ((await readFile(target, "utf8")) !== text) {
  console.error("src/generated/openapi.ts is not current: run `npm run types`");
  process.exitCode = 1;
}
