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
svg { background: #fff; font: 11px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; --ink: #1c2230; --muted: #667085; --bad: #c92a2a; --msg: #1864ab; --new: #8a5a00; --good: #2b8a3e; --band: #fdeedd; }
text { fill: var(--ink); paint-order: stroke; stroke: #fff; stroke-width: 3px; }
.head, .strong { font-weight: bold; font-size: 13px; }
.time { fill: var(--muted); text-anchor: end; }
.full { text-anchor: end; }
.quiet { fill: var(--muted); } .note { fill: var(--new); font-weight: bold; } .in { fill: var(--msg); }
.r0 { stroke: #2f9e44; stroke-width: 5; } .r1 { stroke: #f08c00; stroke-width: 5; } .r2 { stroke: #9c36b5; stroke-width: 5; } .r3 { stroke: #1098ad; stroke-width: 5; }
.up { stroke: var(--muted); stroke-width: 1.5; } .down { stroke: var(--muted); stroke-dasharray: 1 6; } .paused { stroke: var(--bad); stroke-dasharray: 5 5; }
.msg { stroke: var(--msg); stroke-width: 1.3; fill: none; } .reply { stroke-dasharray: 5 3; }
.leaving { stroke-dasharray: 2 3; }
.dot { fill: var(--ink); } .rule { stroke: var(--muted); } .broke { stroke: var(--bad); stroke-width: 2; }
path.bad, line.bad { stroke: var(--bad); } text.bad { fill: var(--bad); } line.good { stroke: var(--good); } text.good { fill: var(--good); }
.band { fill: var(--band); }
@media (prefers-color-scheme: dark) {
svg { background: #14171f; --ink: #e6e9f0; --muted: #939db0; --bad: #ff7b7b; --msg: #74b9ff; --new: #ffd166; --good: #69db7c; --band: #2b2418; }
text { stroke: #14171f; }
}
</style>
<defs>
<marker id="head" orient="auto" markerWidth="8" markerHeight="8" refX="8" refY="4" markerUnits="userSpaceOnUse"><path d="M0 1L8 4L0 7z" fill="context-stroke"/></marker>
<marker id="lost" markerWidth="10" markerHeight="10" refX="5" refY="5" markerUnits="userSpaceOnUse"><path d="M1 1L9 9M9 1L1 9" stroke="#c92a2a" stroke-width="2"/></marker>
</defs>
`
