// Drives every control of a page that `impasto explain` made, and writes what it found as JSON into a `pre` of the id
// `verdict`, at the end: { "passed": true, "checks": 600, "failures": [], "errors": [] }.
//
// To be put into a copy of the page, as a script before the end of its body. So that errors of the page's own script are
// seen, this comes first, as a script at the beginning of its head:
//
//   window.seen = [];
//   addEventListener("error", event => seen.push(String(event.message || event.target?.src || event.type)), true);
//   addEventListener("unhandledrejection", event => seen.push(String(event.reason)));
//   addEventListener("securitypolicyviolation", event => seen.push(`blocked: ${event.blockedURI}`));
//   { const old = console.error; console.error = (...told) => { seen.push(told.join(" ")); old(...told); }; }
//
// Then: chromium --headless --virtual-time-budget=60000 --dump-dom file:///copy.html
"use strict";
{
  const failures = [];
  let checks = 0;
  const expect = (holds, what) => {
    checks += 1;
    if (!holds) failures.push(what);
  };
  const all = selector => [...document.querySelectorAll(selector)];
  const one = selector => document.querySelector(selector);
  const settle = (ms = 60) => new Promise(done => setTimeout(done, ms));
  const key = (element, name) => element.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
  const point = (element, kind, x, y) => {
    const box = element.getBoundingClientRect();
    element.dispatchEvent(new PointerEvent(kind, { clientX: box.left + x * box.width, clientY: box.top + y * box.height, buttons: 1, bubbles: true, cancelable: true }));
  };
  // Something of the box is another after the deed.
  const changes = async (box, what, deed) => {
    const before = box.innerHTML;
    await deed();
    await settle();
    expect(box.innerHTML !== before, what);
  };

  const drive = async () => {
    await settle(300);
    const figures = all("main > section");
    expect(figures.length > 0, "there are sections");
    expect(figures.every(section => section.querySelector("h2")?.textContent.trim()), "every section has a heading");
    expect(all("nav li a").length === figures.length, "the contents name every section");
    expect(all("math").length > 10 && !one("merror"), "formulas are MathML");
    for (const element of all("[data-fill]")) expect(element.textContent.trim(), `nothing is said of ${element.dataset.fill}`);
    let level = 0;
    for (const heading of all("main h1, main h2, main h3, main h4")) {
      const next = Number(heading.tagName[1]);
      expect(next <= level + 1, `heading "${heading.textContent}" leaves a level out`);
      level = next;
    }

    for (const fieldset of all("fieldset.choice")) {
      const name = fieldset.querySelector("legend").textContent, section = fieldset.closest("section");
      const radios = [...fieldset.querySelectorAll("input")];
      for (const radio of [...radios.slice(1), radios[0]].filter(radio => !radio.checked && radio.isConnected)) {
        // The last scale may have one moment, the run one layer.
        await changes(section, `${section.id}: ${name} ${radio.value} changes something`, async () => radio.click());
        if (!radio.isConnected) break;
      }
    }
    for (const box of all("label.tick input")) await changes(box.closest("section"), "a tick changes something", async () => { box.click(); });

    for (const plot of all(".plot")) {
      const name = plot.getAttribute("aria-label"), readout = plot.parentElement.querySelector(".readout");
      if (Number(plot.getAttribute("aria-valuemax")) < 1) continue;
      key(plot, "Home");
      await changes(readout, `${name}: End`, async () => key(plot, "End"));
      await changes(readout, `${name}: ArrowLeft`, async () => key(plot, "ArrowLeft"));
      point(plot, "pointermove", 0.98, 0.5);
      await changes(readout, `${name}: the pointer`, async () => point(plot, "pointermove", 0.15, 0.5));
      expect(plot.querySelector("path.line, polygon.area"), `${name} has a line`);
      expect(!/NaN|Infinity|undefined/.test(plot.innerHTML), `${name} is drawn of numbers`);
      const numbers = plot.parentElement.querySelector("details.numbers");
      numbers.open = true;
      await settle();
      expect(numbers.querySelectorAll("tbody tr").length > 0, `${name} has its numbers as a table`);
      numbers.open = false;
    }

    const slider = one("#frameslider");
    if (slider) {
      const move = async value => {
        slider.value = value;
        slider.dispatchEvent(new Event("input", { bubbles: true }));
        await settle();
      };
      await move(slider.max);
      const shown = one("#frame img").src, said = one("#frame .readout").textContent, sum = one("#sum").textContent, value = one("#losses .plot").getAttribute("aria-valuenow");
      await move(0);
      if (slider.max > 0) {
        expect(one("#frame img").src !== shown, "the slider changes the picture");
        expect(one("#frame .readout").textContent !== said, "the slider changes the readout");
        expect(one("#sum").textContent !== sum, "the slider changes the sum");
        expect(one("#losses .plot").getAttribute("aria-valuenow") !== value, "the slider moves the chart");
        key(one("#losses .plot"), "End");
        await settle();
        expect(one("#frame img").src === shown, "the chart changes the picture back");
      }
    }

    const dialog = one("#channel");
    if (one("#features")) {
      const field = one(".field");
      await changes(one("#probe"), "arrow keys move the receptive field", async () => key(field, "ArrowRight"));
      await changes(one("#probe"), "the pointer moves the receptive field", async () => point(one(".stage"), "pointerdown", 0.2, 0.3));
      one("#allmaps").open = true;
      await settle(200);
      const maps = all(".atlas button");
      expect(maps.length > 0 && one("#allmaps > summary").textContent.includes(String(maps.length)), "all maps are there");
      maps[0].focus();
      maps[0].click();
      await settle(200);
      expect(dialog.open, "a map opens");
      expect(dialog.querySelectorAll("canvas").length >= 3, "a map is shown of three pictures");
      await changes(dialog, "the next channel", async () => [...dialog.querySelectorAll("button")].find(button => button.textContent.startsWith("Next")).click());
      // A script's Escape is not the user's: the browser asks the dialog to cancel, and closes it unless it refuses.
      const asked = new Event("cancel", { cancelable: true });
      if (dialog.dispatchEvent(asked)) dialog.close();
      await settle();
      expect(!dialog.open, "Escape closes it");
      one("#strongest button").click();
      await settle();
      dialog.querySelector("[data-close]").click();
      expect(!dialog.open, "its button closes it");
      one("#allmaps").open = false;
    }

    for (const board of all(".board").slice(0, 1)) {
      const readout = one("#matrices .readout");
      point(board, "pointermove", 0.01, 0.01);
      await changes(readout, "pointing at an entry", async () => point(board, "pointermove", 0.99, 0.6));
      await changes(readout, "arrow keys choose an entry", async () => key(board, "ArrowLeft"));
    }
    const rows = all("#nodes tbody tr");
    if (rows.length > 1) {
      rows[0].focus();
      await changes(one("#nodereadout"), "the tape is walked along", async () => key(rows[0], "ArrowDown"));
      expect(one("#nodes tr.here") === rows[1], "the next row is marked");
    }
    await changes(document.body, "the theme's button", async () => one("#theme").click());
    expect(document.documentElement.dataset.theme, "there is a theme");
    one("#theme").click();
    all("details:not(.numbers):not(#allmaps)").forEach(details => details.open = true);
    await settle(200);

    for (const image of all("img")) {
      expect(image.alt.trim(), `a picture without alt in ${image.closest("section")?.id}`);
      expect(image.complete && image.naturalWidth > 0, `a picture has not loaded: ${image.alt}`);
    }
    for (const canvas of all("canvas")) expect(canvas.getAttribute("aria-label"), "a canvas without a label");
    for (const control of all("button, input")) {
      const named = control.textContent.trim() || control.getAttribute("aria-label") || control.closest("label")?.textContent.trim() || control.querySelector("[aria-label]");
      expect(named, `a control without a name in ${control.closest("section")?.id}`);
    }
    for (const table of all("table")) expect(table.caption && table.querySelector("th"), "a table without caption or headers");
    for (const link of all("a[href]")) {
      const to = link.getAttribute("href");
      expect(to.startsWith("#") && (to === "#" || document.getElementById(to.slice(1))), `a link to ${to}`);
    }
    const ids = all("[id]").map(element => element.id);
    ids.forEach((id, i) => expect(ids.indexOf(id) === i, `the id ${id} twice`));
    for (const entry of performance.getEntriesByType("resource")) expect(entry.name.startsWith("data:"), `a request: ${entry.name.slice(0, 100)}`);

    const width = document.documentElement.clientWidth;
    expect(document.documentElement.scrollWidth <= width, `the page is ${document.documentElement.scrollWidth} wide, the window ${width}`);
    const inside = element => element.closest(".scroll, math, pre, .skip, .hidden, .stage, .atlas, svg, dialog");
    for (const element of all("main *, header *, footer *")) {
      if (inside(element)) continue;
      const box = element.getBoundingClientRect();
      if (box.width > 0) expect(box.right <= width + 1 && box.left >= -1, `${element.tagName}.${element.className} reaches from ${box.left} to ${box.right}`);
    }
    const empty = all("main h2, main h3, main h4").filter(heading => !heading.nextElementSibling);
    empty.forEach(heading => expect(false, `nothing follows "${heading.textContent}"`));
    // Source may speak of such things.
    const words = all("pre, code").reduce((text, source) => text.replaceAll(source.innerText, ""), document.body.innerText);
    for (const bad of ["undefined", "NaN", "[object"]) expect(!words.includes(bad), `the page says ${bad}`);
  };

  addEventListener("load", async () => {
    try {
      await drive();
    } catch (error) {
      failures.push(`the check itself: ${error.stack ?? error}`);
    }
    const errors = window.seen ?? ["no collector of errors in <head>"];
    const verdict = document.createElement("pre");
    verdict.id = "verdict";
    verdict.textContent = JSON.stringify({ passed: failures.length === 0 && errors.length === 0, checks, failures, errors }, null, 1);
    document.body.append(verdict);
  });
}
