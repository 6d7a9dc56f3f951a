# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The VMQ authors
"""Results as pictures (PNG, SVG) and one HTML page that shows them with their tables."""

import html
import json

from vmq_bench.common import BenchError

COLOURS = {"vmqd": "#1f5fa8", "testpmd rxonly": "#888888", "Open vSwitch": "#c0562f"}
MARKS = {"vmqd": "o", "testpmd rxonly": "s", "Open vSwitch": "^"}


def load():
    try:
        import matplotlib
    except ImportError:
        raise BenchError("plots need matplotlib: apt-get install python3-matplotlib") from None
    matplotlib.use("Agg")  # no window
    import matplotlib.pyplot
    return matplotlib.pyplot


class Canvas:
    """One picture, written in both formats."""

    def __init__(self, pyplot, title, x_label, y_label):
        self.pyplot = pyplot
        self.figure, self.axes = pyplot.subplots(figsize=(7, 4.2), constrained_layout=True)
        self.axes.set_title(title)
        self.axes.set_xlabel(x_label)
        self.axes.set_ylabel(y_label)
        self.axes.grid(alpha=0.3)

    def line(self, label, x, figures):
        """Medians as a line, the spread of the runs as bars."""
        medians = [one["median"] for one in figures]
        errors = [[max(one["median"] - one["min"], 0) for one in figures],
                  [max(one["max"] - one["median"], 0) for one in figures]]
        self.axes.errorbar(x, medians, yerr=errors, label=label, capsize=3,
                           marker=MARKS.get(label, "o"), color=COLOURS.get(label))

    def counted(self, x):
        """An axis of counts that grow by factors."""
        if min(x) > 0 and max(x) / min(x) >= 8:
            self.axes.set_xscale("log", base=2)
        self.axes.set_xticks(x, [f"{one:,}" for one in x], rotation=30 if len(x) > 6 else 0)
        self.axes.minorticks_off()

    def save(self, folder, name):
        self.axes.set_ylim(bottom=0)
        self.axes.legend(frameon=False)
        for kind in ("png", "svg"):
            self.figure.savefig(folder / f"{name}.{kind}", dpi=120)
        self.pyplot.close(self.figure)
        return name


def series(points, x_name):
    """{program: (x, figures)} out of the points' figures "PROGRAM at X NAME"."""
    lines = {}
    for point in points:
        for figure in point["figures"]:
            if figure["unit"] != "Mpps":
                continue
            program = figure["name"].rsplit(" at ", 1)[0]
            x, figures = lines.setdefault(program, ([], []))
            x.append(point[x_name])
            figures.append(figure)
    return lines


X_LABELS = {"vms": "VMs", "filters": "filters", "flows": "flows"}


def draw_steer(pyplot, result, folder, number):
    over = result["curve"]["over"]
    canvas = Canvas(pyplot, f"Software steering, one core, {result['frame_bytes']} B frames",
                    X_LABELS[over], "million packets a second")
    lines = series(result["curve"]["points"], over)
    for program, (x, figures) in lines.items():
        canvas.line(program, x, figures)
    canvas.counted(lines["vmqd"][0])
    return [canvas.save(folder, f"steer-{over}-{number}")]


def draw_bars(pyplot, result, folder, number):
    """Any other result: its figures beside each other."""
    figures = result["figures"]
    canvas = Canvas(pyplot, f"vmq-bench {result['bench']}", "", figures[0]["unit"] or "ratio")
    for place, figure in enumerate(figures):
        canvas.axes.bar(place, figure["median"], color="#1f5fa8",
                        yerr=[[max(figure["median"] - figure["min"], 0)],
                              [max(figure["max"] - figure["median"], 0)]], capsize=3)
    canvas.axes.set_xticks(range(len(figures)), [figure["name"] for figure in figures],
                           rotation=20, ha="right", fontsize=8)
    canvas.axes.plot([], [], label="median and spread", color="#1f5fa8")
    return [canvas.save(folder, f"{result['bench']}-{number}")]


def draw_vms(pyplot, result, folder, number):
    canvas = Canvas(pyplot, f"Delivery to VMs by vhost-user, one core, {result['frame_bytes']} B "
                    "frames", "VMs", "million packets a second")
    for program, (x, figures) in series(result["curve"]["points"], "vms").items():
        canvas.line(program, x, figures)
    canvas.counted(result["n"])
    return [canvas.save(folder, f"vms-{result['frame_bytes']}-{number}")]


def draw_rfc2544(pyplot, result, folder, number):
    sizes = [one["size"] for one in result["results"]]
    canvas = Canvas(pyplot, f"RFC 2544 throughput, {result['generator']}", "bytes of a frame",
                    "Gbit/s, preamble and gap counted")
    canvas.axes.plot(sizes, [one["gbits"] for one in result["results"]], marker="o",
                     color="#1f5fa8", label=f"{result['vms']} VMs, {result['link']}")
    canvas.axes.set_xticks(sizes, [str(size) for size in sizes], rotation=60)
    names = [canvas.save(folder, f"rfc2544-{number}")]
    if result["latency"]:
        canvas = Canvas(pyplot, "Latency through vmqd", "percent of the link", "microseconds")
        rates = [one["rate"] for one in result["latency"]]
        for which, colour in (("min_us", "#1f5fa8"), ("max_us", "#c0562f")):
            canvas.axes.plot(rates, [one["latency"][which] for one in result["latency"]],
                             marker="o", color=colour, label=which[:3])
        names.append(canvas.save(folder, f"rfc2544-latency-{number}"))
    return names


def draw_latency(pyplot, result, folder, number):
    canvas = Canvas(pyplot, f"From the port into a VM's hands, {result['vms']} VMs",
                    f"load, percent of {result['greatest_mpps']:.2f} Mpps", "microseconds")
    for mode, colour in (("poll", "#1f5fa8"), ("adaptive", "#c0562f")):
        points = [one for one in result["points"] if one["mode"] == mode]
        loads = [one["load"] for one in points]
        for key, name, style in (("p50_us", "median", "-"), ("p99_us", "p99", "--")):
            canvas.axes.plot(loads, [one[key] for one in points], style, marker="o",
                             color=colour, label=f"{mode}, {name}")
    canvas.axes.set_xticks(loads, [f"{load} %" for load in loads])
    return [canvas.save(folder, f"latency-{number}")]


def draw_scale(pyplot, result, folder, number):
    """Queues with a filter each, and what filters cost on top of the most queues."""
    names = []
    for over, points in (("queues", [one for one in result["points"]
                                     if one["queues"] == one["filters"]]),
                         ("filters", [one for one in result["points"]
                                      if one["queues"] == result["points"][-1]["queues"]])):
        x = [one[over] for one in points]
        for place, what, label in ((0, "start", "milliseconds until all queues run"),
                                   (1, "memory", "KiB of an idle queue"),
                                   (2, "cycles", "TSC cycles of a packet")):
            canvas = Canvas(pyplot, f"{what} over {over}, one adapter", over, label)
            canvas.line("vmqd", x, [one["figures"][place] for one in points])
            canvas.counted(x)
            names.append(canvas.save(folder, f"scale-{over}-{what}-{number}"))
    return names


DRAWERS = {"latency": draw_latency, "scale": draw_scale, "steer": draw_steer, "vms": draw_vms, "rfc2544": draw_rfc2544}

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>vmq-bench</title>
<style>
body {{ font: 16px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }}
img {{ max-width: 100%; }}
table {{ border-collapse: collapse; }}
td, th {{ padding: .2em .8em; text-align: right; border-bottom: 1px solid #ddd; }}
td:first-child, th:first-child {{ text-align: left; }}
pre {{ background: #f5f5f5; padding: .5em; overflow-x: auto; }}
</style></head><body>
<h1>vmq-bench</h1>
{body}
</body></html>
"""


def table(result):
    rows = "".join(
        f"<tr><td>{html.escape(one['name'])}</td><td>{one['median']:.3f}</td>"
        f"<td>{one['min']:.3f}</td><td>{one['max']:.3f}</td>"
        f"<td>{html.escape(one['unit'])}</td></tr>" for one in result["figures"])
    return ("<table><tr><th>figure</th><th>median</th><th>least</th><th>greatest</th>"
            f"<th>unit</th></tr>{rows}</table>")


def section(result, pictures):
    where = {"machine": result.get("machine"), "versions": result.get("versions"),
             "when": result.get("when")}
    images = "".join(f'<p><a href="{name}.svg"><img src="{name}.png" alt="{name}"></a></p>'
                     for name in pictures)
    return (f"<h2>{html.escape(result['bench'])}</h2>{images}{table(result)}"
            f"<pre>{html.escape(json.dumps(where, indent=1))}</pre>")


def draw(results, folder):
    """Pictures of results and index.html, into a folder. @return names of the pictures"""
    pyplot = load()
    folder.mkdir(parents=True, exist_ok=True)
    body, every = [], []
    for number, result in enumerate(results, 1):
        pictures = DRAWERS.get(result["bench"], draw_bars)(pyplot, result, folder, number)
        body.append(section(result, pictures))
        every += pictures
    (folder / "index.html").write_text(PAGE.format(body="\n".join(body)), encoding="utf-8")
    return every
