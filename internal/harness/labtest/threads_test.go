package labtest

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestThreads(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	few := Threads(before + 1)
	many := Threads(before + 3)
	require.Equal(t, before+3, runtime.GOMAXPROCS(0))
	many()
	many()
	require.Equal(t, before+1, runtime.GOMAXPROCS(0))
	few()
	require.Equal(t, before, runtime.GOMAXPROCS(0))
	defer Threads(1)()
	require.Equal(t, before, runtime.GOMAXPROCS(0))
}
