/* How figures are written. What is not known (null in the JSON) is a dash, which is not a 0. */

const UNKNOWN = '–';
const NARROW = '\u202f'; /* between a number and its unit; does not break */

function grouped(number, digits) {
  const [whole, fraction] = number.toFixed(digits).split('.');
  const groups = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return fraction ? groups + '.' + fraction : groups;
}

/* About three digits, of a number not below 0. */
function three(number) {
  if (number === 0)
    return '0';
  if (number < 0.0005)
    return '<0.001';
  return grouped(number, number >= 100 ? 0 : number >= 10 ? 1 : number >= 1 ? 2 : 3);
}

function signed(number, write) {
  return number < 0 ? '−' + write(-number) : write(number);
}

/* The first unit that the number is below the limit of, [limit, divisor, unit]. */
function inUnits(number, units) {
  const [, divisor, unit] = units.find(([limit]) => number < limit);
  return three(number / divisor) + NARROW + unit;
}

const MS_UNITS = [[1, 0.001, 'µs'], [1e3, 1, 'ms'], [6e4, 1e3, 's'], [3.6e6, 6e4, 'min'], [Infinity, 3.6e6, 'h']];
const BYTE_UNITS = [[1024, 1, 'B'], [1024 ** 2, 1024, 'KiB'], [1024 ** 3, 1024 ** 2, 'MiB'],
  [Infinity, 1024 ** 3, 'GiB']];
const COUNT_UNITS = [[1e9, 1e6, 'M'], [1e12, 1e9, 'G'], [1e15, 1e12, 'T'], [Infinity, 1e15, 'P']];

function count(number) {
  return signed(number, n => n < 1e6 ? grouped(n, 0) : inUnits(n, COUNT_UNITS));
}

function plain(number) {
  return signed(number, n => n < 1e6 ? three(n) : inUnits(n, COUNT_UNITS));
}

function milliseconds(ms) {
  return signed(ms, n => n === 0 ? '0' + NARROW + 'ms' : inUnits(n, MS_UNITS));
}

/* Two digits behind the point, three below 0.1; never rounded to 100 or to 0. */
function percent(number) {
  return signed(number, n => {
    if (n === 0 || n === 100)
      return n + NARROW + '%';
    if (n < 0.0005)
      return '<0.001' + NARROW + '%';
    const text = n < 0.1 ? n.toFixed(3) : grouped(n, 2);
    return (text === '100.00' && n < 100 ? '>99.99' : text) + NARROW + '%';
  });
}

/* Of decimal text, exact in the title. */
function dollars(text) {
  return signed(Number(text), n => {
    if (n === 0)
      return '$0';
    if (n < 0.00005)
      return '<$0.0001';
    if (n >= 1e6)
      return '$' + inUnits(n, COUNT_UNITS);
    return '$' + grouped(n, n >= 1000 ? 0 : n >= 1 ? 2 : 4);
  });
}

/* The server's time at the last reply, which may not be the clock's of whoever reads. */
let serverNs = null;

function since(ns) {
  const now = serverNs === null ? Date.now() * 1e6 : serverNs;
  const seconds = Math.max(0, Math.round((now - ns) / 1e9));
  const steps = [[60, 1, 's'], [3600, 60, 'min'], [86400, 3600, 'h'], [Infinity, 86400, 'd']];
  const [, divisor, unit] = steps.find(([limit]) => seconds < limit);
  return Math.floor(seconds / divisor) + NARROW + unit;
}

function moment(ns) {
  return new Date(ns / 1e6).toLocaleString(undefined,
    { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' });
}

const formats = {
  text: text => text || UNKNOWN,
  count,
  number: plain,
  ms: milliseconds,
  ns: number => milliseconds(number / 1e6),
  ratio: number => percent(number * 100), /* of 0 .. 1 */
  percent,
  ppm: number => percent(number / 1e4),
  usd: dollars,
  bytes: number => number === 0 ? '0' + NARROW + 'B' : inUnits(number, BYTE_UNITS),
  times: number => plain(number) + NARROW + '×',
  ago: ns => since(ns) + ' ago',
  active: is => is ? 'active' : 'quiet',
  status: code => code > 0 ? String(code) : code === 0 ? 'none' : 'other',
  list: values => values.join(', ') || UNKNOWN,
};

/* Beside an axis: "50.0" is 50. */
function writeShort(kind, value) {
  return write(kind, value).replace(/(\.\d*?)0+(?!\d)/, '$1').replace(/\.(?!\d)/, '');
}

function write(kind, value) {
  if (value === null || value === undefined)
    return kind === 'burn' ? '∞' : UNKNOWN; /* a burn rate is null where the target leaves no room for an error */
  return formats[kind === 'burn' ? 'times' : kind](value);
}
