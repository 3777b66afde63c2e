// engine.js: the lab's code, in a worker, which answers requests (labtest.Request).

const ANSWER = 15000; // milliseconds that an answer may take

/** newEngine describes the code; load fetches it. */
function newEngine(config) {
  return { config, limit: ANSWER, worker: null, ready: null, waiting: new Map(), next: 1, parts: null, module: null };
}

/** load fetches and compiles the code. What ran before ends. */
async function load(engine) {
  const { config } = engine, cache = config.live ? "no-cache" : "default";
  const text = async (name) => (await fetched(name, cache)).text();
  const [exec, glue, module] = await Promise.all([
    text("wasm_exec.js"), text("worker.js"), fetched(config.wasm, cache).then(unpacked).then((bytes) => WebAssembly.compile(bytes)),
  ]);
  engine.parts = [exec, "\n", glue];
  engine.module = module;
  stop(engine);
}

async function fetched(name, cache) {
  const response = await fetch(name, { cache });
  if (!response.ok) throw new Error(`${name} cannot be loaded: ${response.status} ${response.statusText}`);
  return response;
}

/** unpacked returns the bytes of a compressed file. Some servers unpack it themselves. */
async function unpacked(response) {
  const bytes = await response.arrayBuffer();
  const [a, b] = new Uint8Array(bytes, 0, 2);
  if (a !== 0x1f || b !== 0x8b) return bytes;
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

/** stop ends the program, and every request with it. */
function stop(engine, failure = null) {
  if (engine.worker) engine.worker.terminate();
  engine.worker = engine.ready = null;
  for (const { reject, timer } of engine.waiting.values()) {
    clearTimeout(timer);
    reject(Object.assign(new Error("the code ended"), { failure }));
  }
  engine.waiting.clear();
}

/** start begins the program. It resolves when the program takes requests. */
function start(engine) {
  const url = URL.createObjectURL(new Blob(engine.parts, { type: "text/javascript" }));
  const worker = engine.worker = new Worker(url);
  URL.revokeObjectURL(url);
  return new Promise((resolve, reject) => {
    worker.onerror = (event) => reject(new Error(event.message));
    worker.onmessage = ({ data }) => {
      if (worker !== engine.worker) return;
      if (data.ready) resolve();
      else if (data.exit !== undefined) {
        reject(new Error(data.output.trim().split("\n").slice(0, 3).join(" ") || "the program ended"));
        stop(engine, { output: data.output });
      } else if (data.stuck !== undefined) {
        stop(engine, stuck(data.stuck));
      } else {
        const { resolve: done, timer } = engine.waiting.get(data.id);
        clearTimeout(timer);
        engine.waiting.delete(data.id);
        done(JSON.parse(data.reply));
      }
    };
    const { test, module } = engine.config;
    worker.postMessage({
      module: engine.module, argv: ["play", `-test.run=^${test}$`, "-test.timeout=0"],
      env: { LABS_PLAY: "page", LABS_DIRECT: "1", LABS_PACKAGE: module, TMPDIR: "/tmp", HOME: "/" },
    });
  });
}

/** stuck is the failure of code in which every goroutine waits for another. */
function stuck(reply) {
  const failure = reply ? JSON.parse(reply).failure : null;
  return failure || { what: "every goroutine waits for another: a mutex is held across a wait", rule: "do not hold a mutex across Call, a channel operation or Sleep" };
}

/** ask sends a request and resolves to the reply. If the code ends or does not answer it rejects with an error that has the failure. */
async function ask(engine, request) {
  if (!engine.ready) engine.ready = start(engine);
  await engine.ready;
  return new Promise((resolve, reject) => {
    const id = engine.next++;
    const timer = setTimeout(() => stop(engine, {
      what: `the code has not answered for ${engine.limit / 1000}s: a goroutine runs and never waits`, rule: "every goroutine waits now and then: with a timer, a channel or a condition",
    }), engine.limit);
    engine.waiting.set(id, { resolve, reject, timer });
    engine.worker.postMessage({ id, request: JSON.stringify(request) });
  });
}

/** explained turns the end of a program into a failure: a new one reads what the old one wrote. */
async function explained(engine, error) {
  const { failure } = error;
  if (!failure) return { what: error.message };
  if (!failure.output) return failure;
  const reply = await ask(engine, { do: "crash", text: failure.output });
  return reply.failure || { what: failure.output.trim().split("\n")[0] };
}
