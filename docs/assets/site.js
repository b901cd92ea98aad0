// A block of code or a table that scrolls can be reached and scrolled with the keyboard.
document$.subscribe(() => {
  for (const block of document.querySelectorAll(".md-typeset pre > code, .md-typeset__scrollwrap, .md-typeset__table")) {
    if (block.scrollWidth > block.clientWidth) block.tabIndex = 0;
  }
});
