// Decodes Avro in Confluent's framing: a zero, the id of the schema in four bytes, the value.
'use strict';

const avro = require('avsc');

// avsc fails at a long beyond 2^53, which a JavaScript number cannot hold: so each is a BigInt. It must
// be a type hook: what avsc calls `registry` leaves out longs that have attributes, as times have.
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

class Registry {
  constructor(url) {
    this.url = url;
    this.types = new Map();
  }

  async decode(data) {
    if (data === null) {
      return null;
    }
    if (data.length < 5 || data[0] !== 0) {
      throw new Error("these bytes do not begin with a schema's id");
    }
    const id = data.readInt32BE(1);
    if (!this.types.has(id)) {
      // Options of its own for each: avsc keeps the names of types in them.
      this.types.set(id, avro.Type.forSchema(JSON.parse(await this.schema(id)), { typeHook }));
    }
    return this.types.get(id).fromBuffer(data.subarray(5));
  }

  async schema(id) {
    const url = `${this.url}/schemas/ids/${id}`;
    const answer = await fetch(url, { signal: AbortSignal.timeout(5000) }).catch(() => ({ ok: false }));
    if (!answer.ok) {
      throw new Trouble(`the registry does not answer at ${this.url}`);
    }
    return (await answer.json()).schema;
  }
}

// Something that passes: the same is tried again.
class Trouble extends Error {}

module.exports = { Registry, Trouble };
