package grade

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// The first failure is the first in order, whichever came first in time: a test
// before it goes on, those after it are over.
func TestRaceToFail(t *testing.T) {
	r := &firstFailure{first: 5, cancel: make([]context.CancelFunc, 5)}
	t.Cleanup(r.end)
	earlier, ok := r.begin(t.Context(), 0)
	require.True(t, ok)
	later, ok := r.begin(t.Context(), 3)
	require.True(t, ok)
	r.failed(2)
	require.NoError(t, earlier.Err())
	require.Error(t, later.Err())
	_, ok = r.begin(t.Context(), 4)
	require.False(t, ok)
	r.failed(0)
	require.Equal(t, 0, r.first)
	r.failed(1)
	require.Equal(t, 0, r.first)
}
