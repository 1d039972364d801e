"""Charts: one SVG a table and place, made by gnuplot."""

import html
import re
import subprocess

# The same colour for the same one on the whole page; others get the rest.
COLORS = {"dune-run": "#3b6ea5", "Dune mode": "#c0504d", "gVisor": "#8064a2",
          "bubblewrap": "#d08a2e"}
OTHERS = ["#6a9a3b", "#4bacc6", "#999999", "#b5a642"]
BAR, GAP, TOP = 16, 10, 34      # heights in pixels

serial = 0


def quote(text):
    return "'" + text.replace("'", "''") + "'"


def ratio_chart(group):
    """Bars: how many times as long as the base each takes (or, where more is
    better, what share of the base's throughput it has); whiskers from the
    least to the most ratio of a turn. The base is the line at 1."""
    global serial
    more = any(c.more for _, _, cells in group.rows for c in cells)
    order, data, labels, texts = [], {}, [], []
    y = 0
    top = 1.0
    for name, _, cells in group.rows:
        shown = [c for c in cells if c.ratio]
        if not shown:
            continue
        labels.append((name, y + (len(shown) - 1) / 2))
        for c in shown:
            value = 1 / c.ratio if c.more else c.ratio
            ends = sorted((1 / r if c.more else r) for r in c.ratios)
            data.setdefault(c.who, []).append((y, value, *ends))
            top = max(top, ends[1])
            text = "%.0f %%" % (100 * value) if more else \
                "%.3gx" % value if value < 1000 else "%.0fx" % value
            texts.append("%g\t%g\t%s" % (ends[1], y, text))
            y += 1
        y += GAP / BAR
    order = list(data)
    height = TOP + int((y + 1) * BAR) + 24
    low = 0 if more else min(0.5, *(d[2] * 0.8 for v in data.values()
                                    for d in v))
    base = low
    script = ["set terminal svg noenhanced size 860,%d "
              "font 'sans-serif,12'" % height,
              "set encoding utf8", "set border 1", "unset ytics",
              "set lmargin %d" % (2 + max(len(n) for n, _ in labels)),
              "set rmargin 4",
              "set tmargin 0.5", "set yrange [%g:-1]" % y, "unset key",
              "set grid xtics lc rgb '#dddddd'", "set xtics nomirror",
              "set style fill solid 1 noborder",
              "set arrow from first 1, graph 0 to first 1, graph 1 nohead "
              "lw 1.5 lc rgb '#333333' front"]
    if more:
        script += ["set xrange [0:%g]" % (max(top, 1) * 1.12),
                   "set xlabel 'share of native throughput (1 = native, more "
                   "is better)'"]
    else:
        script += ["set logscale x", "set xrange [%g:%g]" % (low, top * 2.2),
                   "set xlabel 'times %s (1 = as fast; shorter is better; "
                   "logarithmic)'" % group.rows[0][2][0].who]
    for name, at in labels:
        script.append("set label %s at graph -0.01, first %g right" %
                      (quote(name), at))
    plots = []
    legend = []
    others = [who for who in order if who not in COLORS]
    for i, who in enumerate(order):
        script.append("$d%d << END" % i)
        script += ["%g %g %g %g" % d for d in data[who]]
        script.append("END")
        color = COLORS.get(who) or OTHERS[others.index(who) % len(OTHERS)]
        plots.append("$d%d using (0):1:(%g):2:($1-0.42):($1+0.42) with "
                     "boxxyerror lc rgb '%s'" % (i, base, color))
        legend.append("<span><b style='color: %s'>&#9632;</b> %s</span>" %
                      (color, html.escape(who)))
        plots.append("$d%d using 2:1:3:4 with xerrorbars pt -1 lw 1.2 "
                     "lc rgb '#222222'" % i)
    script += ["$t << END"] + texts + ["END"]
    script.append("set datafile separator tab")
    plots.append("$t using 1:2:3 with labels left offset 0.6,0 font ',10'")
    script.append("plot " + ", \\\n ".join(plots))
    # The blank-separated blocks are read with blanks: say so for each.
    text = "\n".join(script).replace("set datafile separator tab\n", "")
    text = re.sub(r"(?m)^([\d.e+-]+) ([\d.e+-]+) ([\d.e+-]+) ([\d.e+-]+)$",
                  r"\1\t\2\t\3\t\4", text)
    text = "set datafile separator '\\t'\n" + text
    got = subprocess.run(["gnuplot"], input=text, capture_output=True,
                         text=True, timeout=60)
    start = got.stdout.find("<svg")
    if got.returncode or start < 0:
        return "<p class=failed>no chart: %s</p>" % (
            got.stderr.strip().splitlines() or ["gnuplot failed"])[-1]
    serial += 1
    svg = got.stdout[start:]
    # Several in one page: names must differ.
    svg = re.sub(r"(id=['\"]|href=['\"]#|url\(#)", r"\g<1>c%d_" % serial, svg)
    return "<p class=legend>%s</p>%s" % ("\n".join(legend), svg)
