package export

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/result"
	"distlabs/internal/harness/report"
)

// object is a JSON object, and whatever is asked of it.
type object map[string]any

// parse reads one JSON document that has nothing behind it.
func parse(t *testing.T, text []byte) object {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var o object
	require.NoError(t, d.Decode(&o))
	_, err := d.Token()
	require.ErrorIs(t, err, io.EOF)
	return o
}

// only fails if the object has other keys than these, or lacks one of the first.
func (o object) only(t *testing.T, required, optional []string) {
	t.Helper()
	for key := range o {
		require.Contains(t, append(slices.Clone(required), optional...), key)
	}
	for _, key := range required {
		require.Contains(t, o, key)
	}
}

func (o object) text(t *testing.T, key string) string {
	t.Helper()
	s, ok := o[key].(string)
	require.True(t, ok, "%s is %v", key, o[key])
	noControl(t, s, "\n")
	return s
}

func (o object) number(t *testing.T, key string) float64 {
	t.Helper()
	n, ok := o[key].(json.Number)
	require.True(t, ok, "%s is %v", key, o[key])
	f, err := n.Float64()
	require.NoError(t, err)
	return f
}

// integer also demands that the number is written as one: 4, not 4.0.
func (o object) integer(t *testing.T, key string) int {
	t.Helper()
	require.Regexp(t, `^-?[0-9]+$`, o[key].(json.Number).String())
	return int(o.number(t, key))
}

func (o object) objects(t *testing.T, key string) []object {
	t.Helper()
	list, ok := o[key].([]any)
	require.True(t, ok, "%s is %v", key, o[key])
	var out []object
	for _, item := range list {
		out = append(out, object(item.(map[string]any)))
	}
	return out
}

// checkGradescope holds a file against the "Output format" of Gradescope's
// autograder specification.
func checkGradescope(t *testing.T, text []byte) object {
	o := parse(t, text)
	o.only(t, []string{"score", "tests"}, []string{"execution_time", "output", "output_format", "test_output_format", "test_name_format",
		"visibility", "stdout_visibility", "extra_data", "leaderboard"})
	formats := []string{"text", "html", "simple_format", "md", "ansi"}
	for _, key := range []string{"output_format", "test_output_format", "test_name_format"} {
		require.Contains(t, formats, o.text(t, key))
	}
	require.Contains(t, GradescopeVisibilities, o.text(t, "visibility"))
	require.Contains(t, GradescopeVisibilities, o.text(t, "stdout_visibility"))
	o.text(t, "output")
	total := 0.0
	ungraded := o["extra_data"].(map[string]any)["ungraded"] != nil
	for _, test := range o.objects(t, "tests") {
		if ungraded { // no number that could be taken for a grade
			test.only(t, []string{"name", "output"}, []string{"status", "name_format", "output_format", "tags", "visibility"})
			require.Equal(t, "failed", test.text(t, "status"))
			require.Equal(t, "visible", test.text(t, "visibility"))
			continue
		}
		test.only(t, []string{"score", "max_score", "name"}, []string{"status", "name_format", "number", "output", "output_format", "tags", "visibility", "extra_data"})
		require.Contains(t, []string{"passed", "failed"}, test.text(t, "status"))
		require.Contains(t, formats, test.text(t, "name_format"))
		require.Contains(t, formats, test.text(t, "output_format"))
		require.Contains(t, GradescopeVisibilities, test.text(t, "visibility"))
		test.text(t, "name")
		test.text(t, "number")
		if test["output"] != nil {
			test.text(t, "output")
		}
		for _, tag := range test["tags"].([]any) {
			require.IsType(t, "", tag)
		}
		require.LessOrEqual(t, test.number(t, "score"), test.number(t, "max_score"))
		total += test.number(t, "score")
	}
	require.Equal(t, o.number(t, "score"), total, "the total is the sum of the tests")
	return o
}

func TestGradescope(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, Gradescope(&out, sample(), GradescopeOptions{}))
	o := checkGradescope(t, out.Bytes())
	require.Equal(t, 13, o.integer(t, "execution_time"))
	tests := o.objects(t, "tests")
	require.Equal(t, "4C.1", tests[3].text(t, "number"))
	require.Equal(t, "failed", tests[2].text(t, "status"), "a skipped test")
	require.Contains(t, tests[0].text(t, "output"), "not run: does not compile")
	golden(t, "gradescope.json", out.Bytes())

	out.Reset()
	require.NoError(t, Gradescope(&out, sample(), GradescopeOptions{Visibility: "after_due_date"}))
	for _, test := range checkGradescope(t, out.Bytes()).objects(t, "tests") {
		require.Equal(t, "after_due_date", test.text(t, "visibility"))
	}

	out.Reset()
	require.NoError(t, Gradescope(&out, corrupt("alice"), GradescopeOptions{Visibility: "hidden"}))
	o = checkGradescope(t, out.Bytes())
	require.Len(t, o.objects(t, "tests"), 1)
	require.Equal(t, "Not graded", o.objects(t, "tests")[0].text(t, "name"))
	require.Equal(t, "the archive is corrupt: zip: not a valid zip file\nNo test was run. Hand in again.\n", o.objects(t, "tests")[0].text(t, "output"))
	require.Contains(t, o.text(t, "output"), "not graded: the archive is corrupt")
	require.Regexp(t, `^This submission was not graded\. .* the 0 is not a grade\.\n`, o.text(t, "output"))

	require.ErrorContains(t, Gradescope(&out, sample(), GradescopeOptions{Visibility: "never"}), `visibility "never" is none of`)
	eachHostile(t, func(t *testing.T, bad string, r *result.Result) {
		var out bytes.Buffer
		require.NoError(t, Gradescope(&out, r, GradescopeOptions{}))
		o := checkGradescope(t, out.Bytes())
		require.Equal(t, r.Ungraded != "", o["extra_data"].(map[string]any)["ungraded"] != nil)
		require.Equal(t, "text", o.text(t, "output_format"))
		for _, test := range o.objects(t, "tests") {
			require.Equal(t, "text", test.text(t, "output_format"), "nothing is markup")
			require.Equal(t, "text", test.text(t, "name_format"))
		}
	})
}

var someTag = Classroom50Submission{Classroom: "ds-fall", Assignment: "raft", Type: "individual", Owner: "alice", Tag: "submit/2026-06-01T14-32-05Z-a1b2c3d",
	Commit: "https://git.example/c/1", Release: "https://git.example/r/1", Review: "https://git.example/d/1"}

// checkClassroom50 holds a file against schemas/result-v1.schema.json of
// foundation50/classroom50, and against what its collector checks beyond that.
func checkClassroom50(t *testing.T, text []byte) object {
	o := parse(t, text)
	o.only(t, []string{"schema", "classroom", "assignment", "assignment_type", "owner", "submission", "commit", "release", "review", "datetime",
		"score", "max-score", "tests"}, []string{"graded_at", "submitted_by"})
	require.Equal(t, "classroom50/result/v1", o.text(t, "schema"))
	for _, key := range []string{"classroom", "assignment", "owner", "commit", "release", "review"} {
		require.NotEmpty(t, o.text(t, key))
	}
	require.Contains(t, []string{"individual", "group", "team"}, o.text(t, "assignment_type"))
	require.Regexp(t, `^submit/`, o.text(t, "submission"))
	instant := regexp.MustCompile(`^\d{4}-\d{2}-\d{2}T([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ$`)
	require.Regexp(t, instant, o.text(t, "datetime"))
	if o["graded_at"] != nil {
		require.Regexp(t, instant, o.text(t, "graded_at"))
	}
	require.LessOrEqual(t, o.integer(t, "score"), o.integer(t, "max-score"))
	require.GreaterOrEqual(t, o.integer(t, "score"), 0)
	score, max := 0, 0
	for _, test := range o.objects(t, "tests") {
		require.NotEmpty(t, test.text(t, "test-name"))
		require.IsType(t, true, test["passed"])
		require.LessOrEqual(t, test.integer(t, "score"), test.integer(t, "max-score"))
		require.GreaterOrEqual(t, test.integer(t, "score"), 0)
		score += test.integer(t, "score")
		max += test.integer(t, "max-score")
		if test["output"] != nil {
			test.text(t, "output")
		}
	}
	require.Equal(t, []int{score, max}, []int{o.integer(t, "score"), o.integer(t, "max-score")})
	require.Less(t, len(text), 10<<20)
	return o
}

func TestClassroom50(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, Classroom50(&out, sample(), someTag))
	o := checkClassroom50(t, out.Bytes())
	require.Equal(t, "2026-06-01T14:32:05Z", o.text(t, "datetime"), "the time of the tag")
	golden(t, "classroom50.json", out.Bytes())

	out.Reset()
	group := someTag
	group.Type, group.Review, group.Graded = "group", "", time.Date(2026, 6, 1, 16, 33, 11, 5, time.FixedZone("", 7200))
	group.Submitted = time.Date(2026, 6, 1, 23, 0, 0, 0, time.FixedZone("", -7200))
	require.NoError(t, Classroom50(&out, sample(), group))
	o = checkClassroom50(t, out.Bytes())
	require.Equal(t, "2026-06-01T14:33:11Z", o.text(t, "graded_at"))
	require.Equal(t, "2026-06-02T01:00:00Z", o.text(t, "datetime"))
	require.Equal(t, group.Commit, o.text(t, "review"))
	eachHostile(t, func(t *testing.T, bad string, r *result.Result) {
		var out bytes.Buffer
		err := Classroom50(&out, r, someTag)
		if r.Ungraded != "" {
			require.ErrorContains(t, err, "there is no result to write: not graded: ")
			require.NotContains(t, err.Error(), "\n")
			require.Zero(t, out.Len())
			return
		}
		require.NoError(t, err)
		checkClassroom50(t, out.Bytes())
	})
}

func TestClassroom50Refuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		edit func(s *Classroom50Submission)
		want string
	}{
		{"a tag of another sort", func(s *Classroom50Submission) { s.Tag = "v1.0" }, `tag "v1.0" does not begin with submit/`},
		{"a tag without a time", func(s *Classroom50Submission) { s.Tag = "submit/x" }, `tag "submit/x" holds no time`},
		{"an unknown type", func(s *Classroom50Submission) { s.Type = "pair" }, `assignment type "pair" is none of`},
		{"nobody's", func(s *Classroom50Submission) { s.Owner = "" }, "owner is empty"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := someTag
			tc.edit(&s)
			var out bytes.Buffer
			require.ErrorContains(t, Classroom50(&out, sample(), s), tc.want)
			require.Zero(t, out.Len())
		})
	}
	_, err := Classroom50Env(func(name string) string { return map[string]string{"CLASSROOM": "ds", "USERNAME": "alice"}[name] })
	require.EqualError(t, err, "export: classroom50: the environment has no ASSIGNMENT, ASSIGNMENT_TYPE, SUBMISSION_TAG, COMMIT_URL, RELEASE_URL, which Classroom 50's runner sets")
	s, err := Classroom50Env(func(name string) string { return name })
	require.NoError(t, err)
	require.Equal(t, "OWNER SUBMISSION_TAG REVIEW_URL", s.Owner+" "+s.Tag+" "+s.Review)
}

// checkPrairieLearn holds a file against "Grading results" of PrairieLearn's
// documentation and against what its pl-external-grader-results reads.
func checkPrairieLearn(t *testing.T, text []byte) object {
	o := parse(t, text)
	o.only(t, []string{"gradable"}, []string{"score", "message", "output", "format_errors", "tests", "images"})
	require.LessOrEqual(t, len(text), 1_000_000)
	if o["gradable"] == false {
		require.NotContains(t, o, "score")
		require.NotEmpty(t, o["format_errors"])
		for _, line := range o["format_errors"].([]any) {
			require.NotContains(t, line.(string), "\n")
		}
		return o
	}
	require.Equal(t, true, o["gradable"])
	require.NotContains(t, o, "format_errors")
	score := o.number(t, "score")
	require.True(t, score >= 0 && score <= 1 && !math.IsNaN(score), "score %v", score)
	o.text(t, "output")
	for _, test := range o.objects(t, "tests") {
		test.only(t, []string{"name", "points", "max_points"}, []string{"description", "message", "output", "images"})
		test.text(t, "name")
		require.LessOrEqual(t, test.number(t, "points"), test.number(t, "max_points"))
		if test["message"] != nil {
			test.text(t, "message")
		}
	}
	return o
}

func TestPrairieLearn(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, PrairieLearn(&out, sample()))
	o := checkPrairieLearn(t, out.Bytes())
	require.Equal(t, true, o["gradable"], "one lab of two did run")
	require.InDelta(t, 13.0/80, o.number(t, "score"), 1e-9)
	golden(t, "prairielearn.json", out.Bytes())

	out.Reset()
	r := sample()
	r.Labs = r.Labs[:1] // the one that does not compile
	require.NoError(t, PrairieLearn(&out, sum(r)))
	o = checkPrairieLearn(t, out.Bytes())
	require.Equal(t, false, o["gradable"])
	require.Equal(t, []any{"labs/01-links/stubborn.go:9:2: undefined: x", "labs/01-links/stubborn.go:12:1: missing return"}, o["format_errors"])
	golden(t, "prairielearn-compile.json", out.Bytes())

	eachHostile(t, func(t *testing.T, bad string, r *result.Result) {
		var out bytes.Buffer
		require.NoError(t, PrairieLearn(&out, r))
		checkPrairieLearn(t, out.Bytes())
	})
}

// long is a result with more to say than any of the forms has room for.
func long() *result.Result {
	r := sample()
	test := r.Labs[1].Parts[1].Tests[0]
	test.Failures = slices.Clone(test.Failures)
	test.Failures[0].Trace = strings.Repeat("1.204s  n1  <<<<&&&& role leader \u00e9\n", 800)
	r.Labs[1].Parts[1].Tests = nil
	for range 400 {
		r.Labs[1].Parts[1].Tests = append(r.Labs[1].Parts[1].Tests, test)
	}
	r.Labs[1].Notes = slices.Repeat([]string{strings.Repeat("<", 1000)}, 5000)
	return sum(r)
}

func TestLimits(t *testing.T) {
	var out bytes.Buffer
	r := long()
	require.NoError(t, PrairieLearn(&out, r))
	checkPrairieLearn(t, out.Bytes())
	out.Reset()
	require.NoError(t, Classroom50(&out, r, someTag))
	checkClassroom50(t, out.Bytes())
	out.Reset()
	require.NoError(t, Summary(&out, r))
	require.LessOrEqual(t, out.Len(), 1<<20)
	require.Greater(t, out.Len(), 1<<19, "what has room is told")
	require.Contains(t, out.String(), "more failures do not fit in here.")
	require.LessOrEqual(t, len(account(r, &r.Labs[1], &r.Labs[1].Parts[1].Tests[0])), maxAccount)
}

// A test that failed without a word, and a result without labs, are told too.
func TestNothingToSay(t *testing.T) {
	r := sum(&result.Result{Labs: []result.Lab{{Parts: []result.Part{{Tests: []result.Test{{Name: "TestX", Max: 1, Status: report.Fail}}}}}}})
	for _, r := range []*result.Result{r, {}} {
		for name, form := range oneStudent {
			t.Run(name, func(t *testing.T) {
				var out bytes.Buffer
				require.NoError(t, form(&out, r))
			})
		}
	}
}

// oneStudent is every form of one result.
var oneStudent = map[string]func(w io.Writer, r *result.Result) error{
	"gradescope":   func(w io.Writer, r *result.Result) error { return Gradescope(w, r, GradescopeOptions{}) },
	"classroom50":  func(w io.Writer, r *result.Result) error { return Classroom50(w, r, someTag) },
	"prairielearn": PrairieLearn,
	"vpl":          func(w io.Writer, r *result.Result) error { return VPL(w, r, 10) },
	"annotations":  Annotations,
	"summary":      Summary,
	"junit":        func(w io.Writer, r *result.Result) error { return JUnit(w, OfResults(r)) },
	"csv":          func(w io.Writer, r *result.Result) error { return CSV(w, OfResults(r)) },
	"page":         func(w io.Writer, r *result.Result) error { return StudentPage(w, StudentOf(r), "") },
	"matrix":       func(w io.Writer, r *result.Result) error { return ClassPage(w, "Class", OfResults(r), nil) },
}
