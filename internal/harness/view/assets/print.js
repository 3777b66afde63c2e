// print.js: what is printed is what is in the window, in the light colours, with its events as a table below.

function wirePrint(app) {
  const sheet = document.getElementById("sheet");
  addEventListener("beforeprint", () => {
    document.documentElement.classList.add("printing");
    app.ratio = 2;
    app.theme = readTheme();
    app.resize();
    draw(app);
    sheet.replaceChildren(...printTable(app));
  });
  addEventListener("afterprint", () => {
    document.documentElement.classList.remove("printing");
    app.ratio = 0;
    app.theme = readTheme();
    sheet.replaceChildren();
    app.resize();
  });
}

/** printTable lists the shown events of the window. */
function printTable(app) {
  const from = yTime(app, app.top), to = yTime(app, app.top + app.height);
  const seen = app.items.filter((item) => item.at >= from && item.at <= to).slice(0, 400);
  const rows = seen.map(({ step, fold, burst }) => make("tr", { class: step && step.fault ? "fault" : "" },
    make("td", {}, seconds((step || fold.steps[0]).clock)), make("td", {}, fold ? foldText(fold) : burst ? burstText(burst) : sentence(step))));
  return [
    make("p", {}, `Events from ${seconds(from)} to ${seconds(to)}; the run has ${app.model.steps.length} events in ${seconds(app.model.end)}.`),
    make("table", {}, make("tbody", {}, ...rows)),
  ];
}
