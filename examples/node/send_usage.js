// Sends usage with the official `stripe` package: one event under /v1, one under /v2, and a hundred in a session.
// Only host, port and protocol of the client are changed.
//
//   COUNTINGHOUSE_URL=http://localhost:8000 COUNTINGHOUSE_KEY=sk_test_... npm start

import Stripe from 'stripe';

const url = new URL(process.env.COUNTINGHOUSE_URL ?? 'http://localhost:8000');
const server = { host: url.hostname, port: url.port || (url.protocol === 'https:' ? 443 : 80), protocol: url.protocol.slice(0, -1) };
const stripe = new Stripe(process.env.COUNTINGHOUSE_KEY, server);

const run = Date.now();
const customer = await stripe.customers.create({ name: 'Ada' });
const meter = await stripe.billing.meters.create({
  display_name: 'Requests',
  event_name: `node_requests_${run}`,
  default_aggregation: { formula: 'sum' },
});

const payload = (value) => ({ stripe_customer_id: customer.id, value: String(value) });
const event = (value, identifier) => ({ event_name: meter.event_name, payload: payload(value), identifier });

// One by one: what is wrong is told at once.
await stripe.billing.meterEvents.create(event(1, `${run}-v1`));
await stripe.v2.billing.meterEvents.create({ ...event('2.5', `${run}-v2`), timestamp: new Date().toISOString() });
const refused = await stripe.v2.billing.meterEvents.create(event('2.5', `${run}-v2`)).catch((error) => error);

// Many: a session gives a token for fifteen minutes, which is the key of a second client.
const session = await stripe.v2.billing.meterEventSession.create();
const stream = new Stripe(session.authentication_token, server);
const events = Array.from({ length: 100 }, (_, n) => event(1, `${run}-${n}`));
await stream.v2.billing.meterEventStream.create({ events });
await stream.v2.billing.meterEventStream.create({ events }); // sent again, counted once
const tooMany = await stream.v2.billing.meterEventStream.create({ events: [...events, event(1)] }).catch((error) => error);

const day = 86_400;
const today = Math.floor(Date.now() / 1000 / day) * day;
const range = { customer: customer.id, start_time: today - day, end_time: today + 2 * day };
const summaries = await stripe.billing.meters.listEventSummaries(meter.id, range);

console.log(`Counted ${summaries.data[0].aggregated_value} of ${meter.event_name}`);
console.log(`A repetition: ${refused.type} ${refused.code}`);
console.log(`101 events: ${tooMany.type} ${tooMany.statusCode}`);
