// words.js: how times, values and steps are said. Every string of the run passes through printable
// before anybody sees it.

const FAULTS = new Set(["lost", "duplicated", "held", "altered", "cut", "crashed", "stopped", "paused", "clock"]);

/** printable escapes what could hide, reverse or break text. */
function printable(text) {
  if (/^[\x20-\x7e]*$/.test(text)) return text;
  return text.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu, (c) =>
    c === "\n" ? "\\n" : c === "\t" ? "\\t" : "\\u{" + c.codePointAt(0).toString(16) + "}");
}

/** shorten cuts text to a number of characters. */
function shorten(text, width) {
  return text.length <= width ? text : text.slice(0, Math.max(0, width - 1)) + "…";
}

/** seconds writes nanoseconds as "1.204s", as messages, pictures and texts do. It rounds down, so that a later time never looks earlier. */
function seconds(ns, decimals = ns > 0 && ns < 1e6 ? 6 : 3) {
  const unit = 10 ** (9 - decimals);
  const whole = Math.floor(ns / 1e9);
  const part = Math.floor((ns - whole * 1e9) / unit);
  return whole + "." + String(part).padStart(decimals, "0") + "s";
}

/** span writes a length of time with three digits: "3.42ms". */
function span(ns) {
  for (const [unit, name] of [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]]) {
    if (ns >= unit) return Number((ns / unit).toPrecision(3)) + name;
  }
  return ns + "ns";
}

/** goLike writes a JSON body the way Go prints a value: {Term:3 Entries:[a b]}; keep chooses among the fields. */
function goLike(body, keep = () => true) {
  if (body === "") return "";
  let value;
  try {
    value = JSON.parse(body);
  } catch {
    return printable(body);
  }
  const text = goValue(value, keep);
  return /^[{[]/.test(text) ? text : "(" + text + ")";
}

function goValue(v, keep) {
  if (v === null) return "nil";
  if (Array.isArray(v)) return "[" + v.map((x) => goValue(x, keep)).join(" ") + "]";
  if (typeof v === "object") {
    return "{" + Object.entries(v).filter(([, x]) => keep(x)).map(([k, x]) => printable(k) + ":" + goValue(x, keep)).join(" ") + "}";
  }
  if (typeof v === "string") return v === "" || /[\s{}[\]:"\\]/.test(v) ? JSON.stringify(printable(v)) : printable(v);
  return String(v);
}

/** pretty writes a body over several lines. */
function pretty(body) {
  try {
    return JSON.stringify(JSON.parse(body), null, 2).split("\n").map(printable).join("\n");
  } catch {
    return printable(body);
  }
}

/** messageName is "RequestVote", or "RequestVote reply". */
function messageName(s) {
  return printable(s.method) + (s.message === "reply" ? " reply" : "");
}

/** sentence says what happened in a step, without the time. */
function sentence(s) {
  const who = "n" + s.node, name = messageName(s), body = shorten(goLike(s.body), 90);
  const because = s.reason ? " (" + printable(s.reason) + ")" : "";
  switch (s.kind) {
    case "sent": return `n${s.from} sent ${name} to n${s.to} ${body}`;
    case "delivered": return `n${s.to} received ${s.copy ? "a duplicate of " : ""}${name} from n${s.from} ${body}`;
    case "lost": return `${s.copy ? "a duplicate of " : ""}${name} from n${s.from} to n${s.to} was lost${s.reason === "loss" ? "" : because}`;
    case "duplicated": case "held": case "released":
      return `${name} from n${s.from} to n${s.to} was ${s.kind}`;
    case "altered":
      return s.journey && s.journey.sent === s ? `the test sent ${name} to n${s.to}, as if from n${s.from}: ${body}`
        : `${name} from n${s.from} to n${s.to} was altered to ${body}`;
    case "cut": case "healed": return `the link n${s.from}→n${s.to} was ${s.kind}`;
    case "noted":
      return `${who} noted ${printable(s.name)} = ${printable(s.value)}` +
        (s.old !== null && s.old !== s.value ? ` (was ${printable(s.old)})` : "");
    case "logged": return `${who} logged “${printable(s.value)}”`;
    case "wrote": return `${who} ${s.value === "deleted" ? "deleted" : "wrote"} the record ${printable(s.name)}`;
    case "clock": return `the clock of ${who}: ${printable(s.value)}`;
    case "paused": return `${who} paused for ${printable(s.value)}`;
    case "started": return s.inc > 1 ? `${who} restarted, incarnation ${s.inc}` : `${who} started`;
    case "stopped": return `${who} stopped forever`;
    case "resumed": return `${who} goes on`;
    case "called": return `${who} called ${printable(s.value)}`;
    case "returned": return `${who}'s ${s.op ? printable(s.op.what) : printable(s.name)} returned ${printable(s.value)}`;
    case "told": return `${who} delivered ${printable(s.value)} to the application`;
    case "marked": return `the test: ${printable(s.value)}`;
    default: return `${who} ${printable(s.kind)}${because}`;
  }
}

/** make makes an element. Text goes in as text: no string of the run is ever parsed as markup. */
function make(tag, props = {}, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "class") el.className = value;
    else if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) el.setAttribute(name, value === true ? "" : value);
  }
  el.append(...children.filter((c) => c !== null && c !== undefined && c !== ""));
  return el;
}
