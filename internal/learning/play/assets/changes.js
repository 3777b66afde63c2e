// changes.js: what could have been different in a run: interventions as LABS_WHATIF has them, and how each is said.

const NEVER = "24h"; // later than any run's end

/** changesAt lists what could have been different at a step, as {token, label, title}. */
function changesAt(game, s) {
  const out = [], about = aboutMessages(game.at);
  if (s.msg && s.from !== s.to && !about.has(s.msg)) out.push(...changesOfMessage(game, s));
  const n = nodeOf(s);
  if (n) out.push(...changesOfNode(game, n, s));
  if (s.from && s.to && s.from !== s.to) out.push(...changesOfLink(game, s));
  return out;
}

/** changesOfMessage are those of a message's fate. */
function changesOfMessage(game, s) {
  const name = numberedName(s), j = s.journey, out = [];
  if (!j) return out;
  const end = j.ends.find((e) => !e.copy), add = (token, label, title) => out.push({ token: token + s.msg + (title.by ? "+" + title.by : ""), label, title: title.text || title });
  if (end && end.kind === "lost" && end.reason === "loss") {
    add("a", `let ${name} arrive`, "the link does not lose it");
  } else if (end && end.kind === "lost" && end.reason.startsWith("cut")) {
    const at = Math.max(0, (end.reason === "cut" ? j.sent.clock : end.clock) - 2);
    out.push({ token: `h${s.from}-${s.to}@${nanos(at)}`, label: `let ${name} arrive: heal the link before`, title: "the link stays healed until the test cuts it again" });
  } else if (end && end.kind === "delivered") {
    add("x", `lose ${name}`, "it does not arrive, nor does a copy that the link made");
    if (!j.twin) add("u", `deliver ${name} twice`, "a copy of it arrives, too");
    const next = nextOnLink(game, j, end);
    if (next) add("t", `deliver it after the link’s next message`, { by: nanos(next.clock - end.clock + 1000), text: `after ${numberedName(next)}, ${span(next.clock - end.clock)} later` });
    add("t", "delay it by 50 ms", { by: "50ms", text: "it takes 50 ms longer" });
    add("t", "delay it until the end", { by: NEVER, text: "it is under way until the run is over" });
  }
  return out;
}

/** nextOnLink is the next delivery on the link of a message, after its own, of one that was sent later. */
function nextOnLink(game, j, end) {
  return game.app.model.steps.find((x) => x.i > end.i && x.kind === "delivered" && !x.copy && x.from === end.from && x.to === end.to && x.msg > end.msg) || null;
}

function changesOfNode(game, n, s) {
  const at = nanos(s.clock);
  if (!isUp(game, n, s)) {
    const was = game.at.run.restarts && game.app.model.steps.some((x) => x.i <= s.i && x.node === n && x.kind === "crashed");
    return was ? [{ token: `r${n}@${at}`, label: `start n${n} here`, title: "just after this event, as the test starts it" }] : [];
  }
  return [
    { token: `k${n}@${at}`, label: `crash n${n} here`, title: "just after this event; it stays down until the test starts it, or you do" },
    { token: `p${n}@${at}+500ms`, label: `pause n${n} here for 500 ms`, title: "just after this event: what arrives waits, what it sends leaves later" },
  ];
}

function changesOfLink(game, s) {
  const link = `${s.from}-${s.to}`, name = `n${s.from}→n${s.to}`, at = nanos(s.clock);
  if (isCutAt(game, s.from, s.to, s)) return [{ token: `h${link}@${at}`, label: `heal ${name} here`, title: "just after this event" }];
  return [{ token: `l${link}@${at}`, label: `cut ${name} here`, title: "just after this event: what is under way on it is lost, too" }];
}

/** machineChanges are those of any node at a step. */
function machineChanges(game, n, s) {
  const cut = [], healed = [];
  for (let other = 1; other <= game.about.nodes; other++) {
    if (other === n) continue;
    for (const [a, b] of [[n, other], [other, n]]) {
      if (isCutAt(game, a, b, s)) healed.push(`h${a}-${b}@${nanos(s.clock)}`);
      else cut.push(`l${a}-${b}@${nanos(s.clock)}`);
    }
  }
  const out = changesOfNode(game, n, s).map((c) => ({ ...c, label: { k: "crash", r: "start", p: "pause" }[c.token[0]] }));
  if (cut.length) out.push({ token: cut.join(","), label: "cut off", title: "cut all its links" });
  if (healed.length) out.push({ token: healed.join(","), label: "reconnect", title: "heal all its links" });
  return out;
}

/** nodeOf is the node at which a step happens. */
function nodeOf(s) {
  return s.node || (s.kind === "sent" ? s.from : s.kind === "delivered" ? s.to : 0);
}

function isUp(game, n, s) {
  let up = false;
  for (const x of game.app.model.steps) {
    if (x.i > s.i) break;
    if (x.node !== n) continue;
    if (x.kind === "started") up = true;
    else if (x.kind === "crashed" || x.kind === "stopped") up = false;
  }
  return up;
}

function isCutAt(game, from, to, s) {
  let cut = false;
  for (const x of game.app.model.steps) {
    if (x.i > s.i) break;
    if ((x.kind === "cut" || x.kind === "healed") && x.from === from && x.to === to) cut = x.kind === "cut";
  }
  return cut;
}

/** aboutMessages are the messages whose fate is changed on the way to a variant. */
function aboutMessages(variant) {
  const out = new Set();
  for (const v of pathTo(variant)) for (const token of v.token.split(",")) if (/^[xaut]/.test(token)) out.add(parseInt(token.slice(1), 10));
  return out;
}

/** nanos writes nanoseconds as a duration of Go that is exact. */
function nanos(ns) {
  for (const [unit, name] of [[1e9, "s"], [1e6, "ms"], [1e3, "us"]]) {
    if (ns >= unit && ns % unit === 0) return ns / unit + name;
  }
  if (ns < 1e9) return ns + "ns";
  return Math.floor(ns / 1e9) + "." + String(ns % 1e9).padStart(9, "0").replace(/0+$/, "") + "s";
}

/** numberedName names a message: n1→n2 RequestVote #3. */
function numberedName(s) {
  return `n${s.from}→n${s.to} ${printable(s.method)}${s.message === "reply" ? " reply" : ""} #${s.number}`;
}

/** sayChange says an intervention in a run. */
function sayChange(steps, token) {
  const all = token.split(",");
  if (all.length > 1) {
    const [, node] = /^[lh](\d+)-/.exec(all[0]) || [];
    return `n${node} is ${all[0][0] === "h" ? "connected again" : "cut off"} at ${sayTime(all[0])}`;
  }
  const number = parseInt(token.slice(1), 10), rest = token.slice(1);
  const sent = /^[xaut]/.test(token) ? steps.find((s) => s.msg === number) : null;
  const message = sent ? numberedName(sent) : "message " + number;
  const [, a, b] = /^(\d+)-(\d+)/.exec(rest) || [];
  switch (token[0]) {
    case "x": return `${message} is lost`;
    case "a": return `${message} arrives`;
    case "u": return `${message} arrives twice`;
    case "t": return rest.endsWith("+" + NEVER) ? `${message} is under way until the end` : `${message} arrives ${sayDuration(rest.split("+")[1])} later`;
    case "k": return `n${number} crashes at ${sayTime(token)}`;
    case "r": return `n${number} starts again at ${sayTime(token)}`;
    case "p": return `n${number} pauses at ${sayTime(token)} for ${sayDuration(rest.split("+")[1])}`;
    case "l": return `n${a}→n${b} is cut at ${sayTime(token)}`;
    case "h": return `n${a}→n${b} is healed at ${sayTime(token)}`;
  }
  return token;
}

function inNanos(duration) {
  const m = /^([\d.]+)(ns|us|ms|s|m|h)$/.exec(duration || "");
  return m ? Number(m[1]) * { ns: 1, us: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 }[m[2]] : NaN;
}

function sayTime(token) {
  const text = token.split("@")[1].split("+")[0], ns = inNanos(text);
  return Number.isNaN(ns) ? text : seconds(ns);
}

function sayDuration(text) {
  const ns = inNanos(text);
  return Number.isNaN(ns) ? text : span(ns);
}
