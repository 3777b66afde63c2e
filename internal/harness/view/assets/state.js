// state.js: what each node had noted, when it was up, and which links were cut.

/** readStates fills the lanes of a run: notes by name, and spans of being up, down, paused. */
function readStates(model, run) {
  const lanes = model.lanes.slice(run.firstLane, run.firstLane + run.nodes);
  for (const s of run.steps) {
    if (!s.node) continue;
    const lane = lanes[s.node - 1];
    if (s.kind === "noted" || s.kind === "seen") noteValue(lane, s);
    else moveSpan(lane, s);
  }
  for (const lane of lanes) {
    const last = lane.spans[lane.spans.length - 1];
    if (last && last.to === null) last.to = run.end;
  }
  run.names = [...new Set(lanes.flatMap((lane) => [...lane.notes.keys()]))].filter((name) => name !== "log" || lanes.some((lane) => (lane.notes.get(name) || []).some((note) => !logOf(note.value))));
  run.role = findRole(run, lanes);
}

function noteValue(lane, s) {
  let list = lane.notes.get(s.name);
  if (!list) lane.notes.set(s.name, list = []);
  const last = list[list.length - 1];
  s.old = last && last.step.inc === s.inc ? last.value : null;
  list.push({ at: s.at, n: s.n, value: s.value, step: s });
}

function moveSpan(lane, s) {
  const state = { started: "up", resumed: "up", paused: "paused", crashed: "down", stopped: "stopped" }[s.kind];
  if (!state) return;
  const last = lane.spans[lane.spans.length - 1];
  if (last && last.to === null) last.to = s.at;
  lane.spans.push({ from: s.at, to: null, state: s.ends ? "over" : state, inc: s.inc, step: s });
}

/** noteAt returns a node's note of that name at a step (that step included), or null. A crash forgets it. */
function noteAt(lane, name, step) {
  const list = lane.notes.get(name) || [];
  let low = 0, high = list.length;
  while (low < high) {
    const mid = (low + high) >> 1;
    if (list[mid].at < step.at || (list[mid].at === step.at && (lane.run !== step.run || list[mid].n <= step.n))) low = mid + 1;
    else high = mid;
  }
  const note = low ? list[low - 1] : null;
  const span = spanAt(lane, step.at);
  return note && span && (span.state === "up" || span.state === "paused") && note.step.inc === span.inc ? note : null;
}

/** spanAt returns what the node was at that moment, or null before it started. */
function spanAt(lane, at) {
  let found = null;
  for (const sp of lane.spans) {
    if (sp.from > at) break;
    found = sp;
  }
  return found;
}

/** findRole chooses the note that colours the lanes: one with few values, "role" if there is one. */
function findRole(run, lanes) {
  const held = new Map(); // name -> value -> nanoseconds
  for (const lane of lanes) {
    for (const [name, list] of lane.notes) {
      if (list[0].step.kind === "seen") continue; // the test saw it: a node says itself which role it has
      if (!held.has(name)) held.set(name, new Map());
      list.forEach((note, k) => {
        const until = k + 1 < list.length ? list[k + 1].at : run.end;
        const values = held.get(name);
        values.set(note.value, (values.get(note.value) || 0) + until - note.at);
      });
    }
  }
  const fits = [...held].filter(([, v]) => v.size >= 2 && v.size <= 6 && ![...v.keys()].some((x) => /^-?\d|^(true|false)$/.test(x)));
  const rank = (name) => (/role|state|status|mode/i.test(name) ? 0 : 1);
  fits.sort((a, b) => rank(a[0]) - rank(b[0]));
  if (!fits.length) return null;
  const [name, values] = fits[0];
  const common = [...values].sort((a, b) => b[1] - a[1])[0][0];
  return { name, common, colours: roleColours([...values.keys()], common) };
}

const PLAIN = /^(follower|backup|replica|secondary|passive|idle|normal|none|up)$/i;

/**
 * roleColours gives a role the same colour on every page and picture (svgroles.go does the same): a leader the first, a candidate
 * the second, others by their names. What most nodes are all the time has none.
 */
function roleColours(values, common) {
  const out = new Map(), used = new Set(), plain = values.some((v) => PLAIN.test(v));
  for (const v of [...values].sort()) {
    if (PLAIN.test(v) || (!plain && v === common && !/lead|primary|master/i.test(v))) continue;
    let k = /lead|primary|master/i.test(v) ? 0 : /candidate|elect/i.test(v) ? 1 : 2 + [...v].reduce((n, c) => n + c.codePointAt(0), 0) % 3;
    if (k >= 2) for (let n = 0; n < 3 && used.has(k); n++) k = 2 + (k - 1) % 3;
    used.add(k);
    out.set(v, k);
  }
  return out;
}

/** readCuts returns the epochs between changes of the links: {from, to, cut, groups, text, steps}. */
function readCuts(run) {
  const epochs = [], cut = new Set();
  let now = { from: 0, to: null, groups: [], text: "", steps: [] };
  for (const s of run.steps) {
    if (s.kind !== "cut" && s.kind !== "healed") continue;
    if (s.at !== now.from || !now.steps.length) {
      finishEpoch(epochs, now, cut, run, s.at);
      now = { from: s.at, to: null, groups: [], text: "", steps: [] };
    }
    now.steps.push(s);
    const link = s.from + ">" + s.to;
    if (s.kind === "cut") cut.add(link);
    else cut.delete(link);
  }
  finishEpoch(epochs, now, cut, run, run.end);
  return epochs;
}

function finishEpoch(epochs, epoch, cut, run, until) {
  epoch.to = until;
  epoch.cut = new Set(cut);
  epoch.groups = components(run.nodes, cut);
  epoch.text = epoch.steps.length ? cutText(epoch) : "";
  for (const s of epoch.steps) s.epoch = epoch;
  epochs.push(epoch);
}

/** components returns the groups of nodes that can talk in both directions, the largest first. */
function components(nodes, cut) {
  const group = new Array(nodes + 1).fill(0), groups = [];
  for (let start = 1; start <= nodes; start++) {
    if (group[start]) continue;
    const members = [start];
    group[start] = groups.length + 1;
    for (const a of members) {
      for (let b = 1; b <= nodes; b++) {
        if (group[b] || cut.has(a + ">" + b) || cut.has(b + ">" + a)) continue;
        group[b] = group[start];
        members.push(b);
      }
    }
    groups.push(members.sort((a, b) => a - b));
  }
  return groups.sort((a, b) => b.length - a.length || a[0] - b[0]);
}

function cutText(epoch) {
  const { cut, groups } = epoch;
  if (!cut.size) return "all links healed";
  let between = 0;
  groups.forEach((g, k) => groups.forEach((h, m) => { if (k !== m) between += g.length * h.length; }));
  const crosses = (link) => {
    const [a, b] = link.split(">").map(Number);
    return groups.findIndex((g) => g.includes(a)) !== groups.findIndex((g) => g.includes(b));
  };
  if (groups.length > 1 && between === cut.size && [...cut].every(crosses)) {
    return "partition: " + groups.map((g) => g.map((n) => "n" + n).join(" ")).join(" | ");
  }
  const targets = new Map();
  for (const link of [...cut].sort()) {
    const [a, b] = link.split(">");
    targets.set(a, (targets.get(a) || []).concat("n" + b));
  }
  return "cut: " + [...targets].map(([a, list]) => `n${a}→${list.join(" ")}`).join(", ");
}
