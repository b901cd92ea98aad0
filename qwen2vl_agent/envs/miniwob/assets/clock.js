// A page's time, in our hands: it stands still until `advance` moves it on. Injected before the page's own scripts.
(() => {
  const calm = new CSSStyleSheet();  // what the browser itself animates, by a clock of its own
  calm.replaceSync('*, *::before, *::after { transition: none !important; animation: none !important; '
    + 'caret-color: transparent !important; }');
  document.adoptedStyleSheets.push(calm);

  const RealDate = Date, FRAME_MS = 16;
  const begin = RealDate.UTC(2017, 0, 1, 10, 0, 0);
  let now = 0, next = 1;
  const waiting = new Map();  // id -> {at, order, every, run, frame}

  const add = (run, delay, every, given, frame) => {
    const call = typeof run === 'function' ? run : () => (0, eval)(String(run));
    const wait = Math.min(Math.max(Number(delay) || 0, every ? 1 : 0), 2 ** 31 - 1);
    waiting.set(next, {at: now + wait, order: next, every: every ? wait : 0, run: () => call(...given), frame});
    return next++;
  };
  const drop = id => { waiting.delete(Number(id)); };
  const first = until => {
    let found = null;
    for (const [id, timer] of waiting)
      if (timer.at <= until && (!found || timer.at < found[1].at
          || (timer.at === found[1].at && timer.order < found[1].order))) found = [id, timer];
    return found;
  };

  const realTimeout = window.setTimeout.bind(window), realNow = RealDate.now;
  let turned = 0, scrolled = 0;  // when the wheel last turned and something last scrolled, by the real clock
  addEventListener('wheel', () => { turned = realNow(); }, {capture: true, passive: true});
  addEventListener('scroll', () => { scrolled = realNow(); }, {capture: true, passive: true});
  window.__scrolled = () => new Promise(done => {  // the wheel's scrolling reaches the page some frames later
    const begun = realNow();
    const look = () => {
      const still = scrolled >= turned && turned > 0 && realNow() - scrolled > 50;
      if (still || realNow() - begun > 300) done(); else realTimeout(look, 10);
    };
    look();
  });

  window.setTimeout = (run, delay, ...given) => add(run, delay, false, given, false);
  window.setInterval = (run, delay, ...given) => add(run, delay, true, given, false);
  window.clearTimeout = window.clearInterval = drop;
  window.requestAnimationFrame = run => add(() => run(now), FRAME_MS - now % FRAME_MS, false, [], true);
  window.cancelAnimationFrame = drop;
  Object.defineProperty(performance, 'now', {value: () => now, configurable: true});
  window.Date = class Date extends RealDate {
    constructor(...given) { given.length ? super(...given) : super(begin + now); }
    static now() { return begin + now; }
  };
  window.Date.UTC = RealDate.UTC;
  window.Date.parse = RealDate.parse;

  window.__restart = () => { waiting.clear(); now = 0; };
  window.__advance = span => {
    const until = now + span;
    for (let done = 0; done < 100000; done++) {
      const found = first(until);
      if (!found) break;
      const [id, timer] = found;
      now = Math.max(now, timer.at);
      if (timer.every) { timer.at = now + timer.every; timer.order = next++; } else waiting.delete(id);
      try { timer.run(); } catch (error) { console.error(error); }
    }
    now = until;
  };
})();
