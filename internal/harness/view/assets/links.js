// links.js: which step follows directly from which, and the way each message took.

/** linkSteps sets preds and succs of every step, and adds the arrows of the messages to the model. */
function linkSteps(model, run) {
  const lastAt = new Array(run.nodes + 1).fill(null);
  const journeys = new Map();
  for (const s of run.steps) {
    const parent = s.msg ? travel(journeys, s) : null;
    if (parent) follow(parent, s);
    if (!s.node) continue;
    const before = lastAt[s.node];
    if (before && before !== parent) follow(before, s);
    lastAt[s.node] = s;
  }
  for (const j of journeys.values()) addArrows(model, run, j, journeys);
}

function follow(a, b) {
  a.succs.push(b);
  b.preds.push(a);
}

/** travel takes a message one step further and returns the step that this one follows from. */
function travel(journeys, s) {
  let j = journeys.get(s.msg);
  if (!j || s.kind === "sent") {
    // A forged message begins with "altered". Anything else was sent before the record began.
    if (s.kind !== "sent" && s.kind !== "altered") return null;
    j = { sent: s, trunk: s, twin: null, marks: [], ends: [], steps: [s] };
    journeys.set(s.msg, j);
    s.journey = j;
    return null;
  }
  s.journey = j;
  j.steps.push(s);
  const parent = j.trunk;
  switch (s.kind) {
    case "altered": case "held": case "released":
      j.trunk = s;
      j.marks.push(s);
      break;
    case "duplicated":
      j.twin = s;
      j.marks.push(s);
      break;
    case "delivered": case "lost":
      j.ends.push(s);
      return s.copy && j.twin ? j.twin : parent;
  }
  return parent;
}

/** addArrows makes one arrow for each copy of a message, and one for a message that had not come to an end. */
function addArrows(model, run, j, journeys) {
  const s = j.sent;
  const base = { run: run.index, sent: s, fromLane: s.fromLane, toLane: s.toLane, marks: j.marks, reply: s.message === "reply" };
  j.arrows = j.ends.map((end) => ({ ...base, end, lost: end.kind === "lost", copy: end.copy }));
  const open = j.ends.every((e) => e.copy > 0);
  if (open) j.arrows.push({ ...base, end: null, lost: false, copy: 0 });
  model.arrows.push(...j.arrows);
  const request = s.replyTo ? journeys.get(s.replyTo) : null;
  if (request) {
    j.request = request;
    request.reply = j;
  }
}

/** firstDelivery returns the step that first received the message, or null. */
function firstDelivery(j) {
  return j.ends.find((e) => e.kind === "delivered") || null;
}
