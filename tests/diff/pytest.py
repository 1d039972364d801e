"""Runs the standard library's tests of one module and prints each test's
outcome, sorted: what a native and a sandboxed run are compared by.

    pytest.py MODULE
"""
import importlib
import os
import sys
import tempfile
import unittest

# What a module's tests are in, and a few that need much time, measure speed
# or look at the whole machine.
MODULES = {
    'os': ['test.test_os'],
    'subprocess': ['test.test_subprocess'],
    'threading': ['test.test_threading'],
    'signal': ['test.test_signal'],
    'mmap': ['test.test_mmap'],
    'socket': ['test.test_socket'],
    'asyncio': ['test.test_asyncio.test_futures',
                'test.test_asyncio.test_locks',
                'test.test_asyncio.test_queues',
                'test.test_asyncio.test_streams',
                'test.test_asyncio.test_subprocess'],
}
SKIP = ('stress', 'large', 'huge', 'Large', 'Urandom', 'urandom', '_2gb',
        'many', 'leak', 'siginterrupt', 'check_output_timeout', '_dead',
        'repeated_call', 'communicate_timeout', 'after_process_exit',
        'issue43884', 'stdin_broken_pipe', 'Timeout', 'interrupted',
        'TCPCloser', 'VSOCK', 'CAN', 'RDS', 'TIPC', 'Bluetooth',
        # Twice the same tests; what only a real root may do.
        'NoPoll', 'with_root', 'sethostname', 'Pep383')


EXTRA = tuple(sys.argv[2:])


class Outcomes(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.lines = []

    def note(self, test, word):
        self.lines.append('%s %s' % (test.id(), word))

    def addSuccess(self, test):
        self.note(test, 'ok')

    def addSkip(self, test, reason):
        self.note(test, 'skipped')

    def addError(self, test, err):
        self.note(test, 'error ' + err[0].__name__)
        super().addError(test, err)

    def addFailure(self, test, err):
        self.note(test, 'FAILED')
        super().addFailure(test, err)

    def addExpectedFailure(self, test, err):
        self.note(test, 'expected failure')


def flat(suite):
    for t in suite:
        if isinstance(t, unittest.TestSuite):
            yield from flat(t)
        elif not any(s in t.id() for s in SKIP + EXTRA):
            yield t


def main():
    from test import support
    support.verbose = 0
    os.environ.pop('PYTHONPATH', None)
    os.chdir(tempfile.mkdtemp(dir='.'))
    result = Outcomes()
    for name in MODULES[sys.argv[1]]:
        module = importlib.import_module(name)
        suite = unittest.defaultTestLoader.loadTestsFromModule(module)
        unittest.TestSuite(flat(suite)).run(result)
    here = os.getcwd()
    os.chdir('..')
    for text in [e[1] for e in result.errors + result.failures]:
        sys.stderr.write(text + '\n')
    sys.stdout.write('\n'.join(sorted(result.lines)) + '\n')
    sys.stdout.flush()
    import shutil
    shutil.rmtree(here, ignore_errors=True)
    os._exit(0)


main()
