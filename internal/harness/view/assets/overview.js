// overview.js: the whole run in a narrow strip: where much happens, where faults are, where the rule broke, and the window.

function drawOverview(app) {
  const box = app.strip.getBoundingClientRect(), ratio = app.ratio || window.devicePixelRatio || 1;
  const w = box.width, h = box.height, { theme } = app;
  if (app.strip.width !== Math.round(w * ratio) || app.strip.height !== Math.round(h * ratio)) {
    app.strip.width = Math.round(w * ratio);
    app.strip.height = Math.round(h * ratio);
  }
  const ctx = app.strip.getContext("2d");
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, w, h);
  const total = Math.max(totalHeight(app), app.height);
  const place = (y) => (y / total) * h;
  for (const run of app.model.runs) {
    for (const e of run.epochs) {
      if (!e.cut.size) continue;
      ctx.fillStyle = theme.bands[0];
      ctx.fillRect(0, place(timeY(app, e.from)), w, Math.max(1, place(timeY(app, e.to)) - place(timeY(app, e.from))));
    }
  }
  drawDensity(app, ctx, w, h, place);
  for (const run of app.model.runs) {
    if (run.broke === null) continue;
    ctx.fillStyle = theme.bad;
    ctx.fillRect(0, place(brokenY(app, run)) - 1.5, w, 3);
  }
  const top = place(app.top), tall = Math.max(8, place(app.height));
  ctx.globalAlpha = 0.14;
  ctx.fillStyle = theme.accent;
  ctx.fillRect(0, top, w, tall);
  ctx.globalAlpha = 1;
  ctx.strokeStyle = theme.accent;
  ctx.lineWidth = 1.5;
  ctx.strokeRect(1, top + 0.5, w - 2, Math.min(tall, h - top) - 1);
}

/** drawDensity draws a bar for every two pixels: grey what happened, red the faults. */
function drawDensity(app, ctx, w, h, place) {
  const bins = Math.ceil(h / 2), all = new Float64Array(bins), bad = new Float64Array(bins);
  let most = 1;
  for (const s of app.model.steps) {
    const y = stepY(app, s);
    if (y === null) continue;
    const k = Math.min(bins - 1, Math.max(0, Math.floor(place(y) / 2)));
    if (s.fault) bad[k]++;
    most = Math.max(most, ++all[k]);
  }
  for (let k = 0; k < bins; k++) {
    if (!all[k]) continue;
    ctx.fillStyle = app.theme.muted;
    ctx.globalAlpha = 0.45;
    ctx.fillRect(3, k * 2, 3 + (w - 8) * Math.sqrt(all[k] / most), 2);
    if (!bad[k]) continue;
    ctx.globalAlpha = 1;
    ctx.fillStyle = app.theme.bad;
    ctx.fillRect(3, k * 2, 2 + (w - 8) * Math.sqrt(bad[k] / most), 2);
  }
  ctx.globalAlpha = 1;
}

/** wireOverview makes the strip a scroll bar. */
function wireOverview(app) {
  const jump = (event) => {
    const box = app.strip.getBoundingClientRect();
    const total = Math.max(totalHeight(app), app.height);
    app.top = ((event.clientY - box.top) / box.height) * total - app.height / 2;
    clampTop(app);
    app.moved();
  };
  app.strip.addEventListener("pointerdown", (event) => {
    app.strip.setPointerCapture(event.pointerId);
    jump(event);
  });
  app.strip.addEventListener("pointermove", (event) => { if (event.buttons) jump(event); });
}
