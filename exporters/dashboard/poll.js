/* Asking the server, again and again, and telling how that goes. */

const PATHS = { /* beside the page, wherever a proxy puts it */
  requests: 'metrics/requests',
  streaming: 'metrics/streaming',
  errors: 'metrics/errors',
  slo: 'metrics/slo',
  'error-patterns': 'metrics/error-patterns?limit=12',
  costs: 'metrics/costs?limit=9', /* one more than a table shows, to know whether there are more */
  budgets: 'metrics/budgets',
  models: 'metrics/models',
  inference: 'metrics/inference',
  'kv-cache': 'metrics/kv-cache',
  bus: 'metrics/bus',
};

const POLL_MS = 2000, HIDDEN_POLL_MS = 10000, PATIENCE_MS = 8000;
const MISSING_POLLS = 30; /* how often what the server did not have is asked for again */
const TOKEN_KEY = 'tallybus-token'; /* of this tab's storage, which ends with the tab */

class Refused extends Error {}
class Gone extends Error {}

/* A browser may be told to store nothing: then the token lasts as long as the page. */
function stored(change) {
  try {
    return change(sessionStorage);
  } catch {
    return null;
  }
}

let token = stored(storage => storage.getItem(TOKEN_KEY));
let missing = new Set(), polls = 0, timer = null, isPolling = false, answeredAt = null;
let repliedNs = null; /* the server's date at its latest reply, in whole seconds; null where a proxy leaves it out */

/* The document, or null where the server has none. */
async function load(name) {
  const headers = { Accept: 'application/json' };
  if (token)
    headers.Authorization = 'Bearer ' + token;
  const gone = () => {
    throw new Gone('no answer from the server');
  };
  const reply = await fetch(PATHS[name], { headers, cache: 'no-store', credentials: 'omit', redirect: 'error',
    signal: AbortSignal.timeout(PATIENCE_MS) }).catch(gone);
  repliedNs = Date.parse(reply.headers.get('Date')) * 1e6 || null;
  if (reply.status === 401)
    throw new Refused();
  if (reply.status === 404 || reply.status === 406)
    return null;
  if (!reply.ok)
    throw new Error(`the server answers with status ${reply.status}`);
  return reply.json().catch(gone); /* cut short */
}

/* The latest of the trackers' clocks, which are not always today's. Errors tell their last record's time alone, budgets go
 * by a clock of their own: beside these it is the server's date. */
function timeOf({ requests, streaming, models, inference, costs }) {
  const times = [requests, streaming, models, inference, costs].filter(document => document);
  return times.length > 0 ? Math.max(...times.map(document => document.time_ns)) : repliedNs;
}

function showState(state, text) {
  const node = byId('state');
  setAttribute(node, 'data-state', state);
  setText(node, text);
  document.title = (state === 'live' ? '' : text + ' · ') + 'tallybus';
  byId('main').classList.toggle('stale', state === 'gone');
  byId('main').hidden = state === 'token';
  byId('access').hidden = state !== 'token';
  byId('notice').hidden = state !== 'gone';
}

function showAll() {
  const nowMs = performance.now();
  for (const update of updates)
    update();
  showFigures(byId('main'));
  for (const { draw } of charts)
    draw(nowMs);
}

function onDocuments(names, loaded) {
  names.forEach((name, i) => {
    documents[name] = loaded[i];
    missing[loaded[i] ? 'delete' : 'add'](name);
  });
  serverNs = timeOf(documents);
  answeredAt = new Date();
  history.add(performance.now(), false);
  showState('live', 'live');
  setText(byId('updated'), 'updated ' + answeredAt.toLocaleTimeString());
  showAll();
  byId('notice').hidden = Object.values(documents).some(document => document);
  setText(byId('notice'), 'This server was opened without anything that could be shown.');
}

function onRefused() {
  byId('refused').hidden = !token;
  token = null;
  stored(storage => storage.removeItem(TOKEN_KEY));
  const wasShown = !byId('access').hidden;
  showState('token', 'token needed');
  byId('alerts').hidden = true;
  if (!wasShown)
    byId('token').focus();
}

/* Also where it is there and what it says can not be shown. */
function onGone(error) {
  missing = new Set(); /* another server may come */
  history.add(performance.now(), true);
  setText(byId('notice'), error.message[0].toUpperCase() + error.message.slice(1) +
    (answeredAt ? `. The figures are those of ${answeredAt.toLocaleTimeString()}` : '') +
    '. Asking again every few seconds.');
  showState('gone', error instanceof Gone ? 'no answer' : 'trouble');
}

async function poll() {
  clearTimeout(timer);
  if (isPolling)
    return;
  isPolling = true;
  if (polls++ % MISSING_POLLS === 0)
    missing = new Set();
  const names = Object.keys(PATHS).filter(name => !missing.has(name));
  const results = await Promise.allSettled(names.map(load));
  const failures = results.filter(result => result.status === 'rejected').map(result => result.reason);
  isPolling = false;
  if (failures.some(reason => reason instanceof Refused))
    return onRefused(); /* until there is a token */
  try {
    if (failures.length > 0)
      throw failures[0];
    onDocuments(names, results.map(result => result.value));
  } catch (error) {
    onGone(error);
  }
  timer = setTimeout(poll, document.hidden ? HIDDEN_POLL_MS : POLL_MS);
}

byId('access').addEventListener('submit', event => {
  event.preventDefault();
  token = byId('token').value.trim();
  byId('token').value = '';
  if (!/^[!-~]+$/.test(token)) /* no token has other letters, and no header could */
    return onRefused();
  stored(storage => storage.setItem(TOKEN_KEY, token));
  poll();
});
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && byId('access').hidden)
    poll();
});
setText(byId('host'), location.host);
build(byId('main'));
poll();
