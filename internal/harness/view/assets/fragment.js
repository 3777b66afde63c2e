// fragment.js: the page's address says where it stands, so that a position can be sent to somebody.

/** writeFragment puts the present position and filters behind the # of the address. */
function writeFragment(app) {
  if (app.live) return; // the address is the schedule's
  const { filter } = app, p = new URLSearchParams();
  if (app.selected) p.set("step", app.nameOf(app.selected));
  else if (app.top > 0) p.set("at", String(Math.round(yTime(app, app.top))));
  if (app.cone) p.set("cause", "1");
  if (app.scale === "time") p.set("scale", app.perNs.toPrecision(4));
  else if (app.zoom !== 1) p.set("zoom", app.zoom.toPrecision(3));
  if (filter.text) p.set("text", filter.text);
  if (filter.nodes.size) p.set("nodes", [...filter.nodes].sort((a, b) => a - b).join(","));
  if (filter.off.size) p.set("hide", [...filter.off].join(","));
  for (const m of filter.methodsOff) p.append("without", m);
  if (!filter.fold) p.set("fold", "0");
  const fragment = "#" + p.toString();
  if (fragment !== location.hash && (fragment !== "#" || location.hash)) {
    app.wrote = fragment;
    history.replaceState(null, "", fragment);
  }
}

/** readFragment takes filters and position from the address. It reports whether the address named a position. */
function readFragment(app) {
  const p = new URLSearchParams(location.hash.slice(1)), { filter } = app;
  const positive = (name) => (Number(p.get(name)) > 0 && Number.isFinite(Number(p.get(name))) ? Number(p.get(name)) : 0);
  filter.text = p.get("text") || "";
  refill(filter.nodes, (p.get("nodes") || "").split(",").map(Number).filter((n) => n > 0));
  refill(filter.off, (p.get("hide") || "").split(",").filter((g) => GROUPS.some(([key]) => key === g)));
  refill(filter.methodsOff, p.getAll("without"));
  filter.fold = p.get("fold") !== "0";
  filter.opened.clear();
  app.scale = positive("scale") ? "time" : "order";
  app.perNs = positive("scale") ? Math.min(0.05, positive("scale")) : app.perNs;
  app.zoom = positive("zoom") ? Math.min(3, positive("zoom")) : 1;
  app.refilter();
  const step = app.stepNamed(p.get("step") || "");
  if (step) app.select(step, { cone: p.get("cause") === "1" });
  else if (p.has("at")) {
    app.select(null);
    app.top = timeY(app, positive("at"));
    clampTop(app);
    app.moved();
  }
  return Boolean(step) || p.has("at");
}

function refill(set, values) {
  set.clear();
  for (const v of values) set.add(v);
}
