package labtest

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"distlabs/internal/harness/trace"
)

// At writes an instant of a run, such as the result of Net.Now, as the record of the run does: 70.954s. So a reader finds the
// instant that a message names in the record below it. For a length of time, print the duration itself.
func At(instant time.Duration) string { return trace.Seconds(instant) }

// instants finds the instants in a sentence, as At writes them, and after "at" also in full. A length of time has other words
// before it.
var instants = regexp.MustCompile(`(?i)\b((at|by|since|until|from|to) \d+\.\d{3}(\d{3})?s|at \d[\d.hmnµ]*s)\b`)

// withInstant puts the instant in front of a sentence that names none, so that every failure says when. It is the instant at which the
// test noticed: the fact is that old or older. A test in which no time passes needs none.
func withInstant(at time.Duration, what string) string {
	if at < time.Microsecond || instants.MatchString(what) {
		return what
	}
	return fmt.Sprintf("by %s, %s", At(at), what)
}

// one finds what a sentence counts, where the number is 1.
var one = regexp.MustCompile(`(^|[ (])1 (byte|call|change|command|day|election|entrie|event|goroutine|heartbeat|item|key|message|node|order|packet|record|replica|replie|request|server|snapshot|time|transaction|unit|update|write)s\b`)

// singular writes "1 message" for the "1 messages" of a format with a number.
func singular(what string) string {
	return one.ReplaceAllStringFunc(what, func(found string) string {
		found = strings.TrimSuffix(found, "s")
		if stem, ok := strings.CutSuffix(found, "ie"); ok {
			return stem + "y"
		}
		return found
	})
}
