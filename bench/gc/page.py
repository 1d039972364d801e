"""The report page of bench-gc: tables, and histograms of pauses, from the lines
of gc.json. Self-contained: SVG drawn here, no scripts."""

import html
import math
import statistics

PLACES = {"here": "This machine", "amd": "The emulated AMD-V machine"}
LOW, HIGH = -2, 3               # decades of ms that the axis shows
PER_DECADE = 5                  # buckets of the histograms
LEFT, WIDTH, ROW = 240, 560, 30         # pixels: names, axis, a histogram
COLORS = {"Boehm": "#8064a2", "ours": "#3b6ea5"}

PAGE = """<!doctype html>
<html lang=en><meta charset=utf-8><title>Collectors compared</title>
<meta name=viewport content="width=device-width">
<style>
body { font: 15px/1.5 sans-serif; max-width: 62em; margin: 2em auto;
	padding: 0 1em; color: #222; }
h2 { margin-top: 2.5em; border-bottom: 1px solid #999; }
h3 { margin-bottom: .3em; }
table { border-collapse: collapse; margin: .8em 0; font-size: 14px; }
th { text-align: right; font-weight: 600; background: #eee; }
th:first-child { text-align: left; }
th, td { padding: .1em .7em; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
.failed { color: #a00; }
svg { max-width: 100%%; height: auto; display: block; font: 12px sans-serif; }
</style>
<h1>Collectors compared</h1>
<p>Measured by <code>make bench-gc</code>: the same programs over malloc and free,
over Boehm's collector as Debian ships it, and over <code>apps/gc</code>. All took
turns. Times are medians of whole runs; CPU time hardly depends on what else
the machine does. A pause is how long the world stood once; pauses of all
runs are taken together.</p>
<p>In the histograms a row is a collector, and how high a bar is says how many of
its own pauses fall into that range of times, beside the most frequent range
(heights are square roots, so that rare long ones can be seen).
<b>&#9679;</b> median, <b>&#9675;</b> p99, <b style="color: #c0504d">&#9670;</b>
the longest. Further left is better.</p>
%s
</html>
"""


def quantile(values, q):
    """Of sorted ones."""
    return values[min(len(values) - 1, int(len(values) * q))]


def position(ms):
    """Where on the axis, in pixels; what is beyond its ends is at them."""
    at = (math.log10(max(ms, 1e-9)) - LOW) / (HIGH - LOW)
    return LEFT + WIDTH * min(max(at, 0), 1)


def buckets(pauses):
    n = (HIGH - LOW) * PER_DECADE
    count = [0] * n
    for p in pauses:
        at = (position(p) - LEFT) / WIDTH * n
        count[min(int(at), n - 1)] += 1
    return count


def unit(ms):
    return "%g s" % (ms / 1e3) if ms >= 1e3 else \
        "%g ms" % ms if ms >= 1 else "%g &#181;s" % (ms * 1e3)


def row(who, pauses, y):
    """One histogram, standing on y."""
    color = COLORS.get(who.split()[0].strip(","), "#999999")
    yield "<text x='%d' y='%d' text-anchor='end'>%s</text>" % (
        LEFT - 12, y - 8, html.escape(who))
    count = buckets(pauses)
    step = WIDTH / len(count)
    for i, n in enumerate(count):
        high = (ROW - 8) * math.sqrt(n / max(count))
        if n:
            yield ("<rect x='%.1f' y='%.1f' width='%.1f' height='%.1f' "
                   "fill='%s'><title>%d of %d</title></rect>" %
                   (LEFT + i * step + .5, y - high, step - 1, high, color, n,
                    len(pauses)))
    yield "<path d='M%d %dh%d' stroke='#999'/>" % (LEFT, y, WIDTH)
    for ms, mark, fill in ((quantile(pauses, .5), "&#9679;", "#222"),
                           (quantile(pauses, .99), "&#9675;", "#222"),
                           (pauses[-1], "&#9670;", "#c0504d")):
        yield ("<text x='%.1f' y='%d' text-anchor='middle' fill='%s'>%s"
               "<title>%.3g ms</title></text>" %
               (position(ms), y + 4, fill, mark, ms))


def histograms(work):
    shown = [(who, sorted(r["pauses"])) for who, r in work.items()
             if r.get("pauses")]
    height = ROW * len(shown) + 30
    out = ["<svg viewBox='0 0 %d %d' role='img'>" % (LEFT + WIDTH + 30, height)]
    for decade in range(LOW, HIGH + 1):
        x = position(10 ** decade)
        out.append("<path d='M%.1f 0V%d' stroke='#ddd'/>"
                   "<text x='%.1f' y='%d' text-anchor='middle'>%s</text>" %
                   (x, height - 22, x, height - 6, unit(10 ** decade)))
    for i, (who, pauses) in enumerate(shown):
        out += row(who, pauses, ROW * (i + 1))
    return "\n".join(out + ["</svg>"]) if shown else ""


def cells(result):
    """Of one collector's row."""
    if not result.get("time"):
        return "<td class=failed colspan=7>%s" % html.escape(
            result.get("failed", "nothing came back"))
    runs, p = len(result["time"]), sorted(result.get("pauses", []))
    values = ["%.0f" % statistics.median(result["time"]),
              "%.0f" % statistics.median(result["CPU time"])]
    values += ["%d" % (len(p) // runs), *("%.3g" % quantile(p, q)
                                          for q in (.5, .99)),
               "%.3g" % p[-1], "%.0f" % (sum(p) / runs)] if p else [""] * 5
    return "".join("<td class=n>" + v for v in values)


def table(work):
    head = ("", "time, ms", "CPU, ms", "pauses a run", "median, ms", "p99",
            "max", "sum a run")
    return "<table><tr>%s%s</table>" % (
        "".join("<th>" + h for h in head),
        "".join("<tr><td>%s%s" % (html.escape(who), cells(result))
                for who, result in work.items()))


def page(lines):
    """lines: dicts as in gc.json. The page, a string."""
    places = {}
    for line in lines:
        name, what = line["row"].rsplit(", ", 1)
        result = places.setdefault(line["place"], {}).setdefault(
            name, {}).setdefault(line["who"], {})
        if "failed" in line:
            result["failed"] = line["failed"]
        else:
            result[what] = line["samples"]
    body = []
    for place, works in places.items():
        body.append("<h2>%s</h2>" % PLACES[place])
        for name, work in works.items():
            body += ["<h3>%s</h3>" % html.escape(name), table(work),
                     histograms(work)]
    return PAGE % "\n".join(body)
