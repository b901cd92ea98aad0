// A block of code, a table or a drawing that scrolls can be reached and scrolled with the keyboard.
document$.subscribe(() => {
  for (const block of document.querySelectorAll(".md-typeset pre > code, .md-typeset__scrollwrap, .md-typeset p:has(> img)")) {
    if (block.scrollWidth > block.clientWidth) block.tabIndex = 0;
  }
});
// The theme leaves its search without a name, and gives the menus of a page names that others have.
document$.subscribe(() => {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  document.querySelectorAll("nav[aria-labelledby]").forEach((menu, place) => {
    const name = document.getElementById(menu.getAttribute("aria-labelledby"))?.textContent.trim() || "Menu";
    menu.removeAttribute("aria-labelledby");
    menu.setAttribute("aria-label", `${name}, menu ${place + 1}`);
  });
});
// The bar with the copy button comes into a block of code late, as a landmark that has the same name in all blocks.
new MutationObserver(() => {
  document.querySelectorAll("nav.md-code__nav").forEach((bar, place) => bar.setAttribute("aria-label", `Code ${place + 1}`));
}).observe(document.body, { childList: true, subtree: true });
