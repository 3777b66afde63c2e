// hit.js: the pointer on the diagram: what is under it, what it says, and dragging and zooming.

/** hitTest returns what is at a place of the window: {step} or {fold: row}, or null. */
function hitTest(app, x, y) {
  const op = hitOp(app, x, y);
  if (op) return { step: op };
  const [first, last] = visibleRows(app);
  let best = null, distance = 9;
  for (let k = first; k <= last; k++) {
    const row = app.layout.rows[k];
    if (!row) continue;
    if (row.fold) {
      const top = rowTop(app, row) - app.top;
      if (app.scale === "order" && y >= top && y < top + row.h * app.zoom) return { fold: row };
      continue;
    }
    for (const item of [...row.labels.items, ...row.labels.full]) {
      if (item.box && x >= item.box[0] && x <= item.box[0] + item.box[2] && Math.abs(y - item.box[1] - item.box[3] / 2) <= 7) return { step: item.step };
    }
    for (const s of row.steps) {
      if (s.lane < 0) continue;
      const d = Math.hypot(laneX(app, s.lane) - x, stepY(app, s) - app.top - y);
      if (d < distance) [best, distance] = [s, d];
    }
  }
  return best ? { step: best } : hitArrow(app, x, y);
}

function hitArrow(app, x, y) {
  let best = null, distance = 6;
  for (const a of app.model.arrows) {
    if (!arrowShown(app, a)) continue;
    const y0 = stepY(app, a.sent) - app.top, y1 = a.end ? stepY(app, a.end) - app.top : y0;
    if (y < y0 - 8 || y > Math.max(y1, y0) + 30) continue;
    const points = arrowLine(app, a);
    for (let k = 1; k < points.length; k++) {
      const d = toSegment(x, y, points[k - 1], points[k]);
      if (d < distance) [best, distance] = [a, d];
    }
  }
  return best ? { step: best.end || best.sent } : null;
}

/** toSegment is the distance of a point from a line from a to b. */
function toSegment(x, y, [ax, ay], [bx, by]) {
  const dx = bx - ax, dy = by - ay;
  const t = Math.max(0, Math.min(1, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1)));
  return Math.hypot(ax + t * dx - x, ay + t * dy - y);
}

/** wirePointer connects the canvas. */
function wirePointer(app) {
  let drag = null;
  app.canvas.addEventListener("pointerdown", (event) => {
    drag = { y: event.clientY, top: app.top, moved: false };
    app.canvas.setPointerCapture(event.pointerId);
  });
  app.canvas.addEventListener("pointermove", (event) => {
    if (drag && event.buttons) {
      drag.moved = drag.moved || Math.abs(event.clientY - drag.y) > 4;
      if (!drag.moved) return;
      app.top = drag.top + drag.y - event.clientY;
      clampTop(app);
      app.moved();
      return;
    }
    hoverAt(app, event);
  });
  app.canvas.addEventListener("pointerup", (event) => {
    const clicked = drag && !drag.moved;
    drag = null;
    if (clicked) clickAt(app, event.offsetX, event.offsetY);
  });
  app.canvas.addEventListener("pointerleave", () => setHover(app, null));
  app.canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    setHover(app, null);
    if (event.ctrlKey || event.metaKey) zoomTo(app, Math.exp(-event.deltaY * 0.004), event.offsetY);
    else app.top += event.deltaMode === 1 ? event.deltaY * 24 : event.deltaY;
    clampTop(app);
    app.moved();
  }, { passive: false });
}

function clickAt(app, x, y) {
  const hit = hitTest(app, x, y);
  if (!hit) return app.select(null);
  if (hit.fold) return openFold(app, hit.fold);
  return app.select(hit.step, { cone: true, scroll: false });
}

/** openFold shows the steps of a fold, and all of each message among them. */
function openFold(app, row) {
  for (const s of row.steps) {
    for (const x of s.journey ? s.journey.steps : [s]) app.filter.opened.add(x.i);
  }
  app.refilter();
}

/** openBurst lists the messages of a burst each for itself. */
function openBurst(app, burst) {
  for (const s of burst.steps) app.filter.opened.add(s.i);
  app.refilter();
}

function hoverAt(app, event) {
  const hit = hitTest(app, event.offsetX, event.offsetY);
  app.canvas.style.cursor = hit ? "pointer" : "grab";
  setHover(app, hit && hit.step ? hit.step : null, event);
  if (hit && hit.fold) showTip(app, event, [make("p", {}, foldText(hit.fold)), make("p", { class: "quiet" }, "click to open")]);
}

function setHover(app, step, event) {
  if (step !== app.hover) {
    app.hover = step;
    app.redraw();
  }
  if (!step) {
    app.tip.hidden = true;
    return;
  }
  const parts = [make("p", { class: "tip-time" }, seconds(step.clock) + " · step " + app.nameOf(step)), make("p", {}, sentence({ ...step, body: "" }))];
  if (step.journey) {
    const end = firstDelivery(step.journey);
    if (end) parts.push(make("p", { class: "quiet" }, "under way for " + span(end.at - step.journey.sent.at)));
    if (step.body) parts.push(make("pre", {}, shorten(pretty(step.body), 1500)));
  }
  showTip(app, event, parts);
}

function showTip(app, event, parts) {
  const { tip } = app;
  tip.replaceChildren(...parts);
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = Math.max(4, Math.min(event.clientX + 14, innerWidth - box.width - 8)) + "px";
  tip.style.top = Math.max(4, Math.min(event.clientY + 16, innerHeight - box.height - 8)) + "px";
}
