"use strict";
(() => {
  const chart = document.getElementById("chart"), detail = document.getElementById("detail");
  const show = (bar) => {
    for (const el of document.querySelectorAll(".chosen")) el.classList.remove("chosen");
    bar.classList.add("chosen");
    detail.replaceChildren(...bar.dataset.detail.split("\n").map((line) => {
      const p = document.createElement("p");
      p.textContent = line;
      return p;
    }));
  };
  for (const bar of document.querySelectorAll(".bar")) {
    bar.addEventListener("click", () => show(bar));
    bar.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        show(bar);
      }
    });
  }
  // The page opens at what is wrong.
  const wrong = document.querySelector(".bar.wrong") || document.querySelector(".bar.involved");
  if (wrong) {
    const box = wrong.getBoundingClientRect(), window = chart.getBoundingClientRect(), names = document.getElementById("names").offsetWidth;
    chart.scrollLeft += box.left - window.left - names - Math.max(20, (window.width - names - box.width) / 2);
    chart.scrollTop += box.top - window.top - Math.max(20, (window.height - box.height) / 2);
    show(wrong);
  }
  document.documentElement.dataset.ready = "yes";
})();
