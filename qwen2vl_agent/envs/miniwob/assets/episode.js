// An episode's beginning and its progress, by the page's own code. Injected before the page's own scripts, with clock.js.
(() => {
  let held = [];  // pictures that the page's styles name
  let grown = null;  // the body as it was once the page had been loaded

  // Begins an episode. `way`: the page is freshly 'loaded', is 'kept' as the last episode left it, or is 'planted': kept,
  // with its body as it was in the beginning. Gives the instruction, or null where the page is still reading its words.
  window.__begin = ({seed, mode, limit, span, way}) => {
    if (way === 'loaded') {
      grown = [...document.body.childNodes].map(node => node.cloneNode(true));
    } else {
      if (document.activeElement) document.activeElement.blur();
      core.endEpisode(0);
      __restart();
    }
    if (way === 'planted') {
      document.body.replaceChildren(...grown.map(node => node.cloneNode(true)));
      core.cover_div = document.getElementById('sync-task-cover');
    }
    WOB_EPISODE_ID = 0;
    core.EPISODE_MAX_TIME = limit;
    core.setDataMode(mode);
    Math.seedrandom(String(seed));
    core.startEpisodeReal();
    return __begun(span);
  };

  // Fetches pictures before anything shows them, and holds them: else a screenshot may be taken while one is missing.
  window.__hold = async addresses => {
    held = addresses.map(address => Object.assign(new Image(), {src: address}));
    await Promise.all(held.map(picture => picture.decode().catch(() => {})));
  };

  window.__begun = span => {
    if (!WOB_TASK_READY) return null;
    __advance(span);
    const said = core.getUtterance();
    return typeof said === 'object' ? said.utterance : said;
  };

  // Moves the clock on, and tells what the page says of the episode: whether it is over, its reward, and why.
  window.__go_on = span => {
    __advance(span);
    return [WOB_DONE_GLOBAL, WOB_RAW_REWARD_GLOBAL, String(WOB_REWARD_REASON || '')];
  };
})();
