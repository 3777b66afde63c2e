// worker.js: runs the lab's code beside the page, so that code which never waits does not stop the page. It stands behind the script of
// the Go toolchain (wasm_exec.js) in one file.

let go = null, output = "";

/** begin starts the program, whose output is kept: it says how the program ended. */
async function begin({ module, argv, env }) {
  const decoder = new TextDecoder("utf-8");
  globalThis.fs.writeSync = (fd, buf) => {
    output = (output + decoder.decode(buf)).slice(-200000);
    return buf.length;
  };
  globalThis.labsReady = () => postMessage({ ready: true });
  go = new Go(); // eslint-disable-line no-undef
  go.argv = argv;
  go.env = env;
  go.exit = (code) => postMessage({ exit: code, output });
  const instance = await WebAssembly.instantiate(module, go.importObject);
  await go.run(instance);
}

/** answer calls the program. It returns nothing if every goroutine waits: then the program is asked for the reason. */
function answer({ id, request }) {
  const reply = globalThis.labsPlay(request);
  if (go.exited) return;
  if (reply !== undefined) postMessage({ id, reply });
  else postMessage({ id, stuck: globalThis.labsPlay('{"do":"why"}') || "" });
}

onmessage = ({ data }) => {
  if (data.module) begin(data).catch((error) => postMessage({ exit: 1, output: output + String(error) }));
  else answer(data);
};
