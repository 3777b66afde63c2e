// Package internal_test holds the floors of the house: no package imports one of a floor above its own.
package internal_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "distlabs/"

// floors lists the packages of ours from the ground up. A package may import packages of lower floors, and not one
// of its own floor; a name that ends in /... stands for a folder with all below it, which may import each other.
var floors = [][]string{
	{"labrpc", "internal/grading/filelock", "internal/grading/plain", "internal/grading/tidy", "internal/harness/browser", "internal/harness/claim", "internal/harness/globals", "internal/harness/marked", "internal/harness/passed", "internal/harness/seeded/...", "internal/rotation"},
	{"internal/harness/report", "internal/harness/check/history", "internal/harness/explore", "internal/harness/prevote"},
	{"internal/harness/trace", "internal/harness/supervise"},
	{"internal/harness/check/..."},
	{"internal/harness/view"},
	{"internal/harness/labtest"},
	{"internal/grading/course", "internal/grading/sandbox"},
	{"internal/grading/result", "internal/grading/gate"},
	{"internal/grading/submission", "internal/grading/export", "internal/grading/gradetest/..."},
	{"internal/grading/workspace", "internal/grading/autograder", "internal/grading/handout"},
	{"internal/grading/grade"},
	{"internal/grading/class", "internal/grading/prove/..."},
	{"internal/grading/selfcheck", "internal/grading/newlab"},
	{"internal/learning/..."},
	{"cmd/grade"},
}

// closed says of the packages of ours below a folder that they import no others of ours than these.
var closed = []struct{ folder, may, says string }{
	{"labrpc", "", "labrpc is what student code is built on, and is built on nothing of ours"},
	{"internal/harness/", "labrpc internal/harness/", "the harness runs beside a student's code, and knows neither grading nor learning"},
	{"internal/grading/sandbox", "internal/grading/plain", "the sandbox knows nothing of labs"},
	{"internal/grading/result", "internal/grading/course internal/harness/report", "a result is read by everybody, and knows only the course and the form of a failure"},
	{"internal/grading/export", "internal/grading/result internal/grading/course internal/harness/report", "an export is a function of results"},
	{"internal/grading/", "internal/grading/ internal/harness/report internal/harness/globals",
		"grading imports no lab, no network and no harness, except the form of a failure and the rule about shared memory"},
	{"internal/learning/", "internal/ labrpc", "learning imports no lab"},
	{"cmd/", "internal/ labrpc", "the command imports no lab"},
}

func TestFloors(t *testing.T) {
	packages := list(t)
	require.NotEmpty(t, packages)
	seen := map[string]bool{}
	for _, p := range packages {
		seen[p.ImportPath] = true
		for _, problem := range problems(p) {
			t.Error(problem)
		}
	}
	for _, name := range []string{"labrpc", "internal/harness/labtest", "internal/grading/grade", "internal/grading/export", "cmd/grade"} {
		require.True(t, seen[module+name], "go list has not listed %s: nothing was shown about it", name)
	}
}

// A check that finds nothing must be one that could.
func TestFloorsFindAnArrowThatRunsUp(t *testing.T) {
	for _, tc := range []struct{ from, to, want string }{
		{"labrpc", "internal/harness/trace", "labrpc imports internal/harness/trace: labrpc is what student code"},
		{"internal/harness/report", "internal/grading/result", "the harness runs beside"},
		{"internal/grading/grade", "labs/01-links", "grading imports no lab"},
		{"internal/grading/sandbox", "internal/grading/course", "the sandbox knows nothing of labs"},
		{"internal/grading/export", "internal/grading/grade", "an export is a function of results"},
		{"internal/grading/grade", "internal/grading/prove", "internal/grading/grade imports internal/grading/prove, which is on a floor above or on its own"},
		{"internal/grading/submission", "internal/grading/workspace", "internal/grading/submission imports internal/grading/workspace, which is on a floor above or on its own"},
		{"internal/newcomer", "labrpc", "internal/newcomer has no floor: add it to floors in internal/floors_test.go"},
	} {
		got := problems(pkg{ImportPath: module + tc.from, Imports: []string{module + tc.to}})
		require.Contains(t, strings.Join(got, "\n"), tc.want)
	}
	require.Empty(t, problems(pkg{ImportPath: module + "internal/grading/prove", Imports: []string{module + "internal/grading/prove/generate", "fmt"}}))
}

// problems are the imports of a package that the house does not permit, a sentence each.
func problems(p pkg) (list []string) {
	from := strings.TrimPrefix(p.ImportPath, module)
	own := floorOf(from)
	if own < 0 {
		return []string{from + " has no floor: add it to floors in internal/floors_test.go"}
	}
	for _, path := range p.Imports {
		to, ours := strings.CutPrefix(path, module)
		if !ours {
			continue
		}
		if why := shut(from, to); why != "" {
			list = append(list, fmt.Sprintf("%s imports %s: %s", from, to, why))
		} else if at := floorOf(to); at >= own && !sameFolder(from, to) {
			list = append(list, fmt.Sprintf("%s imports %s, which is on a floor above or on its own", from, to))
		}
	}
	return list
}

// shut says why a package may not import another whatever its floor; "" if it may.
func shut(from, to string) string {
	for _, c := range closed {
		if strings.HasPrefix(from, c.folder) && !slices.ContainsFunc(strings.Fields(c.may), func(may string) bool { return strings.HasPrefix(to, may) }) {
			return c.says
		}
	}
	return ""
}

// floorOf is the number of a package's floor; -1 if it has none. An exact name goes before a folder's.
func floorOf(name string) int {
	for i, floor := range floors {
		if slices.Contains(floor, name) {
			return i
		}
	}
	return slices.IndexFunc(floors, func(floor []string) bool { return folderOf(floor, name) != "" })
}

func folderOf(floor []string, name string) string {
	for _, f := range floor {
		if folder, all := strings.CutSuffix(f, "/..."); all && strings.HasPrefix(name+"/", folder+"/") {
			return folder
		}
	}
	return ""
}

// sameFolder reports whether two packages are below one folder that stands on a floor as a whole.
func sameFolder(a, b string) bool {
	return slices.ContainsFunc(floors, func(floor []string) bool {
		folder := folderOf(floor, a)
		return folder != "" && folder == folderOf(floor, b)
	})
}

// pkg is what go list says of a package.
type pkg struct {
	ImportPath string
	GoFiles    []string
	Imports    []string
}

// list lists the packages of the house, without tests, which may look anywhere.
func list(t *testing.T) (packages []pkg) {
	cmd := exec.Command("go", "list", "-json=ImportPath,GoFiles,Imports", "./labrpc/...", "./internal/...", "./cmd/...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	require.NoError(t, err)
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		require.NoError(t, err)
		if p.GoFiles != nil { // this folder itself has tests alone
			packages = append(packages, p)
		}
	}
}
