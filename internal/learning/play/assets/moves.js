// moves.js: what can happen next, as tokens of a schedule, and how each is said.

/** messagesOf lists the messages under way: each with the tokens for what can happen to it. */
function messagesOf(game) {
  const { position } = game.at;
  let others = 0; // messages between two nodes: only these can be lost or copied
  return (position.pending || []).map((m, k) => {
    const sent = game.events.sent.get(messageKey(m)), loop = m.from === m.to, place = loop ? -1 : others++;
    return {
      ...m, key: messageKey(m), body: sent ? sent.body : "", n: sent ? sent.n : -1,
      deliver: "d" + k, lose: loop ? null : "x" + place, twice: loop ? null : "u" + place,
    };
  });
}

function nameOf(m) {
  return `n${m.from}→n${m.to} ${printable(m.method)}${m.kind === "reply" ? " reply" : ""}`;
}

/** isPossible reports whether anything can happen: nothing can after a failure. */
function isPossible(game) {
  return Boolean(game.at && game.at.position && !game.at.position.failure);
}

/** sayToken says what a step does at the present position. */
function sayToken(game, token) {
  const act = token[0], arg = Number(token.slice(1)), node = "n" + token.slice(1);
  const message = () => {
    const list = messagesOf(game).filter((m) => act === "d" || m.lose);
    return list[arg] ? nameOf(list[arg]) : "a message";
  };
  switch (act) {
    case "w": return "time passes";
    case "d": return message() + " arrives";
    case "u": return message() + " arrives, a copy is under way";
    case "x": return message() + " is lost";
    case "c": return node + " crashes and starts again";
    case "b": return node + " will crash before its next write";
    case "a": return node + " will crash after its next write";
    case "k": return node + " crashes and stays down";
    case "r": return node + " starts again";
    case "p": return `${node} pauses for ${game.about.pause}`;
    case "l": return `the link n${token.slice(1).replace("-", "→n")} is cut`;
    case "h": return `the link n${token.slice(1).replace("-", "→n")} is healed`;
    case "s": return printable(game.about.actions[arg] || "the scenario acts");
  }
  return token;
}

/** nodeMoves are the deeds that a node can suffer now: [token or tokens, label, title]. */
function nodeMoves(game, n) {
  const { down, paused } = game.at.position;
  if ((down || []).includes(n)) return [["r" + n, "start", "start the node again: its memory is empty, its disk is as it was"]];
  const cut = cutOff(game, n);
  const crashes = !game.about.crashes ? [] : [
    ["k" + n, "crash", "crash, and stay down until you start it: the memory is lost, the disk stays"],
    ["c" + n, "restart", "crash and start again at once: the memory is lost, the disk stays"],
    ["b" + n, "crash before write", "crash when it next writes to its disk, before the write takes effect; start again at once"],
    ["a" + n, "crash after write", "crash just after its next write to its disk; start again at once"],
  ];
  return [
    ...crashes,
    (paused || []).includes(n) ? null : ["p" + n, "pause", `stand still for ${game.about.pause}: what arrives waits`],
    cut.length ? [cut, "cut off", "cut all its links"] : [healed(game, n), "reconnect", "heal all its links"],
  ].filter(Boolean);
}

/** cutOff lists the tokens that cut what is not cut of a node's links. */
function cutOff(game, n) {
  const cut = new Set(game.at.position.cut || []);
  return linksOf(game, n).filter((link) => !cut.has(link)).map((link) => "l" + link);
}

function healed(game, n) {
  const cut = new Set(game.at.position.cut || []);
  return linksOf(game, n).filter((link) => cut.has(link)).map((link) => "h" + link);
}

function linksOf(game, n) {
  const out = [];
  for (let other = 1; other <= game.about.nodes; other++) if (other !== n) out.push(`${n}-${other}`, `${other}-${n}`);
  return out;
}

/** randomMove chooses a step as a network of its own would, with the chosen rates of faults. */
function randomMove(game, rates) {
  const messages = messagesOf(game).filter((m) => !game.held.has(m.key));
  const any = (list) => list[Math.floor(Math.random() * list.length)];
  const between = messages.filter((m) => m.lose);
  let r = Math.random();
  if (game.about.crashes && (r -= rates.crash) < 0) {
    const down = game.at.position.down || [];
    if (down.length) return "r" + any(down);
    return any(["c", "k"]) + any(Array.from({ length: game.about.nodes }, (_, k) => k + 1));
  }
  if (between.length && (r -= rates.loss) < 0) return any(between).lose;
  if (between.length && (r -= rates.twice) < 0) return any(between).twice;
  if (!messages.length || Math.random() < 0.08) return "w";
  return (Math.random() < 0.6 ? messages[0] : any(messages)).deliver; // the oldest mostly, as on most links
}
