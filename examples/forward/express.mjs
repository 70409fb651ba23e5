// The same in Express: `npm install express`, `PORT=8080 node express.mjs`.
import express from 'express';
import { setTimeout as sleep } from 'node:timers/promises';

const app = express();

class Stopped extends Error {}

// Reports to the worker about a request's attempt, or asks it.
async function job(request, what, value) {
  const options = value === undefined ? {} : { method: 'POST', body: JSON.stringify(value) };
  const answer = await fetch(`${request.get('X-Drumline-Job-Url')}/${what}`, options);
  if (answer.status === 409) throw new Stopped('the attempt is over: another one may have begun');
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${answer.status}: ${text}`);
  return text === '' ? null : JSON.parse(text);
}

app.get('/health', (_, response) => response.sendStatus(200));

app.post('/jobs', express.json(), async (request, response) => {
  const { records, pause = 0.1 } = request.body?.payload ?? {};
  if (!Number.isInteger(records)) {
    return response.set('X-Drumline-Reject', 'needs a payload with records').sendStatus(422);
  }
  const first = (await job(request, 'checkpoint')) ?? 0;
  console.log(`begins at ${first}`);
  for (let record = first; record < records; record += 1) {
    await sleep(pause * 1000); // Here is the work.
    await job(request, 'checkpoint', record + 1);
    await job(request, 'progress', { done: record + 1, total: records, unit: 'records' });
  }
  await job(request, 'result', { copied: records });
  response.sendStatus(200);
});

app.use((error, _request, response, _next) => {
  response.status(error instanceof Stopped ? 503 : 500).send(error.message);
});

app.listen(Number(process.env.PORT ?? 8080), '127.0.0.1');
