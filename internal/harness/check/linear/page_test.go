package linear_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"distlabs/internal/harness/check/linear"

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
		require.Contains(t, text, `\u003cscript\u003eread\u003c/script\u003e`) // a string of the page's own script
		require.NotContains(t, text, "<script>read")
	}
	var page bytes.Buffer
	require.NoError(t, linear.Page(&page, register, v, nil, linear.Options{}))
	require.Contains(t, page.String(), "client 3: read = 1, from 40ms to 50ms")
}

// A state that a program chose is not run by the browser either.
func TestPageEscapesStates(t *testing.T) {
	last := linear.Model[string, string, string]{Step: func(state, in string, out *string) (string, bool) {
		return in, out == nil || *out == state
	}}
	history := []linear.Op[string, string]{
		{Client: 1, Key: "k", In: "<img src=x>", Return: time.Second},
		{Client: 1, Key: "k", In: "b", Out: "?", Call: 2 * time.Second, Return: 3 * time.Second},
	}
	var v *linear.Violation[string, string]
	require.True(t, errors.As(linear.Check(last, history, linear.Options{}), &v))
	var page bytes.Buffer
	require.NoError(t, linear.Page(&page, last, v, func(linear.Op[string, string]) string { return "op" }, linear.Options{}))
	require.Contains(t, page.String(), `\u0026lt;img src=x\u0026gt;`)
	require.NotContains(t, page.String(), "img src=x\\u003e")
}
