package prove

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/result"
	"distlabs/internal/harness/report"
)

// RunsPerSeed is how many runs RunSoak makes of each seed.
func RunsPerSeed(run grade.Run) int {
	runs := 3
	if run.Plain {
		runs--
	}
	if run.Once {
		runs--
	}
	return runs
}

// soakPart runs a chunk of a test's seeds in each build. The last one, which is the fastest, runs each seed twice unless run.Once is set: that the race
// detector sees no race, and that nothing else differs, a single run shows.
func soakPart(ctx context.Context, builds []soakBuild, lab string, t *result.Test, run grade.Run, explained *atomic.Bool) error {
	if len(builds) == 1 {
		return builds[0][lab].Test(ctx, t, run)
	}
	once := run
	once.Once = true
	if err := builds[0][lab].Test(ctx, t, once); err != nil {
		return err
	}
	plain := &result.Test{Name: t.Name, Max: t.Max}
	if err := builds[1][lab].Test(ctx, plain, run); err != nil {
		return err
	}
	add(t, plain)
	if run.Once {
		return nil
	}
	compare(t, plain)
	if len(t.Diverged) == 0 || len(t.Failures) > 0 || explained.Swap(true) {
		return nil
	}
	return explainDivergence(ctx, builds[0][lab], t, run)
}

// add adds to a chunk with the race detector what the same chunk without it found.
func add(t, plain *result.Test) {
	if plain.Status != report.Pass && t.Status == report.Pass {
		t.Status, t.Skipped = plain.Status, plain.Skipped
	}
	t.Failures = append(t.Failures, plain.Failures...)
	t.Seeds = min(t.Seeds, plain.Seeds)
	t.Real += plain.Real
	t.Failed = union(t.Failed, plain.Failed)
}

// compare adds to a chunk with the race detector which of its seeds did not replay without it, or differ from those without it.
func compare(t, plain *result.Test) {
	var differ []uint64
	for seed, digest := range t.Digests {
		if other, both := plain.Digests[seed]; both && other != digest {
			differ = append(differ, seed)
		}
	}
	t.Diverged = union(plain.Diverged, differ)
	if t.Status == report.Pass && (len(t.Diverged) > 0 || len(t.Digests) == 0) {
		t.Status = report.Fail
	}
}

func union(a, b []uint64) []uint64 {
	all := map[uint64]struct{}{}
	for _, seed := range slices.Concat(a, b) {
		all[seed] = struct{}{}
	}
	return slices.Sorted(maps.Keys(all))
}

// explainDivergence explains a chunk that differs in the two builds, and replays in that without the race detector. It runs the
// chunk again with it, each seed twice: the harness says where they part. If none do, the builds differ.
func explainDivergence(ctx context.Context, race *grade.Runner, t *result.Test, run grade.Run) error {
	again := &result.Test{Name: t.Name, Max: t.Max}
	if err := race.Test(ctx, again, run); err != nil {
		return err
	}
	if len(again.Diverged) > 0 && len(again.Failures) > 0 {
		t.Failures = again.Failures
		return nil
	}
	t.Failures = []report.Failure{{
		Test: t.Name, Kind: report.Malformed, Seed: t.Diverged[0], Rule: report.SameSeed,
		What: fmt.Sprintf("%d of %d seeds ran differently with the race detector and without it, and the same when repeated", len(t.Diverged), t.Seeds),
	}}
	return nil
}
