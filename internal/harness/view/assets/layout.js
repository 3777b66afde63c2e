// layout.js: where time is on the screen. Two scales: "order" gives every moment at which something is shown a row of
// its own, "time" is true to the clock and zooms from the whole run to microseconds.

const FULL_LINE = 18, LINE = 15, ROW = 24, FOLD = 20, THIN = 9, TOP = 8, BANNER = 24;

/** buildLayout makes the rows of what is shown. It keeps app.zoom and app.top. */
function buildLayout(app) {
  const { model, shown } = app;
  const rows = [], rowOf = new Int32Array(model.steps.length).fill(-1);
  let pending = [], last = null;
  const flush = () => {
    const said = pending.some((s) => s.msg); // notes that change nothing are not worth a row
    if (!said) pending = [];
    else rows.push(last = { fold: true, at: pending[0].at, until: pending[pending.length - 1].at, steps: pending });
    pending = [];
  };
  for (const s of model.steps) {
    if (shown[s.i] === 2) pending.push(s);
    if (shown[s.i] !== 1) continue;
    if (!last || last.fold || last.at !== s.at) {
      flush();
      rows.push(last = { fold: false, at: s.at, until: s.at, steps: [] });
    }
    last.steps.push(s);
  }
  flush();
  for (const row of rows) if (!row.fold) row.bursts = findBursts(app, row);
  app.layout = { rows, rowOf, height: stackRows(app, rows, rowOf) };
}

const BURST = 6; // so many messages of one kind on one link in one instant are one line

/** findBursts finds what one instant repeats: a map from each step of a burst to {first, steps}. */
function findBursts(app, row) {
  const groups = new Map(), out = new Map();
  if (row.steps.length < 2) return out;
  for (const s of row.steps) {
    const link = s.kind === "cut" || s.kind === "healed";
    if (!(s.msg || link) || app.filter.opened.has(s.i)) continue;
    const key = link ? "links" + s.run : [s.kind, s.from, s.to, s.run, s.method, s.message, s.copy > 0, s.reason].join("\0");
    if (!groups.has(key)) groups.set(key, { first: s, steps: [] });
    groups.get(key).steps.push(s);
  }
  for (const burst of groups.values()) {
    if (burst.steps.length < (burst.first.msg ? BURST : 2)) continue;
    for (const s of burst.steps) out.set(s, burst);
  }
  return out;
}

/** burstText says what a burst is: "64 × packet → n2". */
function burstText({ first, steps }, name = messageName(first)) {
  if (first.epoch) return first.epoch.text;
  const n = `${steps.length} × ${first.copy ? "duplicate " : ""}${name} `;
  switch (first.kind) {
    case "sent": return n + "→ n" + first.to;
    case "delivered": return n + "← n" + first.from;
    default: return `${n}n${first.from}→n${first.to} ${first.kind}` + (first.reason && first.reason !== "loss" ? ` (${printable(first.reason)})` : "");
  }
}

/** stackRows puts the rows below each other and returns their height. Banners get room of their own. */
function stackRows(app, rows, rowOf) {
  const { runs, difference } = app.model;
  let y = TOP;
  rows.forEach((row, k) => {
    const before = k ? rows[k - 1].until : -1;
    if (k) y += idle(row.at - before);
    for (const run of runs) if (run.broke !== null && before <= run.broke && run.broke < row.at) y += BANNER;
    if (difference && before < difference.at && difference.at <= row.at) y += BANNER;
    row.y = y;
    placeRow(app, row);
    y += row.h;
    for (const s of row.steps) rowOf[s.i] = k;
  });
  return y + 2 * BANNER;
}

/** idle is the room for time in which nothing shown happened: more for more, but never much. */
function idle(ns) {
  return Math.min(30, 6 * Math.log10(1 + ns / 3e5));
}

/** placeRow sets the height of a row, its labels, and where in it the dots are. */
function placeRow(app, row) {
  if (row.fold) {
    // A few messages are not worth words: they would take as much room as what they hide.
    row.thin = new Set(row.steps.map((s) => s.journey)).size <= 4;
    row.h = row.thin ? THIN : FOLD;
    row.dot = row.h / 2;
    row.labels = null;
    return;
  }
  row.labels = labelsOf(app, row);
  row.dot = row.labels.full.length * FULL_LINE + 11;
  row.h = row.labels.full.length * FULL_LINE + Math.max(ROW, 9 + LINE * row.labels.lines);
}

/** totalHeight is that of the whole run at the present zoom. */
function totalHeight(app) {
  return app.scale === "order" ? app.layout.height * app.zoom : app.model.end * app.perNs + 2 * TOP + 40;
}

/** rowTop is a row's place below the top of the run. */
function rowTop(app, row) {
  return app.scale === "order" ? row.y * app.zoom : row.at * app.perNs + TOP - row.dot;
}

/** stepY is a step's place below the top of the run, or null if it is hidden. */
function stepY(app, s) {
  const k = app.layout.rowOf[s.i];
  if (k < 0) return null;
  const row = app.layout.rows[k];
  if (app.scale === "time") return s.at * app.perNs + TOP;
  return (row.y + row.dot) * app.zoom;
}

/** timeY is the place of a moment, whether or not something is shown there. */
function timeY(app, at) {
  if (app.scale === "time") return at * app.perNs + TOP;
  const { rows } = app.layout;
  if (!rows.length) return TOP;
  const k = lastIndex(rows, (row) => row.at <= at);
  if (k < 0) return 0;
  const row = rows[k], next = rows[k + 1];
  const here = row.y + row.dot;
  if (row.fold && at < row.until) return (row.y + row.h * (at - row.at) / (row.until - row.at)) * app.zoom;
  if (at <= row.until) return here * app.zoom;
  if (!next) return (here + Math.min(30, row.h)) * app.zoom;
  const there = next.y + next.dot;
  return (here + (there - here) * (at - row.until) / (next.at - row.until)) * app.zoom;
}

/** yTime is the moment at a place: the inverse of timeY, about. */
function yTime(app, y) {
  if (app.scale === "time") return Math.max(0, (y - TOP) / app.perNs);
  const { rows } = app.layout;
  const k = lastIndex(rows, (row) => (row.y + row.dot) * app.zoom <= y);
  if (k < 0) return rows.length ? rows[0].at : 0;
  const row = rows[k], next = rows[k + 1];
  if (!next) return row.until;
  const a = (row.y + row.dot) * app.zoom, b = (next.y + next.dot) * app.zoom;
  return row.until + (next.at - row.until) * (b > a ? (y - a) / (b - a) : 0);
}

/** lastIndex is the last index for which an ordered test holds, or -1. */
function lastIndex(list, holds) {
  let low = 0, high = list.length;
  while (low < high) {
    const mid = (low + high) >> 1;
    if (holds(list[mid])) low = mid + 1;
    else high = mid;
  }
  return low - 1;
}

/** visibleRows returns the range of rows in the window. */
function visibleRows(app) {
  const { rows } = app.layout;
  const first = Math.max(0, lastIndex(rows, (row) => rowTop(app, row) < app.top - 200));
  const last = lastIndex(rows, (row) => rowTop(app, row) < app.top + app.height + 60);
  return [first, last];
}

/** zoomTo changes the zoom and keeps the moment under a place of the window where it is. */
function zoomTo(app, factor, windowY = app.height / 2) {
  if (app.scale === "order") {
    const fixed = (app.top + windowY) / app.zoom;
    const least = Math.min(0.2, app.height / app.layout.height);
    app.zoom = Math.max(least, Math.min(3, app.zoom * factor));
    app.top = fixed * app.zoom - windowY;
  } else {
    const at = yTime(app, app.top + windowY);
    const least = (app.height - 60) / Math.max(1, app.model.end);
    app.perNs = Math.max(least, Math.min(0.05, app.perNs * factor)); // at most 50 pixels a microsecond
    app.top = timeY(app, at) - windowY;
  }
  clampTop(app);
}

function clampTop(app) {
  app.top = Math.max(0, Math.min(app.top, totalHeight(app) - app.height));
}

/** setScale changes between order and time, and keeps the middle of the window (or the selected step) in its place. */
function setScale(app, scale) {
  if (scale === app.scale) return;
  const keep = app.selected && app.layout.rowOf[app.selected.i] >= 0 ? app.selected.at : yTime(app, app.top + app.height / 2);
  const windowY = Math.max(40, Math.min(app.height - 40, timeY(app, keep) - app.top));
  if (scale === "time" && !app.perNs) {
    const [first, last] = visibleRows(app);
    const rows = app.layout.rows;
    const seen = rows.length ? rows[last].until - rows[first].at : 0;
    app.perNs = app.height / Math.max(1e3, seen || app.model.end);
  }
  app.scale = scale;
  app.top = timeY(app, keep) - windowY;
  clampTop(app);
}
