// The tools in tabs: the arrow keys go from one to the next.

const $ = (id) => document.getElementById(id);

// tools: the ids of their panels; those in `later` have no tab before `show` is called.
export function tabs(tools, later, onSelect) {
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
    button.hidden = later.includes(panel.id);
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
    const open = buttons.filter((button) => !button.hidden);
    const at = open.findIndex((button) => button.getAttribute('aria-controls') === current);
    const next = open[(at + step + open.length) % open.length];
    select(next.getAttribute('aria-controls'));
    next.focus();
  });
  const first = shown.find((panel) => !later.includes(panel.id));
  $('tools').hidden = !first;
  if (first) select(first.id);
  return { current: () => current, show: (id) => { $(`tab-${id}`).hidden = false; } };
}
