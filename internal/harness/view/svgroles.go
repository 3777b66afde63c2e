package view

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"time"

	"distlabs/internal/harness/trace"
	"distlabs/labrpc"
)

// svgRoles is how many roles have a colour of their own.
const svgRoles = 5

var (
	roleName = regexp.MustCompile(`(?i)role|state|status|mode`)
	leading  = regexp.MustCompile(`(?i)lead|primary|master`)
	seeking  = regexp.MustCompile(`(?i)candidate|elect`)
	// plainRole is what a node is that does nothing special: its lane has no colour.
	plainRole = regexp.MustCompile(`(?i)^(follower|backup|replica|secondary|passive|idle|normal|none|up)$`)
	noRole    = regexp.MustCompile(`^-?\d|^(true|false)$`)
)

// A roleSpan is the time in which a node's role was one and the same.
type roleSpan struct {
	node     labrpc.NodeID
	value    string
	from, to time.Duration
}

// drawRoles colours the lanes by what each node noted as its role, if the nodes note one.
func (p *picture) drawRoles() {
	spans := roleSpansOf(p.run)
	held := map[string]time.Duration{}
	for _, t := range spans {
		if noRole.MatchString(t.value) {
			return
		}
		held[t.value] += t.to - t.from
	}
	if len(held) < 2 || len(held) > svgRoles+1 {
		return
	}
	colours := roleColours(held)
	for _, t := range spans {
		k, coloured := colours[t.value]
		top, bottom := p.at(t.from), p.at(min(t.to, p.opts.To))
		if _, drawn := p.place[t.node]; coloured && drawn && bottom > top {
			p.roles[t.value] = k
			p.add(`<line class="r%d" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, k, p.x(t.node), top, p.x(t.node), bottom)
		}
	}
}

// roleColours gives a role the same colour in every picture and on every page (state.js does the same): a leader the
// first, a candidate the second, others by their names. What most nodes are all the time has none.
func roleColours(held map[string]time.Duration) map[string]int {
	names := slices.Sorted(maps.Keys(held))
	common := slices.MaxFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(held[a], held[b]), cmp.Compare(b, a)) })
	hasPlain := slices.ContainsFunc(names, plainRole.MatchString)
	out, used := map[string]int{}, map[int]bool{}
	for _, name := range names {
		lead := leading.MatchString(name)
		if plainRole.MatchString(name) || !hasPlain && name == common && !lead {
			continue
		}
		k := 0
		switch {
		case lead:
		case seeking.MatchString(name):
			k = 1
		default:
			sum := 0
			for _, r := range name {
				sum += int(r)
			}
			k = 2 + sum%3
			for n := 0; n < 3 && used[k]; n++ {
				k = 2 + (k-1)%3
			}
		}
		used[k] = true
		out[name] = k
	}
	return out
}

// roleSpansOf lists who had which role when. A crash ends a role.
func roleSpansOf(run *trace.Run) []roleSpan {
	var out []roleSpan
	last := map[labrpc.NodeID]int{} // of out, plus one
	end := time.Duration(0)
	for i := range run.Steps {
		s := &run.Steps[i]
		end = s.At
		begins := s.Kind == labrpc.EventNoted && roleName.MatchString(s.Name)
		if !begins && s.Kind != labrpc.EventCrashed && s.Kind != labrpc.EventStopped {
			continue
		}
		if k := last[s.Node]; k > 0 {
			out[k-1].to = s.At
		}
		last[s.Node] = 0
		if begins {
			out = append(out, roleSpan{node: s.Node, value: s.Value, from: s.At})
			last[s.Node] = len(out)
		}
	}
	for _, k := range last {
		if k > 0 {
			out[k-1].to = end
		}
	}
	return out
}
