// main.js: puts the page together.

/** newApp is the page's state: the model, what is shown of it and where, and the elements that show it. */
function newApp(model) {
  const byID = (id) => document.getElementById(id);
  return {
    model, filter: newFilter(), shown: null, layout: null, items: [], itemOf: new Map(), toggles: [],
    canvas: byID("diagram"), strip: byID("strip"), heads: byID("heads"), list: byID("list"), listPad: byID("list-pad"), tip: byID("tip"),
    detail: byID("detail"), stateBox: byID("state"), count: byID("count"), status: byID("status"),
    theme: readTheme(), scale: "order", zoom: 1, perNs: 0, top: 0, ratio: 0,
    selected: null, cone: null, hover: null, headsKey: "", wrote: "",
    live: false, // the run goes on: the state is that of its end, and the address is its schedule
  };
}

/** wireApp connects what every page has: the scheme, the size, the pointer, the list. */
function wireApp(app) {
  wireOverview(app);
  wirePointer(app);
  app.list.addEventListener("scroll", () => renderList(app));
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the address is for positions
    app.list.focus();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    app.theme = readTheme();
    app.headsKey = "";
    app.redraw();
  });
  new ResizeObserver(([{ contentRect: box }]) => {
    if (!app.ratio && (Math.abs(box.width - app.width) > 1 || Math.abs(box.height - app.height) > 1)) app.resize();
  }).observe(app.canvas.parentElement);
}

/** nameDiagram says what the picture is to those who cannot see it. */
function nameDiagram(app) {
  app.canvas.setAttribute("aria-label",
    `Diagram of ${app.model.lanes.length} nodes over ${seconds(app.model.end)}. The list of events says the same in words.`);
}

/** addMethods gives the app what its parts call each other by. */
function addMethods(app) {
  let waiting = false;
  app.redraw = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw(app);
    });
  };
  app.moved = () => {
    app.redraw();
    if (!app.selected) showDetail(app);
    writeFragment(app);
  };
  app.resize = () => {
    const at = app.selected ? app.selected.at : yTime(app, app.top);
    const windowY = timeY(app, at) - app.top;
    fitCanvas(app);
    buildLayout(app);
    app.top = timeY(app, at) - windowY;
    clampTop(app);
    app.headsKey = "";
    buildList(app);
    app.redraw();
  };
  app.refilter = () => {
    const keep = app.layout ? (app.selected ? app.selected.at : yTime(app, app.top)) : 0;
    const windowY = app.layout ? timeY(app, keep) - app.top : 0;
    app.shown = applyFilter(app.model, app.filter);
    buildLayout(app);
    app.top = timeY(app, keep) - windowY;
    clampTop(app);
    buildList(app);
    showItem(app);
    for (const update of app.toggles) update();
    app.moved();
  };
  app.select = (step, { cone = false, scroll = true } = {}) => select(app, step, cone, scroll);
  // Steps are counted from 1, as the messages of the tests count them; those of the second run are b1, b2, …
  app.nameOf = (s) => (s.run ? "b" : "") + (s.n + 1);
  app.stepNamed = (name) => {
    const m = /^(b?)(\d+)$/.exec(name);
    const run = m && app.model.runs[m[1] ? 1 : 0];
    return (run && run.steps[Number(m[2]) - 1]) || null;
  };
  app.placeOf = (s) => stepY(app, s);
  app.laneOf = (s) => laneX(app, s.lane);
  app.lineOf = (a) => arrowLine(app, a);
  app.keyStep = () => {
    const d = app.model.difference;
    if (d) return d.steps[0] || d.steps[1];
    const run = app.model.runs.find((r) => r.broke !== null);
    if (!run) return null;
    if (run.key >= 0) return run.steps[run.key];
    const before = run.steps.filter((s) => s.node && !s.ends && s.at <= run.broke && !s.routine && s.kind !== "seen");
    return before.findLast((s) => s.at === run.broke && s.kind === "noted") || before[before.length - 1] || null;
  };
}

/** select chooses a step, lights up its past and future if cone is set, and says so. */
function select(app, step, cone, scroll) {
  app.selected = step;
  app.cone = step && cone ? coneOf(app.model, step) : null;
  if (step && scroll) {
    const y = stepY(app, step) ?? timeY(app, step.at);
    if (y < app.top + 40 || y > app.top + app.height - 60) app.top = y - app.height * 0.45;
    clampTop(app);
  }
  showDetail(app); // first: it takes of the list's height
  renderList(app);
  showItem(app);
  renderList(app);
  if (document.activeElement !== app.list) app.status.textContent = step ? `${seconds(step.clock)} ${sentence(step)}` : "nothing selected";
  app.redraw();
  writeFragment(app);
}
