package live

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/prove"
	"distlabs/live/cluster"
	"distlabs/live/torture"
)

// long reports whether the tests that take minutes are wanted: LIVE_LONG in the environment.
func long(t *testing.T) {
	if os.Getenv("LIVE_LONG") == "" {
		t.Skip("takes minutes: LIVE_LONG=1 runs it")
	}
}

func torment(t *testing.T, program string, d time.Duration, seed uint64) *torture.Report {
	t.Helper()
	report, err := torture.Run(t.Context(), torture.Options{
		Cluster: cluster.Options{Dir: filepath.Join(t.TempDir(), "torture"), Program: program, Servers: 3, Host: ownHost()}, Duration: d, Seed: seed, Log: t.Output(),
	})
	require.NoError(t, err)
	t.Log(report)
	for _, anomaly := range report.Anomalies {
		t.Log(anomaly)
	}
	return report
}

func TestReferenceSurvivesTorture(t *testing.T) {
	t.Parallel()
	report := torment(t, program(t), 6*time.Second, 3)
	require.Empty(t, report.Anomalies)
	require.NotZero(t, report.Kills)
	require.Greater(t, report.Answered, 20)
}

func TestReferenceSurvivesLongTorture(t *testing.T) {
	long(t)
	require.Empty(t, torment(t, program(t), 10*time.Minute, 4).Anomalies)
}

// kill -9 of the leader at random times: what was acknowledged is never lost, and there is soon another leader.
func TestLeadersAreKilled(t *testing.T) {
	report, err := torture.Run(t.Context(), torture.Options{
		Cluster: cluster.Options{Dir: filepath.Join(t.TempDir(), "torture"), Program: program(t), Servers: 3}, Leaders: kills(t, 3), Seed: 5,
	})
	require.NoError(t, err)
	t.Log(report)
	require.Empty(t, report.Anomalies)
	require.Len(t, report.Elections, report.Kills)
	n := len(report.Elections)
	t.Logf("to the next leader: median %v, 99 of 100 %v, longest %v", report.Elections[n/2], report.Elections[n*99/100], report.Elections[n-1])
	require.Less(t, report.Elections[n/2], 3*electionTimeout)
	if n >= 100 { // the nightly run, on a machine that does nothing else
		require.Less(t, report.Elections[n-1], 3*electionTimeout, "in every one")
	}
}

// The mutants that a real machine must show too: each is caught by what its clients see, what a watch reports, or what is on its disks.
func TestMutantsAreCaughtLive(t *testing.T) {
	long(t)
	root, err := course.Root("..")
	require.NoError(t, err)
	c, err := course.Load(root)
	require.NoError(t, err)
	lab, err := c.Select("05")
	require.NoError(t, err)
	mutants, err := prove.Mutants(c, lab[0].Lab)
	require.NoError(t, err)
	for _, name := range []string{"vote-not-persisted", "log-not-persisted", "5d-local-read", "5d-replies-before-commit", "5d-watch-tells-the-latest", "term-not-persisted", "5d-no-session-table"} {
		t.Run(name, func(t *testing.T) {
			for _, m := range mutants {
				if m.Name != name {
					continue
				}
				src, err := m.Source(c)
				require.NoError(t, err)
				binary := filepath.Join(t.TempDir(), "server")
				require.NoError(t, build(t.Context(), src, "05", "server", binary))
				for seed := uint64(1); seed <= 3; seed++ {
					if len(torment(t, binary, 25*time.Second, seed).Anomalies) > 0 {
						return
					}
				}
				t.Fatal("it was not caught")
			}
			t.Fatal("there is no such mutant")
		})
	}
}
