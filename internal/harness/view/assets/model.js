// model.js: the run as the page knows it. A page shows one run, or two that are compared; their steps are in one list, by time.

/** readModel turns the page's data into the model. */
function readModel(data) {
  const model = { title: data.title, difference: null, runs: [], lanes: [], opLanes: [], steps: [], arrows: [] };
  const shifts = alignRuns(data.difference);
  data.runs.forEach((raw, r) => addRun(model, raw, r, shifts[r]));
  const d = data.difference;
  if (d) model.difference = { at: d.at[0] + shifts[0], text: d.text, steps: d.steps.map((n, r) => model.runs[r].steps[n] || null) };
  model.steps.sort((a, b) => a.at - b.at || a.run - b.run || a.n - b.n);
  model.steps.forEach((s, i) => { s.i = i; });
  model.end = model.steps.length ? model.steps[model.steps.length - 1].at : 0;
  model.methods = [...new Set(model.steps.filter((s) => s.msg).map((s) => s.method))].sort();
  model.compares = model.runs.length > 1;
  return model;
}

/** alignRuns returns how much later each run is drawn, so that the moment at which two part is one height. */
function alignRuns(difference) {
  if (!difference) return [0, 0];
  const [a, b] = difference.at, latest = Math.max(a, b);
  return [latest - a, latest - b];
}

/** addRun adds a run to the model. A step's at is where it is drawn, its clock is the time that the run had. */
function addRun(model, raw, r, shift) {
  const run = {
    index: r, test: raw.test, module: raw.module, seed: raw.seed, nodes: raw.nodes, broke: raw.broke === null ? null : raw.broke + shift, shift, key: raw.key,
    failure: raw.failure, faults: raw.faults, snips: raw.snips, firstLane: model.lanes.length, steps: readSteps(raw, r, shift),
  };
  for (let n = 1; n <= raw.nodes; n++) {
    model.lanes.push({ run: r, node: n, name: "n" + n, index: model.lanes.length, spans: [], notes: new Map() });
  }
  for (const s of run.steps) {
    s.lane = s.node ? run.firstLane + s.node - 1 : -1;
    s.fromLane = s.from ? run.firstLane + s.from - 1 : -1;
    s.toLane = s.to ? run.firstLane + s.to - 1 : -1;
  }
  run.end = run.steps.length ? run.steps[run.steps.length - 1].at : 0;
  linkSteps(model, run);
  readStates(model, run);
  readOps(model, run);
  run.epochs = readCuts(run);
  for (const s of run.steps) model.steps.push(s);
  model.runs.push(run);
}

/**
 * readSteps takes the columns apart. A run that a person plays has turns, between which no time need pass: each is drawn a nanosecond
 * after the one before, and so in a row of its own.
 */
function readSteps(raw, r, shift) {
  const zero = new Array(raw.steps).fill(0);
  const number = (name) => raw.columns[name] || zero;
  const text = (name) => number(name).map((k) => raw.strings[k]);
  const at = number("at"), node = number("node"), inc = number("inc"), msg = number("msg"), copy = number("copy");
  const from = number("from"), to = number("to"), num = number("number"), replyTo = number("replyTo");
  const kind = text("kind"), message = text("message"), method = text("method"), type = text("type"), body = text("body");
  const source = text("source"), reason = text("reason"), name = text("name"), value = text("value");
  const routine = number("routine"), named = number("named"), turn = number("turn");
  const steps = [];
  for (let n = 0; n < raw.steps; n++) {
    const ends = kind[n] === "crashed" && reason[n] === "network closed";
    steps.push({
      i: 0, run: r, n, at: at[n] + shift + turn[n], clock: at[n], node: node[n], inc: inc[n], msg: msg[n], copy: copy[n], from: from[n], to: to[n],
      number: num[n], replyTo: replyTo[n], kind: kind[n], message: message[n], method: method[n], type: type[n],
      body: body[n], source: source[n], reason: reason[n], name: name[n], value: value[n], routine: routine[n] === 1, named: named[n] === 1,
      ends, fault: FAULTS.has(kind[n]) && !ends && !reason[n].startsWith("answered already"), old: null, preds: [], succs: [], journey: null, epoch: null, op: null,
    });
  }
  return steps;
}

/** groupOf is the filter's kind of a step. */
function groupOf(s) {
  if (s.fault || s.kind === "healed" || s.kind === "released" || s.kind === "resumed") return "faults";
  if (s.msg) return "messages";
  return { noted: "state", logged: "logs", wrote: "disk", called: "clients", returned: "clients", told: "clients" }[s.kind] || "test";
}
