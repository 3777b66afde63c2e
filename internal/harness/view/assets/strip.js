// strip.js: the log of each server, as the test saw it: a cell for each entry, with its index, its term and how far it is.

const CELLS = 8;

/** logOf reads what the test saw of a log: {snapshot, snapshotTerm, first, terms, committed, applied}, or null. */
function logOf(text) {
  try {
    const log = JSON.parse(text);
    return log && Array.isArray(log.terms) ? log : null;
  } catch {
    return null;
  }
}

/** logStrips draws the logs of a run's servers at a step. */
function logStrips(app, run, at) {
  const rows = app.model.lanes.filter((lane) => lane.run === run.index).map((lane) => [lane, noteAt(lane, "log", at)])
    .filter(([, note]) => note && logOf(note.value)).map(([lane, note]) => logStrip(lane, logOf(note.value), note.at === at.at));
  if (!rows.length) return null;
  return make("div", { class: "logs" }, make("p", { class: "quiet" }, "Logs: index over term; ● applied, ◐ committed, ○ neither; ▣ in the snapshot"), ...rows);
}

function logStrip(lane, log, fresh) {
  const first = Number(log.first) || 1, terms = log.terms.map(Number), from = Math.max(0, terms.length - CELLS);
  const applied = Number(log.applied), committed = Number(log.committed), last = first + terms.length - 1;
  const cells = [];
  if (Number(log.snapshot)) cells.push(make("span", { class: "cell snap", title: "the snapshot" }, `▣ ${Number(log.snapshot)}`, make("small", {}, "term " + Number(log.snapshotTerm || 0))));
  const left = first + from - (Number(log.snapshot) || 0) - 1;
  if (left > 0) cells.push(make("span", { class: "cell quiet" }, "…", make("small", {}, `${left} more`)));
  terms.slice(from).forEach((term, k) => {
    const index = first + from + k, state = index <= applied ? "●" : index <= committed ? "◐" : "○";
    cells.push(make("span", { class: "cell " + { "●": "applied", "◐": "committed", "○": "open" }[state] }, `${state} ${index}`, make("small", {}, String(term))));
  });
  const says = `${lane.name}: entries to index ${last}, committed ${committed}, applied ${applied}` + (Number(log.snapshot) ? `, snapshot to ${Number(log.snapshot)}` : "");
  return make("div", { class: "strip" + (fresh ? " fresh-strip" : ""), role: "img", "aria-label": says, title: says }, make("b", {}, lane.name), ...cells);
}
