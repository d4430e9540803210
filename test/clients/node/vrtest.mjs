// What the Node programs share: TAP output, and values that are hard to keep.
import { isDeepStrictEqual, inspect } from 'node:util';
import { SparseVector } from 'pgvector';

let count = 0;
let failed = 0;
let ended = false;

export function ok(good, what, detail) {
  count++;
  console.log(`${good ? 'ok' : 'not ok'} ${count} - ${what}`);
  if (!good) {
    failed++;
    if (detail !== undefined) console.log('#   ' + String(detail).replaceAll('\n', '\n#   '));
  }
}

// -0 differs from 0 here.
export function equal(got, want, what) {
  ok(isDeepStrictEqual(got, want), what, `got  ${inspect(got)}\nwant ${inspect(want)}`);
}

// The call fails with an error whose message, or that of its cause, has the text.
export async function fails(call, code, text, what) {
  try {
    await call();
  } catch (error) {
    const all = [error, error.cause, error.parent, error.driverError].filter(Boolean);
    ok(all.some((e) => String(e.message).includes(text)) &&
       (code === null || all.some((e) => e.code === code)), what, error.stack);
    return;
  }
  ok(false, what, 'no error');
}

export async function main(call) {
  try {
    await call();
    ended = true;
  } catch (error) {
    console.log('# ' + (error.stack ?? error).toString().replaceAll('\n', '\n# '));
    if (error.cause) console.log('# ' + error.cause);
  }
  console.log(ended ? `1..${count}` : '# the program did not reach its end');
  process.exit(ended && !failed ? 0 : 1);
}

// -0 is left out: JSON.stringify, which pgvector's package uses, drops its sign.
export const extreme32 = [
  3.4028234663852886e38, -3.4028234663852886e38, 1.1754943508222875e-38,
  1.401298464324817e-45, -1.401298464324817e-45, 0, 0.1, 1 / 3, 16777217, 1e-5,
  9.999999e9, 1.0000001, 0.3, 123456.789].map(Math.fround);
export const extreme16 = [65504, -65504, 6.103515625e-05, 5.960464477539063e-08,
  0, 0.0999755859375, 0.333251953125];

// Text has the shortest number that reads back as the same float32 or float16;
// to a double it is another one.
export const asFloat32 = (values) => values.map(Math.fround);
export function asFloat16(values) {
  return values.map((x) => {
    if (x === 0) return x;
    const step = 2 ** Math.max(Math.floor(Math.log2(Math.abs(x))) - 10, -24);
    return Math.round(x / step) * step;
  });
}

// As a sparsevec, the elements that are not zero, of 1,000; and no whole number
// of bytes.
export const extremeSparse = new SparseVector(new Map(extreme32.flatMap((x, i) => (x ? [[i * 7, x]] : []))), 1000);
export const bits19 = '1011011100011110101';

// The four, as read through a library, are what was written, to the bit.
export function equalExtreme(vector, half, sparse, bits, what = '') {
  const list = (v) => (typeof v === 'string' ? JSON.parse(v) : v);
  const kept = (s) => ({ dimensions: s.dimensions, indices: s.indices, values: asFloat32(s.values) });
  equal(asFloat32(list(vector)), extreme32, `vector bit for bit${what}`);
  equal(asFloat16(list(half)), extreme16, `halfvec bit for bit${what}`);
  equal(kept(typeof sparse === 'string' ? new SparseVector(sparse) : sparse), kept(extremeSparse), `sparsevec bit for bit${what}`);
  equal(bits, bits19, `bit bit for bit${what}`);
}

export const url = process.env.DATABASE_URL;
export const rows = [
  { kind: 'a', v: [1, 1, 1], bits: '000' },
  { kind: 'b', v: [2, 2, 2], bits: '101' },
  { kind: 'a', v: [1, 1, 2], bits: '111' }];
export const one = [1, 1, 1];
// The ids of those rows, nearest first, id deciding between equals.
export const nearest = {
  l2Distance: [1, 3, 2], maxInnerProduct: [2, 3, 1], cosineDistance: [1, 2, 3],
  l1Distance: [1, 3, 2], hammingDistance: [2, 3, 1], jaccardDistance: [2, 3, 1]};
