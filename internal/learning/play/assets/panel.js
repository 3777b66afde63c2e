// panel.js: the right side of the page: what can happen next, the steps so far, and what to keep of them.

const byID = (id) => document.getElementById(id);

function button(label, title, act, more = {}) {
  return make("button", { type: "button", title, onclick: act, ...more }, ...[label].flat());
}

/**
 * keep makes a box's children those of a list of [key, build]: a child with the same key as before stays as it is, and only the others are
 * built. A step changes few of them, however long the run is. game.touched counts the children that were built or removed.
 */
function keep(game, box, list) {
  const before = box.kept || new Map(), after = new Map();
  for (const [key, build] of list) {
    let name = String(key);
    while (after.has(name)) name += "+";
    let el = before.get(name);
    if (!el) {
      el = build();
      game.touched++;
    }
    after.set(name, el);
  }
  for (const [name, el] of before) {
    if (after.has(name)) continue;
    el.remove();
    game.touched++;
  }
  let at = box.firstChild;
  for (const el of after.values()) {
    if (el === at) at = at.nextSibling;
    else box.insertBefore(el, at);
  }
  box.kept = after;
}

/** drawPanel shows the position. */
function drawPanel(game) {
  const possible = isPossible(game);
  const over = byID("over");
  over.hidden = possible;
  over.textContent = possible ? "" : "Nothing can happen after a failure. Go back (b) and try another way.";
  drawMoves(game, possible);
  drawMessages(game, possible);
  drawMachines(game, possible);
  drawLinks(game, possible);
  drawHistory(game);
  drawShare(game);
  drawPuzzle(game);
}

function drawMoves(game, possible) {
  const { at, auto } = game;
  const off = Boolean(auto);
  const buttons = [
    ["time", ["Let time pass ", "w"], "until the next timer makes a node do something, or a second has passed", () => take(game, "w"), !possible || off],
    ["back", ["Back ", "b"], "take the last step back", () => back(game), !at.parent],
    ["forward", ["Forward ", "f"], "take again the step that was taken back", () => forward(game), !at.latest],
    ["random", ["Random step ", "s"], "let chance choose one step", () => take(game, randomMove(game, rates())), !possible],
    ["run", [off ? "Stop " : "Run ", "r"], "let chance choose steps until you stop it", () => toggleAuto(game), !possible && !off],
  ];
  keep(game, byID("moves"), buttons.map(([id, [label, key], title, act, disabled]) => [[id, label, disabled], () => button([label, make("kbd", {}, key)], title, act,
    { id, disabled, class: id === "time" ? "main" : "", "aria-pressed": id === "run" ? String(off) : null })]));
  keep(game, byID("actions"), game.about.actions.map((name, k) => {
    const disabled = !possible || !(at.position.actions || []).includes(k);
    return [[k, name, disabled], () => button(printable(name), "the scenario does this", () => take(game, "s" + k), { disabled })];
  }));
}

const ROWS = 40; // messages that are shown unless the person asks for all

function drawMessages(game, possible) {
  const list = possible ? messagesOf(game) : [];
  if (list.length <= ROWS) game.all = false;
  const most = game.all || game.cursor >= ROWS ? list.length : ROWS;
  game.cursor = Math.max(0, Math.min(game.cursor, list.length - 1));
  byID("no-messages").hidden = list.length > 0 || !possible;
  const held = byID("messages").contains(document.activeElement);
  const rows = list.slice(0, most).map((m, k) => [[m.key, k < 9 ? k : "", k === game.cursor, game.held.has(m.key), m.copies, colourOf(game, m)], () => messageRow(game, m, k)]);
  if (most < list.length) {
    rows.push(["more " + (list.length - most), () => make("li", { class: "moves" }, button(`Show ${list.length - most} more messages`, "", () => {
      game.all = true;
      drawMessages(game, true);
    }))]);
  }
  keep(game, byID("messages"), rows);
  if (held && !byID("messages").contains(document.activeElement)) byID("messages").focus({ preventScroll: true });
}

function colourOf(game, m) {
  return Math.max(0, game.app ? game.app.model.methods.indexOf(m.method) % 8 : 0);
}

/** messageRow is a row of the list. It stays while its message moves up, so that its buttons look up the message's place. */
function messageRow(game, m, k) {
  const isHeld = game.held.has(m.key), act = (what) => {
    const now = messagesOf(game).find((other) => other.key === m.key);
    if (now) take(game, now[what]);
  };
  const name = nameOf(m), deed = (label, verb, what, title) => m[what] && button(label, title, () => act(what), { "aria-label": `${verb} ${name}` });
  return make("li", { class: "message" + (k === game.cursor ? " current" : "") + (isHeld ? " held" : ""), "aria-current": k === game.cursor ? "true" : null },
    make("span", { class: "place", "aria-hidden": "true" }, k < 9 ? String(k + 1) : ""),
    make("span", { class: "what" }, make("span", { class: "m" + colourOf(game, m) }, name), " ", make("code", {}, shorten(goLike(m.body), 120)),
      m.copies ? make("small", {}, ` copy, ${m.copies} arrived`) : null, isHeld ? make("small", {}, " held") : null),
    make("span", { class: "deeds" },
      deed("deliver", "deliver", "deliver", "the message arrives (d, Enter)"),
      deed("lose", "lose", "lose", "the message is lost (x)"),
      deed("twice", "deliver twice", "twice", "the message arrives, and a copy of it stays under way (u)"),
      button(isHeld ? "release" : "hold", "keep Run from choosing this message (h)", () => hold(game, m), { "aria-label": `${isHeld ? "release" : "hold"} ${name}`, "aria-pressed": String(isHeld) })));
}

/** hold keeps a message from being chosen by chance, or no longer. */
function hold(game, m) {
  if (game.held.has(m.key)) game.held.delete(m.key);
  else game.held.add(m.key);
  drawMessages(game, true);
  say(game, `${nameOf(m)} is ${game.held.has(m.key) ? "held" : "not held"}`);
}

function drawMachines(game, possible) {
  const { down, paused } = game.at.position, rows = [];
  for (let n = 1; n <= game.about.nodes; n++) {
    const state = (down || []).includes(n) ? " down" : (paused || []).includes(n) ? " paused" : "";
    const moves = nodeMoves(game, n);
    rows.push([[n, state, possible, JSON.stringify(moves)], () => make("tr", {}, make("th", { scope: "row" }, "n" + n, state ? make("span", { class: "down" }, state) : null),
      make("td", {}, ...moves.map(([tokens, label, title]) => button(label, title, () => takeAll(game, [tokens].flat()), { disabled: !possible, "aria-label": `n${n}: ${label}` }))))]);
  }
  keep(game, byID("machines").tBodies[0], rows);
}

function drawLinks(game, possible) {
  const cut = new Set(game.at.position.cut || []), rows = [];
  byID("links").querySelector("summary").textContent = cut.size ? `Links (${cut.size} cut)` : "Links";
  for (let a = 1; a <= game.about.nodes; a++) {
    const ends = Array.from({ length: game.about.nodes }, (_, k) => k + 1);
    const cell = (b) => {
      const link = `${a}-${b}`, isCut = cut.has(link);
      return make("td", {}, a === b ? "" : button(`n${a}→n${b}`, isCut ? "heal this link" : "cut this link", () => take(game, (isCut ? "h" : "l") + link),
        { disabled: !possible, "aria-pressed": String(isCut), "aria-label": `n${a} to n${b}: cut` }));
    };
    rows.push([[a, possible, ends.filter((b) => cut.has(`${a}-${b}`))], () => make("tr", {}, ...ends.map(cell))]);
  }
  keep(game, byID("links").querySelector("tbody"), rows);
}

const SHOWN = 150; // steps of the history

/** drawHistory lists the steps of the path, and where other branches leave it. */
function drawHistory(game) {
  const path = pathTo(game.at), items = [], from = Math.max(0, path.length - SHOWN);
  const item = (step, label, extra = "") => [[step.id, extra, step === game.at],
    () => make("li", { class: extra }, button(label, "go to this step", () => goTo(game, step), { "aria-current": step === game.at ? "step" : null }))];
  items.push(item(game.root, "0  the beginning"));
  if (from) items.push(["more " + from, () => make("li", { class: "quiet" }, `… ${from} more steps`)]);
  const branches = (step, on) => step.children.filter((c) => c !== on).map((c) => item(c, `or ${c.says}`, "branch"));
  if (!from) items.push(...branches(game.root, path[0]));
  path.slice(from).forEach((step, k) => items.push(item(step, `${step.depth}  ${step.says}`), ...branches(step, path[from + k + 1])));
  keep(game, byID("history"), items);
  requestAnimationFrame(() => { byID("history").scrollTop = byID("history").scrollHeight; }); // the layout is done by then
}

/** commandOf is the command that runs the steps in go test. */
function commandOf(game, at = game.at) {
  const { config } = game;
  return at.depth ? `LABS_SEED=${game.seed} LABS_SCHEDULE=${scheduleOf(at)} go test -race -run '${config.test}$' ${config.module}` : "";
}

function drawShare(game) {
  const box = byID("share"), command = commandOf(game);
  if (!box.firstChild) buildShare(game, box);
  box.querySelector("code").textContent = command || "Take a step: then a command stands here that runs the same steps in go test.";
  box.querySelector("#copy-command").disabled = !command;
}

function buildShare(game, box) {
  const opener = make("input", { type: "text", placeholder: "Open a schedule: LABS_SEED=1 LABS_SCHEDULE=w.d0 …", "aria-label": "Open a schedule", autocomplete: "off", spellcheck: "false" });
  opener.addEventListener("input", () => opener.setCustomValidity(""));
  opener.addEventListener("keydown", (event) => {
    if (event.key === "Enter") openText(game, opener.value);
  });
  box.className = "share";
  box.append(make("code", {}), button("Copy the command", "for go test", () => copyText(game, commandOf(game)), { id: "copy-command" }),
    button("Copy the link", "to this page at this step", () => copyText(game, location.href)),
    button("Download the record", "the events so far, for grade trace", () => download(game)), opener);
}

async function copyText(game, text) {
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    done = copyBySelection(text);
  }
  say(game, done ? "copied" : "the browser does not let a page copy");
}

/** download keeps the record of the steps so far. */
async function download(game) {
  await ask(game.engine, { do: "go", seed: game.seed, schedule: scheduleOf(game.at), known: 0 });
  const { record } = await ask(game.engine, { do: "record" });
  game.record = record;
  const link = make("a", { href: URL.createObjectURL(new Blob([record], { type: "application/jsonl" })), download: `${game.config.test}-${game.seed}.jsonl` });
  link.click();
  URL.revokeObjectURL(link.href);
}

/** refuse says why a schedule is not opened, at the field and to a screen reader. */
function refuse(game, why) {
  const field = byID("share").querySelector("input");
  say(game, why);
  field.setCustomValidity(why);
  field.reportValidity();
}

/** openText plays a schedule that somebody pasted: a command of go test, or the schedule alone. */
function openText(game, text) {
  const schedule = (/LABS_SCHEDULE=(\S+)/.exec(text) || [null, text.trim()])[1];
  const seed = (/LABS_SEED=(\d+)/.exec(text) || [null, "1"])[1];
  const test = (/-run '?(\w+)/.exec(text) || [null, game.config.test])[1];
  if (test !== game.config.test) return refuse(game, `this is a schedule of ${test}, and this page plays ${game.config.test}`);
  return open(game, seed, schedule);
}
