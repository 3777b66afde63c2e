// draw.js: the diagram, on a canvas: only what is in the window is drawn.

const GUTTER = 78;
const ROLE_DASHES = [[], [9, 3], [3, 3], [14, 3, 3, 3], [1, 4]]; // roles differ without their colours too
const FONT = '11px ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace';

/** readTheme takes the colours from the style sheet. */
function readTheme() {
  const css = getComputedStyle(document.documentElement);
  const get = (name) => css.getPropertyValue("--" + name).trim();
  return {
    bg: get("bg"), ink: get("ink"), muted: get("muted"), line: get("line"), accent: get("accent"), bad: get("bad"), good: get("good"),
    panel: get("panel"), badSoft: get("bad-soft"), hatch: hatches(get("muted")), past: get("past"), future: get("future"), chip: get("chip"), chipNew: get("chip-new"), chipInk: get("chip-ink"),
    methods: [0, 1, 2, 3, 4, 5, 6, 7].map((k) => get("m" + k)), roles: [0, 1, 2, 3, 4].map((k) => get("r" + k)),
    bands: [0, 1, 2].map((k) => get("band" + k)),
  };
}

/** hatches are the patterns of the groups of a partition: lines that fall, that rise, and both. */
function hatches(colour) {
  return [[1], [-1], [1, -1]].map((ways) => {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 10;
    const ctx = tile.getContext("2d");
    ctx.strokeStyle = colour;
    ctx.globalAlpha = 0.38;
    for (const way of ways) {
      for (const shift of [-10, 0, 10]) {
        ctx.beginPath();
        ctx.moveTo(shift, way > 0 ? 0 : 10);
        ctx.lineTo(shift + 10, way > 0 ? 10 : 0);
        ctx.stroke();
      }
    }
    return ctx.createPattern(tile, "repeat");
  });
}

/** fitCanvas gives the canvas the pixels of its box. */
function fitCanvas(app) {
  const box = app.canvas.parentElement.getBoundingClientRect();
  const ratio = app.ratio || window.devicePixelRatio || 1;
  app.width = Math.max(200, box.width);
  app.height = Math.max(120, box.height);
  app.canvas.width = Math.round(app.width * ratio);
  app.canvas.height = Math.round(app.height * ratio);
  app.ctx = app.canvas.getContext("2d");
  app.ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  app.ctx.font = FONT;
  charWidth = app.ctx.measureText("mmmmmmmmmm").width / 10;
  const gap = app.model.compares ? 24 : 0;
  app.laneWidth = (app.width - GUTTER - gap - opsRoom(app)) / Math.max(1, app.model.lanes.length);
  app.laneGap = gap;
}

/** laneX is the middle line of a lane. It stands at the left, for what is written to its right. */
function laneX(app, lane) {
  const { run } = app.model.lanes[lane];
  return GUTTER + app.laneGap * run + app.laneWidth * lane + 12;
}

function methodColour(app, method) {
  return app.theme.methods[app.model.methods.indexOf(method) % app.theme.methods.length];
}

/** draw draws the window. */
function draw(app) {
  const { ctx } = app;
  ctx.clearRect(0, 0, app.width, app.height);
  ctx.font = FONT;
  ctx.textBaseline = "middle";
  const [first, last] = visibleRows(app);
  drawBands(app);
  drawRules(app, first, last);
  drawLanes(app);
  drawArrows(app);
  drawRows(app, first, last);
  drawOps(app);
  drawMoments(app);
  drawOverview(app);
  drawHeads(app);
}

/** drawBands shades the lanes of the nodes that a partition cut off from the largest group. */
function drawBands(app) {
  const { ctx, theme } = app;
  for (const run of app.model.runs) {
    for (const e of run.epochs) {
      if (!e.cut.size) continue;
      const top = timeY(app, e.from) - app.top, bottom = timeY(app, e.to) - app.top;
      if (bottom < 0 || top > app.height) continue;
      e.groups.slice(1).forEach((group, k) => {
        for (const n of group) {
          for (const style of [theme.bands[k % theme.bands.length], theme.hatch[k % theme.hatch.length]]) {
            ctx.fillStyle = style;
            ctx.fillRect(laneX(app, run.firstLane + n - 1) - 10, Math.max(-20, top), app.laneWidth - 3, Math.min(app.height + 20, bottom) - Math.max(-20, top));
          }
        }
      });
      if (e.groups.length === 1) drawOneWay(app, run, e, top, bottom);
    }
  }
}

/** drawOneWay marks the senders of cut links where no partition results. */
function drawOneWay(app, run, e, top, bottom) {
  const { ctx, theme } = app;
  ctx.strokeStyle = theme.bad;
  ctx.globalAlpha = 0.45;
  ctx.lineWidth = 1;
  ctx.setLineDash([2, 4]);
  for (const n of new Set([...e.cut].map((link) => Number(link.split(">")[0])))) {
    const x = laneX(app, run.firstLane + n - 1) - 7;
    ctx.beginPath();
    ctx.moveTo(x, Math.max(0, top));
    ctx.lineTo(x, Math.min(app.height, bottom));
    ctx.stroke();
  }
  ctx.setLineDash([]);
  ctx.globalAlpha = 1;
}

/** drawRules draws the times at the left. */
function drawRules(app, first, last) {
  const { ctx, theme } = app;
  ctx.textAlign = "right";
  if (app.scale === "time") return drawTicks(app);
  let free = -Infinity, said = "";
  for (let k = first; k <= last; k++) {
    const row = app.layout.rows[k];
    if (!row || row.fold) continue;
    const y = rowTop(app, row) + row.dot * app.zoom - app.top;
    if (y < free) continue;
    const { clock, run } = row.steps[0];
    let text = seconds(clock);
    if (app.model.runs.some((r) => r.shift)) text = "AB"[run] + " " + text; // each run has times of its own
    if (text === said) continue; // the rows below a time are of the same millisecond
    said = text;
    ctx.fillStyle = theme.muted;
    ctx.fillText(text, GUTTER - 12, y);
    free = y + 13;
  }
  return undefined;
}

function drawTicks(app) {
  const { ctx, theme } = app;
  let step = 1;
  while (step * app.perNs < 46) step *= [2, 2.5, 2][Math.round(Math.log10(step) * 3) % 3];
  for (let at = Math.ceil(yTime(app, app.top) / step) * step; ; at += step) {
    const y = timeY(app, at) - app.top;
    if (y > app.height || at > app.model.end + step) break;
    ctx.fillStyle = theme.muted;
    ctx.fillText(tickText(Math.max(0, at - app.model.runs[0].shift)), GUTTER - 12, y);
    ctx.fillStyle = theme.line;
    ctx.fillRect(GUTTER - 6, y, app.width - GUTTER + 6, 0.5);
  }
}

/** tickText is the time at the axis; between two milliseconds, how long after the first. */
function tickText(at) {
  const rest = at % 1e6;
  return rest < 1e-3 || at < 1e6 ? seconds(at) : "+" + span(rest);
}

/** drawLanes draws each node's line: thick and coloured by its role, broken where it is down or paused. */
function drawLanes(app) {
  const { ctx, theme } = app;
  for (const lane of app.model.lanes) {
    const x = laneX(app, lane.index), run = app.model.runs[lane.run];
    for (const sp of lane.spans) {
      const from = timeY(app, sp.from) - app.top, to = timeY(app, sp.to) - app.top;
      if (to < 0 || from > app.height || sp.state === "over") continue;
      strokeSpan(app, x, from, to, sp.state);
      if (sp.state === "up" && run.role) drawRole(app, lane, run.role, sp, x);
    }
    if (!lane.spans.length) strokeSpan(app, x, 0, app.height, "stopped");
  }
  ctx.setLineDash([]);
  ctx.fillStyle = theme.ink;
}

function strokeSpan(app, x, from, to, state) {
  const { ctx, theme } = app;
  ctx.strokeStyle = state === "up" ? theme.muted : theme.bad;
  ctx.lineWidth = state === "up" ? 1.5 : 1;
  ctx.setLineDash(state === "up" ? [] : state === "paused" ? [5, 5] : [1, 6]);
  ctx.beginPath();
  ctx.moveTo(x, Math.max(-20, from));
  ctx.lineTo(x, Math.min(app.height + 20, to));
  ctx.stroke();
  if (state === "up") return;
  ctx.fillStyle = theme.badSoft;
  ctx.fillRect(x - 6, from, 12, Math.max(2, to - from));
}

function drawRole(app, lane, role, sp, x) {
  const { ctx, theme } = app;
  const list = (lane.notes.get(role.name) || []).filter((note) => note.step.inc === sp.inc);
  ctx.setLineDash([]);
  list.forEach((note, k) => {
    if (!role.colours.has(note.value)) return;
    const from = Math.max(note.at, sp.from), to = Math.min(k + 1 < list.length ? list[k + 1].at : Infinity, sp.to);
    if (to <= from) return;
    const a = timeY(app, from) - app.top, b = timeY(app, to) - app.top;
    if (b < 0 || a > app.height) return;
    const tone = role.colours.get(note.value) % theme.roles.length;
    ctx.strokeStyle = theme.roles[tone];
    ctx.lineWidth = 7;
    ctx.setLineDash(ROLE_DASHES[tone]);
    ctx.beginPath();
    ctx.moveTo(x, Math.max(-40, a));
    ctx.lineTo(x, Math.min(app.height + 40, Math.max(a + 2, b)));
    ctx.stroke();
  });
  ctx.setLineDash([]);
}
