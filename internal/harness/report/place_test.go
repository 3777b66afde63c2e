package report

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlace(t *testing.T) {
	require.Equal(t, "./internal/harness/report", FindPlace().Package)
	p := Place{Dir: "/home/ada/distlabs/labs/04-election", Package: "./labs/04-election"}
	require.Equal(t, "LABS_SEED=81 go test -race -run 'TestOneLeaderPerTerm4C$' ./labs/04-election", p.ReplaySeed("TestOneLeaderPerTerm4C", 81))
	for path, want := range map[string]bool{
		"/home/ada/distlabs/labs/04-election/raft.go":          true,
		"distlabs/labs/04-election/raft.go":                    true, // -trimpath
		"/home/ada/distlabs/labs/04-election/election_test.go": false,
		"distlabs/labs/04-election/election_test.go":           false,
		"/home/ada/distlabs/labs/05-replication/raft.go":       false,
		"/usr/local/go/src/testing/testing.go":                 false,
		"testing/testing.go":                                   false,
		"_testmain.go":                                         false,
	} {
		require.Equal(t, want, p.Source().IsStudent(path), path)
	}
}
