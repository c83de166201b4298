/* What the page shows. Each figure is a path into one of the server's documents. */

const WINDOWS = ['5m', '30m', '1h', '2h', '6h', '1d', '3d'];

/* An error rate that the SLO does not allow; without an SLO, one above 1 %. */
const tooMany = rate => rate > (documents.slo ? 1 - documents.slo.all.target_ppm / 1e6 : 0.01) ? 'bad' : '';
/* Where not one error is allowed yet, all of the budget is left after any number of them. */
const toneOfSlo = (slo, left) => slo?.violated ? 'bad' : left < 25 ? 'warn' : '';
const percentiles = path => ['p50', 'p95', 'p99'].map(name => [name, `${path}/${name}`]);

function now() {
  return section('Now',
    element('div', { class: 'tiles' },
      tile('Requests', 'requests/all/requests_per_second', 'number', ['per second']),
      tile('Active streams', 'streaming/active_streams', 'count',
        ['of ', figure('streaming/total_streams', 'count'), ' started']),
      tile('Tokens', 'requests/all/tokens_per_second', 'number', ['per second']),
      tile('Error rate', 'errors/error_rate_in_window', 'ratio',
        [figure('errors/failed_in_window', 'count'), ' of ', figure('errors/requests_in_window', 'count')],
        tooMany),
      tile('Time to first token', 'streaming/ttft_ms/p95', 'ms', ['p95 of streams']),
      tile('Inter-token latency', 'streaming/itl_ms/p95', 'ms', ['p95 of tokens']),
      tile('Error budget left', 'slo/all/budget_percentage', 'percent',
        [figure('slo/all/budget_remaining', 'count'), ' of ', figure('slo/all/budget_total', 'count'), ' errors'],
        left => toneOfSlo(documents.slo?.all, left)),
      tile('Spent', 'costs/total_usd', 'usd', ['≈ ', figure('costs/projected_monthly_usd', 'usd'), ' a month'])));
}

function overTime() {
  const draw = (needs, title, kind, series) => card(needs, 4, null, chart(title, kind, series));
  return section('Over time', element('div', { class: 'cards' },
    draw('requests', 'Requests per second', 'number', [['requests', 'requests/all/requests_per_second'],
      ['errors', 'requests/all/errors_per_second']]),
    draw('streaming', 'Time to first token', 'ms', percentiles('streaming/ttft_ms')),
    draw('streaming', 'Inter-token latency', 'ms', percentiles('streaming/itl_ms')),
    draw('requests', 'Tokens per second', 'number', [['tokens', 'requests/all/tokens_per_second']]),
    draw('requests', 'In progress', 'count', [['requests', 'requests/all/in_flight'],
      ['streams', 'streaming/active_streams']]),
    draw('requests', 'Latency of requests', 'ms', percentiles('requests/all/latency_ms'))));
}

/* --- Reliability --- */

function budgetOfErrors() {
  return live(bar('Error budget left', { class: 'bar budget-bar' }), node => {
    const slo = documents.slo?.all, left = slo ? slo.budget_percentage : 0;
    setBar(node, left / 100);
    setAttribute(node, 'data-tone', toneOfSlo(slo, left) || 'good');
  });
}

function reliability() {
  const none = errors => errors.failed === 0;
  return section('Reliability', element('div', { class: 'cards' },
    card('slo', 5, ['Service level', live(element('span', { class: 'chip' }), node => {
      const violated = documents.slo?.all.violated;
      setText(node, violated ? 'violated' : 'kept');
      setAttribute(node, 'data-tone', violated ? 'bad' : 'good');
    })], [
      facts([['Target', 'slo/all/target_ppm', 'ppm'], ['Success rate', 'slo/all/success_rate', 'ratio'],
        ['Requests', 'slo/all/requests', 'count'], ['Errors', 'slo/all/errors', 'count'],
        ['Errors allowed', 'slo/all/budget_total', 'count'], ['Still allowed', 'slo/all/budget_remaining', 'count']]),
      budgetOfErrors(),
      table('slo/all/alerts', 'Alerts', [{ head: 'Alert', path: 'severity', kind: 'text', class: 'left' },
        { head: 'over', path: 'long_window', kind: 'text' }, { head: 'and', path: 'short_window', kind: 'text' },
        { head: 'burn above', path: 'factor', kind: 'times' },
        { head: 'State', path: 'active', kind: 'active', tone: row => row.active ? 'bad' : '' }]),
    ]),
    card('slo', 7, 'Burn rates', [
      matrix('Burn rates', ['Window', 'Requests', 'Errors', 'Burn rate'], WINDOWS.map(name => [name,
        [`slo/all/burn/${name}/requests`, 'count'], [`slo/all/burn/${name}/errors`, 'count'],
        [`slo/all/burn/${name}/burn_rate`, 'burn']])),
      table('slo/endpoints', 'Service levels of endpoints', [
        { head: 'Endpoint', path: 'endpoint', kind: 'text', class: 'name' },
        { head: 'Target', path: 'target_ppm', kind: 'ppm', class: 'wide' },
        { head: 'Success', path: 'success_rate', kind: 'ratio' },
        { head: 'Budget left', path: 'budget_percentage', kind: 'percent',
          tone: row => toneOfSlo(row, row.budget_percentage) },
        { head: 'Burn 1h', path: 'burn/1h/burn_rate', kind: 'burn' }],
      { by: row => row.burn_rate ?? Infinity, limit: 6, empty: 'no endpoint yet' }),
    ]),
    card('error-patterns', 8, 'Error patterns', [
      table('error-patterns/patterns', 'Error patterns', [
        { head: 'Message', path: 'message', kind: 'text', class: 'message' },
        { head: 'Type', path: 'type', kind: 'text', class: 'name wide' },
        { head: 'Endpoint', path: 'endpoint', kind: 'text', class: 'name wide' },
        { head: 'Models', path: 'models', kind: 'list', class: 'name wide' },
        { head: 'Users', path: 'users', kind: 'count', class: 'wide' },
        { head: 'Count', path: 'count', kind: 'count' },
        { head: 'Last', path: 'last_seen_ns', kind: 'ago' }], { limit: 12 }),
    ], found => found.patterns.length === 0, 'No error patterns.'),
    card('errors', 4, 'Errors', [
      table('errors/by_type', 'Errors by type', [{ head: 'Type', path: 'name', kind: 'text', class: 'name' },
        { head: 'Errors', path: 'errors', kind: 'count', bar: true }], { by: row => row.errors, limit: 5 }),
      table('errors/by_status', 'Errors by status', [
        { head: 'Status', path: 'status_code', kind: 'status', class: 'left' },
        { head: 'Errors', path: 'errors', kind: 'count', bar: true }], { by: row => row.errors, limit: 5 }),
    ], none, 'No errors.')));
}

/* --- Cost --- */

/* The server has them by falling cost, and was asked for the first ones alone. */
function costTable(title, path, empty) {
  return card('costs', 6, title, [table(path, title, [{ head: 'Name', path: 'name', kind: 'text', class: 'name' },
    { head: 'Requests', path: 'requests', kind: 'count', class: 'wide' },
    { head: 'Input', path: 'prompt_tokens', kind: 'count', class: 'wide' },
    { head: 'Output', path: 'completion_tokens', kind: 'count', class: 'wide' },
    { head: 'Unpriced', path: 'unpriced_requests', kind: 'count', class: 'wide',
      tone: row => row.unpriced_requests > 0 ? 'warn' : '' },
    { head: 'Cost', path: 'usd', kind: 'usd', bar: true }], { limit: 8, empty, isCut: true })]);
}

function budget() {
  return element('div', { class: 'budget' },
    element('div', { class: 'top' }, element('span', { class: 'who' }, element('span', { class: 'chip' }), ' ',
      figure('', 'text')), element('span', { class: 'of' }, figure('', 'usd'), ' of ', figure('', 'usd'))),
    bar('used', {}, element('i', { class: 'reserved' })),
    element('div', { class: 'under' }, element('span', {}, figure('', 'usd'), ' left'),
      element('span', {}, figure('', 'usd'), ' reserved'), element('span', { class: 'terms' })));
}

function showBudget(node, row, path) {
  const names = ['subject', 'used_usd', 'limit_usd', 'remaining_usd', 'reserved_usd'];
  const limit = Number(row.limit_usd), used = Number(row.used_usd), reserved = Number(row.reserved_usd);
  node.querySelectorAll('.figure').forEach((part, i) => point(part, `${path}/${names[i]}`));
  const meter = node.querySelector('.bar'), tone = row.over ? 'bad' : used >= 0.8 * limit ? 'warn' : '';
  setBar(meter, limit > 0 ? used / limit : used > 0, limit > 0 ? reserved / limit : 0);
  setAttribute(meter, 'data-tone', tone);
  setAttribute(meter, 'aria-label', `used of the budget of ${row.scope} ${row.subject}`);
  setText(node.querySelector('.chip'), row.scope === 'all' ? 'everything' : row.scope);
  setText(node.querySelector('.terms'), [row.kind, row.rolling ? 'rolling' : null, row.period,
    row.period_end_ns === null || row.rolling ? null : 'until ' + moment(row.period_end_ns),
    row.over ? 'over its limit' : null].filter(word => word).join(' · '));
  setAttribute(node.querySelector('.terms'), 'class', 'terms ' + tone);
}

/* How near its limit it is. */
const fullness = row => (Number(row.used_usd) + Number(row.reserved_usd)) / (Number(row.limit_usd) || 1e-12);

function budgets() {
  const LIMIT = 12;
  const list = element('div', { class: 'budgets' }), more = element('p', { class: 'more' });
  return card('budgets', 12, 'Budgets', [live(list, node => {
    const rows = ranked(valueAt('budgets/budgets') || [], fullness);
    fill(node, rows.slice(0, LIMIT), budget);
    rows.slice(0, LIMIT).forEach((item, i) => showBudget(node.children[i], item.row, `budgets/budgets/${item.at}`));
    more.hidden = rows.length <= LIMIT;
    setText(more, `and ${rows.length - LIMIT} more`);
  }), more], document => document.budgets.length === 0, 'No budgets are set.');
}

function cost() {
  return section('Cost', element('div', { class: 'cards' },
    card('costs', 12, null, [facts([['Total', 'costs/total_usd', 'usd'],
      ['Projected month', 'costs/projected_monthly_usd', 'usd'],
      ['Saved by caching', 'costs/cache_savings_usd', 'usd'], ['Saved by batches', 'costs/batch_savings_usd', 'usd'],
      ['Requests', 'costs/requests', 'count'], ['Estimated', 'costs/estimated_requests', 'count'],
      ['Input tokens', 'costs/prompt_tokens', 'count'], ['Of these cached', 'costs/cached_tokens', 'count'],
      ['Output tokens', 'costs/completion_tokens', 'count']])]),
    costTable('By model', 'costs/by_model', 'no cost yet'), costTable('By key', 'costs/by_key', 'no key yet'),
    budgets()));
}

/* --- Traffic --- */

const latencies = path => [{ head: 'p50', path: path + '/p50', kind: 'ms', class: 'wide' },
  { head: 'p95', path: path + '/p95', kind: 'ms' }, { head: 'p99', path: path + '/p99', kind: 'ms', class: 'wide' }];

function traffic() {
  return section('Traffic', element('div', { class: 'cards' },
    card('requests', 6, ['Endpoints', element('small', {}, 'rates and latencies over the window')], [
      table('requests/endpoints', 'Endpoints', [{ head: 'Endpoint', path: 'name', kind: 'text', class: 'name' },
        { head: 'Requests/s', path: 'requests_per_second', kind: 'number' },
        { head: 'In flight', path: 'in_flight', kind: 'count', class: 'wide' },
        { head: 'Requests', path: 'requests', kind: 'count', class: 'wide' },
        { head: 'Errors', path: 'errors', kind: 'count', tone: row => tooMany(row.errors / row.responses) },
        ...latencies('latency_ms')], { by: row => row.requests })],
    document => document.endpoints.length === 0, 'No requests yet.'),
    card('models', 6, 'Models', [
      table('models/models', 'Models', [{ head: 'Model', path: 'name', kind: 'text', class: 'name' },
        { head: 'Requests', path: 'requests', kind: 'count', class: 'wide' },
        { head: 'Error rate', path: 'error_rate', kind: 'ratio', tone: row => tooMany(row.error_rate) },
        { head: 'Tokens', path: 'total_tokens', kind: 'count' }, ...latencies('latency_ms'),
        { head: 'Users', path: 'users', kind: 'count', class: 'wide' }], { by: row => row.requests })],
    document => document.models.length === 0, 'No models yet.')));
}

const MEASURES = ['', 'p50', 'p95', 'p99*', 'max'];
const measures = (label, path, kind) => [label, ...['p50', 'p95', 'p99', 'max'].map(name => [`${path}/${name}`, kind])];

function streams() {
  return section('Streams', element('div', { class: 'cards' },
    card('streaming', 7, ['Streams', element('small', {}, 'finished ones in the window')], [
      matrix('Latencies of streams', MEASURES, [measures('Time to first token', 'streaming/ttft_ms', 'ms'),
        measures('Inter-token latency', 'streaming/itl_ms', 'ms'),
        measures('Inter-chunk latency', 'streaming/icl_ms', 'ms'),
        measures('Time per output token', 'streaming/tpot_ms', 'ms'),
        measures('Tokens per second', 'streaming/tokens_per_second', 'number'),
        measures('Duration', 'streaming/duration_ms', 'ms')])],
    document => document.total_streams === 0, 'No streams yet.'),
    card('streaming', 5, 'Counts', [facts([['Started', 'streaming/total_streams', 'count'],
      ['Completed', 'streaming/completed_streams', 'count'], ['Failed', 'streaming/failed_streams', 'count', 'alarm'],
      ['Cancelled', 'streaming/cancelled_streams', 'count'], ['Abandoned', 'streaming/abandoned_streams', 'count', 'alarm'],
      ['Success rate', 'streaming/success_rate', 'ratio'], ['Goodput', 'streaming/goodput', 'ratio'],
      ['Tokens', 'streaming/total_tokens', 'count'], ['Back-pressure', 'streaming/backpressure_events', 'count']]),
      table('streaming/models', 'Streams by model', [{ head: 'Model', path: 'model', kind: 'text', class: 'name' },
        { head: 'Streams', path: 'streams', kind: 'count' },
        { head: 'Tokens', path: 'tokens', kind: 'count', bar: true }], { by: row => row.tokens, limit: 5 })],
    document => document.total_streams === 0, 'No streams yet.')));
}

/* --- Serving --- */

function serving() {
  const idle = document => document.all.started === 0, unused = document => document.all.lookups === 0;
  return section('Inference', element('div', { class: 'cards' },
    card('inference', 7, ['Phases', element('small', {}, 'requests in the window')], [
      matrix('Phases of inference', MEASURES, [measures('Queue', 'inference/all/queue_ms', 'ms'),
        measures('Prefill', 'inference/all/prefill_ms', 'ms'), measures('Decode', 'inference/all/decode_ms', 'ms'),
        measures('Time to first token', 'inference/all/ttft_ms', 'ms'),
        measures('Time per output token', 'inference/all/tpot_ms', 'ms'),
        measures('Total', 'inference/all/total_ms', 'ms')])], idle, 'No requests yet.'),
    card('inference', 5, 'Workers', [facts([['On their way', 'inference/active', 'count'],
      ['Queue depth', 'inference/queue_depth', 'count'], ['at most', 'inference/queue_depth_max', 'count'],
      ['Batch size', 'inference/batch_size', 'count'], ['on average', 'inference/batch_size_mean', 'number'],
      ['Input tokens/s', 'inference/all/input_tokens_per_second', 'number'],
      ['Output tokens/s', 'inference/all/output_tokens_per_second', 'number'],
      ['From a cache', 'inference/all/cached_share', 'ratio']]),
      table('inference/workers', 'Workers', [{ head: 'Worker', path: 'worker', kind: 'text', class: 'name' },
        { head: 'Requests', path: 'requests', kind: 'count', class: 'wide' },
        { head: 'Mean latency', path: 'latency_ms', kind: 'ms' },
        { head: 'Share', path: 'share', kind: 'ratio', bar: true }],
      { by: row => row.requests, limit: 8, empty: 'no worker was named yet' })], idle, 'No requests yet.'),
    card('kv-cache', 5, 'KV cache', [facts([['Look-ups', 'kv-cache/all/lookups', 'count'],
      ['Hit rate', 'kv-cache/all/hit_rate', 'percent'], ['Tokens reused', 'kv-cache/all/reused', 'count'],
      ['Token reuse', 'kv-cache/all/token_reuse_rate', 'percent'],
      ['First token without', 'kv-cache/all/baseline_ttft_ms', 'ms'],
      ['and with it', 'kv-cache/all/actual_ttft_ms', 'ms'], ['Speed-up', 'kv-cache/all/speedup_ratio', 'times']])],
    unused, 'No look-ups yet.'),
    card('kv-cache', 7, 'KV cache by endpoint', [
      table('kv-cache/endpoints', 'KV cache by endpoint', [
        { head: 'Endpoint', path: 'endpoint', kind: 'text', class: 'name' },
        { head: 'Look-ups', path: 'lookups', kind: 'count' }, { head: 'Hit rate', path: 'hit_rate', kind: 'percent' },
        { head: 'Token reuse', path: 'token_reuse_rate', kind: 'percent' },
        { head: 'Speed-up', path: 'speedup_ratio', kind: 'times', class: 'wide' }],
      { by: row => row.lookups, limit: 6 })], unused, 'No look-ups yet.')));
}

/* --- The bus --- */

function queue() {
  return live(bar('Queue in use', { class: 'bar budget-bar' }), node => {
    const stats = documents.bus, share = stats ? stats.queued_bytes / stats.ring_bytes : 0;
    setBar(node, share);
    setAttribute(node, 'data-tone', share > 0.8 ? 'bad' : share > 0.5 ? 'warn' : '');
  });
}

function bus() {
  const lost = ['shed', 'full', 'oversized', 'closing', 'aborted', 'overdue'];
  const trouble = row => row.errors + row.dropped + row.skipped;
  return section('Bus', element('div', { class: 'cards' },
    card('bus', 5, 'Events', [facts([['Published', 'bus/published', 'count'], ['Delivered', 'bus/delivered', 'count'],
      ['Nobody listened', 'bus/unclaimed', 'count'], ['Handler errors', 'bus/handler_errors', 'count', 'alarm'],
      ['In the queue', 'bus/queued_events', 'count'], ['Queue', 'bus/queued_bytes', 'bytes'],
      ['Most so far', 'bus/queued_bytes_max', 'bytes'], ['Queue has', 'bus/ring_bytes', 'bytes'],
      ['Wait p50', 'bus/latency_ns/p50', 'ns'], ['Wait p99', 'bus/latency_ns/p99', 'ns'],
      ['Wait at most', 'bus/latency_ns/max', 'ns']]), queue(),
    element('h3', {}, 'Dropped'), facts(lost.map(reason => [reason, `bus/undelivered/${reason}`, 'count', 'alarm']))]),
    card('bus', 7, 'Subscribers', [table('bus/subscribers', 'Subscribers', [
      { head: 'Name', path: 'name', kind: 'text', class: 'name' },
      { head: 'Breaker', path: 'breaker', kind: 'text', class: 'wide', tone: row => row.breaker === 'closed' ? '' : 'bad' },
      { head: 'Calls', path: 'calls', kind: 'count' },
      { head: 'Errors', path: 'errors', kind: 'count', tone: row => row.errors ? 'bad' : '' },
      { head: 'Dropped', path: 'dropped', kind: 'count', tone: row => row.dropped ? 'bad' : '' },
      { head: 'Queued', path: 'queued_events', kind: 'count', class: 'wide' },
      { head: 'Worst', path: 'worst_ns', kind: 'ns', class: 'wide' }],
    { by: row => trouble(row) * 1e15 + row.calls, limit: 12 })],
    document => document.subscribers.length === 0, 'No subscribers.')));
}

/* --- Alerts, above all --- */

/* One line for each SLO with an alert: its worst severity, and what it is about. */
function alertOf(slo) {
  const active = slo.alerts.filter(alert => alert.active);
  const of = slo.endpoint === null ? 'all requests' : write('text', slo.endpoint);
  const rules = active.map(alert => `more than ${writeShort('times', alert.factor)} over ${alert.long_window} and ` +
    alert.short_window);
  return active.length === 0 ? null : [active.some(alert => alert.severity === 'page') ? 'page' : 'ticket',
    `: the error budget of ${of} burns too fast: ${rules.join('; ')}`];
}

function showAlerts() {
  const LIMIT = 4;
  const slos = documents.slo ? [documents.slo.all, ...documents.slo.endpoints] : [];
  const lines = slos.map(alertOf).filter(line => line), text = lines.map(line => line.join('')).join('\n');
  const node = byId('alerts');
  node.hidden = lines.length === 0;
  if (node.dataset.text === text)
    return;
  node.dataset.text = text;
  node.replaceChildren(
    ...lines.slice(0, LIMIT).map(([severity, rest]) => element('p', {}, element('b', {}, severity), rest)),
    ...lines.length > LIMIT ? [element('p', {}, `and ${lines.length - LIMIT} more`)] : []);
}

function build(main) {
  main.append(now(), overTime(), reliability(), cost(), traffic(), streams(), serving(), bus());
  updates.push(showAlerts);
}
