// Shows a row: for each field the type that it was decoded to, and its value as a text.
'use strict';

function cells(row, format) {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, cell(name, value, format)]),
  );
}

function cell(name, value, format) {
  if (value === null) {
    return ['', null];
  }
  const kind = Array.isArray(value) ? 'Array' : Buffer.isBuffer(value) ? 'Buffer' : typeof value;
  return [kind, text(name, value, format)];
}

function text(name, value, format) {
  const bytes = (data) => (format === 'json' ? Buffer.from(data, 'base64') : data);
  // Neither Avro's library nor JSON makes a number of a decimal.
  if (name === 'amount') {
    return unscaled(2, bytes(value));
  }
  if (name === 'free' && typeof value === 'object') {
    return unscaled(value.scale, bytes(value.value));
  }
  if (name === 'data') {
    return bytes(value).toString('hex');
  }
  if (typeof value === 'object') {
    return JSON.stringify(value, (_, it) => (typeof it === 'bigint' ? Number(it) : it));
  }
  return String(value);
}

// A number of so many digits behind the point from its two's complement.
function unscaled(scale, data) {
  const number = BigInt.asIntN(8 * data.length, BigInt(`0x0${data.toString('hex')}`));
  const digits = (number < 0n ? -number : number).toString().padStart(scale + 1, '0');
  const whole = digits.slice(0, digits.length - scale);
  const sign = number < 0n ? '-' : '';
  return scale === 0 ? sign + whole : `${sign}${whole}.${digits.slice(-scale)}`;
}

module.exports = { cells };
