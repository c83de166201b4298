/* Figures: places on the page that show one value of one document.
 *
 * A path names it: "requests/all/latency_ms/p95" is documents.requests.all.latency_ms.p95. It stands in data-figure,
 * with the way of writing in data-kind; the value itself, unrounded, is the title. data-alarm: red above 0. */

const documents = {}; /* by name: the object, or null where the server has none */

function valueAt(path) {
  let value = documents;
  for (const key of path.split('/')) {
    if (value === null || value === undefined)
      return undefined;
    value = value[key];
  }
  return value;
}

function figure(path, kind, attributes) {
  return element('span', { class: 'figure', 'data-figure': path, 'data-kind': kind, ...attributes });
}

/* One that will be told its path: a cell of a table whose rows change. */
function point(node, path) {
  setAttribute(node, 'data-figure', path);
}

function titleOf(value) {
  if (value === null || value === undefined)
    return 'not known';
  return Array.isArray(value) ? value.join('\n') : String(value);
}

function showFigure(node, value) {
  setText(node, write(node.dataset.kind, value));
  setAttribute(node, 'title', titleOf(value));
  if (node.dataset.alarm !== undefined)
    node.classList.toggle('bad', value > 0);
}

function showFigures(root) {
  for (const node of root.querySelectorAll('[data-figure]'))
    showFigure(node, valueAt(node.dataset.figure));
}
