// Keyboard shortcuts, and the dialog that lists them.

const $ = (id) => document.getElementById(id);

// shortcuts: [{keys, about, run}]; a key with Ctrl (or ⌘) is written as Ctrl-Z.
export function shortcuts(list) {
  $('shortcuts').replaceChildren(...list.flatMap(({ keys, about }) => {
    const [term, text] = [document.createElement('dt'), document.createElement('dd')];
    term.textContent = keys.join(', ');
    text.textContent = about;
    return [term, text];
  }));
  document.addEventListener('keydown', (event) => {
    if ($('help-dialog').open || event.altKey) return;
    if (event.target.matches('select, input:not([type="range"])')) return;
    const ctrl = event.ctrlKey || event.metaKey;
    const held = (ctrl ? 'Ctrl-' : '') + (ctrl && event.shiftKey ? 'Shift-' : '');
    const pressed = held + (event.key.length === 1 ? event.key.toUpperCase() : event.key);
    const match = list.find(({ keys }) => keys.includes(pressed));
    if (match) {
      event.preventDefault();
      match.run(pressed);
    }
  });
  $('help').addEventListener('click', () => $('help-dialog').showModal());
}
