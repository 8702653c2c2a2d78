"use strict";
(() => {
	const charts = JSON.parse(document.getElementById("data").textContent) || [];
	const root = document.documentElement;
	const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();
	const boxOf = (chart) => document.getElementById("chart-" + chart.id);
	const height = 230;

	const digits = (v) => (v === 0 ? "0" : Math.abs(v) >= 100 ? v.toFixed(0) : String(+v.toPrecision(3)));
	const seconds = (v) => {
		const a = Math.abs(v);
		if (a === 0) return "0";
		if (a < 1e-3) return digits(v * 1e6) + " µs";
		if (a < 1) return digits(v * 1e3) + " ms";
		return digits(v) + " s";
	};
	const bytes = (v) => {
		const prefixes = [" B", " KiB", " MiB", " GiB", " TiB", " PiB"];
		let i = 0;
		for (; Math.abs(v) >= 1023.5 && i < prefixes.length - 1; i++) v /= 1024;
		return digits(v) + prefixes[i];
	};
	const units = {
		seconds, bytes, ratio: (v) => digits(v * 100) + " %", cores: (v) => digits(v) + " cores",
		"requests/second": (v) => digits(v) + "/s", "1/second": (v) => digits(v) + "/s", "bytes/second": (v) => bytes(v) + "/s",
	};
	const large = (v) => (Math.abs(v) >= 1e5 ? new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 }).format(v) : digits(v));
	const format = (unit) => (v) => (v == null ? "–" : (units[unit] || large)(v));
	// The x of a percentile chart is 1/(1-q).
	const percentile = (v) => (v <= 1.001 ? "p0" : "p" + +(100 * (1 - 1 / v)).toPrecision(6));
	const xText = (chart) => (v) => {
		if (v == null) return "–";
		switch (chart.kind) {
			case "percentile": return percentile(v);
			case "decile": return "p" + digits(v);
			case "curve": return digits(v) + "/s";
			case "date": return new Date(v * 1000).toISOString().slice(0, 10);
		}
		return digits(v) + " s";
	};

	// markers draws the events of a chart as labelled vertical lines.
	const markers = (chart) => ({
		hooks: {
			draw: (u) => {
				const { ctx, bbox } = u;
				ctx.save();
				ctx.strokeStyle = ctx.fillStyle = css("--soft");
				ctx.setLineDash([4, 4]);
				ctx.font = 11 * devicePixelRatio + "px system-ui, sans-serif";
				const rows = []; // of labels, each a list of what is taken
				(chart.markers || []).forEach((m) => {
					if (m.x < u.scales.x.min || m.x > u.scales.x.max) return;
					const x = Math.round(u.valToPos(m.x, "x", true));
					ctx.beginPath();
					ctx.moveTo(x, bbox.top);
					ctx.lineTo(x, bbox.top + bbox.height);
					ctx.stroke();
					const right = x > bbox.left + bbox.width * 0.6;
					ctx.textAlign = right ? "right" : "left";
					const gap = 4 * devicePixelRatio;
					const width = ctx.measureText(m.label).width;
					const from = right ? x - gap - width : x + gap;
					const free = (row) => !(rows[row] ||= []).some(([a, b]) => from < b + gap && from + width > a - gap);
					let row = 0;
					while (!free(row)) row++;
					rows[row].push([from, from + width]);
					if ((15 + row * 13) * devicePixelRatio > bbox.height) return; // what was done is told above
					ctx.fillText(m.label, x + (right ? -gap : gap), bbox.top + (11 + row * 13) * devicePixelRatio);
				});
				ctx.restore();
			},
		},
	});

	// yRange begins at zero, and has room above and, where values are negative, below.
	const yRange = (u, min, max) => (min == null ? [0, 1] : [min < 0 ? min * 1.08 : 0, max > 0 ? max * 1.08 : min < 0 ? 0 : 1]);

	const draw = (chart) => {
		const box = boxOf(chart);
		const y = format(chart.y_unit);
		const x = xText(chart);
		const axis = { stroke: css("--soft"), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line") } };
		const dates = chart.kind === "date";
		const scales = { x: { time: dates }, y: { range: yRange } };
		const xAxis = dates ? { ...axis } : { ...axis, values: (u, splits) => splits.map(x) };
		if (chart.kind === "percentile") {
			scales.x.distr = 3;
			const decade = (v) => v != null && Math.abs(Math.log10(v) - Math.round(Math.log10(v))) < 1e-6;
			xAxis.values = (u, splits) => splits.map((v) => (decade(v) ? percentile(v) : ""));
		}
		const points = chart.kind === "curve" || chart.kind === "decile";
		const color = (s) => css("--" + s.role) || css("--soft");
		const binary = chart.y_unit.startsWith("bytes") ? { incrs: Array.from({ length: 60 }, (_, i) => 2 ** i) } : {};
		box.replaceChildren();
		box.plot = new uPlot({
			width: box.clientWidth, height, scales, legend: { live: true }, plugins: [markers(chart)],
			cursor: { drag: { x: true, y: false }, points: { size: 6 } },
			axes: [xAxis, { ...axis, size: 66, values: (u, splits) => splits.map(y), ...binary }],
			series: [{ label: chart.x_label, value: (u, v) => x(v) }].concat(
				chart.series.map((s) => ({
					label: s.label, stroke: s.faint ? "transparent" : color(s), width: 2, value: (u, v) => y(v),
					dash: s.dashed ? [6, 5] : undefined, class: s.faint && s.role === "before" ? "unlisted" : undefined,
					spanGaps: points || dates, points: { show: points, size: 6 },
				})),
			),
			bands: (chart.bands || []).map((pair) => ({ series: pair.map((i) => i + 1), fill: color(chart.series[pair[0]]) + "33" })),
		}, [chart.x].concat(chart.series.map((s) => s.values)), box);
	};

	const drawAll = () => charts.forEach(draw);
	const fit = () => charts.forEach((chart) => boxOf(chart).plot.setSize({ width: boxOf(chart).clientWidth, height }));

	// zoom makes the visible part of the x axis narrower or wider around its middle,
	// in the scale that is drawn.
	const zoom = (chart, how) => {
		const u = boxOf(chart).plot;
		const [first, last] = [chart.x[0], chart.x[chart.x.length - 1]];
		if (how === "all") return u.setScale("x", { min: first, max: last });
		const log = chart.kind === "percentile";
		const [into, out] = log ? [Math.log, Math.exp] : [(v) => v, (v) => v];
		const [low, high] = [into(u.scales.x.min), into(u.scales.x.max)];
		const half = ((high - low) / 2) * (how === "in" ? 0.5 : 2);
		const min = Math.max(out((low + high) / 2 - half), first);
		const max = Math.min(out((low + high) / 2 + half), last);
		if (max > min) u.setScale("x", { min, max });
	};

	// read moves the cursor to a point and says its values.
	const read = (chart, move) => {
		const box = boxOf(chart);
		const u = box.plot;
		const last = chart.x.length - 1;
		const next = Math.min(Math.max(move(box.at ?? -1, last), 0), last);
		box.at = next;
		u.setCursor({ left: u.valToPos(chart.x[next], "x"), top: u.over.clientHeight / 2 });
		const y = format(chart.y_unit);
		box.parentElement.querySelector(".readout").textContent =
			[xText(chart)(chart.x[next])].concat(chart.series.map((s) => s.label + " " + y(s.values[next]))).join(", ");
	};
	const keys = {
		ArrowRight: (c) => read(c, (at) => at + 1), ArrowLeft: (c) => read(c, (at) => at - 1),
		PageDown: (c) => read(c, (at) => at + 10), PageUp: (c) => read(c, (at) => at - 10),
		Home: (c) => read(c, () => 0), End: (c) => read(c, (at, last) => last),
		"+": (c) => zoom(c, "in"), "=": (c) => zoom(c, "in"), "-": (c) => zoom(c, "out"), 0: (c) => zoom(c, "all"), Escape: (c) => zoom(c, "all"),
	};

	const save = (blob, name) => {
		const link = document.createElement("a");
		link.href = URL.createObjectURL(blob);
		link.download = name;
		link.click();
		setTimeout(() => URL.revokeObjectURL(link.href), 60000);
	};
	const csv = (chart) => {
		const cell = (v) => (v == null ? "" : /[",\n]/.test(v) ? '"' + String(v).replaceAll('"', '""') + '"' : v);
		const head = [chart.x_label].concat(chart.series.map((s) => s.label));
		const rows = chart.x.map((x, i) => [x].concat(chart.series.map((s) => s.values[i])));
		return [head].concat(rows).map((row) => row.map(cell).join(",")).join("\n") + "\n";
	};
	// The report is kept compressed, and is read only when someone wants it.
	const raw = async () => {
		const packed = Uint8Array.from(atob(document.getElementById("raw").textContent.trim().replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
		const name = document.getElementById("download").dataset.name;
		if (!("DecompressionStream" in window)) return [new Blob([packed]), name + ".gz"];
		const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
		return [new Blob([await new Response(stream).arrayBuffer()], { type: "application/json" }), name];
	};

	drawAll();
	for (const chart of charts) {
		const box = boxOf(chart);
		box.addEventListener("keydown", (e) => {
			const act = keys[e.key];
			if (!act || e.ctrlKey || e.metaKey || e.altKey) return;
			e.preventDefault();
			act(chart);
		});
		for (const button of box.parentElement.querySelectorAll("[data-zoom]")) button.addEventListener("click", () => zoom(chart, button.dataset.zoom));
		box.parentElement.querySelector("[data-csv]").addEventListener("click", () => save(new Blob([csv(chart)], { type: "text/csv" }), chart.id + ".csv"));
	}
	document.getElementById("download")?.addEventListener("click", () => raw().then(([blob, name]) => save(blob, name)));

	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
	let pending = 0;
	addEventListener("resize", () => {
		cancelAnimationFrame(pending);
		pending = requestAnimationFrame(fit);
	});
	// Paper is white, as wide as paper, and can't be unfolded. Behind the charts stay
	// their figures, of which there are thousands.
	let folded = [];
	const print = (on) => () => {
		root.classList.toggle("printing", on);
		if (on) folded = [...document.querySelectorAll("details:not([open])")].filter((d) => !d.closest("figure"));
		folded.forEach((d) => { d.open = on; });
		drawAll();
	};
	addEventListener("beforeprint", print(true));
	addEventListener("afterprint", print(false));
	root.dataset.ready = "true";
})();
