"use strict";
// A click on a column's head sorts the table's rows by it: numbers from high to low first, names from A to Z; what has no
// number comes last. A second click turns the order around.
for (const head of document.querySelectorAll("th[data-sort]")) {
  const button = head.querySelector("button");
  const column = Number(head.dataset.sort);
  button.addEventListener("click", () => {
    const table = head.closest("table");
    const body = table.tBodies[0];
    const names = head.dataset.kind === "name";
    const first = names ? "ascending" : "descending";
    const other = names ? "descending" : "ascending";
    const order = head.getAttribute("aria-sort") === first ? other : first;
    for (const each of table.querySelectorAll("th[aria-sort]")) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const value = (row) => row.cells[column].textContent.trim();
    const number = (row) => Number.parseFloat(value(row));
    const compare = (a, b) => {
      if (names) return sign * value(a).localeCompare(value(b), "en", { numeric: true });
      const x = number(a), y = number(b);
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
      return sign * (x - y);
    };
    body.append(...[...body.rows].sort(compare));
  });
}
