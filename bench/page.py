"""The page that report.py fills."""

PAGE = """<!doctype html>
<html lang=en><meta charset=utf-8><title>What Dune costs</title>
<meta name=viewport content="width=device-width">
<style>
body { font: 15px/1.5 sans-serif; max-width: 62em; margin: 2em auto;
	padding: 0 1em; color: #222; }
h1 { margin-bottom: 0; }
h2 { margin-top: 2.5em; border-bottom: 1px solid #999; }
h3 { margin-bottom: .3em; }
table { border-collapse: collapse; margin: .8em 0; font-size: 14px; }
th { text-align: left; font-weight: 600; background: #eee; }
th, td { padding: .1em .7em; vertical-align: top; }
tr.first td { border-top: 1px solid #ccc; }
td.n { text-align: right; white-space: nowrap;
	font-variant-numeric: tabular-nums; }
td.who { white-space: nowrap; }
table.paper { font-size: 12px; }
table.paper th, table.paper td { padding: .1em .4em; }
.legend { font-size: 13px; margin: .5em 0; }
.legend span { white-space: nowrap; margin-right: 1.2em; }
.failed { color: #a00; }
small { color: #666; }
svg { max-width: 100%%; height: auto; display: block; margin: .8em 0; }
</style>
<h1>What Dune costs</h1>
<p><small>measured %(when)s by <code>make bench</code></small></p>
%(quick)s
<p>Dune runs programs in ring 3 of a virtual machine that the process makes for
itself (<b>dune-run</b>, a sandbox), or gives a process ring 0 of one (<b>Dune
mode</b>, libdune). This page shows what that costs, beside the same work done
<b>natively</b> and by what people use instead.</p>
<h2>How to read it</h2>
<ul>
<li>A figure is the <b>median</b> of several runs. Behind it: the middle half of
the runs, and the least and the most. A wide spread means a noisy machine, not a
precise figure.
<li>Those who are compared ran <b>by turns</b> (A B, B A, A B ...), so that
whatever else the machine did met all alike. The <b>ratio</b> is the median of
the ratios of single turns; in the charts the whiskers go from the least to the
most ratio. Times depend on the machine, ratios much less.
<li>"12x" is twelve times as long as natively, "12x faster" a twelfth; "+1.5 %%"
is 1.5 %% longer; "70 %% of native" is throughput.
<li>The <b>emulated AMD-V machine</b> is a whole computer emulated in software
(QEMU, no acceleration), with a processor that has hardware virtualization. There
both sides run inside, so ratios mean something and absolute times do not. Its
emulated processor makes leaving a virtual machine dear, and page walks and
calls of the kernel cheap, compared with a real one: a ratio there is a hint,
a count (last tables) is the truth.
<li>A <b>software KVM</b> has no hardware virtualization below it: ring 0 is
emulated, an exit costs tens of microseconds instead of one or two.
<li>What could not be measured says why.
</ul>
<h2>The machines</h2>
%(machines)s
%(busy)s
%(notes)s
<p><small>Versions: %(peers)s</small></p>
<h2>Tables</h2>
<ul>
%(toc)s
</ul>
%(paper)s
%(body)s
<h2>How it was measured</h2>
<p>Small operations are done in batches of some milliseconds, timed with
CLOCK_MONOTONIC (which costs no system call, inside the virtual machine as well);
a run prints nine batches, its value is their median. Whole programs are timed
from their start until they have ended. The source is in <code>bench/</code>;
every figure of this page, with all samples, is in <code>results.json</code>
beside it.</p>
</html>
"""
