// A consumer of walbrook's topics in Node: kafkajs and avsc.
//
// It reads committed records of the topics that it is given (avro:TOPIC=KIND or json:TOPIC=KIND, where
// KIND says what is in it) until it has seen so many, and prints each in one line of JSON. See
// docs/clients.md.
'use strict';

const { parseArgs } = require('node:util');
const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = require('kafkajs');
const lossless = require('lossless-json');
const lz4 = require('lz4js');
const { Registry, parse } = require('./decode');
const { cells } = require('./cells');

const { values: given, positionals } = parseArgs({
  options: {
    bootstrap: { type: 'string', default: 'localhost:9092' },
    registry: { type: 'string', default: 'http://localhost:8081' },
    records: { type: 'string', default: '0' },
    without: { type: 'string', default: '' },
  },
  allowPositionals: true,
});

// kafkajs has no codec for lz4, which walbrook writes.
if (given.without !== 'lz4') {
  CompressionCodecs[CompressionTypes.LZ4] = () => ({
    compress: async (encoder) => Buffer.from(lz4.compress(encoder.buffer)),
    decompress: async (buffer) => Buffer.from(lz4.decompress(buffer)),
  });
}

const topics = new Map(
  positionals.map((argument) => {
    const [, format, name, kind] = argument.match(/^(avro|json):(.+)=(\w+)$/);
    return [name, { format, kind }];
  }),
);
const registry = new Registry(given.registry, given.without !== 'bigint');

async function main() {
  const kafka = new Kafka({ brokers: given.bootstrap.split(','), logLevel: logLevel.NOTHING });
  // It reads committed records alone, unless readUncommitted is true.
  const consumer = kafka.consumer({ groupId: `a-consumer-in-node-${process.pid}` });
  consumer.on(consumer.events.CRASH, ({ payload }) => fail(payload.error));
  print({ client: versions() });
  await consumer.connect();
  await consumer.subscribe({ topics: [...topics.keys()], fromBeginning: true });
  let seen = 0;
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ topic, partition, message }) => {
      // kafkajs would try again, which cures no record that can't be decoded.
      print(await line(topic, partition, message).catch(fail));
      seen += 1;
      if (seen === Number(given.records)) {
        process.exit(0);
      }
    },
  });
}

async function line(topic, partition, message) {
  const { format, kind } = topics.get(topic);
  const line = { topic, partition, offset: Number(message.offset) };
  const read = format === 'avro' ? (data) => registry.decode(data) : plain;
  if (kind === 'outbox') {
    const id = message.headers.id.toString();
    return { ...line, key: message.key.toString(), event: { id, payload: await read(message.value) } };
  }
  // With key_format = "string" the key is the column's text.
  const key = format === 'avro' ? (await registry.decode(message.key)).id : message.key;
  const event = await read(message.value);
  line.key = key.toString();
  line.op = event === null ? 'tombstone' : event.op;
  if (event?.after) {
    line.row = cells(event.after, format);
  }
  return line;
}

function plain(data) {
  if (data === null) {
    return null;
  }
  // JSON.parse makes other numbers of bigints beyond 2^53, without an error.
  return given.without === 'lossless' ? JSON.parse(data.toString()) : parse(data.toString());
}

function print(line) {
  process.stdout.write(`${lossless.stringify(line)}\n`);
}

function versions() {
  const { dependencies } = require('./package.json');
  return Object.entries(dependencies).map((entry) => entry.join(' ')).join(', ');
}

function fail(error) {
  console.error(error);
  process.exit(1);
}

main().catch(fail);
