"use strict";
(() => {
	const data = JSON.parse(document.getElementById("data").textContent);
	const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
	const colors = () => ({ before: css("--before"), after: css("--after"), good: css("--good"), bad: css("--bad"), other: css("--soft") });

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
	const date = (v) => (v == null ? "–" : new Date(v * 1000).toISOString().slice(0, 10));
	// The x of a percentile chart is 1/(1-q).
	const percentile = (v) => "p" + +(100 * (1 - 1 / v)).toPrecision(6);

	// markers draws the events of a chart as labelled vertical lines.
	const markers = (chart) => ({
		hooks: {
			draw: (u) => {
				const { ctx, bbox } = u;
				ctx.save();
				ctx.strokeStyle = css("--soft");
				ctx.fillStyle = css("--soft");
				ctx.setLineDash([4, 4]);
				ctx.font = 11 * devicePixelRatio + "px system-ui, sans-serif";
				(chart.markers || []).forEach((m, i) => {
					if (m.x < u.scales.x.min || m.x > u.scales.x.max) return;
					const x = Math.round(u.valToPos(m.x, "x", true));
					ctx.beginPath();
					ctx.moveTo(x, bbox.top);
					ctx.lineTo(x, bbox.top + bbox.height);
					ctx.stroke();
					const right = x > bbox.left + bbox.width * 0.6;
					ctx.textAlign = right ? "right" : "left";
					ctx.fillText(m.label, x + (right ? -4 : 4) * devicePixelRatio, bbox.top + (11 + (i % 6) * 13) * devicePixelRatio);
				});
				ctx.restore();
			},
		},
	});

	const draw = (chart) => {
		const box = document.getElementById("chart-" + chart.id);
		const y = format(chart.y_unit);
		const palette = colors();
		const axis = { stroke: css("--soft"), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line") } };
		const x = { ...axis };
		const scales = { x: { time: false }, y: { range: (u, min, max) => [0, max > 0 ? max * 1.08 : 1] } };
		let xText = (v) => (v == null ? "–" : digits(v) + " s");
		if (chart.kind === "percentile") {
			scales.x = { time: false, distr: 3 };
			x.values = (u, splits) => splits.map((v) => (v != null && Math.abs(Math.log10(v) - Math.round(Math.log10(v))) < 1e-6 ? (v <= 1.001 ? "p0" : percentile(v)) : ""));
			xText = (v) => (v == null ? "–" : percentile(v));
		} else if (chart.kind === "curve") {
			xText = format("requests/second");
			x.values = (u, splits) => splits.map(xText);
		} else if (chart.kind === "date") {
			scales.x = { time: true };
			xText = date;
		} else {
			x.values = (u, splits) => splits.map(xText);
		}
		const options = {
			width: box.clientWidth, height: 230, scales, legend: { live: true }, plugins: [markers(chart)],
			cursor: { drag: { x: true, y: false }, points: { size: 6 } },
			axes: [x, { ...axis, size: 66, values: (u, splits) => splits.map(y), ...(chart.y_unit.startsWith("bytes") ? { incrs: Array.from({ length: 60 }, (_, i) => 2 ** i) } : {}) }],
			series: [{ label: chart.x_label, value: (u, v) => xText(v) }].concat(
				chart.series.map((s) => ({
					label: s.label, stroke: s.faint ? "transparent" : palette[s.role] || palette.other, width: 2, value: (u, v) => y(v),
					dash: s.dashed ? [6, 5] : undefined, class: s.faint && s.role === "before" ? "unlisted" : undefined,
					spanGaps: chart.kind === "curve" || chart.kind === "date", points: { show: chart.kind === "curve", size: 6 },
				})),
			),
			bands: (chart.bands || []).map((pair) => ({ series: pair.map((i) => i + 1), fill: (palette[chart.series[pair[0]].role] || palette.other) + "33" })),
		};
		box.replaceChildren();
		box.plot = new uPlot(options, [chart.x].concat(chart.series.map((s) => s.values)), box);
	};

	const drawAll = () => data.charts.forEach(draw);
	drawAll();
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
	let pending = 0;
	addEventListener("resize", () => {
		cancelAnimationFrame(pending);
		pending = requestAnimationFrame(() => data.charts.forEach((chart) => {
			const box = document.getElementById("chart-" + chart.id);
			box.plot.setSize({ width: box.clientWidth, height: 230 });
		}));
	});

	const link = document.getElementById("download");
	link.href = URL.createObjectURL(new Blob([JSON.stringify(data.report, null, 1)], { type: "application/json" }));
	document.documentElement.dataset.ready = "true";
})();
