package labtest

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"distlabs/internal/harness/report"
)

func source() report.Source { return place().Source() }

// callerInTest returns the outermost line of a _test.go file on the caller's stack, as "links_test.go:41": that of
// the test itself, and not of a helper that many tests share.
func callerInTest() (where string) {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		if strings.HasSuffix(f.File, "_test.go") {
			where = fmt.Sprintf("%s:%d", filepath.Base(f.File), f.Line)
		}
	}
	return where
}

// plainText takes the decoration off testify's messages: "Error:" and "Messages:" are
// what happened, the trace is where.
func plainText(s string) string {
	var out []string
	for line := range strings.Lines(s) {
		line = strings.TrimSpace(line)
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(line, "Error:"), "Messages:"))
		if line == "" || strings.HasPrefix(line, "Error Trace:") || strings.HasPrefix(line, "Test:") || strings.Contains(line, ".go:") {
			continue
		}
		out = append(out, line)
	}
	return strings.Join(out, " ")
}
