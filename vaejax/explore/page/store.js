// What the page shows now, and what it showed before: snapshots that are never changed.

const LIMIT = 200; // snapshots that can be undone

export function createStore(initial) {
  let now = initial;
  let kept = initial; // the last one in the history
  const past = [];
  const future = [];
  const listeners = [];
  const tell = () => listeners.forEach((listener) => listener(now));

  return {
    get: () => now,
    onChange: (listener) => listeners.push(listener),
    canUndo: () => past.length > 0 || now !== kept,
    canRedo: () => future.length > 0,
    // Shows other values, as a slider moves.
    move(values) {
      now = { ...now, ...values };
      tell();
    },
    // Ends a move, or makes one at once, so that it can be undone.
    commit(values = {}) {
      now = { ...now, ...values };
      if (now !== kept) {
        past.push(kept);
        if (past.length > LIMIT) past.shift();
        future.length = 0;
        kept = now;
      }
      tell();
    },
    // Begins the history with what is shown now.
    forget() {
      past.length = future.length = 0;
      kept = now;
      tell();
    },
    undo() {
      if (now !== kept) {
        now = kept;
      } else if (past.length) {
        future.push(now);
        kept = past.pop();
        now = kept;
      }
      tell();
    },
    redo() {
      if (!future.length) return;
      past.push(kept);
      kept = future.pop();
      now = kept;
      tell();
    },
  };
}
