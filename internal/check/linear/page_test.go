package linear_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"distlabs/internal/check/linear"

	"github.com/stretchr/testify/require"
)

// The page shows the operations in the test's words, with nothing in them that a browser would run, also if the
// search is cut short.
func TestPage(t *testing.T) {
	history := []op{
		write(1, 1, 0, 0, 10*time.Millisecond),
		write(2, 2, 1, 5*time.Millisecond, 30*time.Millisecond),
		read(3, 1, 40*time.Millisecond, 50*time.Millisecond),
		pending(read(1, 0, 20*time.Millisecond, 0)),
	}
	var v *linear.Violation[cell, int]
	require.True(t, errors.As(linear.Check(register, history, linear.Options{}), &v))
	for _, steps := range []int{0, 1, 4} {
		var page bytes.Buffer
		err := linear.Page(&page, register, v, func(o op) string { return "<script>" + o.In.String() + "</script>" }, linear.Options{Steps: steps})
		require.NoError(t, err)
		text := page.String()
		require.Contains(t, text, "html")
		require.Contains(t, text, `\u0026lt;script\u0026gt;read\u0026lt;/script\u0026gt;`)
		require.NotContains(t, text, "<script>read")
	}
	var page bytes.Buffer
	require.NoError(t, linear.Page(&page, register, v, nil, linear.Options{}))
	require.Contains(t, page.String(), "client 3: read = 1, from 40ms to 50ms")
}
