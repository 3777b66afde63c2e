//go:build linux

package grade

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = "../../.."

// attackRow is a row of the table in docs/isolation.md.
type attackRow struct {
	gate, list, level1, level2 string
	triedBy                    []string
}

// attackRows reads the table under "## Attacks".
func attackRows(t *testing.T) (rows []attackRow) {
	f, err := os.Open(filepath.Join(root, "docs", "isolation.md"))
	require.NoError(t, err)
	defer f.Close()
	inside := false
	for s := bufio.NewScanner(f); s.Scan(); {
		line := s.Text()
		if strings.HasPrefix(line, "## ") {
			inside = line == "## Attacks"
		}
		if cells := strings.Split(line, "|"); inside && strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| attack ") {
			require.Len(t, cells, 8, line)
			row := attackRow{gate: strings.TrimSpace(cells[2]), list: strings.TrimSpace(cells[3]), level1: strings.TrimSpace(cells[4]), level2: strings.TrimSpace(cells[5])}
			for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[6], -1) {
				row.triedBy = append(row.triedBy, name[1])
			}
			require.NotEmpty(t, row.triedBy, line)
			rows = append(rows, row)
		}
	}
	return rows
}

// The page says of each attack what its test expects, and has no attack that nothing tries; nor does a test try one that the page lacks.
func TestIsolationPageIsTrue(t *testing.T) {
	tried := map[string]bool{}
	for _, row := range attackRows(t) {
		for _, name := range row.triedBy {
			require.False(t, tried[name], "%s is in two rows", name)
			tried[name] = true
			switch {
			case strings.HasPrefix(name, "Test"):
				require.True(t, testExists(t, name), "there is no %s", name)
			case strings.Contains(name, "/"):
				require.DirExists(t, filepath.Join("..", "gate", "testdata", "hostile", name))
				require.Equal(t, []string{"refused", "**not tried**", "**not tried**"}, []string{row.gate, row.level1, row.level2}, name)
			default:
				at := slices.IndexFunc(attacks, func(a attack) bool { return a.name == name })
				require.GreaterOrEqual(t, at, 0, "no attack is named %s", name)
				attacks[at].requireRow(t, row)
			}
		}
	}
	for _, a := range attacks {
		require.True(t, tried[a.name], "docs/isolation.md has no row for %s", a.name)
	}
	sources, err := filepath.Glob("../gate/testdata/hostile/*/*")
	require.NoError(t, err)
	for _, dir := range sources {
		name := filepath.Base(filepath.Dir(dir)) + "/" + filepath.Base(dir)
		require.True(t, tried[name], "docs/isolation.md has no row for %s", name)
	}
}

// requireRow fails unless a row says of the attack what its test expects.
func (a attack) requireRow(t *testing.T, row attackRow) {
	refused := a.refused != "" && !strings.HasPrefix(a.refused, "does not compile")
	switch {
	case refused:
		require.True(t, strings.HasPrefix(row.gate, "refused"), "%s: %s", a.name, row.gate)
	case a.note != "":
		require.Equal(t, "ignored, with a note", row.gate, a.name)
	default:
		require.Equal(t, "passes", row.gate, a.name)
	}
	require.Equal(t, a.listed(), row.list == "refused", "%s: list: %s", a.name, row.list)
	require.Equal(t, a.stops > byItself && !a.root, strings.HasPrefix(row.level1, "**no**"), "%s: level 1: %s", a.name, row.level1)
	require.Equal(t, a.stops > bySystem, strings.HasPrefix(row.level2, "**no**"), "%s: level 2: %s", a.name, row.level2)
	require.Equal(t, a.skip, strings.Contains(row.level1, "**not tried**"), "%s: level 1: %s", a.name, row.level1)
}

// testExists looks for a test among those of the grader.
func testExists(t *testing.T, name string) bool {
	files, err := filepath.Glob("../*/*_test.go")
	require.NoError(t, err)
	return slices.ContainsFunc(files, func(path string) bool {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		return strings.Contains(string(text), "func "+name+"(")
	})
}
