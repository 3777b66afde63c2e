package learn

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
)

// newCheckout copies what lab 05 is built from.
func newCheckout(t *testing.T) *course.Course {
	root, err := course.Root(".")
	require.NoError(t, err)
	dir := t.TempDir()
	for _, name := range []string{"labrpc", "internal", "solutions/04-election/alternative"} {
		require.NoError(t, os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(root, name))))
	}
	labs, err := course.Load(root)
	require.NoError(t, err)
	for _, lab := range labs.Labs {
		require.NoError(t, os.CopyFS(filepath.Join(dir, lab.Dir()), os.DirFS(filepath.Join(root, lab.Dir()))))
		for _, f := range lab.Files() { // this test may run where a student has solved something
			copyText(t, filepath.Join(dir, lab.StubDir(), f), filepath.Join(dir, lab.Dir(), f))
		}
	}
	copyText(t, filepath.Join(root, "go.mod"), filepath.Join(dir, "go.mod"))
	copyText(t, filepath.Join(root, "go.sum"), filepath.Join(dir, "go.sum"))
	paths, err := filepath.Glob(filepath.Join(root, "solutions/04-election/*.go"))
	require.NoError(t, err)
	for _, path := range paths {
		copyText(t, path, filepath.Join(dir, "solutions/04-election", filepath.Base(path)))
	}
	c, err := course.Load(dir)
	require.NoError(t, err)
	return c
}

func copyText(t *testing.T, from, to string) {
	text, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, text, 0o666))
}

func edit(t *testing.T, c *course.Course, path, old, new string) {
	path = filepath.Join(c.Root, path)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(text), old)
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(text), old, new, 1)), 0o666))
}

func read(t *testing.T, c *course.Course, path string) string {
	text, err := os.ReadFile(filepath.Join(c.Root, path))
	require.NoError(t, err)
	return string(text)
}

const (
	server04 = "labs/04-election/raft.go"
	server05 = "labs/05-replication/election.go"
	wire05   = "labs/05-replication/wire.go"
)

// One checkout for all, because each costs a build; each case begins with the stubs.
func TestCarry(t *testing.T) {
	c := newCheckout(t)
	for _, tc := range []struct {
		name string
		test func(t *testing.T, c *course.Course)
	}{
		{"refuses the stub", carryRefusesStub},
		{"refuses what does not compile", carryRefusesBroken},
		{"refuses names that lab 05 has", carryRefusesClash},
		{"takes a half-done server with what it uses", carryHalfDone},
		{"takes a server of another build, and its fields", carryAlternative},
		{"takes ours, which then elects", carryReference},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, lab := range []string{carryFrom, CarryTo} {
				stubs, err := filepath.Glob(filepath.Join(c.Root, course.Lab{ID: lab}.StubDir(), "*.go"))
				require.NoError(t, err)
				for _, path := range stubs {
					copyText(t, path, filepath.Join(c.Root, "labs", lab, filepath.Base(path)))
				}
			}
			tc.test(t, c)
		})
	}
}

func carryRefusesStub(t *testing.T, c *course.Course) {
	_, err := Carry(t.Context(), c, false)
	require.EqualError(t, err, "learn: labs/04-election/raft.go is still the stub, so there is nothing to carry; --reference takes ours")
	edit(t, c, server05, "refuses every candidate", "refuses them all")
	_, err = Carry(t.Context(), c, true)
	require.EqualError(t, err, "learn: labs/05-replication/election.go is no stub any more; grade reset labs/05-replication/election.go makes it one again, and keeps a backup")
}

func carryRefusesBroken(t *testing.T, c *course.Course) {
	edit(t, c, server04, "return r.state\n", "return r.stat\n")
	stub := read(t, c, server05)
	_, err := Carry(t.Context(), c, false)
	require.ErrorContains(t, err, "labs/04-election does not compile, so it cannot be carried yet: labs/04-election/raft.go:")
	require.Equal(t, stub, read(t, c, server05))
}

func carryRefusesClash(t *testing.T, c *course.Course) {
	edit(t, c, server04, "// State returns", "type Entry int\n\n// State returns")
	stub := read(t, c, server05)
	_, err := Carry(t.Context(), c, false)
	require.ErrorContains(t, err, "lab 05 would not compile with it, so nothing was changed")
	require.ErrorContains(t, err, "Entry redeclared")
	require.Equal(t, stub, read(t, c, server05))
}

// A student has begun: a helper that lives in another file, with an import of its own
// and a constant, and a field more in two messages.
func carryHalfDone(t *testing.T, c *course.Course) {
	edit(t, c, server04, "	// TODO(4C): decide.", "	r.node.Logf(\"%s\", describe(req.Term))\n	// TODO(4C): decide.")
	edit(t, c, "labs/04-election/bully.go", "import (", "import (\n	\"strconv\"")
	text := read(t, c, "labs/04-election/bully.go") + "\n// describe names a term.\nfunc describe(term int) string { return prefix + strconv.Itoa(term) }\n\nconst prefix = \"term \"\n"
	require.NoError(t, os.WriteFile(filepath.Join(c.Root, "labs/04-election/bully.go"), []byte(text), 0o666))
	edit(t, c, "labs/04-election/wire.go", "type VoteRequest struct {", "type VoteRequest struct {\n	Pre, Again bool // before a real one")
	edit(t, c, "labs/04-election/wire.go", "type AppendReply struct {", "type AppendReply struct {\n	Why Reason")
	edit(t, c, "labs/04-election/wire.go", "// AppendReply answers", "// A Reason says why.\ntype Reason int\n\n// AppendReply answers")
	before := read(t, c, wire05)
	done, err := Carry(t.Context(), c, false)
	require.NoError(t, err)
	require.Equal(t, []File{{CarryTo, "election.go"}, {CarryTo, "wire.go"}}, done.Files)
	require.ElementsMatch(t, []string{
		"describe came along from bully.go", "prefix came along from bully.go", "Reason came along from wire.go",
		"VoteRequest keeps the field that you added: Pre, Again bool", "AppendReply keeps the field that you added: Why Reason",
	}, done.Notes)
	require.Contains(t, read(t, c, server05), "// describe names a term.")
	require.Equal(t, before, read(t, c, done.Backup+"/"+CarryTo+"/wire.go"))
}

// The alternative has no lock and no handlers by name: one goroutine owns the state.
func carryAlternative(t *testing.T, c *course.Course) {
	for _, name := range []string{"raft.go", "wire.go"} {
		copyText(t, filepath.Join(c.Root, "solutions/04-election/alternative", name), filepath.Join(c.Root, "labs/04-election", name))
	}
	_, err := Carry(t.Context(), c, false)
	require.NoError(t, err)
	requireElects(t, c)
}

func carryReference(t *testing.T, c *course.Course) {
	stub := read(t, c, server05)
	done, err := Carry(t.Context(), c, true)
	require.NoError(t, err)
	require.Equal(t, []File{{CarryTo, "election.go"}}, done.Files)
	require.Equal(t, stub, read(t, c, done.Backup+"/"+CarryTo+"/election.go"))
	requireElects(t, c)

	// With the one line that lab 05 asks for first, its tests of elections alone pass, and the first test of 5A
	// comes as far as a leader's Submit.
	edit(t, c, "labs/05-replication/raft.go", "	st := r.State()\n", "	r.mu.Lock()\n	defer r.mu.Unlock()\n	st := State{Term: r.saved.Term, Role: r.role, Leader: r.leader}\n")
	edit(t, c, "labs/05-replication/raft.go", "Leader: st.Leader}", "Leader: st.Leader, VotedFor: r.saved.VotedFor}")
	out, err := goTest(t, c, "^(TestLateVoteDoesNotCount5B|TestHigherTermDeposes5B|TestVoteSurvives5C|TestOwnVoteSurvives5C)$")
	require.NoError(t, err, out)
	out, err = goTest(t, c, "^TestAgreesInOrder5A$")
	require.Error(t, err)
	require.Regexp(t, `Submit on n\d = 0, \d, false, want an index higher than 0, \d, true: it is the leader of that term`, out)
}

// requireElects runs lab 05's servers without looking at their Status.
func requireElects(t *testing.T, c *course.Course) {
	path := filepath.Join(c.Root, "labs/05-replication/carried_test.go")
	require.NoError(t, os.WriteFile(path, []byte(carriedTest), 0o666))
	defer os.Remove(path)
	out, err := goTest(t, c, "^TestCarried5A$")
	require.NoError(t, err, out)
}

const carriedTest = `package replication

import (
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

func TestCarried5A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5}, func(s *labtest.Sim) {
		rafts := map[labrpc.NodeID]*Raft{}
		for _, id := range s.Net.Nodes() {
			rafts[id] = StartRaft(s.Start(id), s.Net.Nodes(), func(Applied) {})
		}
		leader := func() (found labrpc.NodeID) {
			for id, r := range rafts {
				if s.Net.Up(id) && r.State().Role == Leader {
					found = id
				}
			}
			return found
		}
		s.Run(5 * time.Second)
		old := leader()
		s.Net.Crash(old)
		s.Run(5 * time.Second)
		if now := leader(); old == 0 || now == 0 || now == old {
			s.Fail(labtest.Violation{What: "no leader, or no second one after the first crashed"})
		}
	})
}
`

func goTest(t *testing.T, c *course.Course, run string) (string, error) {
	cmd := exec.Command("go", "test", "-race", "-trimpath", "-count=1", "-run", run, "./labs/"+CarryTo)
	cmd.Dir = c.Root
	cmd.Env = append(os.Environ(), "LABS_SEEDS=3")
	out, err := cmd.CombinedOutput()
	return string(out), err
}
