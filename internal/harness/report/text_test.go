package report

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestText(t *testing.T) {
	f := Failure{
		Where:   "/home/ada/labs/04-election/election_test.go:41",
		What:    "two leaders in term 3: n1 (from 1.204s) and n4 (from 1.391s)",
		Rule:    "at most one leader per term (Raft §5.2)",
		Seen:    []string{"n2 voted for n1 at 1.190s", "n2 voted for n4 at 1.377s"},
		Faults:  "2 of 41 are enough: n1→n3 lost at 1.201s",
		Replay:  "LABS_SEED=81 go test -race -run 'TestOneLeaderPerTerm4C$' ./labs/04-election",
		Diagram: "labs/04-election/.labs/TestOneLeaderPerTerm4C-81.html",
		Notes:   []string{"not the same on replay"},
		Trace:   "1.190s n2 → n1\n  reply\n",
	}
	require.Equal(t, `election_test.go:41: two leaders in term 3: n1 (from 1.204s) and n4 (from 1.391s)
    rule:    at most one leader per term (Raft §5.2)
    seen:    n2 voted for n1 at 1.190s
             n2 voted for n4 at 1.377s
    faults:  2 of 41 are enough: n1→n3 lost at 1.201s
    replay:  LABS_SEED=81 go test -race -run 'TestOneLeaderPerTerm4C$' ./labs/04-election
    diagram: labs/04-election/.labs/TestOneLeaderPerTerm4C-81.html
    note:    not the same on replay
        1.190s n2 → n1
          reply
`, f.Text())
	require.Equal(t, "raft.go:3: x\n", Failure{Where: `C:\labs\raft.go:3`, What: "x"}.Text())
	require.Equal(t, "leak\n", Failure{Kind: Leak}.Text())
}

// A student's strings must not steer a terminal, test2json or a reader's eye.
func TestTextIsHarmless(t *testing.T) {
	evil := "a\x1b[2J\x16--- PASS: TestX\r\n--- PASS: TestY\u202e\u0085\xff\x00b"
	f := Failure{Where: evil + ":1", What: evil, Rule: evil, Seen: []string{evil, evil}, Faults: evil,
		Replay: evil, Diagram: evil, Notes: []string{evil}, Trace: evil + "\n" + evil}
	text := f.Text()
	for _, bad := range []string{"\x1b", "\x16", "\r", "\x00", "\u202e", "\u0085", "\xff"} {
		require.NotContains(t, text, bad)
	}
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n")[1:] {
		require.True(t, strings.HasPrefix(line, "    "), "%q stands at the margin", line)
	}
}
