"""rules_mutants.py DOCS SCRATCH: whether the tests in docs/prometheus/ would find a rule that is wrong. Each figure, window,
comparison, operator, function, grouping, filter and metric of each expression, each "for" and each severity is made wrong,
one at a time; promtool, with those of the tests that ask for the rule, then has to fail. Ends with "all is found"."""
import concurrent.futures
import os
import re
import subprocess
import sys

docs, scratch = sys.argv[1:]
BATCH = 16  # rules that one promtool tries: to start it takes as long as to try some
WINDOWS = '2m 5m 10m 15m 30m 1h 2h 6h 1d 3d'.split()
BURN_RATE = 'tallybus:error_burn_rate:rate'
WORDS = {'sum': ['max'], 'max': ['min'], 'rate': ['delta'], 'increase': ['delta'], 'delta': ['increase'],
         'clamp_min': ['clamp_max'], 'last_over_time': ['sum_over_time'], 'and': ['or', 'unless'], 'or': ['and', 'unless'],
         'unless': ['and', 'or'], '>': ['>=', '<'], '>=': ['>', '<'], '<': ['<=', '>'], '==': ['!='], '=~': ['!~'],
         '!~': ['=~'], '/': ['*'], '-': ['+'], 'by (job)': ['', 'by (instance)']}
TOKEN = re.compile(r'"[^"]*"|by \([^)]*\)|\d+[smhd]\b|[a-zA-Z_][\w:]*|\d[\d.]*|[=!]~|[<>=!]=|[-+*/<>]')


def wrong_window(window):
    at = WINDOWS.index(window)
    return [WINDOWS[i] for i in (at - 1, at + 1) if 0 <= i < len(WINDOWS)]


def wrong_token(token):
    """What may stand by mistake for a token of an expression."""
    if token in WORDS:
        return WORDS[token]
    if token in WINDOWS:
        return wrong_window(token)
    if token.startswith(BURN_RATE):
        return [BURN_RATE + window for window in wrong_window(token[len(BURN_RATE):]) if window not in ('2m', '15m')]
    if token[0] == '"':
        values = token[1:-1].split('|')
        return [f'"{value}"' for value in values] if len(values) > 1 else ['"none"']
    if token[0].isdigit():
        return [f'{float(token) * 1.05:g}', f'{float(token) * 0.95:g}'] if float(token) else ['1', '-1']
    return ['no_such_metric'] if '_' in token or ':' in token else []


def wrong_lines(rule):
    """(number of the line, start, end, instead) for each mistake that may be in a rule."""
    key = ''
    for number, line in enumerate(rule):
        code = line.split(' #')[0]
        found = re.match(r'[ -]*(\w+):(?= |$)', code)
        key, start = (found[1], found.end()) if found else (key, 0)
        if key == 'expr':
            for token in TOKEN.finditer(code, start):
                for wrong in wrong_token(token[0]):
                    yield number, *token.span(), wrong
                if token[0] == 'and':  # what it demands is forgotten
                    yield number, token.start(), (code + ' and ').index(' and ', token.end()), ''
        elif key == 'for':
            minutes = int(code[start:].rstrip('m'))
            for seconds in {0, minutes // 2 * 60, minutes * 120}:  # rules are evaluated once a minute
                yield number, start, len(code), f' {seconds}s'
        elif key == 'severity':
            yield number, start, len(code), ' other'


def parts_of(name, start):
    """A file's head, and its parts, each of which begins with a line that matches `start`."""
    with open(f'{docs}/{name}') as file:
        parts = re.split(rf'(?m)^(?={start})', file.read())
    return parts[0], parts[1:]


def tests_of(rule, files):
    """The head of the file in which a rule is asked for by its name, with the tests that do."""
    for head, tests in files:
        own = [test for test in tests if rule in re.findall(r'[\w:]+', test)]
        if own:
            return head + ''.join(own)
    raise AssertionError(f'{rule} has no test')


def cases():
    """(what was made wrong, the rules, the tests); nothing was, where `what` is None."""
    files = [parts_of(name, '  - interval:') for name in ('rules.test.yml', 'burn_rates.test.yml')]
    head, groups = parts_of('rules.yml', '  - name:')
    for group in groups:
        before, *rules = re.split(r'(?m)^(?=      - (?:record|alert):)', group)
        for at, rule in enumerate(rules):
            name = re.search(r': ([\w:]+)', rule)[1]
            tests = tests_of(name, files)
            yield None, head + group, tests
            lines = rule.split('\n')
            for number, start, end, wrong in wrong_lines(lines):
                changed = lines[:]
                changed[number] = lines[number][:start] + wrong + lines[number][end:]
                yield (f'{name}: {lines[number].strip()}: {wrong} at {start}',
                       head + before + ''.join(rules[:at] + ['\n'.join(changed)] + rules[at + 1:]), tests)


def try_batch(first, batch):
    """Whether promtool fails, for each."""
    names = []
    for place, (_, rules, tests) in enumerate(batch, first):
        directory = f'{scratch}/{place}'
        os.mkdir(directory)
        for name, text in ('rules.yml', rules), ('test.yml', tests):
            with open(f'{directory}/{name}', 'w') as file:
                file.write(text)
        names.append(f'{directory}/test.yml')
    done = subprocess.run(['promtool', 'test', 'rules', *names], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    verdicts = done.stdout.split('Unit Testing:')[1:]
    assert len(verdicts) == len(batch), done.stdout
    return ['SUCCESS' not in verdict for verdict in verdicts]


every = list(cases())
with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    failed = sum(pool.map(lambda first: try_batch(first, every[first:first + BATCH]), range(0, len(every), BATCH)), [])
unfound = [what or 'nothing is wrong, and yet a test fails' for (what, _, _), fails in zip(every, failed)
           if fails != (what is not None)]
print(f'{sum(what is not None for what, _, _ in every)} mistakes')
if unfound:
    raise SystemExit('\n'.join(unfound))
print('all is found')
