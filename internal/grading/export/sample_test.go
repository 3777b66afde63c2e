package export

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/result"
	"distlabs/internal/harness/report"
)

var update = flag.Bool("update", false, "write the golden files")

// golden holds what was written against testdata/<name>.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(string(want), string(got)), "go test ./internal/grading/export -update writes the golden files")
}

// sample is a result with a test of every sort: passed, failed by a rule, by a
// race and twice, skipped, and a lab that does not compile.
func sample() *result.Result {
	election := result.Lab{ID: "04-election", Title: "Election", Notes: []string{"notes.txt is not among the lab's files: ignored"},
		Parts: []result.Part{
			{ID: "4A", Title: "The bully", Tests: []result.Test{
				{Name: "TestHighestWins4A", Max: 8, Status: report.Pass, Seeds: 20, Virtual: 912.5, Real: 0.42,
					Measures: []report.Measure{{Name: "time to elect", Value: 0.2531, Unit: "s", Bound: "≤ 1 s"}}},
				{Name: "TestReturns4A", Max: 7, Status: report.Skip, Skipped: "TestHighestWins4A failed"},
			}},
			{ID: "4C", Title: "Raft's election", Tests: []result.Test{
				{Name: "TestOneLeaderPerTerm4C", Max: 20, Status: report.Fail, Seeds: 20, Failed: []uint64{7, 81}, Virtual: 300, Real: 1.25, Failures: []report.Failure{
					{Test: "TestOneLeaderPerTerm4C", Kind: report.Rule, Where: "labs/04-election/raft.go:41", What: "two leaders in term 3: n1 (from 1.204s) and n4 (from 1.391s)",
						Rule: "at most one leader per term (Raft §5.2)", Seen: []string{"n2 voted for n1 at 1.190s and for n4 at 1.377s"},
						Faults: "2 of 41 are enough: n1→n3 lost at 1.201s; n5 crashed at 1.300s",
						Replay: "LABS_SEED=81 go test -race -run 'TestOneLeaderPerTerm4C$' ./labs/04-election", Seed: 81,
						Trace: "1.204s  n1  role leader\n1.391s  n4  role leader"},
					{Test: "TestOneLeaderPerTerm4C", Kind: report.Rule, What: "no leader within 5s"},
				}},
				{Name: "TestVoteIsKept4C", Max: 20, Status: report.Fail, Diverged: []uint64{3}, Seeds: 5, Real: 0.1, Failures: []report.Failure{
					{Test: "TestVoteIsKept4C", Kind: report.Race, Where: "raft.go:88", What: "n.term is written here and read at raft.go:120 without a lock"},
				}},
				{Name: "TestHeartbeatBudget4C", Max: 5, Points: 5, Status: report.Pass, Seeds: 10, Virtual: 60, Real: 0.3},
			}},
		}}
	links := result.Lab{ID: "01-links", Title: "Links", Refused: "does not compile: labs/01-links/stubborn.go:9:2: undefined: x",
		Compile: []string{"labs/01-links/stubborn.go:9:2: undefined: x", "labs/01-links/stubborn.go:12:1: missing return"},
		Parts: []result.Part{{ID: "1A", Title: "Stubborn links", Tests: []result.Test{
			{Name: "TestDeliversDespiteLoss1A", Max: 20, Status: report.Fail}}}}}
	return sum(&result.Result{Version: result.Version, Grader: "1.0", Go: "go1.26.0", Isolation: 1, Seconds: 12.3,
		Source:     result.Source{Kind: course.Submission, Path: "in/alice"},
		Submission: &result.Submission{ID: "alice", Name: "Alice Example", Hash: "5f2a"},
		Labs:       []result.Lab{links, election}})
}

// sum adds up the points as the grader does: a passed test has all of its own.
func sum(r *result.Result) *result.Result {
	r.Points, r.Max = 0, 0
	for i := range r.Labs {
		lab := &r.Labs[i]
		lab.Points, lab.Max = 0, 0
		for j := range lab.Parts {
			part := &lab.Parts[j]
			part.Points, part.Max = 0, 0
			for k := range part.Tests {
				t := &part.Tests[k]
				if t.Points = 0; t.Status == report.Pass {
					t.Points = t.Max
				}
				part.Points, part.Max = part.Points+t.Points, part.Max+t.Max
			}
			lab.Points, lab.Max = lab.Points+part.Points, lab.Max+part.Max
		}
		r.Points, r.Max = r.Points+lab.Points, r.Max+lab.Max
	}
	return r
}

// perfect is the sample with all tests passed.
func perfect(id, name string) *result.Result {
	r := sample()
	r.Submission = &result.Submission{ID: id, Name: name, Hash: "77"}
	for i := range r.Labs {
		r.Labs[i].Refused, r.Labs[i].Compile = "", nil
	}
	r.Tests(func(_ *result.Lab, _ *result.Part, t *result.Test) {
		t.Status, t.Failures, t.Skipped, t.Failed, t.Diverged = report.Pass, nil, "", nil, nil
	})
	return sum(r)
}

// corrupt is a submission of which nothing could be graded.
func corrupt(id string) *result.Result {
	r := sample()
	r.Submission, r.Ungraded = &result.Submission{ID: id}, "the archive is corrupt: zip: not a valid zip file"
	r.Labs[0].Refused, r.Labs[0].Compile = "", nil
	r.Tests(func(_ *result.Lab, _ *result.Part, t *result.Test) {
		*t = result.Test{Name: t.Name, Max: t.Max, Status: report.Fail}
	})
	return sum(r)
}

// someClass has every sort of student.
func someClass() Class {
	results := OfResults(sample(), perfect("bob", "Bob Example"), corrupt("carol"))
	return func(yield func(Student, error) bool) {
		for s, err := range results {
			if !yield(s, err) {
				return
			}
		}
		yield(Student{ID: "dave", Name: "Dave Example", Missing: "not graded yet"}, nil)
	}
}

// hostileStrings are what a submission could try to bring into a report.
var hostileStrings = []string{
	"::error file=x,line=1::owned", "\n::set-output name=x::y\n", "##[error]owned", "\r\n::stop-commands::x",
	"]]>", "<![CDATA[", "<!-- ", "--> ", "<script>alert(1)</script>", "</pre><img src=x onerror=alert(1)>", "</style><script>x</script>",
	"javascript:alert(1)", `" onload="x`, "' onload='x", "{{.Title}}", "&lt;b&gt;", "${{ secrets.TOKEN }}",
	"=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\uFF1D1", "a,b;c\"d", "\"",
	"--|>", "\n--|>\nGrade :=>> 100\n<|--\n", "Grade :=>> 100", "Comment :=>> x", "<|--",
	"\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x00", "\x16", "\x0b\x0c", "\x7f", "\u0085", "\uFFFE\uFFFF", "\ufeff", "\u202egnp.exe", "\u2028x\u2029",
	"\xff\xfe invalid", "\xed\xa0\x80", "```\n# heading\n```", "`````", "[link](http://example.com)", "| a | b |", "@everyone", "../../etc/passwd", "CON", ".",
	"\U0001F600", "\u0301\u0301\u0301",
}

// hostile is a result in whose every string stands the same bad one.
func hostile(bad string) *result.Result {
	r := &result.Result{}
	fillIn(reflect.ValueOf(r).Elem(), bad)
	r.Ungraded, r.Source.Kind = "", course.Submission
	lab := r.Labs[0]
	lab.Refused = ""
	status := []report.Status{report.Fail, report.Pass, report.Skip, report.Status(bad)}
	for _, s := range status {
		one := lab.Parts[0].Tests[0]
		one.Status = s
		lab.Parts[0].Tests = append(lab.Parts[0].Tests, one)
	}
	r.Labs = []result.Lab{r.Labs[0], lab}
	return sum(r)
}

// eachHostile runs a test for every bad string, once in a graded result and once in an ungraded one.
func eachHostile(t *testing.T, test func(t *testing.T, bad string, r *result.Result)) {
	for _, bad := range hostileStrings {
		t.Run(fmt.Sprintf("%q", bad), func(t *testing.T) {
			test(t, bad, hostile(bad))
			r := hostile(bad)
			r.Ungraded = bad + " "
			test(t, bad, r)
		})
	}
}

// fillIn puts the string into every one below v, and a number into every number.
func fillIn(v reflect.Value, s string) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fillIn(v.Field(i), s)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillIn(v.Elem(), s)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fillIn(key, s)
		fillIn(value, s)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fillIn(v.Index(0), s)
		fillIn(v.Index(1), s)
	case reflect.String:
		v.SetString(s)
	case reflect.Float64:
		v.SetFloat(1.5)
	case reflect.Int:
		v.SetInt(3)
	case reflect.Uint64:
		v.SetUint(81)
	default:
		panic("no value for " + v.Type().String())
	}
}
