package linear_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"distlabs/internal/harness/check/histpage"
	"distlabs/internal/harness/check/linear"

	"github.com/stretchr/testify/require"
)

// stale is a history with a wrong read, and an operation of each sort.
func stale(t *testing.T) *linear.Violation[cell, int] {
	history := []op{
		write(1, 1, 0, 0, 10*time.Millisecond),
		write(2, 2, 1, 5*time.Millisecond, 30*time.Millisecond),
		read(3, 1, 40*time.Millisecond, 50*time.Millisecond),
		pending(read(1, 0, 20*time.Millisecond, 0)),
	}
	var v *linear.Violation[cell, int]
	require.True(t, errors.As(linear.Check(register, history, linear.Options{}), &v))
	return v
}

// The page shows the operations in the test's words, with nothing in them that a browser would run, also if the
// search is cut short.
func TestPage(t *testing.T) {
	v := stale(t)
	for _, steps := range []int{0, 1, 4} {
		var page bytes.Buffer
		err := linear.Page(&page, register, v, func(o op) string { return "<script>" + o.In.String() + "</script>" }, linear.Options{Steps: steps})
		require.NoError(t, err)
		text := page.String()
		require.Contains(t, text, "&lt;script&gt;read&lt;/script&gt;")
		require.NotContains(t, text, "<script>read")
		require.Equal(t, 1, bytes.Count(page.Bytes(), []byte(`class="bar wrong"`)))
	}
	var page bytes.Buffer
	require.NoError(t, linear.Page(&page, register, v, nil, linear.Options{}))
	require.Contains(t, page.String(), "client 3: read = 1, from 40ms to 50ms")
	require.Contains(t, page.String(), "then the state is")
}

// With a run, clients are named as its nodes are, and its outages, its title and its rule are there.
func TestPageOfARun(t *testing.T) {
	var page bytes.Buffer
	require.NoError(t, linear.Page(&histpage.Writer{Writer: &page, Run: histpage.Run{
		Title: "TestX, seed 3", What: "an old value", Rule: "reads are linearizable (rule 20)", Link: "TestX-3.html", Nodes: 3,
		Outages: []histpage.Outage{{Where: "n2", From: 12 * time.Millisecond, To: 22 * time.Millisecond, Text: "crashed"},
			{Where: "network", From: time.Hour, To: 2 * time.Hour, Text: "cut later"}},
	}}, register, stale(t), nil, linear.Options{}))
	text := page.String()
	for _, want := range []string{">n1</text>", ">n2</text>", ">n3</text>", "TestX, seed 3", "an old value", "rule 20", `href="TestX-3.html"`, `class="bar outage"`} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "cut later")
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
	require.Contains(t, page.String(), `&lt;img src=x&gt;`)
	require.NotContains(t, page.String(), "<img")
}
