// live.js: asks the command how the servers are, twice per second, and draws what it answers.

const POLL = 450; // milliseconds
const FOLLOW = 1e12; // below every run's end

/** ask sends a request with the page's key. */
async function ask(live, path, options = {}) {
  const response = await fetch(path, { cache: "no-store", ...options, headers: { "X-Live-Key": live.key } });
  if (!response.ok) throw Object.assign(new Error((await response.text()).trim()), { status: response.status });
  return response;
}

/** act has the command do what a line says, and says what came of it. */
async function act(live, line) {
  const status = document.getElementById("status");
  if (line.startsWith("wipe") && !confirm("Delete the disk of this server? What it has promised is lost.")) return;
  try {
    const text = await (await ask(live, "do", { method: "POST", body: line })).text();
    if (text) document.getElementById("answer").textContent = printable(`${line} → ${text}`);
    else status.textContent = line + ": done";
    trouble("");
  } catch (error) {
    trouble(`${line}: ${error.message}`);
  }
}

function trouble(text) {
  const box = document.getElementById("trouble");
  if (box.textContent !== text) box.textContent = text;
  box.hidden = !text;
}

/** poll asks for the state, again and again. */
async function poll(live) {
  let next = POLL;
  try {
    const state = await (await ask(live, "state?version=" + (live.frozen ? live.version : live.shown))).json();
    if (live.lost) trouble("");
    live.lost = false;
    live.version = state.version;
    showServers(live, state.servers);
    if (live.app && live.app.selected) freeze(live, true);
    if (state.run && !live.frozen) showRun(live, state.run, state.version);
    document.documentElement.dataset.ready = "yes";
  } catch (error) {
    live.lost = true;
    trouble(error.status ? error.message : "The command has ended, or does not answer. " + (error instanceof TypeError ? "" : error.message));
    next = error.status === 403 ? 0 : 2 * POLL;
  }
  if (next) setTimeout(() => poll(live), next);
}

/** showRun draws the last seconds, with their end at the bottom. */
function showRun(live, data, version) {
  live.shown = version;
  if (!live.app) begin(live, data);
  const { app } = live, methods = app.model.methods.join("\n");
  app.model = readModel(data);
  app.cone = app.hover = null;
  app.headsKey = "";
  app.filter.opened.clear();
  if (methods !== app.model.methods.join("\n") || !live.named) nameMethods(live);
  app.laneWidth = (app.width - GUTTER - opsRoom(app)) / Math.max(1, app.model.lanes.length);
  nameDiagram(app);
  buildLegend(app);
  app.refilter();
  app.top = FOLLOW;
  clampTop(app);
  app.redraw();
  showDetail(app);
}

function nameMethods(live) {
  const { app } = live, box = document.getElementById("methods");
  live.named = true;
  app.toggles = app.toggles.filter((update) => !update.ofMethod);
  const before = app.toggles.length;
  box.replaceChildren(...app.model.methods.map((m, k) => toggleButton(app, app.filter.methodsOff, m, printable(m), "show or hide these messages", " m" + (k % 8))));
  for (const update of app.toggles.slice(before)) update.ofMethod = true;
}

/** begin builds the page around the first run. */
function begin(live, data) {
  const app = live.app = newApp(readModel(data));
  app.live = true;
  addMethods(app);
  fitCanvas(app);
  buildBar(app);
  wireApp(app);
  wireKeys(app);
  fitCanvas(app);
  const hold = () => freeze(live, true);
  for (const id of ["frame", "strip"]) {
    document.getElementById(id).addEventListener("wheel", hold, { passive: true });
    document.getElementById(id).addEventListener("pointerdown", hold);
  }
  document.getElementById("list").addEventListener("pointerdown", hold);
  document.getElementById("freeze").addEventListener("click", () => freeze(live, !live.frozen));
  document.addEventListener("keydown", (event) => {
    if (event.key === "z" && !event.ctrlKey && !event.metaKey && !event.altKey && !event.target.closest("input, dialog[open]")) freeze(live, !live.frozen);
  });
  document.getElementById("keys").prepend(make("tr", {}, make("th", { scope: "row" }, "z"), make("td", {}, "hold the diagram still, and let it go on")));
}

/** freeze holds the diagram still, or lets it go on; the table goes on in any case. */
function freeze(live, on) {
  if (live.frozen === on) return;
  live.frozen = on;
  document.getElementById("freeze").setAttribute("aria-pressed", String(on));
  if (on) return;
  if (live.app) live.app.select(null);
  live.shown = -1;
}

/** wireLine lets a user write what the buttons cannot say: "put 1 colour red". */
function wireLine(live) {
  const form = document.getElementById("say"), input = document.getElementById("line");
  form.hidden = !input.dataset.hint;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    act(live, input.value);
    input.select();
  });
}

const live = { key: location.hash.slice(1), app: null, shape: "", rows: [], links: [], frozen: false, named: false, version: -1, shown: -1, news: "", lost: false };
live.act = (line) => act(live, line);
window.live = live; // for tests, and for a curious reader's console
wireLine(live);
poll(live);
