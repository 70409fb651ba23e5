// Sends typed jobs; what the compiler must refuse is marked, and each mark that is not needed is an error.

import { SQSClient } from "@aws-sdk/client-sqs";
import * as orders from "./orders.js";

const sqs = new SQSClient({});
const queueUrl = process.argv[2] ?? "";

const order: orders.Job = {
  type: "order.place",
  payload: {
    orderId: 2n ** 64n - 1n,
    customer: "c-7",
    lines: [
      { sku: "drum", count: 2, options: ["maple"] },
      { sku: "stick", count: 4, options: undefined },
    ],
    note: null,
    priority: "today",
    payment: { kind: "invoice", days: 30 },
    labels: { "sent-by": "typescript" },
    window: [8, 12],
    tree: { children: [{ children: [] }] },
    class: true,
    "gift wrap/~": 1.5,
    ["__proto__"]: "a field like others",
    "": "so is this one",
  },
};

export const refusedByTheCompiler: orders.Job[] = [
  // @ts-expect-error: another type
  { type: "order.place", payload: { orderId: "7", customer: "c-7", lines: [] } },
  // @ts-expect-error: a field is missing
  { type: "order.place", payload: { orderId: 7, customer: "c-7" } },
  // @ts-expect-error: no such field
  { type: "order.place", payload: { orderId: 7, customer: "c-7", lines: [], prio: "today" } },
  // @ts-expect-error: no such value
  { type: "order.place", payload: { orderId: 7, customer: "c-7", lines: [], priority: "never" } },
  // @ts-expect-error: the payload of the newer version
  { type: "order.place", version: 1, payload: { orderId: 7, customer: "c-7", lines: [] } },
  // @ts-expect-error: no such type
  { type: "order.placed", payload: {} },
];

const options = { idempotencyKey: "order:7", correlationId: "request-1", attributes: { tenant: "acme" } };
const receipts = [
  await orders.send(sqs, queueUrl, order, options),
  ...(await orders.sendMany(sqs, queueUrl, [
    { type: "order.place", version: 1, payload: { order: "7" } },
    { job: { type: "note", payload: "free" }, delay: 1 },
  ])),
];
console.log(JSON.stringify(receipts.map((receipt) => receipt.jobId)));
