// Colours of the maps: even steps of lightness in OKLab, and told apart by colour-blind eyes.
//
// What lies in 0…1 has one hue, from the paper to deep blue.  What has a sign is orange above zero
// and blue below it, with the paper at zero.

/** @typedef {[number, number, number]} Lab */

/**
 * @param {string} hex such as "#0b4f9e"
 * @returns {Lab}
 */
function oklab(hex) {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const s = parseInt(hex.slice(at, at + 2), 16) / 255;
    return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
  });
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

/**
 * @param {Lab} lab
 * @returns {number[]} red, green, blue from 0 to 255
 */
function rgb([L, a, b]) {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((v) => {
    const e = v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055;
    return Math.round(255 * Math.min(1, Math.max(0, e)));
  });
}

/**
 * 256 colours on the way over some.
 * @param {string[]} stops
 * @returns {Uint8ClampedArray} [256, 4]
 */
function ramp(stops) {
  const labs = stops.map(oklab);
  const table = new Uint8ClampedArray(256 * 4);
  for (let n = 0; n < 256; n++) {
    const at = (n / 255) * (labs.length - 1);
    const k = Math.min(Math.floor(at), labs.length - 2);
    const lab = /** @type {Lab} */ (labs[k].map((v, j) => v + (at - k) * (labs[k + 1][j] - v)));
    table.set([...rgb(lab), 255], n * 4);
  }
  return table;
}

const RAMPS = {
  light: {
    amount: ramp(["#f7f5f0", "#a9c5e0", "#3f7fb8", "#0c3d78"]),
    sign: ramp(["#0c4a8f", "#6fa3d1", "#f7f5f0", "#e8a765", "#b4560a"]),
  },
  dark: {
    amount: ramp(["#1d2027", "#234a75", "#3f8bc9", "#c4e4fb"]),
    sign: ramp(["#8cc8ff", "#2f6ca5", "#1d2027", "#a8611f", "#ffb765"]),
  },
};

/** @typedef {"amount" | "sign"} Scale */

/**
 * @param {Scale} scale
 * @param {boolean} dark
 */
export function table(scale, dark) {
  return RAMPS[dark ? "dark" : "light"][scale];
}

/**
 * Where a value lies in a table: 0 to 255; −1 for what is not a number.
 * @param {number} value
 * @param {Scale} scale
 * @param {number} bound the largest size there is
 */
export function place(value, scale, bound) {
  if (Number.isNaN(value)) return -1;
  const share = scale === "amount" ? value / bound : 0.5 + value / (2 * bound);
  return Math.round(255 * Math.min(1, Math.max(0, share)));
}

/**
 * A value's colour for a style.
 * @param {number} value
 * @param {Scale} scale
 * @param {number} bound
 * @param {boolean} dark
 */
export function css(value, scale, bound, dark) {
  const n = place(value, scale, bound);
  if (n < 0) return "transparent";
  const [r, g, b] = table(scale, dark).subarray(n * 4, n * 4 + 3);
  return `rgb(${r} ${g} ${b})`;
}

/**
 * Ink that can be read on a value's colour.
 * @param {number} value
 * @param {Scale} scale
 * @param {number} bound
 * @param {boolean} dark
 */
export function inkOn(value, scale, bound, dark) {
  const n = place(value, scale, bound);
  if (n < 0) return "inherit";
  const [r, g, b] = table(scale, dark).subarray(n * 4, n * 4 + 3);
  const light = 0.2126 * (r / 255) ** 2.2 + 0.7152 * (g / 255) ** 2.2 + 0.0722 * (b / 255) ** 2.2;
  return light > 0.2 ? "#14161b" : "#ffffff";
}
