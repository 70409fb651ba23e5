/**
 * Insert client for Drumline jobs.
 *
 * HEADER
 */

import { SendMessageBatchCommand, type MessageAttributeValue, type SQSClient } from "@aws-sdk/client-sqs";

// contract: begin

export interface ExamplePayload {
  id: string;
}

/** A job of type `example`, version 1. */
export interface Example {
  type: "example";
  version?: 1;
  payload: ExamplePayload;
}

export type Job = Example;

const VERSIONS: Readonly<Record<string, number>> = { example: 1 };

const SCHEMAS: Readonly<Record<string, Schema | null>> = {
  "example 1": {
    type: "object",
    properties: { id: { type: "string" } },
    required: ["id"],
  },
};

// contract: end

// tables: begin

const TOKENS = [["an AWS access key ID", "AKIA", "AKIA[A-Z0-9]{16}(?![A-Z0-9])"]] as const;
const PEM = "-----BEGIN ([A-Z0-9 ]{0,64})(?=-----)";
const PRIVATE_KEY_ENDINGS = ["PRIVATE KEY"];
const URL_AUTHORITY = "://(?=([^/ ]{0,1024}))";
const PLACEHOLDER_BEGINNINGS = "$";
const AWS_SECRET_KEY = "[A-Za-z0-9+/]{40}";
const AWS_SECRET_KEY_NAMES = ["secretaccesskey"];
const SECRET_NAMES = ["secret"];
const SECRET_NAME_ENDINGS = ["password"];
const REFERENCE_BEGINNINGS = ["arn:"];
const JWT_RUN = "[A-Za-z0-9_.-]+";
const JWT_BEGINNING = "eyJ";
const MAX_JWT_HEADER = 4096;
const CARD_ISSUERS = [["4", "4", [16]]] as const;
const CARD_GROUPS = [[4, 4, 4, 4]] as const;
const CARD_DIGITS = [14, 19] as const;
const NO_CARD_NAME_ENDINGS = ["id"];
const EMAIL_LOCAL = "[A-Za-z0-9.-]{0,64}";
const EMAIL_DOMAIN = "[A-Za-z0-9.-]{0,253}";
const MAX_EMAIL_LOCAL = 64;
const NO_PERSONS = ["git"];
const MAX_NAME_BYTES = 128;
const MAX_TEXT_BYTES = 20000;
const MAX_FINDINGS_PER_KIND = 20;
const DENIED = ["secret"];
const DENIED_IF_STRICT = ["secret", "secret_name"];
const TEXTS: Readonly<Record<string, string>> = { secret: "{field} has {what}", secret_name: "{field} is named so" };

// tables: end

/** A message attribute: text, a number, or bytes. */
export type AttributeValue = string | number | bigint | Uint8Array;

/** How a job is sent. */
export interface Options {
  /** Seconds before a worker can receive it: 0 to 900, and none on a FIFO queue. */
  delay?: number | undefined;
  /** The message group: needed on a FIFO queue, a fair-queue tenant elsewhere. */
  group?: string | undefined;
  /** The deduplication ID of a FIFO queue; by default the job's ID. */
  dedup?: string | undefined;
  /** The key under which the job's effect happens once; by default the job's ID. */
  idempotencyKey?: string | undefined;
  /** The ID that ties the job to the request that caused it. */
  correlationId?: string | undefined;
  /** Message attributes. */
  attributes?: Readonly<Record<string, AttributeValue>> | undefined;
  /** The job's ID; by default a new ULID. */
  jobId?: string | undefined;
}

/** A job with options of its own. Sending the same entry with its `jobId` again sends the same job. */
export interface Entry extends Options {
  job: Job;
}

/** SQS has confirmed this job. */
export interface Receipt {
  position: number;
  jobId: string;
  messageId: string;
  sequenceNumber: string | undefined;
}

/** SQS has not confirmed this job. To send it again, pass `entry` to `sendMany`: a worker then knows a second copy. */
export interface Failure {
  position: number;
  entry: Entry;
  code: string;
  message: string;
  /** SQS refuses this job; sending it again unchanged does not help. */
  senderFault: boolean;
  /** SQS may have taken the job: its answer was lost, or does not mention the job. */
  inDoubt: boolean;
}

/** Some jobs were not sent, or not for certain. `sent` and `failed` together name each job of the call exactly once. */
export class PartialFailure extends Error {
  override readonly name = "PartialFailure";
  readonly sent: readonly Receipt[];
  readonly failed: readonly Failure[];

  constructor(sent: readonly Receipt[], failed: readonly Failure[], cause: unknown) {
    const [first] = failed;
    const of = `${failed.length} of ${sent.length + failed.length} jobs were not sent`;
    const name = `job ${first?.position} (${first?.entry.job.type})`;
    super(`${of}; the first is ${name}: ${first?.code}: ${first?.message}`, { cause });
    this.sent = sent;
    this.failed = failed;
  }
}

/** A reason why a job is not sent. */
export interface Problem {
  position: number;
  jobType: string;
  /** The RFC 6901 pointer into the payload; empty for the payload itself and for options. */
  pointer: string;
  kind: string;
  text: string;
}

/** Some jobs may not be sent. SQS was not called: no job of the call has been sent. */
export class InvalidJobs extends Error {
  override readonly name = "InvalidJobs";
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    const lines = problems.map((problem) => `job ${problem.position} (${problem.jobType}): ${problem.text}`);
    super(`no job was sent:\n${lines.join("\n")}`);
    this.problems = problems;
  }
}

/** Something in a payload that should not wait in a queue. */
export interface Finding {
  /** The field (RFC 6901). A name that is itself a secret, a token, a card number or an address is `*` in it. */
  pointer: string;
  kind: string;
  what: string;
}

export interface GuardOptions {
  /** Names of secrets, JSON Web Tokens and card numbers are errors, too. */
  deny?: boolean | undefined;
  /** Fields that may have what is found there: `TYPE:/pointer` or `TYPE:/pointer=KIND`. `*` stands for any type, name or index. */
  allow?: readonly string[] | undefined;
  /** Receives the warnings; by default `console.warn` does. */
  warn?: ((text: string) => void) | undefined;
}

/** Finds in payloads what does not belong into a queue. Secrets are errors; each other finding of a field warns once. */
export class Guards {
  readonly #denied: readonly string[];
  readonly #allowances: readonly Allowance[];
  readonly #warn: (text: string) => void;
  readonly #warned = new Set<string>();

  constructor(options: GuardOptions = {}) {
    this.#denied = options.deny === true ? DENIED_IF_STRICT : DENIED;
    this.#allowances = (options.allow ?? []).map(allowance);
    this.#warn = options.warn ?? ((text) => console.warn(text));
  }

  /** Returns what is found and not allowed, at most 20 of each kind. */
  findings(jobType: string, payload: unknown): Finding[] {
    const findings: Finding[] = [];
    const found = new Map<string, number>();
    for (const finding of walk(payload as Json, "", "", found)) {
      const count = found.get(finding.kind) ?? 0;
      if (count === MAX_FINDINGS_PER_KIND) continue;
      if (this.#allowances.some((one) => allows(one, jobType, finding))) continue;
      found.set(finding.kind, count + 1);
      findings.push(finding);
    }
    return findings;
  }

  /** Warns of findings, and returns those that are errors. */
  *problems(position: number, jobType: string, payload: unknown): Generator<Problem> {
    for (const { pointer, kind, what } of this.findings(jobType, payload)) {
      const pattern = pointer.split("/").map((segment) => (isIndex(segment) ? "*" : segment));
      const allow = `${jobType}:${pattern.join("/")}`;
      const fills: Record<string, string> = {
        allow: allow.replace(CONTROLS, controlEscaped),
        what,
        field: fieldOf(pointer),
      };
      const text = (TEXTS[kind] ?? kind).replace(/\{(\w+)\}/g, (_, name: string) => fills[name] ?? "");
      if (this.#denied.includes(kind)) {
        yield { position, jobType, pointer, kind, text };
        continue;
      }
      const key = `${kind} ${allow}`;
      if (!this.#warned.has(key) && this.#warned.size < MAX_WARNED) {
        this.#warned.add(key);
        this.#warn(`${jobType}: ${text}`);
      }
    }
  }
}

const DEFAULT_GUARDS = new Guards();

/**
 * Sends a job.
 *
 * Throws `InvalidJobs` if it may not be sent, and `PartialFailure` if SQS does not confirm it.
 */
export async function send(
  client: SQSClient,
  queueUrl: string,
  job: Job,
  options: Options & { guards?: Guards } = {},
): Promise<Receipt> {
  const { guards, ...own } = options;
  const [receipt] = await sendMany(client, queueUrl, [{ ...own, job }], { guards });
  return receipt as Receipt;
}

/**
 * Sends jobs in batches, and retries those that fail in passing. The options are for jobs without an option of their own.
 *
 * Returns the receipts in the order of the jobs. All jobs are checked before the first one is sent.
 *
 * Throws `InvalidJobs` if any may not be sent, and `PartialFailure` if SQS does not confirm all of them. On a FIFO queue a job
 * that is retried can arrive after later ones of its group; send those of which the order matters one by one.
 */
export async function sendMany(
  client: SQSClient,
  queueUrl: string,
  jobs: Iterable<Job | Entry>,
  options: Pick<Options, "delay" | "group" | "correlationId" | "attributes"> & { guards?: Guards | undefined } = {},
): Promise<Receipt[]> {
  const { guards = DEFAULT_GUARDS, ...shared } = options;
  const problems: Problem[] = [];
  const messages: Message[] = [];
  let position = 0;
  for (const item of jobs) {
    const own: Entry = "job" in item ? item : { job: item };
    const entry = { ...shared, ...given(own), jobId: own.jobId ?? ulid() } as Entry & { jobId: string };
    const message = prepare(position, entry, queueUrl, guards, problems);
    if (message !== undefined) messages.push(message);
    position += 1;
  }
  if (problems.length > 0) throw new InvalidJobs(problems);
  const sent: Receipt[] = [];
  const failed: Failure[] = [];
  let cause: unknown;
  for (const batch of batches(messages)) {
    if (cause === undefined) {
      cause = await sendBatch(client, queueUrl, batch, sent, failed);
      continue;
    }
    const message = `not tried after ${codeOf(cause)}`;
    failed.push(...batch.map((one) => failure(one, "NotTried", message, false, false)));
  }
  sent.sort((a, b) => a.position - b.position);
  failed.sort((a, b) => a.position - b.position);
  if (failed.length > 0) throw new PartialFailure(sent, failed, cause);
  return sent;
}

/** Returns what is not `undefined`. */
function given<T extends object>(options: T): Partial<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>;
}

// What SQS takes: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
const MAX_BYTES = 1_048_576;
const MAX_ENTRIES = 10;
const MAX_ATTRIBUTES = 10;
const MAX_NAME = 256;
const MAX_DELAY = 900;
const MAX_ID = 128;
/** The longest idempotency key of a worker, in bytes. */
const MAX_KEY_BYTES = 1024;
/** The deepest payload that a worker reads. */
const MAX_DEPTH = 127;
/** Attributes by which a worker decodes a message: they would make another job of it. */
const DECODING = ["messageType", "contentEncoding", "SQSLargePayloadSize", "ExtendedPayloadSize"];
/** JSON escapes control characters. SQS refuses the last two, and half of a surrogate pair is no character. */
const FORBIDDEN = /[\ud800-\udfff\ufffe\uffff]/u;
const FORBIDDEN_IN_TEXT = /[^\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u;
const ATTRIBUTE_NAME = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;
const QUEUE_ID = /^[!-~]{1,128}$/;

interface Message {
  position: number;
  entry: Entry;
  jobId: string;
  bytes: number;
  request: {
    MessageBody: string;
    DelaySeconds?: number;
    MessageGroupId?: string;
    MessageDeduplicationId?: string;
    MessageAttributes?: Record<string, MessageAttributeValue>;
  };
}

/** JSON as it is sent: without `undefined`, and with what `toJSON` returns. */
type Json = null | boolean | number | bigint | string | Json[] | { [name: string]: Json };

/** Pointer, kind and text of what is wrong. */
type Found = [pointer: string, kind: string, text: string];

/** Returns the message of an entry, or adds to the problems. */
function prepare(
  position: number,
  entry: Entry & { jobId: string },
  queueUrl: string,
  guards: Guards,
  problems: Problem[],
): Message | undefined {
  const { job, jobId } = entry;
  const version = versionOf(job);
  const isFifo = queueUrl.endsWith(".fifo");
  const before = problems.length;
  const refuse = (pointer: string, kind: string, text: string) =>
    problems.push({ position, jobType: job.type, pointer, kind, text });
  const found: Found[] = [];
  const payload = plain(job.payload, "", 0, found);
  for (const [pointer, kind, text] of found) refuse(pointer, kind, `${fieldOf(pointer)} ${text}`);
  if (payload === undefined || problems.length > before) return undefined;
  for (const [pointer, kind, text] of problemsOf(job.type, version, payload)) {
    refuse(pointer, kind, `${fieldOf(pointer)} ${text}`);
  }
  problems.push(...guards.problems(position, job.type, payload));
  for (const [kind, text] of optionProblems(entry, isFifo)) refuse("", kind, text);
  if (problems.length > before) return undefined;

  const { idempotencyKey, correlationId, attributes } = entry;
  const createdAt = new Date().toISOString();
  const envelope = given({
    jobId,
    type: job.type,
    schemaVersion: version,
    idempotencyKey,
    correlationId,
    createdAt,
    payload,
  });
  const request: Message["request"] = { MessageBody: json(envelope as Json) };
  if (entry.delay !== undefined) request.DelaySeconds = entry.delay;
  if (entry.group !== undefined) request.MessageGroupId = entry.group;
  // The same for all tries: if an answer was lost, SQS drops the second message.
  if (isFifo) request.MessageDeduplicationId = entry.dedup ?? jobId;
  let bytes = utf8Bytes(request.MessageBody);
  if (attributes !== undefined && Object.keys(attributes).length > 0) {
    const values = Object.entries(attributes).map(([name, value]) => [name, attribute(value)] as const);
    request.MessageAttributes = Object.fromEntries(values);
    for (const [name, value] of values) {
      const content = value.BinaryValue?.length ?? utf8Bytes(value.StringValue ?? "");
      bytes += name.length + (value.DataType ?? "").length + content;
    }
  }
  if (bytes > MAX_BYTES) {
    refuse("", "size", `${bytes} bytes are more than SQS's ${MAX_BYTES}: put the data into S3 and send a reference`);
    return undefined;
  }
  return { position, entry, jobId, bytes, request };
}

function versionOf(job: Job): number {
  const version: number | undefined = job.version ?? own(VERSIONS, job.type);
  if (version === undefined) throw new TypeError(`the contract has no type ${json(job.type)}`);
  return version;
}

function own<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

function utf8Bytes(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** Writes JSON, with integers of any size. */
function json(value: Json): string {
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return `[${value.map(json).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    return `{${Object.entries(value)
      .map(([name, inner]) => `${JSON.stringify(name)}:${json(inner)}`)
      .join(",")}}`;
  }
  return JSON.stringify(value);
}

function escaped(segment: string | number): string {
  return `/${String(segment).replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

function unescaped(segment: string): string {
  return segment.replaceAll("~1", "/").replaceAll("~0", "~");
}

function isIndex(segment: string): boolean {
  return /^[0-9]+$/.test(segment);
}

/** Returns a field as people write it: `payload.users[0].name`. */
function fieldOf(pointer: string): string {
  const parts = pointer.split("/").slice(1).map(unescaped);
  const part = (name: string) => {
    if (isIndex(name)) return `[${name}]`;
    return name === "*" || /^[\p{Alphabetic}\p{N}_\-$@]+$/u.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`;
  };
  return ["payload", ...parts.map(part)].join("");
}

/** Returns a value as it is sent. Adds what JSON, SQS or a worker cannot take. */
function plain(value: unknown, pointer: string, depth: number, found: Found[]): Json | undefined {
  const refuse = (kind: string, text: string): undefined => {
    found.push([pointer, kind, text]);
    return undefined;
  };
  if (value === null || typeof value === "boolean" || typeof value === "bigint") return value;
  if (typeof value === "string") {
    const character = FORBIDDEN.exec(value)?.[0];
    if (character === undefined) return value;
    const code = character.charCodeAt(0).toString(16).toUpperCase();
    return refuse("character", `has the character U+${code}, which SQS does not take: leave it out`);
  }
  if (typeof value === "number") {
    return Number.isFinite(value) ? value : refuse("json", "is not a finite number, and JSON has no others");
  }
  if (typeof value !== "object") return refuse("json", `is of type ${typeof value}, which JSON cannot express`);
  if ("toJSON" in value && typeof value.toJSON === "function") return plain(value.toJSON(), pointer, depth, found);
  if (depth === MAX_DEPTH) return refuse("depth", `is nested deeper than the ${MAX_DEPTH} levels that a worker reads`);
  if (Array.isArray(value)) {
    return Array.from(
      value,
      (inner: unknown, index) => plain(inner, pointer + escaped(index), depth + 1, found) ?? null,
    );
  }
  if (value instanceof Map || value instanceof Set || ArrayBuffer.isView(value)) {
    return refuse("json", `is a ${String(value.constructor.name)}, which JSON cannot express`);
  }
  const fields: [string, Json][] = [];
  for (const [name, inner] of Object.entries(value)) {
    if (inner === undefined) continue;
    if (FORBIDDEN.test(name))
      refuse("character", `has the name ${JSON.stringify(name)}, of which SQS does not take all characters`);
    else fields.push([name, plain(inner, pointer + escaped(name), depth + 1, found) ?? null]);
  }
  return Object.fromEntries(fields);
}

/** Finds options that SQS or a worker would refuse, as kind and text. */
function* optionProblems(entry: Entry, isFifo: boolean): Generator<[kind: string, text: string]> {
  const { delay, group, dedup, attributes = {} } = entry;
  if (delay !== undefined && isFifo) {
    yield ["delay", "a FIFO queue delays no single job: leave the delay out"];
  } else if (delay !== undefined && !(Number.isInteger(delay) && delay >= 0 && delay <= MAX_DELAY)) {
    yield ["delay", `a delay is 0 to ${MAX_DELAY} whole seconds, not ${delay}`];
  }
  if (isFifo && group === undefined) yield ["group", "a FIFO queue needs a group"];
  if (!isFifo && dedup !== undefined) {
    yield ["dedup", "only a FIFO queue has deduplication IDs: leave it out, or use an idempotency key"];
  }
  for (const [kind, id] of Object.entries({ group, dedup })) {
    if (id !== undefined && !QUEUE_ID.test(id)) {
      yield [
        kind,
        `a ${kind} is 1 to ${MAX_ID} ASCII letters, digits and punctuation marks, not ${JSON.stringify(id)}`,
      ];
    }
  }
  const named = { idempotencyKey: entry.idempotencyKey, correlationId: entry.correlationId, jobId: entry.jobId };
  for (const [name, value] of Object.entries(named)) {
    if (value === undefined) continue;
    // The kinds are the same in all languages.
    const kind = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    if (value === "" || FORBIDDEN.test(value))
      yield [kind, `${name} is empty, or has a character that SQS does not take`];
    else if (utf8Bytes(value) > MAX_KEY_BYTES) yield [kind, `${name} has more than ${MAX_KEY_BYTES} bytes`];
  }
  const names = Object.keys(attributes);
  if (names.length > MAX_ATTRIBUTES) {
    yield ["attribute", `${names.length} attributes are more than SQS's ${MAX_ATTRIBUTES}`];
  }
  for (const [name, value] of Object.entries(attributes)) {
    const text = attributeProblem(name, value);
    if (text !== undefined) yield ["attribute", text];
  }
}

function attributeProblem(name: string, value: AttributeValue): string | undefined {
  const lower = name.toLowerCase();
  const quoted = JSON.stringify(name);
  if (name.length > MAX_NAME || !ATTRIBUTE_NAME.test(name)) {
    return `the attribute name ${quoted} is not of 1 to ${MAX_NAME} letters, digits, _, - and single periods`;
  }
  if (lower.startsWith("aws.") || lower.startsWith("amazon.")) return `the attribute name ${quoted} is reserved by AWS`;
  if (DECODING.includes(name)) return `the attribute ${quoted} would make another job of this one: leave it out`;
  if (value instanceof Uint8Array || typeof value === "string") {
    if (value.length === 0) return `the attribute ${name} is empty, which SQS does not take`;
    if (typeof value === "string" && FORBIDDEN_IN_TEXT.test(value)) {
      return `the attribute ${name} has a character that SQS does not take`;
    }
    return undefined;
  }
  if (typeof value === "bigint" || Number.isFinite(value)) return undefined;
  if (typeof value === "number") return `the attribute ${name} is not a finite number`;
  return `the attribute ${name} is of type ${typeof value}: give it a text, a number or bytes`;
}

function attribute(value: AttributeValue): MessageAttributeValue {
  if (value instanceof Uint8Array) return { DataType: "Binary", BinaryValue: value };
  if (typeof value === "string") return { DataType: "String", StringValue: value };
  return { DataType: "Number", StringValue: String(value) };
}

// Guards: the same detectors as those of Drumline's own producer.

const TOKEN = new RegExp(`(?<![A-Za-z0-9])(?:${TOKENS.map(([, , pattern]) => `(${pattern})`).join("|")})`);
const CARDS = [
  `[0-9]{${CARD_DIGITS.join(",")}}`,
  ...CARD_GROUPS.map(([first, ...rest]) => {
    const further = rest.map((length) => `[0-9]{${length}}`);
    return `[0-9]{${first}}([ -])${further.join("\\2")}`;
  }),
].map((digits) => new RegExp(`(?<![A-Za-z0-9_-])(?<![0-9][.,])(?=(${digits})(?![A-Za-z0-9_-])(?![.,][0-9]))`, "g"));
const SMALLEST_CARD = 10 ** (CARD_DIGITS[0] - 1);
const CONTROLS = /[\x00-\x1f\x7f-\x9f]/g;
/** A map may have any names: more patterns than that are not remembered, and not warned of. */
const MAX_WARNED = 1000;

interface Allowance {
  jobType: string;
  pattern: readonly string[];
  kind: string | undefined;
}

function allowance(text: string): Allowance {
  const equals = text.lastIndexOf("=");
  const hasKind = equals >= 0 && Object.hasOwn(TEXTS, text.slice(equals + 1));
  const [field, kind] = hasKind ? [text.slice(0, equals), text.slice(equals + 1)] : [text, undefined];
  // A type may be a URI, so the last colon before a slash counts.
  const colon = field.endsWith(":") ? field.length - 1 : field.lastIndexOf(":/");
  if (colon <= 0) {
    const form = "write it as TYPE:/pointer or TYPE:/pointer=KIND, such as email.send:/to";
    throw new TypeError(`${JSON.stringify(text)} allows no field: ${form}`);
  }
  return { jobType: field.slice(0, colon), pattern: field.slice(colon + 1).split("/"), kind };
}

function allows({ jobType, pattern, kind }: Allowance, type: string, finding: Finding): boolean {
  const segments = finding.pointer.split("/");
  const isField = pattern.length === segments.length && pattern.every((own, at) => own === "*" || own === segments[at]);
  return (jobType === "*" || jobType === type) && (kind === undefined || kind === finding.kind) && isField;
}

function controlEscaped(character: string): string {
  const short: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
  return short[character] ?? `\\u{${character.charCodeAt(0).toString(16)}}`;
}

/** Finds in a payload, of which the names of fields are inspected, too. Lists have the name of the field that they are in. */
function* walk(value: Json, pointer: string, name: string, found: ReadonlyMap<string, number>): Generator<Finding> {
  if (Array.isArray(value)) {
    for (const [index, inner] of value.entries()) yield* walk(inner, pointer + escaped(index), name, found);
  } else if (typeof value === "object" && value !== null) {
    for (const [innerName, inner] of Object.entries(value)) {
      const innerPointer = pointer + shownSegment(innerName);
      const hidden = valueIn(innerName);
      if (hidden !== undefined) yield { pointer: innerPointer, ...hidden };
      yield* walk(inner, innerPointer, innerName, found);
    }
  } else if (typeof value === "string") {
    yield* textFindings(value, pointer, normalized(name), found);
  } else if (typeof value === "bigint" || Number.isInteger(value)) {
    const number = value as Limit;
    const mayBeCard = number >= SMALLEST_CARD && number < 1n << 64n && mayHaveCard(normalized(name));
    if (mayBeCard && hasCardNumber(BigInt(number).toString())) {
      yield { pointer, kind: "card_number", what: "a card number" };
    }
  }
}

function* textFindings(
  text: string,
  pointer: string,
  name: string,
  found: ReadonlyMap<string, number>,
): Generator<Finding> {
  const isFull = (kind: string) => found.get(kind) === MAX_FINDINGS_PER_KIND;
  let isToken = false;
  const secret = namedSecret(name, text) ?? secretIn(text);
  if (secret !== undefined && !isFull("secret")) {
    isToken = true;
    yield { pointer, kind: "secret", what: secret };
  }
  if (!isFull("jwt") && hasJwt(text)) {
    isToken = true;
    yield { pointer, kind: "jwt", what: "a JSON Web Token" };
  }
  if (!isToken && isSecretByName(name, text)) yield { pointer, kind: "secret_name", what: "the name of a secret" };
  if (mayHaveCard(name) && hasCardNumber(text)) yield { pointer, kind: "card_number", what: "a card number" };
  if (hasEmailAddress(text)) yield { pointer, kind: "personal_data", what: "an e-mail address" };
  if (utf8Bytes(text) > MAX_TEXT_BYTES) yield { pointer, kind: "long_text", what: "a long text" };
}

/** Returns what a name is that is itself a value: names of fields are shown, and values never. */
function valueIn(name: string): { kind: string; what: string } | undefined {
  const secret = secretIn(name);
  if (secret !== undefined) return { kind: "secret", what: secret };
  if (hasJwt(name)) return { kind: "jwt", what: "a JSON Web Token" };
  if (hasCardNumber(name)) return { kind: "card_number", what: "a card number" };
  return hasEmailAddress(name) ? { kind: "personal_data", what: "an e-mail address" } : undefined;
}

function shownSegment(name: string): string {
  return utf8Bytes(name) > MAX_NAME_BYTES || valueIn(name) !== undefined ? "/*" : escaped(name);
}

/** Returns the name's ASCII letters and digits in lower case; nothing of a text that is too long for a name. */
function normalized(name: string): string {
  return utf8Bytes(name) > MAX_NAME_BYTES ? "" : name.replace(/[^A-Za-z0-9]/g, "").toLowerCase();
}

function endsWithAny(text: string, endings: readonly string[]): boolean {
  return endings.some((ending) => text.endsWith(ending));
}

function secretIn(text: string): string | undefined {
  const token = TOKEN.exec(text);
  const index = token?.slice(1).findIndex((group) => group !== undefined);
  if (index !== undefined) return TOKENS[index]?.[0];
  for (const [, label = ""] of text.matchAll(new RegExp(PEM, "g"))) {
    if (endsWithAny(label, PRIVATE_KEY_ENDINGS)) return "a private key";
  }
  for (const [, authority = ""] of text.matchAll(new RegExp(URL_AUTHORITY, "g"))) {
    if (hasPassword(authority)) return "a URL with a password";
  }
  return undefined;
}

function hasPassword(authority: string): boolean {
  const user = authority.slice(0, Math.max(0, authority.lastIndexOf("@")));
  const colon = user.indexOf(":");
  const first = user.charAt(colon + 1);
  return colon >= 0 && first !== "" && !PLACEHOLDER_BEGINNINGS.includes(first);
}

function namedSecret(name: string, text: string): string | undefined {
  const isKey = endsWithAny(name, AWS_SECRET_KEY_NAMES) && new RegExp(`^${AWS_SECRET_KEY}$`).test(text);
  return isKey ? "an AWS secret access key" : undefined;
}

function isSecretByName(name: string, text: string): boolean {
  const isNamed = SECRET_NAMES.includes(name) || endsWithAny(name, SECRET_NAME_ENDINGS);
  const isReference = REFERENCE_BEGINNINGS.some((beginning) => text.startsWith(beginning));
  return isNamed && !isReference && !/^\**$/.test(text);
}

function hasJwt(text: string): boolean {
  if (!text.includes(JWT_BEGINNING)) return false;
  return (text.match(new RegExp(JWT_RUN, "g")) ?? []).some((run) => {
    const parts = run.split(".");
    return parts.some((header, at) => parts[at + 1] && parts[at + 2] && isJwtHeader(header));
  });
}

function isJwtHeader(part: string): boolean {
  if (part.length > MAX_JWT_HEADER || !part.startsWith(JWT_BEGINNING)) return false;
  try {
    const bytes = Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (byte) => byte.charCodeAt(0));
    const header: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return typeof header === "object" && header !== null && "alg" in header && typeof header.alg === "string";
  } catch {
    return false;
  }
}

function mayHaveCard(name: string): boolean {
  return !endsWithAny(name, NO_CARD_NAME_ENDINGS);
}

function hasCardNumber(text: string): boolean {
  return CARDS.some((cards) => [...text.matchAll(cards)].some(([, digits = ""]) => isCard(digits)));
}

function isCard(text: string): boolean {
  const digits = text.replace(/[ -]/g, "");
  const isIssued = CARD_ISSUERS.some(([start, end, lengths]) => {
    const first = digits.slice(0, start.length);
    return (lengths as readonly number[]).includes(digits.length) && first >= start && first <= end;
  });
  const values = Array.from(digits, Number).reverse();
  const doubled = (value: number) => (value > 4 ? 2 * value - 9 : 2 * value);
  const sum = values.reduce((sum, value, at) => sum + (at % 2 === 1 ? doubled(value) : value), 0);
  return isIssued && sum % 10 === 0;
}

function hasEmailAddress(text: string): boolean {
  for (let at = text.indexOf("@"); at >= 0; at = text.indexOf("@", at + 1)) if (isAddress(text, at)) return true;
  return false;
}

function isAddress(text: string, at: number): boolean {
  const [local = ""] = new RegExp(`${EMAIL_LOCAL}$`).exec(text.slice(Math.max(0, at - MAX_EMAIL_LOCAL), at)) ?? [];
  const [domain = ""] = new RegExp(`^${EMAIL_DOMAIN}`).exec(text.slice(at + 1)) ?? [];
  if (NO_PERSONS.includes(local) || !/[A-Za-z0-9]/.test(local)) return false;
  // A period behind it ends the sentence.
  const labels = domain.replace(/\.$/, "").split(".");
  const areLabels = labels.every((label) => label !== "" && !label.startsWith("-") && !label.endsWith("-"));
  return labels.length > 1 && areLabels && /^[A-Za-z]{2,}$/.test(labels.at(-1) ?? "");
}

// Sending.

/** A batch of which so many tries have left something is not sent by another one soon. */
const TRIES = 8;
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5000;
const THROTTLED = [
  "RequestThrottled",
  "Throttling",
  "ThrottlingException",
  "ThrottledException",
  "TooManyRequestsException",
  "OverLimit",
  "KmsThrottled",
  "SlowDown",
];

function* batches(messages: readonly Message[]): Generator<Message[]> {
  let batch: Message[] = [];
  let bytes = 0;
  for (const message of messages) {
    if (batch.length > 0 && (batch.length === MAX_ENTRIES || bytes + message.bytes > MAX_BYTES)) {
      yield batch;
      [batch, bytes] = [[], 0];
    }
    batch.push(message);
    bytes += message.bytes;
  }
  if (batch.length > 0) yield batch;
}

/** Sends a batch until each entry is sent or refused. Returns the error after which further batches are useless. */
async function sendBatch(
  client: SQSClient,
  queueUrl: string,
  batch: readonly Message[],
  sent: Receipt[],
  failed: Failure[],
): Promise<unknown> {
  let left = batch;
  /** The jobs that SQS may have taken in one of the tries. */
  const doubtful = new Set<Message>();
  for (let attempt = 1; attempt <= TRIES && left.length > 0; attempt++) {
    if (attempt > 1) {
      const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (attempt - 1));
      await new Promise((resolve) => setTimeout(resolve, Math.random() * longest));
    }
    const entries = left.map((message, index) => ({ Id: String(index), ...message.request }));
    let answer;
    try {
      answer = await client.send(new SendMessageBatchCommand({ QueueUrl: queueUrl, Entries: entries }));
    } catch (error) {
      const nature = natureOf(error);
      if (nature.mayBeTaken) for (const message of left) doubtful.add(message);
      if (nature.passes && attempt < TRIES) continue;
      const text = error instanceof Error ? error.message : String(error);
      failed.push(...left.map((message) => failure(message, codeOf(error), text, false, doubtful.has(message))));
      return error;
    }
    const successes = new Map(answer.Successful?.map((success) => [success.Id, success]));
    const failures = new Map(answer.Failed?.map((failure) => [failure.Id, failure]));
    const again: Message[] = [];
    left.forEach((message, index) => {
      const success = successes.get(String(index));
      if (success?.MessageId !== undefined) {
        const { MessageId: messageId, SequenceNumber: sequenceNumber } = success;
        sent.push({ position: message.position, jobId: message.jobId, messageId, sequenceNumber });
        return;
      }
      const notMentioned = {
        Code: "NotMentioned",
        Message: "the answer does not mention this job",
        SenderFault: false,
      };
      const refusal = failures.get(String(index));
      if (refusal === undefined) doubtful.add(message);
      const { Code: code = "", Message: text = "", SenderFault: bySender = false } = refusal ?? notMentioned;
      if (attempt < TRIES && (!bySender || THROTTLED.includes(lastPart(code)))) again.push(message);
      else failed.push(failure(message, code, text, bySender, doubtful.has(message)));
    });
    left = again;
  }
  return undefined;
}

function failure(message: Message, code: string, text: string, senderFault: boolean, inDoubt: boolean): Failure {
  return { position: message.position, entry: message.entry, code, message: text, senderFault, inDoubt };
}

function lastPart(code: string): string {
  return code.split(/[#.]/).at(-1) ?? code;
}

function codeOf(error: unknown): string {
  return error instanceof Error ? lastPart(error.name) : "Error";
}

/** Tells whether SQS may have taken the batch, and whether the error may pass. */
function natureOf(error: unknown): { mayBeTaken: boolean; passes: boolean } {
  if (THROTTLED.includes(codeOf(error))) return { mayBeTaken: false, passes: true };
  const { $metadata, code, cause } = error as {
    $metadata?: { httpStatusCode?: number };
    code?: unknown;
    cause?: { code?: unknown };
  };
  const status = $metadata?.httpStatusCode;
  if (status !== undefined && status >= 400)
    return { mayBeTaken: status >= 500, passes: status >= 500 || status === 429 };
  // `fetch` has the code of a connection's error in the cause of its own.
  const isConnection = [code, cause?.code].some((code) => typeof code === "string" && /^(E[A-Z]|UND_ERR)/.test(code));
  const isUnreachable = codeOf(error) === "TimeoutError" || isConnection;
  return { mayBeTaken: isUnreachable || codeOf(error) === "AbortError", passes: isUnreachable };
}

const ULID_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** Returns a new ULID: 48 bits of milliseconds and 80 random ones, by five bits a character. */
function ulid(): string {
  let number = BigInt(Date.now());
  for (const byte of crypto.getRandomValues(new Uint8Array(10))) number = (number << 8n) | BigInt(byte);
  let text = "";
  for (let digit = 0; digit < 26; digit++, number >>= 5n) text = ULID_DIGITS.charAt(Number(number & 31n)) + text;
  return text;
}

// Schemas: the keywords of JSON Schema that contracts use.

type Schema = boolean | Keywords;
type Limit = number | bigint;

interface Keywords {
  $ref?: string;
  $defs?: Readonly<Record<string, Schema>>;
  definitions?: Readonly<Record<string, Schema>>;
  type?: string | readonly string[];
  enum?: readonly unknown[];
  const?: unknown;
  allOf?: readonly Schema[];
  anyOf?: readonly Schema[];
  oneOf?: readonly Schema[];
  not?: Schema;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  minimum?: Limit;
  maximum?: Limit;
  exclusiveMinimum?: Limit;
  exclusiveMaximum?: Limit;
  minItems?: number;
  maxItems?: number;
  uniqueItems?: boolean;
  prefixItems?: readonly Schema[];
  items?: Schema;
  minProperties?: number;
  maxProperties?: number;
  required?: readonly string[];
  properties?: Readonly<Record<string, Schema>>;
  patternProperties?: Readonly<Record<string, Schema>>;
  propertyNames?: Schema;
  additionalProperties?: Schema;
}

const MAX_PROBLEMS = 20;
const MAX_CHOICES = 10;

/** A value that does not fit a schema. */
interface SchemaError {
  at: string;
  keyword: string;
  reason: string;
  /** The errors of each alternative, if it fits none. */
  alternatives: readonly SchemaError[][];
}

function error(at: string, keyword: string, reason: string, alternatives: readonly SchemaError[][] = []): SchemaError {
  return { at, keyword, reason, alternatives };
}

/** Returns how a payload does not fit the schema of its type and version, as pointer, keyword and text; at most 20. */
export function schemaProblems(jobType: string, version: number, payload: unknown): Found[] {
  const found: Found[] = [];
  const value = plain(payload, "", 0, found);
  return value === undefined || found.length > 0 ? found : problemsOf(jobType, version, value);
}

function problemsOf(jobType: string, version: number, payload: Json): Found[] {
  const schema = own(SCHEMAS, `${jobType} ${version}`);
  if (schema === undefined) throw new TypeError(`the contract has no version ${version} of ${json(jobType)}`);
  const found: Found[] = [];
  if (schema === null) return found;
  for (const error of errors(schema, schema, payload, "")) {
    if (found.length < MAX_PROBLEMS) found.push(problem(error));
    else break;
  }
  return found;
}

function problem(error: SchemaError): Found {
  // The alternative whose errors are all inside of the value was meant: an optional address is null or an address.
  const depth = (at: string) => at.split("/").length;
  const isInside = (inner: SchemaError) =>
    depth(inner.at) > depth(error.at) || inner.keyword === "additionalProperties";
  const meant = error.alternatives.find((errors) => errors.length > 0 && errors.every(isInside))?.[0];
  if (meant !== undefined) return problem(meant);
  const segments = error.at.split("/").slice(1);
  return [segments.map((segment) => shownSegment(unescaped(segment))).join(""), error.keyword, error.reason];
}

function* errors(root: Schema, schema: Schema, value: Json, at: string): Generator<SchemaError> {
  if (schema === true) return;
  if (schema === false) {
    yield error(at, "falseSchema", "must not be there");
    return;
  }
  if (schema.$ref !== undefined) yield* errors(root, resolved(root, schema.$ref), value, at);
  if (schema.type !== undefined) {
    const types = typeof schema.type === "string" ? [schema.type] : [...schema.type].sort();
    const isUnsafe = typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value);
    if (!types.some((name) => is(name, value))) {
      const names = joined(
        types.map((name) => WITH_ARTICLE[name] ?? name),
        "or",
      );
      yield error(at, "type", `is ${WITH_ARTICLE[typeOf(value)]}, and must be ${names}`);
    } else if (isUnsafe && !types.includes("number")) {
      yield error(at, "precision", "is more than a number of JavaScript holds exactly: make it a bigint, such as 1n");
    }
  }
  if (schema.enum !== undefined && !schema.enum.some((item) => isSame(item, value))) {
    const choices = schema.enum.map((item) => json(item as Json));
    const isShort = choices.length <= MAX_CHOICES;
    yield error(
      at,
      "enum",
      isShort ? `must be one of ${joined(choices, "or")}` : "is none of the values that the schema lists",
    );
  }
  if ("const" in schema && !isSame(schema.const, value)) {
    yield error(at, "const", `must be ${json(schema.const as Json)}`);
  }
  if (typeof value === "string") yield* textErrors(schema, value, at);
  else if (typeof value === "number" || typeof value === "bigint") yield* numberErrors(schema, value, at);
  else if (Array.isArray(value)) yield* arrayErrors(root, schema, value, at);
  else if (typeof value === "object" && value !== null) yield* objectErrors(root, schema, value, at);
  for (const inner of schema.allOf ?? []) yield* errors(root, inner, value, at);
  for (const keyword of ["anyOf", "oneOf"] as const) {
    const alternatives = schema[keyword]?.map((inner) => [...errors(root, inner, value, at)]);
    if (alternatives === undefined) continue;
    const fitting = alternatives.filter((errors) => errors.length === 0).length;
    if (fitting === 0) {
      yield error(at, keyword, "has none of the forms that the schema allows", alternatives);
    } else if (fitting > 1 && keyword === "oneOf") {
      yield error(at, keyword, "has several of the forms of which the schema allows one");
    }
  }
  if (schema.not !== undefined && fits(root, schema.not, value)) {
    yield error(at, "not", "has a form that the schema excludes");
  }
}

function fits(root: Schema, schema: Schema, value: Json): boolean {
  return errors(root, schema, value, "").next().done === true;
}

function resolved(root: Schema, reference: string): Schema {
  const inner = (schema: unknown, segment: string) => (schema as Record<string, unknown>)[unescaped(segment)];
  return reference.split("/").slice(1).reduce<unknown>(inner, root) as Schema;
}

function is(name: string, value: Json): boolean {
  const isInteger = () => typeof value === "bigint" || Number.isInteger(value);
  return name === typeOf(value) || (name === "integer" && isInteger());
}

function typeOf(value: Json): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value === "bigint" ? "number" : typeof value;
}

const WITH_ARTICLE: Readonly<Record<string, string>> = {
  null: "null",
  boolean: "a boolean",
  integer: "an integer",
  number: "a number",
  string: "a string",
  array: "an array",
  object: "an object",
};

function joined(texts: readonly string[], lastWord: string): string {
  const first = texts.slice(0, -1).join(", ");
  return [first, texts.at(-1)].filter((text) => text).join(` ${lastWord} `);
}

/** Checks `minItems` and `maxItems`, or the like, for `Items`. */
function* counted(
  at: string,
  keyword: "Length" | "Items" | "Properties",
  schema: Keywords,
  count: number,
  thing: string,
): Generator<SchemaError> {
  const things = (limit: number) => `${limit} ${thing}${limit === 1 ? "" : "s"}`;
  const { [`min${keyword}` as const]: least = 0, [`max${keyword}` as const]: most = Infinity } = schema;
  if (count < least) yield error(at, `min${keyword}`, `must have at least ${things(least)}`);
  if (count > most) yield error(at, `max${keyword}`, `must have at most ${things(most)}`);
}

function* textErrors(schema: Keywords, value: string, at: string): Generator<SchemaError> {
  yield* counted(at, "Length", schema, [...value].length, "character");
  if (schema.pattern !== undefined && !new RegExp(schema.pattern, "u").test(value)) {
    yield error(at, "pattern", `must match the pattern ${schema.pattern}`);
  }
}

function* numberErrors(schema: Keywords, value: Limit, at: string): Generator<SchemaError> {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema;
  if (minimum !== undefined && value < minimum) yield error(at, "minimum", `must be at least ${minimum}`);
  if (maximum !== undefined && value > maximum) yield error(at, "maximum", `must be at most ${maximum}`);
  if (exclusiveMinimum !== undefined && value <= exclusiveMinimum) {
    yield error(at, "exclusiveMinimum", `must be more than ${exclusiveMinimum}`);
  }
  if (exclusiveMaximum !== undefined && value >= exclusiveMaximum) {
    yield error(at, "exclusiveMaximum", `must be less than ${exclusiveMaximum}`);
  }
}

function* arrayErrors(root: Schema, schema: Keywords, value: readonly Json[], at: string): Generator<SchemaError> {
  const { prefixItems: first = [], items: rest = true } = schema;
  yield* counted(at, "Items", schema, value.length, "item");
  if (schema.uniqueItems === true && new Set(value.map(canonical)).size < value.length) {
    yield error(at, "uniqueItems", "has an item twice");
  }
  for (const [index, item] of value.entries()) yield* errors(root, first[index] ?? rest, item, at + escaped(index));
}

function* objectErrors(
  root: Schema,
  schema: Keywords,
  value: { [name: string]: Json },
  at: string,
): Generator<SchemaError> {
  const { properties = {}, patternProperties = {}, propertyNames = true, additionalProperties = true } = schema;
  for (const name of schema.required ?? []) {
    if (!Object.hasOwn(value, name)) yield error(at + escaped(name), "required", "is missing");
  }
  const fields = Object.entries(value);
  yield* counted(at, "Properties", schema, fields.length, "field");
  if (!fields.every(([name]) => fits(root, propertyNames, name))) {
    yield error(at, "propertyNames", "has a field whose name the schema does not allow");
  }
  const unknown: string[] = [];
  for (const [name, inner] of fields) {
    const patterns = Object.entries(patternProperties).filter(([pattern]) => new RegExp(pattern, "u").test(name));
    const matching = patterns.map(([, part]) => part);
    const property = own(properties, name);
    if (property !== undefined) matching.push(property);
    if (matching.length === 0 && additionalProperties === false) {
      unknown.push(JSON.stringify(unescaped(shownSegment(name).slice(1))));
      continue;
    }
    if (matching.length === 0) matching.push(additionalProperties);
    for (const part of matching) yield* errors(root, part, inner, at + escaped(name));
  }
  if (unknown.length > 0) {
    const names = joined(unknown.slice(0, MAX_CHOICES), "and");
    yield error(at, "additionalProperties", `has fields that the schema does not know: ${names}`);
  }
}

function isSame(a: unknown, b: unknown): boolean {
  return canonical(a as Json) === canonical(b as Json);
}

/** Returns a text that is the same for equal JSON values, and for no others. */
function canonical(value: Json): string {
  if (typeof value === "number" && Number.isInteger(value)) return BigInt(value).toString();
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return json(value);
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([name, inner]) => `${JSON.stringify(name)}:${canonical(inner)}`).join(",")}}`;
}
