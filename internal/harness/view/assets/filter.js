// filter.js: which steps are shown.

const GROUPS = [
  ["messages", "Messages"], ["state", "State"], ["faults", "Faults"], ["logs", "Logs"], ["disk", "Disk"], ["clients", "Clients"], ["test", "Test"],
];

/** newFilter shows everything, with routine messages folded. */
function newFilter() {
  return { text: "", nodes: new Set(), off: new Set(), methodsOff: new Set(), fold: true, opened: new Set() };
}

/** applyFilter returns what each step is now: 0 hidden, 1 shown, 2 folded. */
function applyFilter(model, filter) {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  const out = new Uint8Array(model.steps.length);
  const matched = new Map(); // journey -> whether one of its steps matches: a message is shown whole or not at all
  const matches = (s) => {
    if (!words.length) return true;
    if (!s.journey) return hasWords(s, words);
    if (!matched.has(s.journey)) matched.set(s.journey, s.journey.steps.some((x) => hasWords(x, words)));
    return matched.get(s.journey);
  };
  for (const s of model.steps) {
    if (s.ends || s.kind === "seen" || filter.off.has(groupOf(s)) || (s.msg && filter.methodsOff.has(s.method))) continue;
    if (filter.nodes.size && !touches(s, filter.nodes)) continue;
    if (!matches(s)) continue;
    out[s.i] = filter.fold && s.routine && !filter.opened.has(s.i) ? 2 : 1;
  }
  return out;
}

/** haystack is the text in which a filter looks: what the page says of a step, and all that the step carries. */
function haystack(s) {
  if (s.hay === undefined) {
    s.hay = [sentence(s), s.body, s.type, s.source, s.reason, s.kind].join("\n").toLowerCase();
  }
  return s.hay;
}

function hasWords(s, words) {
  const hay = haystack(s);
  return words.every((w) => hay.includes(w));
}

/** touches reports whether the step concerns one of the nodes. What the test says concerns everybody. */
function touches(s, nodes) {
  if (s.msg || s.kind === "cut" || s.kind === "healed") return nodes.has(s.from) || nodes.has(s.to);
  return s.node ? nodes.has(s.node) : true;
}
