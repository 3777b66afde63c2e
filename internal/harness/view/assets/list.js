// list.js: the same events as a list, for reading and for screen readers. Only the visible part of it is in the page.

const ITEM = 22;

/** buildList makes the list's items: shown steps, and folds. */
function buildList(app) {
  const items = [], indexOf = new Map();
  for (const row of app.layout.rows) {
    if (row.fold) items.push({ fold: row, at: row.at });
    else for (const s of row.steps) addItem(items, row.bursts.get(s), s);
  }
  items.forEach((item, k) => {
    if (item.step) for (const s of item.burst ? item.burst.steps : [item.step]) indexOf.set(s, k);
  });
  app.items = items;
  app.itemOf = indexOf;
  app.listPad.style.height = items.length * ITEM + "px";
  const shown = items.reduce((n, item) => n + (item.burst ? item.burst.steps.length : item.step ? 1 : 0), 0);
  app.count.textContent = `${shown} of ${app.model.steps.length} events shown`;
  sayNone(app, items.length === 0);
  renderList(app);
}

/** addItem adds a step to the list, or a burst at its first step. */
function addItem(items, burst, step) {
  if (!burst) items.push({ step, at: step.at });
  else if (burst.first === step) items.push({ step, burst, at: step.at });
}

/** sayNone says that the filters leave nothing, and offers to end them. */
function sayNone(app, none) {
  const box = document.getElementById("none");
  box.hidden = !none;
  if (!none) return;
  const empty = app.model.steps.every((s) => s.ends);
  box.replaceChildren(make("p", {}, empty ? "The run has no events." : "No event matches the filters."), empty ? "" : make("button", {
    type: "button", onclick: () => {
      const { filter } = app;
      filter.text = "";
      document.getElementById("text").value = "";
      for (const set of [filter.nodes, filter.off, filter.methodsOff]) set.clear();
      app.refilter();
    },
  }, "Clear the filters"));
}

/** renderList puts the options in the page that can be seen, and the selected one. */
function renderList(app) {
  const from = Math.max(0, Math.floor(app.list.scrollTop / ITEM) - 5);
  const to = Math.min(app.items.length, from + Math.ceil(app.list.clientHeight / ITEM) + 12);
  const options = [];
  const chosen = app.selected ? app.itemOf.get(app.selected) : undefined;
  for (let k = from; k < to; k++) options.push(option(app, k));
  if (chosen !== undefined && (chosen < from || chosen >= to)) options.push(option(app, chosen));
  app.listPad.replaceChildren(...options);
  if (chosen === undefined) app.list.removeAttribute("aria-activedescendant");
  else app.list.setAttribute("aria-activedescendant", "item-" + chosen);
}

function option(app, k) {
  const { step, fold, burst } = app.items[k];
  const chosen = step !== undefined && app.selected !== null && app.itemOf.get(app.selected) === k;
  const mark = step && app.cone ? app.cone[step.i] : 0;
  const where = { [PAST]: "past", [FUTURE]: "future" }[mark] || "";
  const el = make("div", {
    role: "option", id: "item-" + k, class: "item " + where + (step && step.fault && !(burst && step.epoch && !step.epoch.cut.size) ? " fault" : "") + (fold ? " fold" : "") +
      (app.cone && !mark ? " faded" : ""),
    "aria-selected": String(chosen), "aria-setsize": app.items.length, "aria-posinset": k + 1,
    onclick: () => (fold ? openFold(app, fold) : burst && chosen ? openBurst(app, burst) : app.select(step, { cone: true })),
  },
  make("span", { class: "at" }, seconds((step || fold.steps[0]).clock)),
  app.model.compares ? make("span", { class: "side" }, fold ? "" : "AB"[step.run]) : null,
  make("span", { class: "what" }, fold ? foldText(fold) : burst && step.msg ? `n${step.kind === "delivered" ? step.to : step.from}: ${burstText(burst)}` : burst ? burstText(burst) : sentence(step)),
  where ? make("span", { class: "hidden" }, where === "past" ? ", in its past" : ", in its future") : null);
  el.style.top = k * ITEM + "px";
  return el;
}

/** showItem scrolls the list to the selected step. */
function showItem(app) {
  const k = app.selected ? app.itemOf.get(app.selected) : undefined;
  if (k === undefined) return;
  const top = k * ITEM, { list } = app;
  if (top < list.scrollTop + ITEM || top > list.scrollTop + list.clientHeight - 2 * ITEM) {
    list.scrollTop = Math.max(0, top - list.clientHeight / 2);
  }
}
