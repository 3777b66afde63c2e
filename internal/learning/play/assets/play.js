// play.js: puts the page together: a step, the way back, runs by themselves, the address.

const FOLLOW = 1e12; // below every run's end

/** show goes to a step that has been played. */
function show(game, step, says = "") {
  game.at = step;
  showEvents(game.events, step);
  const { app } = game, model = readModel(runOf(game));
  const methods = app.model.methods.join("\n");
  app.model = model;
  app.selected = app.cone = app.hover = null;
  app.headsKey = "";
  if (methods !== model.methods.join("\n")) buildMethods(game);
  fitLanes(app);
  nameDiagram(app);
  buildFailure(app);
  buildLegend(app);
  app.refilter();
  app.top = FOLLOW;
  clampTop(app);
  app.redraw();
  drawPanel(game);
  writePlace(game);
  if (says) say(game, says);
}

/** fitLanes gives the lanes their width: a client's operation may have come. */
function fitLanes(app) {
  app.laneWidth = (app.width - GUTTER - opsRoom(app)) / Math.max(1, app.model.lanes.length);
}

function buildMethods(game) {
  const { app } = game;
  byID("methods").replaceChildren(...app.model.methods.map((m, k) =>
    toggleButton(app, app.filter.methodsOff, m, printable(m), "show or hide these messages", " m" + (k % 8))));
}

function say(game, text) {
  byID("status").textContent = text;
}

/** told says what a step led to: the notes that changed, and a failure. */
function told(step) {
  const { position } = step, { failure } = position, batch = position.new;
  const text = (name, n) => (batch.columns[name] ? batch.strings[batch.columns[name][n]] : "");
  const out = [];
  for (let n = 0; n < batch.count; n++) {
    if (text("kind", n) === "noted") out.push(`n${batch.columns.node[n]} ${text("name", n)} ${text("value", n)}`);
    if (text("kind", n) === "crashed") out.push(`n${batch.columns.node[n]} crashed`);
  }
  if (failure) out.unshift("a rule broke: " + failure.what);
  return [step.says, ...new Set(out)].slice(0, 6).map(printable).join("; ");
}

/** take takes a step: one that was taken here before, or a new one. It reports whether the step was possible. */
async function take(game, token) {
  if (game.busy || !isPossible(game)) return false;
  const known = game.at.children.find((c) => c.token === token);
  if (known) {
    game.at.latest = known;
    show(game, known, told(known));
    return true;
  }
  game.busy = true;
  const step = newStep(game.at, token, sayToken(game, token));
  try {
    const reply = await ask(game.engine, { do: "go", seed: game.seed, schedule: scheduleOf(step), known: step.depth });
    if (reply.error || reply.fits < step.depth) {
      say(game, reply.error || `this is not possible here: ${step.says}`);
      return false;
    }
    step.position = reply.positions[0];
  } catch (error) {
    const failure = { ...await explained(game.engine, error), replay: commandOf(game, step) };
    step.position = { ...game.at.position, new: { count: 0, strings: [], columns: {} }, failure, broke: game.at.position.at };
  } finally {
    game.busy = false;
  }
  show(game, addStep(step), told(step));
  return true;
}

/** takeAll takes steps one after another. */
async function takeAll(game, tokens) {
  for (const token of tokens) if (!await take(game, token)) return;
}

function goTo(game, step) {
  if (game.busy) return;
  stopAuto(game);
  show(game, step, step.parent ? `back at step ${step.depth}: ${step.says}` : "back at the beginning");
}

function back(game) {
  if (game.at.parent) goTo(game, game.at.parent);
}

function forward(game) {
  if (game.at.latest) goTo(game, game.at.latest);
}

/** open plays a schedule from the beginning, in the tree that there is if the seed is the same. */
async function open(game, seed, schedule) {
  stopAuto(game);
  if (game.busy) return;
  game.busy = true;
  let reply;
  try {
    reply = await ask(game.engine, { do: "go", seed: Number(seed), schedule, known: 0 });
  } catch (error) {
    reply = { error: (await explained(game.engine, error)).what };
  } finally {
    game.busy = false;
  }
  if (!reply.positions || !reply.positions.length) {
    refuse(game, reply.error || "this schedule cannot be played");
    return;
  }
  hang(game, seed, schedule, reply);
}

/** hang puts the positions of a schedule into the tree, and shows the last one. */
function hang(game, seed, schedule, reply) {
  const tokens = schedule ? schedule.split(".") : [];
  if (!game.root || String(game.seed) !== String(seed)) {
    game.seed = Number(seed);
    game.root = newStep(null, "", "the beginning");
    game.root.position = reply.positions[0];
    game.events = newEvents(game.root);
  }
  let step = game.at = game.root;
  showEvents(game.events, step);
  reply.positions.slice(1).forEach((position, k) => {
    let next = step.children.find((c) => c.token === tokens[k]);
    if (!next) {
      game.at = step;
      showEvents(game.events, step);
      next = addStep(Object.assign(newStep(step, tokens[k], sayToken(game, tokens[k])), { position }));
    }
    step.latest = next;
    step = next;
  });
  if (!game.app) begin(game, step);
  show(game, step, reply.fits < tokens.length ? `only ${reply.fits} of ${tokens.length} steps are possible with this code` : step.says);
}

/* Runs by themselves. */

function rates() {
  const rate = (id) => Number(byID(id).value) / 100;
  return { loss: rate("loss"), twice: rate("twice"), crash: rate("crash") };
}

function toggleAuto(game) {
  if (game.auto) stopAuto(game);
  else runAuto(game);
}

function stopAuto(game) {
  if (!game.auto) return;
  game.auto = null;
  drawMoves(game, isPossible(game));
}

async function runAuto(game) {
  const mine = game.auto = {};
  drawMoves(game, true);
  while (game.auto === mine && isPossible(game)) {
    if (!await take(game, randomMove(game, rates()))) break;
    const why = reason(game, byID("until").value);
    if (why) {
      stopAuto(game);
      say(game, "stopped: " + why);
      return;
    }
    await new Promise((done) => setTimeout(done, Number(byID("speed").value)));
  }
  if (game.auto === mine) stopAuto(game);
}

/** reason says why a run by itself ends here; "" if it goes on. */
function reason(game, until) {
  const { position } = game.at, batch = position.new;
  if (position.failure) return "a rule broke";
  if (until === "solved" && isSolved(game)) return "the puzzle is solved";
  if (until === "quiet" && !(position.pending || []).length && game.at.token !== "w") return "no message is under way";
  if (until !== "leader") return "";
  for (let n = 0; n < batch.count; n++) {
    const text = (name) => (batch.columns[name] ? batch.strings[batch.columns[name][n]] : "");
    if (text("kind") === "noted" && /^(lead|primary|master|coordinator)/i.test(text("value"))) return `n${batch.columns.node[n]} leads`;
  }
  return "";
}

/* The address. */

function writePlace(game) {
  const p = new URLSearchParams();
  if (game.puzzle) p.set("puzzle", game.puzzle.id);
  if (game.seed !== game.config.seed) p.set("seed", game.seed);
  if (game.at.depth) p.set("s", scheduleOf(game.at));
  game.wrote = p.toString() ? "#" + p : location.pathname;
  history.replaceState(null, "", game.wrote);
}

function readPlace(config) {
  const p = new URLSearchParams(location.hash.slice(1));
  return { seed: /^\d{1,15}$/.test(p.get("seed") || "") ? p.get("seed") : String(config.seed), schedule: p.get("s") || "", puzzle: p.get("puzzle") || "" };
}

/* Keys. */

const PLAY_KEYS = [
  ["1 … 9", "deliver the message with that number"], ["↓ ↑, j k", "next, previous message under way"], ["Enter, d", "deliver the marked message"],
  ["x", "lose it"], ["u", "deliver it, and keep a copy under way"], ["h", "hold it: Run does not choose it"], ["w", "let time pass"],
  ["b, f", "back, forward"], ["s", "a random step"], ["r", "run by itself, and stop"], ["p", "the puzzle"], ["e", "the list of events; Esc leads back"],
  ["+ −, t", "zoom; true time"], ["/", "filter the events by text"], ["?", "this help"],
];

function wirePlayKeys(game) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog[open]")) return;
    const control = event.target.closest("button, summary, a");
    if (control && (event.key === "Enter" || event.key === " ")) return;
    if (event.target.closest("#events") && event.key !== "Escape" ? press(game.app, event.key) : pressPlay(game, event.key)) event.preventDefault();
  });
  byID("keys").append(...PLAY_KEYS.map(([keys, what]) => make("tr", {}, make("th", { scope: "row" }, keys), make("td", {}, what))));
  byID("help-button").onclick = null;
}

/** pressPlay does what a key stands for, and reports whether it stands for anything. */
function pressPlay(game, key) {
  const list = isPossible(game) ? messagesOf(game) : [], m = list[game.cursor];
  const move = (by) => {
    game.cursor = Math.max(0, Math.min(list.length - 1, game.cursor + by));
    drawMessages(game, isPossible(game));
    if (list.length) say(game, `${game.cursor + 1} of ${list.length}: ${nameOf(list[game.cursor])} ${shorten(goLike(list[game.cursor].body), 60)}`);
    const row = byID("messages").children[game.cursor];
    if (row) row.scrollIntoView({ block: "nearest" });
  };
  const deed = (name) => m && m[name] && take(game, m[name]);
  const actions = {
    ArrowDown: () => move(1), j: () => move(1), ArrowUp: () => move(-1), k: () => move(-1),
    Enter: () => deed("deliver"), d: () => deed("deliver"), x: () => deed("lose"), u: () => deed("twice"), h: () => m && hold(game, m),
    w: () => take(game, "w"), b: () => back(game), Backspace: () => back(game), f: () => forward(game),
    s: () => isPossible(game) && take(game, randomMove(game, rates())), r: () => toggleAuto(game),
    p: () => byID("puzzle-choice") && byID("puzzle-choice").focus(), e: () => game.app.list.focus(),
    Escape: () => { game.app.select(null); byID("messages").focus({ preventScroll: true }); },
  };
  if (/^[1-9]$/.test(key)) {
    if (list[key - 1]) take(game, list[key - 1].deliver);
    return true;
  }
  if (Object.hasOwn(actions, key)) {
    actions[key]();
    return true;
  }
  return ["+", "=", "-", "t", "/", "?", "PageUp", "PageDown"].includes(key) && press(game.app, key);
}

/* The beginning. */

/** begin builds the page around the first position. */
function begin(game) {
  const app = game.app = newApp(readModel(runOf(game)));
  app.live = true;
  app.filter.fold = false;
  addMethods(app);
  fitCanvas(app);
  buildBar(app);
  wireApp(app);
  fitCanvas(app);
  byID("skip-next").addEventListener("click", (event) => {
    event.preventDefault();
    byID("messages").focus();
  });
  for (const id of ["loss", "twice", "crash"]) {
    byID(id).append(...[0, 1, 2, 5, 10, 20].map((n) => make("option", { value: String(n) }, n ? n + " %" : "never")));
  }
  byID("crash").parentElement.hidden = !game.about.crashes;
  buildPuzzles(game);
  wirePlayKeys(game);
  byID("next").hidden = false;
  addEventListener("hashchange", () => {
    if (location.hash === game.wrote) return;
    const { seed, schedule, puzzle } = readPlace(game.config);
    if (byID("puzzle-choice")) setPuzzle(game, puzzle);
    open(game, seed, schedule);
  });
}

/** fetchGame loads the code and plays the schedule of the address, or the one that was played with the code before. */
async function fetchGame(game) {
  const place = game.at ? { seed: String(game.seed), schedule: scheduleOf(game.at) } : readPlace(game.config);
  await load(game.engine);
  game.about = (await ask(game.engine, { do: "describe" })).game;
  game.root = null;
  let reply = await ask(game.engine, { do: "go", seed: Number(place.seed), schedule: place.schedule, known: 0 }).catch(() => null);
  if (!reply || reply.error) { // not with this schedule
    place.schedule = "";
    reply = await ask(game.engine, { do: "go", seed: Number(place.seed), schedule: "", known: 0 });
  }
  hang(game, place.seed, place.schedule, reply);
}

/** watchBuilds looks whether the code has been built again. */
function watchBuilds(game) {
  let build = game.config.build;
  setInterval(async () => {
    const v = await fetch("build.json", { cache: "no-store" }).then((r) => r.json()).catch(() => null);
    if (!v) return;
    showBuild(v.error ? `The code that you saved is not in play: ${v.error}` : "");
    if (v.build === build || v.error) return;
    build = v.build;
    stopAuto(game);
    await fetchGame(game).catch((error) => showBuild(error.message));
    document.documentElement.dataset.build = String(build);
  }, 500);
}

function showBuild(text) {
  byID("loading").hidden = !text;
  byID("loading").textContent = printable(text);
}

async function main() {
  const config = JSON.parse(byID("config").textContent);
  const game = {
    config, engine: newEngine(config), app: null, about: null, seed: 1, root: null, at: null, events: null, held: new Set(), busy: false, auto: null,
    cursor: 0, all: false, puzzle: null, hints: 0, answer: "", chosen: -1, wrote: "", record: "", touched: 0,
  };
  byID("source").textContent = printable(config.source);
  try {
    const { puzzle } = readPlace(config);
    await fetchGame(game);
    if (puzzle && game.about.puzzles.length) setPuzzle(game, puzzle);
    writePlace(game);
    showBuild("");
  } catch (error) {
    const failure = await explained(game.engine, error).catch(() => ({ what: error.message }));
    return showBuild("This page cannot play: " + failure.what);
  }
  if (config.live) watchBuilds(game);
  window.play = { // for tests, and for a curious reader's console
    game, take: (token) => take(game, token), goTo: (step) => goTo(game, step), press: (key) => pressPlay(game, key),
    schedule: () => scheduleOf(game.at), open: (schedule) => open(game, game.seed, schedule), ask: (request) => ask(game.engine, request),
  };
  document.documentElement.dataset.ready = "yes";
  return undefined;
}

main();
