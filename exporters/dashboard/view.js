/* What the page is put together from: sections of cards, tiles, facts, tables, bars. Each has an update() that runs when
 * documents have come. */

const updates = [];

/* A section hides when all in it is hidden. */
function section(title, ...parts) {
  const node = element('section', { 'aria-label': title }, element('h2', {}, title), ...parts);
  updates.push(() => {
    node.hidden = ![...node.querySelectorAll('[data-needs]')].some(part => !part.hidden);
  });
  return node;
}

/* Shown while the server has the document that it needs. `empty`: what to say instead while `isEmpty` holds. */
function card(needs, span, title, content, isEmpty, empty) {
  const body = element('div', {}, ...content);
  const message = element('p', { class: 'empty', hidden: true }, empty || '');
  const node = element('div', { class: `card span-${span}`, 'data-needs': needs, hidden: true },
    title ? element('h3', {}, ...[title].flat()) : null, body, message);
  updates.push(() => {
    node.hidden = !documents[needs];
    if (isEmpty && !node.hidden) {
      message.hidden = !isEmpty(documents[needs]);
      body.hidden = !message.hidden;
    }
  });
  return node;
}

/* `note`: small text beneath the figure, and figures in it. */
function tile(label, path, kind, note, tone) {
  const value = figure(path, kind);
  const node = element('div', { class: 'tile', 'data-needs': path.split('/')[0], hidden: true },
    element('div', { class: 'label' }, label), value, element('div', { class: 'note' }, ...(note || ['\u00a0'])),
    kind === 'usd' ? null : sparkline(path));
  updates.push(() => {
    node.hidden = !documents[path.split('/')[0]];
    if (tone)
      setAttribute(value, 'class', 'figure ' + (tone(valueAt(path)) || ''));
  });
  return node;
}

/* `list`: [label, path, kind], and 'alarm' where anything above 0 is bad. */
function facts(list) {
  return element('dl', { class: 'facts' }, ...list.map(([label, path, kind, alarm]) => element('div', {},
    element('dt', {}, label), element('dd', {}, figure(path, kind, { 'data-alarm': alarm && '' })))));
}

/* A bar of `share`, 0 .. 1, of the whole. */
function setBar(bar, share, reserved) {
  const [fill, more] = bar.children;
  const cut = number => Math.min(1, Math.max(0, number || 0));
  fill.style.width = 100 * cut(share) + '%';
  if (more) {
    more.style.left = 100 * cut(share) + '%';
    more.style.width = 100 * Math.min(cut(reserved), 1 - cut(share)) + '%';
  }
  setAttribute(bar, 'aria-valuenow', (100 * cut(share)).toFixed(1));
}

function bar(label, attributes, ...more) {
  return element('div', { class: 'bar', role: 'meter', 'aria-label': label, 'aria-valuemin': '0', 'aria-valuemax': '100',
    ...attributes }, element('i'), ...more);
}

/* Keeps as many children as there are rows, made once and then shown anew. */
function fill(parent, rows, make) {
  while (parent.children.length > rows.length)
    parent.lastElementChild.remove();
  while (parent.children.length < rows.length)
    parent.append(make());
}

/* The rows of a list by falling `by` (a function of a row; without it in the list's order), each with its place in the
 * list. A row for which `by` is null comes last. */
function ranked(list, by) {
  const rows = list.map((row, at) => ({ row, at }));
  const rank = row => by(row) ?? -Infinity;
  return by ? rows.sort((a, b) => rank(b.row) - rank(a.row) || a.at - b.at) : rows;
}

/* `path`: of an array. Columns: {head, path, kind, class, tone(row)}; with `bar` its share of the largest is drawn beside
 * it. The first column heads its row. `isCut`: the list may go on where it ends. */
function table(path, caption, columns, { by, limit = 10, empty = 'nothing yet', isCut = false } = {}) {
  const body = element('tbody');
  const more = element('p', { class: 'more', hidden: true }), none = element('p', { class: 'empty', hidden: true }, empty);
  const grid = element('table', {}, element('caption', { class: 'sr' }, caption),
    element('thead', {}, element('tr', {}, ...columns.flatMap(column => [
      element('th', { scope: 'col', class: column.class }, column.head),
      column.bar ? element('td', { class: 'wide' }) : null]))), body);
  const scroll = element('div', { class: 'scroll' }, grid);
  const row = () => element('tr', {}, ...columns.flatMap((column, i) => [
    element(i === 0 ? 'th' : 'td', { scope: i === 0 ? 'row' : null, class: column.class }, figure('', column.kind)),
    column.bar ? element('td', { class: 'share wide' }, element('div', { class: 'bar', 'aria-hidden': 'true' },
      element('i'))) : null]));
  updates.push(() => {
    const list = valueAt(path) || [], rows = ranked(list, by);
    const largest = columns.map(column => column.bar ? Math.max(0, ...list.map(item => Number(item[column.path]))) : 0);
    fill(body, rows.slice(0, limit), row);
    rows.slice(0, limit).forEach((item, n) => {
      const figures = body.children[n].querySelectorAll('[data-figure]');
      const bars = body.children[n].querySelectorAll('.bar');
      let nextBar = 0;
      columns.forEach((column, i) => {
        point(figures[i], `${path}/${item.at}/${column.path}`);
        if (column.tone)
          setAttribute(figures[i], 'class', 'figure ' + (column.tone(item.row) || ''));
        if (column.bar)
          setBar(bars[nextBar++], largest[i] ? Number(item.row[column.path]) / largest[i] : 0);
      });
    });
    scroll.hidden = rows.length === 0;
    none.hidden = rows.length > 0;
    more.hidden = rows.length <= limit;
    setText(more, isCut ? 'and more' : `and ${rows.length - limit} more`);
  });
  return element('div', {}, scroll, none, more);
}

/* Runs `update` with the node when documents have come. */
function live(node, update) {
  updates.push(() => update(node));
  return node;
}

/* Figures that stand still: `rows` of [label, [path, kind], ...] under `heads`. */
function matrix(caption, heads, rows) {
  const wide = i => heads[i].endsWith('*') ? 'wide' : null; /* a column that narrow screens go without */
  return element('div', { class: 'scroll' }, element('table', {}, element('caption', { class: 'sr' }, caption),
    element('thead', {}, element('tr', {}, ...heads.map((head, i) =>
      element('th', { scope: 'col', class: i === 0 ? 'left' : wide(i) }, head.replace('*', ''))))),
    element('tbody', {}, ...rows.map(([label, ...cells]) => element('tr', {},
      element('th', { scope: 'row', class: 'left' }, label),
      ...cells.map(([path, kind], i) => element('td', { class: wide(i + 1) }, figure(path, kind))))))));
}
