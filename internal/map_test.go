package internal_test

import (
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// topLevel are the files beside the folders of the map.
var topLevel = []string{".gitignore", "CONTRIBUTING.md", "LICENSE", "README.md", "go.mod", "go.sum"}

var (
	wing    = regexp.MustCompile("(?m)^\\*\\*`(internal/[a-z]+/)`\\*\\*")
	mapLine = regexp.MustCompile(`^([A-Za-z./-]+)/\s{2,}\S`)
)

// docs/repository.md names every folder at the top and in the wings of internal/, and no other; and nothing lies at the top that is not known:
// what somebody left there would be handed out.
func TestTheMapIsComplete(t *testing.T) {
	text, err := os.ReadFile("../docs/repository.md")
	require.NoError(t, err)
	var drawn []string
	below := ""
	for line := range strings.Lines(string(text)) {
		if m := wing.FindStringSubmatch(line); m != nil {
			below = m[1]
		} else if m := mapLine.FindStringSubmatch(line); m != nil {
			drawn = append(drawn, path.Join(below, m[1]))
		}
	}
	files, err := exec.Command("git", "-C", "..", "ls-files", "-z").Output()
	if err != nil {
		t.Skipf("without git nothing says which files belong to the course: %v", err)
	}
	var there []string
	for _, file := range strings.Split(strings.TrimSuffix(string(files), "\x00"), "\x00") {
		parts := strings.Split(file, "/")
		switch {
		case len(parts) == 1:
			require.Contains(t, topLevel, file, "no file of the course's top folder: remove it, or name it here")
		case parts[0] == "internal" && len(parts) > 3 && slices.Contains([]string{"harness", "grading", "learning"}, parts[1]):
			there = append(there, path.Join(parts[:3]...))
		case parts[0] == "labs" || parts[0] == "solutions":
			there = append(there, parts[0]+"/NN-name")
		case parts[0] == "cmd":
			there = append(there, path.Join(parts[:2]...))
		case parts[0] != "internal" && parts[0] != "docs":
			there = append(there, parts[0])
		}
	}
	slices.Sort(there)
	slices.Sort(drawn)
	require.Equal(t, slices.Compact(there), drawn, "docs/repository.md and the repository")
}
