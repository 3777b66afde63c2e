// keys.js: everything that the page can do, from the keyboard.

const KEYS = [
  ["↓ ↑, j k", "next, previous event"],
  ["→ ←", "along the message: to its delivery, back to its send"],
  ["n, Shift+N", "next, previous event of the same node"],
  ["f, Shift+F", "next, previous fault"],
  ["v", "where the rule broke (or where two runs part)"],
  ["Home, End", "first, last event"],
  ["Page Up, Page Down", "a window up, down"],
  ["c, Enter", "causal past and future of the event, on and off"],
  ["+ −, 0", "zoom; the whole run"],
  ["t", "scale: order of events, or true time"],
  ["h", "fold or show heartbeats and what else is routine"],
  ["o", "open the burst, or what is folded next after the event"],
  ["/", "filter by text"],
  ["d", "more room for the diagram"],
  ["Esc", "end the highlight, then the selection"],
  ["?", "this help"],
];

function wireKeys(app) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, dialog[open]")) return;
    const control = event.target.closest("button, summary, a");
    if (control && (event.key === "Enter" || event.key === " ")) return;
    if (event.target.closest("pre") && /^(Arrow|Page|Home|End)/.test(event.key)) return;
    if (press(app, event.key)) event.preventDefault();
  });
  document.getElementById("keys").append(...KEYS.map(([keys, what]) =>
    make("tr", {}, make("th", { scope: "row" }, keys), make("td", {}, what))));
}

/** press does what a key stands for, and reports whether it stands for anything. */
function press(app, key) {
  const s = app.selected, j = s && s.journey;
  const go = (to) => to && app.select(to, { cone: Boolean(app.cone) });
  const page = (sign) => {
    app.top += sign * (app.height - 60);
    clampTop(app);
    app.moved();
  };
  const zoom = (factor) => {
    const y = s && stepY(app, s) !== null ? stepY(app, s) - app.top : app.height / 2;
    zoomTo(app, factor, Math.max(0, Math.min(app.height, y)));
    app.moved();
  };
  const actions = {
    ArrowDown: () => go(nextItem(app, 1)), j: () => go(nextItem(app, 1)),
    ArrowUp: () => go(nextItem(app, -1)), k: () => go(nextItem(app, -1)),
    ArrowRight: () => go(j && j.ends.find((e) => e.at > s.at || e.i > s.i) || (s && s.journey ? null : s && nextItem(app, 1))),
    ArrowLeft: () => go(j && j.sent !== s ? j.sent : j && j.request ? firstDelivery(j.request) : s && !j ? s.preds[s.preds.length - 1] : null),
    n: () => go(nextItem(app, 1, sameNode(s))), N: () => go(nextItem(app, -1, sameNode(s))),
    f: () => go(nextItem(app, 1, (x) => x.fault)), F: () => go(nextItem(app, -1, (x) => x.fault)),
    v: () => go(app.keyStep()),
    Home: () => go(nextItem(app, 1, undefined, -1)), End: () => go(nextItem(app, -1, undefined, app.items.length)),
    PageDown: () => page(1), PageUp: () => page(-1),
    c: () => s && app.select(s, { cone: !app.cone }), Enter: () => s && app.select(s, { cone: !app.cone }),
    "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), 0: () => zoom(1e-12),
    t: () => {
      setScale(app, app.scale === "order" ? "time" : "order");
      app.refilter();
    },
    h: () => toggleFold(app),
    o: () => openNext(app),
    "/": () => document.getElementById("text").focus(),
    d: () => {
      document.body.classList.toggle("wide");
      app.resize();
    },
    Escape: () => app.select(app.cone ? s : null),
    "?": () => document.getElementById("help").showModal(),
  };
  if (!Object.hasOwn(actions, key)) return false;
  actions[key]();
  return true;
}

/** openNext opens the first fold after the selected event, and selects what was in it. */
function openNext(app) {
  const at = app.selected ? app.itemOf.get(app.selected) : undefined;
  if (at !== undefined && app.items[at].burst) return openBurst(app, app.items[at].burst);
  const next = app.items.slice(startItem(app, 1) + 1).find((item) => item.fold);
  if (!next) return;
  openFold(app, next.fold);
  app.select(next.fold.steps[0], { cone: Boolean(app.cone) });
}

const sameNode = (s) => (x) => !s || x.lane === (s.lane >= 0 ? s.lane : s.toLane);

/** nextItem is the next shown step in a direction for which a test holds, from the selected one. */
function nextItem(app, sign, holds = () => true, from = startItem(app, sign)) {
  for (let k = from + sign; k >= 0 && k < app.items.length; k += sign) {
    const { step } = app.items[k];
    if (step && holds(step)) return step;
  }
  return null;
}

/** startItem is where stepping begins: at the selected step, or at the top of the window. */
function startItem(app, sign) {
  const { selected, items } = app;
  if (selected && app.itemOf.has(selected)) return app.itemOf.get(selected);
  const at = selected ? selected.at : yTime(app, app.top);
  const k = lastIndex(items, (item) => item.at < at);
  return sign > 0 ? k : k + 1;
}
