package gate

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The README lists what a submission may import, and nothing else.
func TestReadmeListsTheImports(t *testing.T) {
	readme, err := os.ReadFile("../../../README.md")
	require.NoError(t, err)
	_, list, found := strings.Cut(string(readme), "these packages of the standard library, which only compute: ")
	require.True(t, found, "README.md no longer says what a submission may import")
	list, _, _ = strings.Cut(list, ".\n")
	listed := strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(",` \n", r) })
	var want []string
	for _, path := range allowed {
		if path != network {
			want = append(want, path)
		}
	}
	var got []string
	for _, path := range listed {
		if path != "and" {
			got = append(got, path)
		}
	}
	require.Equal(t, want, got)
}
