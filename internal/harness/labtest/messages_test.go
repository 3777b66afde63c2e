package labtest_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite testdata/*/want.txt")

// What differs from run to run, or between a build with and without -race.
var varying = []*regexp.Regexp{
	regexp.MustCompile(`\(\d+\.\d+s\)`),
	regexp.MustCompile(`\t(\d+\.\d+s)`),
	regexp.MustCompile(`0x[0-9a-f]+|\+0x[0-9a-f]+`),
	regexp.MustCompile(`goroutine \d+`),
}

// Each folder of testdata is a small lab whose student made one mistake. What `go test -race`
// prints there is the product: it is kept word for word in want.txt.
func TestMessages(t *testing.T) {
	labs, err := filepath.Glob("testdata/*/student.go")
	require.NoError(t, err)
	require.NotEmpty(t, labs)
	for _, lab := range labs {
		dir := filepath.Dir(lab)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			got := message(t, dir)
			file := filepath.Join(dir, "want.txt")
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("the message changed (run with -update to accept):\n%s", diff)
			}
		})
	}
}

// message runs a fixture's tests and returns what a student reads, without what varies.
func message(t *testing.T, dir string) string {
	cmd := exec.Command("go", "test", "-race", "-count=1", "./"+dir)
	// As a student's shell has it: without what the supervisor of this very test has set.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "LABS_") || strings.HasPrefix(v, "GORACE=")
	})
	after := "10m" // on a busy machine, any explanation may take long enough to be announced
	if filepath.Base(dir) == "announced" {
		after = "0s"
	}
	cmd.Env = append(cmd.Env, "LABS_TRACE_DIR="+t.TempDir(), "GOMAXPROCS=1", "LABS_ANNOUNCE="+after)
	out, err := cmd.CombinedOutput()
	require.Error(t, err, "the fixture must fail:\n%s", out)
	require.NotContains(t, string(out), "[build failed]")
	text := string(bytes.ReplaceAll(out, []byte(t.TempDir()), []byte("DIR")))
	text = regexp.MustCompile(`(diagram|history): .*`).ReplaceAllString(text, "$1: …")
	text = regexp.MustCompile(`both before \d+\.\d+s`).ReplaceAllString(text, "both before …") // when the detector sees a race is its own affair
	// The raw report that follows a translated one depends on addresses and on Go's own files.
	// What does not replay is another run every time.
	for _, raw := range []string{"WARNING: DATA RACE", "\npanic: ", "does not replay the same"} {
		if before, _, ok := strings.Cut(text, raw); ok {
			text = before + raw + " …\n"
		}
	}
	for _, re := range varying {
		text = re.ReplaceAllString(text, "…")
	}
	return text
}
