// A slider for each of the most active latents, and for each attribute.

const STEPS = 240; // of a slider

function slider(box, name, range, title) {
  const row = document.createElement('div');
  row.className = 'slider';
  const label = document.createElement('label');
  label.className = 'name';
  label.textContent = name;
  label.title = title;
  const input = document.createElement('input');
  input.type = 'range';
  input.min = -range;
  input.max = range;
  input.step = (2 * range) / STEPS;
  input.value = 0;
  input.id = `slider-${box.id}-${box.children.length}`;
  label.htmlFor = input.id;
  const output = document.createElement('output');
  output.htmlFor = input.id;
  row.append(label, input, output);
  box.append(row);
  return {
    input,
    label,
    set(value) {
      // While a slider is dragged its value is the one that the user sees.
      if (document.activeElement !== input || Math.abs(Number(input.value) - value) > 1e-3) {
        input.value = value;
      }
      output.textContent = value.toFixed(2);
    },
  };
}

export function latentSliders(box, { model, store }) {
  const { shown, centre, scale, range } = model.about.latents;
  const all = shown.map(({ index, name, activity }) => {
    const made = slider(box, name, range, `activity ${(100 * activity).toFixed(0)} % of the largest`);
    const bar = document.createElement('progress');
    bar.className = 'bar';
    bar.max = 1;
    bar.value = activity;
    bar.setAttribute('aria-hidden', 'true');
    made.label.append(bar);
    made.input.addEventListener('input', () => {
      const latents = Float32Array.from(store.get().latents);
      latents[index] = centre[index] + Number(made.input.value) * scale[index];
      store.move({ latents, picture: null });
    });
    made.input.addEventListener('change', () => store.commit());
    return { ...made, index };
  });
  store.onChange(({ latents }) => {
    for (const { index, set } of all) set((latents[index] - centre[index]) / scale[index]);
  });
}

export function attributeSliders(box, attributes, { store }) {
  const all = attributes.map(({ name, direction }, number) => {
    const made = slider(box, name, 2, `more or less ${name}`);
    made.input.addEventListener('input', () => {
      const { latents, amounts } = store.get();
      const before = amounts[number] || 0;
      const change = Number(made.input.value) - before;
      store.move({
        latents: latents.map((z, i) => z + change * direction[i]),
        amounts: { ...amounts, [number]: before + change },
        picture: null,
      });
    });
    made.input.addEventListener('change', () => store.commit());
    return made;
  });
  const show = ({ amounts }) => all.forEach(({ set }, number) => set(amounts[number] || 0));
  store.onChange(show);
  show(store.get());
}
