// Without this script the list still works: CSS shows the trace that the address names, else the first.
(() => {
  const links = [...document.querySelectorAll("nav a")];
  const mark = () => {
    const chosen = links.find((link) => link.hash === location.hash) ?? links[0];
    for (const link of links) {
      if (link === chosen) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  };
  addEventListener("hashchange", mark);
  mark();
})();
