// The program of every platform, run by Node, Deno or Bun in a project that has the package installed.

import * as sdk from "@e2a/sdk";
import { webcrypto } from "node:crypto";
import process from "node:process";
import { everywhere } from "./everywhere.js";

const { E2A_URL: baseUrl, E2A_API_KEY: apiKey, E2A_WEBHOOK_SECRET: secret, NAME: name, AWAY: away } = process.env;
// Node 18 has no global for it.
const { subtle } = webcrypto;
console.log(await everywhere(sdk, { baseUrl, apiKey, secret, name, subtle, away }));
