package generate

import (
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/rotation"
)

// The mutants of every reference have keys of their own. Nearly all of them compile, and together too. Each day has some of
// the labs (package rotation).
func TestSchemataOfTheCourse(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	c, err := course.Load(root)
	require.NoError(t, err)
	for i, lab := range c.Labs {
		if !rotation.Today(i, rotation.Days) {
			continue
		}
		t.Run(lab.ID, func(t *testing.T) {
			t.Parallel()
			p, err := Load(t.Context(), root, lab.SolutionDir(), lab.Files())
			require.NoError(t, err)
			all := p.Mutants()
			keys := map[string]bool{}
			for _, m := range all {
				require.False(t, keys[m.Key], m.Key)
				keys[m.Key] = true
			}
			var sound []Mutant
			for i, wrong := range p.Compiles(all) {
				if wrong == "" {
					sound = append(sound, all[i])
				}
			}
			require.Greater(t, len(sound), len(all)*95/100)
			s := p.Schema(sound)
			alone := 0
			for _, number := range s.Number {
				if number == 0 {
					alone++
				}
			}
			require.LessOrEqual(t, alone, len(sound)/50, "each of these needs a build of its own")
			requireChecks(t, p, s)
		})
	}
}
