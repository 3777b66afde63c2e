// cone.js: the causal past and future of a step (Lamport's happened-before).

const PAST = 1, SELF = 2, FUTURE = 3;

/** coneOf returns, for every step of the model, whether it is in the step's past, its future, or neither (0). */
function coneOf(model, step) {
  const cone = new Uint8Array(model.steps.length);
  if (!step) return cone;
  const spread = (start, next, mark) => {
    const todo = [start];
    while (todo.length) {
      for (const s of next(todo.pop())) {
        if (cone[s.i]) continue;
        cone[s.i] = mark;
        todo.push(s);
      }
    }
  };
  spread(step, (s) => s.preds, PAST);
  spread(step, (s) => s.succs, FUTURE);
  cone[step.i] = SELF;
  return cone;
}
