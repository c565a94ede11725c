// The run, and what the network makes of it: sections 1 to 5.

const { goal, run, features, reconstructions, statistic, gradient } = report;
const STYLE_KINDS = ["s1", "s2", "s3", "s4", "s5", "s6"];
const styleKind = i => STYLE_KINDS[i % STYLE_KINDS.length];
const WHO = [["content", "the photograph"], ["style", "the painting"], ["result", "the result"]];
const node = label => report.tape?.nodes.findLast(node => node.label === label);

// Ways on from a number: to a place of the page, where a control may have to be chosen first.
const trail = (...links) => h("span", { class: "trail" }, links.filter(Boolean).map(([href, name, label, box, value]) => h("a", {
  href: `#${href}`, "aria-label": label, click: () => box && byId(box).querySelector(`input[value="${value}"]`).click(),
}, name)));
const trailOf = (term, formula, layer = term, pixels = true) => trail(
  features?.layers.some(one => one.name === layer) && ["features", "maps", `${term}: the maps of ${layer}`, "layerchoice", layer],
  statistic?.layers.some(one => one.layer === term) && ["statistic", "matrix", `${term}: its matrices`, "matrixchoice", term],
  pixels && gradient?.moments[0].terms.some(one => one.name === term) && [`term-${term}`, "pixels", `${term}: the pixels that pull`],
  report.source?.excerpts.some(one => one.name === formula) && [`formula-${formula}`, "formula", `${term}: formula and source`],
  node(term) && [`node-${node(term).id}`, "tape", `${term}: its node on the tape`],
);
const styleFormula = goal.statistic === "wasserstein" ? "wasserstein" : "gram";

function drawRun() {
  const { steps, frames, scales } = run;
  byId("trio").append(...WHO.map(([who, what]) => captioned(report[who],
    { content: "The photograph", style: "The painting", result: "The result: the photograph in the manner of the painting" }[who],
    h("b", {}, who), `, ${what}, ${times(report[who])}`)));
  const xs = steps.map(step => step.iteration);
  const alpha = step => scales[step.scale - 1]?.content_weight ?? goal.content_weight;
  const weights = step => ({ content: alpha(step), style: goal.style_weight, tv: goal.tv_weight });
  const marks = steps.flatMap((step, i) => i === 0 || steps[i - 1].scale !== step.scale
    ? [{ x: step.iteration, label: `${Math.max(scales[step.scale - 1].width, scales[step.scale - 1].height)} px` }] : []);
  const frameOf = i => nearest(frames.map(frame => frame.iteration), steps[i].iteration - 1);
  const stepOf = f => nearest(xs, frames[f].iteration + 1);

  const holder = h("div", { class: "frame" });
  const images = frames.map(frame => picture(frame.image, `The picture after ${frame.iteration} updates`));
  const label = h("p", { class: "readout", "aria-live": "polite" });
  const slider = h("input", {
    type: "range", min: 0, max: frames.length - 1, value: frames.length - 1, id: "frameslider",
    "aria-label": "Picture on the way", input: () => show(stepOf(Number(slider.value)), Number(slider.value)),
  });
  let playing = null;
  const play = h("button", { type: "button", click: () => playing ? stop() : begin() }, "Play");
  const stop = () => { clearInterval(playing); playing = null; play.textContent = "Play"; };
  const begin = () => {
    if (Number(slider.value) === frames.length - 1) show(stepOf(0), 0);
    play.textContent = "Stop";
    playing = setInterval(() => {
      const next = Number(slider.value) + 1;
      if (next >= frames.length) return stop();
      show(stepOf(next), next);
    }, 250);
  };
  byId("frame").append(holder, h("div", { class: "slider" }, slider, play), label);

  let [weighted, log, index] = [true, true, steps.length - 1];
  const KINDS = { content: "content", style: "style", tv: "tv", total: "total" };
  const value = (step, name) => weighted && name !== "total" ? weights(step)[name] * step[name] : step[name];
  const series = () => Object.keys(KINDS).map(name => ({
    name: weighted ? { content: "α · content", style: "β · style", tv: "γ · tv", total: "total" }[name] : name === "total" ? "total (weighted)" : name,
    kind: KINDS[name], values: steps.map(step => value(step, name)),
  }));
  const controls = h("div", { class: "controls" },
    choice("Losses", [["weighted", "weighted"], ["raw", "raw"]], "weighted", chosen => { weighted = chosen === "weighted"; chart.set({ series: series() }); }),
    choice("Scale", [["log", "logarithmic"], ["linear", "linear"]], "log", chosen => { log = chosen === "log"; chart.set({ log }); }));
  byId("losses").append(controls);
  const chart = new Chart(byId("losses"), {
    label: "Losses over the iterations", xs, series: series(), log, marks, xlabel: "iteration", ylabel: "loss",
    say: i => `Iteration ${steps[i].iteration}: ` + series().map(one => `${one.name} ${num(one.values[i])}`).join(", "),
    onmove: i => show(i, frameOf(i), false),
  });

  const sum = byId("sum");
  scrollable(sum, "The terms of the total");
  const tally = i => {
    const step = steps[i], w = weights(step);
    const row = (name, loss, weight, link, kind, inner = false) => [
      h("span", { class: inner ? "inner" : "" }, name), num(loss), num(weight), num(loss * weight),
      [bar(loss * weight / step.total, kind), " ", percent(loss * weight / step.total, 1)], link];
    const layers = goal.style_layers.map(({ layer, weight }, k) =>
      row(layer, step.layers[k], goal.style_weight * weight, trailOf(layer, styleFormula), styleKind(k), true));
    const rows = [row("content", step.content, w.content, trailOf("content", "content", goal.content_layers[0]?.layer), "content"),
      row("style", step.style, w.style, trailOf("style", styleFormula), "style"), ...layers,
      row("tv", step.tv, w.tv, trailOf("tv", "total_variation"), "tv")];
    rows.push(["total", "", "", num(step.total), "", trailOf("total", "backward")]);
    sum.replaceChildren(table(`Iteration ${step.iteration}, at ${scales[step.scale - 1].width} × ${scales[step.scale - 1].height} pixels. The layers' rows are parts of style's.`,
      ["term", ["loss", "n"], ["times", "n"], ["makes", "n"], "of the total", "follow it"], rows, { class: "sum" }));
  };

  const others = [];
  function show(i, f, move = true) {
    index = i;
    holder.replaceChildren(images[f]);
    slider.value = f;
    slider.setAttribute("aria-valuetext", `after ${frames[f].iteration} updates`);
    label.textContent = `After ${frames[f].iteration} updates, ${times(frames[f].image)} pixels`;
    tally(i);
    if (move) chart.move(i, false);
    others.forEach(other => other.move(i, false));
  }

  let layersWeighted = "raw";
  const layerSeries = () => goal.style_layers.map(({ layer, weight }, k) => ({
    name: layer, kind: styleKind(k), values: steps.map(step => step.layers[k] * (layersWeighted === "raw" ? 1 : weight)),
  }));
  byId("layerlosses").append(h("div", { class: "controls" }, choice("Losses", [["raw", "as they are"], ["weighted", "times w"]], "raw", chosen => {
    layersWeighted = chosen;
    layerChart.set({ series: layerSeries() });
  })));
  const layerChart = new Chart(byId("layerlosses"), {
    label: "Each style layer's loss over the iterations", xs, series: layerSeries(), log: true, marks, xlabel: "iteration", ylabel: "loss",
    say: i => `Iteration ${steps[i].iteration}: ` + layerSeries().map(one => `${one.name} ${num(one.values[i])}`).join(", "),
    onmove: i => show(i, frameOf(i)),
  });
  others.push(layerChart);
  show(index, frames.length - 1);

  scrollable(byId("losstable"), "Losses at some iterations");
  const listed = run.table.map(iteration => steps.find(step => step.iteration === iteration)).filter(Boolean);
  byId("losstable").append(table("Losses before the update of each iteration; “denoise” is the paper's word for tv.",
    [["iteration", "n"], ["size", "n"], ["content", "n"], ["style", "n"], ["denoise (tv)", "n"], ["total", "n"]],
    listed.map(step => [step.iteration, `${scales[step.scale - 1].width} × ${scales[step.scale - 1].height}`, num(step.content), num(step.style), num(step.tv), num(step.total)])));
}

function drawFeatures() {
  const { layers } = features;
  const compared = name => [goal.content_layers.some(l => l.layer === name) && "content", goal.style_layers.some(l => l.layer === name) && "style"].filter(Boolean);
  const preferred = layers.find(layer => layer.name === "relu3_1") ?? layers[Math.floor(layers.length / 2)];
  let layer = preferred, place = [0.5, 0.5];
  byId("layerchoice").append(choice("Layer", layers.map(({ name }) => [name, name]), layer.name, name => {
    layer = layers.find(layer => layer.name === name);
    draw();
  }));

  const photograph = picture(report.content, "The photograph, with the receptive field marked");
  const mark = h("button", { type: "button", class: "field", keydown: key });
  const stage = h("div", { class: "stage", pointerdown: drag, pointermove: event => event.buttons && drag(event) }, photograph, mark);
  const answers = h("div", { class: "answers" });
  const where = h("p", { class: "readout", "aria-live": "polite" });
  byId("probe").append(h("div", {}, stage, where), answers);

  function drag(event) {
    const box = photograph.getBoundingClientRect();
    set((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    event.preventDefault();
    mark.focus({ preventScroll: true });
  }
  function key(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const far = Math.max(layer.stride, 1) * (event.shiftKey ? 8 : 1);
    set(place[0] + far * step[0] / report.content.width, place[1] + far * step[1] / report.content.height);
  }
  const set = (x, y) => { place = [x, y].map(v => Math.min(0.9999, Math.max(0, v))); drawPlace(); };

  // The content picture's maps as numbers: 255 is each channel's largest answer.
  const pixels = new Map();
  function readable(layer) {
    if (!pixels.has(layer.name)) pixels.set(layer.name, decode(layer.maps.content.image).then(element => {
      const canvas = h("canvas", { width: element.naturalWidth, height: element.naturalHeight });
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(element, 0, 0);
      return context.getImageData(0, 0, canvas.width, canvas.height);
    }));
    return pixels.get(layer.name);
  }

  async function drawPlace() {
    const { content } = report, field = layer.receptive_field, [x, y] = place;
    const side = Math.max(field, 3);
    mark.style.cssText = `left:${100 * (x - side / 2 / content.width)}%;top:${100 * (y - side / 2 / content.height)}%;` +
      `width:${100 * side / content.width}%;height:${100 * side / content.height}%`;
    const [column, row] = [Math.floor(x * content.width), Math.floor(y * content.height)];
    mark.setAttribute("aria-label", `Receptive field around pixel ${column}, ${row}; arrow keys move it`);
    where.textContent = `${layer.name} at column ${Math.floor(x * layer.width)}, row ${Math.floor(y * layer.height)} of its map: ` +
      `${field} × ${field} pixels around (${column}, ${row})`;
    const shown = layer, data = await readable(layer);
    if (shown !== layer || place[0] !== x || place[1] !== y) return;
    const maps = layer.maps.content, [mx, my] = [Math.floor(x * maps.width), Math.floor(y * maps.height)];
    const value = c => data.data[4 * ((Math.floor(c / maps.columns) * maps.height + my) * data.width + c % maps.columns * maps.width + mx)];
    const best = [...layer.most.keys()].map(c => [c, value(c) / 255]).sort((a, b) => b[1] - a[1]).slice(0, 6).filter(([, v]) => v > 0);
    answers.replaceChildren(best.length
      ? table(`What ${layer.name} answers here`, ["channel", "", ["answer", "n"], "in the painting"], best.map(([c, v]) => [
        h("button", { type: "button", class: "plain", click: () => open(c) }, `${c}`), bar(v, "content"), num(v * layer.most[c], 3), patch(c, 0)]))
      : h("p", {}, "No channel answers here: every value is 0."));
  }
  const patch = (c, k) => layer.patches[c]?.[k]
    ? cut(report.style, layer.patches[c][k], `Piece of the painting that channel ${c} answers to with ${num(layer.patches[c][k].value, 3)}`, { class: "patch" }) : "–";

  const dialog = byId("channel");
  function open(c) {
    const side = ([who, what]) => h("figure", {}, sprite(layer.maps[who], c, `Map of channel ${c}: ${what}`), h("figcaption", {}, who));
    const step = by => {
      open((c + by + layer.channels) % layer.channels);
      dialog.querySelectorAll("button")[by < 0 ? 0 : 1].focus();
    };
    const patches = layer.patches[c] ?? [];
    dialog.replaceChildren(
      h("h2", { id: "channel-title", class: "plain" }, `${layer.name}, channel ${c}`),
      h("div", { class: "three" }, WHO.map(side)),
      h("p", { class: "ramp" }, "0 ", h("span", { "aria-hidden": "true" }), ` ${num(layer.most[c], 3)}, its largest answer in the three pictures`),
      h("h3", {}, "What excites it most in the painting"),
      patches.length ? h("div", { class: "patches" }, patches.map((p, k) => h("figure", {}, patch(c, k), h("figcaption", {}, num(p.value, 3)))))
        : h("p", {}, "Nothing: it is 0 all over the painting."),
      h("p", { class: "buttons" },
        h("button", { type: "button", click: () => step(-1) }, "Previous channel"),
        h("button", { type: "button", click: () => step(1) }, "Next channel"),
        h("button", { type: "button", "data-close": true, click: () => dialog.close() }, "Close")));
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
  }
  dialog.addEventListener("click", event => event.target === dialog && dialog.close());

  const all = byId("allmaps"), grid = all.lastElementChild;
  let whose = "result";
  function drawAll() {
    if (!all.open) return;
    grid.replaceChildren(
      choice("Picture", WHO.map(([who]) => [who, who]), whose, chosen => { whose = chosen; drawAll(); }),
      h("div", { class: "atlas" }, [...layer.most.keys()].map(c => h("button", { type: "button", title: `channel ${c}`, click: () => open(c) },
        sprite(layer.maps[whose], c, `Channel ${c}`)))));
    grid.querySelector("input:checked").focus({ preventScroll: true });
  }
  all.addEventListener("toggle", drawAll);

  function draw() {
    const { maps } = layer, looked = compared(layer.name);
    const field = layer.receptive_field;
    byId("layerfacts").replaceChildren(table(`The layer ${layer.name}${looked.length ? `, where ${looked.join(" and ")} is compared` : ""}`,
      ["map", ["channels N", "n"], ["pixels M", "n"], ["stride", "n"], ["receptive field", "n"], ["zeros: content", "n"], ["style", "n"], ["result", "n"]],
      [[`${layer.width} × ${layer.height}`, layer.channels, whole(layer.width * layer.height), `${layer.stride} px`, `${field} × ${field} px`,
        ...WHO.map(([who]) => percent(layer.zeros[who]))]]));
    const best = layer.strongest.slice(0, 8);
    byId("strongest").replaceChildren(h("table", { class: "maps" }, h("caption", {}, `The ${best.length} strongest of ${layer.channels} channels of ${layer.name}`),
      h("thead", {}, h("tr", {}, h("td"), best.map(c => h("th", { scope: "col" }, h("button", { type: "button", click: () => open(c) }, `${c}`))))),
      h("tbody", {}, WHO.map(([who]) => h("tr", {}, h("th", { scope: "row" }, who),
        best.map(c => h("td", {}, sprite(maps[who], c, `Channel ${c} of ${layer.name}, ${who}`))))),
        h("tr", {}, h("th", { scope: "row" }, "largest"), best.map(c => h("td", { class: "n" }, num(layer.most[c], 3)))))));
    all.firstElementChild.textContent = `All ${layer.channels} maps of ${layer.name}`;
    drawAll();
    drawPlace();
  }
  scrollable(byId("strongest"), "The strongest channels");
  scrollable(byId("layerfacts"), "The layer in numbers");
  draw();
}

function drawReconstructions() {
  const row = (id, list, alt) => byId(id).append(...list.map(({ layer, image, command }) => h("div", { class: "captioned" },
    picture(image, `${alt} ${layer}`), h("p", {}, h("b", {}, layer)), h("code", {}, words(command)))));
  row("recontent", reconstructions.content, "The photograph, found again from");
  row("restyle", reconstructions.style, "The painting's manner without its motif, from the layers up to");
}

// From nothing, pale, to most, dark; and from blue over white to red.
const sequential = share => share < 0.5 ? blend([255, 250, 240], [226, 132, 60], 2 * share) : blend([226, 132, 60], [60, 14, 8], 2 * share - 1);
const diverging = share => share < 0 ? blend([247, 245, 240], [24, 74, 150], -share) : blend([247, 245, 240], [170, 36, 20], share);
// Where a scale ends: a few entries that are much larger than all others are not to take it for themselves.
function extent(values) {
  const sizes = values.map(Math.abs).sort((a, b) => a - b);
  return sizes[Math.floor(0.995 * (sizes.length - 1))] || 1;
}
const blend = (a, b, t) => a.map((v, i) => Math.round(v + (b[i] - v) * Math.min(1, Math.max(0, t))));

function drawStatistic() {
  let layer = statistic.layers[0];
  byId("matrixchoice").append(choice("Layer", statistic.layers.map(({ layer }) => [layer, layer]), layer.layer, name => {
    layer = statistic.layers.find(one => one.layer === name);
    draw();
  }));
  const index = name => statistic.layers.findIndex(one => one.layer === name);

  function draw() {
    const { shown, style, start, end, channels, pair } = layer, n = shown.length;
    const all = [style, start, end].flat(), negative = smallest(all) < -0.02;
    const most = extent(all);
    const subtract = (a, b) => a.map((v, i) => v - b[i]);
    const off = [subtract(start, style), subtract(end, style)];
    const far = extent(off.flat());
    const one = v => negative ? diverging(v / most) : sequential(v / most), two = v => diverging(v / far);
    const readout = h("p", { class: "readout", "aria-live": "polite" });
    const boards = [];
    const point = (i, j) => {
      boards.forEach(board => board.style.cssText = `left:${100 * j / n}%;top:${100 * i / n}%;width:${100 / n}%;height:${100 / n}%`);
      const k = i * n + j;
      readout.replaceChildren(h("b", {}, `Channels ${shown[i]} and ${shown[j]}`), ...[["painting", style[k]], ["start", start[k]], ["end", end[k]],
        ["start − painting", off[0][k]], ["end − painting", off[1][k]]].map(([name, v]) => h("span", {}, h("span", {}, `${name} `), num(v, 3))));
      [here.i, here.j] = [i, j];
    };
    const heat = (name, values, colour, what) => {
      const canvas = h("canvas", { width: n, height: n, role: "img", "aria-label": `${what} at ${layer.layer}, ${n} × ${n} channels` });
      const context = canvas.getContext("2d"), pixels = context.createImageData(n, n);
      values.forEach((v, k) => pixels.data.set([...colour(v), 255], 4 * k));
      context.putImageData(pixels, 0, 0);
      const cursor = h("span", { class: "cell", "aria-hidden": "true" });
      boards.push(cursor);
      const move = event => {
        const box = canvas.getBoundingClientRect(), on = (v, side) => Math.min(n - 1, Math.max(0, Math.floor(n * v / side)));
        point(on(event.clientY - box.top, box.height), on(event.clientX - box.left, box.width));
      };
      const key = event => {
        const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
        if (!step) return;
        event.preventDefault();
        point(...[here.i + step[0], here.j + step[1]].map(v => Math.min(n - 1, Math.max(0, v))));
      };
      return h("div", { class: "heat" }, h("p", {}, name), h("div", {
        class: "board", tabindex: "0", role: "application", "aria-label": `${what}: arrow keys choose two channels`, pointermove: move, pointerdown: move, keydown: key,
      }, canvas, cursor));
    };
    const ramp = (colour, low, high, text) => h("div", { class: "scale" }, h("span", {}, `${low < 0 ? "≤ " : ""}${num(low, 2)}`), h("span", {
      class: "colours", "aria-hidden": "true",
      style: `background:linear-gradient(90deg,${[0, 0.25, 0.5, 0.75, 1].map(t => `rgb(${colour(low + t * (high - low))})`).join(",")})`,
    }), h("span", {}, `≥ ${num(high, 2)}`), h("span", {}, text));
    const here = { i: 0, j: Math.min(1, n - 1) };
    const rows = [
      h("div", { class: "three" }, heat("painting", style, one, "The painting's matrix"), heat("start", start, one, "The picture's at the start"), heat("end", end, one, "The result's")),
      ramp(one, negative ? -most : 0, most, "entry"),
      h("div", { class: "three" }, h("div", { class: "blank" }, readout), heat("start − painting", off[0], two, "Difference at the start"), heat("end − painting", off[1], two, "Difference at the end")),
      ramp(two, -far, far, "difference"),
    ];
    byId("matrices").replaceChildren(...rows);
    const where = shown.indexOf(pair.channels[0]), other = shown.indexOf(pair.channels[1]);
    point(Math.max(0, where), other < 0 ? here.j : other);
    byId("matrixcaption").textContent = `The ${n} strongest of ${channels} channels of ${layer.layer}, so ordered that neighbours answer together. ` +
      `Entries are ${statistic.of === "covariance" ? "covariances, without the means," : "G / M"} in parts of √(AᵢᵢAⱼⱼ), A being the painting's, so that the painting's own diagonal is 1: ` +
      `its entries are ${statistic.of === "covariance" ? "correlations" : "cosines"}. At the ends of the scales are all entries beyond them, one in two hundred. Point at an entry, or move with the arrow keys.`;
    byId("pairtext").textContent = `In the painting, at ${layer.layer}, channels ${pair.channels[0]} and ${pair.channels[1]} agree most: their entry is ${num(pair.agreement, 3)}. ` +
      "Where both answer can be seen, and what they answer to is in the pieces of the painting.";
    const patches = c => {
      const seen = features?.layers.find(one => one.name === layer.layer);
      const list = seen?.patches[c]?.slice(0, 4) ?? [];
      return list.length ? h("div", { class: "captioned" }, h("div", { class: "patches" }, list.map(p =>
        cut(report.style, p, `Piece of the painting that channel ${c} answers to`, { class: "patch" }))), h("p", {}, `What channel ${c} answers to most in the painting`)) : null;
    };
    byId("pair").replaceChildren(...WHO.map(([who, what]) => captioned(pair.places[who],
      `Where channels ${pair.channels[0]} and ${pair.channels[1]} are both active in ${what}`, who)), ...pair.channels.map(patches).filter(Boolean));
    if (run) {
      const k = goal.style_layers.findIndex(one => one.layer === layer.layer);
      const series = [{ name: layer.layer, kind: styleKind(Math.max(0, k)), values: run.steps.map(step => step.layers[Math.max(0, k)]) }];
      if (chart) chart.set({ series, label: `Distance at ${layer.layer} over the iterations` });
      else chart = new Chart(byId("distance"), {
        label: `Distance at ${layer.layer} over the iterations`, xs: run.steps.map(step => step.iteration), series, log: true, height: 200,
        xlabel: "iteration", ylabel: "distance", say: i => `Iteration ${run.steps[i].iteration}: ${num(chart ? chart.series[0].values[i] : series[0].values[i])}`,
      });
    }
  }
  let chart = null;
  draw();
}

function drawGradient() {
  const { moments } = gradient;
  let moment = moments[moments.length - 1];
  const name = k => moments.length === 2 ? ["beginning", "end"][k] : `after ${moments[k].iteration} updates`;
  byId("momentchoice").append(choice("Moment of the last scale", moments.map((_, k) => [String(k), name(k)]), String(moments.length - 1), k => { moment = moments[Number(k)]; draw(); }));
  scrollable(byId("cosines"), "Cosines of the terms' gradients");
  const kind = name => ({ content: "content", style: "style", tv: "tv", total: "total" })[name] ?? styleKind(goal.style_layers.findIndex(one => one.layer === name));

  function draw() {
    const { terms, cosines, iteration, image } = moment, n = terms.length;
    const find = name => terms.findIndex(term => term.name === name);
    const cos = (a, b) => cosines[find(a) * n + find(b)];
    const most = largest(terms.map(term => term.norm));
    byId("forces").replaceChildren(
      h("div", { class: "forces" },
        h("div", { class: "force" }, h("h4", {}, "the picture"), picture(image, `The picture after ${iteration} updates`), h("p", {}, `after ${iteration} updates`)),
        terms.map(term => h("div", { class: "force", id: `term-${term.name}`, tabindex: "-1" },
          h("h4", {}, term.name),
          picture(term.image, `Where ${term.name} would move each colour`),
          picture(term.size, `How long the gradient of ${term.name} is at each pixel`),
          bar(term.norm / most, kind(term.name)),
          h("p", {}, `‖·‖ ${num(term.norm, 3)}`, h("br"), `loss ${num(term.loss, 3)}`, h("br"), `most ${num(term.most, 2)}`),
          trailOf(term.name, { content: "content", tv: "total_variation", total: "backward" }[term.name] ?? styleFormula, term.name, false)))));
    byId("cosines").replaceChildren(table(`Cosines after ${iteration} updates`, ["", ...terms.map(term => [term.name, "n"])],
      terms.map((term, i) => [term.name, ...terms.map((other, j) => h("span", {
        class: "cosine", style: `--share:${Math.round(48 * Math.abs(cosines[i * n + j] ?? 0))}%;--tone:var(--${(cosines[i * n + j] ?? 0) < 0 ? "content" : "style"})`,
      }, cosine(cosines[i * n + j])))]), { class: "cosines" }));

    // Along the total's gradient: ⟨g, t⟩ / ‖t‖², which adds up to 1 over the terms.
    const total = terms[find("total")], parts = ["content", "style", "tv"].filter(name => find(name) >= 0 && terms[find(name)].norm > 0);
    const share = name => cos(name, "total") * terms[find(name)].norm / total.norm;
    const sentences = [];
    if (total && total.norm > 0) {
      const told = parts.map(name => [name, share(name)]).sort((a, b) => b[1] - a[1]);
      sentences.push(`After ${iteration} updates, of the way that the total goes downhill, ` +
        told.map(([name, v]) => `${name} is ${percent(v)}`).join(", ") + " (these add up to 100 %; below 0 a term is pulled against its will).");
    }
    for (const [a, b] of [["content", "style"], ["content", "tv"], ["style", "tv"]]) if (parts.includes(a) && parts.includes(b)) {
      const c = cos(a, b);
      sentences.push(c < -0.1 ? `${a} and ${b} pull against each other: cosine ${cosine(c)}.` : c > 0.1 ? `${a} and ${b} want much the same: cosine ${cosine(c)}.`
        : `${a} and ${b} hardly know of each other: cosine ${cosine(c)}.`);
    }
    const layers = goal.style_layers.map(one => one.layer).filter(name => find(name) >= 0);
    if (layers.length > 1) {
      const strongest = layers.reduce((a, b) => terms[find(b)].norm > terms[find(a)].norm ? b : a);
      sentences.push(`Of the style layers ${strongest} pulls most, with a norm of ${num(terms[find(strongest)].norm, 3)}.`);
    }
    byId("pulls").textContent = sentences.map(text => text[0].toUpperCase() + text.slice(1)).join(" ");
  }
  draw();
}
