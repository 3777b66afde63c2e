package report

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// EventKind is the sort of an event.
type EventKind string

// The kinds of event, in the order in which a test sends them.
const (
	Start EventKind = "start" // a test begins
	Seed  EventKind = "seed"  // a test begins a seed, in a synctest bubble
	Found EventKind = "found" // a test has failed and is being explained; Failure is set
	End   EventKind = "end"   // a test is over; Result is set
	Done  EventKind = "done"  // all tests are over
)

// Event is one line of the results channel.
type Event struct {
	Seq    int       `json:"seq"` // from 1, without gaps; Send sets it
	Kind   EventKind `json:"kind"`
	Test   string    `json:"test,omitempty"`
	Seed   uint64    `json:"seed,omitempty"`
	Bubble uint64    `json:"bubble,omitempty"` // number of the synctest bubble, 0 if unknown
	Result *Result   `json:"result,omitempty"`
	// Failure is what is known of a failure before it is explained, in case that the process is stopped meanwhile.
	Failure *Failure `json:"failure,omitempty"`
}

// Status is how a test came out.
type Status string

// The three ways in which a test comes out.
const (
	Pass Status = "pass"
	Fail Status = "fail"
	Skip Status = "skip"
)

// Result is the outcome of one test over all its seeds.
type Result struct {
	Status     Status        `json:"status"`
	Seeds      int           `json:"seeds,omitempty"`    // how many ran
	Failed     []uint64      `json:"failed,omitempty"`   // the seeds that failed
	Diverged   []uint64      `json:"diverged,omitempty"` // the seeds that did not replay the same
	Virtual    time.Duration `json:"virtual,omitempty"`
	Real       time.Duration `json:"real,omitempty"`
	Failures   []Failure     `json:"failures,omitempty"`
	Measures   []Measure     `json:"measures,omitempty"`
	SkipReason string        `json:"skipReason,omitempty"`

	// Digests has, in a process of a soak, what stands for all that the run of a seed did.
	Digests map[uint64]string `json:"digests,omitempty"`

	// Uncovered is, in one process of a soak, what the test must cover and did not: it is vacuous if no process covered it.
	Uncovered []string `json:"uncovered,omitempty"`

	// States has a hash of each distinct state that a search with LABS_EXPLORE has seen, so that the states of several processes can be
	// counted together. A search that has seen too many for a part leaves them out.
	States []uint64 `json:"states,omitempty"`

	// Races is runtime.RaceErrors at the end of the test: the reports of the
	// race detector up to this number were made by this test or an earlier one.
	Races int `json:"races,omitempty"`
}

// Measure is a number that a test measured and that a grader may show.
type Measure struct {
	Name  string  `json:"name"` // detection time
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"`
	Bound string  `json:"bound,omitempty"` // what the specification allows, as text: ≤ 300ms
}

// Number is the value as a person reads it: whole where it counts something, else with three digits that matter.
func (m Measure) Number() string {
	decimals := 0
	if size := math.Abs(m.Value); m.Value != math.Trunc(m.Value) && size < 100 {
		decimals = 2
		if size >= 10 {
			decimals = 1
		} else if size < 1 {
			decimals = 3
		}
	}
	text := strconv.FormatFloat(m.Value, 'f', decimals, 64)
	if decimals > 0 {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// Enough is the name of a failed test's measure: how many faults are enough for the failure, of how many.
const Enough = "faults that are enough"

// The names of the measures of a search of schedules. Only a search has Schedules, and only one that tries all short schedules has one of the two about all.
const (
	Schedules          = "schedules"           // how many it ran
	Steps              = "steps"               // of all schedules
	LongestSchedule    = "longest schedule"    // in steps
	DistinctStates     = "distinct states"     // as far as the scenario tells them apart
	Exhausted          = "all schedules up to" // so many steps
	ExhaustedByState   = "all states up to"    // so many steps; those that look alike are one
	SchedulesPerSecond = "schedules a second"
)

func (m Measure) atLeast() bool {
	return strings.HasPrefix(m.Bound, "≥") || strings.HasPrefix(m.Bound, ">")
}

// Worst returns the worse of two measures of one name: the lower if the bound begins with ≥ or >, else the higher. Where their bounds differ, as a detector's with its period, it is the one that is
// nearer to its bound, or further beyond it: a value is never shown beside the bound of another.
func Worst(a, b Measure) Measure {
	limitA, okA := a.limit()
	limitB, okB := b.limit()
	ofA, ofB := a.Value, b.Value
	if okA && okB && limitA > 0 && limitB > 0 {
		ofA, ofB = ofA/limitA, ofB/limitB
	}
	if ofA == ofB || ofA > ofB != a.atLeast() {
		return a
	}
	return b
}

// limit is the number in the bound; false if there is none.
func (m Measure) limit() (float64, bool) {
	fields := strings.Fields(m.Bound)
	if len(fields) < 2 {
		return 0, false
	}
	limit, err := strconv.ParseFloat(fields[1], 64)
	return limit, err == nil
}

const keySize = 32

// sign returns the event as a signed line, without the newline.
//
// The signature covers the exact bytes of the JSON object without its mac, so
// that nobody needs a canonical form of JSON to check it.
func sign(key []byte, e Event) ([]byte, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("report: event %d cannot be encoded: %w", e.Seq, err)
	}
	line := append(body[:len(body)-1:len(body)-1], macField...)
	line = hex.AppendEncode(line, mac(key, body))
	return append(line, `"}`...), nil
}

const macField = `,"mac":"`

var errUnsigned = errors.New("not signed by the test harness")

// verify is the inverse of sign.
func verify(key, line []byte) (Event, error) {
	at := bytes.LastIndex(line, []byte(macField))
	if at < 0 || !bytes.HasSuffix(line, []byte(`"}`)) || len(line) < at+len(macField)+2 {
		return Event{}, errUnsigned
	}
	body := append(bytes.Clone(line[:at]), '}')
	sum, err := hex.DecodeString(string(line[at+len(macField) : len(line)-2]))
	if err != nil || !hmac.Equal(sum, mac(key, body)) {
		return Event{}, errUnsigned
	}
	var e Event
	if err := json.Unmarshal(body, &e); err != nil {
		return Event{}, fmt.Errorf("signed, but not an event: %w", err)
	}
	return e, nil
}

func mac(key, body []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(body)
	return h.Sum(nil)
}
