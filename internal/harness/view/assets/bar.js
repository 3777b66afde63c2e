// bar.js: the failure at the top, the filters and the buttons.

/** buildFailure says how each run failed. */
function buildFailure(app) {
  const box = document.getElementById("failure");
  box.replaceChildren();
  for (const run of app.model.runs) {
    const f = run.failure;
    const which = app.model.compares ? `Run ${"AB"[run.index]}, seed ${run.seed}: ` : "";
    if (!f) {
      const what = app.model.compares ? `no failure, ${run.steps.length} events in ${seconds(run.end - run.shift)}` : `Seed ${run.seed}, ${run.steps.length} events, ${seconds(run.end - run.shift)}`;
      box.append(make("section", { class: "passed" }, make("h2", {}, which + what)));
      continue;
    }
    const lines = [
      ["rule", f.rule], ["seen", ...(f.seen || [])], ["faults", f.faults || `${run.faults.length} in this run`],
      ["replay", f.replay], ["play", f.play], ["note", ...(f.notes || [])],
    ];
    const say = (text) => withMoments(app, run, printable(text));
    const dl = make("dl", {});
    for (const [name, ...values] of lines) {
      if (!values.filter(Boolean).length) continue;
      const shown = values.filter(Boolean).map((v) => make("div", {}, ...say(v)));
      if (name === "replay" || name === "play") shown[0].append(copyButton(app, f[name]));
      dl.append(make("dt", {}, name), make("dd", {}, ...shown));
    }
    if (run.faults.length) {
      dl.append(make("dt", {}, ""), make("dd", {}, make("details", {}, make("summary", {}, `all ${run.faults.length} faults`),
        make("ol", {}, ...run.faults.slice(0, 200).map((line) => make("li", {}, ...say(line)))))));
    }
    if (f.history) {
      const file = printable(f.history.split("/").pop());
      dl.append(make("dt", {}, "history"), make("dd", {}, make("a", { href: encodeURIComponent(f.history.split("/").pop()) }, file), " shows what the clients saw"));
    }
    const where = f.where ? make("span", { class: "where" }, printable(f.where)) : null;
    box.append(make("section", { class: "failed" }, make("h2", {}, "✗ ", which, ...say(f.what)), where, dl));
  }
}

/** copyButton puts a text into the clipboard, and says so. */
function copyButton(app, text) {
  const button = make("button", { type: "button", class: "copy", title: "copy the command" }, "copy");
  button.addEventListener("click", async () => {
    let done = true;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      done = copyBySelection(text);
    }
    button.textContent = done ? "copied" : "select it and press Ctrl+C";
    app.status.textContent = done ? "the command was copied" : "the browser does not let a page copy";
    setTimeout(() => { button.textContent = "copy"; }, 2000);
  });
  return button;
}

/** copyBySelection copies in browsers that give a page no clipboard. */
function copyBySelection(text) {
  const field = make("textarea", { class: "hidden" });
  field.value = text;
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done;
}

/** withMoments makes every point in time in a text (at 1.204s, from 3.1s; not: within 5s) a button that leads there. */
function withMoments(app, run, text) {
  const parts = [];
  let from = 0;
  for (const m of text.matchAll(/(?<=\b(?:at|from|to|since|until) )(?:(\d+\.\d+)s|(\d+(?:\.\d+)?)ms)\b/g)) {
    const before = text.slice(0, m.index), node = /.*\bn(\d+)\b/s.exec(before);
    const step = stepNear(run, m[1] || m[2], m[1] ? 1e9 : 1e6, node ? Number(node[1]) : 0);
    if (!step) continue;
    parts.push(text.slice(from, m.index), make("button", {
      type: "button", class: "moment", title: "show this moment: " + sentence(step), onclick: () => app.select(step, { cone: Boolean(app.cone) }),
    }, m[0]));
    from = m.index + m[0].length;
  }
  return [...parts, text.slice(from)];
}

/** stepNear is the step that a text means by a time of so many nanoseconds a unit: one that has just these digits, of that node if it has one; or null. */
function stepNear(run, digits, second, node) {
  const unit = second / 10 ** (digits.split(".")[1] || "").length, at = Number(digits) * second;
  // A time may have been rounded up, down, or to the nearest.
  const { steps } = run, first = lastIndex(steps, (s) => s.clock <= at - unit) + 1;
  const close = steps.slice(first, lastIndex(steps, (s) => s.clock < at + unit) + 1).filter((s) => !s.ends);
  const rank = (s) => (s.node === node ? 0 : s.from === node || s.to === node ? 2 : 4) + (s.kind === "noted" && s.old !== s.value ? 0 : 1);
  return close.reduce((best, s) => (best && rank(best) <= rank(s) ? best : s), null);
}

/** toggleButton is a button that adds a value to one of the filter's sets, or takes it out. */
function toggleButton(app, set, value, label, title, extra = "") {
  const button = make("button", { type: "button", class: "toggle" + extra, title, "data-value": String(value) }, label);
  button.addEventListener("click", () => {
    if (set.has(value)) set.delete(value);
    else set.add(value);
    app.refilter();
  });
  app.toggles.push(() => button.setAttribute("aria-pressed", String(set === app.filter.nodes ? set.has(value) : !set.has(value))));
  return button;
}

/** buildBar makes the filters. */
function buildBar(app) {
  const { filter, model } = app;
  const nodes = Math.max(...model.runs.map((r) => r.nodes), 0);
  document.getElementById("nodes").append(...Array.from({ length: nodes }, (_, k) =>
    toggleButton(app, filter.nodes, k + 1, "n" + (k + 1), "only what touches the chosen nodes", " node")));
  document.getElementById("groups").append(...GROUPS.map(([key, label]) => toggleButton(app, filter.off, key, label, "show or hide")));
  document.getElementById("methods").append(...model.methods.map((m, k) => toggleButton(app, filter.methodsOff, m, printable(m), "show or hide these messages", " m" + (k % 8))));
  const fold = document.getElementById("fold");
  fold.addEventListener("click", () => toggleFold(app));
  app.toggles.push(() => fold.setAttribute("aria-pressed", String(filter.fold)));
  const text = document.getElementById("text");
  let timer = 0;
  text.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      filter.text = text.value;
      app.refilter();
    }, 120);
  });
  text.addEventListener("keydown", (event) => {
    if (event.key === "Escape" || event.key === "Enter") app.list.focus();
  });
  app.toggles.push(() => { if (document.activeElement !== text) text.value = filter.text; });
  app.toggles.push(() => document.getElementById("scale").setAttribute("aria-pressed", String(app.scale === "time")));
  for (const [id, action] of [["scale", "t"], ["in", "+"], ["out", "-"], ["broke", "v"], ["help-button", "?"]]) {
    document.getElementById(id).addEventListener("click", () => press(app, action));
  }
  document.getElementById("broke").hidden = !model.runs.some((r) => r.broke !== null) && !model.difference;
  buildLegend(app);
}

/** methodLabel explains the initials where the diagram uses them. */
function methodLabel(app, m) {
  const name = printable(m), short = initials(name);
  return app.laneWidth < NARROW && short !== name ? `${name} (${short})` : name;
}

function toggleFold(app) {
  app.filter.fold = !app.filter.fold;
  app.filter.opened.clear();
  app.refilter();
}

/** buildLegend names the roles' colours. */
function buildLegend(app) {
  const legend = document.getElementById("legend"), said = new Set();
  legend.replaceChildren();
  for (const { role } of app.model.runs) {
    if (!role) continue;
    for (const [value, k] of role.colours) {
      if (said.has(value)) continue;
      said.add(value);
      legend.append(make("span", { class: "key" }, make("i", { class: "swatch r" + k }), printable(value)));
    }
  }
}
