"use strict";
// The page is whole without this; it only makes reading quicker.
(() => {
  const tip = document.getElementById("tip");
  const stages = [...document.querySelectorAll("details.stage")];
  const told = new Map();
  for (const title of document.querySelectorAll("svg title")) {
    told.set(title.parentNode, title.textContent);
    title.remove();
  }
  document.addEventListener("pointermove", (event) => {
    const words = told.get(event.target);
    tip.hidden = words === undefined;
    if (tip.hidden) return;
    tip.textContent = words;
    const left = Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8);
    tip.style.left = `${Math.max(left, 8)}px`;
    tip.style.top = `${Math.max(event.clientY - tip.offsetHeight - 12, 8)}px`;
  });
  const unfold = document.getElementById("unfold");
  unfold.hidden = stages.length === 0;
  unfold.addEventListener("click", () => {
    const open = stages.some((stage) => !stage.open);
    for (const stage of stages) stage.open = open;
    unfold.textContent = open ? "Close all" : "Open all";
  });
  let closed = [];
  window.addEventListener("beforeprint", () => {
    closed = stages.filter((stage) => !stage.open);
    for (const stage of closed) stage.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const stage of closed) stage.open = false;
  });
})();
