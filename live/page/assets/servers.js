// servers.js: the table of servers, with buttons. Its elements stay, and only their texts change: a button that has the focus keeps it.

/** buildServers makes the table for as many servers as there are. */
function buildServers(live, servers) {
  const columns = servers[0].cells.map((c) => c.name);
  const body = servers.map((s, k) => serverRows(live, k + 1, s.name, columns));
  live.rows = body;
  live.links = [];
  document.getElementById("servers").replaceChildren(
    make("table", {}, make("caption", {}, "Servers"),
      make("thead", {}, make("tr", {}, ...["", "process", ...columns].map((name) => make("th", { scope: "col" }, name)))),
      ...body.map((row) => row.element)),
    make("p", { class: "deeds" }, deed(live, "Heal all links", "heal", "undoes all cuts and slow links")),
    servers.length > 1 ? linkTable(live, servers) : "");
}

/** serverRows are the rows of one server: what it is, and what can be done to it. */
function serverRows(live, n, name, columns) {
  const process = make("td", {}), cells = columns.map(() => make("td", {})), remarks = make("span", { class: "remarks" });
  const buttons = {
    kill: deed(live, "kill -9", "kill " + n, "ends the process at once", name),
    restart: deed(live, "restart", "restart " + n, "starts the process again, with its disk", name),
    pause: deed(live, "pause", "pause " + n, "SIGSTOP: the process stands still", name),
    resume: deed(live, "continue", "continue " + n, "SIGCONT", name),
    isolate: deed(live, "isolate", "isolate " + n, "cuts all links with the other servers", name),
    wipe: deed(live, "wipe disk", "wipe " + n, "deletes the disk of a server that is down", name),
  };
  const element = make("tbody", {},
    make("tr", {}, make("th", { scope: "row" }, name), process, ...cells),
    make("tr", {}, make("td", { colspan: String(columns.length + 2) }, make("div", { class: "deeds", role: "group", "aria-label": name }, ...Object.values(buttons)), remarks)));
  return { element, process, cells, remarks, buttons };
}

/** deed is a button that has the command do what a line says. */
function deed(live, label, line, title, name = "") {
  const button = make("button", { type: "button", title, "aria-label": name ? `${label} ${name}` : label, "data-line": line }, label);
  button.addEventListener("click", () => act(live, button.dataset.line));
  return button;
}

/** linkTable has two buttons for each direction between two servers: cut, and slow. */
function linkTable(live, servers) {
  const link = (from, to) => {
    const name = `${servers[from - 1].name} to ${servers[to - 1].name}`;
    const cut = deed(live, "cut", "", "what is sent on this link is lost", name), slow = deed(live, "slow", "", "messages take 200 ms longer", name);
    live.links.push({ from, to, cut, slow });
    return make("td", {}, cut, " ", slow);
  };
  const numbers = servers.map((_, k) => k + 1);
  return make("details", { id: "links" }, make("summary", {}, "Links"),
    make("table", {}, make("caption", {}, "One direction each"),
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "from"), ...servers.map((s) => make("th", { scope: "col" }, "to " + s.name)))),
      make("tbody", {}, ...numbers.map((from) => make("tr", {}, make("th", { scope: "row" }, servers[from - 1].name),
        ...numbers.map((to) => (from === to ? make("td", {}) : link(from, to))))))));
}

/** showServers fills the table in. */
function showServers(live, servers) {
  const shape = servers.length + " " + servers[0].cells.map((c) => c.name).join();
  if (live.shape !== shape) buildServers(live, servers);
  live.shape = shape;
  servers.forEach((s, k) => {
    const row = live.rows[k], up = s.process !== "down";
    row.process.textContent = s.process;
    row.process.className = s.process === "up" ? "" : "away";
    s.cells.forEach((c, i) => {
      row.cells[i].textContent = printable(c.value);
      row.cells[i].className = c.value === "leader" ? "leader" : "";
    });
    row.remarks.textContent = printable(s.remarks);
    row.buttons.kill.disabled = row.buttons.isolate.disabled = !up;
    row.buttons.restart.disabled = row.buttons.wipe.disabled = up;
    row.buttons.pause.disabled = s.process !== "up";
    row.buttons.resume.disabled = s.process !== "paused";
  });
  for (const { from, to, cut, slow } of live.links) {
    const isCut = servers[from - 1].cut.includes(to), isSlow = servers[from - 1].slow.includes(to);
    setPressed(cut, isCut, `${isCut ? "uncut" : "oneway"} ${from} ${to}`);
    setPressed(slow, isSlow, `${isSlow ? "fast" : "slow"} ${from} ${to}`);
  }
  tellNews(live, servers);
}

function setPressed(button, on, line) {
  button.setAttribute("aria-pressed", String(on));
  button.dataset.line = line;
}

/** tellNews says to those who cannot see the table what is new in it: a process that ended, another leader. */
function tellNews(live, servers) {
  const news = servers.map((s) => {
    const role = (s.cells.find((c) => c.name === "role") || { value: "" }).value;
    return s.process !== "up" ? `${s.name} is ${s.process}` : role === "leader" ? `${s.name} leads` : "";
  }).filter(Boolean).join(", ");
  if (news !== live.news) document.getElementById("status").textContent = printable(news);
  live.news = news;
}
