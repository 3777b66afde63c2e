package solutions

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/prove"
	"distlabs/internal/rotation"
)

// Mutants die by the test that they name. Each day has an eighth of them, and at least one of every second test (package rotation): a test that
// has come to notice nothing is found in two days.
func TestMutantsDie(t *testing.T) {
	forEachLab(t, func(t *testing.T, s course.Selected) {
		mutants, err := prove.Mutants(labs, s.Lab)
		require.NoError(t, err)
		require.NotEmpty(t, mutants, "a lab without mutants proves nothing about its tests")
		today := todays(mutants)
		var alone atomic.Int64
		t.Cleanup(func() {
			require.LessOrEqual(t, int(alone.Load()), len(today)/3, "so many mutants do not share a build; is one at fault?")
		})
		for _, m := range today {
			t.Run(m.Name, func(t *testing.T) {
				t.Parallel()
				fate := fateOf(t, s.Lab, m)
				require.True(t, fate.Dead(), "%s\n%s does not notice; it said: %s", m.Wrong, m.DiesBy, fate.Said.Text())
				require.Empty(t, fate.Astray, "%s\n%s notices it under another rule: %s", m.Wrong, m.DiesBy, fate.Said.Text())
				if fate.Alone {
					alone.Add(1)
				}
			})
		}
	})
}

// todays are the mutants of today.
func todays(mutants []prove.Mutant) (list []prove.Mutant) {
	size, group := map[string]int{}, map[string]int{} // by test
	for _, m := range mutants {
		if size[m.DiesBy] == 0 {
			group[m.DiesBy] = len(group)
		}
		size[m.DiesBy]++
	}
	before := map[string]int{}
	for _, m := range mutants {
		if rotation.OfGroup(group[m.DiesBy], before[m.DiesBy], size[m.DiesBy]) {
			list = append(list, m)
		}
		before[m.DiesBy]++
	}
	return list
}

// Each clause of each rule is held: one of the mutants that break it dies by one of its tests, with a message that cites its rule. A
// mutant that breaks several clauses may die under the rule of any, so that a clause can be named by many mutants and held by none. Each day
// has a sixteenth of the clauses.
func TestClausesAreHeld(t *testing.T) {
	forEachLab(t, func(t *testing.T, s course.Selected) {
		rules, err := labs.Rules(s.Lab)
		require.NoError(t, err)
		mutants, err := prove.Mutants(labs, s.Lab)
		require.NoError(t, err)
		item := -1
		for _, rule := range rules {
			for _, clause := range rule.Clauses {
				if item++; !rotation.Today(item, 16) {
					continue
				}
				t.Run(clause.ID, func(t *testing.T) {
					t.Parallel()
					requireHeld(t, s.Lab, rule.Number, clause, prove.Breakers(clause, mutants))
				})
			}
		}
	})
}

func requireHeld(t *testing.T, lab course.Lab, rule int, clause course.Clause, breakers []prove.Mutant) {
	slices.SortStableFunc(breakers, func(a, b prove.Mutant) int { // those that break it above all first
		return slices.Index(a.Breaks, clause.ID) - slices.Index(b.Breaks, clause.ID)
	})
	for _, m := range breakers {
		fate := fateOf(t, lab, m)
		if fate.Proves(clause, rule) {
			return
		}
		t.Logf("%s: %s said: %s", m.Name, m.DiesBy, fate.Said.Text())
	}
	t.Errorf("%s\nno mutant that breaks it dies by one of its tests with a message that cites rule %d", clause.Says, rule)
}

// fates has what became of the mutants that were run, by lab and name.
var fates sync.Map

// fateOf runs a mutant with the test that it names, once for all tests.
func fateOf(t *testing.T, lab course.Lab, m prove.Mutant) prove.MutantResult {
	t.Helper()
	run, _ := fates.LoadOrStore(lab.ID+"/"+m.Name, sync.OnceValues(func() (prove.MutantResult, error) {
		return prover.RunMutant(context.Background(), m, prove.MutantRun{NamedOnly: true})
	}))
	fate, err := run.(func() (prove.MutantResult, error))()
	require.NoError(t, err)
	require.Empty(t, fate.Invalid)
	return fate
}
