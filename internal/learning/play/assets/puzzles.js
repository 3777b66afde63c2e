// puzzles.js: goals to bring about, with hints, and rules to choose from where no schedule reaches the goal.

/** buildPuzzles makes the list of puzzles. */
function buildPuzzles(game) {
  const { puzzles } = game.about, box = byID("puzzle");
  box.hidden = !puzzles.length;
  if (!puzzles.length) return;
  const choose = make("select", { id: "puzzle-choice", "aria-label": "Puzzle" }, make("option", { value: "" }, "no puzzle"),
    ...puzzles.map((p, k) => make("option", { value: p.id }, `${k + 1}. ${p.title}`)));
  choose.addEventListener("change", () => {
    setPuzzle(game, choose.value);
    writePlace(game);
  });
  box.append(make("h2", { id: "puzzle-name" }, "Puzzle ", choose), make("div", { id: "puzzle-text" }));
}

function setPuzzle(game, id) {
  game.puzzle = game.about.puzzles.find((p) => p.id === id) || null;
  game.hints = 0;
  game.answer = "";
  byID("puzzle-choice").value = game.puzzle ? id : "";
  drawPuzzle(game);
}

/** isSolved reports whether the puzzle's goal is reached here, or was on the way. */
function isSolved(game) {
  if (!game.puzzle) return false;
  return [game.root, ...pathTo(game.at)].some((s) => (s.position.reached || []).includes(game.puzzle.id));
}

function drawPuzzle(game) {
  const { puzzle } = game, text = byID("puzzle-text");
  if (!text) return;
  if (!puzzle) return text.replaceChildren(make("p", { class: "quiet" }, "Choose a puzzle, or play freely."));
  const parts = [make("p", {}, printable(puzzle.goal))];
  if (isSolved(game)) {
    const at = pathTo(game.at).findIndex((s) => (s.position.reached || []).includes(puzzle.id)) + 1;
    parts.push(make("p", { class: "solved" }, `✓ Solved in ${at} ${at === 1 ? "step" : "steps"}.`));
  } else if (game.answer) {
    parts.push(make("p", { class: game.answer === "right" ? "solved" : "wrong" },
      game.answer === "right" ? "✓ Right: no schedule reaches this goal as long as the servers obey that rule." : "That rule does not forbid it. Play, and see which step the servers refuse."));
  }
  if (game.hints) parts.push(make("ol", {}, ...puzzle.hints.slice(0, game.hints).map((hint) => make("li", {}, printable(hint)))));
  parts.push(make("p", { class: "moves" },
    game.hints < puzzle.hints.length ? button(`Hint ${game.hints + 1} of ${puzzle.hints.length}`, "most general first", () => {
      game.hints++;
      drawPuzzle(game);
    }) : null,
    puzzle.solution && game.hints >= puzzle.hints.length ? button("Show a solution", "one of several", () => open(game, "1", puzzle.solution)) : null));
  text.replaceChildren(...parts);
  if (!puzzle.solution) text.append(rulesOf(game, puzzle));
  return undefined;
}

/** rulesOf lets the person choose the rule that forbids a goal. */
function rulesOf(game, puzzle) {
  const box = make("details", { open: Boolean(game.answer) }, make("summary", {}, "Is it impossible? Choose the rule that forbids it."));
  puzzle.rules.forEach((rule, k) => {
    const choice = make("input", { type: "radio", name: "rule", value: String(k), checked: game.chosen === k && Boolean(game.answer) });
    choice.addEventListener("change", () => {
      game.chosen = k;
      game.answer = k === puzzle.forbid ? "right" : "wrong";
      drawPuzzle(game);
      say(game, game.answer);
    });
    box.append(make("label", { class: "rule" }, choice, " ", printable(rule)));
  });
  return box;
}
