package view

import (
	"fmt"
	"html"
)

// document puts the drawing into its frame.
func (p *picture) document() string {
	title := "A run of the network"
	if p.run.Header.Test != "" {
		title = fmt.Sprintf("%s, seed %d", p.run.Header.Test, p.run.Header.Seed)
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%.0f" viewBox="0 0 %d %.0f" role="img">
<title>%s</title>
%s%s</svg>
`, p.opts.Width, p.tall, p.opts.Width, p.tall, html.EscapeString(oneLine(title)), svgFrame, p.b.String())
}

const svgFrame = `<style>
svg { background: #fff; font: 11px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; --ink: #1c2230; --muted: #5b6577; --bad: #c92a2a; --msg: #5b6577; --new: #8a5a00; --good: #237a35; --band: #fdeedd; --hatch: #c9a57a; --ground: #fff; --m0: #1864ab; --m1: #7b2fb5; --m2: #0b7285; --m3: #a14a00; --m4: #5f3dc4; --m5: #2b6e33; --m6: #a61e6c; --m7: #495057; }
text { fill: var(--ink); paint-order: stroke; stroke: #fff; stroke-width: 3px; }
.head, .strong { font-weight: bold; font-size: 13px; }
.time { fill: var(--muted); text-anchor: end; }
.full { text-anchor: end; }
.ground { fill: var(--ground); } .legend { fill: var(--muted); }
.quiet { fill: var(--muted); } .note { fill: var(--new); font-weight: bold; }
.r0 { stroke: #2f9e44; stroke-width: 5; } .r1 { stroke: #f08c00; stroke-width: 5; } .r2 { stroke: #9c36b5; stroke-width: 5; } .r3 { stroke: #1098ad; stroke-width: 5; } .r4 { stroke: #e8590c; stroke-width: 5; }
.r1 { stroke-dasharray: 9 3; } .r2 { stroke-dasharray: 3 3; } .r3 { stroke-dasharray: 14 3 3 3; } .r4 { stroke-dasharray: 1 4; }
.up { stroke: var(--muted); stroke-width: 1.5; } .down { stroke: var(--muted); stroke-dasharray: 1 6; } .paused { stroke: var(--bad); stroke-dasharray: 5 5; }
.msg { stroke: var(--msg); stroke-width: 1.3; fill: none; } .reply { stroke-dasharray: 5 3; }
.m0 { stroke: var(--m0); } .t0 { fill: var(--m0); } .m1 { stroke: var(--m1); } .t1 { fill: var(--m1); } .m2 { stroke: var(--m2); } .t2 { fill: var(--m2); } .m3 { stroke: var(--m3); } .t3 { fill: var(--m3); } .m4 { stroke: var(--m4); } .t4 { fill: var(--m4); } .m5 { stroke: var(--m5); } .t5 { fill: var(--m5); } .m6 { stroke: var(--m6); } .t6 { fill: var(--m6); } .m7 { stroke: var(--m7); } .t7 { fill: var(--m7); }
.leaving { stroke-dasharray: 2 3; }
.dot { fill: var(--ink); } .rule { stroke: var(--muted); } .broke { stroke: var(--bad); stroke-width: 2; }
path.bad, line.bad { stroke: var(--bad); } text.bad { fill: var(--bad); } line.good { stroke: var(--good); } text.good { fill: var(--good); }
.band { fill: url(#hatch); } .bandground { fill: var(--band); } .hatch { stroke: var(--hatch); fill: none; }
@media (prefers-color-scheme: dark) {
svg { background: #14171f; --ink: #e6e9f0; --muted: #939db0; --bad: #ff7b7b; --msg: #939db0; --new: #ffd166; --good: #69db7c; --band: #2b2418; --hatch: #6b5836; --ground: #14171f; --m0: #74b9ff; --m1: #d0a0ff; --m2: #66d9e8; --m3: #ffb066; --m4: #b6a0ff; --m5: #8ce99a; --m6: #faa2d0; --m7: #ced4da; }
text { stroke: #14171f; }
}
</style>
<defs>
<marker id="head" orient="auto" markerWidth="8" markerHeight="8" refX="8" refY="4" markerUnits="userSpaceOnUse"><path d="M0 1L8 4L0 7z" fill="context-stroke"/></marker>
<pattern id="hatch" width="9" height="9" patternUnits="userSpaceOnUse"><rect class="bandground" width="9" height="9"/><path class="hatch" d="M-2 2L2 -2M0 9L9 0M7 11L11 7"/></pattern>
<marker id="lost" markerWidth="10" markerHeight="10" refX="5" refY="5" markerUnits="userSpaceOnUse"><path d="M1 1L9 9M9 1L1 9" stroke="#c92a2a" stroke-width="2"/></marker>
</defs>
`
