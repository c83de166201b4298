"""grafana.py DASHBOARD PAGE SCRATCH: the Grafana dashboard against a page of metrics that the library wrote. Each name in
each query is on the page (in OpenMetrics a counter may have a "_total" more); each label that a query filters or groups by is
one that each of its metrics has, with the value asked for; promtool parses each query, and finds what the less simple ones
tell of two instances. Ends with "all is as it should be"."""
import json
import re
import subprocess
import sys

dashboard, page, scratch = sys.argv[1:]
WORDS = set('by without on ignoring or and unless bool sum min max avg topk bottomk rate increase deriv clamp_min vector '
            'histogram_quantile label_values'.split())
OF_THE_SCRAPE = {'job', 'instance'}
STRING = r'"(?:[^"\\]|\\.)*"'


def check(condition, *what):
    if not condition:
        raise AssertionError(' '.join(map(str, what)))


def metrics_of(text):
    """By name of a sample: the labels that it comes with, and the values of each."""
    metrics = {}
    for line in text.splitlines():
        kind = re.match(r'# TYPE (\S+) (\S+)$', line)
        if kind:
            name, what = kind.groups()
            if what == 'histogram':
                metrics.update({name + end: {} for end in ('_bucket', '_sum', '_count')})
            else:
                metrics[name] = {}
            if what == 'counter' and not name.endswith('_total'):
                metrics[name + '_total'] = metrics[name]  # the same in OpenMetrics
        elif line and not line.startswith('#'):
            name = re.match(r'[a-zA-Z_:][\w:]*', line).group()
            check(name in metrics, 'a sample without a type:', line)
            for label, value in re.findall(rf'[{{,]([a-zA-Z_]\w*)=({STRING})', line):
                metrics[name].setdefault(label, set()).add(value[1:-1])
    return metrics


def selectors_in(query):
    """(name, {label: values asked for}) of each metric: a word outside of brackets, quotes and groupings that is no
    function's or operator's, or each name that a filter of __name__ lists."""
    bare = re.sub(r'\b(?:by|without|on|ignoring)\s*\([^)]*\)|\[[^]]*\]', '', query)
    for name, filters in re.findall(rf'([a-zA-Z_]\w*|(?=\{{))(\{{(?:[^"}}]|{STRING})*\}})?', bare):
        labels = {label: value[1:-1].split('|') for label, value in re.findall(rf'(\w+)\s*(?:=~|!~|!=|=)\s*({STRING})', filters)}
        for each in labels.pop('__name__', [name]):
            if each not in WORDS:
                yield each, labels


def check_query(query, metrics):
    selectors = list(selectors_in(query))
    check(selectors or query.startswith('vector'), 'no metric in', query)
    groups = [word for group in re.findall(r'\bby\s*\(([^)]*)\)', query) for word in re.split(r'[,\s]+', group) if word]
    for name, labels in selectors:
        check(name in metrics, name, 'is not exported:', query)
        for label in {*labels, *groups} - OF_THE_SCRAPE:
            check(label in metrics[name], label, 'is no label of', name, ':', query)
            for value in labels.get(label, []):
                check(value in metrics[name][label] | {''}, label, 'is never', value, ':', query)


def check_syntax(queries):
    rules = f'{scratch}/rules.json'  # JSON is YAML
    with open(rules, 'w') as file:
        json.dump({'groups': [{'name': 'g', 'rules': [{'record': f'q:{i}'.replace(':', '_'), 'expr': query}
                                                      for i, query in enumerate(queries)]}]}, file)
    done = subprocess.run(['promtool', 'check', 'rules', rules], capture_output=True, text=True, timeout=60)
    check(done.returncode == 0 and f'{len(queries)} rules found' in done.stdout, done.stdout, done.stderr)


def check_values(query_of):
    """What some of the queries tell of two instances, one of which is idle or fine."""
    burn = 'error_burn_rate{instance="%s",window="%s"}'
    alert, batch, without = query_of('page: 1h and 5m'), query_of('mean batch'), query_of('without')
    tests = [
        ({burn % ('a', '1h'): 20, burn % ('a', '5m'): 0, burn % ('b', '1h'): 0, burn % ('b', '5m'): 20}, alert, 0),
        ({burn % ('a', '1h'): 20, burn % ('a', '5m'): 20, burn % ('b', '1h'): 0, burn % ('b', '5m'): 0}, alert, 1),
        ({'inference_batch_size_mean{instance="a"}': 'NaN', 'inference_batch_size_mean{instance="b"}': 5}, batch, 5),
        ({'kvcache_baseline_ttft_seconds{instance="a"}': 'NaN', 'kvcache_baseline_ttft_seconds{instance="b"}': 2}, without, 2),
    ]
    with open(f'{scratch}/values.json', 'w') as file:
        json.dump({'tests': [{'input_series': [{'series': series.replace('{', '{job="j",'), 'values': f'{value} {value}'}
                                               for series, value in given.items()],
                              'promql_expr_test': [{'expr': query, 'eval_time': '1m',
                                                    'exp_samples': [{'labels': '{}', 'value': wanted}]}]}
                             for given, query, wanted in tests]}, file)
    done = subprocess.run(['promtool', 'test', 'rules', file.name], capture_output=True, text=True, timeout=60)
    check(done.returncode == 0, done.stdout, done.stderr)


with open(dashboard) as file:
    document = json.load(file)
with open(page) as file:
    metrics = metrics_of(file.read())
check(len(metrics) > 150, 'the page has only', len(metrics), 'metrics')
panels = document['panels']
check(len({panel['id'] for panel in panels}) == len(panels), 'ids are not unique')
rows = [panel['title'] for panel in panels if panel['type'] == 'row']
check(rows == ['Now', 'Requests', 'Streaming', 'Errors, SLO and burn rates', 'Cost and budgets', 'Inference', 'KV cache',
               'Bus'], rows)
queries = []
legends = {}
taken = set()
for panel in panels:
    place = panel['gridPos']
    cells = {(x, y) for x in range(place['x'], place['x'] + place['w']) for y in range(place['y'], place['y'] + place['h'])}
    check(place['x'] + place['w'] <= 24 and not cells & taken, panel['title'], 'lies over another')
    taken |= cells
    if panel['type'] == 'row':
        continue
    check(panel['targets'], panel['title'], 'has no query')
    for target in panel['targets']:
        for source in panel['datasource'], target['datasource']:
            check(source == {'type': 'prometheus', 'uid': '${datasource}'}, panel['title'], source)
        check('$job' in target['expr'] and '$instance' in target['expr'], panel['title'], 'is not filtered')
        legends[target['legendFormat']] = len(queries)
        queries.append(re.sub(r'\$__rate_interval|\$__range', '5m', re.sub(r'\$(job|instance)', '.*', target['expr'])))
check(len(queries) > 60, len(queries))
for query in queries:
    check(re.search(r'\$', query) is None, 'an unknown variable:', query)
    check_query(query, metrics)
for variable in document['templating']['list']:
    if variable['type'] == 'query':
        query = variable['query']['query']
        check(query == variable['definition'] and variable['query']['qryType'] == 1, 'Grafana takes it for another kind:', query)
        check_query(re.sub(r', (job|instance)\)$', ')', query), metrics)
check_syntax(queries)
check_values(lambda legend: queries[legends[legend]])
# What is left unfound would be found: the checks above can fail.
for wrong in ('sum(no_such_metric)', 'sum by (colour) (request_total)', 'rate(request_in_flight_total[5m])',
              'error_burn_rate{window="7m"}', 'error_burn_rate{colour="1h"} / ignoring (window) request_total',
              'request_total{window="1h"} / ignoring (window) error_burn_rate', '{__name__=~"request_total|no_such_metric"}',
              'rate(request_total_total[5m])', 'sum by (window) (error_burn_rate / request_in_flight)'):
    try:
        check_query(wrong, metrics)
    except AssertionError:
        continue
    raise SystemExit(f'{wrong} was not found to be wrong')
print('all is as it should be')
