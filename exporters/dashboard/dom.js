/* Elements. Text that comes from the server becomes a text node, whatever it holds: nothing here reads HTML, and the
 * page's policy has the browser refuse what would. */

const SVG = 'http://www.w3.org/2000/svg';

function add(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {}))
    if (value !== undefined && value !== null && value !== false)
      node.setAttribute(name, value === true ? '' : value);
  node.append(...children.filter(child => child !== null && child !== undefined));
  return node;
}

function element(name, attributes, ...children) {
  return add(document.createElement(name), attributes, children);
}

function svg(name, attributes, ...children) {
  return add(document.createElementNS(SVG, name), attributes, children);
}

/* Changes nothing where nothing changes, so that a selection in the page stays. */
function setText(node, text) {
  if (node.textContent !== text)
    node.textContent = text;
}

function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== value)
    node.setAttribute(name, value);
}

function byId(id) {
  return document.getElementById(id);
}
