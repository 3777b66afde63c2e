// tree.js: what has been played: a tree of steps, of which one path is shown. Each step keeps its position (labtest.Position).

const NUMBERS = ["at", "node", "inc", "msg", "copy", "from", "to", "number", "replyTo"];
const TEXTS = ["kind", "message", "method", "type", "body", "source", "reason", "name", "value"];

let stepsMade = 0;

function newStep(parent, token, says) {
  return { id: stepsMade++, parent, token, says, children: [], latest: null, position: null, depth: parent ? parent.depth + 1 : 0 };
}

/** pathTo lists the steps from the first one to this one. */
function pathTo(step) {
  const path = [];
  for (let s = step; s.parent; s = s.parent) path.push(s);
  return path.reverse();
}

/** scheduleOf writes the steps as LABS_SCHEDULE has them. */
function scheduleOf(step) {
  return pathTo(step).map((s) => s.token).join(".");
}

/** addStep hangs a step into the tree. */
function addStep(step) {
  step.parent.children.push(step);
  step.parent.latest = step;
  return step;
}

/** newEvents are the events of the path that is shown, by columns, as the run's page reads them. */
function newEvents(root) {
  const columns = Object.fromEntries([...NUMBERS, ...TEXTS, "turn"].map((name) => [name, []]));
  return { columns, strings: [""], index: new Map([["", 0]]), count: 0, step: null, root, sent: new Map() };
}

/** showEvents makes the events those of the path to a step: it takes back what the path does not have, and adds what it has more. */
function showEvents(events, step) {
  const path = [];
  let at = step;
  const shown = new Set();
  for (let s = events.step; s; s = s.parent) shown.add(s);
  while (at && !shown.has(at)) {
    path.push(at);
    at = at.parent;
  }
  events.count = at ? at.position.steps : 0;
  for (const list of Object.values(events.columns)) list.length = events.count;
  for (const s of path.reverse()) appendEvents(events, s.position.new, s.depth);
  events.step = step;
}

function appendEvents(events, batch, turn) {
  const { columns, strings, index } = events;
  const place = batch.strings.map((text) => {
    if (!index.has(text)) {
      index.set(text, strings.length);
      strings.push(text);
    }
    return index.get(text);
  });
  for (const name of NUMBERS) push(columns[name], batch.columns[name], batch.count, (v) => v);
  for (let k = 0; k < batch.count; k++) columns.turn.push(turn);
  for (const name of TEXTS) push(columns[name], batch.columns[name], batch.count, (v) => place[v]);
  for (let n = events.count; n < events.count + batch.count; n++) {
    const text = (name) => strings[columns[name][n]];
    if (text("kind") !== "sent") continue;
    events.sent.set(messageKey({ from: columns.from[n], to: columns.to[n], method: text("method"), kind: text("message"), number: columns.number[n] }),
      { n, body: text("body") });
  }
  events.count += batch.count;
}

function push(list, values, count, map) {
  for (let k = 0; k < count; k++) list.push(values ? map(values[k]) : 0);
}

/** messageKey names a message: its link, method, kind, and its number among those. */
function messageKey(m) {
  return [m.from, m.to, m.method, m.kind, m.number].join(" ");
}

/** runOf is what the run's page reads: the events, and how the run failed if it did. */
function runOf(game) {
  const { events, config, at } = game, { failure, broke } = at.position;
  return {
    title: config.title, difference: null,
    runs: [{
      test: config.test, module: config.module, seed: String(game.seed), nodes: game.about.nodes, steps: events.count, broke: failure ? broke + at.depth : null,
      failure: failure ? { faults: `${pathTo(at).filter((s) => isFault(s.token)).length} in ${at.depth} steps`, ...failure } : null,
      key: -1, faults: [], strings: events.strings, columns: events.columns, snips: {},
    }],
  };
}

function isFault(token) {
  return /^[uxcbakpl]/.test(token);
}
