// Decoding: Avro in Confluent's framing, and JSON.
'use strict';

const avro = require('avsc');
const lossless = require('lossless-json');

// Every long as a BigInt. It must be a type hook: what avsc calls `registry` leaves out longs that
// have attributes, such as all that are times.
const bigint = avro.types.LongType.__with({
  fromBuffer: (buffer) => buffer.readBigInt64LE(),
  toBuffer: (number) => {
    const buffer = Buffer.alloc(8);
    buffer.writeBigInt64LE(number);
    return buffer;
  },
  fromJSON: BigInt,
  toJSON: String,
  isValid: (number) => typeof number === 'bigint',
  compare: (one, other) => (one < other ? -1 : Number(other < one)),
});
const typeHook = (schema) => (schema === 'long' || schema.type === 'long' ? bigint : undefined);

// Decodes by the schemas that records name, each of which it asks for once.
class Registry {
  constructor(url, hasBigInts) {
    this.url = url;
    this.hasBigInts = hasBigInts;
    this.types = new Map();
  }

  async decode(data) {
    if (data === null) {
      return null;
    }
    if (data.length < 5 || data[0] !== 0) {
      throw new Error("these bytes do not begin with a schema's id");
    }
    return (await this.type(data.readInt32BE(1))).fromBuffer(data.subarray(5));
  }

  async type(id) {
    if (!this.types.has(id)) {
      const answer = await fetch(`${this.url}/schemas/ids/${id}`);
      if (!answer.ok) {
        throw new Error(`the registry answers ${answer.status} for schema ${id}`);
      }
      const { schema } = await answer.json();
      // Options of its own for each: avsc keeps the names of types in them.
      const options = this.hasBigInts ? { typeHook } : {};
      this.types.set(id, avro.Type.forSchema(JSON.parse(schema), options));
    }
    return this.types.get(id);
  }
}

// Integers that a number can't hold are BigInts.
function parse(text) {
  const number = (digits) =>
    lossless.isInteger(digits) && !lossless.isSafeNumber(digits) ? BigInt(digits) : Number(digits);
  return lossless.parse(text, null, number);
}

module.exports = { Registry, parse };
