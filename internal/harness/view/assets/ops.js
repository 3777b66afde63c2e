// ops.js: the operations of clients, as the test saw them: bars from call to return, on lanes of their own at the right.

const OP_WIDTH = 132, OP_NARROW = 64, LANE_LEAST = 24; // pixels: an operation's lane, and what a node's name needs

/** readOps pairs the calls and returns of a run, and gives operations of one client that overlap slots beside each other. */
function readOps(model, run) {
  const open = new Map(), clients = new Map();
  run.ops = [];
  for (const s of run.steps) {
    const key = s.node + "\0" + s.name;
    if (s.kind === "called") {
      const op = { run: run.index, node: s.node, what: s.value, call: s, ret: null, slot: 0, lane: 0 };
      open.set(key, op);
      run.ops.push(op);
      s.op = op;
    } else if (s.kind === "returned" && open.has(key)) {
      const op = open.get(key);
      open.delete(key);
      op.ret = s;
      s.op = op;
    }
  }
  for (const op of run.ops) {
    if (!clients.has(op.node)) clients.set(op.node, []);
    const slots = clients.get(op.node), end = op.ret ? op.ret.at : Infinity;
    let k = slots.findIndex((until) => until <= op.call.at);
    if (k < 0) k = slots.push(0) - 1;
    slots[k] = end;
    op.slot = k;
  }
  const first = model.opLanes.length;
  for (const node of [...clients.keys()].sort((a, b) => a - b)) {
    clients.get(node).forEach((_, slot) => model.opLanes.push({ run: run.index, node, slot }));
  }
  for (const op of run.ops) op.lane = first + model.opLanes.slice(first).findIndex((l) => l.node === op.node && l.slot === op.slot);
}

/** lanesEnd is where the lanes of the nodes end, and those of the operations begin. */
function lanesEnd(app) {
  return app.width - opsRoom(app);
}

/** opsRoom is how wide the lanes of the operations are together. */
function opsRoom(app) {
  const n = app.model.opLanes.length;
  if (!n) return 0;
  const room = Math.max(app.width * 0.3, Math.min(app.width * 0.55, app.width - GUTTER - LANE_LEAST * app.model.lanes.length));
  app.opWidth = Math.min(Math.max(OP_NARROW, Math.min(OP_WIDTH, (app.width * 0.4) / n)), Math.max(room / n, OP_NARROW / 2));
  return Math.min(n * app.opWidth, room);
}

function opX(app, lane) {
  return lanesEnd(app) + lane * app.opWidth;
}

/** opBox is where an operation's bar is in the window: [x, y, width, height]. */
function opBox(app, op) {
  const place = (s) => (stepY(app, s) ?? timeY(app, s.at)) - app.top;
  const y = place(op.call), end = op.ret ? place(op.ret) : Math.max(y, totalHeight(app) - app.top - 10);
  return [opX(app, op.lane), y - 6, app.opWidth - 6, Math.max(15, end - y - 2)];
}

function opText(op) {
  return `n${op.node}: ${printable(op.what)}` + (op.ret ? ` = ${printable(op.ret.value)}` : ", no answer");
}

/** isWrong reports whether the failure is about the operation. */
function isWrong(app, op) {
  const { key, steps } = app.model.runs[op.run];
  return key >= 0 && (steps[key] === op.call || steps[key] === op.ret || (op.ret !== null && op.ret.named && op.ret.node === steps[key].node && op.ret.at === steps[key].at));
}

function drawOps(app) {
  const { ctx, theme, model } = app;
  if (!model.opLanes.length) return;
  ctx.textAlign = "left";
  const x0 = lanesEnd(app);
  ctx.fillStyle = theme.bg;
  ctx.fillRect(x0 - 6, 0, app.width, app.height);
  ctx.fillStyle = theme.line;
  ctx.fillRect(x0 - 5, 0, 1, app.height);
  for (const run of model.runs) {
    for (const op of run.ops) drawOp(app, op);
  }
}

function drawOp(app, op) {
  const { ctx, theme } = app;
  const [x, y, w, h] = opBox(app, op);
  if (y > app.height || y + h < 0 || x > app.width) return;
  const wrong = isWrong(app, op), chosen = app.selected !== null && app.selected.op === op;
  ctx.fillStyle = theme.panel;
  ctx.strokeStyle = wrong ? theme.bad : chosen ? theme.accent : theme.muted;
  ctx.lineWidth = wrong || chosen ? 2.5 : 1;
  ctx.setLineDash(op.ret ? [] : [4, 3]);
  ctx.beginPath();
  ctx.roundRect(x, y, w, h, 4);
  ctx.fill();
  ctx.stroke();
  ctx.setLineDash([]);
  ctx.save();
  ctx.clip();
  const most = Math.floor((w - 8) / charWidth), top = Math.max(y, 0);
  const lines = wrapText((wrong ? "✗ " : "") + printable(op.what), most).concat(wrapText(op.ret ? "= " + printable(op.ret.value) : "no answer", most));
  const fit = Math.max(1, Math.floor((y + h - top - 2) / 13));
  const said = lines.length <= fit ? lines : fit === 1 ? [shorten(opText(op).replace(/^n\d+: /, wrong ? "✗ " : ""), most)] : [...lines.slice(0, fit - 1), shorten(lines.slice(fit - 1).join(" "), most)];
  ctx.fillStyle = wrong ? theme.bad : theme.ink;
  said.forEach((line, k) => ctx.fillText(line, x + 4, top + 8 + 13 * k));
  ctx.restore();
}

function wrapText(text, most) {
  const out = [];
  for (let k = 0; k < text.length && out.length < 6; k += most) out.push(text.slice(k, k + most));
  return out;
}

/** hitOp returns the step of the operation at a place of the window, or null. */
function hitOp(app, x, y) {
  if (!app.model.opLanes.length || x < lanesEnd(app) - 5) return null;
  for (const run of app.model.runs) {
    for (const op of run.ops) {
      const [bx, by, w, h] = opBox(app, op);
      if (x >= bx && x <= bx + w && y >= by && y <= by + h) return op.ret && y > by + h / 2 ? op.ret : op.call;
    }
  }
  return null;
}

/** opHeads names the lanes of the operations. */
function opHeads(app) {
  return app.model.opLanes.map((lane, k) => {
    const el = make("div", { class: "head op" }, make("b", {}, (app.model.compares ? "AB"[lane.run] + " " : "") + "n" + lane.node),
      make("span", {}, lane.slot ? "overlapping" : "operations"));
    el.style.left = opX(app, k) + "px";
    el.style.width = app.opWidth - 6 + "px";
    return el;
  });
}
