// The tools in tabs: the arrow keys go from one to the next.

const $ = (id) => document.getElementById(id);

export function tabs(tools, onSelect) {
  const shown = [...document.querySelectorAll('.tool')].filter((panel) => tools.includes(panel.id));
  const buttons = shown.map((panel) => {
    const button = document.createElement('button');
    button.className = 'tab';
    button.type = 'button';
    button.id = `tab-${panel.id}`;
    button.textContent = panel.dataset.title;
    button.setAttribute('role', 'tab');
    button.setAttribute('aria-controls', panel.id);
    panel.setAttribute('aria-labelledby', button.id);
    button.addEventListener('click', () => select(panel.id));
    return button;
  });
  let current = null;

  function select(id) {
    current = id;
    shown.forEach((panel, i) => {
      panel.hidden = panel.id !== id;
      buttons[i].setAttribute('aria-selected', String(panel.id === id));
      buttons[i].tabIndex = panel.id === id ? 0 : -1;
    });
    onSelect(id);
  }

  $('tabs').replaceChildren(...buttons);
  $('tabs').addEventListener('keydown', (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = (shown.findIndex((panel) => panel.id === current) + step + shown.length) % shown.length;
    select(shown[next].id);
    buttons[next].focus();
  });
  $('tools').hidden = shown.length === 0;
  if (shown.length) select(shown[0].id);
  return { current: () => current, select, hide: (id) => { $(`tab-${id}`).hidden = true; } };
}
