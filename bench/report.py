"""From results to tables on the terminal and one page with charts."""

import html
import shutil
import statistics
import sys

import charts
from page import PAGE
from tables import AMD, DUNE, HERE, MODE, PAPER, PAPER_INTERCEPT, TABLES

PLACES = {HERE: "this machine", AMD: "the emulated AMD-V machine"}


class Cell:
    """One row and one of those who take part, in one place."""

    def __init__(self, result, row):
        self.who, self.unit = result["who"], result["unit"]
        self.failed = result.get("failed")
        self.samples = result.get("samples", [])
        if not self.failed and not self.samples:
            self.failed = "no samples"
        self.more = bool(row and row.more) or self.unit.endswith("/s")
        self.ratio = None       # how much slower than the base
        if self.failed:
            return
        self.median = statistics.median(self.samples)
        self.low, self.high = min(self.samples), max(self.samples)
        self.q1, self.q3 = self.low, self.high
        if len(self.samples) > 3:
            self.q1, _, self.q3 = statistics.quantiles(
                self.samples, n=4, method="inclusive")

    def compare(self, base):
        """The i-th samples were taken in the same turn: compare those, so
        that a busy second meets both sides."""
        if self.failed or base.failed or not base.median:
            return
        pairs = [(self.median, base.median)]
        if len(self.samples) == len(base.samples):
            pairs = zip(self.samples, base.samples)
        ratios = [(b / a if self.more else a / b) for a, b in pairs
                  if a > 0 and b > 0]
        if ratios:
            self.ratio = statistics.median(ratios)
            self.ratios = min(ratios), max(ratios)


def number(x):
    if x and abs(x) < 0.01:
        return "%.3f" % x
    if abs(x) < 10:
        return ("%.2f" % x)
    if abs(x) < 100:
        return "%.1f" % x
    return "{:,.0f}".format(x)


def quantity(x, unit):
    """A value for people: nanoseconds become what suits them."""
    if unit == "ns":
        for step, name in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
            if abs(x) >= step:
                return number(x / step) + " " + name
        return number(x) + " ns"
    return number(x)


def ratio_text(ratio):
    if 0.95 < ratio < 1.10:
        return "%+.1f %%" % (100 * (ratio - 1))
    if ratio < 1:
        return number(1 / ratio) + "x faster"
    return number(ratio) + "x"


def times(cell):
    """The ratio in words."""
    if cell.ratio is None:
        return ""
    if cell.more:
        return "%.0f %% of native" % (100 / cell.ratio)
    return ratio_text(cell.ratio)


class Group:
    """One table in one place: (row's name, unit, cells) in their order."""

    def __init__(self, table, place, results):
        self.table, self.place, self.rows = table, place, []
        mine = [r for r in results if r["place"] == place and
                r["table"] == (table.key if table else r["table"])]
        known = {row.name: row for row in (table.rows if table else [])}
        names = list(known) + [r["row"] for r in mine if r["row"] not in known]
        for name in dict.fromkeys(names):
            row = known.get(name)
            cells = {}
            for r in mine:
                if r["row"] == name:
                    cells[r["who"]] = Cell(r, row)
            cells = list(cells.values())
            if not cells:
                continue
            for cell in cells[1:]:
                if not row or row.ratio:
                    cell.compare(cells[0])
            self.rows.append((name, cells[0].unit, cells))

    def lost(self):
        """Those who failed in every row for one reason: {who: reason}."""
        reasons = {}
        for _, _, cells in self.rows:
            for c in cells:
                reasons.setdefault(c.who, []).append(c.failed)
        return {who: r[0] for who, r in reasons.items()
                if len(r) > 1 and r[0] and len(set(r)) == 1}

    def grid(self):
        """For tables of counts: the columns, and rows (name, cells)."""
        lost = self.lost()
        columns = [w for w in dict.fromkeys(
            c.who for _, _, cells in self.rows for c in cells)
            if w not in lost]
        rows = [(name, [next((c for c in cells if c.who == w), None)
                        for w in columns])
                for name, _, cells in self.rows if columns]
        return columns, rows

    @property
    def compared(self):
        return any(c.ratio for _, _, cells in self.rows for c in cells)

    @property
    def spread(self):
        return any(len(c.samples) > 1 for _, _, cells in self.rows
                   for c in cells)


def groups(data):
    """Every table with its groups; tables that programs invented come last."""
    from tables import Table
    known = {t.key for t in TABLES}
    others = dict.fromkeys(r["table"] for r in data["results"]
                           if r["table"] not in known)
    for table in TABLES + [Table(k, k, "") for k in others]:
        found = [Group(table, place, data["results"]) for place in PLACES]
        found = [g for g in found if g.rows]
        if found:
            yield table, found


def grid_text(cell):
    if cell is None:
        return "-"
    return cell.failed or quantity(cell.median, cell.unit)


def paper(data):
    """Rows (what, paper's Linux, Dune, ratio, then ours for each place)."""
    found = {(r["place"], r["table"], r["row"], r["who"]): Cell(r, None)
             for r in data["results"]}
    places = [p for p in PLACES if p in data["places"]]

    def ours(table, row, base):
        for place in places:
            cells = [found.get((place, table, row, w))
                     for w in (base, DUNE, MODE)]
            cells = [c if c and not c.failed else None for c in cells]
            for c in cells[1:]:
                if c and cells[0]:
                    c.compare(cells[0])
            yield cells
    rows = [(what, linux, dune, list(ours(table, row, "native")))
            for what, linux, dune, table, row in PAPER]
    rows.insert(3, ("intercepting a system call (Linux: ptrace)",
                    *PAPER_INTERCEPT,
                    list(ours("intercept", "getppid(2)", "ptrace"))))
    return places, rows


def beside(cell):
    """A value with its ratio."""
    text = quantity(cell.median, cell.unit)
    return text + (" (%s)" % ratio_text(cell.ratio) if cell.ratio else "")


def terminal_paper(data, out):
    places, rows = paper(data)
    if not any(any(c) for _, _, _, o in rows for c in o):
        return
    print("\n== The paper's table, then and now", file=out)
    print("   (the paper in cycles; its Dune is what Dune mode is here)",
          file=out)
    for what, linux, dune, ours in rows:
        if not any(any(c) for c in ours):
            continue
        print("%-44s paper: Linux %s, Dune %s (%s)" % (
            what, number(linux), number(dune), ratio_text(dune / linux)),
            file=out)
        for place, cells in zip(places, ours):
            text = ["%s %s" % (name, beside(c))
                    for name, c in zip(("Linux", DUNE, MODE), cells) if c]
            if text:
                print("    %s: %s" % (PLACES[place], ", ".join(text)),
                      file=out)


def busy(data):
    """A warning if others used this machine when it began."""
    machine = data["places"].get(HERE, {})
    load, n = machine.get("load at the start"), machine.get("processors")
    try:
        if float(load) < int(n) / 2:
            return ""
    except (TypeError, ValueError):
        return ""
    return ("This machine was busy with other things (load %s on %s "
            "processors): the ratios are rough and the times too long." %
            (load, n))


def terminal(data, out):
    for place, machine in data["places"].items():
        print("\n%s:" % PLACES[place], file=out)
        for key, value in machine.items():
            print("    %-14s %s" % (key, value), file=out)
    for table, found in groups(data):
        for g in found:
            print("\n== %s (%s): %s" % (table.title, table.key,
                                        PLACES[g.place]), file=out)
            lost = g.lost()
            if table.grid:
                columns, rows = g.grid()
                print("%-36s" % g.rows[0][1] + "".join(
                    "%28s" % c for c in columns), file=out)
                for name, cells in rows:
                    print("%-36s" % name + "".join(
                        "%28s" % grid_text(c) for c in cells), file=out)
            for name, unit, cells in [] if table.grid else g.rows:
                label = name
                for c in cells:
                    if c.who in lost:
                        continue
                    if c.failed:
                        text = "failed: " + c.failed
                    else:
                        text = "%10s  %-22s %s" % (
                            quantity(c.median, unit),
                            "(%s .. %s)" % (quantity(c.low, unit),
                                            quantity(c.high, unit))
                            if len(c.samples) > 1 else "", times(c))
                    if len(label) > 40:
                        print(label, file=out)
                        label = ""
                    print("%-40s %-22s %s" % (label, c.who, text.rstrip()),
                          file=out)
                    label = ""
            for who, reason in lost.items():
                print("%s, all rows: failed: %s" % (who, reason), file=out)
    terminal_paper(data, out)
    for note in filter(None, [busy(data), *data["notes"]]):
        print("\nnote: " + note, file=out)


def esc(text):
    return html.escape(str(text))


def html_group(g, draw):
    out = ["<h3>On %s</h3>" % PLACES[g.place]]
    lost = g.lost()
    missing = "".join("<p class=failed>%s, all rows: failed: %s</p>" %
                      (esc(who), esc(why)) for who, why in lost.items())
    if g.table.grid:
        columns, rows = g.grid()
        out.append("<table><tr><th>%s" % esc(g.rows[0][1]))
        out += ["<th>%s" % esc(c) for c in columns]
        for name, cells in rows:
            out.append("<tr class=first><td>%s" % esc(name))
            out += ["<td class=n>%s" % esc(grid_text(c)) for c in cells]
        return "\n".join(out) + "</table>" + missing
    if g.compared and draw:
        out.append(charts.ratio_chart(g))
    out.append("<table><tr><th>operation<th>who<th>median")
    if g.spread:
        out.append("<th>middle half<th>least .. most")
    if g.compared:
        out.append("<th>against %s" % esc(g.rows[0][2][0].who))
    for name, unit, cells in g.rows:
        cells = [c for c in cells if c.who not in lost]
        for i, c in enumerate(cells):
            out.append("<tr%s>" % (" class=first" if i == 0 else ""))
            if i == 0:
                label = name if unit == "ns" else "%s <small>%s</small>" % (
                    name, esc(unit))
                out.append("<td rowspan=%d>%s" % (len(cells), label))
            out.append("<td class=who>%s" % esc(c.who))
            if c.failed:
                out.append("<td colspan=4 class=failed>failed: %s" %
                           esc(c.failed))
                continue
            out.append("<td class=n>%s" % quantity(c.median, unit))
            if g.spread:
                out.append("<td class=n>%s .. %s<td class=n>%s .. %s" % tuple(
                    quantity(x, unit) for x in (c.q1, c.q3, c.low, c.high)))
            if g.compared:
                out.append("<td class=n>%s" % times(c))
    return "\n".join(out) + "</table>" + missing


def html_paper(data):
    places, rows = paper(data)
    if not any(any(c) for _, _, _, o in rows for c in o):
        return ""
    out = ["<h2 id=paper>The paper's table, then and now</h2>",
           "<p>Belay et al. (OSDI 2012) measured, in cycles of a Xeon X5550, "
           "Linux against their Dune: a process in ring 0 of its own virtual "
           "machine, which here is Dune mode. dune-run is the sandbox and "
           "pays for an exit to user space where the paper's kernel module "
           "did not. appel1 and appel2 are for 100 pages in the paper, for "
           "one page here. On a software KVM each instruction of ring 0 is "
           "emulated: there Dune mode saves exits, not time.</p><table class=paper><tr><th rowspan=2>what"
           "<th colspan=3>the paper, cycles"]
    for p in places:
        out.append("<th colspan=3>%s" % PLACES[p])
    out.append("<tr><th>Linux<th>Dune<th>ratio" + "<th>Linux<th>dune-run"
               "<th>Dune mode" * len(places))
    for what, linux, dune, ours in rows:
        out.append("<tr class=first><td>%s<td class=n>%s<td class=n>%s"
                   "<td class=n>%s" % (esc(what), number(linux), number(dune),
                                       ratio_text(dune / linux)))
        for cells in ours:
            for c in cells:
                out.append("<td class=n>%s" % (beside(c) if c else "-"))
    out.append("</table>")
    return "\n".join(out)


def html_page(data, draw):
    body, toc = [], []
    for table, found in groups(data):
        toc.append("<li><a href='#%s'>%s</a>" % (esc(table.key),
                                                 esc(table.title)))
        body.append("<h2 id='%s'>%s</h2>" % (esc(table.key),
                                             esc(table.title)))
        if table.text:
            body.append("<p>%s</p>" % esc(table.text.strip()))
        body += [html_group(g, draw) for g in found]
    machines = ["<table><tr><th>"]
    machines += ["<th>%s" % PLACES[p] for p in data["places"]]
    keys = dict.fromkeys(k for m in data["places"].values() for k in m)
    for key in keys:
        machines.append("<tr class=first><td>%s" % esc(key))
        machines += ["<td>%s" % esc(m.get(key, ""))
                     for m in data["places"].values()]
    machines.append("</table>")
    peers = ", ".join("%s %s" % (esc(k), esc(v))
                      for k, v in data["peers"].items())
    notes = "".join("<li>%s" % esc(n) for n in data["notes"])
    return PAGE % {
        "when": esc(data.get("when", "")), "machines": "\n".join(machines),
        "quick": "<p class=failed>Measured with QUICK=1: few rounds, small "
                 "data; not for quoting.</p>" if data.get("quick") else "",
        "busy": "<p class=failed>%s</p>" % busy(data) if busy(data) else "",
        "toc": "\n".join(toc), "paper": html_paper(data),
        "notes": "<ul>%s</ul>" % notes if notes else "", "peers": peers,
        "body": "\n".join(body)}


def write(data, directory):
    terminal(data, sys.stdout)
    draw = shutil.which("gnuplot") is not None
    if not draw:
        data["notes"].append("gnuplot is not installed: no charts")
        print("\nnote: " + data["notes"][-1])
    with open(directory + "/report.html", "w") as f:
        f.write(html_page(data, draw))
    return 0
