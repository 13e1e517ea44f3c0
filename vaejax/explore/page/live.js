// Pictures while a slider moves: one request at a time, and after it only the newest one.

export function createLive(decode, show, fail) {
  let wanted = null;
  let busy = false;

  async function work() {
    busy = true;
    while (wanted) {
      const request = wanted;
      wanted = null;
      try {
        const picture = await decode(request);
        // A newer request may have been for something that needs no decoding, see `drop`.
        if (request.live) show(picture, request);
      } catch (error) {
        fail(error);
      }
    }
    busy = false;
  }

  let last = null;
  return {
    busy: () => busy,
    ask(request) {
      last = wanted = { ...request, live: true };
      if (!busy) work();
    },
    // Forgets what is on its way.
    drop() {
      if (last) last.live = false;
      wanted = null;
    },
  };
}
