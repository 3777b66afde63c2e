package play

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A step is taken by a key or a click, taken back, and taken again.
func TestTakeAStepBackAndAgain(t *testing.T) {
	b := open(t, "4C.html")
	require.Equal(t, 0, b.depth())
	b.shot("begin")
	b.press("w")
	require.Equal(t, 1, b.depth())
	b.press("w", "1", "d")
	b.shot("four")
	require.Equal(t, 4, b.depth())
	b.press("b", "b")
	require.Equal(t, 2, b.depth())
}
