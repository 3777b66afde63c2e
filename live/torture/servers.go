package torture

import (
	"fmt"
	"time"

	"distlabs/live/control"
)

// settled is how old a status must be before its server is killed, for the disk to have to know it: in a status may be what the server
// is about to write.
const settled = 200 * time.Millisecond

// servers follows the servers' own reports, and holds them against the rules of Raft.
type servers struct {
	anomalies []string
	first     time.Time      // when the first anomaly was seen
	leaders   map[int]string // of each term
	reports   map[string][]timed
	before    map[string]control.Status // of each server that was killed: what its disk must know
}

type timed struct {
	at     time.Time
	status control.Status
}

func newServers() *servers {
	return &servers{leaders: map[int]string{}, reports: map[string][]timed{}, before: map[string]control.Status{}}
}

func (s *servers) add(format string, args ...any) {
	if len(s.anomalies) == 0 {
		s.first = time.Now()
	}
	if len(s.anomalies) < maxAnomalies {
		s.anomalies = append(s.anomalies, fmt.Sprintf(format, args...))
	}
}

// heard takes in one status.
func (s *servers) heard(name string, st control.Status) {
	if st.First {
		s.started(name, st)
	}
	if st.Role == "leader" {
		if other := s.leaders[st.Term]; other != "" && other != name {
			s.add("term %d has two leaders, %s and %s (rule 1)", st.Term, other, name)
		}
		s.leaders[st.Term] = name
	}
	s.reports[name] = append(s.reports[name], timed{time.Now(), st})
}

// killed notes what a server's disk must know.
func (s *servers) killed(name string) {
	delete(s.before, name)
	for _, r := range s.reports[name] {
		if time.Since(r.at) >= settled {
			s.before[name] = r.status
		}
	}
	s.reports[name] = nil
}

// started compares what a server has found on its disk with what it knew before it was killed.
func (s *servers) started(name string, now control.Status) {
	before, known := s.before[name]
	if !known {
		return
	}
	delete(s.before, name)
	switch {
	case now.Term < before.Term:
		s.add("%s was in term %d when it was killed, and in term %d when it was started again (rules 8 and 9)", name, before.Term, now.Term)
	case now.Term == before.Term && before.VotedFor != 0 && now.VotedFor != before.VotedFor:
		s.add("%s had voted for %v in term %d when it was killed, and for %v when it was started again (rule 8)", name, before.VotedFor, before.Term, now.VotedFor)
	}
	if now.Last < before.Commit {
		s.add("%s had entries up to index %d that it knew to be committed when it was killed, but only up to index %d when it was started again (rule 8)", name, before.Commit, now.Last)
	}
}
