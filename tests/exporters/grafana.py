"""grafana.py DASHBOARD PAGE SCRATCH: the Grafana dashboard against a page of metrics that the library wrote. Each name in
each query is on the page (in OpenMetrics a counter may have a "_total" more), each label that a query filters or groups by
is one that the metric has, and promtool parses each query. Ends with "all is as it should be"."""
import json
import re
import subprocess
import sys

dashboard, page, scratch = sys.argv[1:]
WORDS = set('by without on ignoring or and unless bool sum min max avg topk bottomk rate increase deriv clamp_min vector '
            'histogram_quantile label_values'.split())
EVERYWHERE = {'job', 'instance', 'le', 'quantile'}  # of the scrape, and of histograms and summaries


def check(condition, *what):
    if not condition:
        raise AssertionError(' '.join(map(str, what)))


def metrics_of(text):
    """By name of a sample: the labels that it comes with."""
    metrics = {}
    for line in text.splitlines():
        kind = re.match(r'# TYPE (\S+) (\S+)$', line)
        if kind:
            name, what = kind.groups()
            ends = ['_bucket', '_sum', '_count'] if what == 'histogram' else ['', '_total'] if what == 'counter' else ['']
            metrics.update({name + end: metrics.get(name + end, set()) for end in ends})
        elif line and not line.startswith('#'):
            name = re.match(r'[a-zA-Z_:][\w:]*', line).group()
            check(name in metrics, 'a sample without a type:', line)
            labels = set(re.findall(r'(?:[{,])([a-zA-Z_]\w*)="', re.sub(r'"(?:[^"\\]|\\.)*"', '""', line)))
            for same in name, name + '_total':
                if same in metrics:
                    metrics[same] |= labels
    return metrics


def names_in(query):
    """Metric names: words outside of braces, brackets, quotes and groupings that are no function's or operator's."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '', query)
    bare = re.sub(r'\b(?:by|without|on|ignoring)\s*\([^)]*\)', '', bare)
    bare = re.sub(r'\{[^}]*\}|\[[^]]*\]', '', bare)
    return set(re.findall(r'[a-zA-Z_]\w*', bare)) - WORDS


def check_query(query, metrics):
    names = names_in(query)
    check(names or query.startswith('vector'), 'no metric in', query)
    for name in names:
        check(name in metrics, name, 'is not exported:', query)
    groups = [word for group in re.findall(r'\bby\s*\(([^)]*)\)', query) for word in re.split(r'[,\s]+', group) if word]
    filters = re.findall(r'([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)\s*"', query)
    known = EVERYWHERE.union(*(metrics[name] for name in names))
    for label in groups + filters:
        check(label in known, label, 'is no label of', names, ':', query)


def check_by_promtool(queries):
    rules = f'{scratch}/rules.json'  # JSON is YAML
    with open(rules, 'w') as file:
        json.dump({'groups': [{'name': 'g', 'rules': [{'record': f'q:{i}'.replace(':', '_'), 'expr': query}
                                                      for i, query in enumerate(queries)]}]}, file)
    done = subprocess.run(['promtool', 'check', 'rules', rules], capture_output=True, text=True, timeout=60)
    check(done.returncode == 0 and f'{len(queries)} rules found' in done.stdout, done.stdout, done.stderr)


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
        queries.append(re.sub(r'\$__rate_interval|\$__range', '5m', re.sub(r'\$(job|instance)', '.*', target['expr'])))
check(len(queries) > 60, len(queries))
for query in queries:
    check(re.search(r'\$', query) is None, 'an unknown variable:', query)
    check_query(query, metrics)
for variable in document['templating']['list']:
    if variable['type'] == 'query':
        check_query(variable['query']['query'].replace('$job', '.*').replace(', job)', ')').replace(', instance)', ')'),
                    metrics)
check_by_promtool(queries)
# What is left unfound would be found: the checks above can fail.
for wrong in 'sum(no_such_metric)', 'sum by (colour) (request_total)', 'rate(request_in_flight_total[5m])':
    try:
        check_query(wrong, metrics)
    except AssertionError:
        continue
    raise SystemExit(f'{wrong} was not found to be wrong')
print('all is as it should be')
