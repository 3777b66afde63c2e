package prove

import (
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/prove/generate"
)

func TestParseEquivalents(t *testing.T) {
	list, err := parseEquivalents([]byte(`# A comment.
- mutant: "raft.go Raft.stand delete: a: b"
  why: "The simulator never has two events at one instant."
- {mutant: m, why: w}
`))
	require.NoError(t, err)
	require.Equal(t, []Equivalent{
		{Mutant: "raft.go Raft.stand delete: a: b", Why: "The simulator never has two events at one instant.", Line: 2},
		{Mutant: "m", Why: "w", Line: 4},
	}, list)
	for text, want := range map[string]string{
		"mutant: m":                     "want a list of entries",
		"- m":                           "line 1: want an entry",
		"- {mutant: m}":                 "line 1: the entry needs the keys mutant and why, and no other",
		"- {mutant: m, why: w, who: x}": "line 1: the entry needs the keys mutant and why, and no other",
		"- {mutant: m, why: ' '}":       "line 1: why must be one line",
		"- {mutant: m, why: \"a\\nb\"}": "line 1: why must be one line",
		"- {mutant: m, why: w}\n- {mutant: m, why: v}": "line 2: the mutant is in line 1 already",
	} {
		_, err := parseEquivalents([]byte(text))
		require.ErrorContains(t, err, want, text)
	}
}

// A lab is proven if each mutant is killed, or listed and alive, and no entry is without a mutant.
func TestGeneratedIsProven(t *testing.T) {
	mutant := func(outcome Outcome, why string) GeneratedMutant {
		return GeneratedMutant{Mutant: generate.Mutant{Key: "k"}, Outcome: outcome, Equivalent: why}
	}
	for _, tc := range []struct {
		name   string
		of     Generated
		proven bool
	}{
		{"killed", Generated{Mutants: []GeneratedMutant{mutant(Killed, "")}}, true},
		{"not compiled", Generated{Mutants: []GeneratedMutant{mutant(NotCompiled, "")}}, true},
		{"survived", Generated{Mutants: []GeneratedMutant{mutant(Killed, ""), mutant(Survived, "")}}, false},
		{"equivalent", Generated{Mutants: []GeneratedMutant{mutant(Survived, "because")}}, true},
		{"wrongly equivalent", Generated{Mutants: []GeneratedMutant{mutant(Killed, "because")}}, false},
		{"not to be listed", Generated{Mutants: []GeneratedMutant{mutant(NotCompiled, "because")}}, false},
		{"interrupted", Generated{Mutants: []GeneratedMutant{mutant(Killed, ""), mutant(NotRun, "")}}, false},
		{"interrupted before one that is listed", Generated{Mutants: []GeneratedMutant{mutant(NotRun, "because")}}, false},
		{"an entry about nothing", Generated{Unknown: []Equivalent{{Mutant: "k"}}}, false},
	} {
		t.Run(tc.name, func(t *testing.T) { require.Equal(t, tc.proven, tc.of.Proven()) })
	}
}

// A sample is the same for the same seed, and of what the filters leave.
func TestChoose(t *testing.T) {
	var all []generate.Mutant
	for _, key := range []string{"a1", "a2", "a3", "b1", "b2"} {
		all = append(all, generate.Mutant{Key: key, File: key[:1] + ".go", Operator: generate.Delete})
	}
	keys := func(run GeneratedRun) (list []string) {
		for _, m := range run.choose(all) {
			list = append(list, m.Key)
		}
		return list
	}
	require.Equal(t, []string{"b1", "b2"}, keys(GeneratedRun{Files: []string{"b.go"}}))
	require.Equal(t, []string{"a1", "b1"}, keys(GeneratedRun{Keys: []string{"1"}}))
	require.Empty(t, keys(GeneratedRun{Operators: []string{"negate"}}))
	require.Len(t, keys(GeneratedRun{Limit: 9}), 5)
	require.Len(t, keys(GeneratedRun{Limit: 2, Seed: 1}), 2)
	require.Equal(t, keys(GeneratedRun{Limit: 2, Seed: 1}), keys(GeneratedRun{Limit: 2, Seed: 1}))
	seen := map[string]bool{}
	for seed := range uint64(20) {
		for _, key := range keys(GeneratedRun{Limit: 2, Seed: seed}) {
			seen[key] = true
		}
	}
	require.Len(t, seen, 5, "other seeds choose others")
}
