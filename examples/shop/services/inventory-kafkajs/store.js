// What was counted, and up to where: one file, which is replaced as a whole.
'use strict';

const fs = require('node:fs');
const path = require('node:path');

// The types of events that we count.
const SIGNS = new Map([['OrderPlaced', 1], ['OrderCancelled', -1]]);

// A transaction of any database does the same: results, ids and offsets are all written, or none is. Use
// one where there is much to keep, since this writes all of it each time. (Node has SQLite from 22.5.)
class Store {
  constructor(folder) {
    fs.mkdirSync(folder, { recursive: true });
    this.folder = folder;
    this.file = path.join(folder, 'inventory.json');
    const text = fs.existsSync(this.file) ? fs.readFileSync(this.file, 'utf8') : '{}';
    const { reserved = {}, seen = [], positions = {} } = JSON.parse(text);
    this.kept = { reserved, seen: new Set(seen), positions };
  }

  // The next offset of each partition.
  get positions() {
    return this.kept.positions;
  }

  // Counts some events, all of them or none.
  take(events) {
    const { reserved, seen, positions } = this.kept;
    // A copy, so that nothing has happened if it cannot be written.
    const next = { reserved: { ...reserved }, seen: new Set(seen), positions: { ...positions } };
    for (const event of events) {
      count(next, event);
    }
    this.write(JSON.stringify({ ...next, seen: [...next.seen] }));
    this.kept = next;
  }

  // Written beside, and then put in place, which is whole or is not at all, whenever we are killed.
  write(text) {
    const beside = `${this.file}.new`;
    const file = fs.openSync(beside, 'w');
    fs.writeFileSync(file, text);
    fs.fsyncSync(file);
    fs.closeSync(file);
    fs.renameSync(beside, this.file);
    // The new name itself survives a loss of power, too.
    const folder = fs.openSync(this.folder, 'r');
    fs.fsyncSync(folder);
    fs.closeSync(folder);
  }

  state() {
    const units = Object.entries(this.kept.reserved).filter(([, units]) => units !== 0);
    return { events: this.kept.seen.size, reserved: Object.fromEntries(units) };
  }
}

// Notes the offset behind an event and its id and, if that is new, what is reserved.
//
// By the offsets alone no record is counted twice. By the id no event is, even if it comes as two
// records: when a topic is read from its beginning again, or somebody publishes an event once more.
function count({ reserved, seen, positions }, { partition, next, id, kind, order }) {
  positions[partition] = next;
  if (seen.has(id)) {
    return;
  }
  seen.add(id);
  for (const { product, quantity } of order?.lines ?? []) {
    reserved[product] = (reserved[product] ?? 0) + SIGNS.get(kind) * quantity;
  }
}

module.exports = { SIGNS, Store };
