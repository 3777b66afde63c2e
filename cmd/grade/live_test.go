package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
)

// A lab, or a part of one, names what runs live; what does not is refused with what does.
func TestWhatRunsLive(t *testing.T) {
	selection := func(lab string, parts ...string) []course.Selected {
		s := course.Selected{Lab: course.Lab{ID: lab}}
		for _, id := range parts {
			s.Parts = append(s.Parts, course.Part{ID: id})
		}
		return []course.Selected{s}
	}
	for _, row := range []struct {
		arg      string
		selected []course.Selected
		program  string
		want     string
	}{
		{arg: "05", selected: selection("05-replication", "5A", "5B"), program: "server"},
		{arg: "04", selected: selection("04-election", "4A", "4B", "4C"), program: "election"},
		{arg: "6E", selected: selection("06-consistency", "6E"), program: "consistency"},
		{arg: "06", selected: selection("06-consistency", "6A", "6C", "6E"), want: "give 6C or 6E"},
		{arg: "6A", selected: selection("06-consistency", "6A"), want: "does not run live"},
		{arg: "4A", selected: selection("04-election", "4A"), want: "does not run live"},
		{arg: "all", selected: append(selection("05-replication", "5A"), selection("04-election", "4C")...), want: "does not run live"},
	} {
		l, err := liveLabOf(row.selected, row.arg)
		if row.want != "" {
			require.ErrorContains(t, err, row.want, row.arg)
			continue
		}
		require.NoError(t, err, row.arg)
		require.Equal(t, row.program, l.program, row.arg)
	}
}
