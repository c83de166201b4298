"""A headless Chromium, driven over a pipe by the DevTools protocol: Python's own library is all it takes.

Whatever happens, the browser ends with close() or with the script: it is killed, or finds its pipe closed."""
import atexit
import json
import os
import select
import signal
import subprocess
import time

PATIENCE_S = 90
FLAGS = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
         '--disable-extensions', '--disable-background-networking', '--disable-component-update', '--disable-sync',
         '--disable-default-apps', '--mute-audio', '--hide-scrollbars', '--force-color-profile=srgb', '--lang=en-US',
         '--no-proxy-server', '--remote-debugging-pipe']


class Browser:
    def __init__(self, profile):
        """`profile`: a directory of its own, which the caller removes."""
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        os.set_blocking(self._in, False)

        def before():
            high = [os.dup(to_browser), os.dup(from_browser)]  # may be 3 and 4 in the wrong order
            high = [os.dup2(fd, 100 + i) for i, fd in enumerate(high)]
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        environment = dict(os.environ, HOME=profile, XDG_CONFIG_HOME=profile, XDG_CACHE_HOME=profile)
        self._process = subprocess.Popen(['chromium', *FLAGS, '--user-data-dir=' + profile, 'about:blank'],
                                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL, pass_fds=(3, 4), preexec_fn=before,
                                         start_new_session=True, env=environment)
        atexit.register(self.close)
        os.close(to_browser)
        os.close(from_browser)
        self._buffer, self._number, self.events, self._session = b'', 0, [], None
        targets = self.call('Target.getTargets')['targetInfos']
        target = next(target for target in targets if target['type'] == 'page')
        self._session = self.call('Target.attachToTarget', targetId=target['targetId'], flatten=True)['sessionId']
        for domain in 'Page', 'Runtime', 'Log', 'Network':
            self.call(domain + '.enable')

    def close(self):
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()

    def _receive(self, deadline):
        while b'\0' not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._in], [], [], left)[0]:
                raise TimeoutError('the browser does not answer')
            more = os.read(self._in, 1 << 20)
            if not more:
                raise RuntimeError('the browser has ended')
            self._buffer += more
        message, self._buffer = self._buffer.split(b'\0', 1)
        return json.loads(message)

    def call(self, method, **parameters):
        self._number += 1
        message = {'id': self._number, 'method': method, 'params': parameters}
        if self._session:
            message['sessionId'] = self._session
        os.write(self._out, json.dumps(message).encode() + b'\0')
        deadline = time.monotonic() + PATIENCE_S
        while True:
            reply = self._receive(deadline)
            if reply.get('id') == self._number:
                if 'error' in reply:
                    raise RuntimeError(f"{method}: {reply['error']}")
                return reply['result']
            if 'method' in reply:
                self.events.append(reply)

    def run(self, script):
        """The value of a JavaScript expression in the page; a promise is waited for."""
        result = self.call('Runtime.evaluate', expression=script, returnByValue=True, awaitPromise=True)
        if 'exceptionDetails' in result:
            raise RuntimeError(f"{script}: {result['exceptionDetails']}")
        return result['result'].get('value')

    def _holds(self, script):
        try:
            return self.run(script)
        except RuntimeError as error:
            if 'context' in str(error):  # it went with the page before
                return False
            raise

    def wait(self, script, what):
        """Until the expression is true, in whatever page there is by then."""
        deadline = time.monotonic() + PATIENCE_S
        while not self._holds(script):
            if time.monotonic() > deadline:
                raise TimeoutError(f'{what}: waited for {PATIENCE_S} s; the page: ' + self.run(
                    'document.body ? document.body.innerText.slice(0, 2000) : null'))
            select.select([], [], [], 0.05)

    def size(self, width, height, scale=1):
        self.call('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=scale,
                  mobile=width < 700)

    def theme(self, name):
        self.call('Emulation.setEmulatedMedia', features=[{'name': 'prefers-color-scheme', 'value': name}])

    def go(self, url):
        result = self.call('Page.navigate', url=url)
        if result.get('errorText'):
            raise RuntimeError(f"{url}: {result['errorText']}")

    def complaints(self):
        """What the console says that is wrong, since the last time: exceptions, what the policy blocked."""
        bad = []
        for event in self.events:
            method, what = event['method'], event['params']
            if method == 'Runtime.exceptionThrown':
                bad.append(str(what['exceptionDetails']))
            elif method == 'Log.entryAdded' and what['entry']['level'] == 'error':
                bad.append(what['entry']['text'] + ' ' + what['entry'].get('url', ''))
        self.events = []
        return bad
