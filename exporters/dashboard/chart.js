/* Charts of the history: lines over the last minutes, drawn as SVG of the size that there is. */

const charts = []; /* all that are on the page, sparklines too */

const CHART_MARGIN = { left: 52, right: 6, top: 8, bottom: 20 };

/* A number that is easily halved, not below. */
function roundUp(number) {
  if (!(number > 0))
    return 1;
  const power = 10 ** Math.floor(Math.log10(number));
  return [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10].find(step => step * power >= number) * power;
}

function pathOf(run, x, y) {
  const points = run.map(([ms, value]) => x(ms).toFixed(1) + ' ' + y(value).toFixed(1));
  return 'M' + (points.length === 1 ? points[0] + 'h0.1' : points.join('L'));
}

function highest(runs) {
  return Math.max(0, ...runs.flatMap(run => run.map(([, value]) => value)));
}

/* A line without axes, under a tile's figure. */
function sparkline(path) {
  const WIDTH = 200, HEIGHT = 32;
  const area = svg('path', { class: 'area' }), line = svg('path', { class: 'line line-1' });
  const root = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    area, line);
  history.paths.add(path);
  charts.push({
    draw(nowMs) {
      const runs = history.runs(path), top = highest(runs) * 1.15 || 1;
      const begin = history.samples.length ? Math.min(history.samples[0].ms, nowMs - 10000) : nowMs;
      const x = ms => WIDTH * (ms - begin) / (nowMs - begin || 1), y = value => HEIGHT - 1 - (HEIGHT - 4) * value / top;
      line.setAttribute('d', runs.map(run => pathOf(run, x, y)).join(''));
      area.setAttribute('d', runs.filter(run => run.length > 1).map(run => pathOf(run, x, y) +
        `L${x(run[run.length - 1][0])} ${HEIGHT}L${x(run[0][0])} ${HEIGHT}Z`).join(''));
    },
  });
  return root;
}

/* `series`: up to three [label, path]; `kind`: how their values are written. */
function chart(title, kind, series) {
  const keys = series.map(([label, path], i) => {
    history.paths.add(path);
    return { label, path, figure: figure(path, kind), number: i + 1 };
  });
  const legend = element('div', { class: 'legend' }, ...keys.map(key => element('span', {},
    element('span', { class: `key key-${key.number}` }, key.label + ' '), key.figure)));
  const when = element('small', {});
  const drawing = svg('svg', { 'aria-hidden': 'true' });
  const waiting = element('div', { class: 'waiting' }, 'no samples yet');
  const box = element('div', { class: 'chart', tabindex: '0', role: 'img' }, drawing, waiting);
  const view = { nowMs: 0, cursorMs: null };
  const spanMs = () => { /* whole minutes, so that the axis does not crawl */
    const known = view.nowMs - (history.samples[0]?.ms ?? view.nowMs);
    return Math.min(HISTORY_MS, Math.max(1, Math.ceil(known / 60000)) * 60000);
  };

  function draw(nowMs) {
    view.nowMs = nowMs;
    const width = Math.max(box.clientWidth, 120), height = box.clientHeight || 150;
    const runs = keys.map(key => history.runs(key.path));
    const top = Math.max(roundUp(highest(runs.flat()) * 1.05), kind === 'count' ? 2 : 0), begin = nowMs - spanMs();
    const { left, right, top: up, bottom } = CHART_MARGIN;
    const x = ms => left + (width - left - right) * (ms - begin) / (nowMs - begin);
    const y = value => height - bottom - (height - up - bottom) * value / top;
    const parts = [0, 0.5, 1].flatMap(share => [
      svg('line', { class: 'rule', x1: left, x2: width - right, y1: y(top * share), y2: y(top * share) }),
      svg('text', { x: left - 6, y: y(top * share) + 4, 'text-anchor': 'end' }, writeShort(kind, top * share))]);
    for (const [share, anchor] of [[0, 'start'], [0.5, 'middle'], [1, 'end']])
      parts.push(svg('text', { x: left + (width - left - right) * share, y: height - 4, 'text-anchor': anchor },
        share === 1 ? 'now' : '−' + writeShort('ms', spanMs() * (1 - share))));
    runs.forEach((list, i) => parts.push(svg('path', { class: `line line-${i + 1}`,
      d: list.map(run => pathOf(run, x, y)).join('') })));
    const cursor = view.cursorMs === null ? null : history.nearest(view.cursorMs);
    if (cursor)
      parts.push(svg('line', { class: 'cursor', x1: x(cursor.ms), x2: x(cursor.ms), y1: up, y2: height - bottom }));
    drawing.replaceChildren(...parts);
    tell(runs, cursor);
  }

  /* The legend shows what is under the cursor, or else the latest. */
  function tell(runs, cursor) {
    waiting.hidden = runs.some(list => list.length > 0);
    for (const key of keys)
      showFigure(key.figure, cursor ? cursor.values.get(key.path) : valueAt(key.path));
    setText(when, cursor ? writeShort('ms', Math.round((view.nowMs - cursor.ms) / 1000) * 1000) + ' ago' : '');
    setAttribute(box, 'aria-label', title + (cursor ? ', ' + when.textContent : '') + ': ' +
      keys.map(key => key.label + ' ' + key.figure.textContent).join(', '));
  }

  function moveTo(ms) {
    view.cursorMs = ms;
    draw(view.nowMs);
  }

  box.addEventListener('pointermove', event => {
    const { left, right } = CHART_MARGIN, area = box.getBoundingClientRect();
    const share = (event.clientX - area.left - left) / (area.width - left - right);
    moveTo(view.nowMs - spanMs() * (1 - share));
  });
  box.addEventListener('pointerleave', () => moveTo(null));
  box.addEventListener('blur', () => moveTo(null));
  box.addEventListener('keydown', event => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === 'Escape')
      moveTo(null);
    if (!step)
      return;
    event.preventDefault();
    const known = history.samples.filter(sample => sample.values);
    const at = view.cursorMs === null ? known.length : known.indexOf(history.nearest(view.cursorMs));
    if (known.length)
      moveTo(known[Math.min(known.length - 1, Math.max(0, at + step))].ms);
  });
  charts.push({ draw });
  new ResizeObserver(() => draw(view.nowMs || performance.now())).observe(box);
  return [element('h3', {}, title, when), legend, box];
}
