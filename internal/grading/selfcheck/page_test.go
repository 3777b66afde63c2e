package selfcheck

import (
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
)

// The pages of the real labs have the headings and the points that they should.
func TestPagesOfTheCourse(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	c, err := course.Load(root)
	require.NoError(t, err)
	for _, lab := range c.Labs {
		require.Empty(t, Page(c, lab).Problems, lab.ID)
		require.Empty(t, Matrix(c, lab).Problems, lab.ID)
	}
}

func TestPointsOfAPage(t *testing.T) {
	lab := course.Lab{Parts: []course.Part{{ID: "4A", Points: 15}, {ID: "4B", Points: 85}}}
	for _, tc := range []struct {
		name, table string
		want        []string
	}{
		{"points last", "| part | | points |\n|---|---|---|\n| 4A | bully | 15 |\n| 4B | ring | 85 |\n", nil},
		{"points in the middle", "| 4A bully | 15 | agreement in 3 |\n| 4B ring | 85 | cost |\n", nil},
		{"words around", "Part 4A is worth 15.\n\n| 4A | 15 |\n| 4B | 85 |\n", nil},
		{"a part twice", "| 4A | 15 |\n| 4A | 15 |\n| 4B | 85 |\n", []string{"README.md lists part 4A twice"}},
		{"no number", "| 4A | fifteen |\n| 4B | 85 |\n", []string{"README.md gives part 4A no points, lab.yaml gives it 15"}},
	} {
		t.Run(tc.name, func(t *testing.T) { require.Equal(t, tc.want, points(tc.table, lab)) })
	}
}

func TestSpread(t *testing.T) {
	list := []int{0, 1, 2, 3, 4, 5, 6}
	require.Equal(t, []int{0, 2, 4}, spread(list, 3))
	require.Empty(t, spread(list, 0))
	require.Equal(t, list, spread(list, 9))
	require.Equal(t, list, spread(list, -1))
}
