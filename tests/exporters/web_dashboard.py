"""web_dashboard.py SCENARIO URL SCRATCH: looks at the dashboard in Chromium. Asks its parent for a server that closes and
opens, over its standard streams, and ends with "all is as it should be"."""
import json
import signal
import sys
import tempfile
import urllib.request
from decimal import ROUND_HALF_UP, Decimal

sys.dont_write_bytecode = True
import chromium  # noqa: E402 (beside this file)

scenario, url, scratch = sys.argv[1:]
PATHS = {'requests': 'requests', 'streaming': 'streaming', 'errors': 'errors', 'slo': 'slo',
         'error-patterns': 'error-patterns?limit=12', 'costs': 'costs?limit=9', 'budgets': 'budgets', 'models': 'models',
         'inference': 'inference', 'kv-cache': 'kv-cache', 'bus': 'bus'}
LIVE = "document.querySelector('#state')?.textContent === 'live'"
FIGURES = """[...document.querySelectorAll('main [data-figure]')].map(node => ({path: node.dataset.figure,
    kind: node.dataset.kind, text: node.textContent, title: node.title, shown: node.checkVisibility()}))"""


def ask(what):
    """Has the host do something, and waits until it has."""
    print(what, flush=True)
    answer = sys.stdin.readline()
    assert answer == 'done\n', answer


def check(condition, *what):
    if not condition:
        raise AssertionError(' '.join(map(str, what)))


# --- How figures are written, once more ---

NARROW, UNKNOWN = '\u202f', '\u2013'


def fixed(number, digits):
    return format(Decimal(number).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP), ',.%df' % digits)


def three(number):
    if number == 0:
        return '0'
    if number < 0.0005:
        return '<0.001'
    return fixed(number, 0 if number >= 100 else 1 if number >= 10 else 2 if number >= 1 else 3)


def in_units(number, *units):
    limit, divisor, unit = next(entry for entry in units if number < entry[0])
    return three(number / divisor) + NARROW + unit


def large(number):
    return in_units(number, (1e9, 1e6, 'M'), (1e12, 1e9, 'G'), (1e15, 1e12, 'T'), (float('inf'), 1e15, 'P'))


def count(number):
    return fixed(number, 0) if number < 10 ** 6 else large(number)


def plain(number):
    return three(number) if number < 10 ** 6 else large(number)


def milliseconds(ms):
    if ms == 0:
        return '0' + NARROW + 'ms'
    return in_units(ms, (1, 0.001, '\u00b5s'), (1e3, 1, 'ms'), (6e4, 1e3, 's'), (3.6e6, 6e4, 'min'),
                    (float('inf'), 3.6e6, 'h'))


def percent(number):
    if number in (0, 100):
        text = str(int(number))
    elif number < 0.0005:
        text = '<0.001'
    else:
        text = fixed(number, 3 if number < 0.1 else 2)
        text = '>99.99' if text == '100.00' and number < 100 else text
    return text + NARROW + '%'


def dollars(text):
    number = float(text)
    if number == 0:
        return '$0'
    if number < 0.00005:
        return '<$0.0001'
    return '$' + (count(int(number)) if number >= 1e6 else fixed(number, 0 if number >= 1000 else 2 if number >= 1 else 4))


def ago(ns, now_ns):
    seconds = max(0, int((now_ns - ns) / 1e9 + 0.5))
    unit, divisor = next((unit, divisor) for limit, divisor, unit in
                         ((60, 1, 's'), (3600, 60, 'min'), (86400, 3600, 'h'), (1e99, 86400, 'd')) if seconds < limit)
    return f'{seconds // divisor}{NARROW}{unit} ago'


def size(number):
    if number == 0:
        return '0' + NARROW + 'B'
    return in_units(number, (2 ** 10, 1, 'B'), (2 ** 20, 2 ** 10, 'KiB'), (2 ** 30, 2 ** 20, 'MiB'),
                    (float('inf'), 2 ** 30, 'GiB'))


WRITERS = {
    'text': lambda text: text or UNKNOWN, 'count': count, 'number': plain, 'ms': milliseconds, 'ns': lambda ns: milliseconds(ns / 1e6),
    'ratio': lambda share: percent(share * 100), 'percent': percent, 'ppm': lambda ppm: percent(ppm / 1e4),
    'usd': dollars, 'bytes': size, 'times': lambda number: plain(number) + NARROW + '\u00d7',
    'burn': lambda number: plain(number) + NARROW + '\u00d7', 'list': lambda texts: ', '.join(texts) or UNKNOWN,
    'active': lambda active: 'active' if active else 'quiet',
    'status': lambda code: str(code) if code > 0 else 'other' if code else 'none'}


def expected(kind, value, now_ns):
    if value is None:
        return '\u221e' if kind == 'burn' else UNKNOWN
    return ago(value, now_ns) if kind == 'ago' else WRITERS[kind](value)


def title_agrees(title, value):
    if value is None:
        return title == 'not known'
    if isinstance(value, list):
        return title == '\n'.join(value)
    if isinstance(value, bool):
        return title == str(value).lower()
    return title == value if isinstance(value, str) else float(title) == float(value)


# --- The documents ---

def fetch(path):
    request = urllib.request.Request(f'{url}/metrics/{path}', headers={'Accept': 'application/json'})
    with urllib.request.urlopen(request, timeout=chromium.PATIENCE_S) as reply:
        return json.load(reply)


def value_at(documents, path):
    for key in path.split('/'):
        documents = documents[int(key)] if isinstance(documents, list) else documents[key]
    return documents


BEGINNINGS = "(document.querySelector('.chart .line-1').getAttribute('d').match(/M/g) || []).length"


def add_gap(browser, change):
    """A line with one more gap: on a slow machine polls fail, and it may have some already."""
    before = browser.run(BEGINNINGS)
    browser.run(change)
    browser.wait(f'{BEGINNINGS} > {before}', 'a gap')


def check_figures(browser, least):
    documents = {name: fetch(path) for name, path in PATHS.items()}
    figures = browser.run(FIGURES)
    for figure in figures:
        value = value_at(documents, figure['path'])
        wanted = expected(figure['kind'], value, documents['requests']['time_ns'])  # the clock's; an SLO's is the last record's
        check(figure['text'] == wanted, figure, 'should be', repr(wanted), 'for', repr(value))
        check(title_agrees(figure['title'], value), figure, 'has the wrong title for', repr(value))
    shown = {figure['path']: figure['text'] for figure in figures if figure['shown']}
    check(len(shown) >= least, 'only', len(shown), 'figures are shown:', sorted(shown))
    return shown


# --- Scenarios ---

def figures(browser):
    browser.size(1440, 900)
    browser.go(url)
    browser.wait(LIVE, 'live')
    shown = check_figures(browser, 250)
    for path, text in {  # as the host published it
            'streaming/total_streams': '13', 'streaming/active_streams': '1', 'requests/all/in_flight': '1',
            'error-patterns/patterns/0/last_seen_ns': '35\u202fs ago',  # though nothing has come since
            'errors/failed_in_window': '4', 'errors/requests_in_window': '16', 'error-patterns/patterns/0/count': '4',
            'slo/all/success_rate': '75.00\u202f%', 'slo/all/errors': '4', 'kv-cache/all/lookups': '13',
            'kv-cache/all/speedup_ratio': '1.00\u202fP\u202f\u00d7',
            'bus/undelivered/full': '0', 'costs/requests': '12', 'inference/all/queue_ms/max': '16.0\u202fms'}.items():
        check(shown.get(path) == text, path, 'is', shown.get(path), 'and not', text)
    check(UNKNOWN in [text for path, text in shown.items() if path.endswith('/endpoint')], 'no name is shown as nothing')
    # Names and messages from the clients, as they are.
    texts = browser.run('document.body.innerText')
    for text in ('<script>window.hacked=1</script>', '<img src=x onerror="window.hacked=<NUM>"> & <b>bold</b>',
                 '"><svg onload=window.hacked=3>', '<h1>type', '<i>gpu-0</i>', '</style><u>search'):
        check(text in texts, text, 'is not on the page')
    check(browser.run('window.hacked') is None, 'a text ran')
    check(browser.run("document.querySelectorAll('body script, main img, main b, main u, main h1, main i:not(.bar *)')"
                      '.length') == 0, 'a text became an element')
    # The policy is the second wall: the page could not do it if it wanted to.
    check(browser.run("(() => { try { document.body.innerHTML = '<b>'; return 'taken'; } catch (e) { return e.name; } })()")
          == 'TypeError', 'the policy lets HTML be written')
    browser.complaints()
    browser.wait("[...document.querySelectorAll('.chart .line-1')].every(line => /L/.test(line.getAttribute('d')))",
                 'lines in the charts')
    check(browser.run("document.querySelectorAll('.chart .line-1').length") == 6, 'charts')
    # The end of a line lies where its value belongs: the share of the axis's top that the latest figure is.
    chart = browser.run("""(() => { const box = [...document.querySelectorAll('.chart')][4];
        const points = box.querySelector('.line-1').getAttribute('d').match(/[\\d.]+/g).map(Number);
        const rules = [...box.querySelectorAll('.rule')].map(rule => Number(rule.getAttribute('y1')));
        return { y: points[points.length - 1], bottom: rules[0], top: rules[2],
          label: [...box.querySelectorAll('text')][2].textContent }; })()""")
    share = (chart['bottom'] - chart['y']) / (chart['bottom'] - chart['top'])
    check(abs(share * float(chart['label']) - 1) < 0.05, '1 request is in flight, and the chart shows', chart)
    check(browser.complaints() == [], 'the console complains')
    # Minutes in which nobody was asked, since the machine slept, are a gap and not a line.
    add_gap(browser, '(now => { performance.now = () => now() + 180000; })(performance.now.bind(performance))')
    add_gap(browser, '(now => { Date.now = () => now() + 180000; })(Date.now.bind(Date))') # where the other clock slept, too


CONTRASTS = """(() => {
  const rgb = text => { const [r, g, b, a] = text.match(/[\\d.]+/g).map(Number); return [r, g, b, a ?? 1]; };
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = node => { for (; node; node = node.parentElement) {
    const color = rgb(getComputedStyle(node).backgroundColor); if (color[3] === 1) return color; } };
  const poor = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let checked = 0;
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || node.closest('script, noscript, .skip, .sr') || !node.checkVisibility()) continue;
    const style = getComputedStyle(node), [a, b] = [light(rgb(node.closest('svg') ? style.fill : style.color)),
      light(behind(node))].sort((x, y) => y - x);
    checked++;
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(walker.currentNode.data + ' ' + style.color + ' ' + behind(node));
  }
  return { checked, poor };
})()"""


def looks(browser):
    browser.size(1440, 900)
    browser.go(url)
    browser.wait(LIVE, 'live')
    grounds = set()
    for width, height in (320, 700), (375, 812), (768, 1024), (1440, 900), (2560, 1300):
        browser.size(width, height)
        for theme in 'light', 'dark':
            browser.theme(theme)
            wide = browser.run('[document.documentElement.scrollWidth, innerWidth]')
            check(wide[0] <= wide[1] == width, f'at {width} px the page is {wide} wide')
            contrasts = browser.run(CONTRASTS)
            check(contrasts['checked'] > 200 and contrasts['poor'] == [], width, theme, contrasts)
            grounds.add((theme, browser.run('getComputedStyle(document.body).backgroundColor')))
    check(len(grounds) == 2, 'light and dark are not two', grounds)
    # By keys alone: into the first chart, and along its line.
    browser.run("document.querySelector('.chart').focus()")
    for kind in 'rawKeyDown', 'keyUp':
        browser.call('Input.dispatchKeyEvent', type=kind, key='ArrowLeft', code='ArrowLeft', windowsVirtualKeyCode=37)
    browser.wait("document.activeElement.querySelector('.cursor') && /ago: requests/.test("
                 "document.activeElement.getAttribute('aria-label'))", 'the cursor in the chart')


def gone(browser):
    browser.go(url)
    browser.wait(LIVE, 'live')
    before = browser.run(BEGINNINGS)
    ask('close')
    browser.wait("document.querySelector('#state').textContent === 'no answer'", 'the server is gone')
    notice = browser.run("document.querySelector('#notice').checkVisibility() && document.querySelector('#notice').innerText")
    check(notice and 'No answer from the server' in notice and 'The figures are those of' in notice, notice)
    check('no answer' in browser.run('document.title'), browser.run('document.title'))
    browser.wait("getComputedStyle(document.querySelector('main')).opacity < 1", 'what is old fades')
    ask('open')
    browser.wait(LIVE, 'the server is back')
    check(not browser.run("document.querySelector('#notice').checkVisibility()"), 'the notice stays')
    check(browser.run('document.title') == 'tallybus', browser.run('document.title'))
    check_figures(browser, 250)
    browser.wait(f'{BEGINNINGS} > {before}', 'a gap where there was no answer')
    # Another server in its place, which knows less.
    ask('close')
    browser.wait("document.querySelector('#state').textContent === 'no answer'", 'the server is gone again')
    ask('open the bus alone')
    browser.wait(LIVE, 'another server')
    sections = browser.run("[...document.querySelectorAll('section')].filter(s => s.checkVisibility()).map(s => s.ariaLabel)")
    check(sections == ['Bus'], sections)


def one_failure(browser):
    """All that there was is the end of a request that failed."""
    browser.go(url)
    browser.wait(LIVE, 'live')
    shown = check_figures(browser, 80)
    check(shown.get('requests/endpoints/0/name') == '/v1/chat', 'its endpoint is not shown', sorted(shown))
    check(browser.run("document.querySelector('.tile [data-figure=\"slo/all/budget_percentage\"]').className") ==
          'figure bad', 'the SLO is violated, and its tile looks well')


def no_clock(browser):
    """Errors and costs alone, of an hour ago, and a thousand keys, each with another cost."""
    browser.go(url)
    browser.wait(LIVE, 'live')
    last = "document.querySelector('[data-figure=\"error-patterns/patterns/0/last_seen_ns\"]').textContent"
    check(browser.run(last) == '1\u202fh ago', 'the error of an hour ago was', browser.run(last))
    most = sorted(fetch('costs')['by_key'], key=lambda row: -Decimal(row['usd']))
    check(len(most) == 1000 and len({row['usd'] for row in most}) == 1000, 'not a thousand keys')
    shown = browser.run("""[...document.querySelectorAll('table')].filter(t => t.caption.textContent === 'By key').flatMap(t =>
        [...t.tBodies[0].rows].map(r => [...r.querySelectorAll('[data-figure]')].map(f => f.title)))""")
    check(shown == [[str(row[key]) for key in ('name', 'requests', 'prompt_tokens', 'completion_tokens', 'unpriced_requests',
                                               'usd')] for row in most[:8]], 'the keys are', shown)
    cards = browser.run("""Object.fromEntries([...document.querySelectorAll('.card')].filter(c => c.querySelector('h3'))
        .map(c => [c.querySelector('h3').textContent, c.querySelector('.more:not([hidden])')?.textContent ?? null]))""")
    check(cards['By key'] == 'and more' and cards['By model'] is None, 'there is more:', cards)
    check(browser.run("document.querySelector('[data-figure=\"costs/requests\"]').title") == '1000', 'the total is another')
    asked = {event['params']['request']['url'] for event in browser.events if event['method'] == 'Network.requestWillBeSent'}
    check([path for path in asked if '/costs' in path] == [url + '/metrics/costs?limit=9'], 'asked for', asked)


def empty(browser):
    browser.go(url)
    browser.wait(LIVE, 'live')
    check_figures(browser, 80)
    texts = browser.run('document.body.innerText')
    for text in ('No streams yet.', 'No requests yet.', 'No models yet.', 'No error patterns.', 'No errors.',
                 'No look-ups yet.', 'No budgets are set.', 'no cost yet'):
        check(text in texts, text, 'is not said:', texts)
    check('NaN' not in texts and 'undefined' not in texts and 'null' not in texts, texts)


def type_token(browser, text):
    browser.run("document.querySelector('#token').focus()")
    browser.call('Input.insertText', text=text)
    for kind in 'keyDown', 'keyUp':
        browser.call('Input.dispatchKeyEvent', type=kind, key='Enter', code='Enter', text='\r', windowsVirtualKeyCode=13)


def token(browser):
    browser.go(url)
    browser.wait("document.querySelector('#token')?.checkVisibility()", 'the question for the token')
    check(not browser.run("document.querySelector('main').checkVisibility()"), 'figures are shown')
    for wrong in 'wrong', '\u20ac', 'two words':  # what no header can carry is refused, too
        browser.run("document.querySelector('#refused').hidden = true")
        type_token(browser, wrong)
        browser.wait("document.querySelector('#refused').checkVisibility()", 'the token is refused')
    type_token(browser, 's3cret-of-the-house')
    browser.wait(LIVE, 'the token is taken')
    check(browser.run("document.querySelector('[data-figure=\"streaming/total_streams\"]').textContent") == '13', 'no figure')
    check('s3cret' not in browser.run('location.href + document.cookie + JSON.stringify(localStorage)'), 'it is kept')
    browser.run('window.isOld = true')
    browser.call('Page.reload')
    browser.wait('!window.isOld && ' + LIVE + " && document.querySelector('main').checkVisibility()", 'the tab knows it still')
    asked = [event['params']['request'] for event in browser.events if event['method'] == 'Network.requestWillBeSent']
    check(any('/metrics/' in request['url'] for request in asked), 'no request was seen')
    check(all(request['url'].startswith((url + '/', 'data:')) for request in asked), 'another site was asked', asked)
    check(not any('s3cret' in request['url'] for request in asked), 'the token is in a URL')


signal.alarm(280)  # whatever happens; the browser ends with its pipe
with tempfile.TemporaryDirectory(dir=scratch, ignore_cleanup_errors=True) as profile:
    chrome = chromium.Browser(profile)
    try:
        {'figures': figures, 'looks': looks, 'gone': gone, 'empty': empty, 'one failure': one_failure, 'no clock': no_clock, 'token': token}[scenario](chrome)
    finally:
        chrome.close()
print('all is as it should be', flush=True)
