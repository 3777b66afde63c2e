package live

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/submission"
	"distlabs/live/cluster"
)

// startLab starts three servers of another lab than 05.
func startLab(t *testing.T, program, policy string) *cluster.Cluster {
	return start(t, cluster.Options{Program: program, NoGateways: true, Policy: policy})
}

// Raft's election of lab 04: another server leads when the leader is killed, and no server when there is no majority.
func TestElectionOfLab04(t *testing.T) {
	t.Parallel()
	c := startLab(t, otherPrograms(t)["election"], "")
	leader, term, ok := c.WaitLeader(wait, 0)
	require.True(t, ok)
	c.Kill(leader)
	next, _, ok := c.WaitLeader(wait, term)
	require.True(t, ok)
	require.NotEqual(t, leader, next)
	require.NoError(t, c.Start(leader))
	_, err := c.Ask(leader, "put", "a", "b")
	require.ErrorContains(t, err, "answers no questions")
}

// The stores of lab 06: a replica that is cut off takes writes, which survive a kill and spread when it is connected; under CP a member
// without a majority refuses.
func TestStoresOfLab06(t *testing.T) {
	t.Parallel()
	programs := otherPrograms(t)
	ask := func(c *cluster.Cluster, server int, line string) string {
		t.Helper()
		text, err := c.Ask(server, strings.Fields(line)...)
		require.NoError(t, err, line)
		return text
	}
	c := startLab(t, programs["consistency"], "")
	c.Isolate(1)
	require.Equal(t, "n1: done", ask(c, 1, "put colour red"))
	ask(c, 1, "add visits 2")
	require.Equal(t, "n2: colour has no value", ask(c, 2, "get colour"))
	c.Kill(1)
	require.NoError(t, c.Start(1))
	require.Equal(t, "n2: colour has no value", ask(c, 2, "get colour"), "a restart does not heal")
	c.Heal()
	require.Eventually(t, func() bool {
		return ask(c, 2, "get colour") == `n2: colour = "red"` && ask(c, 3, "count visits") == "n3: visits = 2"
	}, wait, 50*time.Millisecond)
	ask(c, 3, "delete colour")
	_, err := c.Ask(3, "add", "visits", "two")
	require.ErrorContains(t, err, `"two" is not a number`)
	c.Close()

	for policy, answer := range map[string]string{"AP": "n1: 1 items: tea", "CP": ""} {
		c := startLab(t, programs["consistency"], policy)
		require.Equal(t, "n1: done", ask(c, 1, "add tea"))
		c.Isolate(1)
		text, err := c.Ask(1, "items")
		require.Equal(t, answer, text, policy)
		require.Equal(t, policy == "CP", err != nil, "%s: %v", policy, err)
		if err != nil {
			require.ErrorContains(t, err, "refused")
		}
		c.Close()
	}
}

// otherPrograms are the programs of labs 04 and 06, with the reference's files. They are built once.
func otherPrograms(t *testing.T) map[string]string {
	t.Helper()
	programs := map[string]string{}
	for name, lab := range map[string]string{"election": "04", "consistency": "06"} {
		programs[name] = filepath.Join(built.dir(t), name)
		built.build(t, submission.Source{Kind: course.Solution}, lab, name, programs[name])
	}
	return programs
}
