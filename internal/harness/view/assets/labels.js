// labels.js: what is written in a row: messages and deeds beside the lanes, cuts and remarks across all of them.

const MOST = 460, NARROW = 150; // pixels: the longest text, and a lane in which names are abbreviated
let charWidth = 6.6; // of the diagram's font; fitCanvas measures it

/**
 * labelsOf returns what a row says: {full: texts across all lanes, items: texts beside the lanes, lines: the most below
 * each other}. A text may run on over lanes that say nothing in this row.
 */
function labelsOf(app, row) {
  const out = { full: [], items: [], lines: 1 };
  const sends = new Map(), links = new Set();
  const put = (lane, item) => {
    item.lane = lane;
    out.items.push(item);
  };
  for (const s of row.steps) {
    const burst = row.bursts.get(s);
    if (burst && s.msg) {
      if (burst.first === s) putBurst(app, burst, put);
      continue;
    }
    if (s.kind === "cut" || s.kind === "healed") addCut(app, out, links, s);
    else if (s.kind === "marked") addFull(app, out, { step: s, text: "test: " + printable(s.value) });
    else if (s.kind === "sent") addSend(sends, s);
    else describe(app, s, put);
    if (s.kind === "delivered" || s.kind === "noted") putSends(app, sends, put); // what follows is done with the message in hand
  }
  putSends(app, sends, put);
  placeItems(app, out);
  return out;
}

/** putBurst puts one label for many messages of one instant. */
function putBurst(app, burst, put) {
  const s = burst.first, bad = s.fault || s.copy > 0;
  const lane = s.kind === "delivered" || (s.kind === "lost" && s.journey && s.journey.sent.at !== s.at) ? s.toLane : s.fromLane;
  put(lane, { step: s, say: () => burstText(burst, shortName(app, s)), bad, quiet: s.kind === "sent", method: s.method });
}

/**
 * placeItems gives each text its line and its place in it. Chips stand beside each other. Texts are made when they
 * are drawn: most of a long run never is.
 */
function placeItems(app, out) {
  const used = new Map(); // lane -> {line, x, chip, said}
  const lanes = [...new Set(out.items.map((item) => item.lane))].sort((a, b) => a - b);
  const kept = [];
  for (const item of out.items) {
    const next = lanes[lanes.indexOf(item.lane) + 1];
    const until = next === undefined ? lanesEnd(app) : laneX(app, next) - 12;
    item.room = Math.max(app.laneWidth - 20, Math.min(until - laneX(app, item.lane) - 16, MOST));
    if (!used.has(item.lane)) used.set(item.lane, { line: -1, x: 0, chip: false, said: "" });
    const at = used.get(item.lane);
    if (item.chip) {
      sayItem(item);
      if (item.quiet && at.said.includes(item.text + "\n")) continue;
      at.said += item.text + "\n";
    }
    if (!(item.chip && at.chip && at.x + item.w <= item.room)) {
      at.line++;
      at.x = 0;
    }
    [item.line, item.x, item.box] = [at.line, at.x, null];
    at.x += item.chip ? item.w + 4 : 0;
    at.chip = item.chip === true;
    kept.push(item);
    out.lines = Math.max(out.lines, at.line + 1);
  }
  out.items = kept;
}

/** sayItem makes the text of a label and measures it. */
function sayItem(item) {
  if (item.text !== undefined) return;
  const most = Math.max(3, Math.floor(item.room / charWidth));
  item.text = shorten(item.say(most), most);
  item.w = item.text.length * charWidth + (item.chip ? 8 : 0);
}

/** shortName is a message's name where there is room, and else its initials: "AE" for AppendEntries. */
function shortName(app, s) {
  const name = printable(s.method), back = s.message === "reply" ? "↩ " : "";
  return back + (app.laneWidth < NARROW ? initials(name) : name);
}

function initials(name) {
  const caps = name.replace(/[^\p{Lu}\d]/gu, "");
  return caps.length > 1 ? caps : name;
}

function addCut(app, out, links, s) {
  const { epoch } = s;
  if (links.has(epoch)) return;
  links.add(epoch);
  addFull(app, out, { step: s, text: epoch.text, bad: epoch.cut.size > 0, heal: epoch.cut.size === 0 });
}

/** addFull adds a text across all lanes: one for both runs where they say the same. */
function addFull(app, out, item) {
  if (app.model.compares) {
    const twin = out.full.find((x) => x.said === item.text && x.step.run !== item.step.run);
    if (twin) {
      twin.text = twin.said;
      return;
    }
    item.said = item.text;
    item.text += ` (${"AB"[item.step.run]})`;
  }
  out.full.push(item);
}

/** addSend gathers sends that say the same to several nodes. */
function addSend(sends, s) {
  const ends = s.journey ? s.journey.steps.filter((x) => x.at === s.at && x !== s && x.kind !== "delivered") : [];
  const fate = ends.map((x) => (x.kind === "lost" ? (x.reason === "loss" ? "lost" : printable(x.reason)) : x.kind)).join(", ");
  if (s.message === "reply" && !fate && !neverEnds(s)) return; // it is told where it arrives
  const key = [s.fromLane, s.method, s.message, s.body, fate].join("\0");
  if (!sends.has(key)) sends.set(key, { step: s, to: [], fate });
  sends.get(key).to.push("n" + s.to);
}

/** neverEnds reports whether a message was still under way when the record ended. */
function neverEnds(s) {
  return s.journey !== null && s.journey.ends.length === 0;
}

function putSends(app, sends, put) {
  for (const { step, to, fate } of sends.values()) {
    const list = to.length > 4 ? to.length + " nodes" : to.join(" ");
    const what = (most) => sayBody(shortName(app, step), step.body, most);
    const sign = /^(held|duplicated|altered)/.test(fate) ? "○" : "✕";
    if (fate) put(step.fromLane, { step, say: (most) => said(`${sign} ${list} (${fate}) `, what, most), bad: true });
    else put(step.fromLane, { step, say: (most) => said(`→ ${list} `, what, most), quiet: true });
  }
  sends.clear();
}

/** said puts words before what is said, which gets the room that they leave. */
function said(words, what, most) {
  return words + what(most - words.length);
}

/** sayBody writes a message's name and body. Where that is too long, what is empty or zero goes first: hovering shows all. */
function sayBody(name, body, most) {
  const filled = (v) => v !== null && v !== "" && !(Array.isArray(v) && v.length === 0);
  let text = name;
  for (const keep of [() => true, filled, (v) => filled(v) && v !== 0]) {
    text = name + goLike(body, keep);
    if (text.length <= most) break;
  }
  return text;
}

/** describe puts the label of any other step. */
function describe(app, s, put) {
  const name = () => shortName(app, s);
  const elsewhere = s.journey && s.journey.sent.at === s.at && s.journey.sent !== s; // its send tells it
  switch (s.kind) {
    case "delivered":
      return put(s.toLane, { step: s, say: (most) => sayBody((s.copy ? "dup " : "") + name(), s.body, most), method: s.method, bad: s.copy > 0 });
    case "lost":
      if (elsewhere) return undefined;
      return put(s.toLane, { step: s, say: () => `✕ ${s.reason === "loss" ? "lost" : printable(s.reason)}: ${name()} of n${s.from}`, bad: true });
    case "held": case "released": case "altered": case "duplicated":
      if (elsewhere) return undefined;
      return put(s.fromLane, { step: s, say: () => `${name()} →n${s.to} ${s.kind}`, bad: s.kind !== "released" });
    case "noted":
      return put(s.lane, { step: s, say: () => `${printable(s.name)} ${printable(s.value)}`, chip: true, changed: s.old !== s.value });
    case "wrote":
      return put(s.lane, { step: s, say: () => `${s.value === "deleted" ? "✗" : "✎"} ${printable(s.name)}`, chip: true, quiet: true });
    case "called":
      return put(s.lane, { step: s, say: () => `▷ ${printable(s.value)}` });
    case "returned":
      return put(s.lane, { step: s, say: () => `◁ = ${printable(s.value)}` });
    case "told":
      return put(s.lane, { step: s, say: () => `⇧ delivers ${printable(s.value)}`, heal: true });
    case "logged":
      return put(s.lane, { step: s, say: () => `“${printable(s.value)}”`, quiet: true });
    case "started":
      return put(s.lane, { step: s, say: () => (s.inc > 1 ? `▸ restarted (${s.inc})` : "▸ starts"), quiet: s.inc < 2, heal: s.inc > 1 });
    case "crashed":
      return put(s.lane, { step: s, say: () => "✖ crashed" + (s.reason ? ": " + printable(s.reason) : ""), bad: true });
    case "stopped":
      return put(s.lane, { step: s, say: () => "✖ stopped forever", bad: true });
    case "paused":
      return put(s.lane, { step: s, say: () => "‖ paused " + printable(s.value), bad: true });
    case "resumed":
      return put(s.lane, { step: s, say: () => "▸ goes on", heal: true });
    case "clock":
      return put(s.lane, { step: s, say: () => "◷ " + printable(s.value), bad: true });
  }
  return undefined;
}

/** foldText says what a fold row stands for: "… 14 × AppendEntries n1→n2 n3". */
function foldText(row) {
  if (row.text) return row.text;
  const seen = new Set(), counts = new Map();
  let lost = 0;
  for (const s of row.steps) {
    if (s.kind === "lost") lost++;
    if (!s.journey || seen.has(s.journey)) continue;
    seen.add(s.journey);
    const name = messageName(s);
    counts.set(name, (counts.get(name) || 0) + 1);
  }
  const parts = [...counts].filter(([name]) => !name.endsWith(" reply") || !counts.has(name.slice(0, -6)))
    .map(([name, n]) => `${n} × ${name}`);
  row.text = "… " + parts.join(", ") + (lost ? ` (${lost} lost)` : "");
  return row.text;
}
