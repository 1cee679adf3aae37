// One layer of LSTM, forward and backward: E1–E6 with the numbers and letters of equations.py.
//
// All arrays are row-major and in float64.  T steps, I inputs, H units, G gates that have weights
// (i, f, g, o in that order; without a learned forget gate i, g, o).

/** @typedef {"i" | "f" | "g" | "o"} Gate */
/** @typedef {Gate | "c" | "h"} Quantity */

/**
 * Which equations a cell follows: as `Cell` in equations.py.
 * @typedef {object} Cell
 * @property {"learned" | "one" | "coupled"} forget
 * @property {boolean} peephole
 * @property {"tanh" | "identity"} output
 */

/**
 * @typedef {object} Layer
 * @property {number} inputSize I
 * @property {number} hiddenSize H
 * @property {Cell} cell
 * @property {Float64Array} weight_ih [G·H, I]
 * @property {Float64Array} weight_hh [G·H, H]
 * @property {Float64Array} bias_ih [G·H]
 * @property {Float64Array} bias_hh [G·H]
 * @property {Float64Array | null} weight_ph [P, H] for i, f, o or i, o
 */

/**
 * What a hand does to a layer while it runs.  Each array is [T, H], or null where nothing is done.
 * @typedef {object} Effects
 * @property {Record<Gate, Float64Array | null>} clamp a gate's value; NaN: not clamped
 * @property {Uint8Array | null} held 1: c_new is c_in, whatever the gates say
 * @property {{ h: Float64Array, c: Float64Array } | null} put what h and c are after the step; NaN: what E4 and E6 say
 * @property {Uint8Array | null} cut 1: c_in is 0; 2: c_in stands, and no gradient passes
 */

/**
 * Everything that happened in a layer.
 * @typedef {object} Trace
 * @property {number} steps T
 * @property {Float64Array} x [T, I]
 * @property {Float64Array} a [T, G·H] pre-activations, without the peepholes' part
 * @property {Float64Array} c_in [T, H] the cell state that each step starts from
 * @property {Float64Array} h_in [T, H]
 * @property {Float64Array} i [T, H]
 * @property {Float64Array} f
 * @property {Float64Array} g
 * @property {Float64Array} o
 * @property {Float64Array} c
 * @property {Float64Array} h
 */

/**
 * The gradient of one number with respect to everything before it, by all ways that lead there.
 * @typedef {object} Gradient
 * @property {Float64Array} x [T, I]
 * @property {Float64Array} h [T, H]
 * @property {Float64Array} c [T, H] by way of h_t of the same step too
 */

/** @type {Effects} */
export const UNTOUCHED = {
  clamp: { i: null, f: null, g: null, o: null },
  held: null,
  put: null,
  cut: null,
};

/** @param {number} a */
export function sigmoid(a) {
  return 1 / (1 + Math.exp(-a));
}

/**
 * The gates that have weights, in the order in which their rows are stored.
 * @param {Cell} cell
 * @returns {Gate[]}
 */
export function gatesOf(cell) {
  return cell.forget === "learned" ? ["i", "f", "g", "o"] : ["i", "g", "o"];
}

/**
 * Where a gate's rows begin, counted in blocks of H; −1: it has no weights.
 * @param {Cell} cell
 * @param {Gate} gate
 */
export function blockOf(cell, gate) {
  return gatesOf(cell).indexOf(gate);
}

/**
 * Where a gate's peepholes begin in weight_ph; −1: it has none.
 * @param {Layer} layer
 * @param {Gate} gate
 */
export function peepholeOf(layer, gate) {
  if (!layer.weight_ph || gate === "g") return -1;
  const seeing = layer.cell.forget === "learned" ? ["i", "f", "o"] : ["i", "o"];
  const row = seeing.indexOf(gate);
  return row < 0 ? -1 : row * layer.hiddenSize;
}

/**
 * out[from…] += matrix · vector[at…], the matrix [rows, columns].
 * @param {Float64Array} out
 * @param {number} from
 * @param {Float64Array} matrix
 * @param {Float64Array} vector
 * @param {number} at
 * @param {number} columns
 * @param {number} rows
 */
export function addProduct(out, from, matrix, vector, at, columns, rows) {
  for (let row = 0, place = 0; row < rows; row++) {
    let sum = 0;
    for (let k = 0; k < columns; k++) sum += matrix[place++] * vector[at + k];
    out[from + row] += sum;
  }
}

/**
 * out[from…] += matrixᵀ · vector[at…], the matrix [rows, columns].
 * @param {Float64Array} out
 * @param {number} from
 * @param {Float64Array} matrix
 * @param {Float64Array} vector
 * @param {number} at
 * @param {number} columns
 * @param {number} rows
 */
export function addTransposed(out, from, matrix, vector, at, columns, rows) {
  for (let row = 0, place = 0; row < rows; row++) {
    const factor = vector[at + row];
    if (factor === 0) {
      place += columns;
      continue;
    }
    for (let k = 0; k < columns; k++) out[from + k] += matrix[place++] * factor;
  }
}

/**
 * Run a layer over a sequence, from a state of zeros.
 * @param {Layer} layer
 * @param {Float64Array} x [T, I]
 * @param {number} steps T
 * @param {Effects} [effects]
 * @returns {Trace}
 */
export function forward(layer, x, steps, effects = UNTOUCHED) {
  const { inputSize: I, hiddenSize: H, cell } = layer;
  const rows = gatesOf(cell).length * H;
  const make = () => new Float64Array(steps * H);
  const s = {
    steps, x, a: new Float64Array(steps * rows), c_in: make(), h_in: make(),
    i: make(), f: make(), g: make(), o: make(), c: make(), h: make(),
  };
  const a_i = blockOf(cell, "i") * H;
  const a_f = blockOf(cell, "f") * H;
  const a_g = blockOf(cell, "g") * H;
  const a_o = blockOf(cell, "o") * H;
  const p = layer.weight_ph;
  const p_i = peepholeOf(layer, "i");
  const p_f = peepholeOf(layer, "f");
  const p_o = peepholeOf(layer, "o");
  const { clamp, held, put, cut } = effects;
  for (let t = 0; t < steps; t++) {
    const row = t * rows;
    for (let k = 0; k < rows; k++) s.a[row + k] = layer.bias_ih[k] + layer.bias_hh[k];
    addProduct(s.a, row, layer.weight_ih, x, t * I, I, rows);
    if (t > 0) {
      s.h_in.set(s.h.subarray((t - 1) * H, t * H), t * H);
      s.c_in.set(s.c.subarray((t - 1) * H, t * H), t * H);
    }
    // From zeros too, as torch does: a weight that is not finite shows at the first step.
    addProduct(s.a, row, layer.weight_hh, s.h_in, t * H, H, rows);
    for (let u = 0; u < H; u++) {
      const n = t * H + u;
      if (cut && cut[n] === 1) s.c_in[n] = 0;
      const c_in = s.c_in[n];
      // E1: i = σ(a_i + p_i⊙c_in)
      const i = set(clamp.i, n) ?? sigmoid(s.a[row + a_i + u] + (p && p_i >= 0 ? p[p_i + u] * c_in : 0));
      // E2: f = σ(a_f + p_f⊙c_in) | 1 | 1 − i
      const f = set(clamp.f, n) ?? (cell.forget === "learned"
        ? sigmoid(s.a[row + a_f + u] + (p && p_f >= 0 ? p[p_f + u] * c_in : 0))
        : cell.forget === "one" ? 1 : 1 - i);
      // E3: g = tanh(a_g)
      const g = set(clamp.g, n) ?? Math.tanh(s.a[row + a_g + u]);
      // E4: c_new = f⊙c_in + i⊙g
      const c = held && held[n] ? c_in : f * c_in + i * g;
      // E5: o = σ(a_o + p_o⊙c_new)
      const o = set(clamp.o, n) ?? sigmoid(s.a[row + a_o + u] + (p && p_o >= 0 ? p[p_o + u] * c : 0));
      // E6: h_new = o⊙φ(c_new)
      const h = o * (cell.output === "tanh" ? Math.tanh(c) : c);
      s.i[n] = i;
      s.f[n] = f;
      s.g[n] = g;
      s.o[n] = o;
      s.c[n] = (put && set(put.c, n)) ?? c;
      s.h[n] = (put && set(put.h, n)) ?? h;
    }
  }
  return s;
}

/**
 * @param {Float64Array | null} clamps
 * @param {number} n
 */
function set(clamps, n) {
  return clamps === null || Number.isNaN(clamps[n]) ? undefined : clamps[n];
}

/**
 * Backpropagation through time: E6 back to E1, from the last step to the first.
 *
 * Whatever a hand has set is a constant: nothing flows back through it.
 * @param {Layer} layer
 * @param {Trace} s what `forward` gave
 * @param {Float64Array} d_h [T, H] what reaches each h from outside the layer
 * @param {Effects} [effects] what `forward` was given
 * @returns {Gradient}
 */
export function backward(layer, s, d_h, effects = UNTOUCHED) {
  const { inputSize: I, hiddenSize: H, cell } = layer;
  const rows = gatesOf(cell).length * H;
  const T = s.steps;
  const found = { x: new Float64Array(T * I), h: d_h.slice(), c: new Float64Array(T * H) };
  const d_a = new Float64Array(rows);
  const a_i = blockOf(cell, "i") * H;
  const a_f = blockOf(cell, "f") * H;
  const a_g = blockOf(cell, "g") * H;
  const a_o = blockOf(cell, "o") * H;
  const p = layer.weight_ph;
  const p_i = peepholeOf(layer, "i");
  const p_f = peepholeOf(layer, "f");
  const p_o = peepholeOf(layer, "o");
  const { clamp, held, put, cut } = effects;
  for (let t = T - 1; t >= 0; t--) {
    for (let u = 0; u < H; u++) {
      const n = t * H + u;
      d_a[a_i + u] = d_a[a_g + u] = d_a[a_o + u] = 0;
      if (cell.forget === "learned") d_a[a_f + u] = 0;
      if (put && set(put.c, n) !== undefined) continue; // h and c are constants
      const c_in = s.c_in[n];
      const i = s.i[n], f = s.f[n], g = s.g[n], o = s.o[n], c = s.c[n];
      // E6: h = o⊙φ(c)
      const phi = cell.output === "tanh" ? Math.tanh(c) : c;
      let d_c = found.c[n] + found.h[n] * o * (cell.output === "tanh" ? 1 - phi * phi : 1);
      const d_o = found.h[n] * phi;
      // E5: o = σ(a_o + p_o⊙c)
      if (set(clamp.o, n) === undefined) {
        d_a[a_o + u] = d_o * o * (1 - o);
        if (p && p_o >= 0) d_c += d_a[a_o + u] * p[p_o + u];
      }
      found.c[n] = d_c;
      let d_c_in = d_c;
      if (!(held && held[n])) {
        // E4: c = f⊙c_in + i⊙g
        d_c_in = d_c * f;
        let d_i = d_c * g;
        const d_f = d_c * c_in;
        const d_g = d_c * i;
        // E3: g = tanh(a_g)
        if (set(clamp.g, n) === undefined) d_a[a_g + u] = d_g * (1 - g * g);
        // E2: f = σ(a_f + p_f⊙c_in) | 1 | 1 − i
        if (set(clamp.f, n) === undefined) {
          if (cell.forget === "learned") d_a[a_f + u] = d_f * f * (1 - f);
          else if (cell.forget === "coupled") d_i -= d_f;
        }
        // E1: i = σ(a_i + p_i⊙c_in)
        if (set(clamp.i, n) === undefined) d_a[a_i + u] = d_i * i * (1 - i);
        if (p && p_f >= 0) d_c_in += d_a[a_f + u] * p[p_f + u];
        if (p && p_i >= 0) d_c_in += d_a[a_i + u] * p[p_i + u];
      }
      if (t > 0 && !(cut && cut[n])) found.c[n - H] = d_c_in;
    }
    addTransposed(found.x, t * I, layer.weight_ih, d_a, 0, I, rows);
    if (t > 0) addTransposed(found.h, (t - 1) * H, layer.weight_hh, d_a, 0, H, rows);
  }
  return found;
}
