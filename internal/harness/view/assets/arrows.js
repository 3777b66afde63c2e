// arrows.js: messages, and what stands at the lanes' dots.

/** arrowShown reports whether an arrow's steps are shown. */
function arrowShown(app, a) {
  return app.shown[a.sent.i] === 1 && (!a.end || app.shown[a.end.i] === 1);
}

/** arrowLine returns the corners of an arrow in the window, from sender to receiver, or to where it was lost. */
function arrowLine(app, a) {
  const x0 = laneX(app, a.fromLane), x1 = laneX(app, a.toLane);
  const y0 = stepY(app, a.sent) - app.top;
  const points = [[x0, y0]];
  if (a.fromLane === a.toLane) points.push([x0 - 9, y0 + 5]);
  for (const mark of a.marks) {
    const y = stepY(app, mark);
    if (y === null || mark.at === a.sent.at || mark.kind === "duplicated") continue;
    points.push([x0 + (x1 - x0) * 0.3, y - app.top]);
  }
  if (!a.end) {
    points.push([x0 + (x1 - x0) * 0.4, points[points.length - 1][1] + 16]);
    return points;
  }
  let y1 = stepY(app, a.end) - app.top;
  if (!a.lost) {
    points.push([a.fromLane === a.toLane ? x0 : x1 + (x1 > x0 ? -3 : 3), y1]);
    return points;
  }
  const atOnce = a.end.at === a.sent.at;
  const reach = atOnce ? Math.min(0.45, 46 / Math.abs(x1 - x0 || 1)) : a.end.reason.startsWith("cut") ? 0.6 : 0.88;
  if (atOnce) y1 += 9 * Math.min(1, app.scale === "order" ? app.zoom : 1);
  points.push([x0 + (x1 - x0) * reach, y1]);
  return points;
}

/** isCrowded reports whether rows are too close for details. */
function isCrowded(app) {
  return app.layout.rows.length > 0 && totalHeight(app) / app.layout.rows.length < 6;
}

/** drawArrows draws the messages that cross the window. */
function drawArrows(app) {
  const seen = new Set();
  const crowded = isCrowded(app);
  for (const a of app.model.arrows) {
    if (!arrowShown(app, a)) continue;
    const y0 = stepY(app, a.sent) - app.top;
    if (y0 > app.height + 40) continue;
    const y1 = a.end ? stepY(app, a.end) - app.top : y0 + 16;
    if (y1 < -40) continue;
    if (crowded) {
      const key = a.fromLane + " " + a.toLane + " " + a.lost + " " + Math.round(y0 / 2) + " " + Math.round(y1 / 2);
      if (seen.has(key)) continue;
      seen.add(key);
    }
    drawArrow(app, a, crowded);
  }
  app.ctx.globalAlpha = 1;
  app.ctx.setLineDash([]);
}

function drawArrow(app, a, crowded) {
  const { ctx, theme } = app;
  const points = arrowLine(app, a);
  const [colour, alpha, strong] = arrowInk(app, a);
  ctx.globalAlpha = crowded ? alpha * 0.5 : alpha;
  ctx.strokeStyle = ctx.fillStyle = colour;
  ctx.lineWidth = strong ? 2.2 : a.reply ? 1 : 1.4;
  ctx.setLineDash(a.reply ? [5, 3] : a.copy ? [2, 2] : []);
  ctx.beginPath();
  points.forEach(([x, y], k) => (k ? ctx.lineTo(x, y) : ctx.moveTo(x, y)));
  ctx.stroke();
  if (crowded) return;
  ctx.setLineDash([]);
  const [x, y] = points[points.length - 1], [px, py] = points[points.length - 2];
  if (a.lost) cross(ctx, x, y, theme.bad);
  else if (a.end) arrowHead(ctx, x, y, Math.atan2(y - py, x - px), a.reply);
  else disc(ctx, x, y, 2);
  for (const mark of a.marks) drawMark(app, a, mark);
}

/** arrowInk chooses colour, opacity and weight. */
function arrowInk(app, a) {
  const { theme } = app;
  const own = a.lost || a.copy ? theme.bad : methodColour(app, a.sent.method);
  const hot = app.hover && app.hover.journey && app.hover.journey === a.sent.journey;
  if (!app.cone) {
    const chosen = app.selected && app.selected.journey === a.sent.journey;
    return [own, 0.95, hot || chosen];
  }
  const ends = [app.cone[a.sent.i], a.end ? app.cone[a.end.i] : 0];
  if (ends[0] && ends[1]) {
    const future = ends[0] === FUTURE || ends[1] === FUTURE;
    return [future ? theme.future : theme.past, 1, true];
  }
  return [own, hot ? 0.6 : 0.12, false];
}

function drawMark(app, a, mark) {
  const { ctx, theme } = app;
  const y = stepY(app, mark);
  if (y === null) return;
  const x0 = laneX(app, a.fromLane), x1 = laneX(app, a.toLane);
  const x = mark.at === a.sent.at ? x0 + Math.sign(x1 - x0) * 12 : x0 + (x1 - x0) * 0.3;
  ctx.fillStyle = theme.bg;
  ctx.strokeStyle = theme.bad;
  ctx.lineWidth = 1.5;
  ctx.beginPath();
  if (mark.kind === "altered") {
    ctx.moveTo(x, y - app.top - 5);
    ctx.lineTo(x + 5, y - app.top);
    ctx.lineTo(x, y - app.top + 5);
    ctx.lineTo(x - 5, y - app.top);
    ctx.closePath();
  } else {
    ctx.arc(x, y - app.top, 4, 0, 7);
  }
  ctx.fill();
  ctx.stroke();
}

function cross(ctx, x, y, colour) {
  ctx.strokeStyle = colour;
  ctx.lineWidth = 2;
  ctx.beginPath();
  ctx.moveTo(x - 4, y - 4);
  ctx.lineTo(x + 4, y + 4);
  ctx.moveTo(x + 4, y - 4);
  ctx.lineTo(x - 4, y + 4);
  ctx.stroke();
}

function arrowHead(ctx, x, y, angle, open) {
  ctx.beginPath();
  ctx.moveTo(x - 8 * Math.cos(angle - 0.38), y - 8 * Math.sin(angle - 0.38));
  ctx.lineTo(x, y);
  ctx.lineTo(x - 8 * Math.cos(angle + 0.38), y - 8 * Math.sin(angle + 0.38));
  if (open) ctx.stroke();
  else ctx.fill();
}

function disc(ctx, x, y, r) {
  ctx.beginPath();
  ctx.arc(x, y, r, 0, 7);
  ctx.fill();
}
