// A block of code or a table that scrolls can be reached and scrolled with the keyboard.
document$.subscribe(() => {
  for (const block of document.querySelectorAll(".md-typeset pre > code, .md-typeset__scrollwrap, .md-typeset__table")) {
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
