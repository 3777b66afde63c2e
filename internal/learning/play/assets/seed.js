// seed.js: one run of a test, and its variants: a tree, in which each variant has one change more than its parent.

const RUN_ANSWER = 90000; // milliseconds that a whole run may take

/** whatIfOf writes the changes on the way to a variant as LABS_WHATIF has them. */
function whatIfOf(variant) {
  return pathTo(variant).map((v) => v.token).join(",");
}

function say(game, text) {
  byID("status").textContent = text;
}

/** modelOf is what the run's page shows of a variant. */
function modelOf(game, variant) {
  const { config } = game, { run } = variant, { failure, broke } = run, batch = run.new;
  return readModel({
    title: config.title, difference: null,
    runs: [{
      test: config.test, module: config.module, seed: String(game.seed), nodes: game.about.nodes, steps: batch.count, broke: failure ? broke : null,
      failure: failure || null, key: -1, faults: [], strings: batch.strings, columns: withZeroes(batch), snips: {},
    }],
  });
}

/** withZeroes adds the columns that are left out because they are zero. */
function withZeroes(batch) {
  const zero = new Array(batch.count).fill(0);
  return Object.fromEntries([...NUMBERS, ...TEXTS, "turn"].map((name) => [name, batch.columns[name] || zero]));
}

const COMPARED = ["kind", "clock", "node", "inc", "msg", "copy", "from", "to", "method", "body", "reason", "name", "value"];

/** firstDifference is the first step of a run that the other does not have; null if it has them all. */
function firstDifference(one, other) {
  for (let n = 0; n < one.length; n++) {
    const a = one[n], b = other[n];
    if (!b || COMPARED.some((name) => a[name] !== b[name])) return a;
  }
  return null;
}

/** runVariant runs a variant, and says how it went. */
async function runVariant(game, variant) {
  game.busy = true;
  byID("verdict").setAttribute("aria-busy", "true");
  try {
    const reply = await ask(game.engine, { do: "run", seed: game.seed, whatIf: whatIfOf(variant) });
    if (reply.error) throw Object.assign(new Error(reply.error), { refused: true });
    variant.run = reply.run;
    variant.replay = reply.replay;
  } catch (error) {
    if (error.refused || !variant.parent) throw error;
    const failure = { ...await explained(game.engine, error), replay: "" };
    variant.run = { ...variant.parent.run, failure, broke: 0, verdict: "fails otherwise", idle: [] };
    variant.replay = "";
  } finally {
    game.busy = false;
    byID("verdict").removeAttribute("aria-busy");
  }
  variant.model = modelOf(game, variant);
  variant.differs = variant.parent ? firstDifference(variant.model.runs[0].steps, variant.parent.model.runs[0].steps) : null;
}

/** change makes the run again with one change more. It reports whether it was made. */
async function change(game, token) {
  if (game.busy) return false;
  const known = game.at.children.find((c) => c.token === token);
  if (known) {
    game.at.latest = known;
    showVariant(game, known);
    return true;
  }
  const variant = newStep(game.at, token, sayChange(game.at.model.runs[0].steps, token));
  say(game, "running: " + variant.says);
  try {
    await runVariant(game, variant);
  } catch (error) {
    say(game, error.message);
    return false;
  }
  showVariant(game, addStep(variant));
  return true;
}

/** showVariant draws a variant, at the first event that differs. */
function showVariant(game, variant, select = variant.differs) {
  const { app } = game;
  game.at = variant;
  const methods = app.model.methods.join("\n");
  app.model = variant.model;
  app.selected = app.cone = app.hover = null;
  app.headsKey = "";
  if (methods !== app.model.methods.join("\n")) drawMethods(app);
  app.laneWidth = (app.width - GUTTER - opsRoom(app)) / Math.max(1, app.model.lanes.length);
  nameDiagram(app);
  buildFailure(app);
  buildLegend(app);
  app.filter.opened.clear();
  app.refilter();
  app.select(select || app.keyStep());
  drawVerdict(game);
  drawOffers(game);
  drawKeep(game);
  writePlace(game);
  say(game, told(variant));
}

function drawMethods(app) {
  byID("methods").replaceChildren(...app.model.methods.map((m, k) =>
    toggleButton(app, app.filter.methodsOff, m, printable(m), "show or hide these messages", " m" + (k % 8))));
}

/** verdictOf says how a variant ends. */
function verdictOf(variant) {
  const { verdict, failure } = variant.run, what = failure ? ": " + printable(failure.what) : "";
  switch (verdict) {
    case "passes": return "✓ the test passes with this seed";
    case "passes now": return "✓ now the test passes";
    case "fails now": return "✗ now the test fails" + what;
    case "still fails": return "✗ it still fails in the same way" + what;
    case "fails otherwise": return "✗ it fails in another way" + what;
  }
  return "✗ the test fails with this seed" + what;
}

function told(variant) {
  const parts = [variant.parent ? variant.says : "the run of the seed", verdictOf(variant)];
  if (variant.parent && !variant.differs) parts.push("no event differs");
  return parts.join("; ");
}

function drawVerdict(game) {
  const { at } = game, says = byID("says"), good = at.run.verdict.startsWith("passes");
  says.className = good ? "good" : "bad";
  says.textContent = verdictOf(at);
  if (at.parent && (!at.differs || (at.run.idle || []).length)) {
    says.append(make("small", {}, " " + (at.differs ? `Nothing came of ${at.run.idle.join(", ")}.` : "No event differs: the change came to nothing, or after the end.")));
  }
  const ways = [
    at.parent ? button(["Take it back ", make("kbd", {}, "b")], "the run without the last change", () => back(game), { id: "back" }) : null,
    at.differs ? button(["First difference ", make("kbd", {}, "g")], "the first event that the run without the last change does not have", () => game.app.select(at.differs), { id: "differs" }) : null,
  ].filter(Boolean);
  byID("ways").replaceChildren(...ways);
  const items = [];
  const list = (v) => {
    items.push([[v.id, v === at], () => make("li", { class: "depth" + Math.min(v.depth, 6) },
      button(`${v.parent ? v.says : "the run of seed " + game.seed}: ${v.run.verdict}`, "show this run", () => showVariant(game, v), { "aria-current": v === at ? "step" : null }))]);
    v.children.forEach(list);
  };
  list(game.root);
  keep(game, byID("history"), items);
}

function back(game) {
  if (game.busy || !game.at.parent) return;
  const { parent, token } = game.at;
  const number = /^[xaut]/.test(token) ? parseInt(token.slice(1), 10) : 0;
  showVariant(game, parent, number ? parent.model.runs[0].steps.find((s) => s.msg === number) : null);
}

/** drawOffers shows what could have been different at the selected event. */
function drawOffers(game) {
  const s = game.app.selected;
  game.offered = s ? changesAt(game, s) : [];
  byID("chosen").textContent = s ? `${seconds(s.clock)} ${sentence({ ...s, body: "" })}` : "Select an event: in the diagram, or with ↓ and ↑.";
  keep(game, byID("offers"), game.offered.map((c, k) => [[c.token, k], () => make("li", {}, button([c.label + " ", k < 9 ? make("kbd", {}, String(k + 1)) : ""], c.title,
    () => change(game, c.token), { "aria-label": c.label }))]));
  byID("machines-box").hidden = !s;
  const rows = [];
  for (let n = 1; s && n <= game.about.nodes; n++) {
    const moves = machineChanges(game, n, s);
    rows.push([[n, JSON.stringify(moves)], () => make("tr", {}, make("th", { scope: "row" }, "n" + n),
      make("td", {}, ...moves.map((c) => button(c.label, c.title, () => change(game, c.token), { "aria-label": `n${n}: ${c.label}` }))))]);
  }
  keep(game, byID("machines").tBodies[0], rows);
}

/** commandOfRun is the command that makes this run in go test. */
function commandOfRun(game) {
  const what = whatIfOf(game.at);
  return `LABS_SEED=${game.seed} ${what ? `LABS_WHATIF=${what} ` : ""}go test -race -run '${game.config.test}$' ${game.config.module}`;
}

function drawKeep(game) {
  const box = byID("share");
  if (!box.firstChild) {
    box.className = "share";
    box.append(make("code", {}), button("Copy the command", "for go test", () => copyText(game, commandOfRun(game))),
      button("Copy the link", "to this run", () => copyText(game, location.href)), button("Download the record", "the events, for grade trace", () => keepRecord(game)));
  }
  box.querySelector("code").textContent = commandOfRun(game);
}

/** keepRecord downloads the record of the run that is shown. */
async function keepRecord(game) {
  await ask(game.engine, { do: "run", seed: game.seed, whatIf: whatIfOf(game.at) });
  const { record } = await ask(game.engine, { do: "record" });
  game.record = record;
  const link = make("a", { href: URL.createObjectURL(new Blob([record], { type: "application/jsonl" })), download: `${game.config.test}-${game.seed}.jsonl` });
  link.click();
  URL.revokeObjectURL(link.href);
}

/* The address. */

function writePlace(game) {
  const p = [];
  if (game.seed !== game.config.seed) p.push("seed=" + game.seed);
  if (game.at.parent) p.push("w=" + whatIfOf(game.at)); // as it is: nothing in it needs to be encoded
  game.wrote = p.length ? "#" + p.join("&") : location.pathname;
  history.replaceState(null, "", game.wrote);
}

function readPlace(config) {
  const part = (name) => (new RegExp(`(?:^#|&)${name}=([^&]*)`).exec(location.hash) || [null, ""])[1];
  const seed = part("seed");
  return { seed: /^\d{1,16}$/.test(seed) ? Number(seed) : config.seed, whatIf: decodeURIComponent(part("w")) };
}

/** changesOf splits a list of interventions into changes: cuts, or heals, of one instant are one change. */
function changesOf(whatIf) {
  const out = [], kind = (token) => (/^[lh]/.test(token) ? token[0] + token.split("@")[1] : "");
  for (const token of whatIf ? whatIf.split(",") : []) {
    const last = out[out.length - 1];
    if (last && kind(token) && kind(last.split(",")[0]) === kind(token)) out[out.length - 1] += "," + token;
    else out.push(token);
  }
  return out;
}

/** openRun runs a seed, then each change after the other. A change that cannot be made ends it. */
async function openRun(game, seed, whatIf) {
  game.seed = seed;
  game.root = newStep(null, "", "the run of the seed");
  await runVariant(game, game.root);
  let at = game.root, why = "";
  for (const token of changesOf(whatIf)) {
    const next = newStep(at, token, sayChange(at.model.runs[0].steps, token));
    try {
      await runVariant(game, next);
    } catch (error) {
      why = error.message;
      break;
    }
    at = addStep(next);
  }
  game.at = at;
  if (!game.app) begin(game);
  showVariant(game, at);
  if (why) say(game, why);
}

/* Keys. */

const SEED_KEYS = [
  ["↓ ↑, j k", "next, previous event"], ["→ ←", "along the message: to its delivery, back to its send"], ["1 … 9", "make the change with that number at the selected event"],
  ["b", "take the last change back"], ["g", "the first event that differs"], ["v", "the key moment"], ["f F", "next, previous fault"], ["n N", "next, previous event at the same node"],
  ["c, Enter", "light up the past and the future of the event"], ["+ −, t", "zoom; true time"], ["h, o", "fold routine; open the next fold"], ["/", "filter the events by text"], ["?", "this help"],
];

function pressSeed(game, key) {
  if (/^[1-9]$/.test(key)) {
    const c = game.offered[key - 1];
    if (c) change(game, c.token);
    return true;
  }
  if (key === "b" || key === "Backspace") back(game);
  else if (key === "g") return Boolean(game.at.differs) && (game.app.select(game.at.differs), true);
  else return press(game.app, key);
  return true;
}

function wireSeedKeys(game) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog[open]")) return;
    if (event.target.closest("button, summary, a") && (event.key === "Enter" || event.key === " ")) return;
    if (event.target.closest("pre") && /^(Arrow|Page|Home|End)/.test(event.key)) return;
    if (pressSeed(game, event.key)) event.preventDefault();
  });
  byID("keys").append(...SEED_KEYS.map(([keys, what]) => make("tr", {}, make("th", { scope: "row" }, keys), make("td", {}, what))));
}

/* The beginning. */

function begin(game) {
  const app = game.app = newApp(game.at.model);
  app.live = true; // the address is the run's
  addMethods(app);
  const choose = app.select;
  app.select = (step, how) => {
    choose(step, how);
    drawOffers(game);
  };
  fitCanvas(app);
  buildBar(app);
  wireApp(app);
  fitCanvas(app);
  wireSeedKeys(game);
  byID("skip-next").addEventListener("click", (event) => {
    event.preventDefault();
    byID("offers").focus();
  });
  byID("verdict").hidden = byID("next").hidden = false;
  addEventListener("hashchange", () => {
    if (location.hash === game.wrote || game.busy) return;
    const { seed, whatIf } = readPlace(game.config);
    openRun(game, seed, whatIf).catch((error) => say(game, error.message));
  });
}

async function fetchRun(game) {
  const place = game.at ? { seed: game.seed, whatIf: whatIfOf(game.at) } : readPlace(game.config);
  await load(game.engine);
  const described = await ask(game.engine, { do: "describe" });
  if (described.error) throw new Error(described.error);
  game.about = described.game;
  await openRun(game, place.seed, place.whatIf);
}

/** watchRunBuilds looks whether the code has been built again. */
function watchRunBuilds(game) {
  let { build } = game.config;
  setInterval(async () => {
    const v = await fetch("build.json", { cache: "no-store" }).then((r) => r.json()).catch(() => null);
    if (!v || game.busy) return;
    showLoading(v.error ? `The code that you saved is not in play: ${v.error}` : "");
    if (v.build === build || v.error) return;
    build = v.build;
    await fetchRun(game).catch((error) => showLoading(error.message));
    document.documentElement.dataset.build = String(build);
  }, 500);
}

function showLoading(text) {
  byID("loading").hidden = !text;
  byID("loading").textContent = printable(text);
}

async function main() {
  const config = JSON.parse(byID("config").textContent);
  const game = { config, engine: newEngine(config), app: null, about: null, seed: config.seed, root: null, at: null, busy: false, offered: [], wrote: "", record: "", touched: 0 };
  game.engine.limit = RUN_ANSWER;
  byID("source").textContent = printable(config.source);
  window.play = { // for tests, and for a curious reader's console
    game, change: (token) => change(game, token), back: () => back(game), select: (step) => game.app.select(step), whatIf: () => whatIfOf(game.at), keepRecord: () => keepRecord(game), ask: (request) => ask(game.engine, request),
  };
  try {
    await fetchRun(game);
    showLoading("");
  } catch (error) {
    const failure = error.failure ? await explained(game.engine, error).catch(() => ({ what: error.message })) : { what: error.message };
    showLoading("This page cannot play: " + failure.what);
    return;
  }
  if (config.live) watchRunBuilds(game);
  document.documentElement.dataset.ready = "yes";
}

main();
