package course

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A test is found by its name, by any beginning of it that no other has, and by a part that has no other.
func TestFindTest(t *testing.T) {
	c := &Course{Labs: []Lab{{ID: "01-echo", Package: "echo", Parts: []Part{
		{ID: "1A", Tests: []Test{{Name: "TestEchoes1A"}, {Name: "TestEchoesTwice1A"}, {Name: "TestQuiet1A"}}},
		{ID: "1B", Tests: []Test{{Name: "TestShouts1B"}}},
	}}}}
	for _, tt := range []struct{ lab, name, want, err string }{
		{lab: "01", name: "TestEchoes1A", want: "TestEchoes1A"},
		{lab: "01", name: "echoes1a", want: "TestEchoes1A"},
		{lab: "echo", name: "Quiet", want: "TestQuiet1A"},
		{lab: "1B", name: "1B", want: "TestShouts1B"},
		{lab: "01", name: "1b", want: "TestShouts1B"},
		{lab: "01", name: "echoes", err: `"echoes" is the beginning of several tests: choose one of TestEchoes1A, TestEchoesTwice1A`},
		{lab: "1A", name: "Shouts", err: `"Shouts" is no test of 1A: choose one of TestEchoes1A, TestEchoesTwice1A, TestQuiet1A`},
		{lab: "01", name: "", err: `"" is no test of 01`},
		{lab: "09", name: "Echo", err: `no lab or part is named "09"`},
	} {
		s, err := c.FindTest(tt.lab, tt.name)
		if tt.err != "" {
			require.ErrorContains(t, err, tt.err)
			continue
		}
		require.NoError(t, err, tt.name)
		require.Equal(t, []Test{{Name: tt.want}}, s.Tests())
	}
	require.Len(t, c.Labs[0].Parts[0].Tests, 3, "the course is as it was")
}
