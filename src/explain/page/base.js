"use strict";
// What every section draws with: elements, numbers, choices, pieces of pictures, charts.

const report = JSON.parse(document.getElementById("report").textContent);
const byId = id => document.getElementById(id);

// An element with attributes; functions among them listen to the event of their name.
function dress(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false));
  return element;
}
const h = (tag, attributes = {}, ...children) => dress(document.createElement(tag), attributes, children);
const s = (tag, attributes = {}, ...children) =>
  dress(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

// Numbers

const superscript = n => String(n).replace("-", "⁻").replace(/\d/g, d => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]);

function num(value, digits = 4) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e6) {
    const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
    return `${Number(mantissa)}·10${superscript(Number(exponent))}`.replace("-", "−").replace(/^(−?)1·/, "$1");
  }
  return String(Number(value.toPrecision(digits))).replace("-", "−");
}
const whole = value => Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, " ");
const percent = (value, digits = 0) => `${(100 * value).toFixed(digits)} %`.replace("-", "−");
const cosine = value => Number.isFinite(value ?? NaN) ? value.toFixed(2).replace("-0.00", "0.00").replace("-", "−") : "–";
function bytes(value) {
  const unit = value >= 1e9 ? [1e9, "GB"] : value >= 1e6 ? [1e6, "MB"] : value >= 1e3 ? [1e3, "kB"] : [1, "B"];
  return `${num(value / unit[0], 3)} ${unit[1]}`;
}
function time(seconds) {
  if (!Number.isFinite(seconds ?? NaN)) return "–";
  if (seconds >= 120) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return seconds >= 1 ? `${num(seconds, 3)} s` : seconds >= 1e-3 ? `${num(1e3 * seconds, 3)} ms` : seconds >= 1e-6 ? `${num(1e6 * seconds, 3)} µs` : "< 1 µs";
}
const shape = dims => dims.length ? dims.join(" × ") : "number";
const times = image => `${image.width} × ${image.height}`;
const largest = values => values.reduce((most, value) => value > most ? value : most, -Infinity);
const smallest = values => values.reduce((least, value) => value < least ? value : least, Infinity);
const nearest = (values, value) =>
  values.reduce((best, v, i) => Math.abs(v - value) < Math.abs(values[best] - value) ? i : best, 0);

// A command that is broken between its words.
const words = command => command.split(" ").flatMap((word, i) => [i ? " " : "", h("span", { class: "word" }, word)]);

// Pictures

const picture = (image, alt, attributes = {}) =>
  h("img", { src: image.src, width: image.width, height: image.height, alt, ...attributes });
const captioned = (image, alt, ...caption) => h("div", { class: "captioned" }, picture(image, alt), h("p", {}, caption));

// One decoded picture for each source, whoever asks.
const decoded = new Map();
function decode(image) {
  if (!decoded.has(image.src)) {
    const element = new Image();
    element.src = image.src;
    decoded.set(image.src, element.decode().then(() => element));
  }
  return decoded.get(image.src);
}

// A rectangle of a picture, pixel by pixel, or a gap of nothing where it lies outside.
function cut(image, { x, y, width, height }, label, attributes = {}) {
  const canvas = h("canvas", { width, height, role: "img", "aria-label": label, ...attributes });
  decode(image).then(element => canvas.getContext("2d").drawImage(element, x, y, width, height, 0, 0, width, height));
  return canvas;
}
const sprite = (sprites, channel, label) => cut(sprites.image, {
  x: channel % sprites.columns * sprites.width,
  y: Math.floor(channel / sprites.columns) * sprites.height,
  width: sprites.width,
  height: sprites.height,
}, label, { class: "map" });

// Controls

let controls = 0;
function choice(legend, options, chosen, onchange) {
  const name = `choice-${++controls}`;
  const radio = ([value, label]) => h("label", {},
    h("input", { type: "radio", name, value, checked: value === chosen, change: () => onchange(value) }), h("span", {}, label));
  return h("fieldset", { class: "choice" }, h("legend", {}, legend), options.map(radio));
}
const tick = (label, on, onchange) => h("label", { class: "tick" },
  h("input", { type: "checkbox", checked: on, change: event => onchange(event.target.checked) }), label);

// Tables: heads are strings, or pairs of a string and `n` for columns of numbers.
function table(caption, heads, rows, attributes = {}) {
  const kinds = heads.map(head => Array.isArray(head) ? head[1] : undefined);
  const head = h("tr", {}, heads.map((head, i) => h("th", { scope: "col", class: kinds[i] }, Array.isArray(head) ? head[0] : head)));
  const row = cells => h("tr", {}, cells.map((cell, i) =>
    i === 0 ? h("th", { scope: "row", class: kinds[i] }, cell) : h("td", { class: kinds[i] }, cell)));
  return h("table", attributes, h("caption", {}, h("span", {}, caption)), h("thead", {}, head), h("tbody", {}, rows.map(row)));
}
const bar = (share, kind = "") => h("span", { class: `bar ${kind}`, "aria-hidden": "true" },
  h("span", { style: `width:${(100 * Math.min(1, Math.max(0, share || 0))).toFixed(2)}%` }));

// A box that scrolls sideways can be scrolled with the keyboard.
function scrollable(box, label) {
  dress(box, { tabindex: "0", role: "region", "aria-label": label }, []);
}

// Charts

const PLOT = { left: 62, right: 14, top: 22, bottom: 40 };

function linearTicks(low, high, count = 5) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(m => m * power).find(step => step >= rough * 0.999);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) ticks.push(i * step);
  return ticks;
}
function logTicks(low, high) {
  const [first, last] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
  const every = Math.max(1, Math.ceil((last - first) / 6)), ticks = [];
  for (let e = first; e <= last; e += every) ticks.push(10 ** e);
  if (ticks.length >= 2) return ticks;
  for (let e = first - 1; e <= last; e++) for (const m of [1, 2, 3, 5, 7]) {
    const tick = m * 10 ** e;
    if (tick >= low && tick <= high && !ticks.includes(tick)) ticks.push(tick);
  }
  return ticks.sort((a, b) => a - b);
}

// A chart of series over common x values, which is pointed at, or moved along with the arrow keys.
//
// `series`: { name, kind, values }, of the colour that the style sheet has for `kind`. `stacked` ones are areas on top of each
// other, `steps` have an x more than values. `say(i)` is read out for the i-th x, `onmove(i)` is told of it.
class Chart {
  constructor(box, options) {
    Object.assign(this, { height: 280, marks: [], say: () => "", onmove: () => {}, index: null }, options);
    this.plot = h("div", {
      class: "plot", role: "slider", tabindex: "0", "aria-label": `${this.label}; arrow keys move along`,
      "aria-orientation": "horizontal",
      keydown: event => this.key(event), pointermove: event => this.point(event), pointerdown: event => this.point(event),
    });
    this.legend = h("ul", { class: "legend", "aria-hidden": "true" });
    this.readout = h("p", { class: "readout", "aria-live": "polite" });
    this.numbers = h("details", { class: "numbers", toggle: () => this.tabulate() }, h("summary", {}, "The numbers as a table"), h("div", { class: "scroll" }));
    box.append(h("div", { class: "chart" }, this.legend, this.plot, this.readout, this.numbers));
    this.draw();
    let width = this.plot.clientWidth;
    new ResizeObserver(() => {
      if (this.plot.clientWidth && this.plot.clientWidth !== width) {
        width = this.plot.clientWidth;
        this.draw();
      }
    }).observe(this.plot);
  }

  set(options) {
    Object.assign(this, options);
    this.draw();
  }

  draw() {
    const width = Math.max(260, this.plot.clientWidth || 560), { height, xs, log } = this;
    const ends = [PLOT.left, width - PLOT.right, height - PLOT.bottom, PLOT.top + (this.marks.length ? 14 : 0)];
    const stacks = this.stacked ? this.stack() : null;
    const shown = (stacks ? stacks.map(stack => stack.high) : this.series.map(one => one.values)).flat();
    const usable = shown.filter(v => Number.isFinite(v ?? NaN) && (!log || v > 0));
    let [low, high] = usable.length ? [smallest(usable), largest(usable)] : log ? [0.1, 1] : [0, 1];
    if (log) {
      if (high / low < 1.5) [low, high] = [low / 1.3, high * 1.3];
    } else {
      if (this.zero || this.stacked || low > 0 && low < 0.4 * high) low = Math.min(0, low);
      if (high === low) [low, high] = low ? [low - Math.abs(low), high + Math.abs(high)] : [-1, 1];
      const room = 0.04 * (high - low);
      [low, high] = [low < 0 || low > 0 ? low - room : low, high + room];
    }
    const scale = log ? Math.log10 : v => v;
    const y = v => ends[2] - (ends[2] - ends[3]) * (scale(v) - scale(low)) / (scale(high) - scale(low));
    const span = xs[xs.length - 1] - xs[0] || 1;
    const x = v => ends[0] + (ends[1] - ends[0]) * (v - xs[0]) / span;
    this.x = x;

    const svg = s("svg", { viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true", focusable: "false" });
    for (const tick of (log ? logTicks(low, high) : linearTicks(low, high)))
      svg.append(s("line", { class: "grid", x1: ends[0], x2: ends[1], y1: y(tick), y2: y(tick) }),
        s("text", { x: ends[0] - 8, y: y(tick) + 4, "text-anchor": "end" }, this.yformat ? this.yformat(tick) : num(tick, 3)));
    const count = Math.max(4, Math.floor(width / 110));
    const whole = this.xwhole === false ? linearTicks(xs[0], xs[xs.length - 1], count)
      : linearTicks(xs[0], xs[xs.length - 1], count).filter(Number.isInteger);
    for (const tick of this.xticks ?? whole)
      svg.append(s("line", { class: "tickmark", x1: x(tick), x2: x(tick), y1: ends[2], y2: ends[2] + 4 }),
        s("text", { x: x(tick), y: ends[2] + 17, "text-anchor": "middle" }, this.xformat ? this.xformat(tick) : num(tick, 4)));
    svg.append(s("line", { class: "axis", x1: ends[0], x2: ends[1], y1: ends[2], y2: ends[2] }),
      s("text", { class: "label", x: (ends[0] + ends[1]) / 2, y: height - 4, "text-anchor": "middle" }, this.xlabel),
      s("text", { class: "label", x: 2, y: 12 }, this.ylabel));
    let labelled = -Infinity;
    for (const mark of this.marks) {
      svg.append(s("line", { class: "mark", x1: x(mark.x), x2: x(mark.x), y1: ends[3], y2: ends[2] }));
      if (x(mark.x) - labelled > 34) {
        labelled = x(mark.x);
        svg.append(s("text", { class: "marklabel", x: labelled, y: ends[3] - 4 }, mark.label));
      }
    }
    if (stacks) stacks.forEach(({ low, high, kind }) => {
      // What is there at one moment stays until the next.
      const edge = values => values.flatMap((v, i) => [xs[i], xs[i + 1] ?? xs[i]].map(at => `${x(at).toFixed(1)},${y(v).toFixed(1)}`));
      const [above, below] = [edge(high), edge(low).reverse()];
      svg.append(s("polygon", { class: `area ${kind}`, points: above.concat(below).join(" ") }));
    });
    else for (const { kind, values } of this.series) {
      let path = "", pen = false;
      values.forEach((v, i) => {
        const there = Number.isFinite(v ?? NaN) && (!log || v > 0);
        if (there) {
          path += `${pen ? "L" : "M"}${x(xs[i]).toFixed(1)} ${y(v).toFixed(1)}`;
          if (this.steps) path += `H${x(xs[i + 1]).toFixed(1)}`;
        }
        pen = there;
      });
      svg.append(s("path", { class: `line ${kind}`, d: path }));
    }
    if (!log && low < 0 && high > 0) svg.append(s("line", { class: "axis", x1: ends[0], x2: ends[1], y1: y(0), y2: y(0) }));
    this.cursor = s("g", { class: "cursor" });
    this.lines = { svg, y, stacks, ends };
    svg.append(this.cursor);
    this.plot.replaceChildren(svg);
    this.legend.replaceChildren(...(this.series.length > 1 || this.stacked ? this.series : []).map(({ name, kind }) => h("li", {},
      s("svg", { width: 26, height: 10, viewBox: "0 0 26 10" }, this.stacked
        ? s("rect", { class: `area ${kind}`, width: 26, height: 10 })
        : s("path", { class: `line ${kind}`, d: "M1 5H25" })), name)));
    this.numbers.open = false;
    this.move(this.index ?? xs.length - 1, false);
  }

  stack() {
    let below = this.xs.map(() => 0);
    return this.series.map(({ kind, values }) => {
      const low = below, high = values.map((v, i) => v + low[i]);
      below = high;
      return { kind, low, high };
    });
  }

  // Marks the i-th x; whoever listens hears of it unless it comes from there.
  move(index, tell = true) {
    const last = this.xs.length - 1 - (this.steps ? 1 : 0);
    this.index = Math.max(0, Math.min(last, index));
    const { y, stacks, ends } = this.lines, i = this.index;
    const middle = this.steps ? (this.xs[i] + this.xs[i + 1]) / 2 : this.xs[i], x = this.x(middle);
    const heights = stacks ? stacks.map(stack => stack.high[i]) : this.series.map(one => one.values[i]);
    const dots = heights.map((v, k) => Number.isFinite(v ?? NaN) && (!this.log || v > 0)
      && s("circle", { class: `dot ${this.series[k].kind}`, cx: x, cy: y(v), r: 4 }));
    this.cursor.replaceChildren(s("line", { x1: x, x2: x, y1: ends[3], y2: ends[2] }), ...dots.filter(Boolean));
    const said = this.say(i);
    this.readout.textContent = said;
    dress(this.plot, { "aria-valuemin": 0, "aria-valuemax": last, "aria-valuenow": i, "aria-valuetext": said || num(middle) }, []);
    if (tell) this.onmove(i);
  }

  point(event) {
    const box = this.plot.getBoundingClientRect(), width = this.plot.firstChild.viewBox.baseVal.width;
    const x = (event.clientX - box.left) * width / box.width;
    const places = this.steps ? this.xs.slice(1).map((v, i) => (v + this.xs[i]) / 2) : this.xs;
    this.move(nearest(places.map(this.x), x));
  }

  key(event) {
    const far = Math.max(1, Math.round(this.xs.length / 20));
    const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: far, PageDown: -far, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    this.move(this.index + step);
  }

  // At most forty rows, evenly spread, once they are asked for.
  tabulate() {
    if (!this.numbers.open) return;
    const rows = this.steps ? this.xs.length - 1 : this.xs.length, every = Math.max(1, Math.ceil(rows / 40));
    const picked = [...Array(rows).keys()].filter(i => i % every === 0 || i === rows - 1);
    const name = i => this.steps ? `${num(this.edges[i], 3)} to ${num(this.edges[i + 1], 3)}` : num(this.xs[i]);
    const box = this.numbers.lastChild;
    box.replaceChildren(table(this.label, [[this.xlabel, "n"], ...this.series.map(one => [one.name, "n"])],
      picked.map(i => [name(i), ...this.series.map(one => num(one.values[i]))])));
    scrollable(box, this.label);
  }
}
