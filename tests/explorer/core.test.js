// The page's modules in node: against numbers that tests/test_explorer_core.py made with torch.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const page = pathToFileURL(`${process.env.UNROLLED_PAGE}/`);
const { applied, described, fits, weightAt } = await import(new URL("changes.js", page));
const { css, place } = await import(new URL("color.js", page));
const { say, visible } = await import(new URL("dom.js", page));
const { follow, random, study } = await import(new URL("findings.js", page));
const { cut, reader } = await import(new URL("inputs.js", page));
const { backward, forward } = await import(new URL("lstm.js", page));
const { gradient, network, runNetwork } = await import(new URL("network.js", page));
const { Store } = await import(new URL("store.js", page));


const fixture = JSON.parse(readFileSync(process.env.UNROLLED_FIXTURE, "utf8"));

/** The largest difference, and that nothing is missing. */
function differ(ours, theirs) {
  const flat = theirs.flat(2);
  assert.equal(ours.length, flat.length);
  return flat.reduce((most, value, n) => Math.max(most, Math.abs(value - ours[n])), 0);
}

for (const one of fixture.cases) {
  const net = network(one.network);
  const x = Float64Array.from(one.trace.x.flat());
  const steps = one.trace.x.length;
  const { net: changed, effects } = applied(net, one.changes, steps);
  const run = runNetwork(changed, x, steps, effects);

  test(`${one.what}: every gate and state as torch has it`, () => {
    one.trace.layers.forEach((layer, n) => {
      for (const quantity of ["i", "f", "g", "o", "c", "h"]) {
        assert.ok(differ(run.layers[n][quantity], layer[quantity]) < 1e-9, quantity);
      }
    });
    assert.ok(differ(run.logits, one.trace.logits) < 1e-9);
    assert.ok(differ(run.values, one.trace.values) < 1e-9);
  });

  test(`${one.what}: the gradient as autograd has it`, () => {
    const found = gradient(changed, run, one.asked.step, one.asked.output, effects);
    assert.ok(differ(found[0].x, one.gradient.x) < 1e-8);
    one.gradient.layers.forEach((layer, n) => {
      assert.ok(differ(found[n].h, layer.h) < 1e-8, `h of ${n}`);
      assert.ok(differ(found[n].c, layer.c) < 1e-8, `c of ${n}`);
    });
  });
}

for (const { told, typed, x, labels } of fixture.readings) {
  test(`${told.kind} reads ${JSON.stringify(typed).slice(0, 40)} as Python does`, () => {
    const own = reader(told);
    const input = typed ? own.parse(typed, null) : own.first();
    const reading = own.read(input);
    assert.ok(differ(reading.x, x) < 1e-12);
    assert.deepEqual(reading.labels, labels);
    assert.deepEqual(own.parse(own.print(input), null).text, input.text);
  });
}

test("words are cut as in Python", () => {
  for (const { text, words } of fixture.cut) assert.deepEqual(cut(text, "words"), words);
});

test("what units follow is Pearson's r, as numpy has it", () => {
  const { network: told, c, r, property } = fixture.following;
  const net = network(told);
  const own = reader(told.inputs);
  const found = study(net, own);
  const by = follow(net, own, found, 0, "c");
  assert.ok(found.samples.length > 100);
  const values = found.samples.flatMap(({ values: [carry] }) => [...carry]);
  assert.deepEqual(values, property);
  assert.ok(differ(by.r[0], r) < 1e-9);
  assert.ok(differ(by.absent[0].c, c) < 1e-9);
});

test("a link may hold anything: only what fits is taken", () => {
  const net = network(fixture.cases[0].network);
  const { hiddenSize: H } = net.layers[0];
  const good = { kind: "clamp", layer: 0, gate: "f", unit: 1, from: null, to: 2, value: 0.5 };
  assert.ok(fits(net, good));
  for (const bad of [
    null, 3, "f", [], {}, { ...good, layer: 9 }, { ...good, layer: -1 }, { ...good, unit: H }, { ...good, unit: -1 },
    { ...good, unit: "1" }, { ...good, gate: "x" }, { ...good, gate: "__proto__" }, { ...good, value: NaN },
    { ...good, value: "1" }, { ...good, from: 1.5 }, { ...good, kind: "constructor" },
    { kind: "weight", layer: 0, name: "constructor", row: 0, column: 0, value: 1 },
    { kind: "weight", layer: 0, name: "weight_hh", row: 4 * H, column: 0, value: 1 },
    { kind: "weight", layer: 0, name: "weight_hh", row: 0, column: H, value: 1 },
    { kind: "weight", layer: -1, name: "head", row: 99, column: 0, value: 1 },
    { kind: "bias", layer: 0, gate: "q", value: 1 }, { kind: "cut", layer: 0, unit: null, at: 0, what: "all" },
  ]) assert.ok(!fits(net, bad), JSON.stringify(bad));
});

test("a change leaves the network that it is made to alone", () => {
  const net = network(fixture.cases[0].network);
  const where = { layer: 0, name: "weight_hh", row: 2, column: 1 };
  const before = weightAt(net, where);
  const { net: changed } = applied(net, [{ kind: "weight", ...where, value: 7 }], 3);
  assert.equal(weightAt(changed, where), 7);
  assert.equal(weightAt(net, where), before);
  assert.match(described(net, { kind: "clamp", layer: 0, gate: "f", unit: null, from: 2, to: 2, value: -1 }), /f = −1, all units, step 2/);
});

test("a state that is not finite stays visible as such", () => {
  const net = network(fixture.cases[0].network);
  const layer = { ...net.layers[0], weight_hh: net.layers[0].weight_hh.slice() };
  layer.weight_hh[0] = NaN;
  const x = new Float64Array(3 * layer.inputSize);
  const s = forward(layer, x, 3);
  assert.ok(Number.isNaN(s.i[0]) && !Number.isNaN(s.i[1])); // as torch: not a number times 0
  assert.ok(backward(layer, s, new Float64Array(3 * layer.hiddenSize).fill(1)).x.some(Number.isNaN));
  assert.equal(place(NaN, "sign", 1), -1);
  assert.equal(css(NaN, "sign", 1, false), "transparent");
  assert.equal(say(NaN), "not a number");
  assert.equal(say(-Infinity), "−∞");
});

test("numbers and marks are written so that they can be read", () => {
  assert.equal(say(-0.5, 2), "−0.50");
  assert.equal(say(-0.0001, 2), "−1.0e−4");
  assert.equal(say(-0, 2), "0.00");
  assert.equal(visible(" \n\u0000a"), "␣⏎�a");
});

test("colours rise evenly and part at zero", () => {
  assert.equal(place(0, "sign", 1), 128);
  assert.equal(place(1, "amount", 1), 255);
  assert.equal(place(9, "amount", 1), 255);
  assert.notEqual(css(-1, "sign", 1, false), css(1, "sign", 1, false));
});

test("the same draws every time", () => {
  const [a, b] = [random(3), random(3)];
  for (let n = 0; n < 10; n++) assert.equal(a(), b());
  assert.notEqual(random(3)(), random(4)());
});

test("undo takes back one thing, and a drag is one thing", () => {
  globalThis.requestAnimationFrame = () => 0;
  const store = new Store([network(fixture.cases[0].network)]);
  const clamp = (value) => [{ kind: "clamp", layer: 0, gate: "f", unit: null, from: null, to: null, value }];
  store.change(clamp(1));
  store.change(clamp(0.3), "slide");
  store.change(clamp(0.2), "slide");
  store.change(clamp(0.1), "slide");
  assert.equal(store.history.past.length, 2);
  store.undo();
  assert.deepEqual(store.state.changes, clamp(1));
  store.reset();
  assert.deepEqual(store.state.changes, []);
  store.undo();
  store.undo();
  assert.deepEqual(store.state.changes, []);
  store.undo();
  assert.deepEqual(store.state.changes, []);
});
