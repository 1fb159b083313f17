// Numbers as people read them.

/** "1,234", "12.3", "0.45", "4". */
export function plain(value) {
  if (Number.isInteger(value)) return value.toLocaleString("en");
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value).toLocaleString("en");
  if (size >= 10) return value.toFixed(1);
  return value.toFixed(2);
}

/** Microseconds, in the unit that suits them. */
export function microseconds(value) {
  return seconds(value / 1e6);
}

/** Seconds, in the unit that suits them. */
export function seconds(value) {
  if (value < 1e-3) return `${Math.round(value * 1e6)} µs`;
  if (value < 1) return `${plain(value * 1e3)} ms`;
  return `${plain(value)} s`;
}

/** 0.9943 as "99.43 %"; what is not quite all is never called all. */
export function percent(share) {
  const text = (share * 100).toFixed(share > 0.9995 || share < 0.0995 ? 2 : 1);
  return `${text === "100.00" && share < 1 ? "99.99" : text} %`;
}

/** A figure of the evidence: whole numbers whole, small ones as powers of ten. */
export function figure(value) {
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return Math.abs(value) < 1e-3 ? value.toExponential(1) : String(Number(value.toPrecision(4)));
}

/** "1 row", "1,234 rows". */
export function rows(value) {
  return `${plain(value)} ${value === 1 ? "row" : "rows"}`;
}

/** Bytes, in the unit that suits them. */
export function bytes(value) {
  if (value < 1024) return `${value} bytes`;
  const mib = value / 1024 ** 2;
  return mib < 1 ? `${plain(value / 1024)} KiB` : `${plain(mib)} MiB`;
}
