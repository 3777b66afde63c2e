package course

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

const good = `id: 01-links
title: Links
package: links
imports: [distlabs/internal/nothing]
parts:
  - id: 1A
    title: Stubborn links
    points: 60
    files: [stubborn.go]
    hints: ["Draw it.", "Keep it until it is acknowledged."]
    tests:
      - {name: TestDelivers1A, points: 40}
      - {name: TestStops1A, points: 20}
  - id: 1B
    title: Reliable links
    points: 40
    files: [stubborn.go, reliable.go]
    tests:
      - {name: TestOnce1B, points: 40}
`

// newCourse writes a course of one lab and returns its root.
func newCourse(t *testing.T, yaml string) string {
	root := t.TempDir()
	write(t, root, "go.mod", "module distlabs\n\ngo 1.26\n")
	write(t, root, "labs/01-links/lab.yaml", yaml)
	write(t, root, "labs/01-links/stubborn.go", "package links\n")
	write(t, root, "labs/01-links/reliable.go", "package links\n")
	write(t, root, "labs/01-links/links_test.go", `package links_test
import "testing"
func TestMain(m *testing.M)       {}
func TestDelivers1A(t *testing.T) {}
func TestStops1A(t *testing.T)    {}
func TestOnce1B(t *testing.T)     {}
func helper(t *testing.T)         {}
`)
	return root
}

func write(t *testing.T, root, name, text string) {
	path := filepath.Join(root, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
}

func TestLoadReadsEveryKey(t *testing.T) {
	root := newCourse(t, good)
	c, err := Load(root)
	require.NoError(t, err)
	want := &Course{Root: root, Labs: []Lab{{
		ID: "01-links", Title: "Links", Package: "links", Imports: []string{"distlabs/internal/nothing"},
		Parts: []Part{
			{ID: "1A", Title: "Stubborn links", Points: 60, Files: []string{"stubborn.go"},
				Hints: []string{"Draw it.", "Keep it until it is acknowledged."},
				Tests: []Test{{"TestDelivers1A", 40}, {"TestStops1A", 20}}},
			{ID: "1B", Title: "Reliable links", Points: 40, Files: []string{"stubborn.go", "reliable.go"},
				Tests: []Test{{"TestOnce1B", 40}}},
		},
	}}}
	require.Empty(t, cmp.Diff(want, c))
	require.Equal(t, []string{"stubborn.go", "reliable.go"}, c.Labs[0].Files())
	require.Len(t, c.Labs[0].Tests(), 3)
}

// A scenario that only a person plays has no points; a part without one is played by the scenario of its first search.
func TestLoadFindsScenarios(t *testing.T) {
	root := newCourse(t, strings.Replace(good, "TestOnce1B", "TestAnySchedule1B", 1))
	write(t, root, "labs/01-links/links_test.go", `package links_test
import "testing"
func TestDelivers1A(t *testing.T)    {}
func TestStops1A(t *testing.T)       {}
func TestAnySchedule1B(t *testing.T) {}
`)
	scenarios := func() []string {
		t.Helper()
		c, err := Load(root)
		require.NoError(t, err)
		return []string{c.Labs[0].Parts[0].Scenario, c.Labs[0].Parts[1].Scenario}
	}
	require.Equal(t, []string{"", "TestAnySchedule1B"}, scenarios())
	write(t, root, "labs/01-links/play_test.go", "package links_test\nimport \"testing\"\nfunc TestPlay1A(t *testing.T) {}\nfunc TestPlay1B(t *testing.T) {}\n")
	require.Equal(t, []string{"TestPlay1A", "TestPlay1B"}, scenarios())
	write(t, root, "labs/01-links/play_test.go", "package links_test\nimport \"testing\"\nfunc TestPlay1C(t *testing.T) {}\n")
	_, err := Load(root)
	require.ErrorContains(t, err, "test TestPlay1C of play_test.go has no points")
}

func TestLoadRefuses(t *testing.T) {
	for _, tc := range []struct {
		name     string
		old, new string // an edit of the good lab.yaml
		want     string // the error, after "course: labs/01-links/lab.yaml"
	}{
		{name: "an unknown key", old: "title: Links", new: "titel: Links", want: `:2: unknown key "titel"`},
		{name: "an unknown key of a part", old: "    hints:", new: "    hint:", want: `:10: unknown key "hint"`},
		{name: "a repeated key", old: "title: Links", new: "id: x", want: `:2: mapping key "id" already defined at line 1`},
		{name: "points that are no number", old: "points: 60", new: "points: many", want: ":8: found str `many`, want a whole number"},
		{name: "half points", old: "points: 60", new: "points: 59.5", want: ":8: found float `59.5`, want a whole number"},
		{name: "broken YAML", old: "title: Links", new: "title: [", want: ":1: did not find expected ',' or ']'"},
		{name: "an empty file", old: good, new: "", want: ": is empty"},
		{name: "two documents", old: good, new: good + "---\n" + good, want: ": holds more than one YAML document"},
		{name: "no id", old: "id: 01-links\n", new: "", want: `: id is missing, want "01-links"`},
		{name: "the id of another folder", old: "id: 01-links", new: "id: 02-links", want: `:1: id is "02-links", want the folder's name, "01-links"`},
		{name: "no title", old: "title: Links", new: "title: ''", want: ":2: title is missing"},
		{name: "a package that is no name", old: "package: links", new: "package: 01-links", want: `:3: package "01-links" is not the name of a Go package`},
		{name: "the package of other files", old: "package: links", new: "package: chains", want: `: package is "chains" but links_test.go belongs to package links`},
		{name: "no parts", old: good[strings.Index(good, "parts:"):], new: "", want: ": parts is missing"},
		{name: "a part without id", old: "  - id: 1B\n    title: R", new: "  - title: R", want: ": a part has no id"},
		{name: "a part of another lab", old: "id: 1B", new: "id: 2B", want: `:14: part "2B" is not named like 1A: the lab's number and a capital letter`},
		{name: "a part twice", old: "id: 1B", new: "id: 1A", want: ":14: part 1A is there twice"},
		{name: "a part without title", old: "    title: Reliable links\n", new: "", want: ":14: part 1B has no title"},
		{name: "a part without points", old: "    points: 60\n", new: "", want: ":6: part 1A has no points"},
		{name: "a part without files", old: "    files: [stubborn.go]\n", new: "", want: ":6: part 1A names no file that the student edits"},
		{name: "a part without tests", old: "    tests:\n      - {name: TestOnce1B, points: 40}\n", new: "", want: ":14: part 1B has no tests"},
		{name: "an empty hint", old: `"Draw it."`, new: `""`, want: ":10: part 1A has an empty hint"},
		{name: "a file that is missing", old: "[stubborn.go, r", new: "[x.go, r", want: ":17: file x.go is missing from the lab's folder"},
		{name: "a file outside", old: "[stubborn.go, r", new: "[../x.go, r", want: `:17: "../x.go" cannot be a file that the student edits: want a name like link.go`},
		{name: "a test file to edit", old: "[stubborn.go, r", new: "[links_test.go, r", want: `:17: "links_test.go" cannot be a file that the student edits: want a name like link.go`},
		{name: "a test without name", old: "name: TestOnce1B, ", new: "", want: ":14: a test of part 1B has no name"},
		{name: "a test that is no test", old: "TestOnce1B", new: "Once1B", want: `:19: "Once1B" is not the name of a Go test`},
		{name: "a test of another part", old: "TestOnce1B", new: "TestOnce1A", want: ":19: test TestOnce1A does not end in its part, 1B"},
		{name: "a test twice", old: "TestStops1A", new: "TestDelivers1A", want: ":13: test TestDelivers1A is there twice"},
		{name: "a test without points", old: "{name: TestOnce1B, points: 40}", new: "{name: TestOnce1B}", want: ":19: test TestOnce1B has no points"},
		{name: "a test that does not exist", old: "TestOnce1B", new: "TestTwice1B", want: ": test TestOnce1B of links_test.go has no points: list it under its part"},
		{name: "a test that is not there", old: "      - {name: TestOnce1B, points: 40}", new: "      - {name: TestOnce1B, points: 39}\n      - {name: TestTwice1B, points: 1}", want: ":20: test TestTwice1B is in no _test.go file of the lab"},
		{name: "tests that do not add up", old: "TestStops1A, points: 20", new: "TestStops1A, points: 19", want: ":8: part 1A has 60 points but its tests add up to 59"},
		{name: "parts that do not add up", old: "    points: 40\n    files: [stubborn.go, reliable.go]\n    tests:\n      - {name: TestOnce1B, points: 40}", new: "    points: 39\n    files: [stubborn.go, reliable.go]\n    tests:\n      - {name: TestOnce1B, points: 39}", want: ": the points of the parts add up to 99, want 100"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Contains(t, good, tc.old, "the edit must bite")
			_, err := Load(newCourse(t, strings.Replace(good, tc.old, tc.new, 1)))
			require.EqualError(t, err, "course: labs/01-links/lab.yaml"+tc.want)
		})
	}
}

func TestLoadRefusesFolders(t *testing.T) {
	for _, tc := range []struct {
		name string
		edit func(t *testing.T, root string)
		want string
	}{
		{name: "a lab without lab.yaml", want: "labs/02-more/lab.yaml: is missing: every folder under labs needs one",
			edit: func(t *testing.T, root string) { write(t, root, "labs/02-more/a.go", "package more\n") }},
		{name: "a badly named folder", want: `labs/more/lab.yaml: folder "more" is not named like 01-links: two digits, a hyphen, a word`,
			edit: func(t *testing.T, root string) { write(t, root, "labs/more/lab.yaml", good) }},
		{name: "a symbolic link for a file", want: "labs/01-links/lab.yaml:9: file stubborn.go is not a regular file",
			edit: func(t *testing.T, root string) {
				path := filepath.Join(root, "labs/01-links/stubborn.go")
				require.NoError(t, os.Remove(path))
				require.NoError(t, os.Symlink("reliable.go", path))
			}},
		{name: "two labs of one number", want: "labs/01-other/lab.yaml: number 01 is taken by 01-links",
			edit: func(t *testing.T, root string) { second(t, root, "01-other", "1", "other") }},
		{name: "two labs of one package", want: "labs/02-other/lab.yaml: package links is taken by 01-links",
			edit: func(t *testing.T, root string) { second(t, root, "02-other", "2", "links") }},
		{name: "no lab at all", want: "no lab in ROOT/labs",
			edit: func(t *testing.T, root string) {
				require.NoError(t, os.RemoveAll(filepath.Join(root, "labs/01-links")))
			}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := newCourse(t, good)
			tc.edit(t, root)
			_, err := Load(root)
			require.EqualError(t, err, "course: "+strings.Replace(tc.want, "ROOT", root, 1))
		})
	}
}

// second adds another well-formed lab.
func second(t *testing.T, root, folder, number, pkg string) {
	write(t, root, "labs/"+folder+"/lab.yaml", strings.NewReplacer("01-links", folder, "package: links", "package: "+pkg,
		"1A", number+"A", "1B", number+"B").Replace(good))
	for _, f := range []string{"stubborn.go", "reliable.go"} {
		write(t, root, "labs/"+folder+"/"+f, "package "+pkg+"\n")
	}
	write(t, root, "labs/"+folder+"/all_test.go", strings.NewReplacer("pkg", pkg, "N", number).Replace(
		"package pkg\nimport \"testing\"\nfunc TestDeliversNA(t *testing.T) {}\nfunc TestStopsNA(t *testing.T) {}\nfunc TestOnceNB(t *testing.T) {}\n"))
}

func TestSelect(t *testing.T) {
	root := newCourse(t, good)
	second(t, root, "02-failure-detection", "2", "detect")
	c, err := Load(root)
	require.NoError(t, err)
	for _, tc := range []struct {
		names []string
		want  string
	}{
		{nil, "1A 1B 2A 2B"},
		{[]string{"01"}, "1A 1B"},
		{[]string{"1"}, "1A 1B"},
		{[]string{"links"}, "1A 1B"},
		{[]string{"01-links"}, "1A 1B"},
		{[]string{"./labs/01-links/"}, "1A 1B"},
		{[]string{"failure-detection"}, "2A 2B"},
		{[]string{"detect"}, "2A 2B"},
		{[]string{"2b", "1A"}, "1A 2B"},
		{[]string{"1A", "01"}, "1A 1B"},
	} {
		t.Run(strings.Join(tc.names, " "), func(t *testing.T) {
			selected, err := c.Select(tc.names...)
			require.NoError(t, err)
			var got []string
			for _, s := range selected {
				for _, p := range s.Parts {
					got = append(got, p.ID)
				}
			}
			require.Equal(t, tc.want, strings.Join(got, " "))
		})
	}
	for name, want := range map[string]string{
		"2F":        `no part is named "2F"; 02-failure-detection has 2A, 2B`,
		"02f":       `no part is named "02f"; 02-failure-detection has 2A, 2B`,
		"lniks":     `no lab or part is named "lniks"; did you mean links?`,
		"01-link":   `no lab or part is named "01-link"; did you mean 01-links?`,
		"detection": `no lab or part is named "detection"; did you mean detect?`,
	} {
		_, err = c.Select(name)
		require.EqualError(t, err, "course: "+want)
	}
	for _, name := range []string{"election", "lin", "2", "9"} {
		require.Empty(t, c.near(name), name)
	}
	_, err = c.Select("1A", "7Z")
	require.EqualError(t, err, `course: no lab or part is named "7Z"; there are 01-links (1A to 1B), 02-failure-detection (2A to 2B)`)
}

func TestRoot(t *testing.T) {
	root := newCourse(t, good)
	got, err := Root(filepath.Join(root, "labs", "01-links"))
	require.NoError(t, err)
	require.Equal(t, root, got)

	other := t.TempDir()
	write(t, other, "go.mod", "module distlabs.example.org\n")
	_, err = Root(other)
	require.True(t, errors.Is(err, ErrNotInCourse), "%v", err)
}
