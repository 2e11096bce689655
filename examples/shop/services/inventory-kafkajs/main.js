// Counts how many units of each product are reserved by orders, from the events of the shop's outbox.
//
// It counts each event exactly once: what an event changes, its id, and the offset behind it are written
// to its store (in --store) at once. Kafka is not told of offsets at all. So it may be killed at any
// moment, and goes on with what it has not counted yet.
'use strict';

const { randomUUID } = require('node:crypto');
const http = require('node:http');
const { setTimeout: sleep } = require('node:timers/promises');
const { parseArgs } = require('node:util');
const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = require('kafkajs');
const lz4 = require('lz4js');
const { Registry, Trouble } = require('./registry');
const { SIGNS, Store } = require('./store');

const TOPIC = 'shop.event.order';

// kafkajs has no codec for lz4, which walbrook writes.
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async (encoder) => Buffer.from(lz4.compress(encoder.buffer)),
  decompress: async (buffer) => Buffer.from(lz4.decompress(buffer)),
});

// Counts events for ever; after any trouble it begins again where its store says.
async function follow(given, store, registry) {
  let isCalm = true;
  for (;;) {
    const consumer = newConsumer(given.bootstrap);
    const trouble = await consume(consumer, store, registry, () => (isCalm = true)).catch((error) => error);
    // One that still runs would count beside the next.
    await consumer.disconnect().catch(() => {});
    const complaint = told(trouble, given.bootstrap);
    if (isCalm) {
      say(`${complaint}; trying again`);
    }
    isCalm = false;
    await sleep(1000);
  }
}

// Counts events until something goes wrong.
function consume(consumer, store, registry, calm) {
  return new Promise((_, reject) => {
    const eachBatch = async ({ batch: { partition, messages } }) => {
      const events = [];
      for (const { offset, headers, value } of messages) {
        const [id, kind] = [headers.id.toString(), headers.eventType.toString()];
        // Events of other types may have other schemas, or no value at all.
        const order = SIGNS.has(kind) ? await registry.decode(value) : null;
        events.push({ partition, next: String(BigInt(offset) + 1n), id, kind, order });
      }
      store.take(events);
      calm();
    };
    // Sent when partitions are ours, before any is read from: this is when positions can be set.
    consumer.on(consumer.events.GROUP_JOIN, () => {
      for (const [partition, offset] of Object.entries(store.positions)) {
        consumer.seek({ topic: TOPIC, partition: Number(partition), offset });
      }
    });
    // Kafka answers, and whatever it had is counted.
    consumer.on(consumer.events.HEARTBEAT, calm);
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
    const start = async () => {
      await consumer.connect();
      await consumer.subscribe({ topics: [TOPIC], fromBeginning: true });
      await consumer.run({ autoCommit: false, eachBatch });
    };
    start().catch(reject);
  });
}

function newConsumer(bootstrap) {
  // It tells of each of its connections; what matters is said by `follow`.
  const kafka = new Kafka({
    brokers: bootstrap.split(','),
    logLevel: logLevel.NOTHING,
    requestTimeout: 5000,
    retry: { retries: 1 },
  });
  return kafka.consumer({
    // kafkajs reads in groups alone. This one is of this consumer only, and no offsets are kept in it: in
    // a group that it had before, it would wait until the session of the killed one is over.
    groupId: `inventory-kafkajs-${randomUUID()}`,
    // Its default; said here since it matters. (Most other clients must be told to read committed records.)
    readUncommitted: false,
    maxWaitTimeInMs: 500,
    allowAutoTopicCreation: false,
    // `follow` begins again.
    retry: { retries: 1, restartOnFailure: async () => false },
  });
}

function told(error, bootstrap) {
  // kafkajs wraps what it has tried again, also what eachBatch throws.
  while (error.cause) {
    error = error.cause;
  }
  if (error instanceof Trouble) {
    return error.message;
  }
  if (error.type === 'UNKNOWN_TOPIC_OR_PARTITION') {
    return `Kafka has no topic ${TOPIC} yet`;
  }
  if (error.name.startsWith('KafkaJS')) {
    return `Kafka does not answer at ${bootstrap}`;
  }
  // It does not pass.
  return fail(error.message);
}

// Answers GET /state.
function serve(port, store) {
  const server = http.createServer((request, response) => {
    response.writeHead(request.url === '/state' ? 200 : 404, { 'Content-Type': 'application/json' });
    response.end(request.url === '/state' ? JSON.stringify(store.state()) : '');
  });
  server.on('error', (error) => fail(`cannot listen on port ${port}: ${error.code}; see --port`));
  server.listen(port, '127.0.0.1');
}

function fail(message) {
  say(message);
  process.exit(1);
}

function say(line) {
  console.error(`inventory-kafkajs: ${line}`);
}

function main() {
  const { values: given } = parseArgs({
    options: {
      bootstrap: { type: 'string', default: '127.0.0.1:9092' },
      registry: { type: 'string', default: 'http://127.0.0.1:8081' },
      port: { type: 'string', default: '8001' },
      store: { type: 'string', default: 'store' },
    },
  });
  const store = new Store(given.store);
  serve(Number(given.port), store);
  follow(given, store, new Registry(given.registry));
}

// What is not in the store yet comes again, so there is nothing to be put in order at the end.
process.on('SIGINT', () => process.exit(0));
process.on('SIGTERM', () => process.exit(0));
try {
  main();
} catch (error) {
  // An option, a port or a folder that cannot be.
  fail(error.message);
}
