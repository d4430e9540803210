"""SVG of the figures; colours are classes, which the page's style defines."""
import html
import math


def css_class(name):
    """Of a contestant: c- and the letters of its name."""
    return "c-" + "".join(ch if ch.isalnum() else "-" for ch in name.lower())


def short(x):
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if abs(x) >= limit:
            return f"{x / limit:.3g}{unit}"
    return f"{x:.3g}"


def ticks(low, high):
    """1, 2 and 5 of each power of ten from low to high; fewer if they are many."""
    out = []
    for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        out += [f * 10.0 ** power for f in (1, 2, 5)]
    out = [t for t in out if low <= t <= high]
    return out if len(out) < 9 else [t for t in out if f"{t:e}"[0] == "1"]


class Plot:
    """A frame with a logarithmic y axis; x is placed by a function to 0..1."""

    def __init__(self, title, place_x, x_ticks, ys, x_label, y_label, width=620, height=360):
        self.width, self.height = width, height
        self.left, self.right, self.top, self.bottom = 58, 16, 34, 46
        self.place_x = place_x
        self.low, self.high = min(ys) / 1.15, max(ys) * 1.15
        self.out = [f'<svg viewBox="0 0 {width} {height}" role="img" class="plot">'
                    f"<title>{html.escape(title)}</title>"]
        for value, label in x_ticks:
            x = self.x(value)
            self.out.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{self.top}" y2="{height - self.bottom}" class="grid"/>'
                            f'<text x="{x:.1f}" y="{height - self.bottom + 17}" text-anchor="middle">{label}</text>')
        for value in ticks(self.low, self.high):
            y = self.y(value)
            self.out.append(f'<line x1="{self.left}" x2="{width - self.right}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>'
                            f'<text x="{self.left - 7}" y="{y + 4:.1f}" text-anchor="end">{short(value)}</text>')
        self.out.append(f'<text x="{(self.left + width - self.right) / 2}" y="{height - 8}" text-anchor="middle"'
                        f' class="label">{html.escape(x_label)}</text>'
                        f'<text x="6" y="18" class="label">{html.escape(y_label)}</text>')

    def x(self, value):
        return self.left + self.place_x(value) * (self.width - self.left - self.right)

    def y(self, value):
        share = (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return self.height - self.bottom - share * (self.height - self.top - self.bottom)

    def line(self, name, points, dashed=False):
        """points: (x, y, what the mouse shows)"""
        placed = [(self.x(x), self.y(y), tip) for x, y, tip in points]
        kind = css_class(name) + (" dashed" if dashed else "")
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in placed)
        self.out.append(f'<g class="{kind}"><polyline points="{path}"/>')
        for x, y, tip in placed:
            self.out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5"><title>{html.escape(tip)}</title></circle>')
        self.out.append("</g>")

    def svg(self):
        return "\n".join(self.out) + "</svg>"


def legend(contestants):
    return '<p class="legend">' + "".join(
        f'<span class="{css_class(n)}"><i></i>{html.escape(n)}</span>' for n in contestants) + "</p>"


def curve(title, rows, exact):
    """Queries per second against recall; recall so that equal steps mean equal
    factors of what is missed. rows: of a part "search"; exact: recall 1."""
    rows = [r for r in rows if r["recall"] >= 0.5]
    if not rows:
        return ""
    least, most = 0.0004, max(0.15, min(0.5, 1.2 * max(1 - r["recall"] for r in rows)))

    def place(recall):
        return (math.log(most) - math.log(max(1 - recall, least))) / (math.log(most) - math.log(least))

    marks = [(r, f"{r:g}") for r in (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999) if 1 - r <= most]
    plot = Plot(title, place, marks, [1e6 / r["p50"] for r in rows + exact],
                "recall (ties are hits)", "queries per second, one session; up and right is better")
    for name in dict.fromkeys(r["contestant"] for r in rows):
        points = sorted((r for r in rows if r["contestant"] == name), key=lambda r: r["ef"])
        plot.line(name, [(r["recall"], 1e6 / r["p50"],
                          f'{name}, ef_search {r["ef"]}: recall {r["recall"]:.4f}, {r["p50"]:.0f} µs') for r in points])
    for r in exact:
        plot.line(r["contestant"], [(1, 1e6 / r["p50"], f'{r["contestant"]}, exact: {r["p50"]:.0f} µs')])
    return plot.svg()


def filter_curve(title, rows, parts):
    """Microseconds of a filtered query against the share of rows that pass.
    rows: of part "filter", of one kind; parts: 10, 100, 1000."""
    if not rows:
        return ""

    def place(part):
        return 0.08 + 0.84 * (math.log(part / parts[0]) / math.log(parts[-1] / parts[0]) if len(parts) > 1 else 0.5)

    plot = Plot(title, place, [(p, f"1 in {p}") for p in parts], [r["p50"] for r in rows],
                "rows that pass", f"µs per query; {title}", height=300)
    for name in dict.fromkeys(r["contestant"] for r in rows):
        points = sorted((r for r in rows if r["contestant"] == name), key=lambda r: int(r["filter"][2:]))
        plot.line(name, [(int(r["filter"][2:]), r["p50"], f'{name}, {r["matching"]} rows pass:'
                          f' {r["p50"]:.0f} µs, recall {r["recall"]:.4f}') for r in points],
                  dashed="sort" in name)
    return plot.svg()


def clients_curve(title, rows):
    if not rows:
        return ""
    counts = sorted({r["clients"] for r in rows})
    plot = Plot(title, lambda c: 0.08 + 0.84 * counts.index(c) / max(1, len(counts) - 1),
                [(c, str(c)) for c in counts], [r["rate"] for r in rows],
                "clients of pgbench, on the same machine", "queries per second at recall ≥ 0.95", height=300)
    for name in dict.fromkeys(r["contestant"] for r in rows):
        points = []
        for c in counts:
            found = sorted((r for r in rows if r["contestant"] == name and r["clients"] == c), key=lambda r: r["rate"])
            if found:
                r = found[len(found) // 2]
                points.append((c, r["rate"], f'{name}, {c} clients: {r["rate"]:.0f}/s; {r["p50"]:.0f} µs,'
                               f' 99 of 100 below {r["p99"]:.0f} µs; recall {r["recall"]:.4f}'))
        plot.line(name, points)
    return plot.svg()


def bars(title, unit, values, width=620):
    """values: {contestant: number}"""
    top = max(values.values())
    height = 27 * len(values) + 28
    out = [f'<svg viewBox="0 0 {width} {height}" role="img" class="plot"><text x="0" y="15" class="label">'
           f'{html.escape(title)}</text>']
    for i, (name, value) in enumerate(values.items()):
        y = 26 + 27 * i
        length = max(1.5, (width - 240) * value / top if top else 0)
        shown = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
        out.append(f'<text x="126" y="{y + 14}" text-anchor="end">{html.escape(name)}</text>'
                   f'<g class="{css_class(name)}"><rect x="134" y="{y}" width="{length:.1f}" height="19" rx="2"/></g>'
                   f'<text x="{142 + length:.1f}" y="{y + 14}">{shown} {unit}</text>')
    return "\n".join(out) + "</svg>"
