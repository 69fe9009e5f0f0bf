// Bills a month with the official `stripe` package: three seats in advance, requests by use, on a test clock.
// Each step prints what it found; a figure that is not the one written here ends the program with status 1.
//
//   COUNTINGHOUSE_URL=http://localhost:8000 COUNTINGHOUSE_KEY=sk_test_... npm run bill

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import Stripe from 'stripe';

const url = new URL(process.env.COUNTINGHOUSE_URL ?? 'http://localhost:8000');
const server = { host: url.hostname, port: url.port || (url.protocol === 'https:' ? 443 : 80), protocol: url.protocol.slice(0, -1) };
const stripe = new Stripe(process.env.COUNTINGHOUSE_KEY, server);

const run = Date.now();
const at = (...parts) => Date.UTC(...parts) / 1000;
const [jan, feb, mar] = [at(2026, 0, 1), at(2026, 1, 1), at(2026, 2, 1)];
const hour = 3600;

function check(step, found, expected) {
  assert.deepEqual(found, expected, step);
  console.log(`${step}: ${JSON.stringify(found)}`);
}

const clock = await stripe.testHelpers.testClocks.create({ frozen_time: jan, name: `Node ${run}` });

async function advance(to) {
  await stripe.testHelpers.testClocks.advance(clock.id, { frozen_time: to });
  for (let tries = 0; tries < 600; tries += 1) {
    const { status } = await stripe.testHelpers.testClocks.retrieve(clock.id);
    assert.notEqual(status, 'internal_failure');
    if (status === 'ready') return;
    await sleep(100);
  }
  throw new Error('the clock is still advancing after a minute');
}

// What is sold, and to whom.
const customer = await stripe.customers.create({ name: 'Ada', email: 'ada@example.com', test_clock: clock.id });
const meter = await stripe.billing.meters.create({
  display_name: 'Requests',
  event_name: `node_month_${run}`,
  default_aggregation: { formula: 'sum' },
});
const product = await stripe.products.create({ name: 'Assistant', metadata: { run: String(run) } });
const seats = await stripe.prices.create({
  product: product.id,
  currency: 'usd',
  unit_amount: 2000,
  recurring: { interval: 'month' },
  lookup_key: `seats_${run}`,
});
const requests = await stripe.prices.create({
  product: product.id,
  currency: 'usd',
  billing_scheme: 'tiered',
  tiers_mode: 'graduated',
  tiers: [
    { up_to: 1000, unit_amount: 0 },
    { up_to: 2000, unit_amount_decimal: '0.5', flat_amount: 100 },
    { up_to: 'inf', unit_amount_decimal: '0.25' },
  ],
  recurring: { interval: 'month', usage_type: 'metered', meter: meter.id },
  expand: ['tiers'],
});
check('Ends of the tiers', requests.tiers.map((tier) => tier.up_to), [1000, 2000, null]);
const byKey = await stripe.prices.list({ lookup_keys: [`seats_${run}`], expand: ['data.product'] });
check('Price by its key', byKey.data.map((price) => [price.id === seats.id, price.product.name]), [[true, 'Assistant']]);

// Seats are billed at once.
const subscription = await stripe.subscriptions.create({
  customer: customer.id,
  items: [{ price: seats.id, quantity: 3 }, { price: requests.id }],
  collection_method: 'send_invoice',
  days_until_due: 14,
  expand: ['latest_invoice'],
});
check('Subscription', [subscription.status, subscription.latest_invoice.total], ['active', 6000]);
const items = await stripe.subscriptionItems.list({ subscription: subscription.id });
check('Items', items.data.map((item) => item.quantity ?? null).sort(), [3, null]);

// A month of requests: 2,500.
async function send(value, timestamp) {
  const payload = { stripe_customer_id: customer.id, value: String(value) };
  await stripe.billing.meterEvents.create({ event_name: meter.event_name, payload, timestamp, identifier: `${run}-${timestamp}` });
}
await send(900, jan);
await advance(at(2026, 0, 20));
await send(1600, at(2026, 0, 15));
const month = { customer: customer.id, start_time: jan, end_time: feb };
const summaries = await stripe.billing.meters.listEventSummaries(meter.id, month);
check('Requests in January', summaries.data.map((summary) => summary.aggregated_value), [2500]);

// 1,000 free, 1,000 at 0.5 cents and a dollar on top, 500 at 0.25: 500 + 100 + 125 cents; and three seats for February.
const preview = await stripe.invoices.createPreview({ subscription: subscription.id });
check('Preview', preview.total, 6725);

await advance(feb);
const drafts = await stripe.invoices.list({ customer: customer.id, status: 'draft' });
check('Drafts', drafts.data.map((invoice) => [invoice.total, invoice.billing_reason]), [[6725, 'subscription_cycle']]);
const [draft] = drafts.data;
const lines = await stripe.invoices.listLineItems(draft.id, { limit: 100 });
check('Lines', lines.data.map((line) => line.amount).sort((a, b) => a - b), [0, 100, 125, 500, 6000]);
await stripe.invoices.update(draft.id, { description: 'January', metadata: { run: String(run) } });
const open = await stripe.invoices.finalizeInvoice(draft.id);
check('Finalized', [open.status, open.amount_due, open.description], ['open', 6725, 'January']);
const paid = await stripe.invoices.pay(open.id, { paid_out_of_band: true });
check('Paid', [paid.status, paid.amount_remaining], ['paid', 0]);

// Cancelled with a last invoice for what was used: 1,400 requests, 400 of them at 0.5 cents and a dollar.
await advance(at(2026, 1, 15));
await send(1400, feb + hour);
const ended = await stripe.subscriptions.cancel(subscription.id, { invoice_now: true });
const last = await stripe.invoices.retrieve(ended.latest_invoice);
check('Cancelled', [ended.status, last.total], ['canceled', 300]);
const final = last.status === 'draft' ? await stripe.invoices.finalizeInvoice(last.id) : last;
const lost = await stripe.invoices.markUncollectible(final.id);
const gone = await stripe.invoices.voidInvoice(lost.id);
check('Given up', [lost.status, gone.status], ['uncollectible', 'void']);

await advance(mar);
const all = await stripe.invoices.list({ customer: customer.id }).autoPagingToArray({ limit: 100 });
check('Invoices, newest first', all.map((invoice) => [invoice.status, invoice.total]), [['void', 300], ['paid', 6725], ['open', 6000]]);

// Nothing is ignored.
const refused = await stripe.customers.create({ name: 'Ada', colour: 'red' }).catch((error) => error);
check('A made-up parameter', [refused.type, refused.code, refused.param], ['StripeInvalidRequestError', 'parameter_unknown', 'colour']);

const deleted = await stripe.testHelpers.testClocks.del(clock.id);
check('Clock deleted', deleted.deleted, true);
