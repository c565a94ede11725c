// How the run was computed and moved, the source, and what begins it all: sections 6 to 8.

const { tape, optimizer, source } = report;
const ROW = 26;

function drawTape() {
  const { nodes, memory, convolutions, peak } = tape;
  const longest = largest(nodes.map(node => Math.max(node.forward, node.backward ?? 0)));
  const most = largest(nodes.map(node => node.bytes));
  const children = new Map(nodes.map(node => [node.id, []]));
  nodes.forEach(node => node.parents.forEach(parent => children.get(parent)?.push(node.id)));
  const excerptOf = ({ file, op }) => source?.excerpts.find(excerpt => excerpt.file.endsWith(file)) ?? source?.excerpts.find(excerpt => op.startsWith(excerpt.name));
  let constants = false, pinned = null;
  byId("tapechoice").append(tick(`Show the ${nodes.filter(node => node.op === "constant").length} constants (weights, targets)`, false, on => { constants = on; draw(); }));
  scrollable(byId("nodes"), "The tape, node by node");

  const title = node => node.label || node.op;
  const names = ids => ids.map(id => nodes.find(node => node.id === id)).filter(Boolean).map(node => `${node.id} ${title(node)}`).join(", ") || "nothing";
  const describe = node => `${node.id} ${title(node)} (${node.op}): made of ${names(node.parents)}; used by ${names(children.get(node.id))}; its rule reads ${names(node.saves)}. ` +
    `${bytes(node.bytes)}${node.kept ? ", kept for the way back" : ""}; forward ${time(node.forward)}${node.backward === null ? "" : `, backward ${time(node.backward)}`}.`;

  function draw() {
    const shown = nodes.filter(node => constants || node.op !== "constant");
    const row = new Map(shown.map((node, i) => [node.id, i]));
    const edges = shown.flatMap(node => node.parents.filter(parent => row.has(parent)).map(parent => [parent, node.id]));
    const reach = largest([1, ...edges.map(([a, b]) => row.get(b) - row.get(a))]);
    const width = 72, middle = i => ROW * i + ROW / 2;
    const curve = ([from, to]) => {
      const [a, b] = [middle(row.get(from)), middle(row.get(to))], far = row.get(to) - row.get(from);
      const bend = far === 1 ? 0 : 10 + 50 * Math.sqrt(far / reach);
      return s("path", { class: "edge", d: `M${width - 8} ${a}C${width - 8 - bend} ${a} ${width - 8 - bend} ${b} ${width - 8} ${b}`, "data-from": from, "data-to": to });
    };
    const graph = s("svg", { class: "graph", width, height: ROW * shown.length, viewBox: `0 0 ${width} ${ROW * shown.length}`, "aria-hidden": "true" },
      edges.map(curve), shown.map((node, i) => s("circle", {
        class: `node ${node.kept ? "kept" : ""} ${node.differentiated ? "" : "still"}`, cx: width - 8, cy: middle(i), r: node.op === "constant" ? 3 : 5, "data-id": node.id })));
    const lines = shown.map((node, i) => {
      const excerpt = excerptOf(node), where = `${node.file.split("/").pop()}:${node.line}`;
      return h("tr", {
        id: `node-${node.id}`, class: node.op === "constant" ? "constant" : "", tabindex: i ? "-1" : "0",
        pointerenter: () => pinned === null && mark(node), focus: () => mark(node), keydown: event => key(event, i),
        click: () => { pinned = pinned === node.id ? null : node.id; mark(node); },
      },
        h("th", { scope: "row", class: "n" }, String(node.id)), h("td", {}, node.label ? h("b", {}, node.label) : ""), h("td", {}, node.op), h("td", { class: "n" }, shape(node.shape)),
        h("td", { class: "n" }, node.bytes ? bytes(node.bytes) : "", bar(node.bytes / most, "ink")), h("td", { class: "mid" }, node.kept ? h("span", { role: "img", "aria-label": "kept" }, "●") : ""),
        h("td", { class: "n" }, node.op === "constant" ? "" : time(node.forward), bar(node.forward / longest, "content")),
        h("td", { class: "n" }, node.backward === null ? "" : time(node.backward), node.backward === null ? "" : bar(node.backward / longest, "style")),
        h("td", {}, excerpt ? h("a", { href: `#formula-${excerpt.name}`, title: node.file, tabindex: "-1" }, where) : h("span", { title: node.file }, where)));
    });
    const table = h("table", {}, h("caption", { class: "hidden" }, "The tape's nodes in the order of recording"), h("thead", {}, h("tr", {},
      [["node", "n"], ["name"], ["op"], ["shape", "n"], ["value", "n"], ["kept", "mid"], ["forward", "n"], ["backward", "n"], ["recorded in"]].map(([name, kind]) => h("th", { scope: "col", class: kind }, name)))),
      h("tbody", {}, lines));
    byId("nodes").replaceChildren(h("div", { class: "tape" }, graph, table));

    const key = (event, i) => {
      const to = { ArrowDown: i + 1, ArrowUp: i - 1, Home: 0, End: lines.length - 1 }[event.key];
      if (to === undefined || !lines[to]) return;
      event.preventDefault();
      pinned = null;
      lines[i].tabIndex = -1;
      lines[to].tabIndex = 0;
      lines[to].focus();
    };
    function mark(node) {
      const kin = new Map([...children.get(node.id).map(id => [id, "child"]), ...node.parents.map(id => [id, "parent"])]);
      lines.forEach((line, i) => {
        const { id } = shown[i];
        line.classList.toggle("here", id === node.id);
        line.classList.toggle("parent", kin.get(id) === "parent");
        line.classList.toggle("child", kin.get(id) === "child");
        line.classList.toggle("saved", node.saves.includes(id));
      });
      graph.querySelectorAll(".edge").forEach(edge =>
        edge.classList.toggle("on", Number(edge.dataset.from) === node.id || Number(edge.dataset.to) === node.id));
      byId("nodereadout").textContent = describe(node);
    }
    mark(shown.find(node => node.label === goal.style_layers[0]?.layer) ?? shown[0]);
  }
  draw();

  const turn = memory.find(moment => moment.pass === "backward");
  new Chart(byId("memory"), {
    label: "Memory during one iteration", stacked: true, xs: memory.map(moment => 1e3 * moment.seconds), xwhole: false,
    series: [{ name: "values", kind: "content", values: memory.map(moment => moment.values) }, { name: "gradients", kind: "style", values: memory.map(moment => moment.gradients) }],
    marks: [{ x: 1e3 * memory[0].seconds, label: "forward" }, ...turn ? [{ x: 1e3 * turn.seconds, label: "backward" }] : []],
    xlabel: "milliseconds since the iteration began", ylabel: "bytes", yformat: bytes, height: 260,
    index: memory.reduce((best, m, i) => m.values + m.gradients > memory[best].values + memory[best].gradients ? i : best, 0),
    say: i => {
      const m = memory[i], node = nodes.find(node => node.id === m.node);
      return `${time(m.seconds)}, ${m.pass}${node ? `, at node ${node.id} ${title(node)}` : ""}: values ${bytes(m.values)}, gradients ${bytes(m.gradients)}, together ${bytes(m.values + m.gradients)}`;
    },
  });

  const spent = convolutions.reduce((sum, c) => sum + c.forward.seconds + c.backward.seconds, 0);
  const over = convolutions.some(c => Math.max(c.forward.flops, c.backward.flops) > peak);
  byId("convtext").textContent = `The iteration took ${time(tape.seconds)}, and its convolutions ${time(spent)} of it, ${percent(spent / tape.seconds)}. ` +
    `This machine's arithmetic ends at ${num(peak / 1e9, 3)} Gflop/s, measured with the kernels' own inner loop, on all threads. ` +
    "A multiplication and an addition count as the definition of a convolution asks for them. Winograd's algorithm makes do with a quarter of the multiplications" +
    (over ? ", which is why it can be above 100 % by this count." : ", so by this count it could go beyond 100 %.");
  scrollable(byId("convolutions"), "Convolutions");
  const fastest = Math.max(1, ...convolutions.flatMap(c => [c.forward.flops / peak, c.backward.flops / peak]));
  const speed = ({ algorithm, seconds, flops }, kind) => [algorithm, time(seconds), num(flops / 1e9, 3), [bar(flops / peak / fastest, kind), " ", percent(flops / peak)]];
  byId("convolutions").append(table(`Bars end at ${percent(fastest)} of the peak.`,
    ["layer", "forward", ["time", "n"], ["Gflop/s", "n"], "of peak", "backward", ["time", "n"], ["Gflop/s", "n"], "of peak"],
    convolutions.map(c => [h("a", { href: `#node-${c.node}` }, c.layer), ...speed(c.forward, "content"), ...speed(c.backward, "style")])));
}

function drawOptimizer() {
  const { course, rates, lengths, histograms, x, y } = optimizer, { result } = report;
  const over = values => values.map((_, i) => i + 1);
  const iterations = run ? boundaries() : [];
  if (byId("rates")) new Chart(byId("rates"), {
    label: "Learning rate of each update", xs: over(rates), series: [{ name: "η", kind: "total", values: rates }], marks: iterations, height: 200, zero: true,
    xlabel: "update", ylabel: "learning rate η", say: i => `Update ${i + 1}: η = ${num(rates[i])}`,
  });
  new Chart(byId("lengths"), {
    label: "Length of each update", xs: over(lengths), series: [{ name: "length", kind: "total", values: lengths }], marks: iterations, log: true, height: 220,
    xlabel: "update", ylabel: "root mean square", say: i => `Update ${i + 1}: ${num(lengths[i])}${rates[i] ? `, ${num(lengths[i] / rates[i], 3)} η` : ""}`,
  });
  function boundaries() {
    let begun = 1;
    return run.scales.map(scale => {
      const mark = { x: begun, label: `${Math.max(scale.width, scale.height)} px` };
      begun += scale.iterations;
      return mark;
    });
  }

  byId("pixeltext").textContent = `Of all pixels this is the one at column ${x}, row ${y} of the result, over the ${course.length} updates of the last scale.` +
    (optimizer.canvas === "pyramid" ? " The optimiser's variables are not the pixels here but the coefficients of the picture's Laplacian pyramid: a pixel is a sum of one from each level. " +
      "Gradient, moments and step are those of its coefficient at the finest level, and the colour also moves with the coarser ones." : "");
  const cross = s("svg", { class: "cross", viewBox: `0 0 ${result.width} ${result.height}`, "aria-hidden": "true" },
    s("circle", { cx: x, cy: y, r: result.width / 30 }), s("path", { d: `M${x} 0V${y - result.width / 30}M${x} ${result.height}V${y + result.width / 30}M0 ${y}H${x - result.width / 30}M${result.width} ${y}H${x + result.width / 30}` }));
  const strip = h("canvas", { class: "strip", width: course.length, height: 1, role: "img", "aria-label": "The pixel's colour after each update" });
  const pixels = strip.getContext("2d").createImageData(course.length, 1);
  course.forEach((moved, i) => pixels.data.set([...moved.color.map(v => Math.round(255 * Math.min(1, Math.max(0, v)))), 255], 4 * i));
  strip.getContext("2d").putImageData(pixels, 0, 0);
  byId("pixel").append(h("div", {}, h("div", { class: "stage still" }, picture(result, `The result, with the pixel at column ${x}, row ${y} marked`), cross)));
  const first = h("div", {}, h("p", { class: "plotname" }, "colour"), strip);
  const xs = course.map(moved => moved.iteration), charts = [];
  const plot = (name, get, options = {}) => {
    if (!get(course[0])) return;
    const series = ["red", "green", "blue"].map((kind, c) => ({ name: kind, kind, values: course.map(moved => get(moved)?.[c] ?? null) }));
    const box = byId("pixel").appendChild(charts.length ? h("div") : first);
    const chart = new Chart(box, {
      label: `${name} of the pixel`, xs, series, height: 170, xlabel: "update", ylabel: name,
      say: i => `Update ${xs[i]}: ${name} ${series.map(one => `${one.name} ${num(one.values[i], 3)}`).join(", ")}`,
      onmove: i => charts.forEach(other => other !== chart && other.move(i, false)), ...options,
    });
    charts.push(chart);
  };
  plot("value", moved => moved.color);
  plot("gradient g", moved => moved.gradient);
  plot("first moment m", moved => moved.mean);
  plot("√v", moved => moved.square?.map(v => Math.sqrt(Math.max(0, v))), { zero: true });
  plot("step", moved => moved.step);

  if (histograms.length) {
    const { edges } = histograms[0], many = edges.length;
    new Chart(byId("histogram"), {
      label: "Sizes of single values' updates", steps: true, edges, xs: edges.map((_, i) => i), zero: true, height: 240,
      series: histograms.map((one, i) => ({ name: `update ${one.iteration}`, kind: i ? "style" : "content", values: one.counts })),
      xticks: edges.map((_, i) => i).filter(i => i % Math.ceil(many / 6) === 0), xformat: i => num(edges[i], 2),
      xlabel: "size of an update", ylabel: "values", yformat: v => v >= 1e4 ? `${num(v / 1e3, 3)} k` : num(v),
      say: i => `${num(edges[i], 3)} to ${num(edges[i + 1], 3)}: ` + histograms.map(one => `${whole(one.counts[i])} values in update ${one.iteration}`).join(", "),
    });
  } else byId("histogram").closest("figure").remove();
}

// Rust, lightly: comments, strings, numbers, words that mean something.
const RUST = /(\/\/[^\n]*)|("(?:[^"\\]|\\.)*")|\b(as|async|const|else|enum|fn|for|if|impl|in|let|loop|match|mod|move|mut|pub|ref|return|self|Self|struct|trait|type|use|where|while)\b|\b(\d[\d_.]*(?:e-?\d+)?(?:[fiu]\d+|usize)?)\b|\b([A-Z]\w*)\b/g;
function rust(text) {
  const parts = [];
  let last = 0;
  for (const match of text.matchAll(RUST)) {
    const kind = ["comment", "string", "keyword", "number", "type"][match.slice(1).findIndex(Boolean)];
    parts.push(text.slice(last, match.index), h("span", { class: kind }, match[0]));
    last = match.index + match[0].length;
  }
  return [...parts, text.slice(last)];
}

function drawSource() {
  for (const article of document.querySelectorAll("[data-excerpt]")) {
    const excerpt = source.excerpts.find(excerpt => excerpt.name === article.dataset.excerpt);
    if (!excerpt) {
      article.remove();
      continue;
    }
    article.id = `formula-${excerpt.name}`;
    article.tabIndex = -1;
    const lines = excerpt.text.replace(/\n+$/, "").split("\n").length;
    article.prepend(h("h4", {}, excerpt.title));
    const code = h("code", {}, rust(excerpt.text.replace(/\n+$/, "")));
    const numbers = h("span", { class: "lines", "aria-hidden": "true" }, [...Array(lines).keys()].map(i => excerpt.line + i).join("\n"));
    article.append(h("p", { class: "file" }, `${excerpt.file}:${excerpt.line}`),
      h("pre", { tabindex: "0", role: "region", "aria-label": `Source: ${excerpt.title}` }, numbers, code));
  }
  scrollable(byId("checks"), "Gradients, checked");
  byId("checks").append(table("On 16 × 16 pixels of the photograph. The error is the difference in parts of the larger of the two.",
    ["what", ["⟨∇f, v⟩", "n"], ["difference", "n"], ["h", "n"], ["error", "n"], ["allowed", "n"], "passes"],
    source.checks.map(check => [check.name, num(check.reverse, 6), num(check.difference, 6), num(check.step, 3), num(check.error, 2), num(check.allowed, 2),
      check.error <= check.allowed ? "yes" : h("b", {}, "no")])));
  if (source.unchecked) byId("checks").after(h("p", {}, `The total loss is not among them: ${source.unchecked}.`));
}

// Words of the text that the run decides.
function facts() {
  const step = run?.steps[run.steps.length - 1], scale = step && run.scales[step.scale - 1];
  const alphas = run ? [...new Set(run.scales.map(scale => scale.content_weight))] : [goal.content_weight];
  const weights = list => list.map(({ layer, weight }) => `${layer} ${num(weight)}`).join(", ");
  const seconds = run?.steps.reduce((sum, step) => sum + (step.seconds || 0), 0);
  const moment = gradient?.moments[gradient.moments.length - 1];
  const terms = moment && ["content", "style", "tv"].map(name => moment.terms.findIndex(term => term.name === name)).filter(i => i >= 0);
  const total = moment?.terms.find(term => term.name === "total");
  const norm = terms && Math.sqrt(Math.max(0, terms.flatMap(a => terms.map(b =>
    moment.terms[a].norm * moment.terms[b].norm * (moment.cosines[a * moment.terms.length + b] ?? 0))).reduce((sum, v) => sum + v, 0)));
  const biggest = tape?.nodes.reduce((a, b) => b.bytes > a.bytes ? b : a);
  const fill = {
    program: report.program,
    alpha: alphas.length > 1 ? `${num(smallest(alphas))} to ${num(largest(alphas))}, more where the photograph is enlarged beyond its own size` : num(alphas[0]),
    beta: num(goal.style_weight),
    gamma: num(goal.tv_weight),
    layerweights: `content ${weights(goal.content_layers)}; style ${weights(goal.style_layers)}`,
    tapesize: tape && `${tape.width} × ${tape.height} pixels`,
    adam: optimizer?.adam && `β₁ = ${num(optimizer.adam.beta1)}, β₂ = ${num(optimizer.adam.beta2)} and ε = ${num(optimizer.adam.epsilon)}`,
    sumcheck: step && `${num(scale.content_weight)} · ${num(step.content)} + ${num(goal.style_weight)} · ${num(step.style)} + ${num(goal.tv_weight)} · ${num(step.tv)} = ` +
      `${num(scale.content_weight * step.content + goal.style_weight * step.style + goal.tv_weight * step.tv)}, and the table says ${num(step.total)}.`,
    normcheck: total && `At the end of this run that is the square of ${num(norm)}, and the table says ${num(total.norm)}.`,
    largest: biggest && `The value of node ${biggest.id}, ${biggest.label || biggest.op}, is ${shape(biggest.shape)} numbers, ${bytes(biggest.bytes)}.`,
  };
  for (const element of document.querySelectorAll("[data-fill]")) element.textContent = fill[element.dataset.fill] ?? "";
  for (const element of document.querySelectorAll("[data-fill=command]")) element.append(...words(report.command));
  const { machine } = report, pair = (name, ...value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
  byId("facts").append(...[
    pair("Preset", report.preset), pair("Photograph", times(report.content)), pair("Painting", times(report.style)), pair("Result", times(report.result)),
    run && pair("Updates", `${run.scales.reduce((sum, scale) => sum + scale.iterations, 0)} in ${run.scales.length} ${run.scales.length > 1 ? "sizes" : "size"}`),
    pair("Machine", `${machine.processor}, ${machine.isa}, ${machine.threads} ${machine.threads > 1 ? "threads" : "thread"}`),
    run && pair("Time of the iterations", time(seconds)),
  ].filter(Boolean));
}

function manners() {
  const root = document.documentElement, button = byId("theme"), system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
  const show = () => { button.setAttribute("aria-pressed", dark()); button.textContent = dark() ? "Light" : "Dark"; };
  if (location.hash === "#dark" || location.hash === "#light") root.dataset.theme = location.hash.slice(1);
  button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; show(); });
  system.addEventListener("change", show);
  show();
  for (const button of document.querySelectorAll("[data-copy]")) button.addEventListener("click", async () => {
    const code = button.parentElement.querySelector("code");
    getSelection().selectAllChildren(code);
    const copied = await navigator.clipboard?.writeText(code.textContent).then(() => true, () => false) || document.execCommand("copy");
    button.textContent = copied ? "Copied" : "Selected";
    setTimeout(() => button.textContent = "Copy", 2000);
  });
  // Links to what this page does not have are words.
  for (const link of document.querySelectorAll("a[href^='#']"))
    if (link.hash.length > 1 && !byId(link.hash.slice(1))) link.replaceWith(...link.childNodes);
  // Which section is read, in the table of contents.
  const links = new Map([...document.querySelectorAll("nav li a")].map(link => [link.hash.slice(1), link]));
  const seen = new IntersectionObserver(entries => entries.forEach(({ target, isIntersecting }) => {
    if (!isIntersecting) return;
    links.forEach(link => link.removeAttribute("aria-current"));
    links.get(target.id)?.setAttribute("aria-current", "true");
  }), { rootMargin: "-20% 0px -75% 0px" });
  document.querySelectorAll("main > section").forEach(section => seen.observe(section));
  // Nothing is folded away on paper.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open]):not(.numbers):not(#allmaps)")];
    closed.forEach(details => details.open = true);
  });
  addEventListener("afterprint", () => closed.forEach(details => details.open = false));
}

facts();
if (source) drawSource();
if (run) drawRun();
if (features) drawFeatures();
if (reconstructions) drawReconstructions();
if (statistic) drawStatistic();
if (gradient) drawGradient();
if (tape) drawTape();
if (optimizer) drawOptimizer();
manners();
