// start.js: begins the page of a recorded run.

function start() {
  const model = readModel(JSON.parse(document.getElementById("run").textContent));
  const app = newApp(model);
  addMethods(app);
  nameDiagram(app);
  buildFailure(app);
  fitCanvas(app);
  buildBar(app);
  wireApp(app);
  wireKeys(app);
  wirePrint(app);
  addEventListener("hashchange", () => { if (location.hash !== app.wrote) readFragment(app); });
  fitCanvas(app); // the bar took some of the height
  if (!readFragment(app)) {
    const s = app.keyStep();
    if (s) app.select(s);
    else app.moved();
  }
  document.documentElement.dataset.ready = "yes";
  // For tests, and for a curious reader's console.
  window.run = { app, coneOf: (name) => Array.from(coneOf(model, app.stepNamed(name))), press: (key) => press(app, key), roleColours, seconds,
    ops: { list: () => model.runs.flatMap((r) => r.ops), text: opText, box: (op) => opBox(app, op), wrong: (op) => isWrong(app, op) } };
}

start();
