// Does with an insert client what the test says: reads one JSON document, and prints the outcome as another one.

import { SQSClient } from "@aws-sdk/client-sqs";
import * as orders from "./orders.js";
import * as samples from "./samples.js";
import * as vectors from "./vectors.js";

type Dict = Record<string, unknown>;
type Client = typeof orders;

interface Case {
  type: string;
  version?: number;
  payload: unknown;
  allow?: string[];
}

interface Asked {
  client: string;
  does: string;
  cases: Case[];
  endpoint: string;
  queueUrl: string;
  entries: (Dict & { job: Dict })[];
  deny?: boolean;
  allow?: string[];
  rounds?: number;
  readTimeout?: number;
}

/** Makes values that JSON cannot express. */
function revived(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revived);
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value);
  const [first] = fields;
  if (fields.length === 1 && first !== undefined) {
    const [name, inner] = first as [string, string];
    if (name === "$integer") return BigInt(inner);
    if (name === "$float") return inner === "nan" ? NaN : Number(inner.replace("inf", "Infinity"));
    if (name === "$halves") return String.fromCharCode(parseInt(inner, 16));
    if (name === "$bytes") return Uint8Array.from(inner as unknown as number[]);
    if (name === "$nested") {
      let nested: unknown = 1;
      for (let level = 0; level < Number(inner); level++) nested = [nested];
      return nested;
    }
  }
  return Object.fromEntries(fields.map(([name, inner]) => [name, revived(inner)]));
}

/** Gives what is reported the names of the other languages' programs. */
function reported(value: object): Dict {
  const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [snake(name), inner ?? null]));
}

async function sent(client: Client, asked: Asked): Promise<Dict> {
  const region = process.env["AWS_REGION"] ?? "";
  const requestHandler = { requestTimeout: (asked.readTimeout ?? 20) * 1000, throwOnRequestTimeout: true };
  const sqs = new SQSClient({ endpoint: asked.endpoint, region, maxAttempts: 1, requestHandler });
  const warnings: string[] = [];
  const warn = (text: string) => void warnings.push(text);
  const guards = new client.Guards({ deny: asked.deny, allow: asked.allow, warn });
  let jobs = asked.entries.map((entry) => ({ ...entry, ...(revived(entry) as Dict) }) as unknown as orders.Entry);
  let outcome: Dict = { warnings };
  for (let round = 0; round < (asked.rounds ?? 1); round++) {
    try {
      const receipts = await client.sendMany(sqs, asked.queueUrl, jobs, { guards });
      return { ...outcome, receipts: receipts.map(reported) };
    } catch (error) {
      if (error instanceof client.InvalidJobs) {
        return { ...outcome, invalid: error.problems.map(reported), text: error.message };
      }
      if (!(error instanceof client.PartialFailure)) throw error;
      const failed = error.failed.map(({ entry, ...rest }) => reported({ ...rest, jobId: entry.jobId }));
      outcome = { ...outcome, sent: error.sent.map(reported), failed, text: error.message };
      jobs = error.failed.map((failure) => failure.entry);
    }
  }
  return outcome;
}

function compared(a: unknown, b: unknown): number {
  return JSON.stringify(a) < JSON.stringify(b) ? -1 : 1;
}

function findings(client: Client, asked: Asked): Dict[] {
  return asked.cases.map((one) => {
    const texts: string[] = [];
    const guards = new client.Guards({ allow: one.allow, warn: (text) => void texts.push(text) });
    const payload = revived(one.payload);
    const places = guards.findings(one.type, payload).map(({ pointer, kind }) => [pointer, kind]);
    for (const problem of guards.problems(0, one.type, payload)) texts.push(`${one.type}: ${problem.text}`);
    return { places: places.sort(compared), texts: [...new Set(texts)].sort(compared) };
  });
}

function schemaProblems(client: Client, asked: Asked): unknown[] {
  const problems = (one: Case) => client.schemaProblems(one.type, one.version ?? 1, revived(one.payload));
  return asked.cases.map((one) => problems(one).sort(compared));
}

// A character may be in two chunks.
process.stdin.setEncoding("utf8");
let input = "";
for await (const chunk of process.stdin) input += String(chunk);
const asked = JSON.parse(input) as Asked;
const clients: Record<string, unknown> = { orders, samples, vectors };
const client = clients[asked.client] as Client;
const outcomes = { send: sent, findings, schemas: schemaProblems };
const does = outcomes[asked.does as keyof typeof outcomes];
console.log(JSON.stringify(await does(client, asked)));
