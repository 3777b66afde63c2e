// rows.js: what is written beside the lanes, the dots on them, and the moments that matter.

/** drawRows draws dots and labels; where there is no room, a label gives way. */
function drawRows(app, first, last) {
  const { ctx } = app;
  ctx.textAlign = "left";
  const free = new Map();
  for (let k = first; k <= last; k++) {
    const row = app.layout.rows[k];
    if (!row) continue;
    const top = rowTop(app, row) - app.top;
    if (row.fold) drawFold(app, row, top, free);
    else {
      drawFull(app, row, top, free);
      drawDots(app, row);
      drawLabels(app, row, top, free);
    }
  }
  ctx.globalAlpha = 1;
}

function drawFold(app, row, top, free) {
  if (app.scale === "time") return;
  const { ctx, theme } = app;
  const h = row.h * app.zoom;
  ctx.globalAlpha = 1;
  if (row.thin) {
    ctx.fillStyle = theme.muted;
    for (let k = 0; k < 3 && app.zoom > 0.6; k++) ctx.fillRect(GUTTER - 26 + 5 * k, top + h / 2, 2, 2);
    return;
  }
  ctx.fillStyle = theme.line;
  ctx.fillRect(GUTTER - 6, top + h / 2, app.width - GUTTER, 1);
  if (top < (free.get("full") ?? -Infinity) || h < 12) return;
  const text = shorten(foldText(row), Math.floor((lanesEnd(app) - GUTTER - 40) / charWidth));
  const w = text.length * charWidth;
  ctx.fillStyle = theme.bg;
  ctx.fillRect(GUTTER + 4, top + h / 2 - 7, w + 14, 14);
  ctx.fillStyle = theme.muted;
  ctx.fillText(text, GUTTER + 10, top + h / 2);
  free.set("full", top + 14);
}

/** drawFull draws what concerns all lanes: cuts, heals, remarks of the test. */
function drawFull(app, row, top, free) {
  const { ctx, theme } = app;
  row.labels.full.forEach((item, k) => {
    const y = top + FULL_LINE * (k + 0.5) * (app.scale === "order" ? Math.min(1, app.zoom) : 1);
    ctx.globalAlpha = app.cone ? 0.5 : 1;
    ctx.fillStyle = item.bad ? theme.bad : item.heal ? theme.good : theme.muted;
    ctx.fillRect(GUTTER - 6, y, app.width - GUTTER, 1);
    if (y < (free.get("full") ?? -Infinity)) return;
    free.set("full", y + 14);
    const end = lanesEnd(app) - 10, text = shorten(item.text, Math.floor((end - GUTTER - 20) / charWidth));
    const w = text.length * charWidth + 12;
    ctx.beginPath();
    ctx.roundRect(end - w, y - 8, w, 16, 8);
    ctx.fill();
    ctx.fillStyle = theme.bg;
    ctx.fillText(text, end - w + 6, y + 0.5);
    item.box = [end - w, y - 8, w, 16];
  });
}

function drawDots(app, row) {
  const { ctx, theme } = app;
  for (const s of row.steps) {
    if (s.lane < 0) continue;
    const x = laneX(app, s.lane), y = stepY(app, s) - app.top;
    const mark = app.cone ? app.cone[s.i] : 0;
    ctx.globalAlpha = !app.cone || mark ? 1 : 0.15;
    ctx.fillStyle = mark === PAST ? theme.past : mark === FUTURE ? theme.future : s.fault ? theme.bad : theme.ink;
    disc(ctx, x, y, s.fault ? 4.5 : 3);
  }
}

/** drawLabels writes beside the lanes. From afar only changes of the role and crashes are worth it. */
function drawLabels(app, row, top, free) {
  const far = isCrowded(app);
  const dot = app.scale === "order" ? row.dot * app.zoom : row.dot;
  for (const item of row.labels.items) {
    const y = top + dot + item.line * LINE;
    item.box = null;
    if (far && !(item.chip && item.changed && isRole(app, item.step)) && !(item.step.fault && !item.step.msg)) continue;
    sayItem(item);
    if (!claim(app, free, item, y)) continue;
    drawLabel(app, item, laneX(app, item.lane) + 8 + item.x, y);
  }
}

/** claim takes the room for a label in all lanes that it runs over, or reports that another has it. */
function claim(app, free, item, y) {
  const x = laneX(app, item.lane) + 8 + item.x;
  let last = item.lane;
  while (last + 1 < app.model.lanes.length && laneX(app, last + 1) < x + item.w) last++;
  for (let lane = item.lane; lane <= last; lane++) {
    const taken = free.get(lane);
    if (taken && y < taken.until && taken.line !== y) return false;
    if (taken && taken.line === y && x < taken.x) return false;
  }
  for (let lane = item.lane; lane <= last; lane++) free.set(lane, { until: y + LINE - 1, line: y, x: x + item.w });
  return true;
}

function isRole(app, s) {
  const { role } = app.model.runs[s.run];
  return role !== null && s.name === role.name && (role.colours.has(s.value) || role.colours.has(s.old));
}

function drawLabel(app, item, x, y) {
  const { ctx, theme } = app;
  const s = item.step, mark = app.cone ? app.cone[s.i] : 0;
  ctx.globalAlpha = !app.cone || mark ? 1 : 0.15;
  item.box = [x - 2, y - 7, item.w + 2, 14];
  if (item.chip) {
    ctx.fillStyle = item.changed ? theme.chipNew : theme.chip;
    ctx.beginPath();
    ctx.roundRect(x, y - 6.5, item.w, 13, 4);
    ctx.fill();
    ctx.fillStyle = item.changed ? theme.chipInk : theme.muted;
    ctx.fillText(item.text, x + 4, y + 0.5);
    return;
  }
  ctx.fillStyle = theme.bg;
  ctx.fillRect(x - 2, y - 6.5, item.w + 4, 13);
  ctx.globalAlpha = !app.cone || mark ? 1 : 0.15;
  ctx.fillStyle = item.bad ? theme.bad : item.heal ? theme.good : item.quiet ? theme.muted : item.method ? methodColour(app, item.method) : theme.ink;
  ctx.fillText(item.text, x, y + 0.5);
}

/** drawMoments draws the broken rule, the first difference and the selected step. */
function drawMoments(app) {
  const { ctx, theme, model } = app;
  ctx.setLineDash([]);
  for (const run of model.runs) {
    if (run.broke === null) continue;
    const { failure } = run;
    const what = failure ? printable(failure.what) + (failure.rule ? ` (${printable(failure.rule)})` : "") : "the rule broke here";
    banner(app, brokenY(app, run) - app.top, (model.compares ? "AB"[run.index] + ": " : "") + "✗ " + what, theme.bad);
  }
  if (model.difference) banner(app, partY(app) - app.top, "the runs part here: " + printable(model.difference.text), theme.accent);
  const s = app.selected;
  if (!s || app.layout.rowOf[s.i] < 0) return;
  const y = stepY(app, s) - app.top;
  ctx.strokeStyle = theme.accent;
  ctx.lineWidth = 2;
  const ring = (lane) => {
    if (lane < 0) return;
    ctx.beginPath();
    ctx.arc(laneX(app, lane), y, 7.5, 0, 7);
    ctx.stroke();
  };
  if (s.lane >= 0) ring(s.lane);
  ctx.globalAlpha = 0.1;
  ctx.fillStyle = theme.accent;
  ctx.fillRect(0, y - 10, app.width, 20);
  ctx.globalAlpha = 1;
}

/** brokenY is where a run's rule broke: below all that happened at that moment. */
function brokenY(app, run) {
  const row = app.layout.rows[lastIndex(app.layout.rows, (r) => r.at <= run.broke)];
  if (app.scale === "time" || !row) return timeY(app, run.broke) + 8;
  return (row.y + row.h) * app.zoom + 4;
}

/** partY is where two runs part: above the first row of that moment, in the room that stackRows left. */
function partY(app) {
  const { at } = app.model.difference, { rows } = app.layout;
  const row = rows[lastIndex(rows, (r) => r.until < at) + 1];
  if (app.scale === "time" || !row) return timeY(app, at) - 8;
  return (row.y - BANNER + 4) * app.zoom;
}

function banner(app, y, text, colour) {
  if (y < -20 || y > app.height + 20) return;
  const { ctx, theme } = app;
  ctx.globalAlpha = 1;
  ctx.fillStyle = colour;
  ctx.fillRect(0, y - 1, app.width, 2);
  const said = shorten(text, Math.floor((app.width - GUTTER - 24) / charWidth));
  const w = said.length * charWidth + 16;
  const x = app.scale === "order" ? GUTTER - 6 : app.width - w - 6; // in true time there is no room made for it
  ctx.beginPath();
  ctx.roundRect(x, y - 1, w, 18, [0, 0, 6, 6]);
  ctx.fill();
  ctx.fillStyle = theme.bg;
  ctx.textAlign = "left";
  ctx.fillText(said, x + 8, y + 8.5);
}
