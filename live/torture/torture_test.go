package torture

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/labrpc"
	"distlabs/live/cluster"
	"distlabs/live/control"
	"distlabs/live/record"
)

// An anomaly leaves the page of the run, and one of the history also the page of the history.
func TestAnAnomalyLeavesPages(t *testing.T) {
	leader := func(r *run, name string) {
		r.heard(name, control.Report{Status: &control.Status{Term: 3, Role: "leader"}})
	}
	read := control.Operation{Client: 7, Number: 1, Op: "get", Key: "k", Got: "never written", Revision: 4, Returned: true, Call: time.Second, Return: 2 * time.Second}
	for name, row := range map[string]struct {
		happen func(r *run)
		want   string
		pages  int
	}{
		"nothing":     {func(r *run) { leader(r, "n1") }, "", 0},
		"two leaders": {func(r *run) { leader(r, "n1"); leader(r, "n2") }, "term 3 has two leaders, n1 and n2 (rule 1)", 1},
		"a read":      {func(r *run) { r.heard("clients", control.Report{Op: &read}) }, "not linearizable", 2},
		"a watch":     {func(r *run) { r.heard("clients", control.Report{Watch: &control.Event{Revision: 2}}) }, "reported revision 2 after revision 0", 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := &run{
				opts: Options{Cluster: cluster.Options{Dir: t.TempDir()}, Duration: time.Second}, ops: map[[2]int]control.Operation{}, servers: newServers(), busy: map[int]bool{},
				archive: record.NewArchive(4), began: time.Now(), done: true,
			}
			r.heard("n1", control.Report{Steps: []control.Step{control.NewStep(labrpc.Event{Kind: labrpc.EventMarked, Value: "drawn here"})}})
			row.happen(r)
			report, err := r.judge()
			require.NoError(t, err)
			require.Len(t, report.Pages, row.pages)
			if row.want == "" {
				require.Empty(t, report.Anomalies)
				return
			}
			require.Contains(t, strings.Join(report.Anomalies, "\n"), row.want)
			page, err := os.ReadFile(report.Pages[row.pages-1])
			require.NoError(t, err)
			require.Contains(t, string(page), "drawn here")
			require.Contains(t, string(page), report.Anomalies[0][:20])
		})
	}
}
