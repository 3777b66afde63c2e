// detail.js: the selected step in full, and what every node had noted by then.

/** showDetail fills the panel for the selected step. */
function showDetail(app) {
  const s = app.selected;
  app.detail.replaceChildren(...(s ? stepParts(app, s) : [make("p", { class: "quiet" }, "Choose an event: click it, or press ↓.")]));
  const at = s || lastShown(app);
  app.stateBox.replaceChildren(...(at ? app.model.runs.map((run) => stateTable(app, run, at)) : []));
}

/**
 * lastShown is the last step above the middle of the window: what the state table speaks of where nothing is selected. In a run that
 * goes on it is the last step.
 */
function lastShown(app) {
  const { steps } = app.model;
  if (app.live) return steps[steps.length - 1];
  const at = yTime(app, app.top + app.height / 2);
  return steps[Math.max(0, lastIndex(steps, (s) => s.at <= at))];
}

function stepParts(app, s) {
  const rows = [["time", `${seconds(s.clock)} (${s.clock} ns)`], ["step", app.nameOf(s)]];
  if (s.node) rows.push(["node", `n${s.node}, incarnation ${s.inc}`]);
  if (s.msg) rows.push(...messageRows(s));
  if (s.kind === "noted" && s.old !== null) rows.push(["before", printable(s.old)]);
  const parts = [
    make("p", { class: "sentence" }, sentence({ ...s, body: "" })),
    make("dl", {}, ...rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])),
  ];
  const jumps = jumpButtons(app, s);
  if (jumps.length) parts.push(make("p", { class: "jumps" }, ...jumps));
  if (s.body) parts.push(make("pre", { class: "body", tabindex: "0", "aria-label": "the message" }, pretty(s.body)));
  const sent = s.journey ? s.journey.sent : s;
  if (sent.source) parts.push(sourceParts(app, sent));
  return parts;
}

function messageRows(s) {
  const rows = [["message", `${messageName(s)} #${s.number} of n${s.from}→n${s.to}` + (s.copy ? `, copy ${s.copy}` : "")]];
  if (s.type) rows.push(["type", printable(s.type)]);
  if (s.journey) {
    const end = firstDelivery(s.journey), { ends } = s.journey;
    if (end) rows.push(["latency", span(end.at - s.journey.sent.at)]);
    else if (ends.length) rows.push(["fate", "lost: " + printable(ends[0].reason)]);
    else rows.push(["fate", "still under way at the end"]);
  }
  return rows;
}

/** jumpButtons lead along the message and between request and reply. */
function jumpButtons(app, s) {
  const out = [], j = s.journey;
  const add = (text, to) => {
    if (to && to !== s) out.push(make("button", { type: "button", onclick: () => app.select(to, { cone: Boolean(app.cone) }) }, text));
  };
  if (!j) return out;
  add("← its send", j.sent);
  for (const end of j.ends) add(end.kind === "lost" ? "→ its loss" : end.copy ? "→ the duplicate" : "→ its delivery", end);
  add("its request", j.request && j.request.sent);
  add("its reply", j.reply && j.reply.sent);
  return out;
}

/** sourceParts shows the lines around the send. */
function sourceParts(app, sent) {
  const snip = app.model.runs[sent.run].snips[sent.source];
  const name = printable(sent.source);
  const head = snip && snip.link
    ? make("a", { href: snip.link, target: "_blank", rel: "noopener noreferrer" }, name)
    : make("span", {}, name);
  const box = make("div", { class: "source" }, make("p", {}, "sent by ", head));
  if (snip && snip.lines) {
    box.append(make("pre", { tabindex: "0", "aria-label": "source" }, ...snip.lines.map((line, k) => make("span", {
      class: "code" + (snip.first + k === snip.line ? " here" : ""),
    }, String(snip.first + k).padStart(4) + "  " + printable(line.replaceAll("\t", "    ")) + "\n"))));
  }
  return box;
}

/** stateTable says what each node of a run had noted at a step. */
function stateTable(app, run, at) {
  const lanes = app.model.lanes.filter((lane) => lane.run === run.index);
  const head = make("tr", {}, make("th", { scope: "col" }, "node"), ...run.names.map((name) => make("th", { scope: "col" }, printable(name))));
  const rows = lanes.map((lane) => {
    const sp = spanAt(lane, at.at);
    const state = !sp ? "not started" : { up: "", paused: "paused", down: "crashed", stopped: "stopped", over: "" }[sp.state];
    const cells = run.names.map((name) => {
      const note = noteAt(lane, name, at);
      const fresh = note && note.at === at.at;
      const role = note && run.role && name === run.role.name && run.role.colours.has(note.value);
      return make("td", { class: (fresh ? "fresh" : "") + (role ? " role r" + run.role.colours.get(note.value) : "") },
        note ? shorten(printable(note.value), 24) : "–");
    });
    return make("tr", { class: state ? "down" : "" },
      make("th", { scope: "row" }, lane.name, state ? make("small", {}, " " + state) : null), ...cells);
  });
  const which = app.model.compares ? ` of run ${"AB"[run.index]}` : "";
  const strips = logStrips(app, run, at);
  if (!run.names.length) {
    return make("div", { class: "quiet" }, make("p", {}, make("b", {}, "State" + which), strips ? "" : " – no node has noted anything. ", strips ? "" : make("code", {}, 'node.Note("role", role)'), strips ? "" : " in your code fills this table: one column for each name."), strips);
  }
  const table = make("table", {}, make("caption", {}, `State${which} at ${seconds(Math.max(0, at.at - run.shift))}`), make("thead", {}, head), make("tbody", {}, ...rows));
  return strips ? make("div", {}, table, strips) : table;
}

/** cutOf says on which side of a partition a node is, or which of its links are cut. */
function cutOf(run, node, at) {
  const epoch = at && run.epochs.findLast((e) => e.from <= at.at && at.at <= e.to);
  if (!epoch || !epoch.cut.size) return null;
  const group = epoch.groups.findIndex((g) => g.includes(node));
  const names = (list) => list.map((n) => "n" + n).join(" ");
  let text = "";
  if (epoch.groups.length > 1) {
    const others = epoch.groups[group].filter((n) => n !== node);
    text = group === 0 && others.length ? "" : others.length ? "cut off, with " + names(others) : "cut off";
  } else {
    const to = [...epoch.cut].map((l) => l.split(">").map(Number)).filter(([a]) => a === node).map(([, b]) => b);
    text = to.length ? "cut → " + names(to) : "";
  }
  return text ? make("small", { class: "cut", title: text }, " " + text) : null;
}

/** drawHeads names the lanes, with the role that each node has at the selected step or in the middle of the window. */
function drawHeads(app) {
  const at = app.selected || lastShown(app);
  const key = at ? at.i + " " + app.laneWidth : "";
  if (key === app.headsKey) return;
  app.headsKey = key;
  app.heads.replaceChildren(...app.model.lanes.map((lane) => {
    const run = app.model.runs[lane.run], sp = at ? spanAt(lane, at.at) : null;
    const note = run.role && at ? noteAt(lane, run.role.name, at) : null;
    const away = sp && { paused: "paused", down: "crashed", stopped: "stopped" }[sp.state];
    const colour = note && run.role.colours.has(note.value) ? " r" + run.role.colours.get(note.value) : "";
    const el = make("div", { class: app.laneWidth < 2 * LANE_LEAST ? "head thin" : "head" }, make("b", {}, (app.model.compares ? "AB"[lane.run] + " " : "") + lane.name, cutOf(run, lane.node, at)),
      make("span", { class: away ? "away" : "role" + colour }, away || (note ? shorten(printable(note.value), 16) : "")));
    el.style.left = laneX(app, lane.index) - 12 + "px";
    el.style.width = app.laneWidth - 2 + "px";
    return el;
  }), ...opHeads(app));
}
