"""The script by which a page lists what can be seen and used on it. Oracles and data makers read it, models never."""

VISIBLE_ELEMENTS = r"""
() => {
  const wanted = 'a[href], button, input, select, textarea, summary, label, [role], [onclick], [tabindex]';
  const roles = {A: 'button', BUTTON: 'button', SELECT: 'field', TEXTAREA: 'field', SUMMARY: 'button', LABEL: 'text'};
  const kinds = {checkbox: 'checkbox', radio: 'radio', range: 'slider', button: 'button', submit: 'button',
                 reset: 'button', image: 'button', hidden: ''};
  const found = [];
  for (const node of document.querySelectorAll(wanted)) {
    const box = node.getBoundingClientRect();
    const left = Math.max(0, box.left), top = Math.max(0, box.top);
    const right = Math.min(innerWidth, box.right), bottom = Math.min(innerHeight, box.bottom);
    if (right - left < 2 || bottom - top < 2) continue;
    const above = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
    if (!above || !(node.contains(above) || above.contains(node))) continue;
    const input = node.tagName === 'INPUT';
    const role = input ? (node.type in kinds ? kinds[node.type] : 'field') : roles[node.tagName] || 'button';
    if (!role) continue;
    const words = input ? node.value || node.placeholder : node.tagName === 'SELECT'
      ? (node.selectedOptions[0] || {}).text : node.innerText || node.getAttribute('aria-label') || node.title;
    const checked = input && (node.type === 'checkbox' || node.type === 'radio') ? node.checked : null;
    found.push({text: (words || '').trim().slice(0, 200), role, id: node.id, left, top, right, bottom, checked,
                focused: document.activeElement === node});
  }
  return found.sort((a, b) => a.top - b.top || a.left - b.left);
}
"""
