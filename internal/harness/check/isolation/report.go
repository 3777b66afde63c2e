package isolation

import (
	"fmt"
	"strings"
)

// A Level is an isolation level. A stronger level is a greater number.
type Level uint8

// The levels. NoLevel is what a history has which not even read uncommitted permits.
const (
	NoLevel Level = iota
	ReadUncommitted
	ReadCommitted
	SnapshotIsolation
	Serializable
	StrictSerializable
)

var levelNames = [...]string{"no isolation level", "read uncommitted", "read committed", "snapshot isolation", "serializable", "strict serializable"}

// String returns the level's name.
func (l Level) String() string { return levelNames[l] }

// ParseLevel returns the level of that name; words may be joined by spaces or hyphens.
func ParseLevel(name string) (Level, error) {
	for l := ReadUncommitted; l <= StrictSerializable; l++ {
		if strings.EqualFold(strings.ReplaceAll(name, "-", " "), levelNames[l]) {
			return l, nil
		}
	}
	return NoLevel, fmt.Errorf("isolation: there is no level %q; the levels are %s", name, strings.Join(levelNames[1:], ", "))
}

// A Kind is the name of an anomaly.
type Kind string

// The anomalies, the worst first.
const (
	Incompatible   Kind = "incompatible-order" // two reads of a list, neither of which is the beginning of the other
	Duplicate      Kind = "duplicate"          // a value is twice in a list
	Unwritten      Kind = "unwritten-value"    // a read returned a value that no transaction wrote
	Internal       Kind = "internal"           // a transaction's reads contradict its own earlier reads or writes
	G0             Kind = "G0"                 // dirty write: a cycle of ww
	G1a            Kind = "G1a"                // aborted read: a read of a value that an aborted transaction wrote
	G1b            Kind = "G1b"                // intermediate read: a read of a value that its writer replaced before it committed
	G1c            Kind = "G1c"                // circular information flow: a cycle of ww and wr
	LostUpdate     Kind = "lost-update"        // two transactions read the same version of a key and both replace it
	GSingle        Kind = "G-single"           // read skew: a cycle with exactly one rw
	GNonadjacent   Kind = "G-nonadjacent"      // a cycle with several rw, of which no two are adjacent
	G2Item         Kind = "G2-item"            // write skew: a cycle with several rw, all of them of items
	G2             Kind = "G2"                 // phantom: a cycle with several rw, one of them of a range read
	SessionSuffix       = "-session"           // appended to the kind of a cycle that needs the order of a session
	RealtimeSuffix      = "-realtime"          // appended to the kind of a cycle that needs real time
)

// Meaning says in a few words what the anomaly is.
func (k Kind) Meaning() string {
	base := strings.TrimSuffix(strings.TrimSuffix(string(k), SessionSuffix), RealtimeSuffix)
	suffix := map[string]string{SessionSuffix: ", given the order within a session", RealtimeSuffix: ", given real time"}[string(k)[len(base):]]
	return map[Kind]string{
		Incompatible: "reads of one list that no order of appends explains",
		Duplicate:    "a value is in a list twice",
		Unwritten:    "a read returned a value that no transaction wrote",
		Internal:     "a transaction contradicts itself",
		G0:           "dirty write",
		G1a:          "aborted read",
		G1b:          "intermediate read",
		G1c:          "circular information flow",
		LostUpdate:   "lost update",
		GSingle:      "read skew",
		GNonadjacent: "anti-dependencies that are not adjacent",
		G2Item:       "write skew",
		G2:           "phantom",
	}[Kind(base)] + suffix
}

// EdgeKind is the kind of a dependency.
type EdgeKind uint8

// The dependencies.
const (
	WW EdgeKind = iota
	WR
	RW
	PredicateRW // an RW of which the reader is a range read that did not find the key
	SessionOrder
	RealTime
)

// String returns the dependency's short name, as in the literature.
func (k EdgeKind) String() string {
	return [...]string{"ww", "wr", "rw", "rw, range read", "session order", "real time"}[k]
}

// An Edge is a dependency between two transactions of the history.
type Edge struct {
	From, To int // indexes of History.Txns
	Kind     EdgeKind
	Key      string // of ww, wr and rw
	Text     string // the reason, as one sentence
}

// An Anomaly is something that a level forbids.
type Anomaly struct {
	Kind Kind
	// Forbids is the weakest level that forbids the anomaly.
	Forbids Level
	// Txns has the transactions that take part, as indexes of History.Txns, in the order of the cycle if it is one.
	Txns []int
	// Cycle has the dependencies of a cycle, each from the transaction at which the one before ends. It is nil otherwise.
	Cycle []Edge
	// Text says in one sentence what was seen.
	Text string
	// Shortest says that no shorter cycle of this kind exists among the transactions that depend on each other here.
	Shortest bool
}

// Lines tells of the anomaly: the sentence, then one line for each dependency.
func (a *Anomaly) Lines() []string {
	lines := []string{a.Text}
	for _, e := range a.Cycle {
		lines = append(lines, e.Text)
	}
	return lines
}

// A Report is what Check found.
type Report struct {
	// Level is the strongest level that the history is shown to satisfy.
	Level Level
	// Refuted is the weakest level that the history is shown to violate; StrictSerializable+1 if there is none.
	Refuted Level
	// Exact says that Refuted follows Level directly, so that Level is the strongest one.
	Exact bool
	Why   string // why the report is not exact
	// Sessions says that the history is serializable in an order that agrees with the order of each session.
	// It is not decided (false) if Level is below Serializable.
	Sessions bool
	// Anomalies has the worst first: at most ten of each kind. Count says how many of a kind were seen; where there
	// are many, not all are searched for.
	Anomalies []Anomaly
	Count     map[Kind]int
	// Txns and Ops say how much was checked: transactions that committed or may have, and their operations.
	Txns, Ops int
}

// Violation returns the worst anomaly which the level forbids, and whether there is one.
func (r *Report) Violation(level Level) (Anomaly, bool) {
	for _, a := range r.Anomalies {
		if a.Forbids <= level {
			return a, true
		}
	}
	return Anomaly{}, false
}

const kept = 10 // anomalies of one kind

func (r *Report) add(a Anomaly) {
	r.Count[a.Kind]++
	r.Refuted = min(r.Refuted, a.Forbids)
	if r.Count[a.Kind] <= kept {
		r.Anomalies = append(r.Anomalies, a)
	}
}
