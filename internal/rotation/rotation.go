// Package rotation chooses the part of a slow proof that the gate does today, so that over some days all of it is done.
//
// A proof with many equal items (mutants, other designs, attacks on each level) that would take the gate beyond its ten minutes does
// one of several parts a day. Each day has the same part on every machine. GATE_DAY=N does the part of day N, which
// repeats a failure of that day; GATE_DAY=all does everything, as .ci/nightly has it.
package rotation

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DayEnv names the variable that chooses another day than today.
const DayEnv = "GATE_DAY"

// Days is how many days the rotations of the grader's own checks, and of the mutants, take until all is done.
const Days = 4

// FourWeeks is how many days a rotation takes that does a twenty-eighth a day, as that of the other designs does.
const FourWeeks = 28

// Day is the number of today: of the day since 1970 in UTC, or the one that GATE_DAY names. all is whether everything is to be done.
func Day() (day int, all bool) {
	text := os.Getenv(DayEnv)
	if text == "all" {
		return 0, true
	}
	if n, err := strconv.Atoi(text); err == nil && n >= 0 {
		return n, false
	}
	return int(time.Now().Unix() / (24 * 60 * 60)), false
}

// Today reports whether the item of a number, from 0, is in today's part, of so many.
func Today(item, parts int) bool {
	day, all := Day()
	return all || item%parts == day%parts
}

// Turn skips a test whose turn is another day: it has it every few days, as the item of that number, and whenever something in one of the
// folders has changed lately. Items within such a test need a number of parts that has no factor in common with this one: of four parts in
// a test of every second day, two would never have their turn.
func Turn(t interface {
	Helper()
	Skipf(format string, args ...any)
}, item, parts int, folders ...string) {
	t.Helper()
	if !HasTurn(item, parts, folders...) {
		t.Skipf("it has its turn every %d days; %s=all runs it today", parts, DayEnv)
	}
}

// HasTurn reports whether Turn would run the test.
func HasTurn(item, parts int, folders ...string) bool {
	return Today(item, parts) || changed(folders)
}

// changed reports whether something in one of the folders has changed lately, as .ci/run says in GATE_CHANGED. It names folders,
// and in cmd/grade, where each command has a file, the files.
func changed(folders []string) bool {
	for changed := range strings.FieldsSeq(os.Getenv("GATE_CHANGED")) {
		if slices.ContainsFunc(folders, func(f string) bool { return changed == f || strings.HasPrefix(changed, f+"/") }) {
			return true
		}
	}
	return false
}

// OfGroup reports whether an item of a group, which has so many, is in today's part. A group has its turn every second day, and
// then a quarter of its items are done, at least one.
func OfGroup(group, item, size int) bool {
	day, all := Day()
	return all || group%2 == day%2 && item%min(size, Days) == day/2%min(size, Days)
}
