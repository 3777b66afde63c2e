package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/live/cluster"
	"distlabs/live/control"
)

// A colon begins a line, which no key of a command ends.
func TestALineIsWritten(t *testing.T) {
	s := &screen{lab: labs[2]}
	require.False(t, s.writes('k'), "a key")
	for _, key := range []byte(":kilx\x7fl 1") {
		require.True(t, s.writes(key))
	}
	require.Equal(t, ":kill 1", s.message)
	require.True(t, s.writes(27), "Esc ends it")
	require.False(t, s.writes('k'))
	require.True(t, s.writes(':'))
	require.False(t, s.writes(3), "Ctrl-C ends the command")
	require.Empty(t, s.line)
}

func TestQuestions(t *testing.T) {
	c := &cluster.Cluster{}
	_, err := labs[2].obey(c, "put 1 colour")
	require.ErrorContains(t, err, "put needs a server, key, value, for example: put 1 key value")
	_, err = labs[2].obey(c, "put 1 colour red")
	require.ErrorContains(t, err, `there is no server "1"`)
	_, err = labs[0].obey(c, "put 1 colour red")
	require.ErrorContains(t, err, `there is no command "put"`)
	_, err = labOf("07")
	require.ErrorContains(t, err, `"07" does not run live`)
}

// Every row of the page has the same columns, also that of a server of which nothing is known, and no list is null.
func TestRows(t *testing.T) {
	cells := []control.Cell{{Name: "term", Value: "3"}, {Name: "role", Value: "leader"}}
	got := rows([]cluster.State{{Server: 1}, {Server: 2, Up: true, Known: true, Cells: cells, Cut: []int{1, 3}, CutFrom: []int{3}}})
	require.Equal(t, []control.Cell{{Name: "term", Value: "–"}, {Name: "role", Value: "–"}}, got[0].Cells)
	require.Equal(t, cells, got[1].Cells)
	require.NotNil(t, got[0].Cut)
	require.NotNil(t, got[0].Slow)
	require.Equal(t, "cut off from [3]; does not reach [1]", got[1].Remarks)
	require.Equal(t, "down", got[0].Process)
}
