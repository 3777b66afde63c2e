package crew

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"distlabs/internal/harness/claim"
	"distlabs/internal/harness/report"
	"distlabs/internal/harness/supervise"
)

var results = report.Inherit()

func TestMain(m *testing.M) { supervise.Main(m) }

// run notes in the folder CREW_RAN which process runs the test.
func run(t *testing.T, body func()) {
	if !claim.Test(t.Name()) {
		t.Skip("another process runs it")
	}
	results.Send(report.Event{Kind: report.Start, Test: t.Name()})
	file, _ := os.CreateTemp(os.Getenv("CREW_RAN"), fmt.Sprintf("%s-%d-", t.Name(), os.Getpid()))
	file.Close()
	time.Sleep(50 * time.Millisecond)
	_, _ = os.Stat(filepath.Join("..", t.Name())) // go test notes it
	body()
	results.Send(report.Event{Kind: report.End, Test: t.Name(), Result: &report.Result{Status: report.Pass}})
}

// fail fails, with many lines, if the environment names the test.
func fail(t *testing.T) func() {
	return func() {
		if os.Getenv("CREW_DIES") == t.Name() {
			os.Exit(5)
		}
		if os.Getenv("CREW_FAILS") == "" {
			return
		}
		for i := range 20 {
			t.Logf("%s line %d", t.Name(), i)
		}
		t.Fail()
	}
}

func TestA(t *testing.T) { run(t, fail(t)) }
func TestB(t *testing.T) { run(t, fail(t)) }
func TestC(t *testing.T) { run(t, fail(t)) }
func TestD(t *testing.T) { run(t, fail(t)) }
func TestE(t *testing.T) { run(t, func() {}) }
func TestF(t *testing.T) { run(t, func() {}) }
